"""Logging in and out, by a password; the throttle; where it leads; forgotten passwords."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from argon2 import PasswordHasher
from flask import Flask
from sqlalchemy import select
from sqlalchemy.orm import Session

from pkgsite import clock
from pkgsite.models import LoginAttempt, LoginSession, User
from pkgsite.services.accounts import passwords
from tests.login_client import OTHER_PASSWORD, PASSWORD, LoginClient, link_in, make_login_user, outbox_messages
from tests.views.conftest import visible_text

WRONG = "Incorrect username or password."


def later(monkeypatch: pytest.MonkeyPatch, by: timedelta) -> None:
    """Let the views' clock show a time that far from now."""
    shifted = clock.utc_now() + by
    for module in ("viewer", "accounts.base", "accounts.settings", "accounts.registration", "accounts.oauth"):
        monkeypatch.setattr(f"pkgsite.views.{module}.utc_now", lambda: shifted)


@pytest.mark.parametrize("name", ["ada", "ADA", "ada@example.org", "Ada@Example.ORG", " ada "])
def test_a_person_logs_in_by_name_or_address(session: Session, app: Flask, name: str) -> None:
    make_login_user(session)
    browser = LoginClient(app)
    response = browser.log_in(name)
    assert (response.status_code, response.headers["Location"]) == (303, "/")
    assert browser.username == "ada"
    assert browser.get("/account/login/").headers["Location"] == "/account/"


def test_the_login_page_helps_password_managers(session: Session, app: Flask) -> None:
    html = LoginClient(app).get("/account/login/").text
    assert 'autocomplete="username"' in html
    assert 'autocomplete="current-password"' in html
    assert '<meta name="robots" content="noindex">' in html
    assert LoginClient(app).get("/account/login/").headers["Cache-Control"] == "no-store"


