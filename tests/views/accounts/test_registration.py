"""Sign-up, with and without email confirmation."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from argon2 import PasswordHasher
from flask import Flask
from sqlalchemy.orm import Session

from pkgsite.models import LoginSession, User
from pkgsite.services.accounts import passwords
from tests.login_client import OTHER_PASSWORD, PASSWORD, LoginClient, link_in, make_login_user, outbox_messages

HOSTILE = [
    "\x00",
    "a\x00b",
    "\u202eada",
    "a\u200bb",
    "x" * 10_000,
    "<script>alert('x')</script>",
    "'; DROP TABLE user; --",
    "ada\r\nBcc: all@example.org",
    "../../etc",
    "..",
    "a/b",
    "ünïcode",
    "а́да",
    "ad a",
    "{{7*7}}",
    "%s%n",
    "-ada",
    "ada@example.org",
]


def users_by_name(session: Session) -> dict[str, User]:
    session.rollback()
    return {user.username: user for user in session.query(User).populate_existing()}


def test_an_account_is_created_through_the_link_in_an_email(
    session: Session, app: Flask, production_hasher: PasswordHasher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(passwords, "HASHER", production_hasher)
    browser = LoginClient(app)
    form = browser.get("/account/register/").text
    assert 'autocomplete="email"' in form
    assert 'type="password"' not in form
    response = browser.post("/account/register/", {"username": "Ada.L", "email": "Ada@example.org"})
    assert (response.status_code, response.headers["Location"]) == (303, "/account/check-your-email/")
    assert "View the email in the outbox" in browser.get("/account/check-your-email/").text
    former = browser.get("/account/look-into-your-mail/")
    assert (former.status_code, former.headers["Location"]) == (301, "/account/check-your-email/")
    assert users_by_name(session) == {}, "nothing is stored before the address is confirmed"
    (message,) = outbox_messages(session)
    assert message.to == "Ada@example.org"
    path = link_in(message.body)
    page = browser.get(path)
    assert page.status_code == 200
    assert 'value="Ada.L"' in page.text
    assert 'autocomplete="new-password"' in page.text
    assert users_by_name(session) == {}, "a mail program that opens the link changes nothing"
    assert browser.post(path, {"username": "Ada.L", "password": "password123"}).status_code == 422
    response = browser.post(path, {"username": "Ada.L", "password": PASSWORD})
    assert (response.status_code, response.headers["Location"]) == (303, "/")
    assert browser.username == "Ada.L"
    ada = users_by_name(session)["Ada.L"]
    assert (ada.email, ada.role, ada.is_active) == ("Ada@example.org", "user", True)
    assert ada.email_confirmed_at is not None
    assert ada.password_hash
    assert ada.password_hash.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert production_hasher.verify(ada.password_hash, PASSWORD)
    for repeated in (browser.get(path), browser.post(path, {"username": "two", "password": PASSWORD})):
        assert repeated.status_code == 410
    assert list(users_by_name(session)) == ["Ada.L"]


def test_sign_up_reveals_existing_accounts_only_to_their_owners(session: Session, app: Flask) -> None:
    make_login_user(session, "ada")
    responses = []
    for email in ("ada@example.org", "new@example.org"):
        browser = LoginClient(app)
        response = browser.post("/account/register/", {"username": "bob", "email": email})
        page = browser.get(response.headers["Location"]).text
        responses.append((response.status_code, response.headers["Location"], page, browser.log_in("bob").status_code,
                        browser.get("/profiles/bob/").status_code))  # fmt: skip
    assert responses[0] == responses[1]
    first, second = outbox_messages(session)
    assert first.subject == "You already have a pkgsite account"
    assert "“ada”" in first.body
    assert LoginClient(app).get(link_in(first.body)).status_code == 200
    assert second.subject == "Finish creating your pkgsite account"
    assert list(users_by_name(session)) == ["ada"]


def test_a_username_taken_in_the_meantime_can_be_changed(session: Session, app: Flask) -> None:
    first, second = LoginClient(app), LoginClient(app)
    for number, browser in enumerate((first, second)):
        browser.post("/account/register/", {"username": "ada", "email": f"{number}@example.org"})
    paths = [link_in(message.body) for message in outbox_messages(session)]
    assert first.post(paths[0], {"username": "ada", "password": PASSWORD}).status_code == 303
    response = second.post(paths[1], {"username": "ADA", "password": PASSWORD})
    assert response.status_code == 422
    assert "This username is already taken." in response.text
    assert second.post(paths[1], {"username": "ada2", "password": PASSWORD}).status_code == 303
    assert {name: user.email for name, user in users_by_name(session).items()} == {
        "ada": "0@example.org", "ada2": "1@example.org",
    }  # fmt: skip


def test_an_unconfirmed_email_address_goes_to_the_user_who_confirms_it(session: Session, app: Flask) -> None:
    make_login_user(session, "squatter", email="ada@example.org", email_confirmed_at=None)
    browser = LoginClient(app)
    browser.post("/account/register/", {"username": "ada", "email": "ada@example.org"})
    browser.post(link_in(outbox_messages(session)[0].body), {"username": "ada", "password": PASSWORD})
    by_name = users_by_name(session)
    assert by_name["ada"].email == "ada@example.org"
    assert by_name["squatter"].email is None


@pytest.mark.parametrize("evil", HOSTILE)
def test_an_invalid_username_is_an_error(session: Session, app: Flask, evil: str) -> None:
    response = LoginClient(app).post("/account/register/", {"username": evil, "email": "a@example.org"})
    assert response.status_code == 422
    assert "Use 2 to 39 letters" in response.text
    assert "<script>alert" not in response.text
    assert outbox_messages(session) == []


@pytest.mark.parametrize("name", ["admin", "Edit", "moderator", "LOGIN"])
def test_a_reserved_username_is_an_error(app: Flask, name: str) -> None:
    response = LoginClient(app).post("/account/register/", {"username": name, "email": "a@example.org"})
    assert response.status_code == 422
    assert "This username is reserved" in response.text


@pytest.mark.parametrize(
    "evil",
    [
        *HOSTILE[:-1],
        "a@b",
        "@example.org",
        "a@",
        "a b@example.org",
        "a@example.org, b@example.org",
        "<a@example.org>",
        "a@exa mple.org",
        "a@-example.org",
        "a..b@example.org",
        "@",
    ],
)
def test_an_invalid_email_address_is_an_error(session: Session, app: Flask, evil: str) -> None:
    for path, data in (
        ("/account/register/", {"username": "ada", "email": evil}),
        ("/account/reset/", {"email": evil}),
    ):
        response = LoginClient(app).post(path, data)
        assert response.status_code == 422
        assert "Enter a valid email address" in response.text
        assert "<script>alert" not in response.text
    assert outbox_messages(session) == []


@pytest.mark.parametrize(
    "password",
    [
        "\x00" * 12,
        "\u202e" * 3 + "right to left",
        "x" * 10_000,
        "<b>bold words</b>",
        "ünïcode wörds",
        "日本語のパスワードです",
        "'; DROP TABLE user; --",
    ],
)
def test_unusual_passwords_work_or_are_rejected(session: Session, app: Flask, password: str) -> None:
    browser = LoginClient(app)
    browser.post("/account/register/", {"username": "ada", "email": "ada@example.org"})
    path = link_in(outbox_messages(session)[0].body)
    response = browser.post(path, {"username": "ada", "password": password})
    assert response.status_code in {303, 422}
    if response.status_code == 303:
        assert LoginClient(app).log_in("ada", password).status_code == 303
    assert LoginClient(app).log_in("ada", password + "x").status_code == 422


def test_without_email_an_account_is_created_immediately(session: Session, make_app: Callable[..., Flask]) -> None:
    app = make_app(MAIL="off")
    browser = LoginClient(app)
    data = {"username": "ada", "email": "ada@example.org", "password": PASSWORD}
    assert browser.post("/account/register/", data | {"password": "ada@example.org"}).status_code == 422
    assert browser.post("/account/register/", data).status_code == 303
    assert browser.username == "ada"
    ada = users_by_name(session)["ada"]
    assert (ada.email, ada.email_confirmed_at) == ("ada@example.org", None)
    assert "not confirmed" in browser.get("/account/").text
    assert LoginClient(app).log_in("ada@example.org").status_code == 303
    assert outbox_messages(session) == []
    assert browser.get("/account/outbox/").status_code == 404


def test_without_email_sign_up_does_not_reveal_existing_addresses(
    session: Session, make_app: Callable[..., Flask]
) -> None:
    app = make_app(MAIL="off")
    make_login_user(session, "ada")
    browser = LoginClient(app)
    data = {"username": "bob", "email": "ADA@example.org", "password": PASSWORD}
    response = browser.post("/account/register/", data)
    assert (response.status_code, response.headers["Location"]) == (303, "/account/")
    assert users_by_name(session)["bob"].email is None
    assert LoginClient(app).post("/account/register/", {"username": "cyd", "password": PASSWORD}).status_code == 303


def test_sign_ups_are_throttled_per_network(session: Session, make_app: Callable[..., Flask]) -> None:
    app = make_app(MAIL="off")
    statuses = [
        LoginClient(app).post("/account/register/", {"username": f"n{n}", "password": OTHER_PASSWORD}).status_code
        for n in range(21)
    ]
    assert statuses == [303] * 20 + [429]


def test_the_outbox_is_visible_only_from_this_machine(session: Session, app: Flask) -> None:
    browser = LoginClient(app)
    browser.post("/account/register/", {"username": "ada", "email": "ada@example.org"})
    page = browser.get("/account/outbox/")
    assert page.status_code == 200
    assert re.search(r'<a href="http://localhost/account/register/[^"]+" rel="noopener">', page.text)
    for options in ({"environ_base": {"REMOTE_ADDR": "192.0.2.1"}}, {"headers": {"X-Forwarded-For": "127.0.0.1"}},
                    {"headers": {"Host": "rebinding.example"}}):  # fmt: skip
        assert browser.get("/account/outbox/", **options).status_code == 404


def test_the_outbox_escapes_addresses(session: Session, app: Flask) -> None:
    make_login_user(session, "ada", email="&lt@example.org")
    LoginClient(app).post("/account/reset/", {"email": "&lt@example.org"})
    assert "To &amp;lt@example.org" in LoginClient(app).get("/account/outbox/").text


def test_forms_need_a_csrf_token(session: Session, app: Flask) -> None:
    for path in ("/account/register/", "/account/reset/", "/account/register/x/", "/account/reset/x/"):
        assert app.test_client().post(path, data={"username": "ada", "email": "a@example.org"}).status_code == 403
    assert outbox_messages(session) == []
    assert session.query(LoginSession).count() == 0
