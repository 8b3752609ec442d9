"""Logging in by GitHub and GitLab, against fakes that speak the real protocol over HTTP."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from html import unescape
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from flask import Flask
from sqlalchemy.orm import Session

from pkgsite import clock
from pkgsite.models import Identity, LoginSession, User
from tests.browsers import PASSWORD, Browser, make_person
from tests.databases import free_port
from tests.factories import NOW
from tests.fakes.oauth_provider import PATHS, FakePerson, FakeProvider, settings_of
from tests.fakes.v4_site import answer, broken_off, html, reset

Serve = Callable[[Any], str]
KINDS = ("github", "gitlab")
TITLES = {"github": "GitHub", "gitlab": "GitLab"}


class World:
    """A site, and a provider that its people may log in by."""

    def __init__(self, kind: str, make_app: Callable[..., Flask], serve: Serve) -> None:
        self.kind = kind
        self.fake = FakeProvider(kind)
        self.address = serve(self.fake)
        self.app = make_app(**settings_of(kind, self.address))

    def begin(self, browser: Browser, wanted: str = "") -> str:
        """Press the button; return the provider's address that the browser is led to."""
        response = browser.post(f"/account/oauth/{self.kind}/", {"next": wanted})
        assert response.status_code == 200
        (url,) = re.findall(r'http-equiv="refresh" content="0; url=([^"]+)"', response.text)
        assert f'href="{url}"' in response.text
        assert unescape(url).startswith(self.address + PATHS[self.kind][0])
        return unescape(url)

    def back(self, url: str) -> str:
        """Let the person answer at the provider; return the path of our site that they come back to."""
        target = urlsplit(self.fake.follow(url))
        assert target.path == f"/account/oauth/{self.kind}/callback/"
        return f"{target.path}?{target.query}"

    def go(self, browser: Browser, wanted: str = "") -> Any:
        return browser.get(self.back(self.begin(browser, wanted)))


@pytest.fixture(params=KINDS)
def world(request: pytest.FixtureRequest, make_app: Callable[..., Flask], serve: Serve) -> World:
    return World(request.param, make_app, serve)


def link_account(session: Session, user: User, kind: str, number: int = 17) -> None:
    session.add(Identity(user_id=user.id, provider=kind, subject=str(number), login="old-login", created_at=NOW))
    session.commit()


def people(session: Session) -> list[tuple[str, str | None]]:
    session.rollback()
    return [(user.username, user.email) for user in session.query(User).order_by(User.id)]


def test_a_newcomer_chooses_a_name_and_has_an_account(session: Session, world: World) -> None:
    browser = Browser(world.app)
    response = world.go(browser, "/grids/")
    assert (response.status_code, response.headers["Location"]) == (303, "/account/oauth/new/")
    assert people(session) == []
    page = browser.get("/account/oauth/new/")
    assert 'value="ada"' in page.text
    assert "ada@elsewhere.example" in page.text
    assert browser.post("/account/oauth/new/", {"username": "a/b"}).status_code == 422
    response = browser.post("/account/oauth/new/", {"username": "countess"})
    assert (response.status_code, response.headers["Location"]) == (303, "/grids/")
    assert browser.username == "countess"
    session.rollback()
    user, identity = session.query(User).one(), session.query(Identity).one()
    assert (user.email, user.password_hash) == ("ada@elsewhere.example", None)
    assert user.email_confirmed_at is not None
    assert (identity.provider, identity.subject, identity.login) == (world.kind, "17", "ada")
    again = Browser(world.app)
    assert world.go(again, "/help/").headers["Location"] == "/help/"
    assert again.username == "countess"
    assert browser.get("/account/oauth/new/").headers["Location"] == "/account/login/"


def test_the_providers_number_counts_not_the_name(session: Session, world: World) -> None:
    link_account(session, make_person(session), world.kind)
    world.fake.person = FakePerson(17, "renamed", "other@elsewhere.example")
    browser = Browser(world.app)
    world.go(browser)
    assert browser.username == "ada"
    session.rollback()
    assert session.query(Identity).populate_existing().one().login == "renamed"
    world.fake.person = FakePerson(18, "renamed", "new@elsewhere.example")
    assert world.go(Browser(world.app)).headers["Location"] == "/account/oauth/new/"