def test_the_same_answer_whether_or_not_there_is_an_account(
    session: Session, app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_login_user(session, "ada")
    make_login_user(session, "nopass", password=None)
    make_login_user(session, "closed", is_active=False)
    hashed: list[str] = []
    verify = PasswordHasher.verify
    monkeypatch.setattr(PasswordHasher, "verify", lambda self, h, p: hashed.append(h) or verify(self, h, p))
    answers = set()
    for name in ("ada", "nopass", "closed", "nobody", "nobody@example.org", "a\x00b", "x" * 300):
        response = LoginClient(app).log_in(name, "wrong password here")
        answers.add((response.status_code, WRONG in visible_text(response.text)))
    assert answers == {(422, True)}
    assert len(hashed) == 7, "the work is the same"
    assert len({one.rpartition("$")[0].rpartition("$")[0] for one in hashed}) == 1, "at the same cost"


def test_a_closed_account_does_not_log_in_and_its_sessions_end(session: Session, app: Flask) -> None:
    ada, browser = make_login_user(session), LoginClient(app)
    browser.log_in()
    session.get_one(User, ada.id).is_active = False
    session.commit()
    assert browser.username is None
    response = browser.log_in()
    assert response.status_code == 422
    assert "This account is disabled." in response.text


@pytest.mark.parametrize("data", [{}, {"login": "ada"}, {"password": PASSWORD}, {"login": "", "password": ""}])
def test_an_empty_field_is_named(session: Session, app: Flask, data: dict[str, str]) -> None:
    make_login_user(session)
    response = LoginClient(app).post("/account/login/", data)
    assert response.status_code == 422
    assert "This field is required." in response.text
    assert session.query(LoginAttempt).count() == 0


@pytest.mark.parametrize(
    ("wanted", "led_to"),
    [
        ("/grids/?q=a%20b", "/grids/?q=a%20b"),
        ("/account/", "/account/"),
        ("https://evil.example/", "/"),
        ("//evil.example/", "/"),
        ("/\\evil.example", "/"),
        ("/\t/evil.example", "/"),
        ("javascript:alert(1)", "/"),
        ("/a\r\nSet-Cookie: x=y", "/"),
        ("", "/"),
    ],
)
def test_next_leads_to_our_own_paths_only(session: Session, app: Flask, wanted: str, led_to: str) -> None:
    make_login_user(session)
    browser = LoginClient(app)
    data = {"login": "ada", "password": PASSWORD, "next": wanted}
    assert browser.post("/account/login/", data).headers["Location"] == led_to
    again = browser.get("/account/login/", query_string={"next": wanted})
    assert again.headers["Location"] == (led_to if led_to != "/" else "/account/")
    assert "evil" not in LoginClient(app).get("/account/login/", query_string={"next": wanted}).text


def test_the_login_page_has_its_old_address_too(app: Flask) -> None:
    response = app.test_client().get("/login/?next=/grids/")
    assert (response.status_code, response.headers["Location"]) == (301, "/account/login/?next=/grids/")


def test_a_page_for_people_leads_to_the_login_and_back(session: Session, app: Flask) -> None:
    make_login_user(session)
    browser = LoginClient(app)
    page = browser.get("/account/email/")
    assert page.headers["Location"] == "/account/login/?next=/account/email/"
    assert 'name="next" type="hidden" value="/account/email/"' in browser.get(page.headers["Location"]).text


def test_a_login_renews_the_session(session: Session, app: Flask) -> None:
    make_login_user(session)
    browser = LoginClient(app)
    browser.log_in()
    with browser.client.session_transaction() as cookie:
        first = cookie["_user_id"]
        cookie["left"] = "by somebody else"
    browser.log_in()
    with browser.client.session_transaction() as cookie:
        assert cookie["_user_id"] != first
        assert "left" not in cookie
    session.rollback()
    assert session.query(LoginSession).count() == 1
    stolen = LoginClient(app)
    with stolen.client.session_transaction() as cookie:
        cookie["_user_id"] = first
    assert stolen.username is None


def test_logging_out_is_a_post_and_ends_the_session_everywhere(session: Session, app: Flask) -> None:
    make_login_user(session)
    browser = LoginClient(app)
    browser.log_in()
    with browser.client.session_transaction() as cookie:
        secret = cookie["_user_id"]
    assert browser.get("/account/logout/").status_code == 405
    assert browser.client.post("/account/logout/").status_code == 403
    assert browser.username == "ada"
    assert browser.post("/account/logout/").status_code == 303
    assert browser.username is None
    with browser.client.session_transaction() as cookie:
        cookie["_user_id"] = secret
    assert browser.username is None
    assert LoginClient(app).post("/account/logout/").status_code == 303


def test_a_forged_form_logs_nobody_in(session: Session, app: Flask) -> None:
    make_login_user(session)
    response = app.test_client().post("/account/login/", data={"login": "ada", "password": PASSWORD})
    assert response.status_code == 403
    assert session.query(LoginSession).count() == 0


def test_guessing_is_stopped_per_account(
    session: Session, make_app: Callable[..., Flask], monkeypatch: pytest.MonkeyPatch
) -> None:
    make_login_user(session, "ada")
    make_login_user(session, "bob")
    apps = [make_app(), make_app()]  # as two processes
    for number in range(10):
        name = "ada" if number % 2 else "ada@example.org"
        remote = {"REMOTE_ADDR": f"192.0.2.{number}"}
        assert LoginClient(apps[number % 2]).log_in(name, "wrong password", environ_base=remote).status_code == 422
    response = LoginClient(apps[0]).log_in("ada", PASSWORD)
    assert response.status_code == 429
    assert 800 < int(response.headers["Retry-After"]) <= 901
    assert "try again in 1" in visible_text(response.text)
    assert LoginClient(apps[1]).log_in("bob").status_code == 303
    session.rollback()
    keys = " ".join(session.scalars(select(LoginAttempt.key)))
    assert "ada" not in keys
    assert "192.0.2" not in keys
    later(monkeypatch, timedelta(minutes=16))
    assert LoginClient(apps[0]).log_in("ada", PASSWORD).status_code == 303


def test_an_unknown_name_is_stopped_just_the_same(app: Flask) -> None:
    statuses = [LoginClient(app).log_in("nobody", "wrong password").status_code for _ in range(11)]
    assert statuses == [422] * 10 + [429]


def test_guessing_is_stopped_per_address(session: Session, app: Flask) -> None:
    make_login_user(session)
    for number in range(50):
        place = {"REMOTE_ADDR": f"2001:db8::{number:x}"}  # one network
        assert LoginClient(app).log_in(f"nobody{number}", "wrong", environ_base=place).status_code == 422
    place = {"REMOTE_ADDR": "2001:db8::ffff"}
    assert LoginClient(app).log_in("ada", PASSWORD, environ_base=place).status_code == 429
    assert LoginClient(app).log_in("ada", PASSWORD, environ_base={"REMOTE_ADDR": "2001:db8:1::1"}).status_code == 303


def test_a_success_clears_the_accounts_failures(session: Session, app: Flask) -> None:
    make_login_user(session)
    for _round in range(3):
        for _try in range(9):
            assert LoginClient(app).log_in("ada", "wrong password").status_code == 422
        assert LoginClient(app).log_in().status_code == 303


def test_a_hash_of_old_cost_is_made_anew(session: Session, app: Flask) -> None:
    old = PasswordHasher(time_cost=1, memory_cost=8192, parallelism=1).hash(PASSWORD)
    ada = make_login_user(session, password_hash=old)
    assert LoginClient(app).log_in("ada", "wrong password").status_code == 422
    session.rollback()
    assert session.get_one(User, ada.id).password_hash == old
    assert LoginClient(app).log_in().status_code == 303
    session.rollback()
    session.expire_all()
    new = session.get_one(User, ada.id).password_hash
    assert new
    assert new != old
    assert not passwords.needs_rehash(new)
    assert LoginClient(app).log_in().status_code == 303


def test_last_seen_is_noted_now_and_then(session: Session, app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    make_login_user(session)
    browser = LoginClient(app)
    browser.log_in()

    def seen() -> Any:
        session.rollback()
        return session.query(LoginSession).populate_existing().one().last_seen_at

    first = seen()
    browser.get("/help/")
    assert seen() == first
    later(monkeypatch, timedelta(minutes=11))
    browser.get("/help/")
    second = seen()
    assert timedelta(minutes=10) < second - first < timedelta(minutes=12)
    browser.get("/help/")
    assert seen() == second
    later(monkeypatch, timedelta(days=31))
    assert browser.username is None, "a session that nobody uses ends"


def test_a_forgotten_password_is_chosen_anew_once(session: Session, app: Flask) -> None:
    make_login_user(session)
    elsewhere, browser = LoginClient(app), LoginClient(app)
    elsewhere.log_in()
    response = browser.post("/account/reset/", {"email": "Ada@example.org"})
    assert response.headers["Location"] == "/account/check-your-email/"
    (char,) = outbox_messages(session)
    assert (char.to, char.subject) == ("ada@example.org", "Reset your pkgsite password")
    path = link_in(char.body)
    for _ in range(2):  # looking changes nothing
        page = browser.get(path)
        assert page.status_code == 200
        assert 'autocomplete="new-password"' in page.text
    assert browser.post(path, {"password": "short"}).status_code == 422
    assert "10 characters" in browser.post(path, {"password": "short"}).text
    assert browser.post(path, {"password": "ada@example.org"}).status_code == 422
    assert elsewhere.username == "ada"
    assert browser.post(path, {"password": OTHER_PASSWORD}).headers["Location"] == "/account/login/"
    assert elsewhere.username is None
    assert LoginClient(app).log_in().status_code == 422
    assert LoginClient(app).log_in(password=OTHER_PASSWORD).status_code == 303
    for response in (browser.get(path), browser.post(path, {"password": PASSWORD})):
        assert response.status_code == 410
        assert "This link is no longer valid" in response.text
    assert LoginClient(app).log_in(password=OTHER_PASSWORD).status_code == 303


def test_asking_for_a_new_password_tells_nothing(session: Session, app: Flask) -> None:
    make_login_user(session, "ada")
    make_login_user(session, "bob", email_confirmed_at=None)
    make_login_user(session, "closed", is_active=False)
    answers = set()
    for name in ("ada", "bob", "closed", "nobody"):
        response = LoginClient(app).post("/account/reset/", {"email": f"{name}@example.org"})
        answers.add((response.status_code, response.headers["Location"], response.text))
    assert len(answers) == 1
    subjects = [char.subject for char in outbox_messages(session)]
    assert subjects == ["Reset your pkgsite password", *["No pkgsite account for this email address"] * 3], (
        "only its reader learns more"
    )


def test_letters_are_not_sent_to_bother_people(session: Session, app: Flask) -> None:
    make_login_user(session)
    statuses = [LoginClient(app).post("/account/reset/", {"email": "ada@example.org"}).status_code for _ in range(6)]
    assert statuses == [303] * 5 + [429]
    assert len(outbox_messages(session)) == 5
    statuses = [LoginClient(app).post("/account/reset/", {"email": f"x{n}@example.org"}).status_code for n in range(16)]
    assert statuses == [303] * 15 + [429], "nor by one who names many addresses"


@pytest.mark.parametrize("change", ["password_hash", "email", "is_active", "deleted"])
def test_a_reset_link_dies_with_what_it_is_about(session: Session, app: Flask, change: str) -> None:
    ada, browser = make_login_user(session), LoginClient(app)
    browser.post("/account/reset/", {"email": "ada@example.org"})
    path = link_in(outbox_messages(session)[0].body)
    assert browser.get(path).status_code == 200
    session.rollback()
    user = session.get_one(User, ada.id)
    if change == "deleted":
        session.delete(user)
    else:
        new: dict[str, Any] = {"password_hash": "x", "email": "b@example.org", "is_active": False}
        setattr(user, change, new[change])
    session.commit()
    assert browser.get(path).status_code == 410
    assert browser.post(path, {"password": OTHER_PASSWORD}).status_code == 410


def test_a_reset_link_ends_after_two_hours(session: Session, app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    make_login_user(session)
    browser = LoginClient(app)
    browser.post("/account/reset/", {"email": "ada@example.org"})
    path = link_in(outbox_messages(session)[0].body)
    real = time.time()
    monkeypatch.setattr("itsdangerous.timed.time.time", lambda: real + 2 * 3600 - 60)
    assert browser.get(path).status_code == 200
    monkeypatch.setattr("itsdangerous.timed.time.time", lambda: real + 2 * 3600 + 60)
    assert browser.get(path).status_code == 410


@pytest.mark.parametrize("token", ["x", "a.b.c", "%00", "x" * 5000, "WzEsImEiLCJiIl0.aaaaaa.bbbbbbbb", "%E2%80%AE"])
def test_an_invented_link_is_dead(app: Flask, token: str) -> None:
    for path in ("reset", "register"):
        assert LoginClient(app).get(f"/account/{path}/{token}/").status_code == 410
        assert LoginClient(app).post(f"/account/{path}/{token}/", {"password": OTHER_PASSWORD}).status_code == 410


def test_a_link_is_good_for_its_purpose_only(session: Session, app: Flask) -> None:
    make_login_user(session, email_confirmed_at=None)
    browser = LoginClient(app)
    browser.log_in()
    browser.post("/account/email/confirm/")
    token = link_in(outbox_messages(session)[0].body).split("/")[-2]
    assert browser.get(f"/account/confirm/{token}/").status_code == 200
    assert browser.get(f"/account/reset/{token}/").status_code == 410
    assert browser.get(f"/account/register/{token}/").status_code == 410


def test_without_letters_the_page_says_who_can_help(make_app: Callable[..., Flask]) -> None:
    browser = LoginClient(make_app(MAIL="off"))
    assert "This site doesn't send email." in browser.get("/account/reset/").text
    assert browser.post("/account/reset/", {"email": "ada@example.org"}).status_code == 422


def test_links_begin_with_the_public_address_whatever_host_is_claimed(
    session: Session, make_app: Callable[..., Flask]
) -> None:
    make_login_user(session)
    app = make_app(PUBLIC_URL="http://localhost:8123")
    app.config["WTF_CSRF_ENABLED"] = False  # the test's cookie is of another host
    LoginClient(app).post("/account/reset/", {"email": "ada@example.org"}, headers={"Host": "evil.example"})
    (char,) = outbox_messages(session)
    assert "http://localhost:8123/account/reset/" in char.body
    assert "evil" not in char.body
