"""The number of database queries of each URL of the API."""

from __future__ import annotations

import pytest
from flask import Flask
from sqlalchemy.orm import Session

from tests.factories import make_grid, make_package
from tests.queries import recorded_queries

QUERY_COUNTS = {
    "/api/v4/": 0,
    "/api/v4/packages/": 4,
    "/api/v4/packages/?limit=1000": 4,
    "/api/v4/packages/1/": 2,
    "/api/v4/packages/package-1/": 2,
    "/api/v4/packages/no-such-thing/": 2,
    "/api/v4/grids/": 4,
    "/api/v4/grids/1/": 2,
    "/api/v4/categories/": 2,
    "/api/v4/categories/1/": 1,
}


@pytest.mark.parametrize("rows", [1, 50])
def test_the_number_of_queries_does_not_depend_on_the_number_of_rows(app: Flask, session: Session, rows: int) -> None:
    packages = tuple(make_package(session, f"package-{number}", id=number) for number in range(1, rows + 1))
    for number in range(1, rows + 1):
        make_grid(session, f"grid-{number}", packages[:5], id=number)
    session.commit()
    session.close()
    client = app.test_client()
    query_counts = {}
    for url in QUERY_COUNTS:
        with recorded_queries(app) as statements:
            client.get(url)
        query_counts[url] = len(statements)
    assert query_counts == QUERY_COUNTS
