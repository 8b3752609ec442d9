"""The number of database queries of each page, which must not depend on the number of rows."""

from __future__ import annotations

import pytest
from flask import Flask
from sqlalchemy.orm import Session

from tests.queries import recorded_queries
from tests.views.varied_site import make_many_packages

QUERY_COUNTS = {
    "/": 5,
    "/categories/": 1,
    "/categories/apps/": 4,
    "/packages/": 4,
    "/packages/?q=many&category=apps&sort=-usage_count&all=1": 4,
    "/packages/latest/": 4,
    "/packages/liked/": 5,
    "/packages/p/many-000/": 10,
    "/packages/p/no-such-thing/": 15,
    "/grids/": 2,
    "/grids/g/many/": 7,
    "/grids/g/many/?q=many&sort=title": 7,
    "/grids/g/many/packages/": 6,
    "/grids/g/no-such-thing/": 14,
    "/search/": 0,
    "/search/?q=many": 14,
    "/help/": 0,
    "/help/scores/": 0,
    "/about/": 0,
    "/status/": 7,
    "/no-such-page/": 0,
    "/robots.txt": 0,
    "/favicon.ico": 0,
}


@pytest.mark.parametrize("rows", [2, 50])
def test_query_counts_do_not_depend_on_the_number_of_rows(app: Flask, session: Session, rows: int) -> None:
    make_many_packages(session, rows)
    session.close()
    client = app.test_client()
    counts = {}
    for url in QUERY_COUNTS:
        with recorded_queries(app) as statements:
            client.get(url)
        counts[url] = len(statements)
    assert counts == QUERY_COUNTS
