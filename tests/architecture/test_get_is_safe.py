"""Whoever only looks changes nothing, whatever they look at.

The exceptions: the way back from a place that vouches for people, which its state guards, and the time at which a
browser or a token was last used.
"""

from __future__ import annotations

from collections import Counter
from html import unescape
from typing import Any
from urllib.parse import parse_qs, unquote

import pytest
from flask import Flask
from sqlalchemy.orm import Session
from werkzeug.exceptions import HTTPException

from tests.architecture.sample_site import populate_site
from tests.architecture.test_unsafe_routes import database_snapshot
from tests.users import CsrfClient

GUARDED_BY_STATE = {"accounts.oauth_callback"}
MAX_PAGES = 3000
VISITED = ("", "?q=x", "?page=2", "?sort=title", "?next=/x", "?format=api", "?state=x&code=y")
MAX_LINKS_OF_A_KIND = 3  # links to follow that lead to one view with the same query parameters


def links_in(html: str) -> set[str]:
    from tests.views.conftest import link_targets

    return {address.partition("#")[0] for address in link_targets(html) if address.startswith("/")} - {""}


Kind = tuple[str, frozenset[str]]


def kind_of(app: Flask, link: str) -> Kind:
    """Return the view that a link leads to, and the names in its query."""
    path, _, query = unescape(link).partition("?")
    try:
        endpoint, _ = app.url_map.bind("localhost").match(unquote(path))
    except HTTPException:
        endpoint = path
    return str(endpoint), frozenset(parse_qs(query, keep_blank_values=True))


@pytest.mark.long
def test_looking_at_everything_changes_nothing(app: Flask, session: Session) -> None:
    world = populate_site(session)
    for user in (world.moderator, world.owner, None):
        visitor = CsrfClient(app, user)
        before = database_snapshot(session)
        rules = [rule for rule in app.url_map.iter_rules() if "GET" in (rule.methods or ())]
        paths: list[str] = []
        for rule in rules:
            if rule.endpoint in GUARDED_BY_STATE or str(rule.endpoint).startswith("api_v4."):
                continue
            path = world.path(app, rule)
            paths += [path + query for query in VISITED]
        paths += [
            "/api/v4/",
            "/api/v4/packages/",
            "/api/v4/packages/1/",
            "/api/v4/packages.ndjson",
            "/api/v4/grids.csv",
        ]
        seen: set[str] = set()
        followed: Counter[Kind] = Counter()
        statuses: dict[int, int] = {}
        while paths and len(seen) < MAX_PAGES:
            path = paths.pop()
            if path in seen:
                continue
            seen.add(path)
            answer: Any = visitor.get(path)
            body = answer.get_data(as_text=True)  # to its end: some answers are written as they are read
            statuses[answer.status_code] = statuses.get(answer.status_code, 0) + 1
            assert answer.status_code < 500, path
            answer.close()
            if answer.mimetype == "text/html":
                for link in sorted(links_in(body) - seen - set(paths)):
                    kind = kind_of(app, link)
                    if followed[kind] < MAX_LINKS_OF_A_KIND:
                        followed[kind] += 1
                        paths.append(link)
        assert statuses[200] > 60, statuses
        assert database_snapshot(session) == before