def test_an_unconfirmed_address_is_not_taken_over(session: Session, world: World) -> None:
    make_person(session)
    world.fake.person = FakePerson(email="ada@example.org", is_verified=False)
    browser = Browser(world.app)
    assert world.go(browser).headers["Location"] == "/account/oauth/new/"
    browser.post("/account/oauth/new/", {"username": "other"})
    assert people(session) == [("ada", "ada@example.org"), ("other", None)]


@pytest.mark.parametrize("confirmed", [NOW, None])
def test_an_account_with_this_address_is_never_merged(session: Session, world: World, confirmed: Any) -> None:
    make_person(session, email_confirmed_at=confirmed)
    world.fake.person = FakePerson(email="Ada@example.org")
    browser = Browser(world.app)
    response = world.go(browser)
    assert response.status_code == 409
    assert "You already have an account" in response.text
    assert browser.username is None
    assert browser.get("/account/oauth/new/").headers["Location"] == "/account/login/"
    session.rollback()
    assert session.query(Identity).count() == 0
    assert browser.log_in().status_code == 303
    assert world.go(browser).headers["Location"] == "/account/"
    assert "account ada" in browser.get("/account/").text
    other = Browser(world.app)
    world.go(other)
    assert other.username == "ada"


def test_an_account_made_meanwhile_is_not_merged_either(session: Session, world: World) -> None:
    browser = Browser(world.app)
    world.go(browser)
    make_person(session, email="ada@elsewhere.example")
    response = browser.post("/account/oauth/new/", {"username": "other"})
    assert response.status_code == 409
    assert people(session) == [("ada", "ada@elsewhere.example")]


def test_identities_are_linked_and_unlinked_but_the_last_way_in_stays(session: Session, world: World) -> None:
    make_person(session, "bob", password=None)
    bob = session.query(User).one()
    link_account(session, bob, world.kind, 1)
    browser = Browser(world.app, bob)
    assert "your only login method" in browser.get("/account/").text
    session.rollback()
    first = session.query(Identity).one().id
    assert browser.post(f"/account/identities/{first}/unlink/").status_code == 303
    assert "This is your only way to log in." in browser.get("/account/").text
    assert world.go(browser).headers["Location"] == "/account/"
    assert world.go(browser).headers["Location"] == "/account/", "a second time changes nothing"
    eve = make_person(session, "eve")
    assert Browser(world.app, eve).post(f"/account/identities/{first}/unlink/").status_code == 404
    session.rollback()
    assert session.query(Identity).count() == 2
    assert browser.post(f"/account/identities/{first}/unlink/").status_code == 303
    assert f"You can no longer log in with {TITLES[world.kind]}." in browser.get("/account/").text
    session.rollback()
    (left,) = session.query(Identity).all()
    assert left.subject == "17"
    assert browser.post(f"/account/identities/{left.id}/unlink/").status_code == 303
    session.rollback()
    assert session.query(Identity).count() == 1
    browser.post("/account/password/", {"password": PASSWORD})
    browser.post(f"/account/identities/{left.id}/unlink/")
    session.rollback()
    assert session.query(Identity).count() == 0


def test_what_logs_in_somebody_else_is_not_linked(session: Session, world: World) -> None:
    link_account(session, make_person(session, "ada"), world.kind)
    browser = Browser(world.app)
    make_person(session, "eve")
    browser.log_in("eve")
    response = world.go(browser)
    assert response.status_code == 409
    assert "Already linked to another account" in response.text
    assert browser.username == "eve"


def test_a_closed_account_does_not_log_in(session: Session, world: World) -> None:
    link_account(session, make_person(session, is_active=False), world.kind)
    browser = Browser(world.app)
    response = world.go(browser)
    assert response.status_code == 403
    assert "This account is disabled" in response.text
    session.rollback()
    assert session.query(LoginSession).count() == 0


