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
from tests.databases import free_port
from tests.factories import NOW
from tests.fakes.oauth_provider import PATHS, FakePerson, FakeProvider, provider_settings
from tests.fakes.v4_site import connection_reset, html_response, response, truncated_response
from tests.login_client import PASSWORD, LoginClient, make_login_user

Serve = Callable[[Any], str]
KINDS = ("github", "gitlab")
TITLES = {"github": "GitHub", "gitlab": "GitLab"}


class OAuthScenario:
    """A site, and a provider that its people may log in by."""

    def __init__(self, kind: str, make_app: Callable[..., Flask], serve_app: Serve) -> None:
        self.kind = kind
        self.fake = FakeProvider(kind)
        self.address = serve_app(self.fake)
        self.app = make_app(**provider_settings(kind, self.address))

    def start_login(self, browser: LoginClient, wanted: str = "") -> str:
        """Press the button; return the provider's address that the browser is led to."""
        response = browser.post(f"/account/oauth/{self.kind}/", {"next": wanted})
        assert response.status_code == 200
        (url,) = re.findall(r'http-equiv="refresh" content="0; url=([^"]+)"', response.text)
        assert f'href="{url}"' in response.text
        assert unescape(url).startswith(self.address + PATHS[self.kind][0])
        return unescape(url)

    def return_from_provider(self, url: str) -> str:
        """Let the person answer at the provider; return the path of our site that they come back to."""
        target = urlsplit(self.fake.authorize(url))
        assert target.path == f"/account/oauth/{self.kind}/callback/"
        return f"{target.path}?{target.query}"

    def log_in_through_provider(self, browser: LoginClient, wanted: str = "") -> Any:
        return browser.get(self.return_from_provider(self.start_login(browser, wanted)))


@pytest.fixture(params=KINDS)
def scenario(request: pytest.FixtureRequest, make_app: Callable[..., Flask], serve_app: Serve) -> OAuthScenario:
    return OAuthScenario(request.param, make_app, serve_app)


def link_account(session: Session, user: User, kind: str, number: int = 17) -> None:
    session.add(Identity(user_id=user.id, provider=kind, subject=str(number), login="old-login", created_at=NOW))
    session.commit()


def people(session: Session) -> list[tuple[str, str | None]]:
    session.rollback()
    return [(user.username, user.email) for user in session.query(User).order_by(User.id)]


def test_a_newcomer_chooses_a_name_and_has_an_account(session: Session, scenario: OAuthScenario) -> None:
    browser = LoginClient(scenario.app)
    response = scenario.log_in_through_provider(browser, "/grids/")
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
    assert (identity.provider, identity.subject, identity.login) == (scenario.kind, "17", "ada")
    again = LoginClient(scenario.app)
    assert scenario.log_in_through_provider(again, "/help/").headers["Location"] == "/help/"
    assert again.username == "countess"
    assert browser.get("/account/oauth/new/").headers["Location"] == "/account/login/"


def test_the_providers_number_counts_not_the_name(session: Session, scenario: OAuthScenario) -> None:
    link_account(session, make_login_user(session), scenario.kind)
    scenario.fake.person = FakePerson(17, "renamed", "other@elsewhere.example")
    browser = LoginClient(scenario.app)
    scenario.log_in_through_provider(browser)
    assert browser.username == "ada"
    session.rollback()
    assert session.query(Identity).populate_existing().one().login == "renamed"
    scenario.fake.person = FakePerson(18, "renamed", "new@elsewhere.example")
    assert scenario.log_in_through_provider(LoginClient(scenario.app)).headers["Location"] == "/account/oauth/new/"


def test_an_unconfirmed_address_is_not_taken_over(session: Session, scenario: OAuthScenario) -> None:
    make_login_user(session)
    scenario.fake.person = FakePerson(email="ada@example.org", is_verified=False)
    browser = LoginClient(scenario.app)
    assert scenario.log_in_through_provider(browser).headers["Location"] == "/account/oauth/new/"
    browser.post("/account/oauth/new/", {"username": "other"})
    assert people(session) == [("ada", "ada@example.org"), ("other", None)]


