"""The data of the status page: jobs, hosts, freshness and failures."""

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


def job_status(session: Session, job: Job) -> JobStatus:
    return status_page(session, now=NOW).jobs[TIMETABLE.index(job)]


def host_status(session: Session, **fields: Any) -> HostStatus:
    session.add(HostState(**{"host": "github.com", "quotas": {}} | fields))
    session.flush()
    return status_page(session, now=NOW).hosts[0]


def source_status(session: Session, source: Source) -> SourceStatus:
    return {status.source: status for status in status_page(session, now=NOW).sources}[source]


def test_empty_site_has_only_jobs_and_sources(session: Session) -> None:
    page = status_page(session, now=NOW)
    assert [job.title for job in page.jobs] == [job.title for job in TIMETABLE]
    assert [(status.source, status.total, status.median_fetched_at) for status in page.sources] == [
        (source, 0, None) for source in Source
    ]
    assert (page.has_run, page.has_sources, page.is_scheduler_running) == (False, False, False)
    assert (page.hosts, page.failures) == ([], [])


def test_job_has_its_last_and_next_run(session: Session) -> None:
    tick = REFRESH.last_tick(NOW)
    add_run(session, REFRESH, tick - MINUTE, result={"fetched": 1}, error="long ago")
    add_run(
        session, REFRESH, tick, ended_at=tick + timedelta(seconds=3), result={"fetched": 7, "by_hand": 2, "failed": 0}
    )
    status = job_status(session, REFRESH)
    assert (status.started_at, status.duration, status.next_at) == (tick, timedelta(seconds=3), tick + MINUTE)
    assert (status.error, status.is_running) == (None, False)
    assert sorted(status.counts) == [("by hand", 2), ("fetched", 7)]
    assert job_status(session, SAMPLES).started_at is None


@pytest.mark.parametrize("result", [None, {}, {"text": "seven", "rows": [1], "nested": {"a": 1}, "flag": True}])
def test_other_results_than_counts_are_left_out(session: Session, result: dict[str, Any] | None) -> None:
    add_run(session, REFRESH, NOW, result=result)
    assert job_status(session, REFRESH).counts == ()


@pytest.mark.parametrize(("holder", "is_running"), [("machine:1:ab", True), ("another:2:cd", False), (None, False)])
def test_unfinished_run_is_running_while_its_process_holds_the_lease(
    session: Session, holder: str | None, is_running: bool
) -> None:
    if holder:
        session.add(Lease(name=SCHEDULER_LEASE, holder=holder, held_until=NOW + MINUTE))
    add_run(session, SAMPLES, NOW, ended_at=None)
    add_run(session, REFRESH, NOW)
    status, ended = job_status(session, SAMPLES), job_status(session, REFRESH)
    assert (status.is_running, status.is_interrupted, status.duration) == (is_running, not is_running, None)
    assert (ended.is_running, ended.is_interrupted, ended.duration) == (False, False, MINUTE)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        ("pypi.org can't be reached", "pypi.org can't be reached"),
        ("OperationalError: no route to db.internal, port 5432", "OperationalError (see the log for details)"),
        ("DoesNotError", "DoesNotError"),
        (None, None),
    ],
)
def test_unexpected_error_shows_only_the_exception_name(
    session: Session, error: str | None, expected: str | None
) -> None:
    add_run(session, REFRESH, NOW, error=error)
    assert job_status(session, REFRESH).error == expected


@pytest.mark.parametrize(
    ("name", "held_until", "is_running"),
    [
        (SCHEDULER_LEASE, NOW + MINUTE, True),
        (SCHEDULER_LEASE, NOW, False),
        (SCHEDULER_LEASE, NOW - MINUTE, False),
        ("another", NOW + MINUTE, False),
    ],
)
def test_scheduler_is_running_until_its_lease_expires(
    session: Session, name: str, held_until: datetime, is_running: bool
) -> None:
    session.add(Lease(name=name, holder="machine:1:ab", held_until=held_until))
    session.flush()
    assert status_page(session, now=NOW).is_scheduler_running is is_running


