"""Who does the scheduled work, and the log of what came of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from pkgsite.models import JobRun, Lease
from pkgsite.services.duties import begin_run, clear_old_runs, end_run, give_up_lease, take_lease
from tests.factories import NOW

LASTS = timedelta(seconds=35)
SECOND = timedelta(seconds=1)


@pytest.fixture
def take(session: Session) -> Iterator[Callable[..., bool]]:
    """A function that tries to take the duty at a time, as another process would: in a transaction of its own."""

    def tried(holder: str, at: timedelta) -> bool:
        session.rollback()
        has_it = take_lease(session, "duty", holder=holder, lasts=LASTS, now=NOW + at)
        session.commit()
        return has_it

    yield tried
    session.rollback()


def test_one_has_it_until_its_time_runs_out(take: Callable[..., bool]) -> None:
    assert take("one", 0 * SECOND)
    assert not take("two", 34 * SECOND)
    assert take("one", 30 * SECOND)  # renewed: until 65
    assert not take("two", 64 * SECOND)
    assert take("two", 65 * SECOND)
    assert not take("one", 66 * SECOND)


def test_who_leaves_gives_it_up(session: Session, take: Callable[..., bool]) -> None:
    assert take("one", 0 * SECOND)
    give_up_lease(session, "duty", holder="two", now=NOW)
    session.commit()
    assert not take("two", SECOND)
    give_up_lease(session, "duty", holder="one", now=NOW + SECOND)
    session.commit()
    assert take("two", SECOND)
    assert session.scalars(select(Lease.holder)).all() == ["two"]


def test_a_tick_has_one_run(session: Session) -> None:
    first = begin_run(session, "job", NOW, holder="one", now=NOW)
    assert first is not None
    session.commit()
    assert begin_run(session, "job", NOW, holder="one", now=NOW + SECOND) is None
    end_run(session, first, now=NOW + SECOND, result={"packages": 3})
    session.commit()
    assert begin_run(session, "job", NOW, holder="two", now=NOW + 2 * SECOND) is None
    session.rollback()
    assert begin_run(session, "job", NOW + SECOND, holder="two", now=NOW + 2 * SECOND) is not None
    run = session.get_one(JobRun, first)
    assert (run.result, run.error, run.ended_at) == ({"packages": 3}, None, NOW + SECOND)


def test_a_run_that_died_with_its_holder_is_begun_anew(session: Session) -> None:
    first = begin_run(session, "job", NOW, holder="one", now=NOW)
    session.commit()
    assert begin_run(session, "job", NOW, holder="two", now=NOW + SECOND) == first
    session.commit()
    run = session.get_one(JobRun, first)
    assert (run.holder, run.started_at) == ("two", NOW + SECOND)


def test_the_log_keeps_no_more_of_a_failure_than_it_can_show(session: Session) -> None:
    run_id = begin_run(session, "job", NOW, holder="one", now=NOW)
    assert run_id is not None
    end_run(session, run_id, now=NOW, error="x" * 5000)
    session.commit()
    assert len(session.get_one(JobRun, run_id).error or "") == 500


def test_old_runs_go_but_the_last_of_each_job_stays(session: Session) -> None:
    for job, days in (("often", 20), ("often", 15), ("often", 1), ("rarely", 40), ("rarely", 30)):
        at = NOW - timedelta(days=days)
        session.add(JobRun(job=job, tick_at=at, started_at=at, holder="one", ended_at=at))
        session.flush()
    assert clear_old_runs(session, before=NOW - timedelta(days=14)) == 3
    session.commit()
    left = session.execute(select(JobRun.job, JobRun.started_at).order_by(JobRun.id)).all()
    assert [(job, (NOW - at).days) for job, at in left] == [("often", 1), ("rarely", 30)]