@pytest.mark.parametrize("confirmed", [NOW, None])
def test_an_account_with_this_address_is_never_merged(
    session: Session, scenario: OAuthScenario, confirmed: Any
) -> None:
    make_login_user(session, email_confirmed_at=confirmed)
    scenario.fake.person = FakePerson(email="Ada@example.org")
    browser = LoginClient(scenario.app)
    response = scenario.log_in_through_provider(browser)
    assert response.status_code == 409
    assert "You already have an account" in response.text
    assert browser.username is None
    assert browser.get("/account/oauth/new/").headers["Location"] == "/account/login/"
    session.rollback()
    assert session.query(Identity).count() == 0
    assert browser.log_in().status_code == 303
    assert scenario.log_in_through_provider(browser).headers["Location"] == "/account/"
    assert "account ada" in browser.get("/account/").text
    other = LoginClient(scenario.app)
    scenario.log_in_through_provider(other)
    assert other.username == "ada"


def test_an_account_made_meanwhile_is_not_merged_either(session: Session, scenario: OAuthScenario) -> None:
    browser = LoginClient(scenario.app)
    scenario.log_in_through_provider(browser)
    make_login_user(session, email="ada@elsewhere.example")
    response = browser.post("/account/oauth/new/", {"username": "other"})
    assert response.status_code == 409
    assert people(session) == [("ada", "ada@elsewhere.example")]


def test_identities_are_linked_and_unlinked_but_the_last_way_in_stays(
    session: Session, scenario: OAuthScenario
) -> None:
    make_login_user(session, "bob", password=None)
    bob = session.query(User).one()
    link_account(session, bob, scenario.kind, 1)
    browser = LoginClient(scenario.app, bob)
    assert "your only login method" in browser.get("/account/").text
    session.rollback()
    first = session.query(Identity).one().id
    assert browser.post(f"/account/identities/{first}/unlink/").status_code == 303
    assert "This is your only way to log in." in browser.get("/account/").text
    assert scenario.log_in_through_provider(browser).headers["Location"] == "/account/"
    assert scenario.log_in_through_provider(browser).headers["Location"] == "/account/", "a second time changes nothing"
    eve = make_login_user(session, "eve")
    assert LoginClient(scenario.app, eve).post(f"/account/identities/{first}/unlink/").status_code == 404
    session.rollback()
    assert session.query(Identity).count() == 2
    assert browser.post(f"/account/identities/{first}/unlink/").status_code == 303
    assert f"You can no longer log in with {TITLES[scenario.kind]}." in browser.get("/account/").text
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


def test_what_logs_in_somebody_else_is_not_linked(session: Session, scenario: OAuthScenario) -> None:
    link_account(session, make_login_user(session, "ada"), scenario.kind)
    browser = LoginClient(scenario.app)
    make_login_user(session, "eve")
    browser.log_in("eve")
    response = scenario.log_in_through_provider(browser)
    assert response.status_code == 409
    assert "Already linked to another account" in response.text
    assert browser.username == "eve"


def test_a_closed_account_does_not_log_in(session: Session, scenario: OAuthScenario) -> None:
    link_account(session, make_login_user(session, is_active=False), scenario.kind)
    browser = LoginClient(scenario.app)
    response = scenario.log_in_through_provider(browser)
    assert response.status_code == 403
    assert "This account is disabled" in response.text
    session.rollback()
    assert session.query(LoginSession).count() == 0


def test_a_state_is_of_one_browser_and_works_once(session: Session, scenario: OAuthScenario) -> None:
    link_account(session, make_login_user(session), scenario.kind)
    browser, other = LoginClient(scenario.app), LoginClient(scenario.app)
    path = scenario.return_from_provider(scenario.start_login(browser))
    for wrong in (
        path.replace("state=", "state=x"),
        path.partition("&state")[0],
        path.partition("&state")[0] + "&state=%00ü",
    ):
        stranger = LoginClient(scenario.app)
        scenario.start_login(stranger)
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
    asked = len(scenario.fake.request_log)
    other.get(path)
    assert len(scenario.fake.request_log) == asked, "the provider is not even asked"