def test_a_state_is_of_one_browser_and_works_once(session: Session, world: World) -> None:
    link_account(session, make_person(session), world.kind)
    browser, other = Browser(world.app), Browser(world.app)
    path = world.back(world.begin(browser))
    for wrong in (
        path.replace("state=", "state=x"),
        path.partition("&state")[0],
        path.partition("&state")[0] + "&state=%00ü",
    ):
        stranger = Browser(world.app)
        world.begin(stranger)
        response = stranger.get(wrong)
        assert response.status_code == 403
        assert "This login is no longer valid" in response.text
        assert stranger.username is None
    assert other.get(path).status_code == 403, "not begun in this browser"
    assert browser.get(path).status_code == 303
    assert browser.username == "ada"
    browser.post("/account/logout/")
    assert browser.get(path).status_code == 403, "used"
    assert browser.username is None
    asked = len(world.fake.asked)
    other.get(path)
    assert len(world.fake.asked) == asked, "the provider is not even asked"


def test_a_state_of_who_was_logged_in_does_not_log_in_others(session: Session, world: World) -> None:
    """What was begun to link does not log in, and the other way round."""
    link_account(session, make_person(session), world.kind)
    make_person(session, "eve")
    browser = Browser(world.app)
    path = world.back(world.begin(browser))
    browser.log_in("eve")
    assert browser.get(path).status_code == 403
    assert browser.username == "eve"


