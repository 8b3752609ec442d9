"""Every URL that changes something: who can call it and what guards it. Everyone else is rejected."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, cast

import pytest
from flask import Flask
from sqlalchemy import select
from sqlalchemy.orm import Session
from werkzeug.routing import Rule

from pkgsite.models import Base
from pkgsite.services.accounts.submissions import verify_submission
from tests.api.api_client import ApiClient
from tests.architecture.sample_site import SampleSite, populate_site
from tests.html_forms import form_to
from tests.users import CsrfClient

SAFE = {"GET", "HEAD", "OPTIONS"}

EVERYONE = "everyone"
LOGGED_IN = "logged-in users"
OWNER_OR_MODERATOR = "the owner and moderators"
OWNER_ONLY = "the owner"
MODERATORS = "moderators"
CODE_HOSTS = "code hosts"
API_READERS = "everyone; it only reads"
TOKEN = "CSRF token"
SIGNATURE = "a signature of the body with WEBHOOK_SECRET"
SECRET = "WEBHOOK_SECRET in a header"
NO_GUARD_NEEDED = "nothing: it changes nothing"

GUARDS = {
    # Accounts. Requests by anonymous users are rate limited, and the response is the same whether an account exists.
    "/account/login/": (EVERYONE, TOKEN),
    "/account/register/": (EVERYONE, TOKEN),
    "/account/register/<token>/": (EVERYONE, TOKEN),
    "/account/reset/": (EVERYONE, TOKEN),
    "/account/reset/<token>/": (EVERYONE, TOKEN),
    "/account/oauth/<provider>/": (EVERYONE, TOKEN),
    "/account/oauth/new/": (EVERYONE, TOKEN),
    "/account/confirm/<token>/": (LOGGED_IN, TOKEN),
    "/account/resume/": (EVERYONE, TOKEN),
    "/account/logout/": (EVERYONE, TOKEN),
    "/account/delete/": (LOGGED_IN, TOKEN),
    "/account/email/": (LOGGED_IN, TOKEN),
    "/account/email/confirm/": (LOGGED_IN, TOKEN),
    "/account/password/": (LOGGED_IN, TOKEN),
    "/account/sessions/end-others/": (LOGGED_IN, TOKEN),
    "/account/sessions/<int:session_id>/end/": (OWNER_ONLY, TOKEN),
    "/account/identities/<int:identity_id>/unlink/": (OWNER_ONLY, TOKEN),
    "/account/tokens/": (LOGGED_IN, TOKEN),
    "/account/tokens/<int(max=2147483647):token_id>/revoke/": (OWNER_ONLY, TOKEN),
    "/profiles/edit/": (LOGGED_IN, TOKEN),
    # Packages.
    "/packages/add/": (LOGGED_IN, TOKEN),
    "/packages/add/validate/": (LOGGED_IN, TOKEN),
    "/packages/<slug:slug>/edit/": (LOGGED_IN, TOKEN),
    "/packages/<slug:slug>/documentation/edit/": (LOGGED_IN, TOKEN),
    "/packages/<slug:slug>/favourite/": (LOGGED_IN, TOKEN),
    "/packages/<slug:slug>/usage/": (LOGGED_IN, TOKEN),
    "/packages/usage/<slug:slug>/<any(add, remove):value>/": (LOGGED_IN, TOKEN),
    "/favorites/<any(add, remove):value>/<int(max=2147483647):package_id>/": (LOGGED_IN, TOKEN),
    "/packages/<slug:slug>/flag/": (LOGGED_IN, TOKEN),
    "/packages/<slug:slug>/flag/withdraw/": (LOGGED_IN, TOKEN),
    "/packages/<slug:slug>/flags/<int(max=2147483647):flag_id>/answer/": (OWNER_OR_MODERATOR, TOKEN),
    "/packages/<slug:slug>/sites/add/": (LOGGED_IN, TOKEN),
    "/packages/<slug:slug>/sites/<int(max=2147483647):site_id>/edit/": (OWNER_OR_MODERATOR, TOKEN),
    "/packages/<slug:slug>/sites/<int(max=2147483647):site_id>/delete/": (OWNER_OR_MODERATOR, TOKEN),
    "/packages/github-webhook/": (CODE_HOSTS, SIGNATURE),
    "/packages/gitlab-webhook/": (CODE_HOSTS, SECRET),
    # Grids. Only moderators can change a locked one.
    "/grids/add/": (LOGGED_IN, TOKEN),
    "/grids/<slug:slug>/edit/": (LOGGED_IN, TOKEN),
    "/grids/<slug:slug>/lock/": (MODERATORS, TOKEN),
    "/grids/<slug:slug>/delete/": (MODERATORS, TOKEN),
    "/grids/<slug:slug>/package/add/": (LOGGED_IN, TOKEN),
    "/grids/package/<slug:slug>/<int(max=2147483647):package_id>/delete/": (OWNER_OR_MODERATOR, TOKEN),
    "/grids/feature/add/<slug:slug>/": (LOGGED_IN, TOKEN),
    "/grids/feature/<int(max=2147483647):feature_id>/": (LOGGED_IN, TOKEN),
    "/grids/feature/<int(max=2147483647):feature_id>/move/": (LOGGED_IN, TOKEN),
    "/grids/feature/<int(max=2147483647):feature_id>/delete/": (OWNER_OR_MODERATOR, TOKEN),
    "/grids/cell/preview/": (LOGGED_IN, TOKEN),
    "/grids/element/<slug:slug>/<int(max=2147483647):package_id>/<int(max=2147483647):feature_id>/": (LOGGED_IN, TOKEN),
    # History.
    "/changes/<int(max=2147483647):revision_id>/undo/": (OWNER_OR_MODERATOR, TOKEN),
    "/changes/by/<slug:username>/undo/": (MODERATORS, TOKEN),
    "/history/<kind>/<int(max=2147483647):object_id>/restore/<int(max=2147483647):revision_id>/": (
        OWNER_OR_MODERATOR,
        TOKEN,
    ),
    # Moderation.
    "/moderation/edits/<int(max=2147483647):edit_id>/approve/": (MODERATORS, TOKEN),
    "/moderation/edits/<int(max=2147483647):edit_id>/reject/": (MODERATORS, TOKEN),
    "/moderation/flags/<int(max=2147483647):flag_id>/dismiss/": (MODERATORS, TOKEN),
    "/moderation/packages/<slug:slug>/deprecate/": (MODERATORS, TOKEN),
    "/moderation/packages/<slug:slug>/hide/": (MODERATORS, TOKEN),
    "/moderation/packages/<slug:slug>/merge/": (MODERATORS, TOKEN),
    "/moderation/packages/<slug:slug>/show/": (MODERATORS, TOKEN),
    "/moderation/sites/<int(max=2147483647):site_id>/<any(approve, reject):decision>/": (MODERATORS, TOKEN),
    # The API.
    "/api/v4/packages/lookup/": (API_READERS, NO_GUARD_NEEDED),
}
# API endpoints accept a token with write scope, or a session with a CSRF token in a header. Without either, the
# endpoints of the reference API return 405, as its clients expect, and those below a grid return 401.
OF_API = "api_v4."
BELOW_GRID = "/api/v4/grids/<key:key>/"
BODIES: tuple[dict[str, Any], ...] = (
    {"data": b""},
    {"json": {"action": "x"}},
    {"data": {"payload": "{}"}},
    {"data": b"\xff{["},
)
DENIED_CODES = {403, 404}


def unsafe_rules(app: Flask) -> list[Rule]:
    """Return the rules of the URLs that take another method than those that only read."""
    return [rule for rule in app.url_map.iter_rules() if (rule.methods or set()) - SAFE]


def is_of_api(rule: Rule) -> bool:
    return str(rule.endpoint).startswith(OF_API) and rule.rule not in GUARDS


def csrf_guarded_rules(app: Flask, *who: str) -> list[Rule]:
    """Return the rules that a CSRF token guards and that only these users can call."""
    return [
        rule for rule in unsafe_rules(app) if rule.rule in GUARDS and GUARDS[rule.rule] in [(one, TOKEN) for one in who]
    ]


def database_snapshot(session: Session) -> dict[str, list[Any]]:
    """Return every row of every table."""
    session.rollback()
    found = {}
    for table in Base.metadata.sorted_tables:
        if table.name != "login_session":
            found[table.name] = sorted((tuple(row) for row in session.execute(select(table))), key=repr)
    session.rollback()
    return found


@pytest.fixture
def sample_site(session: Session) -> SampleSite:
    return populate_site(session)


def test_every_unsafe_route_is_listed_with_its_guard(app: Flask) -> None:
    found = {rule.rule for rule in unsafe_rules(app) if not is_of_api(rule)}
    assert found == set(GUARDS), "say here who may call a URL that changes something, and what guards it"
    assert all((rule.methods or set()) - SAFE == {"POST"} for rule in unsafe_rules(app) if not is_of_api(rule))


@pytest.mark.long
def test_no_request_without_a_csrf_token_changes_anything(
    app: Flask, session: Session, sample_site: SampleSite
) -> None:
    visitors = [CsrfClient(app, sample_site.moderator), CsrfClient(app, sample_site.owner), CsrfClient(app)]
    before = database_snapshot(session)
    for rule in csrf_guarded_rules(app, EVERYONE, LOGGED_IN, OWNER_OR_MODERATOR, OWNER_ONLY, MODERATORS):
        path = sample_site.path(app, rule)
        for visitor in visitors:
            for token in ({}, {"csrf_token": ""}, {"csrf_token": "forged"}):
                response = visitor.client.post(path, data=token)
                assert response.status_code in ({403} if visitor.is_logged_in else {401, 303, 403}), path
                assert response.status_code != 303 or response.location.startswith("/account/login/?next="), path
    assert database_snapshot(session) == before


def test_anonymous_users_change_nothing(app: Flask, session: Session, sample_site: SampleSite) -> None:
    before, nobody = database_snapshot(session), CsrfClient(app)
    for rule in csrf_guarded_rules(app, LOGGED_IN, OWNER_OR_MODERATOR, OWNER_ONLY, MODERATORS):
        path = sample_site.path(app, rule)
        assert nobody.post(path, FORM).status_code == 401, path
    assert database_snapshot(session) == before


@pytest.mark.parametrize("has_token", [True, False])
def test_no_form_of_an_anonymous_user_is_lost(
    app: Flask, session: Session, sample_site: SampleSite, has_token: bool
) -> None:
    """Each form is in the login page, to copy and to send after the login."""
    before, nobody = database_snapshot(session), CsrfClient(app)
    key = str(app.secret_key)
    for rule in csrf_guarded_rules(app, LOGGED_IN, OWNER_OR_MODERATOR, OWNER_ONLY, MODERATORS):
        path = sample_site.path(app, rule)
        secret = {"current_password": "secret one", "password": "secret two"}
        response = nobody.post(path, FORM | secret | ({} if has_token else {"csrf_token": "forged"}))
        assert response.status_code == 401, path
        submission = verify_submission(key, form_to(response, "/account/login/").fields["resume"])
        assert submission.path == path
        assert {field.name: field.value for field in submission.fields} == FORM | dict.fromkeys(secret, "")
        assert "What you entered" in response.text
        assert "secret" not in response.text
    assert database_snapshot(session) == before


@pytest.mark.long
def test_no_form_of_a_user_without_a_valid_token_is_lost(app: Flask, session: Session, sample_site: SampleSite) -> None:
    before = database_snapshot(session)
    for who, user in ((EVERYONE, None), (LOGGED_IN, sample_site.stranger), (MODERATORS, sample_site.moderator)):
        visitor = CsrfClient(app, user)
        for rule in csrf_guarded_rules(app, who):
            path = sample_site.path(app, rule)
            response = visitor.post(path, FORM | {"csrf_token": "forged"})
            assert response.status_code == 403, path
            assert form_to(response, path).fields.items() >= FORM.items(), path
    assert database_snapshot(session) == before


def test_other_users_are_denied_what_is_for_moderators(app: Flask, session: Session, sample_site: SampleSite) -> None:
    before, others = (
        database_snapshot(session),
        [CsrfClient(app, sample_site.stranger), CsrfClient(app, sample_site.owner)],
    )
    for rule in csrf_guarded_rules(app, MODERATORS):
        path = sample_site.path(app, rule)
        for visitor in others:
            assert visitor.post(path, FORM).status_code in DENIED_CODES, path
    assert database_snapshot(session) == before


def test_users_are_denied_what_belongs_to_others(app: Flask, session: Session, sample_site: SampleSite) -> None:
    before, other, moderator = (
        database_snapshot(session),
        CsrfClient(app, sample_site.stranger),
        CsrfClient(app, sample_site.moderator),
    )
    for rule in csrf_guarded_rules(app, OWNER_OR_MODERATOR, OWNER_ONLY):
        path = sample_site.path(app, rule)
        assert other.post(path, FORM).status_code in DENIED_CODES, path
    for rule in csrf_guarded_rules(app, OWNER_ONLY):
        path = sample_site.path(app, rule)
        assert moderator.post(path, FORM).status_code in DENIED_CODES, path
    assert database_snapshot(session) == before


FORM = {"title": "x", "url": "https://x.example/", "reason": "x", "answer": "x", "seen": "99", "package": "1",
        "text": "x", "version": "1", "into": "two", "locked": "yes", "to": "up", "value": "add"}  # fmt: skip


@pytest.mark.parametrize("secret", ["", "open sesame"])
def test_a_webhook_without_its_guard_is_rejected(make_app: Callable[..., Flask], secret: str) -> None:
    client = make_app(WEBHOOK_SECRET=secret).test_client()
    for url, (who, _) in GUARDS.items():
        if who == CODE_HOSTS:
            for body in BODIES:
                assert client.post(url, **body).status_code == 403, url


def api_paths(app: Flask) -> list[tuple[str, str, bool]]:
    """Return the method and path of each API endpoint that changes something, and whether it is below a grid."""
    ids = {"key": "1", "package": "1", "feature": "1", "suffix": "json", "dotted_key": "1.json"}
    found = []
    for rule in unsafe_rules(app):
        if is_of_api(rule):
            path = re.sub(r"<\w+:(\w+)>", lambda match: ids[match.group(1)], rule.rule)
            methods = sorted((rule.methods or set()) - SAFE)
            found += [(method, path, rule.rule.startswith(BELOW_GRID)) for method in methods]
    return found


def test_anonymous_api_clients_change_nothing(app: Flask, session: Session, sample_site: SampleSite) -> None:
    client, before = app.test_client(), database_snapshot(session)
    paths = api_paths(app)
    assert len(paths) > 40
    for method, path, is_newer in paths:
        for body in BODIES:
            status = client.open(path, method=method, **body).status_code
            assert status == 405 or (is_newer and status == 401), (method, path)
    client.post("/api/v4/packages/lookup/", json={"keys": ["one"]})
    assert database_snapshot(session) == before


@pytest.mark.long
def test_no_api_request_of_a_session_without_a_csrf_token_changes_anything(
    app: Flask, session: Session, sample_site: SampleSite
) -> None:
    visitors = [CsrfClient(app, sample_site.moderator), CsrfClient(app, sample_site.owner)]
    before = database_snapshot(session)
    for visitor in visitors:
        for method, path, _ in api_paths(app):
            for options in cast(
                "list[dict[str, Any]]", [{}, {"headers": {"X-CSRFToken": "forged"}}, {"data": {"csrf_token": "forged"}}]
            ):
                assert visitor.client.open(path, method=method, **options).status_code in {403, 405}, (method, path)
            override = {"_method": "DELETE", "csrf_token": ""}
            assert visitor.client.post(path, data=override).status_code in {403, 405}, path
    assert database_snapshot(session) == before


def test_read_only_api_tokens_change_nothing(app: Flask, session: Session, sample_site: SampleSite) -> None:
    program = ApiClient(app, session, sample_site.moderator, scope="read")
    program.get("packages/")  # from here on the token has been used
    before = database_snapshot(session)
    for method, path, _ in api_paths(app):
        status = program.request(method, path.removeprefix("/api/v4/"), json={"title": "x"}).status_code
        assert status in {403, 405}, (method, path)
    assert database_snapshot(session) == before
