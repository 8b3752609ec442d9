"""Leases and the log of job runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from functools import partial
from threading import Barrier

import pytest
from flask import Flask
from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from pkgsite.extensions import db
from pkgsite.models import JobRun, Lease
from pkgsite.services.refresh.leases import acquire_lease, delete_old_runs, finish_run, release_lease, start_run
from tests.factories import NOW

LEASE_TTL = timedelta(seconds=35)
SECOND = timedelta(seconds=1)


@pytest.fixture
def acquire(session: Session) -> Iterator[Callable[..., bool]]:
    """A function that tries to acquire the lease at a time, in its own transaction like another process."""

    def try_acquire(holder: str, offset: timedelta) -> bool:
        session.rollback()
        is_acquired = acquire_lease(session, "scheduler", holder=holder, ttl=LEASE_TTL, now=NOW + offset)
        session.commit()
        return is_acquired

    yield try_acquire
    session.rollback()


def test_lease_is_exclusive_until_it_expires(acquire: Callable[..., bool]) -> None:
    assert acquire("one", 0 * SECOND)
    assert not acquire("two", 34 * SECOND)
    assert acquire("one", 30 * SECOND)  # renewed: until 65
    assert not acquire("two", 64 * SECOND)
    assert acquire("two", 65 * SECOND)
    assert not acquire("one", 66 * SECOND)


def test_lease_that_is_longer_than_any_is_replaced(acquire: Callable[..., bool]) -> None:
    """It was acquired with a clock that was ahead; clocks may differ by a minute."""
    assert acquire("ahead", 60 * SECOND)
    assert not acquire("two", 0 * SECOND)
    assert acquire("ahead", timedelta(days=400))
    assert acquire("two", SECOND)
    assert not acquire("ahead", 2 * SECOND)


def test_released_lease_can_be_acquired(session: Session, acquire: Callable[..., bool]) -> None:
    assert acquire("one", 0 * SECOND)
    release_lease(session, "scheduler", holder="two", now=NOW)
    session.commit()
    assert not acquire("two", SECOND)
    release_lease(session, "scheduler", holder="one", now=NOW + SECOND)
    session.commit()
    assert acquire("two", SECOND)
    assert session.scalars(select(Lease.holder)).all() == ["two"]


@pytest.fixture
def start(session: Session, acquire: Callable[..., bool]) -> Callable[..., int | None]:
    """A function that moves the lease to a holder and starts a run for a tick."""

    def start(holder: str, now: datetime, tick_at: datetime = NOW) -> int | None:
        session.execute(delete(Lease))
        session.commit()
        assert acquire(holder, now - NOW)
        run_id = start_run(session, "job", tick_at, lease="scheduler", holder=holder, now=now)
        session.commit()
        return run_id

    return start


def test_tick_runs_once(session: Session, start: Callable[..., int | None]) -> None:
    first = start("one", NOW)
    assert first is not None
    assert start("one", NOW + SECOND) is None
    finish_run(session, first, now=NOW + SECOND, result={"packages": 3})
    session.commit()
    assert start("two", NOW + 2 * SECOND) is None
    assert start("two", NOW + 2 * SECOND, NOW + SECOND) is not None
    run = session.get_one(JobRun, first)
    assert (run.result, run.error, run.ended_at) == ({"packages": 3}, None, NOW + SECOND)


def test_unfinished_run_of_another_holder_is_restarted(session: Session, start: Callable[..., int | None]) -> None:
    first = start("one", NOW)
    assert start("two", NOW + SECOND) == first
    run = session.get_one(JobRun, first)
    assert (run.holder, run.started_at) == ("two", NOW + SECOND)


def test_holder_without_lease_starts_no_run(
    session: Session, acquire: Callable[..., bool], start: Callable[..., int | None]
) -> None:
    assert acquire("one", 0 * SECOND)
    assert acquire("two", 36 * SECOND)  # while the first was suspended
    assert start_run(session, "job", NOW, lease="scheduler", holder="one", now=NOW + 36 * SECOND) is None
    session.commit()
    assert session.scalars(select(JobRun)).all() == []
    run_id = start("two", NOW + 36 * SECOND)
    assert start_run(session, "job", NOW, lease="scheduler", holder="one", now=NOW + 37 * SECOND) is None
    session.commit()
    assert session.execute(select(JobRun.id, JobRun.holder)).all() == [(run_id, "two")]


def run_concurrently(app: Flask, *operations: Callable[[Session], object]) -> list[object]:
    """Run operations at the same time, each in its own session, and return their results."""
    barrier = Barrier(len(operations))

    def run(operation: Callable[[Session], object]) -> object:
        with app.app_context():
            session = db.session()
            barrier.wait(timeout=30)
            result = operation(session)
            session.commit()
            return result

    with ThreadPoolExecutor(len(operations)) as pool:
        return list(pool.map(run, operations))


def test_concurrent_acquire_has_one_winner(app: Flask) -> None:
    holders = "abcde"
    operations = [partial(acquire_lease, name="scheduler", holder=holder, ttl=LEASE_TTL, now=NOW) for holder in holders]
    assert sorted(map(str, run_concurrently(app, *operations))) == ["False"] * 4 + ["True"]


def test_concurrent_start_has_one_winner(app: Flask, acquire: Callable[..., bool]) -> None:
    """All of them assume that they hold the lease, but only one does."""
    assert acquire("c", 0 * SECOND)
    operations = [
        partial(start_run, job="job", tick_at=NOW, lease="scheduler", holder=holder, now=NOW) for holder in "abcde"
    ]
    run_ids = run_concurrently(app, *operations)
    assert [holder for holder, run_id in zip("abcde", run_ids, strict=True) if run_id is not None] == ["c"]


def test_concurrent_start_of_one_holder_has_one_winner(app: Flask, acquire: Callable[..., bool]) -> None:
    assert acquire("one", 0 * SECOND)
    operation = partial(start_run, job="job", tick_at=NOW, lease="scheduler", holder="one", now=NOW)
    run_ids = run_concurrently(app, *[operation] * 5)
    assert len([run_id for run_id in run_ids if run_id is not None]) == 1


def test_long_errors_are_truncated(session: Session, start: Callable[..., int | None]) -> None:
    run_id = start("one", NOW)
    assert run_id is not None
    finish_run(session, run_id, now=NOW, error="x" * 5000)
    session.commit()
    run = session.get_one(JobRun, run_id)
    assert (len(run.error or ""), run.result, run.ended_at) == (500, None, NOW)


def test_old_runs_are_deleted_except_the_last_of_each_job(session: Session) -> None:
    for job, days in (("often", 20), ("often", 15), ("often", 1), ("rarely", 40), ("rarely", 30)):
        started_at = NOW - timedelta(days=days)
        session.add(JobRun(job=job, tick_at=started_at, started_at=started_at, holder="one", ended_at=started_at))
        session.flush()
    later = NOW + timedelta(days=400)
    session.add(JobRun(job="often", tick_at=later, started_at=later, holder="ahead"))
    session.flush()
    assert delete_old_runs(session, before=NOW - timedelta(days=14), after=NOW) == 3
    session.commit()
    remaining = session.execute(select(JobRun.job, JobRun.started_at).order_by(JobRun.id)).all()
    assert [(job, (NOW - started_at).days) for job, started_at in remaining] == [("often", 1), ("rarely", 30)]