def test_a_state_ends_after_ten_minutes(session: Session, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    link_account(session, make_person(session), world.kind)
    browser = Browser(world.app)
    path = world.back(world.begin(browser))
    later = clock.utc_now() + timedelta(minutes=11)
    monkeypatch.setattr("pkgsite.views.oauth.utc_now", lambda: later)
    assert browser.get(path).status_code == 403


def test_a_code_that_was_used_is_refused(session: Session, world: World) -> None:
    """As when somebody has caught the address on the way: the provider says no."""
    link_account(session, make_person(session), world.kind)
    browser = Browser(world.app)
    path = world.back(world.begin(browser))
    world.fake.codes.clear()
    response = browser.get(path)
    assert response.status_code == 403
    assert f"{TITLES[world.kind]} rejected the login" in response.text
    assert browser.username is None


def test_a_code_from_another_login_fails_its_proof(session: Session, world: World) -> None:
    """PKCE: a code that an attacker's browser got is of no use in mine."""
    link_account(session, make_person(session), world.kind)
    theirs, mine = Browser(world.app), Browser(world.app)
    stolen = parse_qs(urlsplit(world.back(world.begin(theirs))).query)["code"][0]
    path = world.back(world.begin(mine))
    own = parse_qs(urlsplit(path).query)["code"][0]
    assert mine.get(path.replace(own, stolen)).status_code == 403
    assert mine.username is None


def test_who_says_no_is_not_logged_in(session: Session, world: World) -> None:
    world.fake.agrees = False
    response = world.go(Browser(world.app))
    assert response.status_code == 403
    assert f"Access was declined on {TITLES[world.kind]}" in response.text
    path = f"/account/oauth/{world.kind}/callback/"
    browser = Browser(world.app)
    state = parse_qs(urlsplit(world.begin(browser)).query)["state"][0]
    response = browser.get(f"{path}?error=%3Cscript%3E&error_description=%3Cscript%3Ealert&state={state}")
    assert response.status_code == 403
    assert "<script>alert" not in response.text


FAULTS = [
    pytest.param(answer("500 Internal Server Error", b""), id="500"),
    pytest.param(answer("503 Service Unavailable", b"<html>", "text/html"), id="503"),
    pytest.param(html(), id="a page"),
    pytest.param(answer("200 OK", b'{"access_token": "x", "id": 1, "na'), id="truncated"),
    pytest.param(answer("200 OK", 7), id="a number"),
    pytest.param(answer("200 OK", []), id="a list"),
    pytest.param(answer("200 OK", {}), id="empty"),
    pytest.param(answer("200 OK", b"[" * 100_000), id="deep"),
    pytest.param(answer("200 OK", {"id": "1; DROP", "login": "x", "username": "x"}), id="a number that is none"),
    pytest.param(answer("200 OK", {"id": 17, "login": None, "username": "\x00"}), id="no name"),
    pytest.param(answer("200 OK", b"x" * 2**21), id="too much"),
    pytest.param(broken_off, id="broken off"),
    pytest.param(reset, id="reset"),
    pytest.param(answer("302 Found", b"", Location="http://elsewhere.example/"), id="led away"),
]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize("fault", FAULTS)
def test_a_provider_that_fails_is_said_to(session: Session, world: World, fault: Any) -> None:
    for part in (PATHS[world.kind][1], "/user"):
        world.fake.faults = {part: fault}
        browser = Browser(world.app)
        response = world.go(browser)
        assert response.status_code in {403, 502}, part
        assert TITLES[world.kind] in response.text
        assert browser.username is None
    assert people(session) == []


def test_github_without_leave_to_see_addresses_is_enough(
    session: Session, make_app: Callable[..., Flask], serve: Serve
) -> None:
    world = World("github", make_app, serve)
    world.fake.faults = {"/user/emails": answer("404 Not Found", {"message": "Not Found"})}
    browser = Browser(world.app)
    world.go(browser)
    browser.post("/account/oauth/new/", {"username": "ada"})
    assert people(session) == [("ada", None)]


def test_a_provider_that_is_down_is_said_to_be(make_app: Callable[..., Flask]) -> None:
    fake, address = FakeProvider("github"), f"http://127.0.0.1:{free_port()}"
    browser = Browser(make_app(**settings_of("github", address)))
    page = browser.post("/account/oauth/github/").text
    target = urlsplit(fake.follow(unescape(re.findall(r'content="0; url=([^"]+)"', page)[0])))
    response = browser.get(f"{target.path}?{target.query}")
    assert response.status_code == 502
    assert "GitHub is not responding" in response.text


def test_a_provider_on_our_own_network_is_not_asked_unless_named(make_app: Callable[..., Flask], serve: Serve) -> None:
    fake = FakeProvider("github")
    settings = settings_of("github", serve(fake)) | {"ALLOWED_HOSTS_OUT": ""}
    browser = Browser(make_app(**settings))
    page = browser.post("/account/oauth/github/").text
    target = urlsplit(fake.follow(unescape(re.findall(r'content="0; url=([^"]+)"', page)[0])))
    assert browser.get(f"{target.path}?{target.query}").status_code == 403
    assert fake.asked == []


def test_what_is_not_set_is_not_offered(app: Flask) -> None:
    browser = Browser(app)
    for path in ("/account/login/", "/account/register/"):
        assert "with GitHub" not in browser.get(path).text
    for name in ("github", "gitlab", "nowhere"):
        assert browser.post(f"/account/oauth/{name}/").status_code == 404
        assert browser.get(f"/account/oauth/{name}/callback/?code=x&state=y").status_code == 404


def test_what_is_set_is_offered_by_post_only(world: World) -> None:
    title = TITLES[world.kind]
    assert f"Log in with {title}" in Browser(world.app).get("/account/login/").text
    assert f"Sign up with {title}" in Browser(world.app).get("/account/register/").text
    assert Browser(world.app).get(f"/account/oauth/{world.kind}/").status_code == 405
    assert world.app.test_client().post(f"/account/oauth/{world.kind}/").status_code == 403
    assert world.app.test_client().post("/account/oauth/new/").status_code == 403


@pytest.mark.parametrize("wanted", ["https://evil.example/", "//evil.example", "/\\evil.example"])
def test_next_leads_to_our_own_paths_only(session: Session, world: World, wanted: str) -> None:
    link_account(session, make_person(session), world.kind)
    assert world.go(Browser(world.app), wanted).headers["Location"] == "/"