def test_a_state_of_who_was_logged_in_does_not_log_in_others(session: Session, scenario: OAuthScenario) -> None:
    """What was begun to link does not log in, and the other way round."""
    link_account(session, make_login_user(session), scenario.kind)
    make_login_user(session, "eve")
    browser = LoginClient(scenario.app)
    path = scenario.return_from_provider(scenario.start_login(browser))
    browser.log_in("eve")
    assert browser.get(path).status_code == 403
    assert browser.username == "eve"


def test_a_state_ends_after_ten_minutes(
    session: Session, scenario: OAuthScenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    link_account(session, make_login_user(session), scenario.kind)
    browser = LoginClient(scenario.app)
    path = scenario.return_from_provider(scenario.start_login(browser))
    later = clock.utc_now() + timedelta(minutes=11)
    monkeypatch.setattr("pkgsite.views.accounts.oauth.utc_now", lambda: later)
    assert browser.get(path).status_code == 403


def test_a_code_that_was_used_is_refused(session: Session, scenario: OAuthScenario) -> None:
    """As when somebody has caught the address on the way: the provider says no."""
    link_account(session, make_login_user(session), scenario.kind)
    browser = LoginClient(scenario.app)
    path = scenario.return_from_provider(scenario.start_login(browser))
    scenario.fake.codes.clear()
    response = browser.get(path)
    assert response.status_code == 403
    assert f"{TITLES[scenario.kind]} rejected the login" in response.text
    assert browser.username is None


def test_a_code_from_another_login_fails_its_proof(session: Session, scenario: OAuthScenario) -> None:
    """PKCE: a code that an attacker's browser got is of no use in mine."""
    link_account(session, make_login_user(session), scenario.kind)
    theirs, mine = LoginClient(scenario.app), LoginClient(scenario.app)
    stolen = parse_qs(urlsplit(scenario.return_from_provider(scenario.start_login(theirs))).query)["code"][0]
    path = scenario.return_from_provider(scenario.start_login(mine))
    own = parse_qs(urlsplit(path).query)["code"][0]
    assert mine.get(path.replace(own, stolen)).status_code == 403
    assert mine.username is None


def test_who_says_no_is_not_logged_in(session: Session, scenario: OAuthScenario) -> None:
    scenario.fake.is_consenting = False
    response = scenario.log_in_through_provider(LoginClient(scenario.app))
    assert response.status_code == 403
    assert f"Access was declined on {TITLES[scenario.kind]}" in response.text
    path = f"/account/oauth/{scenario.kind}/callback/"
    browser = LoginClient(scenario.app)
    state = parse_qs(urlsplit(scenario.start_login(browser)).query)["state"][0]
    response = browser.get(f"{path}?error=%3Cscript%3E&error_description=%3Cscript%3Ealert&state={state}")
    assert response.status_code == 403
    assert "<script>alert" not in response.text


FAULTS = [
    pytest.param(response("500 Internal Server Error", b""), id="500"),
    pytest.param(response("503 Service Unavailable", b"<html>", "text/html"), id="503"),
    pytest.param(html_response(), id="a page"),
    pytest.param(response("200 OK", b'{"access_token": "x", "id": 1, "na'), id="truncated"),
    pytest.param(response("200 OK", 7), id="a number"),
    pytest.param(response("200 OK", []), id="a list"),
    pytest.param(response("200 OK", {}), id="empty"),
    pytest.param(response("200 OK", b"[" * 100_000), id="deep"),
    pytest.param(response("200 OK", {"id": "1; DROP", "login": "x", "username": "x"}), id="a number that is none"),
    pytest.param(response("200 OK", {"id": 17, "login": None, "username": "\x00"}), id="no name"),
    pytest.param(response("200 OK", b"x" * 2**21), id="too much"),
    pytest.param(truncated_response, id="broken off"),
    pytest.param(connection_reset, id="reset"),
    pytest.param(response("302 Found", b"", Location="http://elsewhere.example/"), id="led away"),
]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize("fault", FAULTS)
def test_a_provider_that_fails_is_said_to(session: Session, scenario: OAuthScenario, fault: Any) -> None:
    for part in (PATHS[scenario.kind][1], "/user"):
        scenario.fake.faults = {part: fault}
        browser = LoginClient(scenario.app)
        response = scenario.log_in_through_provider(browser)
        assert response.status_code in {403, 502}, part
        assert TITLES[scenario.kind] in response.text
        assert browser.username is None
    assert people(session) == []


def test_github_without_leave_to_see_addresses_is_enough(
    session: Session, make_app: Callable[..., Flask], serve_app: Serve
) -> None:
    world = OAuthScenario("github", make_app, serve_app)
    world.fake.faults = {"/user/emails": response("404 Not Found", {"message": "Not Found"})}
    browser = LoginClient(world.app)
    world.log_in_through_provider(browser)
    browser.post("/account/oauth/new/", {"username": "ada"})
    assert people(session) == [("ada", None)]


def test_a_provider_that_is_down_is_said_to_be(make_app: Callable[..., Flask]) -> None:
    fake, address = FakeProvider("github"), f"http://127.0.0.1:{free_port()}"
    browser = LoginClient(make_app(**provider_settings("github", address)))
    page = browser.post("/account/oauth/github/").text
    target = urlsplit(fake.authorize(unescape(re.findall(r'content="0; url=([^"]+)"', page)[0])))
    response = browser.get(f"{target.path}?{target.query}")
    assert response.status_code == 502
    assert "GitHub is not responding" in response.text


def test_a_provider_on_our_own_network_is_not_asked_unless_named(
    make_app: Callable[..., Flask], serve_app: Serve
) -> None:
    fake = FakeProvider("github")
    settings = provider_settings("github", serve_app(fake)) | {"ALLOWED_HOSTS_OUT": ""}
    browser = LoginClient(make_app(**settings))
    page = browser.post("/account/oauth/github/").text
    target = urlsplit(fake.authorize(unescape(re.findall(r'content="0; url=([^"]+)"', page)[0])))
    assert browser.get(f"{target.path}?{target.query}").status_code == 403
    assert fake.request_log == []


def test_what_is_not_set_is_not_offered(app: Flask) -> None:
    browser = LoginClient(app)
    for path in ("/account/login/", "/account/register/"):
        assert "with GitHub" not in browser.get(path).text
    for name in ("github", "gitlab", "nowhere"):
        assert browser.post(f"/account/oauth/{name}/").status_code == 404
        assert browser.get(f"/account/oauth/{name}/callback/?code=x&state=y").status_code == 404


def test_what_is_set_is_offered_by_post_only(scenario: OAuthScenario) -> None:
    title = TITLES[scenario.kind]
    assert f"Log in with {title}" in LoginClient(scenario.app).get("/account/login/").text
    assert f"Sign up with {title}" in LoginClient(scenario.app).get("/account/register/").text
    assert LoginClient(scenario.app).get(f"/account/oauth/{scenario.kind}/").status_code == 405
    assert scenario.app.test_client().post(f"/account/oauth/{scenario.kind}/").status_code == 403
    assert scenario.app.test_client().post("/account/oauth/new/").status_code == 403


@pytest.mark.parametrize("wanted", ["https://evil.example/", "//evil.example", "/\\evil.example"])
def test_next_leads_to_our_own_paths_only(session: Session, scenario: OAuthScenario, wanted: str) -> None:
    link_account(session, make_login_user(session), scenario.kind)
    assert scenario.log_in_through_provider(LoginClient(scenario.app), wanted).headers["Location"] == "/"
