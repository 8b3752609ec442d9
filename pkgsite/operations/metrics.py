"""Metrics in the Prometheus format, at /metrics.

Each process counts its own requests. With several processes, the environment variable PROMETHEUS_MULTIPROC_DIR names a
directory where they share their counts; `serve` sets it.
"""

from __future__ import annotations

import hmac
import os
import time
from collections.abc import Iterator
from typing import Any

from flask import Blueprint, Flask, Response, abort, current_app, g, request
from sqlalchemy.exc import DBAPIError

from pkgsite.clock import utc_now
from pkgsite.extensions import db
from pkgsite.operations.statements import observe_statements
from pkgsite.outages import report_outage
from pkgsite.services.status import is_scheduler_running, last_runs

SHARED_DIRECTORY = "PROMETHEUS_MULTIPROC_DIR"  # environment variable of prometheus-client
METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}
REQUEST_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
STATEMENT_BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1, 5)

pages = Blueprint("metrics", __name__)


class RequestMetrics:
    """The metrics that this process counts."""

    def __init__(self) -> None:
        from prometheus_client import CollectorRegistry, Counter, Histogram  # only for sites that use it

        self.registry = CollectorRegistry()
        self.requests = Counter(
            "pkgsite_http_requests",
            "Requests by method, endpoint and status.",
            ["method", "endpoint", "status"],
            registry=self.registry,
        )
        self.durations = Histogram(
            "pkgsite_http_request_duration_seconds",
            "Time until a response was ready to be sent.",
            ["endpoint"],
            buckets=REQUEST_BUCKETS,
            registry=self.registry,
        )
        self.statements = Histogram(
            "pkgsite_database_statement_duration_seconds",
            "Duration of database statements.",
            buckets=STATEMENT_BUCKETS,
            registry=self.registry,
        )

    def count_request(self, response: Response) -> Response:
        endpoint = request.endpoint or "none"
        method = request.method if request.method in METHODS else "other"
        self.requests.labels(method, endpoint, str(response.status_code)).inc()
        if "request_started" in g:
            self.durations.labels(endpoint).observe(time.perf_counter() - g.request_started)
        return response


class SiteCollector:
    """The metrics that are read from the database when they are requested."""

    def __init__(self, version: str) -> None:
        self._version = version

    def collect(self) -> Iterator[Any]:
        from prometheus_client.core import GaugeMetricFamily

        build = GaugeMetricFamily("pkgsite_build_info", "Version of pkgsite.", labels=["version"])
        build.add_metric([self._version], 1)
        yield build
        up = GaugeMetricFamily("pkgsite_database_up", "Whether the database is available.")
        scheduler = GaugeMetricFamily("pkgsite_scheduler_running", "Whether a process runs the scheduled jobs.")
        ends = GaugeMetricFamily(
            "pkgsite_job_last_end_timestamp_seconds", "When the last run of a job ended.", labels=["job"]
        )
        failures = GaugeMetricFamily("pkgsite_job_last_failed", "Whether the last run of a job failed.", labels=["job"])
        try:
            scheduler.add_metric([], is_scheduler_running(db.session(), now=utc_now()))
            for run in last_runs(db.session()):
                ends.add_metric([run.job], run.ended_at.timestamp())
                failures.add_metric([run.job], run.has_failed)
        except DBAPIError as error:
            report_outage(error)
            up.add_metric([], 0)
            yield up
            return
        up.add_metric([], 1)
        yield from (up, scheduler, ends, failures)


def init_app(app: Flask, version: str) -> None:
    app.register_blueprint(pages)
    if app.config["METRICS_TOKEN"]:
        metrics = RequestMetrics()
        app.extensions["metrics"] = metrics, SiteCollector(version)
        app.after_request(metrics.count_request)
        with app.app_context():
            observe_statements(db.engine, lambda _statement, seconds: metrics.statements.observe(seconds))


@pages.get("/metrics")
def show() -> Response:
    """Respond with all metrics to a request with the right token; to others, the URL does not exist."""
    token = current_app.config["METRICS_TOKEN"]
    given = request.headers.get("Authorization", "")
    if not token or not hmac.compare_digest(given.encode(), f"Bearer {token}".encode()):
        abort(404)
    from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
    from prometheus_client.multiprocess import MultiProcessCollector

    metrics, site = current_app.extensions["metrics"]
    if SHARED_DIRECTORY in os.environ:
        shared = CollectorRegistry()
        MultiProcessCollector(shared)  # type: ignore[no-untyped-call]
    else:
        shared = metrics.registry
    from_database = CollectorRegistry()
    from_database.register(site)
    body = generate_latest(shared) + generate_latest(from_database)
    return Response(body, content_type=CONTENT_TYPE_LATEST, headers={"Cache-Control": "no-store"})