def test_paused_host_has_time_and_reason(session: Session) -> None:
    status = host_status(
        session,
        paused_until=NOW + MINUTE,
        last_error="rate limit exceeded",
        last_error_at=NOW - 2 * MINUTE,
        last_answer_at=NOW - MINUTE,
        checked_at=NOW - MINUTE,
    )
    assert (status.paused_until, status.last_error) == (NOW + MINUTE, "rate limit exceeded")
    assert status.checked_at == NOW - MINUTE


def test_error_is_cleared_by_a_later_response(session: Session) -> None:
    error = {"last_error": "failed", "last_error_at": NOW - 2 * MINUTE, "paused_until": NOW}
    status = host_status(session, **error, last_answer_at=NOW - MINUTE)
    assert (status.paused_until, status.last_error, status.last_error_at) == (None, None, None)


def test_host_without_responses_shows_the_last_error_of_its_packages(session: Session) -> None:
    package = make_package(session)
    for source, error, error_at in (("repo", "old", NOW - MINUTE), ("people", "new", NOW), ("activity", None, None)):
        make_source_state(session, package, source, fetched_at=None, last_error=error, last_error_at=error_at)
    make_source_state(session, package, "index", host="pypi.org", last_error="of another", last_error_at=NOW + MINUTE)
    status = host_status(session)
    assert (status.last_answer_at, status.last_error, status.last_error_at) == (None, "new", NOW)


def test_host_error_precedes_package_errors(session: Session) -> None:
    make_source_state(session, make_package(session), "repo", last_error="of one package", last_error_at=NOW)
    status = host_status(session, last_error="of the host", last_error_at=NOW - MINUTE)
    assert status.last_error == "of the host"


def test_quota_is_full_after_its_reset(session: Session) -> None:
    quotas = {
        "core": {"whole": 60, "left": 7, "resets_at": (NOW + MINUTE).isoformat()},
        "search": {"whole": 30, "left": 0, "resets_at": NOW.isoformat()},
    }
    core, search = host_status(session, quotas=quotas).quotas
    assert (core.name, core.remaining, core.limit, core.resets_at) == ("core", 7, 60, NOW + MINUTE)
    assert (search.name, search.remaining, search.limit, search.resets_at) == ("search", 30, 30, None)


@pytest.mark.parametrize(
    ("count", "median_age", "p95_age"), [(1, 1, 1), (2, 1, 2), (3, 2, 3), (10, 5, 10), (20, 10, 19), (40, 20, 38)]
)
def test_percentiles_use_nearest_ranks_of_fetched_packages(
    session: Session, count: int, median_age: int, p95_age: int
) -> None:
    for age in range(1, count + 1):
        make_source_state(session, make_package(session, f"p-{age}"), "repo", fetched_at=NOW - age * MINUTE)
    make_source_state(session, make_package(session, "never"), "repo", fetched_at=None)
    make_source_state(session, make_package(session, "other"), "index", fetched_at=NOW - 999 * MINUTE)
    status = source_status(session, Source.REPO)
    assert (status.total, status.never_fetched) == (count + 1, 1)
    assert (status.median_fetched_at, status.p95_fetched_at) == (NOW - median_age * MINUTE, NOW - p95_age * MINUTE)


def test_due_failing_and_missing_sources_are_counted(session: Session) -> None:
    states: tuple[dict[str, Any], ...] = ({"next_due_at": NOW}, {"failures": 2}, {"failures": 3, "misses": 1}, {})
    for number, fields in enumerate(states):
        package = make_package(session, f"p-{number}")
        make_source_state(session, package, "people", **{"next_due_at": NOW + MINUTE} | fields)
    status = source_status(session, Source.PEOPLE)
    assert (status.total, status.due, status.failing, status.missing) == (4, 1, 2, 1)
    assert source_status(session, Source.REPO).total == 0


def test_failures_are_the_latest_of_visible_packages(session: Session) -> None:
    for number in range(MAX_FAILURES + 5):
        package = make_package(session, f"p-{number}", hidden_at=NOW if number == 0 else None)
        make_source_state(session, package, "repo", last_error=f"e{number}", last_error_at=NOW - number * MINUTE)
    make_source_state(session, make_package(session, "well"), "repo")
    failures = status_page(session, now=NOW).failures
    assert [failure.error for failure in failures] == [f"e{number}" for number in range(1, MAX_FAILURES + 1)]
    assert (failures[0].slug, failures[0].source, failures[0].host) == ("p-1", Source.REPO, "github.com")
