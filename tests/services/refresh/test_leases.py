"""Who does the scheduled work, and the log of what came of it."""

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
    """A function that tries to take the duty at a time, as another process would: in a transaction of its own."""

    def tried(holder: str, at: timedelta) -> bool:
        session.rollback()
        has_it = acquire_lease(session, "duty", holder=holder, ttl=LEASE_TTL, now=NOW + at)
        session.commit()
        return has_it

    yield tried
    session.rollback()


def test_one_has_it_until_its_time_runs_out(acquire: Callable[..., bool]) -> None:
    assert acquire("one", 0 * SECOND)
    assert not acquire("two", 34 * SECOND)
    assert acquire("one", 30 * SECOND)  # renewed: until 65
    assert not acquire("two", 64 * SECOND)
    assert acquire("two", 65 * SECOND)
    assert not acquire("one", 66 * SECOND)


def test_who_leaves_gives_it_up(session: Session, acquire: Callable[..., bool]) -> None:
    assert acquire("one", 0 * SECOND)
    release_lease(session, "duty", holder="two", now=NOW)
    session.commit()
    assert not acquire("two", SECOND)
    release_lease(session, "duty", holder="one", now=NOW + SECOND)
    session.commit()
    assert acquire("two", SECOND)
    assert session.scalars(select(Lease.holder)).all() == ["two"]


@pytest.fixture
def start(session: Session, acquire: Callable[..., bool]) -> Callable[..., int | None]:
    """A function that has a holder take the duty, after the one before, and begin a job's run for a tick."""

    def begun(holder: str, at: datetime, tick_at: datetime = NOW) -> int | None:
        session.execute(delete(Lease))
        session.commit()
        assert acquire(holder, at - NOW)
        run_id = start_run(session, "job", tick_at, lease="duty", holder=holder, now=at)
        session.commit()
        return run_id

    return begun


def test_a_tick_has_one_run(session: Session, start: Callable[..., int | None]) -> None:
    first = start("one", NOW)
    assert first is not None
    assert start("one", NOW + SECOND) is None
    finish_run(session, first, now=NOW + SECOND, result={"packages": 3})
    session.commit()
    assert start("two", NOW + 2 * SECOND) is None
    assert start("two", NOW + 2 * SECOND, NOW + SECOND) is not None
    run = session.get_one(JobRun, first)
    assert (run.result, run.error, run.ended_at) == ({"packages": 3}, None, NOW + SECOND)


def test_a_run_that_died_with_its_holder_is_begun_anew(session: Session, start: Callable[..., int | None]) -> None:
    first = start("one", NOW)
    assert start("two", NOW + SECOND) == first
    run = session.get_one(JobRun, first)
    assert (run.holder, run.started_at) == ("two", NOW + SECOND)


def test_who_has_lost_the_duty_without_knowing_begins_nothing(
    session: Session, acquire: Callable[..., bool], start: Callable[..., int | None]
) -> None:
    assert acquire("one", 0 * SECOND)
    assert acquire("two", 36 * SECOND)  # while the first slept
    assert start_run(session, "job", NOW, lease="duty", holder="one", now=NOW + 36 * SECOND) is None
    session.commit()
    assert session.scalars(select(JobRun)).all() == []
    at_work = start("two", NOW + 36 * SECOND)
    assert start_run(session, "job", NOW, lease="duty", holder="one", now=NOW + 37 * SECOND) is None
    session.commit()
    assert session.execute(select(JobRun.id, JobRun.holder)).all() == [(at_work, "two")]


def run_concurrently(app: Flask, *works: Callable[[Session], object]) -> list[object]:
    """Return what each work returned, all done at the same moment, in a session of its own."""
    all_here = Barrier(len(works))

    def done(work: Callable[[Session], object]) -> object:
        with app.app_context():
            session = db.session()
            all_here.wait(timeout=30)
            found = work(session)
            session.commit()
            return found

    with ThreadPoolExecutor(len(works)) as pool:
        return list(pool.map(done, works))


def test_of_many_that_want_a_duty_at_once_one_has_it(app: Flask) -> None:
    holders = "abcde"
    wanted = [partial(acquire_lease, name="duty", holder=one, ttl=LEASE_TTL, now=NOW) for one in holders]
    assert sorted(map(str, run_concurrently(app, *wanted))) == ["False"] * 4 + ["True"]


def test_of_many_that_begin_a_tick_at_once_one_does(app: Flask, acquire: Callable[..., bool]) -> None:
    """All of them hold that they have the duty; one has."""
    assert acquire("c", 0 * SECOND)
    wanted = [partial(start_run, job="job", tick_at=NOW, lease="duty", holder=one, now=NOW) for one in "abcde"]
    begun = run_concurrently(app, *wanted)
    assert [holder for holder, run_id in zip("abcde", begun, strict=True) if run_id is not None] == ["c"]


def test_of_many_threads_of_one_holder_one_begins_a_tick(app: Flask, acquire: Callable[..., bool]) -> None:
    assert acquire("one", 0 * SECOND)
    wanted = partial(start_run, job="job", tick_at=NOW, lease="duty", holder="one", now=NOW)
    begun = run_concurrently(app, *[wanted] * 5)
    assert len([one for one in begun if one is not None]) == 1


def test_the_log_keeps_no_more_of_a_failure_than_it_can_show(
    session: Session, start: Callable[..., int | None]
) -> None:
    run_id = start("one", NOW)
    assert run_id is not None
    finish_run(session, run_id, now=NOW, error="x" * 5000)
    session.commit()
    run = session.get_one(JobRun, run_id)
    assert (len(run.error or ""), run.result, run.ended_at) == (500, None, NOW)


def test_old_runs_go_but_the_last_of_each_job_stays(session: Session) -> None:
    for job, days in (("often", 20), ("often", 15), ("often", 1), ("rarely", 40), ("rarely", 30)):
        at = NOW - timedelta(days=days)
        session.add(JobRun(job=job, tick_at=at, started_at=at, holder="one", ended_at=at))
        session.flush()
    assert delete_old_runs(session, before=NOW - timedelta(days=14)) == 3
    session.commit()
    left = session.execute(select(JobRun.job, JobRun.started_at).order_by(JobRun.id)).all()
    assert [(job, (NOW - at).days) for job, at in left] == [("often", 1), ("rarely", 30)]
