"""Whoever only looks changes nothing, whatever they look at.

The exceptions: the way back from a place that vouches for people, which its state guards, and the time at which a
browser or a token was last used.
"""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask
from sqlalchemy.orm import Session

from tests.architecture.sample_site import populate_site
from tests.architecture.test_unsafe_routes import database_snapshot
from tests.users import CsrfClient

GUARDED_BY_STATE = {"accounts.oauth_callback"}
MAX_PAGES = 3000
VISITED = ("", "?q=x", "?page=2", "?sort=title", "?next=/x", "?format=api", "?state=x&code=y")


def links_in(html: str) -> set[str]:
    from tests.views.conftest import link_targets

    return {address.partition("#")[0] for address in link_targets(html) if address.startswith("/")} - {""}


@pytest.mark.e2e
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
                paths += links_in(body) - seen
        assert statuses[200] > 60, statuses
        assert database_snapshot(session) == before
