"""Health checks, as JSON and as pages."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient
from flask_migrate import downgrade
from sqlalchemy.orm import Session

from pkgsite import outages
from pkgsite.clock import utc_now
from pkgsite.extensions import db
from pkgsite.models import JobRun, Lease
from tests.conftest import make_config, new_app
from tests.queries import recorded_queries

PATHS = ("/health/", "/health/live", "/health/ready")
HTML = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


@pytest.fixture(autouse=True)
def no_earlier_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outages._LastFailure, "at", None)


@pytest.fixture
def broken(tmp_path: Path) -> Iterator[FlaskClient]:
    """A client of a site whose database can't be opened."""
    app = new_app(make_config(f"sqlite:///{tmp_path}/missing/x.db", tmp_path))
    yield app.test_client()
    with app.app_context():
        db.engine.dispose()


@pytest.mark.parametrize("path", PATHS)
def test_health_checks_are_json_or_a_page_and_are_never_cached(client: FlaskClient, path: str) -> None:
    response = client.get(path)
    assert (response.status_code, response.mimetype) == (200, "application/json")
    page = client.get(path, headers=HTML)
    assert (page.status_code, page.mimetype) == (200, "text/html")
    assert "<h1>The site is healthy</h1>" in page.text
    for each in (response, page):
        assert each.headers["Cache-Control"] == "no-store"
        assert "Set-Cookie" not in each.headers
        assert "Accept" in each.headers["Vary"]
        assert "Cookie" not in each.headers["Vary"]


def test_liveness_uses_neither_the_database_nor_the_session(client: FlaskClient, app: Flask) -> None:
    client.set_cookie("session", "anything")
    for headers in ({}, HTML):
        with recorded_queries(app) as queries:
            assert client.get("/health/live", headers=headers).status_code == 200
        assert queries == []
    assert client.get("/health/live").get_json() == {"status": "ok"}


def test_liveness_does_not_depend_on_the_database(broken: FlaskClient) -> None:
    assert broken.get("/health/live").status_code == 200


def test_readiness_reports_the_database_the_migrations_and_the_scheduler(client: FlaskClient, session: Session) -> None:
    body = client.get("/health/ready").get_json()
    assert body["status"] == "warning"
    assert {name: check["status"] for name, check in body["checks"].items()} == {
        "database": "ok",
        "migrations": "ok",
        "scheduler": "warning",
    }
    assert body["checks"]["scheduler"]["message"] == "No scheduler is running; no job has started yet."

    now = utc_now()
    session.add(Lease(name="scheduler", holder="web", held_until=now.replace(year=now.year + 1)))
    session.add(JobRun(job="refresh", tick_at=now, holder="web", started_at=now))
    session.commit()
    body = client.get("/health/ready").get_json()
    assert body["status"] == "ok"
    assert body["checks"]["scheduler"]["message"].startswith("A scheduler is running; the last job started ")


def test_a_site_without_its_migrations_is_not_ready(client: FlaskClient, app: Flask) -> None:
    with app.app_context():
        downgrade(revision="0006")
    response = client.get("/health/ready")
    check = response.get_json()["checks"]["migrations"]
    assert (response.status_code, check["status"]) == (503, "failing")
    assert check["message"].startswith("The database has revision 0006, but this version needs ")
    with app.app_context():
        downgrade(revision="base")
        with db.engine.begin() as connection:
            connection.exec_driver_sql("DROP TABLE alembic_version")
    assert client.get("/health/ready").status_code == 503


def test_a_site_whose_database_is_newer_stays_ready(client: FlaskClient, session: Session) -> None:
    session.execute(db.text("UPDATE alembic_version SET version_num = '9999'"))
    session.commit()
    response = client.get("/health/ready")
    assert (response.status_code, response.get_json()["checks"]["migrations"]["status"]) == (200, "warning")


def test_a_site_without_its_database_is_not_ready(broken: FlaskClient) -> None:
    response = broken.get("/health/ready")
    assert response.status_code == 503
    assert response.get_json() == {
        "status": "failing",
        "checks": {"database": {"status": "failing", "message": "The database is not available."}},
    }
    page = broken.get("/health/ready", headers=HTML)
    assert (page.status_code, "<h1>The site is not healthy</h1>" in page.text) == (503, True)


def test_the_health_check_has_the_names_of_django_packages(client: FlaskClient, broken: FlaskClient) -> None:
    assert client.get("/health/").get_json() == {"Cache(alias='default')": "OK", "Database(alias='default')": "OK"}
    response = broken.get("/health/")
    assert response.status_code == 500
    assert response.get_json() == {"Cache(alias='default')": "OK", "Database(alias='default')": "unavailable"}


def test_the_health_check_reads_the_counters_of_the_rate_limits(
    make_app: Callable[..., Flask], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = make_app(shared=False, LIMITS="on")
    assert app.test_client().get("/health/").get_json()["Cache(alias='default')"] == "OK"
    monkeypatch.setattr("pkgsite.limits.SqliteStorage._connection", unavailable)
    response = app.test_client().get("/health/")
    assert (response.status_code, response.get_json()["Cache(alias='default')"]) == (500, "unavailable")


def unavailable(_storage: object) -> None:
    raise sqlite3.OperationalError("unable to open database file")
