"""No query string makes a page fail."""

from collections.abc import Iterable
from itertools import product

import pytest
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

PATHS = (
    "/", "/packages/", "/packages/latest/", "/packages/liked/", "/packages/p/known/", "/categories/apps/", "/grids/",
    "/grids/g/caching/", "/grids/g/caching/packages/", "/search/", "/help/", "/status/",
)  # fmt: skip
QUERIES = (
    "q=%00", "q=a%00b&category=%00&sort=%00&page=%00&all=%00&stable=%00", "q=" + "a" * 10_000, "q=" + "a+" * 5_000,
    "q=%FF%FE", "q=%ED%A0%80", "q=%25_%5C", "q=%27%22%3C", "q=%E2%80%AE%F0%9F%9A%80", "page=9999999999999999999999",
    "page=-1", "page=0", "page=last", "page=%C2%B2", "page=1e9", "sort=bogus", "sort=-", "sort=--title", "sort=-score",
    "q=a&q=b&q=c&page=1&page=2&sort=title&sort=x", "category=%00", "category=nope", "category=" + "x" * 5000,
    "all=maybe", "=", "&&&", "q", "q[]=1", "q=%", "stable=1&q=zzz",
    "category=apps&sort=-usage_count&page=last&all=1&q=e",
)  # fmt: skip


def check_queries(client: FlaskClient, pairs: Iterable[tuple[str, str]]) -> None:
    for path, query in pairs:
        response = client.get(f"{path}?{query}")
        assert response.status_code == 200, f"{path}?{query[:80]}"
        assert b"Traceback" not in response.data


@pytest.mark.long
def test_no_query_string_makes_a_page_fail(varied_site: Session, client: FlaskClient) -> None:
    """Each page gets a third of the query strings, each query string goes to a third of the pages."""
    shift = varied_site.get_bind().dialect.name == "sqlite"  # another third on each database
    pairs = product(enumerate(PATHS), enumerate(QUERIES, shift))
    check_queries(client, [(path, query) for (row, path), (column, query) in pairs if (row + column) % 3 == 0])


@pytest.mark.slow
def test_no_query_string_makes_any_page_fail(varied_site: Session, client: FlaskClient) -> None:
    check_queries(client, product(PATHS, QUERIES))


def test_query_parameters_are_escaped(varied_site: Session, client: FlaskClient) -> None:
    payload = "%22%3E%3Cscript%3Ealert(1)%3C/script%3E"
    for path in PATHS:
        html = client.get(f"{path}?q={payload}&category={payload}&sort={payload}&page={payload}").text
        assert "<script>alert" not in html
        assert '"><script' not in html


def test_like_wildcards_are_matched_literally(varied_site: Session, client: FlaskClient) -> None:
    for wildcard in ("%25", "_", "%5C"):
        html = client.get(f"/packages/?q=nn{wildcard}nn&all=1").text
        assert "No packages match" in html
    assert "100%" in client.get("/packages/?q=100%25").text
