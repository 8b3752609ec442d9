"""A database that is away: status 503 with Retry-After, one line in the log, and nothing acknowledged and lost."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy.engine import make_url
from sqlalchemy.orm import Session

from pkgsite import outages
from pkgsite.extensions import db
from pkgsite.models import Grid
from tests.databases import execute_on_server
from tests.users import CsrfClient, make_user

PATHS = ("/", "/packages/", "/grids/", "/api/v4/packages/", "/search/?q=cache")
GRID = {"title": "Caching", "slug": "caching"}


@pytest.fixture(autouse=True)
def no_earlier_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outages._LastFailure, "at", None)


def is_postgresql(app: Flask) -> bool:
    return str(app.config["DATABASE_URL"]).startswith("postgresql")


def terminate_connections(app: Flask) -> None:
    name = make_url(app.config["DATABASE_URL"]).database
    execute_on_server(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")


@contextmanager
def database_away(app: Flask) -> Iterator[None]:
    """Make the database unreachable: the server ends its connections and accepts no new ones, or the file is gone."""
    if is_postgresql(app):
        name = make_url(app.config["DATABASE_URL"]).database
        execute_on_server(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
        terminate_connections(app)
        try:
            yield
        finally:
            execute_on_server(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
        return
    path = Path(str(make_url(app.config["DATABASE_URL"]).database))
    with app.app_context():
        db.session.remove()
        db.engine.dispose()
    path.rename(path.with_suffix(".away"))
    try:
        yield
    finally:
        assert not path.exists()
        path.with_suffix(".away").rename(path)


def test_pages_and_api_respond_503_until_the_database_is_back(
    make_app: Callable[..., Flask], caplog: pytest.LogCaptureFixture
) -> None:
    app = make_app(shared=False)
    client = app.test_client()
    assert [client.get(path).status_code for path in PATHS] == [200] * len(PATHS)
    with database_away(app), caplog.at_level(logging.WARNING):
        for path in PATHS:
            response = client.get(path)
            assert (response.status_code, response.headers["Retry-After"]) == (503, "5"), path
            assert ("detail" in (response.json or {})) if path.startswith("/api/") else "site.css" in response.text
            assert "sqlalche.me" not in response.text
    assert [record.name for record in caplog.records] == ["pkgsite.outages"]
    assert [client.get(path).status_code for path in PATHS] == [200] * len(PATHS)


def test_connections_that_the_server_has_closed_are_replaced(make_app: Callable[..., Flask]) -> None:
    app = make_app(shared=False)
    client = app.test_client()
    assert client.get("/packages/").status_code == 200
    if is_postgresql(app):
        terminate_connections(app)
    assert client.get("/packages/").status_code == 200


@pytest.mark.parametrize("replace", [False, True])
def test_nothing_is_written_to_a_sqlite_file_that_is_gone(
    make_app: Callable[..., Flask], session: Session, replace: bool
) -> None:
    app = make_app(shared=False)
    if is_postgresql(app):
        return  # has no file
    user = make_user(session, "ada")
    session.commit()
    client = CsrfClient(app, user)
    assert client.get("/grids/add/").status_code == 200
    path = Path(str(make_url(app.config["DATABASE_URL"]).database))
    moved = path.with_suffix(".moved")
    path.rename(moved)
    if replace:
        shutil.copy(moved, path)
    response = client.post("/grids/add/", GRID)
    assert (response.status_code, response.headers["Retry-After"]) == (503, "5")
    moved.replace(path)
    assert client.post("/grids/add/", GRID).status_code == 303
    session.rollback()
    assert session.query(Grid).count() == 1
