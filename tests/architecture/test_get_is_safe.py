"""GET requests do not change data.

Exceptions: the OAuth callback, which is protected by its state, and the times at which sessions and tokens were last
used.
"""

from __future__ import annotations

from collections import Counter
from html import unescape
from urllib.parse import parse_qs, unquote

import pytest
from flask import Flask
from sqlalchemy.orm import Session
from werkzeug.exceptions import HTTPException

from tests.architecture.sample_site import populate_site
from tests.architecture.test_unsafe_routes import database_snapshot
from tests.users import CsrfClient
from tests.views.conftest import link_targets

GUARDED_BY_STATE = {"accounts.oauth_callback"}
MAX_PAGES = 3000
QUERIES = ("", "?q=x", "?page=2", "?sort=title", "?next=/x", "?format=api", "?state=x&code=y")
MAX_LINKS_PER_KIND = 3  # followed links to the same view with the same query parameters


def links_in(html: str) -> set[str]:
    return {url.partition("#")[0] for url in link_targets(html) if url.startswith("/")} - {""}


LinkKind = tuple[str, frozenset[str]]


def kind_of(app: Flask, link: str) -> LinkKind:
    """Return the endpoint of a link and the names of its query parameters."""
    path, _, query = unescape(link).partition("?")
    try:
        endpoint, _ = app.url_map.bind("localhost").match(unquote(path))
    except HTTPException:
        endpoint = path
    return str(endpoint), frozenset(parse_qs(query, keep_blank_values=True))


@pytest.mark.long
def test_getting_every_page_changes_no_data(app: Flask, session: Session) -> None:
    sample_site = populate_site(session)
    for user in (sample_site.moderator, sample_site.owner, None):
        client = CsrfClient(app, user)
        before = database_snapshot(session)
        rules = [rule for rule in app.url_map.iter_rules() if "GET" in (rule.methods or ())]
        paths: list[str] = []
        for rule in rules:
            if rule.endpoint in GUARDED_BY_STATE or str(rule.endpoint).startswith("api_v4."):
                continue
            paths += [sample_site.path(app, rule) + query for query in QUERIES]
        paths += [
            "/api/v4/",
            "/api/v4/packages/",
            "/api/v4/packages/1/",
            "/api/v4/packages.ndjson",
            "/api/v4/grids.csv",
        ]
        seen: set[str] = set()
        followed: Counter[LinkKind] = Counter()
        statuses: dict[int, int] = {}
        while paths and len(seen) < MAX_PAGES:
            path = paths.pop()
            if path in seen:
                continue
            seen.add(path)
            response = client.get(path)
            body = response.get_data(as_text=True)  # completely: some responses are streamed
            statuses[response.status_code] = statuses.get(response.status_code, 0) + 1
            assert response.status_code < 500, path
            response.close()
            if response.mimetype == "text/html":
                for link in sorted(links_in(body) - seen - set(paths)):
                    kind = kind_of(app, link)
                    if followed[kind] < MAX_LINKS_PER_KIND:
                        followed[kind] += 1
                        paths.append(link)
        assert statuses[200] > 60, statuses
        assert database_snapshot(session) == before
