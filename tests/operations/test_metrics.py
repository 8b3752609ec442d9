"""Prometheus metrics: only with the token, for all worker processes together."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
import requests
from flask import Flask
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy.orm import Session

from pkgsite.clock import utc_now
from pkgsite.extensions import db
from pkgsite.models import JobRun
from pkgsite.operations import statements
from tests import processes
from tests.conftest import make_config, new_app
from tests.databases import free_port
from tests.test_server import fetch

TOKEN = {"Authorization": "Bearer s3cret"}


@pytest.fixture
def measured_app(make_app: Callable[..., Flask], monkeypatch: pytest.MonkeyPatch) -> Flask:
    # Tests share their engine, so the listeners of this application would stay.
    monkeypatch.setattr("pkgsite.operations.metrics.observe_statements", lambda _engine, observe: observe("", 0.002))
    return make_app(shared=False, METRICS_TOKEN="s3cret")


def samples(text: str) -> dict[tuple[str, ...], float]:
    """Return the values of all samples by name and labels."""
    families = text_string_to_metric_families(text)
    return {
        (sample.name, *(f"{name}={value}" for name, value in sorted(sample.labels.items()))): sample.value
        for family in families
        for sample in family.samples
    }


def test_metrics_require_the_token(measured_app: Flask, make_app: Callable[..., Flask]) -> None:
    client = measured_app.test_client()
    for headers in ({}, {"Authorization": "Bearer other"}, {"Authorization": "Bearer ä"}, {"Authorization": "s3cret"}):
        assert client.get("/metrics", headers=headers).status_code == 404
    assert client.get("/metrics", headers=TOKEN).status_code == 200
    assert make_app().test_client().get("/metrics", headers={"Authorization": "Bearer "}).status_code == 404


def test_metrics_count_requests_and_describe_jobs(measured_app: Flask, session: Session) -> None:
    now = utc_now()
    session.add(JobRun(job="refresh", tick_at=now, holder="x", started_at=now, ended_at=now, error="failed"))
    session.commit()
    client = measured_app.test_client()
    for path in ("/about/", "/about/", "/no-such-page/", "/api/v4/"):
        client.get(path)
    client.open("/about/", method="BREW")
    response = client.get("/metrics", headers=TOKEN)
    assert response.content_type.startswith("text/plain; version=")
    values = samples(response.text)
    requests_total = "pkgsite_http_requests_total"
    assert values[requests_total, "endpoint=site.about", "method=GET", "status=200"] == 2
    assert values[requests_total, "endpoint=none", "method=GET", "status=404"] == 1
    assert values[requests_total, "endpoint=none", "method=other", "status=405"] == 1
    assert values["pkgsite_http_request_duration_seconds_count", "endpoint=site.about"] == 2
    assert values["pkgsite_database_statement_duration_seconds_count",] == 1
    assert values["pkgsite_database_up",] == 1
    assert values["pkgsite_scheduler_running",] == 0
    assert values["pkgsite_job_last_failed", "job=refresh"] == 1
    assert values["pkgsite_job_last_end_timestamp_seconds", "job=refresh"] == pytest.approx(now.timestamp())
    assert any(key[0] == "pkgsite_build_info" for key in values)


def test_metrics_are_available_while_the_database_is_not(tmp_path: Path) -> None:
    app = new_app(make_config(f"sqlite:///{tmp_path}/missing/x.db", tmp_path, METRICS_TOKEN="s3cret"))
    values = samples(app.test_client().get("/metrics", headers=TOKEN).text)
    assert values["pkgsite_database_up",] == 0
    assert ("pkgsite_scheduler_running",) not in values


def test_statements_are_measured(tmp_path: Path) -> None:
    engine = db.create_engine("sqlite://")
    seen: list[str] = []
    for _ in range(2):
        statements.observe_statements(engine, lambda statement, seconds: seen.append(f"{statement} {seconds >= 0}"))
    with engine.connect() as connection:
        connection.exec_driver_sql("SELECT 1")
    engine.dispose()
    assert seen == ["SELECT 1 True"] * 2


@pytest.mark.long
def test_metrics_cover_all_workers(database_url: str, tmp_path: Path) -> None:
    port = free_port()
    environment = os.environ | {
        "DATABASE_URL": database_url,
        "DATA_DIR": str(tmp_path),
        "PORT": str(port),
        "SCHEDULER": "off",
        "METRICS_TOKEN": "s3cret",
    }
    process = processes.start("-m", "flask", "--app", "wsgi", "serve", env=environment, start_new_session=True)
    site = f"http://127.0.0.1:{port}"
    try:
        fetch(site, "/about/")
        for _ in range(19):  # each on a connection of its own, which any worker may accept
            assert requests.get(f"{site}/about/", timeout=30).status_code == 200
        values = samples(requests.get(f"{site}/metrics", headers=TOKEN, timeout=30).text)
        assert values["pkgsite_http_requests_total", "endpoint=site.about", "method=GET", "status=200"] == 20
    finally:
        process.send_signal(signal.SIGTERM)
        _, log = process.communicate(timeout=60)
    assert "Traceback" not in log
