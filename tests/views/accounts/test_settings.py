"""The settings of one's account: address, password, sessions, export, deletion."""

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
    found = LoginClient(app)
    found.log_in()
    return found


def again(session: Session, user_id: int) -> User:
    session.rollback()
    return session.get_one(User, user_id, populate_existing=True)


def test_settings_are_for_who_is_logged_in(session: Session, app: Flask, browser: LoginClient) -> None:
    for path in PAGES:
        assert LoginClient(app).get(path).headers["Location"] == f"/account/login/?next={path}"
        page = browser.get(path)
        assert page.status_code == 200
        assert page.headers["Cache-Control"] == "no-store"
        assert "may be left empty" not in page.text
    for path in POSTS:
        assert LoginClient(app).post(path).status_code == 403
        assert browser.client.post(path).status_code == 403, "no token"
    session.rollback()
    assert session.query(LoginSession).count() == 1


def test_a_new_address_counts_once_it_is_confirmed(
    session: Session, app: Flask, ada: User, browser: LoginClient
) -> None:
    user_id = ada.id
    data = {"email": "new@example.org", "current_password": PASSWORD}
    response = browser.post("/account/email/", data | {"current_password": "not this one"})
    assert response.status_code == 422
    assert "Incorrect password." in response.text
    assert 'value="new@example.org"' in response.text
    assert browser.post("/account/email/", data).headers["Location"] == "/account/"
    assert again(session, user_id).email == "ada@example.org"
    (char,) = outbox_messages(session)
    assert char.to == "new@example.org"
    path = link_in(char.body)
    assert LoginClient(app).get(path).headers["Location"] == f"/account/login/?next={path}"
    make_login_user(session, "eve", email="eve@example.org")
    eve = LoginClient(app)
    eve.log_in("eve")
    assert eve.get(path).status_code == 403
    assert eve.post(path).status_code == 403
    assert browser.get(path).status_code == 200
    assert again(session, user_id).email == "ada@example.org"
    assert browser.post(path).headers["Location"] == "/account/"
    assert again(session, user_id).email == "new@example.org"
    told = outbox_messages(session)[-1]
    assert (told.to, told.subject) == ("ada@example.org", "Your pkgsite email address has changed")
    assert "new@example.org confirmed" in visible_text(browser.get("/account/").text)
    assert browser.post(path).status_code == 410
    assert browser.get(path).status_code == 410


def test_an_address_of_another_is_not_told_of(session: Session, app: Flask, ada: User, browser: LoginClient) -> None:
    make_login_user(session, "bob")
    answers = []
    for email in ("bob@example.org", "free@example.org"):
        response = browser.post("/account/email/", {"email": email, "current_password": PASSWORD})
        answers.append((response.status_code, visible_text(browser.get("/account/").text).replace(email, "…")))
    assert answers[0] == answers[1]
    assert outbox_messages(session)[0].to == "bob@example.org"
    assert "/account/" not in outbox_messages(session)[0].body


def test_an_address_that_somebody_else_confirmed_first_is_refused(
    session: Session, app: Flask, ada: User, browser: LoginClient
) -> None:
    browser.post("/account/email/", {"email": "both@example.org", "current_password": PASSWORD})
    make_login_user(session, "bob", email="both@example.org")
    path = link_in(outbox_messages(session)[0].body)
    assert browser.post(path).status_code == 303
    assert "This email address is already used by another account." in browser.get("/account/").text
    assert again(session, ada.id).email == "ada@example.org"


def test_an_unconfirmed_address_gets_a_link_when_asked_for(session: Session, app: Flask) -> None:
    bob = make_login_user(session, "bob", email_confirmed_at=None)
    browser = LoginClient(app)
    browser.log_in("bob")
    assert "Send confirmation link" in browser.get("/account/").text
    browser.post("/account/email/confirm/")
    browser.post(link_in(outbox_messages(session)[0].body))
    assert again(session, bob.id).email_confirmed_at is not None
    assert "Send reset link" not in browser.get("/account/").text
    assert len(outbox_messages(session)) == 1, "nobody is told of an address that stays"


@pytest.mark.parametrize(
    "evil", ["", "x", "a\x00@example.org", "x" * 5000 + "@example.org", "<b>@example.org", "ada@example.org"]
)
def test_a_strange_new_address_is_refused(session: Session, browser: LoginClient, evil: str) -> None:
    assert browser.post("/account/email/", {"email": evil, "current_password": PASSWORD}).status_code == 422
    assert outbox_messages(session) == []


