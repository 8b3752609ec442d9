"""GET requests do not change data.

`make test` gets each page without and with one of the query strings, `make test-slow` with all of them.

Exceptions: the OAuth callback, which is protected by its state, and the times at which sessions and tokens were last
used.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from html import unescape
from urllib.parse import parse_qs, unquote

import pytest
from flask import Flask
from sqlalchemy.orm import Session
from werkzeug.exceptions import HTTPException

from tests.architecture.sample_site import SampleSite, populate_site
from tests.architecture.test_unsafe_routes import database_snapshot
from tests.users import CsrfClient
from tests.views.conftest import link_targets

GUARDED_BY_STATE = {"accounts.oauth_callback"}
MAX_PAGES = 3000
QUERIES = ("", "?q=x", "?page=2", "?sort=title", "?next=/x", "?format=api", "?state=x&code=y")
API_PATHS = (
    "/api/v4/", "/api/v4/packages/", "/api/v4/packages/1/", "/api/v4/packages.ndjson", "/api/v4/grids.csv",
)  # fmt: skip
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


def page_paths(app: Flask, sample_site: SampleSite, *, with_all_queries: bool) -> list[str]:
    """Return the URL of each page, for existing records: plain, and with query strings."""
    paths: list[str] = []
    for index, rule in enumerate(app.url_map.iter_rules()):
        if rule.endpoint in GUARDED_BY_STATE or str(rule.endpoint).startswith("api_v4."):
            continue
        if "GET" in (rule.methods or ()):
            queries = QUERIES if with_all_queries else ("", QUERIES[1 + index % (len(QUERIES) - 1)])
            paths += [sample_site.path(app, rule) + query for query in queries]
    return paths + list(API_PATHS)


@dataclass
class Crawl:
    """Gets pages and follows their links.

    Attributes:
        seen: The URLs of the requested pages.
        statuses: The number of responses by status.
        followed: The number of links followed by kind.
    """

    app: Flask
    client: CsrfClient
    seen: set[str] = field(default_factory=set)
    statuses: Counter[int] = field(default_factory=Counter)
    followed: Counter[LinkKind] = field(default_factory=Counter)

    def run(self, paths: list[str]) -> None:
        while paths and len(self.seen) < MAX_PAGES:
            path = paths.pop()
            if path not in self.seen:
                self.seen.add(path)
                paths += self.get(path, known={*paths, *self.seen})

    def get(self, path: str, known: set[str]) -> list[str]:
        """Get a page, and return the links to follow."""
        response = self.client.get(path)
        body = response.get_data(as_text=True)  # completely: some responses are streamed
        self.statuses[response.status_code] += 1
        assert response.status_code < 500, path
        response.close()
        return self.new_links(body, known) if response.mimetype == "text/html" else []

    def new_links(self, html: str, known: set[str]) -> list[str]:
        links = []
        for link in sorted(links_in(html) - known):
            kind = kind_of(self.app, link)
            if self.followed[kind] < MAX_LINKS_PER_KIND:
                self.followed[kind] += 1
                links.append(link)
        return links


@pytest.mark.long
def test_getting_every_page_changes_no_data(app: Flask, session: Session) -> None:
    check_that_getting_pages_changes_nothing(app, session, with_all_queries=False)


@pytest.mark.slow
def test_getting_every_page_with_every_query_changes_no_data(app: Flask, session: Session) -> None:
    check_that_getting_pages_changes_nothing(app, session, with_all_queries=True)


def check_that_getting_pages_changes_nothing(app: Flask, session: Session, *, with_all_queries: bool) -> None:
    sample_site = populate_site(session)
    for user in (sample_site.moderator, sample_site.owner, None):
        crawl = Crawl(app, CsrfClient(app, user))
        before = database_snapshot(session)
        crawl.run(page_paths(app, sample_site, with_all_queries=with_all_queries))
        assert crawl.statuses[200] > 60, crawl.statuses
        assert database_snapshot(session) == before
