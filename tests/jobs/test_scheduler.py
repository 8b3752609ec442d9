"""The timetable in one process: what starts it, what a run leaves in the log, and how it ends."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select
from sqlalchemy.exc import OperationalError

from pkgsite.errors import Unavailable
from pkgsite.extensions import db
from pkgsite.jobs import scheduler as scheduling
from pkgsite.jobs.scheduler import Scheduler
from pkgsite.jobs.timetable import JOB_FUNCTIONS
from pkgsite.models import JobRun, Lease
from pkgsite.rules.timetable import HOUSEKEEPING, SAMPLES, SCORES, SOURCES
from tests.jobs.fake_hosts import RefreshedSite

Start = Callable[[], Scheduler]


@pytest.fixture
def start(site: RefreshedSite) -> Iterator[Start]:
    """A function that starts a scheduler in this process."""
    started: list[Scheduler] = []

    def begin() -> Scheduler:
        started.append(Scheduler(site.app))
        started[-1].start()
        return started[-1]

    yield begin
    for one in started:
        if not one._stop.is_set():
            one.stop()
    assert wait_for(lambda: not threads()), threads()


def threads() -> list[str]:
    """Return the threads of schedulers and of their jobs: the database must not go while one of them uses it."""
    names = ("APScheduler", "ThreadPoolExecutor")
    return [thread.name for thread in threading.enumerate() if thread.name.startswith(names)]


def wait_for(condition: Callable[[], Any]) -> bool:
    ends_at = time.monotonic() + 30
    while not condition():
        if time.monotonic() > ends_at:
            return False
        time.sleep(0.02)
    return True


def ended(site: RefreshedSite, job: str) -> JobRun | None:
    with site.app.app_context():
        found = db.session.scalar(select(JobRun).where(JobRun.job == job, JobRun.ended_at.is_not(None)))
        db.session.expunge_all()
        db.session.remove()
        return found


def test_every_job_runs_and_is_logged(site: RefreshedSite, start: Start) -> None:
    site.add_package_per_host()
    start()
    assert wait_for(lambda: all(ended(site, job.name) for job in JOB_FUNCTIONS)), [
        ended(site, job.name) for job in JOB_FUNCTIONS
    ]
    found = {job: ended(site, job.name) for job in (SOURCES, SAMPLES, SCORES, HOUSEKEEPING)}
    assert all(run and run.error is None and run.result is not None for run in found.values())
    assert site.package("at-github-com").stars == 511


def test_a_failing_job_is_logged_and_stops_no_other(
    site: RefreshedSite, start: Start, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(_work: object) -> dict[str, Any]:
        raise ZeroDivisionError("by zero")

    def unreachable(_work: object) -> dict[str, Any]:
        raise Unavailable("nobody answers")

    monkeypatch.setitem(JOB_FUNCTIONS, SAMPLES, fail)
    monkeypatch.setitem(JOB_FUNCTIONS, SCORES, unreachable)
    start()
    assert wait_for(lambda: ended(site, SAMPLES.name) and ended(site, SCORES.name) and ended(site, SOURCES.name))
    errors = {job: (ended(site, job.name) or JobRun()).error for job in (SAMPLES, SCORES, SOURCES)}
    assert errors == {SAMPLES: "ZeroDivisionError: by zero", SCORES: "nobody answers", SOURCES: None}
    assert "samples failed" in caplog.text


def test_one_of_two_has_the_duty_and_gives_it_up(site: RefreshedSite, start: Start) -> None:
    first = start()
    assert wait_for(lambda: first.holds_lease)
    second = start()
    assert wait_for(lambda: ended(site, HOUSEKEEPING.name))
    assert not second.holds_lease
    first.stop()
    assert not first.holds_lease
    second._heartbeat()  # its next heartbeat
    assert second.holds_lease
    with site.app.app_context():
        assert db.session.scalars(select(Lease.holder)).all() == [second._name]
        db.session.remove()


def test_a_database_that_does_not_answer_once_loses_nothing(
    site: RefreshedSite, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = start()
    assert wait_for(lambda: one.holds_lease)

    def fail(*_args: object, **_options: object) -> bool:
        raise OperationalError("SELECT", {}, Exception("gone away"))

    with monkeypatch.context() as patch:
        patch.setattr(scheduling, "acquire_lease", fail)
        one._heartbeat()
    assert one.holds_lease  # it still is: the time that was granted has not run out
    one._heartbeat()
    assert one.holds_lease


def test_nothing_starts_it_but_a_serving_worker(make_app: Callable[..., Flask]) -> None:
    app = make_app(SCHEDULER="web")
    assert app.test_client().get("/").status_code == 200
    assert app.test_cli_runner().invoke(args=["jobs", "--help"]).exit_code == 0
    assert threads() == []
    with app.app_context():
        assert db.session.scalars(select(Lease)).all() == []
