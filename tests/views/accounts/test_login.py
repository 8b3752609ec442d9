"""Login and logout with a password, redirects after login, throttling and password resets."""

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

WRONG_CREDENTIALS = "Incorrect username or password."


def shift_clock(monkeypatch: pytest.MonkeyPatch, by: timedelta) -> None:
    """Move the clock of the views forward."""
    shifted = clock.utc_now() + by
    for module in ("viewer", "accounts.base", "accounts.settings", "accounts.registration", "accounts.oauth"):
        monkeypatch.setattr(f"pkgsite.views.{module}.utc_now", lambda: shifted)


@pytest.mark.parametrize("name", ["ada", "ADA", "ada@example.org", "Ada@Example.ORG", " ada "])
def test_a_user_logs_in_with_username_or_email_address(session: Session, app: Flask, name: str) -> None:
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


def test_a_failed_login_does_not_reveal_whether_the_account_exists(
    session: Session, app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_login_user(session, "ada")
    make_login_user(session, "nopass", password=None)
    make_login_user(session, "closed", is_active=False)
    hashes: list[str] = []
    original_verify = PasswordHasher.verify

    def verify(self: PasswordHasher, hash: str, password: str) -> bool:
        hashes.append(hash)
        return original_verify(self, hash, password)

    monkeypatch.setattr(PasswordHasher, "verify", verify)
    responses = set()
    for name in ("ada", "nopass", "closed", "nobody", "nobody@example.org", "a\x00b", "x" * 300):
        response = LoginClient(app).log_in(name, "wrong password here")
        responses.add((response.status_code, WRONG_CREDENTIALS in visible_text(response.text)))
    assert responses == {(422, True)}
    assert len(hashes) == 7, "each attempt verifies one hash"
    assert len({hash.rpartition("$")[0].rpartition("$")[0] for hash in hashes}) == 1, "with the same parameters"


def test_a_disabled_account_cannot_log_in_and_its_sessions_end(session: Session, app: Flask) -> None:
    ada, browser = make_login_user(session), LoginClient(app)
    browser.log_in()
    session.get_one(User, ada.id).is_active = False
    session.commit()
    assert browser.username is None
    response = browser.log_in()
    assert response.status_code == 422
    assert "This account is disabled." in response.text


@pytest.mark.parametrize("data", [{}, {"login": "ada"}, {"password": PASSWORD}, {"login": "", "password": ""}])
def test_an_empty_field_is_an_error(session: Session, app: Flask, data: dict[str, str]) -> None:
    make_login_user(session)
    response = LoginClient(app).post("/account/login/", data)
    assert response.status_code == 422
    assert "This field is required." in response.text
    assert session.query(LoginAttempt).count() == 0


@pytest.mark.parametrize(
    ("next_path", "location"),
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
def test_next_redirects_only_within_the_site(session: Session, app: Flask, next_path: str, location: str) -> None:
    make_login_user(session)
    browser = LoginClient(app)
    data = {"login": "ada", "password": PASSWORD, "next": next_path}
    assert browser.post("/account/login/", data).headers["Location"] == location
    again = browser.get("/account/login/", query_string={"next": next_path})
    assert again.headers["Location"] == (location if location != "/" else "/account/")
    assert "evil" not in LoginClient(app).get("/account/login/", query_string={"next": next_path}).text


def test_the_legacy_login_url_redirects(app: Flask) -> None:
    response = app.test_client().get("/login/?next=/grids/")
    assert (response.status_code, response.headers["Location"]) == (301, "/account/login/?next=/grids/")


def test_a_protected_page_redirects_to_login_and_back(session: Session, app: Flask) -> None:
    make_login_user(session)
    browser = LoginClient(app)
    page = browser.get("/account/email/")
    assert page.headers["Location"] == "/account/login/?next=/account/email/"
    assert 'name="next" type="hidden" value="/account/email/"' in browser.get(page.headers["Location"]).text


def test_a_login_starts_a_new_session(session: Session, app: Flask) -> None:
    make_login_user(session)
    browser = LoginClient(app)
    browser.log_in()
    with browser.client.session_transaction() as cookie:
        first = cookie["_user_id"]
        cookie["leftover"] = "from the previous session"
    browser.log_in()
    with browser.client.session_transaction() as cookie:
        assert cookie["_user_id"] != first
        assert "leftover" not in cookie
    session.rollback()
    assert session.query(LoginSession).count() == 1
    attacker = LoginClient(app)
    with attacker.client.session_transaction() as cookie:
        cookie["_user_id"] = first
    assert attacker.username is None


def test_logout_is_a_post_and_invalidates_the_session(session: Session, app: Flask) -> None:
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


def test_login_needs_a_csrf_token(session: Session, app: Flask) -> None:
    make_login_user(session)
    response = app.test_client().post("/account/login/", data={"login": "ada", "password": PASSWORD})
    assert response.status_code == 403
    assert session.query(LoginSession).count() == 0


def test_attempts_are_throttled_per_account(
    session: Session, make_app: Callable[..., Flask], monkeypatch: pytest.MonkeyPatch
) -> None:
    make_login_user(session, "ada")
    make_login_user(session, "bob")
    apps = [make_app(), make_app()]  # like two processes
    for number in range(10):
        name = "ada" if number % 2 else "ada@example.org"
        remote = {"REMOTE_ADDR": f"192.0.2.{number}"}
        assert LoginClient(apps[number % 2]).log_in(name, "wrong password", environ_base=remote).status_code == 422
    response = LoginClient(apps[0]).log_in("ada", PASSWORD)
    assert response.status_code == 429
    assert 800 < int(response.headers["Retry-After"]) <= 901
    assert "To protect the account, wait 1" in visible_text(response.text)
    assert LoginClient(apps[1]).log_in("bob").status_code == 303
    session.rollback()
    keys = " ".join(session.scalars(select(LoginAttempt.key)))
    assert "ada" not in keys
    assert "192.0.2" not in keys
    shift_clock(monkeypatch, timedelta(minutes=16))
    assert LoginClient(apps[0]).log_in("ada", PASSWORD).status_code == 303


def test_attempts_on_unknown_names_are_throttled_too(app: Flask) -> None:
    statuses = [LoginClient(app).log_in("nobody", "wrong password").status_code for _ in range(11)]
    assert statuses == [422] * 10 + [429]


def test_attempts_are_throttled_per_network(session: Session, app: Flask) -> None:
    make_login_user(session)
    for number in range(50):
        environ = {"REMOTE_ADDR": f"2001:db8::{number:x}"}  # all in one network
        assert LoginClient(app).log_in(f"nobody{number}", "wrong", environ_base=environ).status_code == 422
    environ = {"REMOTE_ADDR": "2001:db8::ffff"}
    assert LoginClient(app).log_in("ada", PASSWORD, environ_base=environ).status_code == 429
    assert LoginClient(app).log_in("ada", PASSWORD, environ_base={"REMOTE_ADDR": "2001:db8:1::1"}).status_code == 303


def test_a_successful_login_resets_the_attempts(session: Session, app: Flask) -> None:
    make_login_user(session)
    for _round in range(3):
        for _attempt in range(9):
            assert LoginClient(app).log_in("ada", "wrong password").status_code == 422
        assert LoginClient(app).log_in().status_code == 303


def test_an_outdated_password_hash_is_replaced_at_login(session: Session, app: Flask) -> None:
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


def test_session_activity_is_recorded_every_few_minutes(
    session: Session, app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_login_user(session)
    browser = LoginClient(app)
    browser.log_in()

    def seen() -> Any:
        session.rollback()
        return session.query(LoginSession).populate_existing().one().last_seen_at

    first = seen()
    browser.get("/help/")
    assert seen() == first
    shift_clock(monkeypatch, timedelta(minutes=11))
    browser.get("/help/")
    second = seen()
    assert timedelta(minutes=10) < second - first < timedelta(minutes=12)
    browser.get("/help/")
    assert seen() == second
    shift_clock(monkeypatch, timedelta(days=31))
    assert browser.username is None, "unused sessions expire"


def test_a_reset_link_works_once(session: Session, app: Flask) -> None:
    make_login_user(session)
    other_browser, browser = LoginClient(app), LoginClient(app)
    other_browser.log_in()
    response = browser.post("/account/reset/", {"email": "Ada@example.org"})
    assert response.headers["Location"] == "/account/check-your-email/"
    (message,) = outbox_messages(session)
    assert (message.to, message.subject) == ("ada@example.org", "Reset your pkgsite password")
    path = link_in(message.body)
    for _ in range(2):  # opening the link changes nothing
        page = browser.get(path)
        assert page.status_code == 200
        assert 'autocomplete="new-password"' in page.text
    assert browser.post(path, {"password": "short"}).status_code == 422
    assert "10 characters" in browser.post(path, {"password": "short"}).text
    assert browser.post(path, {"password": "ada@example.org"}).status_code == 422
    assert other_browser.username == "ada"
    assert browser.post(path, {"password": OTHER_PASSWORD}).headers["Location"] == "/account/login/"
    assert other_browser.username is None
    assert LoginClient(app).log_in().status_code == 422
    assert LoginClient(app).log_in(password=OTHER_PASSWORD).status_code == 303
    for response in (browser.get(path), browser.post(path, {"password": PASSWORD})):
        assert response.status_code == 410
        assert "This link is no longer valid" in response.text
    assert LoginClient(app).log_in(password=OTHER_PASSWORD).status_code == 303


def test_a_reset_request_does_not_reveal_whether_the_account_exists(session: Session, app: Flask) -> None:
    make_login_user(session, "ada")
    make_login_user(session, "bob", email_confirmed_at=None)
    make_login_user(session, "closed", is_active=False)
    responses = set()
    for name in ("ada", "bob", "closed", "nobody"):
        response = LoginClient(app).post("/account/reset/", {"email": f"{name}@example.org"})
        responses.add((response.status_code, response.headers["Location"], response.text))
    assert len(responses) == 1
    subjects = [message.subject for message in outbox_messages(session)]
    assert subjects == ["Reset your pkgsite password", *["No pkgsite account for this email address"] * 3], (
        "only the owner of the address learns more"
    )


def test_reset_emails_are_throttled(session: Session, app: Flask) -> None:
    make_login_user(session)
    statuses = [LoginClient(app).post("/account/reset/", {"email": "ada@example.org"}).status_code for _ in range(6)]
    assert statuses == [303] * 5 + [429]
    assert len(outbox_messages(session)) == 5
    statuses = [LoginClient(app).post("/account/reset/", {"email": f"x{n}@example.org"}).status_code for n in range(16)]
    assert statuses == [303] * 15 + [429], "also for many different addresses"


@pytest.mark.parametrize("change", ["password_hash", "email", "is_active", "deleted"])
def test_a_reset_link_is_invalid_after_the_account_changes(session: Session, app: Flask, change: str) -> None:
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


def test_a_reset_link_expires_after_two_hours(session: Session, app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    make_login_user(session)
    browser = LoginClient(app)
    browser.post("/account/reset/", {"email": "ada@example.org"})
    path = link_in(outbox_messages(session)[0].body)
    now = time.time()
    monkeypatch.setattr("itsdangerous.timed.time.time", lambda: now + 2 * 3600 - 60)
    assert browser.get(path).status_code == 200
    monkeypatch.setattr("itsdangerous.timed.time.time", lambda: now + 2 * 3600 + 60)
    assert browser.get(path).status_code == 410


@pytest.mark.parametrize("token", ["x", "a.b.c", "%00", "x" * 5000, "WzEsImEiLCJiIl0.aaaaaa.bbbbbbbb", "%E2%80%AE"])
def test_a_forged_link_is_invalid(app: Flask, token: str) -> None:
    for path in ("reset", "register"):
        assert LoginClient(app).get(f"/account/{path}/{token}/").status_code == 410
        assert LoginClient(app).post(f"/account/{path}/{token}/", {"password": OTHER_PASSWORD}).status_code == 410


def test_a_link_works_only_for_its_purpose(session: Session, app: Flask) -> None:
    make_login_user(session, email_confirmed_at=None)
    browser = LoginClient(app)
    browser.log_in()
    browser.post("/account/email/confirm/")
    token = link_in(outbox_messages(session)[0].body).split("/")[-2]
    assert browser.get(f"/account/confirm/{token}/").status_code == 200
    assert browser.get(f"/account/reset/{token}/").status_code == 410
    assert browser.get(f"/account/register/{token}/").status_code == 410


def test_without_email_the_reset_page_refers_to_the_administrators(make_app: Callable[..., Flask]) -> None:
    browser = LoginClient(make_app(MAIL="off"))
    assert "This site doesn't send email." in browser.get("/account/reset/").text
    assert browser.post("/account/reset/", {"email": "ada@example.org"}).status_code == 422


def test_links_in_emails_use_the_public_url_and_not_the_host_header(
    session: Session, make_app: Callable[..., Flask]
) -> None:
    make_login_user(session)
    app = make_app(PUBLIC_URL="http://localhost:8123")
    app.config["WTF_CSRF_ENABLED"] = False  # the test client's cookie is for another host
    LoginClient(app).post("/account/reset/", {"email": "ada@example.org"}, headers={"Host": "evil.example"})
    (message,) = outbox_messages(session)
    assert "http://localhost:8123/account/reset/" in message.body
    assert "evil" not in message.body
