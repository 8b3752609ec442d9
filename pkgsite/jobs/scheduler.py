"""Runs the timetable in one process of many: the one that holds the lease, renewed by a heartbeat.

When its holder dies, the lease runs out, and another process has it within `LEASE_TTL` and a heartbeat: well below a
minute. A tick of a job runs once, whoever holds the lease, since the log takes one run of each tick.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.base import BaseTrigger
from apscheduler.triggers.interval import IntervalTrigger
from flask import Flask
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from pkgsite.clock import utc_now
from pkgsite.errors import UpstreamError
from pkgsite.extensions import db, gateways
from pkgsite.jobs.refresh import worker_name
from pkgsite.jobs.timetable import JOB_FUNCTIONS, JobContext
from pkgsite.rules.timetable import Job
from pkgsite.services.refresh.leases import acquire_lease, finish_run, release_lease, start_run

log = logging.getLogger(__name__)

LEASE = "scheduler"
LEASE_TTL = timedelta(seconds=35)
HEARTBEAT_INTERVAL = timedelta(seconds=10)
T = TypeVar("T")


class TickTrigger(BaseTrigger):  # type: ignore[misc]  # APScheduler has no types
    """Fires at a job's ticks, also after it has been made to run between two of them."""

    def __init__(self, job: Job) -> None:
        self._job = job

    def get_next_fire_time(self, previous_fire_time: datetime | None, now: datetime) -> datetime:  # noqa: ARG002
        return self._job.next_tick(now)


class Scheduler:
    """The timetable of one process, at work while the process holds the lease."""

    def __init__(self, app: Flask) -> None:
        self._app = app
        self._name = worker_name()
        self._stop = threading.Event()
        self._lease_expires_at = 0.0  # by time.monotonic: a clock that is set back does not lengthen it
        with app.app_context():
            self._context = JobContext(app, gateways(), self._stop)
        self._scheduler = BackgroundScheduler(
            timezone=UTC,
            # A thread for each job and one for the heartbeat: no job can keep the lease from being renewed.
            executors={"default": ThreadPoolExecutor(len(JOB_FUNCTIONS) + 1)},
            job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None},
        )

    @property
    def holds_lease(self) -> bool:
        return time.monotonic() < self._lease_expires_at

    def start(self) -> None:
        """Begin, in threads of its own."""
        # A job that is still at work at its next tick skips that one, and APScheduler says so each time.
        logging.getLogger("apscheduler").setLevel(logging.ERROR)
        now = utc_now()
        self._scheduler.add_job(self._heartbeat, IntervalTrigger(seconds=HEARTBEAT_INTERVAL.seconds), next_run_time=now)
        for job in JOB_FUNCTIONS:
            self._scheduler.add_job(self._run_job, TickTrigger(job), args=[job], id=job.name)
        self._scheduler.start()

    def stop(self) -> None:
        """End: what is being asked is finished, all else given back, and the lease is another's to take."""
        self._stop.set()
        self._scheduler.shutdown(wait=False)
        if self.holds_lease:
            self._lease_expires_at = 0.0
            self._in_transaction(release_lease, LEASE, holder=self._name, now=utc_now())

    def _heartbeat(self) -> None:
        """Take or renew the lease; who has it anew runs each job whose last tick has had no run."""
        requested_at, had_lease = time.monotonic(), self.holds_lease
        try:
            has_lease = self._in_transaction(acquire_lease, LEASE, holder=self._name, ttl=LEASE_TTL, now=utc_now())
        except SQLAlchemyError:
            log.exception("could not renew the scheduler lease; retrying in %s s", HEARTBEAT_INTERVAL.seconds)
            return
        self._lease_expires_at = (
            requested_at + LEASE_TTL.total_seconds() if has_lease and not self._stop.is_set() else 0.0
        )
        if has_lease and not had_lease:
            log.info("%s holds the scheduler lease", self._name)
            for job in JOB_FUNCTIONS:
                self._scheduler.modify_job(job.name, next_run_time=utc_now())

    def _run_job(self, job: Job) -> None:
        """Run a job for its present tick, unless that has had its run or another process has the lease."""
        if not self.holds_lease or self._stop.is_set():
            return
        now = utc_now()
        run_id = self._in_transaction(start_run, job.name, job.last_tick(now), lease=LEASE, holder=self._name, now=now)
        if run_id is None:
            return
        try:
            with self._app.app_context():
                result = JOB_FUNCTIONS[job](self._context)
        except UpstreamError as failure:
            log.warning("%s: %s", job.name, failure)
            self._in_transaction(finish_run, run_id, now=utc_now(), error=str(failure))
        except Exception as error:
            log.exception("%s failed", job.name)
            self._in_transaction(finish_run, run_id, now=utc_now(), error=f"{type(error).__name__}: {error}")
        else:
            self._in_transaction(finish_run, run_id, now=utc_now(), result=result)

    def _in_transaction(self, operation: Callable[..., T], *args: object, **options: object) -> T:
        """Do some work in a transaction of its own."""
        with self._app.app_context():
            session: Session = db.session()
            result = operation(session, *args, **options)
            session.commit()
            return result
