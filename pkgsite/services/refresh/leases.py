"""Who does the scheduled work, and the log of what came of it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import delete, func, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from pkgsite.models import JobRun, Lease, begin_write

MAX_ERROR_LENGTH = 500  # characters that the log keeps


def acquire_lease(session: Session, name: str, *, holder: str, ttl: timedelta, now: datetime) -> bool:
    """Take or renew a duty, and tell whether it is ours: it is not while another holder's time has not run out."""
    begin_write(session)
    lease = session.get(Lease, name, with_for_update=True)
    if lease is None:
        return _try_insert(session, Lease(name=name, holder=holder, held_until=now + ttl))
    if lease.holder != holder and lease.held_until > now:
        return False
    lease.holder, lease.held_until = holder, now + ttl
    return True


def release_lease(session: Session, name: str, *, holder: str, now: datetime) -> None:
    """Let another take a duty at once, if it is ours."""
    session.execute(update(Lease).where(Lease.name == name, Lease.holder == holder).values(held_until=now))


def start_run(session: Session, job: str, tick_at: datetime, *, lease: str, holder: str, now: datetime) -> int | None:
    """Note that a job begins to run for a tick, and return the run's id; None if that tick has had its run.

    A run that another holder began and did not end died with it: it is begun anew. So only who has the duty may begin
    one: another may have taken it while this holder still believed in it (a machine that slept, clocks that differ).
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
    """Note what came of a run."""
    message = error[:MAX_ERROR_LENGTH] if error else None
    session.execute(
        update(JobRun)
        .where(JobRun.id == run_id)
        .values(ended_at=now, result=None if result is None else dict(result), error=message)
    )


def delete_old_runs(session: Session, *, before: datetime) -> int:
    """Remove runs from the log that began before a time, but the last of each job; return how many."""
    last = select(func.max(JobRun.id)).group_by(JobRun.job)
    result = session.execute(delete(JobRun).where(JobRun.started_at < before, JobRun.id.not_in(last)))
    return result.rowcount  # type: ignore[attr-defined,no-any-return]


def _try_insert(session: Session, row: Lease | JobRun) -> bool:
    """Add a row, unless another process has added it at this moment."""
    try:
        with session.begin_nested():
            session.add(row)
    except IntegrityError:
        return False
    return True
