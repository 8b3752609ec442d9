"""Fixtures and helpers for tests of pages."""

from __future__ import annotations

import re
from collections.abc import Callable
from html import unescape

import pytest
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from tests.conftest import KINDS, Templates
from tests.views.varied_site import populate_varied_site

FetchPage = Callable[[str], str]


@pytest.fixture(params=KINDS)
def database_url(request: pytest.FixtureRequest, database_templates: Templates) -> str:
    """The URL of a migrated database, with the varied site for tests that use `varied_site`, or else empty."""
    return database_templates.reused(
        request.param, populate_varied_site if "varied_site" in request.fixturenames else None
    )


@pytest.fixture
def varied_site(session: Session) -> Session:
    """The database session of the varied site."""
    return session


@pytest.fixture
def fetch_page(client: FlaskClient) -> Callable[[str], str]:
    """A function that fetches a page, asserts that the status is 200, and returns its HTML."""

    def fetch(path: str) -> str:
        response = client.get(path)
        assert response.status_code == 200, f"{path}: {response.status_code}"
        return response.get_data(as_text=True)

    return fetch


def row_titles(html: str) -> list[str]:
    """Return the titles of a list's rows, in order."""
    return [unescape(title) for title in re.findall(r'class="row-title"><a [^>]*>(.*?)</a>', html)]


def link_targets(html: str) -> list[str]:
    """Return the targets of a page's links."""
    return [unescape(target) for target in re.findall(r'<a [^>]*?href="([^"]*)"', html)]


def visible_text(html: str) -> str:
    """Return the text of a page's main element, or of a fragment, without markup."""
    main = html.partition("<main")[2].partition("</main>")[0] or html
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", main)).split())
