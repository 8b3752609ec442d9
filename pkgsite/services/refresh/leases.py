"""Leases, which decide which process runs the scheduled jobs, and the log of job runs."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import delete, func, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from pkgsite.models import JobRun, Lease, begin_write
from pkgsite.rules.freshness import CLOCK_TOLERANCE

MAX_ERROR_LENGTH = 500  # in characters


def acquire_lease(session: Session, name: str, *, holder: str, ttl: timedelta, now: datetime) -> bool:
    """Acquire or renew a lease; return False if another holder's lease has not expired.

    A lease that ends later than `ttl` allows is from a holder whose clock was ahead, and is replaced.
    """
    begin_write(session)
    lease = session.get(Lease, name, with_for_update=True)
    if lease is None:
        return _try_insert(session, Lease(name=name, holder=holder, held_until=now + ttl))
    if lease.holder != holder and now < lease.held_until <= now + ttl + CLOCK_TOLERANCE:
        return False
    lease.holder, lease.held_until = holder, now + ttl
    return True


def release_lease(session: Session, name: str, *, holder: str, now: datetime) -> None:
    """Release a lease if it is held by `holder`."""
    session.execute(update(Lease).where(Lease.name == name, Lease.holder == holder).values(held_until=now))


def start_run(session: Session, job: str, tick_at: datetime, *, lease: str, holder: str, now: datetime) -> int | None:
    """Record that a job starts for a tick, and return the run's id; None if that tick has run already.

    An unfinished run of another holder died with it and is restarted. The lease is checked again here, because it may
    have been lost without the holder noticing (after suspend, or if clocks differ).
    """
    begin_write(session)
    if session.scalar(select(Lease.holder).where(Lease.name == lease).with_for_update(read=True)) != holder:
        return None
    run = session.scalar(select(JobRun).where(JobRun.job == job, JobRun.tick_at == tick_at).with_for_update())
    if run is None:
        run = JobRun(job=job, tick_at=tick_at, holder=holder, started_at=now)
        return run.id if _try_insert(session, run) else None
    if run.ended_at is not None or run.holder == holder:
        return None
    run.holder, run.started_at = holder, now
    return run.id


def finish_run(
    session: Session, run_id: int, *, now: datetime, result: Mapping[str, Any] | None = None, error: str | None = None
) -> None:
    """Record the end of a run, with its result or error."""
    message = error[:MAX_ERROR_LENGTH] if error else None
    session.execute(
        update(JobRun)
        .where(JobRun.id == run_id)
        .values(ended_at=now, result=None if result is None else dict(result), error=message)
    )


def delete_old_runs(session: Session, *, before: datetime, after: datetime | None = None) -> int:
    """Delete the runs that started before one time, except the last of each job, or after another one.

    Args:
        session: Database session.
        before: Older runs are deleted.
        after: Later runs are from a process whose clock was ahead.

    Returns:
        The number of deleted runs.
    """
    if after is not None:
        session.execute(delete(JobRun).where(JobRun.started_at > after))
    last = select(func.max(JobRun.id)).group_by(JobRun.job)
    result = session.execute(delete(JobRun).where(JobRun.started_at < before, JobRun.id.not_in(last)))
    return result.rowcount  # type: ignore[attr-defined,no-any-return]


def _try_insert(session: Session, row: Lease | JobRun) -> bool:
    """Insert a row; return False if another process has inserted it concurrently."""
    try:
        with session.begin_nested():
            session.add(row)
    except IntegrityError:
        return False
    return True
