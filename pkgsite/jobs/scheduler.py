"""Runs the timetable in one of many processes: the one that holds the lease, which a heartbeat renews.

When the holder dies, the lease expires, and another process acquires it within `LEASE_TTL` plus a heartbeat, which is
less than a minute. Each tick of a job runs once regardless of the holder, because the log allows one run per tick.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.base import BaseTrigger
from flask import Flask
from sqlalchemy.exc import SQLAlchemyError

from pkgsite.clock import utc_now
from pkgsite.errors import UpstreamError
from pkgsite.extensions import gateways
from pkgsite.jobs.refresh import retry_in_transaction, run_in_transaction, worker_name
from pkgsite.jobs.timetable import JOB_FUNCTIONS, JobContext
from pkgsite.outages import was_outage
from pkgsite.rules.freshness import CLOCK_TOLERANCE
from pkgsite.rules.timetable import Job
from pkgsite.services.refresh.leases import acquire_lease, finish_run, release_lease, start_run

log = logging.getLogger(__name__)

LEASE = "scheduler"
LEASE_TTL = timedelta(seconds=35)
HEARTBEAT_INTERVAL = timedelta(seconds=10)
T = TypeVar("T")


def log_failure(error: Exception, message: str, *args: object) -> None:
    """Log an error with its traceback; an outage of the database is one line, however many jobs it affects."""
    if not was_outage(error):
        log.error(message, *args, exc_info=error)


class TickTrigger(BaseTrigger):  # type: ignore[misc]  # APScheduler has no types
    """Fires at a job's ticks, even after an extra run between two ticks."""

    def __init__(self, job: Job) -> None:
        self._job = job

    def get_next_fire_time(self, previous_fire_time: datetime | None, now: datetime) -> datetime:  # noqa: ARG002
        return self._job.next_tick(now)


class Scheduler:
    """The timetable of a process, active while the process holds the lease."""

    def __init__(self, app: Flask) -> None:
        self._app = app
        self._name = worker_name()
        self._stop = threading.Event()
        self._lease_lock = threading.Lock()
        # Not a job of APScheduler, which would wait until the same time again after the clock was set back.
        self._heartbeat_thread = threading.Thread(target=self._beat, name="scheduler-heartbeat", daemon=True)
        self._lease_expires_at = 0.0  # time.monotonic, so that setting the clock back does not extend it
        with app.app_context():
            self._context = JobContext(app, gateways(), self._stop)
        self._scheduler = BackgroundScheduler(
            timezone=UTC,
            executors={"default": ThreadPoolExecutor(len(JOB_FUNCTIONS))},  # no job delays another one
            job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None},
        )

    @property
    def holds_lease(self) -> bool:
        return time.monotonic() < self._lease_expires_at

    def start(self) -> None:
        """Start the jobs in background threads."""
        # APScheduler warns about each tick that is skipped because the job is still running.
        logging.getLogger("apscheduler").setLevel(logging.ERROR)
        for job in JOB_FUNCTIONS:
            self._scheduler.add_job(self._run_job, TickTrigger(job), args=[job], id=job.name)
        self._scheduler.start()
        self._heartbeat_thread.start()

    def stop(self) -> None:
        """Stop after the active requests, release the other claims, and release the lease."""
        self._stop.set()
        with self._lease_lock:  # after an active heartbeat, which may have acquired the lease
            self._scheduler.shutdown(wait=False)
            self._release_lease()

    def _beat(self) -> None:
        """Run the heartbeat until the scheduler stops."""
        while not self._stop.is_set():
            try:
                self._heartbeat()
            except Exception:  # a bug must not end the heartbeat
                log.exception("the scheduler's heartbeat failed")
            self._stop.wait(HEARTBEAT_INTERVAL.total_seconds())

    def _release_lease(self) -> None:
        if not self.holds_lease:
            return
        self._lease_expires_at = 0.0
        try:
            self._retry_in_transaction(release_lease, LEASE, holder=self._name, now=utc_now())
        except SQLAlchemyError as error:
            log_failure(error, "could not release the scheduler lease; it expires in %s s", LEASE_TTL.seconds)

    def _heartbeat(self) -> None:
        """Acquire or renew the lease; after acquiring it, run each job whose last tick was missed.

        A scheduler that is stopping releases the lease instead. A job also runs if it waits for a time after its next
        tick, which happens when the clock was ahead.
        """
        with self._lease_lock:
            if self._stop.is_set():
                self._release_lease()
                return
            had_lease = self.holds_lease
            try:
                self._acquire_lease()
            except SQLAlchemyError as error:
                log_failure(error, "could not renew the scheduler lease; retrying in %s s", HEARTBEAT_INTERVAL.seconds)
                return
            is_new = self.holds_lease and not had_lease
            if is_new:
                log.info("%s holds the scheduler lease", self._name)
            now = utc_now()
            for job in JOB_FUNCTIONS:
                if is_new or self._waits_too_long(job, now):
                    self._scheduler.modify_job(job.name, next_run_time=now)

    def _waits_too_long(self, job: Job, now: datetime) -> bool:
        scheduled = self._scheduler.get_job(job.name)
        return scheduled is not None and scheduled.next_run_time > job.next_tick(now) + CLOCK_TOLERANCE

    def _acquire_lease(self) -> None:
        requested_at = time.monotonic()
        has_lease = run_in_transaction(self._app, acquire_lease, LEASE, holder=self._name, ttl=LEASE_TTL, now=utc_now())
        self._lease_expires_at = requested_at + LEASE_TTL.total_seconds() if has_lease else 0.0

    def _run_job(self, job: Job) -> None:
        """Run a job for the current tick, unless that has run already or another process holds the lease."""
        if not self.holds_lease or self._stop.is_set():
            return
        try:
            run_id = self._start_run(job)
            if run_id is not None:
                self._finish_run(job, run_id)
        except SQLAlchemyError as error:  # the job runs again at the next tick
            log_failure(error, "could not record the run of %s", job.name)

    def _start_run(self, job: Job) -> int | None:
        """Record that the job starts, and return the run's id; None if it must not run."""
        now = utc_now()
        return self._retry_in_transaction(
            start_run, job.name, job.last_tick(now), lease=LEASE, holder=self._name, now=now
        )

    def _finish_run(self, job: Job, run_id: int) -> None:
        """Run the job and record its result or error."""
        outcome: dict[str, Any]
        try:
            with self._app.app_context():
                outcome = {"result": JOB_FUNCTIONS[job](self._context)}
        except UpstreamError as failure:
            log.debug("%s: %s", job.name, failure)  # the pause of the host has been logged
            outcome = {"error": str(failure)}
        except Exception as error:
            log_failure(error, "%s failed", job.name)
            outcome = {"error": f"{type(error).__name__}: {error}"}
        self._retry_in_transaction(finish_run, run_id, now=utc_now(), **outcome)

    def _retry_in_transaction(self, operation: Callable[..., T], *args: object, **options: object) -> T:
        """Run an operation in its own transaction, and again after transient database errors."""
        return retry_in_transaction(self._app, self._stop, operation, *args, **options)