def test_without_letters_an_address_changes_at_once_but_unconfirmed(
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
    found = again(session, ada.id)
    assert (found.email, found.email_confirmed_at) == ("new@example.org", None)
    assert browser.post("/account/email/", {"email": "", "current_password": PASSWORD}).status_code == 303
    assert again(session, ada.id).email is None


def test_a_new_password_ends_the_other_sessions(session: Session, app: Flask, ada: User, browser: LoginClient) -> None:
    elsewhere = LoginClient(app)
    elsewhere.log_in()
    page = browser.get("/account/password/").text
    assert 'autocomplete="current-password"' in page
    assert 'autocomplete="new-password"' in page
    for data in ({"current_password": "not this one", "password": OTHER_PASSWORD}, {"current_password": PASSWORD, "password": "short"},
                 {"current_password": "", "password": OTHER_PASSWORD}, {"current_password": PASSWORD, "password": "qwertyuiop"}):  # fmt: skip
        assert browser.post("/account/password/", data).status_code == 422
    assert elsewhere.username == "ada"
    assert (
        browser.post("/account/password/", {"current_password": PASSWORD, "password": OTHER_PASSWORD}).status_code
        == 303
    )
    assert browser.username == "ada"
    assert elsewhere.username is None
    assert LoginClient(app).log_in(password=OTHER_PASSWORD).status_code == 303
    assert outbox_messages(session)[-1].subject == "Your pkgsite password has changed"


def test_the_present_password_is_not_guessed_at_either(browser: LoginClient) -> None:
    statuses = [browser.post("/account/password/", {"current_password": f"guess {n}", "password": OTHER_PASSWORD}).status_code
                for n in range(11)]  # fmt: skip
    assert statuses == [422] * 10 + [429]


def test_who_has_no_password_chooses_one(session: Session, app: Flask) -> None:
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


def fill(session: Session, user: User) -> int:
    """Let a person do one of everything; return the package's id."""
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


def test_everything_of_oneself_can_be_taken_away(session: Session, app: Flask, ada: User, browser: LoginClient) -> None:
    hashed = str(ada.password_hash)
    fill(session, ada)
    make_login_user(session, "eve", email="eve@elsewhere.example")
    response = browser.get("/account/export/")
    assert response.mimetype == "application/json"
    assert response.headers["Content-Disposition"] == 'attachment; filename="ada.json"'
    told = response.get_json()
    assert (told["account"]["username"], told["account"]["email"]) == ("ada", "ada@example.org")
    assert told["favourites"][0]["package"] == told["usages"][0]["package"] == told["flags"][0]["package"] == "one"
    assert told["flags"][0]["reason"] == "No answer for years"
    assert told["identities"][0]["login"] == "ada-l"
    assert told["revisions"][0]["after"] == {"title": "Renamed"}
    assert told["packages_added"][0]["slug"] == "one"
    assert told["sessions"][0]["address"] == "127.0.0.1"
    assert told["api_tokens"][0]["name"] == "robot"
    with browser.client.session_transaction() as cookie:
        secret = cookie["_user_id"]
    session.rollback()
    kept = session.query(LoginSession).first()
    assert kept
    for hidden in (hashed, "very secret", secret, kept.secret_hash, "eve"):
        assert hidden not in response.text


@pytest.mark.parametrize("rows", [1, 50])
def test_pages_cost_the_same_whatever_a_person_has(
    session: Session, app: Flask, ada: User, browser: LoginClient, rows: int
) -> None:
    for number in range(rows):
        package = make_package(session, f"p-{number}")
        session.add(Favourite(user_id=ada.id, package_id=package.id, created_at=NOW))
        session.add(Identity(user_id=ada.id, provider="github", subject=f"{number}", login="ada", created_at=NOW))
    session.commit()
    session.close()
    costs = {}
    for path in ("/account/", "/account/export/"):
        with recorded_queries(app) as statements:
            assert browser.get(path).status_code == 200
        costs[path] = len([one for one in statements if not one.startswith("BEGIN")])
    assert costs == {"/account/": 4, "/account/export/": 14}


def test_a_deleted_account_leaves_what_it_wrote(session: Session, app: Flask, ada: User, browser: LoginClient) -> None:
    user_id, package_id = ada.id, fill(session, ada)
    elsewhere = LoginClient(app)
    elsewhere.log_in()
    page = browser.get("/account/delete/").text
    assert 'name="current_password"' in page
    assert 'name="username"' not in page
    for data in ({}, {"current_password": "not this one"}, {"username": "ada"}):
        assert browser.post("/account/delete/", data).status_code == 422
    response = browser.post("/account/delete/", {"current_password": PASSWORD})
    assert (response.status_code, response.headers["Location"]) == (303, "/")
    assert "Your account has been deleted." in browser.get("/").text
    assert (browser.username, elsewhere.username) == (None, None)
    session.rollback()
    session.expire_all()
    assert session.get(User, user_id) is None
    assert session.get_one(Package, package_id).created_by_id is None
    assert [row.user_id for row in session.query(Revision)] == [None]
    for model in (Favourite, Usage, Identity, ApiToken, LoginSession):
        assert session.query(model).count() == 0, model
    assert browser.get("/profiles/ada/").status_code == 404
    assert LoginClient(app).log_in().status_code == 422


def test_who_has_no_password_types_their_name_to_delete(session: Session, app: Flask) -> None:
    bob = make_login_user(session, "bob", password=None)
    browser = LoginClient(app, bob)
    assert browser.post("/account/delete/", {"username": "eve"}).status_code == 422
    assert browser.post("/account/delete/", {"username": "Bob"}).status_code == 303
    session.rollback()
    assert session.query(User).count() == 0
