"""The status of the site's own work: jobs, hosts, ages and failures, as they are kept."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy.orm import Session

from pkgsite.models import HostState, JobRun, Lease
from pkgsite.rules.freshness import Source
from pkgsite.rules.timetable import REFRESH, SAMPLES, TIMETABLE, Job
from pkgsite.services.status import MAX_FAILURES, SCHEDULER_LEASE, HostStatus, JobStatus, SourceStatus, status_page
from tests.factories import NOW, make_package, make_source_state

MINUTE = timedelta(minutes=1)


def add_run(session: Session, job: Job, tick_at: datetime, **fields: Any) -> None:
    defaults = {"holder": "machine:1:ab", "started_at": tick_at, "ended_at": tick_at + MINUTE}
    session.add(JobRun(job=job.name, tick_at=tick_at, **defaults | fields))
    session.flush()


def job_line(session: Session, job: Job) -> JobStatus:
    return status_page(session, now=NOW).jobs[TIMETABLE.index(job)]


def host_line(session: Session, **fields: Any) -> HostStatus:
    session.add(HostState(**{"host": "github.com", "quotas": {}} | fields))
    session.flush()
    return status_page(session, now=NOW).hosts[0]


def source_line(session: Session, source: Source) -> SourceStatus:
    return {line.source: line for line in status_page(session, now=NOW).sources}[source]


def test_an_empty_site_has_all_jobs_and_sources_and_nothing_else(session: Session) -> None:
    page = status_page(session, now=NOW)
    assert [job.title for job in page.jobs] == [job.title for job in TIMETABLE]
    assert [(line.source, line.total, line.median_fetched_at) for line in page.sources] == [
        (one, 0, None) for one in Source
    ]
    assert (page.has_run, page.has_sources, page.is_scheduler_running) == (False, False, False)
    assert (page.hosts, page.failures) == ([], [])


def test_a_job_shows_its_last_run_and_its_next(session: Session) -> None:
    tick = REFRESH.last_tick(NOW)
    add_run(session, REFRESH, tick - MINUTE, result={"fetched": 1}, error="long ago")
    add_run(
        session, REFRESH, tick, ended_at=tick + timedelta(seconds=3), result={"fetched": 7, "by_hand": 2, "failed": 0}
    )
    line = job_line(session, REFRESH)
    assert (line.started_at, line.duration, line.next_at) == (tick, timedelta(seconds=3), tick + MINUTE)
    assert (line.error, line.is_running) == (None, False)
    assert sorted(line.counts) == [("by hand", 2), ("fetched", 7)]
    assert job_line(session, SAMPLES).started_at is None


@pytest.mark.parametrize("result", [None, {}, {"words": "seven", "rows": [1], "nested": {"a": 1}, "flag": True}])
def test_what_is_no_count_is_left_out(session: Session, result: dict[str, Any] | None) -> None:
    add_run(session, REFRESH, NOW, result=result)
    assert job_line(session, REFRESH).counts == ()


@pytest.mark.parametrize(("holder", "at_work"), [("machine:1:ab", True), ("another:2:cd", False), (None, False)])
def test_a_run_without_an_end_is_at_work_while_its_process_has_the_duty(
    session: Session, holder: str | None, at_work: bool
) -> None:
    if holder:
        session.add(Lease(name=SCHEDULER_LEASE, holder=holder, held_until=NOW + MINUTE))
    add_run(session, SAMPLES, NOW, ended_at=None)
    add_run(session, REFRESH, NOW)
    line, ended = job_line(session, SAMPLES), job_line(session, REFRESH)
    assert (line.is_running, line.is_interrupted, line.duration) == (at_work, not at_work, None)
    assert (ended.is_running, ended.is_interrupted, ended.duration) == (False, False, MINUTE)


@pytest.mark.parametrize(
    ("error", "told"),
    [
        ("pypi.org can't be reached", "pypi.org can't be reached"),
        ("OperationalError: no route to db.internal, port 5432", "OperationalError (see the log for details)"),
        ("DoesNotError", "DoesNotError"),
        (None, None),
    ],
)
def test_of_a_mistake_of_ours_only_its_kind_is_told(session: Session, error: str | None, told: str | None) -> None:
    add_run(session, REFRESH, NOW, error=error)
    assert job_line(session, REFRESH).error == told


@pytest.mark.parametrize(
    ("name", "until", "held"),
    [
        (SCHEDULER_LEASE, NOW + MINUTE, True),
        (SCHEDULER_LEASE, NOW, False),
        (SCHEDULER_LEASE, NOW - MINUTE, False),
        ("another", NOW + MINUTE, False),
    ],
)
def test_a_duty_is_held_until_it_runs_out(session: Session, name: str, until: datetime, held: bool) -> None:
    session.add(Lease(name=name, holder="machine:1:ab", held_until=until))
    session.flush()
    assert status_page(session, now=NOW).is_scheduler_running is held


def test_a_host_that_is_left_alone_says_until_when_and_why(session: Session) -> None:
    line = host_line(
        session,
        paused_until=NOW + MINUTE,
        last_error="asks us to come back later",
        last_error_at=NOW - 2 * MINUTE,
        last_answer_at=NOW - MINUTE,
        checked_at=NOW - MINUTE,
    )
    assert (line.paused_until, line.last_error) == (NOW + MINUTE, "asks us to come back later")
    assert line.checked_at == NOW - MINUTE


def test_what_a_host_has_answered_since_is_forgotten(session: Session) -> None:
    error = {"last_error": "failed", "last_error_at": NOW - 2 * MINUTE, "paused_until": NOW}
    line = host_line(session, **error, last_answer_at=NOW - MINUTE)
    assert (line.paused_until, line.last_error, line.last_error_at) == (None, None, None)


def test_a_host_that_never_answered_shows_the_last_failure_of_its_packages(session: Session) -> None:
    package = make_package(session)
    for source, error, at in (("repo", "old", NOW - MINUTE), ("people", "new", NOW), ("activity", None, None)):
        make_source_state(session, package, source, fetched_at=None, last_error=error, last_error_at=at)
    make_source_state(session, package, "index", host="pypi.org", last_error="of another", last_error_at=NOW + MINUTE)
    line = host_line(session)
    assert (line.last_answer_at, line.last_error, line.last_error_at) == (None, "new", NOW)


def test_a_hosts_own_failure_comes_before_those_of_its_packages(session: Session) -> None:
    make_source_state(session, make_package(session), "repo", last_error="of one package", last_error_at=NOW)
    line = host_line(session, last_error="of the host", last_error_at=NOW - MINUTE)
    assert line.last_error == "of the host"


def test_a_quota_is_whole_again_once_its_time_is_over(session: Session) -> None:
    quotas = {
        "core": {"whole": 60, "left": 7, "resets_at": (NOW + MINUTE).isoformat()},
        "search": {"whole": 30, "left": 0, "resets_at": NOW.isoformat()},
    }
    core, search = host_line(session, quotas=quotas).quotas
    assert (core.name, core.remaining, core.limit, core.resets_at) == ("core", 7, 60, NOW + MINUTE)
    assert (search.name, search.remaining, search.limit, search.resets_at) == ("search", 30, 30, None)


@pytest.mark.parametrize(
    ("number", "half", "most"), [(1, 1, 1), (2, 1, 2), (3, 2, 3), (10, 5, 10), (20, 10, 19), (40, 20, 38)]
)
def test_ages_are_nearest_ranks_of_what_has_been_fetched(session: Session, number: int, half: int, most: int) -> None:
    for age in range(1, number + 1):
        make_source_state(session, make_package(session, f"p-{age}"), "repo", fetched_at=NOW - age * MINUTE)
    make_source_state(session, make_package(session, "never"), "repo", fetched_at=None)
    make_source_state(session, make_package(session, "other"), "index", fetched_at=NOW - 999 * MINUTE)
    line = source_line(session, Source.REPO)
    assert (line.total, line.never_fetched) == (number + 1, 1)
    assert (line.median_fetched_at, line.p95_fetched_at) == (NOW - half * MINUTE, NOW - most * MINUTE)


def test_what_is_due_failing_and_missing_is_counted(session: Session) -> None:
    states = ({"next_due_at": NOW}, {"failures": 2}, {"failures": 3, "misses": 1}, {})
    for number, fields in enumerate(states):
        package = make_package(session, f"p-{number}")
        make_source_state(session, package, "people", **{"next_due_at": NOW + MINUTE} | fields)
    line = source_line(session, Source.PEOPLE)
    assert (line.total, line.due, line.failing, line.missing) == (4, 1, 2, 1)
    assert source_line(session, Source.REPO).total == 0


def test_failures_are_the_last_ones_of_packages_that_can_be_seen(session: Session) -> None:
    for number in range(MAX_FAILURES + 5):
        package = make_package(session, f"p-{number}", hidden_at=NOW if number == 0 else None)
        make_source_state(session, package, "repo", last_error=f"e{number}", last_error_at=NOW - number * MINUTE)
    make_source_state(session, make_package(session, "well"), "repo")
    failures = status_page(session, now=NOW).failures
    assert [failure.error for failure in failures] == [f"e{number}" for number in range(1, MAX_FAILURES + 1)]
    assert (failures[0].slug, failures[0].source, failures[0].host) == ("p-1", Source.REPO, "github.com")
