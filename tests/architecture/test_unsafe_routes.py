"""Every URL that changes something: who may call it and what guards it. Everybody else is refused."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select
from sqlalchemy.orm import Session
from werkzeug.routing import Rule

from pkgsite.models import Base
from tests.api.api_client import Program
from tests.architecture.sample_site import World, fill
from tests.users import Visitor

SAFE = {"GET", "HEAD", "OPTIONS"}

ALL = "everybody"
KNOWN = "whoever is logged in"
OWN = "the owner of the thing, and moderators"
MINE = "the owner of the thing alone"
MODERATORS = "moderators"
CODE_HOSTS = "code hosts"
PROGRAMS = "everybody; it only reads"
TOKEN = "CSRF token"
SIGNATURE = "a signature of the body with WEBHOOK_SECRET"
SECRET = "WEBHOOK_SECRET in a header"
NOTHING = "nothing: it changes nothing"

GUARDS = {
    # Accounts. What a stranger may begin is counted, and answers the same whoever has an account.
    "/account/login/": (ALL, TOKEN),
    "/account/register/": (ALL, TOKEN),
    "/account/register/<token>/": (ALL, TOKEN),
    "/account/reset/": (ALL, TOKEN),
    "/account/reset/<token>/": (ALL, TOKEN),
    "/account/oauth/<provider>/": (ALL, TOKEN),
    "/account/oauth/new/": (ALL, TOKEN),
    "/account/confirm/<token>/": (KNOWN, TOKEN),
    "/account/logout/": (ALL, TOKEN),
    "/account/delete/": (KNOWN, TOKEN),
    "/account/email/": (KNOWN, TOKEN),
    "/account/email/confirm/": (KNOWN, TOKEN),
    "/account/password/": (KNOWN, TOKEN),
    "/account/sessions/end-others/": (KNOWN, TOKEN),
    "/account/sessions/<int:session_id>/end/": (MINE, TOKEN),
    "/account/identities/<int:identity_id>/unlink/": (MINE, TOKEN),
    "/account/tokens/": (KNOWN, TOKEN),
    "/account/tokens/<int(max=2147483647):token_id>/revoke/": (MINE, TOKEN),
    "/profiles/edit/": (KNOWN, TOKEN),
    # Packages.
    "/packages/add/": (KNOWN, TOKEN),
    "/packages/add/validate/": (KNOWN, TOKEN),
    "/packages/<slug:slug>/edit/": (KNOWN, TOKEN),
    "/packages/<slug:slug>/documentation/edit/": (KNOWN, TOKEN),
    "/packages/<slug:slug>/favourite/": (KNOWN, TOKEN),
    "/packages/<slug:slug>/usage/": (KNOWN, TOKEN),
    "/packages/usage/<slug:slug>/<any(add, remove):value>/": (KNOWN, TOKEN),
    "/favorites/<any(add, remove):value>/<int(max=2147483647):package_id>/": (KNOWN, TOKEN),
    "/packages/<slug:slug>/flag/": (KNOWN, TOKEN),
    "/packages/<slug:slug>/flag/withdraw/": (KNOWN, TOKEN),
    "/packages/<slug:slug>/flags/<int(max=2147483647):flag_id>/answer/": (OWN, TOKEN),
    "/packages/<slug:slug>/sites/add/": (KNOWN, TOKEN),
    "/packages/<slug:slug>/sites/<int(max=2147483647):site_id>/edit/": (OWN, TOKEN),
    "/packages/<slug:slug>/sites/<int(max=2147483647):site_id>/delete/": (OWN, TOKEN),
    "/packages/github-webhook/": (CODE_HOSTS, SIGNATURE),
    "/packages/gitlab-webhook/": (CODE_HOSTS, SECRET),
    # Grids. A locked one is changed by moderators only.
    "/grids/add/": (KNOWN, TOKEN),
    "/grids/<slug:slug>/edit/": (KNOWN, TOKEN),
    "/grids/<slug:slug>/lock/": (MODERATORS, TOKEN),
    "/grids/<slug:slug>/delete/": (MODERATORS, TOKEN),
    "/grids/<slug:slug>/package/add/": (KNOWN, TOKEN),
    "/grids/package/<slug:slug>/<int(max=2147483647):package_id>/delete/": (OWN, TOKEN),
    "/grids/feature/add/<slug:slug>/": (KNOWN, TOKEN),
    "/grids/feature/<int(max=2147483647):feature_id>/": (KNOWN, TOKEN),
    "/grids/feature/<int(max=2147483647):feature_id>/move/": (KNOWN, TOKEN),
    "/grids/feature/<int(max=2147483647):feature_id>/delete/": (OWN, TOKEN),
    "/grids/cell/preview/": (KNOWN, TOKEN),
    "/grids/element/<slug:slug>/<int(max=2147483647):package_id>/<int(max=2147483647):feature_id>/": (KNOWN, TOKEN),
    # History.
    "/changes/<int(max=2147483647):revision_id>/undo/": (OWN, TOKEN),
    "/changes/by/<slug:username>/undo/": (MODERATORS, TOKEN),
    "/history/<kind>/<int(max=2147483647):object_id>/restore/<int(max=2147483647):revision_id>/": (OWN, TOKEN),
    # Moderation.
    "/moderation/edits/<int(max=2147483647):held_id>/approve/": (MODERATORS, TOKEN),
    "/moderation/edits/<int(max=2147483647):held_id>/reject/": (MODERATORS, TOKEN),
    "/moderation/flags/<int(max=2147483647):flag_id>/dismiss/": (MODERATORS, TOKEN),
    "/moderation/packages/<slug:slug>/deprecate/": (MODERATORS, TOKEN),
    "/moderation/packages/<slug:slug>/hide/": (MODERATORS, TOKEN),
    "/moderation/packages/<slug:slug>/merge/": (MODERATORS, TOKEN),
    "/moderation/packages/<slug:slug>/show/": (MODERATORS, TOKEN),
    "/moderation/sites/<int(max=2147483647):site_id>/<any(approve, reject):decision>/": (MODERATORS, TOKEN),
    # The API.
    "/api/v4/packages/lookup/": (PROGRAMS, NOTHING),
}
# The API's own: for programs with a token that writes, and for sessions with a CSRF token in a header. To those who
# show neither, the URLs of old answer 405, in the words that their readers know, and the newer ones below a grid 401.
OF_API = "api_v4."
BELOW_GRID = "/api/v4/grids/<key:key>/"
BODIES: tuple[dict[str, Any], ...] = (
    {"data": b""},
    {"json": {"action": "x"}},
    {"data": {"payload": "{}"}},
    {"data": b"\xff{["},
)
REFUSED = {403, 404}


def unsafe(app: Flask) -> list[Rule]:
    """Return the rules of the URLs that take another method than those that only read."""
    return [rule for rule in app.url_map.iter_rules() if (rule.methods or set()) - SAFE]


def is_of_api(rule: Rule) -> bool:
    return str(rule.endpoint).startswith(OF_API) and rule.rule not in GUARDS


def guarded(app: Flask, *who: str) -> list[Rule]:
    """Return the rules that are guarded by a CSRF token and open to these only."""
    return [rule for rule in unsafe(app) if rule.rule in GUARDS and GUARDS[rule.rule] in [(one, TOKEN) for one in who]]


def everything(session: Session) -> dict[str, list[Any]]:
    """Return every row of every table."""
    session.rollback()
    found = {}
    for table in Base.metadata.sorted_tables:
        if table.name != "login_session":
            found[table.name] = sorted((tuple(row) for row in session.execute(select(table))), key=repr)
    session.rollback()
    return found


@pytest.fixture
def world(session: Session) -> World:
    return fill(session)


def test_every_unsafe_route_is_listed_with_its_guard(app: Flask) -> None:
    found = {rule.rule for rule in unsafe(app) if not is_of_api(rule)}
    assert found == set(GUARDS), "say here who may call a URL that changes something, and what guards it"
    assert all((rule.methods or set()) - SAFE == {"POST"} for rule in unsafe(app) if not is_of_api(rule))


def test_without_a_csrf_token_nobody_changes_anything(app: Flask, session: Session, world: World) -> None:
    visitors = [Visitor(app, world.moderator), Visitor(app, world.owner), Visitor(app)]
    before = everything(session)
    for rule in guarded(app, ALL, KNOWN, OWN, MINE, MODERATORS):
        path = world.path(app, rule)
        for visitor in visitors:
            for token in ({}, {"csrf_token": ""}, {"csrf_token": "forged"}):
                assert visitor.client.post(path, data=token).status_code == 403, path
    assert everything(session) == before


def test_who_is_not_logged_in_changes_nothing(app: Flask, session: Session, world: World) -> None:
    before, nobody = everything(session), Visitor(app)
    for rule in guarded(app, KNOWN, OWN, MINE, MODERATORS):
        path = world.path(app, rule)
        assert nobody.post(path, FORM).status_code in REFUSED, path
    assert everything(session) == before


def test_what_is_for_moderators_is_refused_to_others(app: Flask, session: Session, world: World) -> None:
    before, others = everything(session), [Visitor(app, world.other), Visitor(app, world.owner)]
    for rule in guarded(app, MODERATORS):
        path = world.path(app, rule)
        for visitor in others:
            assert visitor.post(path, FORM).status_code in REFUSED, path
    assert everything(session) == before


def test_what_is_anothers_is_refused(app: Flask, session: Session, world: World) -> None:
    before, other, moderator = everything(session), Visitor(app, world.other), Visitor(app, world.moderator)
    for rule in guarded(app, OWN, MINE):
        path = world.path(app, rule)
        assert other.post(path, FORM).status_code in REFUSED, path
    for rule in guarded(app, MINE):
        path = world.path(app, rule)
        assert moderator.post(path, FORM).status_code in REFUSED, path
    assert everything(session) == before


FORM = {"title": "x", "url": "https://x.example/", "reason": "x", "answer": "x", "seen": "99", "package": "1",
        "text": "x", "version": "1", "into": "two", "locked": "yes", "to": "up", "value": "add"}  # fmt: skip


@pytest.mark.parametrize("secret", ["", "open sesame"])
def test_a_webhook_without_its_guard_is_refused(make_app: Callable[..., Flask], secret: str) -> None:
    client = make_app(WEBHOOK_SECRET=secret).test_client()
    for url, (who, _) in GUARDS.items():
        if who == CODE_HOSTS:
            for body in BODIES:
                assert client.post(url, **body).status_code == 403, url


def api_paths(app: Flask) -> list[tuple[str, str, bool]]:
    """Return method, address and whether it is one of the newer ones, of all that the API might change."""
    ids = {"key": "1", "package": "1", "feature": "1", "suffix": "json"}
    found = []
    for rule in unsafe(app):
        if is_of_api(rule):
            path = re.sub(r"<\w+:(\w+)>", lambda match: ids[match.group(1)], rule.rule)
            methods = sorted((rule.methods or set()) - SAFE)
            found += [(method, path, rule.rule.startswith(BELOW_GRID)) for method in methods]
    return found


def test_by_the_api_nobody_changes_anything(app: Flask, session: Session, world: World) -> None:
    client, before = app.test_client(), everything(session)
    paths = api_paths(app)
    assert len(paths) > 40
    for method, path, is_newer in paths:
        for body in BODIES:
            status = client.open(path, method=method, **body).status_code
            assert status == 405 or (is_newer and status == 401), (method, path)
    client.post("/api/v4/packages/lookup/", json={"keys": ["one"]})
    assert everything(session) == before


def test_by_the_api_no_session_changes_anything_without_its_token(app: Flask, session: Session, world: World) -> None:
    visitors = [Visitor(app, world.moderator), Visitor(app, world.owner)]
    before = everything(session)
    for visitor in visitors:
        for method, path, _ in api_paths(app):
            for options in ({}, {"headers": {"X-CSRFToken": "forged"}}, {"data": {"csrf_token": "forged"}}):
                assert visitor.client.open(path, method=method, **options).status_code in {403, 405}, (method, path)
            override = {"_method": "DELETE", "csrf_token": ""}
            assert visitor.client.post(path, data=override).status_code in {403, 405}, path
    assert everything(session) == before


def test_by_the_api_no_token_that_reads_changes_anything(app: Flask, session: Session, world: World) -> None:
    program = Program(app, session, world.moderator, scope="read")
    program.get("packages/")  # from here on the token has been used
    before = everything(session)
    for method, path, _ in api_paths(app):
        status = program.ask(method, path.removeprefix("/api/v4/"), json={"title": "x"}).status_code
        assert status in {403, 405}, (method, path)
    assert everything(session) == before
