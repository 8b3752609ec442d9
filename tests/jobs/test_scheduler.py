"""The scheduler of one process: start, log of runs, and stop."""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import delete, select
from sqlalchemy.exc import OperationalError

from pkgsite import outages
from pkgsite.clock import utc_now
from pkgsite.errors import Unavailable
from pkgsite.extensions import db
from pkgsite.jobs import scheduler as scheduling
from pkgsite.jobs.scheduler import Scheduler
from pkgsite.jobs.timetable import JOB_FUNCTIONS
from pkgsite.models import JobRun, Lease
from pkgsite.rules.timetable import HOUSEKEEPING, SAMPLES, SCORES, SOURCES
from tests.jobs.fake_hosts import RefreshedSite
from tests.waiting import wait_until

Start = Callable[[], Scheduler]


@pytest.fixture
def start(site: RefreshedSite) -> Iterator[Start]:
    """A function that starts a scheduler in this process."""
    started: list[Scheduler] = []

    def start_scheduler() -> Scheduler:
        started.append(Scheduler(site.app))
        started[-1].start()
        return started[-1]

    yield start_scheduler
    for scheduler in started:
        if not scheduler._stop.is_set():
            scheduler.stop()
    assert wait_until(lambda: not threads()), threads()


def threads() -> list[str]:
    """Return the threads of schedulers and jobs, which must end before the database is removed."""
    names = ("APScheduler", "ThreadPoolExecutor", "scheduler-heartbeat")
    return [thread.name for thread in threading.enumerate() if thread.name.startswith(names)]


def ended_run(site: RefreshedSite, job: str) -> JobRun | None:
    with site.app.app_context():
        run = db.session.scalar(select(JobRun).where(JobRun.job == job, JobRun.ended_at.is_not(None)))
        db.session.expunge_all()
        db.session.remove()
        return run


def test_every_job_runs_and_is_logged(site: RefreshedSite, start: Start) -> None:
    site.add_package_per_host()
    start()
    assert wait_until(lambda: all(ended_run(site, job.name) for job in JOB_FUNCTIONS)), [
        ended_run(site, job.name) for job in JOB_FUNCTIONS
    ]
    runs = {job: ended_run(site, job.name) for job in (SOURCES, SAMPLES, SCORES, HOUSEKEEPING)}
    assert all(run and run.error is None and run.result is not None for run in runs.values())
    assert site.package("at-github-com").stars == 511


def test_failing_job_is_logged_and_does_not_stop_others(
    site: RefreshedSite, start: Start, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(_context: object) -> dict[str, Any]:
        raise ZeroDivisionError("by zero")

    def unreachable(_context: object) -> dict[str, Any]:
        raise Unavailable("host is unreachable")

    monkeypatch.setitem(JOB_FUNCTIONS, SAMPLES, fail)
    monkeypatch.setitem(JOB_FUNCTIONS, SCORES, unreachable)
    start()
    assert wait_until(
        lambda: ended_run(site, SAMPLES.name) and ended_run(site, SCORES.name) and ended_run(site, SOURCES.name)
    )
    errors = {job: (ended_run(site, job.name) or JobRun()).error for job in (SAMPLES, SCORES, SOURCES)}
    assert errors == {SAMPLES: "ZeroDivisionError: by zero", SCORES: "host is unreachable", SOURCES: None}
    assert "samples failed" in caplog.text


def test_one_of_two_schedulers_holds_the_lease_and_releases_it(site: RefreshedSite, start: Start) -> None:
    first = start()
    assert wait_until(lambda: first.holds_lease)
    second = start()
    assert wait_until(lambda: ended_run(site, HOUSEKEEPING.name))
    assert not second.holds_lease
    first.stop()
    assert not first.holds_lease
    second._heartbeat()  # its next heartbeat
    assert second.holds_lease
    with site.app.app_context():
        assert db.session.scalars(select(Lease.holder)).all() == [second._name]
        db.session.remove()


def test_lease_survives_one_database_failure(
    site: RefreshedSite, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    scheduler = start()
    assert wait_until(lambda: scheduler.holds_lease)

    def fail(*_args: object, **_options: object) -> bool:
        raise OperationalError("SELECT", {}, Exception("gone away"))

    with monkeypatch.context() as patch:
        patch.setattr(scheduling, "acquire_lease", fail)
        scheduler._heartbeat()
    assert scheduler.holds_lease  # the lease has not expired yet
    scheduler._heartbeat()
    assert scheduler.holds_lease


def test_outage_of_the_database_is_one_line_in_the_log(
    start: Start, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    scheduler = start()
    assert wait_until(lambda: scheduler.holds_lease)

    def fail(*_args: object, **_options: object) -> bool:
        raise OperationalError("SELECT", {}, sqlite3.OperationalError("unable to open database file"))

    with monkeypatch.context() as patch:
        patch.setattr(outages._LastFailure, "at", None)
        patch.setattr(scheduling, "acquire_lease", fail)
        patch.setattr(scheduling, "start_run", fail)
        caplog.clear()
        for _ in range(3):
            scheduler._heartbeat()
            scheduler._run_job(HOUSEKEEPING)
    (record,) = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert record.getMessage() == "The database is not available: unable to open database file"
    assert record.exc_info is None


def test_jobs_run_after_a_clock_that_was_ahead_is_set_back(
    site: RefreshedSite, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    scheduler = start()
    assert wait_until(lambda: all(ended_run(site, job.name) for job in JOB_FUNCTIONS))
    later = utc_now() + timedelta(days=400)
    for job in JOB_FUNCTIONS:
        scheduler._scheduler.modify_job(job.name, next_run_time=later)
    with site.app.app_context():
        db.session.execute(delete(JobRun))
        db.session.commit()
        db.session.remove()
    scheduler._heartbeat()
    assert wait_until(lambda: all(ended_run(site, job.name) for job in JOB_FUNCTIONS))


def test_only_serving_workers_start_the_scheduler(make_app: Callable[..., Flask]) -> None:
    app = make_app(SCHEDULER="web")
    assert app.test_client().get("/").status_code == 200
    assert app.test_cli_runner().invoke(args=["jobs", "--help"]).exit_code == 0
    assert threads() == []
    with app.app_context():
        assert db.session.scalars(select(Lease)).all() == []
