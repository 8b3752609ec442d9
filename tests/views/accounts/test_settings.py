"""Account settings: email address, password, sessions, data export and deletion."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from flask import Flask
from sqlalchemy import select
from sqlalchemy.orm import Session

from pkgsite.models import ApiToken, Favourite, Flag, Identity, LoginSession, Package, Revision, Usage, User
from pkgsite.services.changeset import Changeset
from tests.factories import NOW, make_package
from tests.login_client import OTHER_PASSWORD, PASSWORD, LoginClient, link_in, make_login_user, outbox_messages
from tests.queries import recorded_queries
from tests.users import viewer_of
from tests.views.conftest import visible_text

PAGES = ("/account/", "/account/email/", "/account/password/", "/account/delete/", "/account/export/")
POSTS = ("/account/email/", "/account/email/confirm/", "/account/password/", "/account/delete/",
         "/account/sessions/1/end/", "/account/sessions/end-others/", "/account/identities/1/unlink/",
         "/account/confirm/x/")  # fmt: skip


@pytest.fixture
def ada(session: Session) -> User:
    return make_login_user(session)


@pytest.fixture
def browser(app: Flask, ada: User) -> LoginClient:
    user = LoginClient(app)
    user.log_in()
    return user


def reload_user(session: Session, user_id: int) -> User:
    session.rollback()
    return session.get_one(User, user_id, populate_existing=True)


def test_settings_require_login(session: Session, app: Flask, browser: LoginClient) -> None:
    for path in PAGES:
        assert LoginClient(app).get(path).headers["Location"] == f"/account/login/?next={path}"
        page = browser.get(path)
        assert page.status_code == 200
        assert page.headers["Cache-Control"] == "no-store"
        assert "(optional)" not in page.text
    for path in POSTS:
        response = LoginClient(app).post(path)
        assert response.status_code == 401 or response.headers["Location"] == f"/account/login/?next={path}"
        assert browser.client.post(path).status_code == 403, "no token"
    session.rollback()
    assert session.query(LoginSession).count() == 1


def test_a_new_email_address_is_used_once_confirmed(
    session: Session, app: Flask, ada: User, browser: LoginClient
) -> None:
    user_id = ada.id
    data = {"email": "new@example.org", "current_password": PASSWORD}
    response = browser.post("/account/email/", data | {"current_password": "not this one"})
    assert response.status_code == 422
    assert "Incorrect password." in response.text
    assert 'value="new@example.org"' in response.text
    assert browser.post("/account/email/", data).headers["Location"] == "/account/"
    assert reload_user(session, user_id).email == "ada@example.org"
    (message,) = outbox_messages(session)
    assert message.to == "new@example.org"
    path = link_in(message.body)
    assert LoginClient(app).get(path).headers["Location"] == f"/account/login/?next={path}"
    make_login_user(session, "eve", email="eve@example.org")
    eve = LoginClient(app)
    eve.log_in("eve")
    assert eve.get(path).status_code == 403
    assert eve.post(path).status_code == 403
    assert browser.get(path).status_code == 200
    assert reload_user(session, user_id).email == "ada@example.org"
    assert browser.post(path).headers["Location"] == "/account/"
    assert reload_user(session, user_id).email == "new@example.org"
    notification = outbox_messages(session)[-1]
    assert (notification.to, notification.subject) == ("ada@example.org", "Your pkgsite email address has changed")
    assert "new@example.org confirmed" in visible_text(browser.get("/account/").text)
    assert browser.post(path).status_code == 410
    assert browser.get(path).status_code == 410


def test_changing_the_email_address_does_not_reveal_other_accounts(
    session: Session, app: Flask, ada: User, browser: LoginClient
) -> None:
    make_login_user(session, "bob")
    responses = []
    for email in ("bob@example.org", "free@example.org"):
        response = browser.post("/account/email/", {"email": email, "current_password": PASSWORD})
        responses.append((response.status_code, visible_text(browser.get("/account/").text).replace(email, "…")))
    assert responses[0] == responses[1]
    assert outbox_messages(session)[0].to == "bob@example.org"
    assert "/account/" not in outbox_messages(session)[0].body


def test_an_email_address_confirmed_by_another_user_first_is_rejected(
    session: Session, app: Flask, ada: User, browser: LoginClient
) -> None:
    browser.post("/account/email/", {"email": "both@example.org", "current_password": PASSWORD})
    make_login_user(session, "bob", email="both@example.org")
    path = link_in(outbox_messages(session)[0].body)
    assert browser.post(path).status_code == 303
    assert "This email address is already used by another account." in browser.get("/account/").text
    assert reload_user(session, ada.id).email == "ada@example.org"


def test_a_confirmation_link_can_be_requested_reload_user(session: Session, app: Flask) -> None:
    bob = make_login_user(session, "bob", email_confirmed_at=None)
    browser = LoginClient(app)
    browser.log_in("bob")
    assert "Send confirmation link" in browser.get("/account/").text
    browser.post("/account/email/confirm/")
    browser.post(link_in(outbox_messages(session)[0].body))
    assert reload_user(session, bob.id).email_confirmed_at is not None
    assert "Send reset link" not in browser.get("/account/").text
    assert len(outbox_messages(session)) == 1, "an unchanged address needs no notification"


@pytest.mark.parametrize(
    "evil", ["", "x", "a\x00@example.org", "x" * 5000 + "@example.org", "<b>@example.org", "ada@example.org"]
)
def test_an_invalid_new_email_address_is_rejected(session: Session, browser: LoginClient, evil: str) -> None:
    assert browser.post("/account/email/", {"email": evil, "current_password": PASSWORD}).status_code == 422
    assert outbox_messages(session) == []


def test_without_email_an_address_changes_immediately_but_unconfirmed(
    session: Session, make_app: Callable[..., Flask], ada: User
) -> None:
    make_login_user(session, "bob")
    browser = LoginClient(make_app(MAIL="off"))
    browser.log_in()
    assert (
        browser.post("/account/email/", {"email": "bob@example.org", "current_password": PASSWORD}).status_code == 422
    )
    assert (
        browser.post("/account/email/", {"email": "new@example.org", "current_password": PASSWORD}).status_code == 303
    )
    user = reload_user(session, ada.id)
    assert (user.email, user.email_confirmed_at) == ("new@example.org", None)
    assert browser.post("/account/email/", {"email": "", "current_password": PASSWORD}).status_code == 303
    assert reload_user(session, ada.id).email is None


def test_a_new_password_ends_all_other_sessions(session: Session, app: Flask, ada: User, browser: LoginClient) -> None:
    other_browser = LoginClient(app)
    other_browser.log_in()
    page = browser.get("/account/password/").text
    assert 'autocomplete="current-password"' in page
    assert 'autocomplete="new-password"' in page
    for current, new in (
        ("not this one", OTHER_PASSWORD), (PASSWORD, "short"), ("", OTHER_PASSWORD), (PASSWORD, "qwertyuiop"),
    ):  # fmt: skip
        response = browser.post("/account/password/", {"current_password": current, "password": new})
        assert response.status_code == 422
    assert other_browser.username == "ada"
    response = browser.post("/account/password/", {"current_password": PASSWORD, "password": OTHER_PASSWORD})
    assert response.status_code == 303
    assert browser.username == "ada"
    assert other_browser.username is None
    assert LoginClient(app).log_in(password=OTHER_PASSWORD).status_code == 303
    assert outbox_messages(session)[-1].subject == "Your pkgsite password has changed"


def test_attempts_at_the_current_password_are_throttled(browser: LoginClient) -> None:
    forms = [{"current_password": f"guess {n}", "password": OTHER_PASSWORD} for n in range(11)]
    statuses = [browser.post("/account/password/", form).status_code for form in forms]
    assert statuses == [422] * 10 + [429]


def test_a_user_without_a_password_can_set_one(session: Session, app: Flask) -> None:
    bob = make_login_user(session, "bob", password=None)
    browser = LoginClient(app, bob)
    assert "Current password" not in browser.get("/account/password/").text
    assert browser.post("/account/password/", {"password": OTHER_PASSWORD}).status_code == 303
    assert LoginClient(app).log_in("bob", OTHER_PASSWORD).status_code == 303


def test_sessions_are_listed_and_ended(session: Session, app: Flask, ada: User, browser: LoginClient) -> None:
    phone, library = LoginClient(app), LoginClient(app)
    evil = "<script>alert('x')</script>"
    phone.log_in(headers={"User-Agent": "Phone/1"}, environ_base={"REMOTE_ADDR": "192.0.2.7"})
    library.log_in(headers={"User-Agent": evil})
    make_login_user(session, "eve")
    eve = LoginClient(app)
    eve.log_in("eve")
    html = browser.get("/account/").text
    assert html.count("this session") == 1
    assert "192.0.2.7" in html
    assert evil not in html
    assert "Phone/1" in html
    session.rollback()
    ids = {row.agent: row.id for row in session.execute(select(LoginSession.agent, LoginSession.id))}
    path = f"/account/sessions/{ids['Phone/1']}/end/"
    assert eve.post(path).status_code == 404
    assert phone.username == "ada"
    assert browser.post(path).status_code == 303
    assert phone.username is None
    assert browser.post(path).status_code == 404
    assert library.username == "ada"
    assert browser.post("/account/sessions/end-others/").status_code == 303
    assert library.username is None
    assert (browser.username, eve.username) == ("ada", "eve")


def add_user_data(session: Session, user: User) -> int:
    """Add one record of each kind for a user, and return the id of the package."""
    package = make_package(session, "one", created_by_id=user.id)
    session.add_all([
        Favourite(user_id=user.id, package_id=package.id, created_at=NOW),
        Usage(user_id=user.id, package_id=package.id, created_at=NOW),
        Flag(user_id=user.id, package_id=package.id, kind="dead", reason="No answer for years", created_at=NOW),
        Identity(user_id=user.id, provider="github", subject="17", login="ada-l", created_at=NOW),
        ApiToken(user_id=user.id, name="robot", token_hash="very secret", created_at=NOW),
    ])  # fmt: skip
    viewer, package_id = viewer_of(user), package.id
    session.commit()
    with Changeset(session, by=viewer, now=NOW) as changeset:
        changeset.edit(session.get_one(Package, package_id), {"title": "Renamed"})
    session.commit()
    return package_id


def test_the_data_export_is_complete_and_has_no_secrets(
    session: Session, app: Flask, ada: User, browser: LoginClient
) -> None:
    password_hash = str(ada.password_hash)
    add_user_data(session, ada)
    make_login_user(session, "eve", email="eve@elsewhere.example")
    response = browser.get("/account/export/")
    assert response.mimetype == "application/json"
    assert response.headers["Content-Disposition"] == 'attachment; filename="ada.json"'
    data = response.get_json()
    assert (data["account"]["username"], data["account"]["email"]) == ("ada", "ada@example.org")
    assert data["favourites"][0]["package"] == data["usages"][0]["package"] == data["flags"][0]["package"] == "one"
    assert data["flags"][0]["reason"] == "No answer for years"
    assert data["identities"][0]["login"] == "ada-l"
    assert data["revisions"][0]["after"] == {"title": "Renamed"}
    assert data["packages_added"][0]["slug"] == "one"
    assert data["sessions"][0]["address"] == "127.0.0.1"
    assert data["api_tokens"][0]["name"] == "robot"
    with browser.client.session_transaction() as cookie:
        secret = cookie["_user_id"]
    session.rollback()
    login_session = session.query(LoginSession).first()
    assert login_session
    for secret_value in (password_hash, "very secret", secret, login_session.secret_hash, "eve"):
        assert secret_value not in response.text


@pytest.mark.parametrize("rows", [1, 50])
def test_query_counts_do_not_depend_on_the_amount_of_data(
    session: Session, app: Flask, ada: User, browser: LoginClient, rows: int
) -> None:
    for number in range(rows):
        package = make_package(session, f"p-{number}")
        session.add(Favourite(user_id=ada.id, package_id=package.id, created_at=NOW))
        session.add(Identity(user_id=ada.id, provider="github", subject=f"{number}", login="ada", created_at=NOW))
    session.commit()
    session.close()
    query_counts = {}
    for path in ("/account/", "/account/export/"):
        with recorded_queries(app) as statements:
            assert browser.get(path).status_code == 200
        query_counts[path] = len(statements)
    assert query_counts == {"/account/": 4, "/account/export/": 14}


def test_deleting_an_account_keeps_its_contributions(
    session: Session, app: Flask, ada: User, browser: LoginClient
) -> None:
    user_id, package_id = ada.id, add_user_data(session, ada)
    other_browser = LoginClient(app)
    other_browser.log_in()
    page = browser.get("/account/delete/").text
    assert 'name="current_password"' in page
    assert 'name="username"' not in page
    for data in ({}, {"current_password": "not this one"}, {"username": "ada"}):
        assert browser.post("/account/delete/", data).status_code == 422
    response = browser.post("/account/delete/", {"current_password": PASSWORD})
    assert (response.status_code, response.headers["Location"]) == (303, "/")
    assert "Your account has been deleted." in browser.get("/").text
    assert (browser.username, other_browser.username) == (None, None)
    session.rollback()
    session.expire_all()
    assert session.get(User, user_id) is None
    assert session.get_one(Package, package_id).created_by_id is None
    assert [row.user_id for row in session.query(Revision)] == [None]
    for model in (Favourite, Usage, Identity, ApiToken, LoginSession):
        assert session.query(model).count() == 0, model
    assert browser.get("/profiles/ada/").status_code == 404
    assert LoginClient(app).log_in().status_code == 422


def test_a_user_without_a_password_confirms_deletion_with_their_username(session: Session, app: Flask) -> None:
    bob = make_login_user(session, "bob", password=None)
    browser = LoginClient(app, bob)
    assert browser.post("/account/delete/", {"username": "eve"}).status_code == 422
    assert browser.post("/account/delete/", {"username": "Bob"}).status_code == 303
    session.rollback()
    assert session.query(User).count() == 0
