"""Database errors during a refresh: they end at most that run, and no response is lost or blamed on its host."""

from __future__ import annotations

import threading
from datetime import datetime, timedelta

import pytest
from sqlalchemy import select
from sqlalchemy.exc import OperationalError

from pkgsite.clock import utc_now
from pkgsite.errors import BadResponse
from pkgsite.extensions import db
from pkgsite.jobs import refresh
from pkgsite.jobs import scheduler as scheduling
from pkgsite.jobs.refresh import RETRY_DELAYS_S
from pkgsite.jobs.scheduler import Scheduler
from pkgsite.models import JobRun, Lease, SourceState
from pkgsite.rules.freshness import Source
from pkgsite.rules.timetable import REFRESH
from pkgsite.services.refresh.queue import ALL_SOURCES, claim_due
from tests.jobs.database_faults import FailingOperation
from tests.jobs.fake_hosts import REPOSITORIES, FakeHosts, RefreshedSite

ALWAYS = 10**6


@pytest.mark.parametrize("operation", ["record_result", "record_response"])
@pytest.mark.parametrize("does_work", [True, False])
def test_transient_error_loses_no_response(
    site: RefreshedSite, fake_hosts: FakeHosts, monkeypatch: pytest.MonkeyPatch, operation: str, does_work: bool
) -> None:
    site.add_package("one", repo_url=REPOSITORIES["gitlab.com"])
    failing = FailingOperation(getattr(refresh, operation), len(RETRY_DELAYS_S), does_work=does_work)
    monkeypatch.setattr(refresh, operation, failing)
    assert site.refresh(Source.REPO).totals() == {"fetched": 1}
    state = site.source_state("one", Source.REPO)
    assert (state.failures, state.last_error, state.claimed_by) == (0, None, None)
    assert site.package("one").stars == 12
    assert sum("license=true" in request for request in fake_hosts.gitlab.request_log) == 1


@pytest.mark.parametrize("operation", ["due_hosts", "claim_due", "record_response", "record_result"])
def test_persistent_error_ends_only_that_run(
    site: RefreshedSite, monkeypatch: pytest.MonkeyPatch, operation: str
) -> None:
    site.add_package_per_host()
    stop = threading.Event()
    failing = FailingOperation(getattr(refresh, operation), ALWAYS)
    monkeypatch.setattr(refresh, operation, failing)
    with pytest.raises(OperationalError):
        site.refresher(ALL_SOURCES, stop=stop).run()
    assert not stop.is_set()
    with site.app.app_context():
        assert db.session.scalars(select(SourceState.last_error).where(SourceState.failures > 0)).all() == []
        assert db.session.scalars(select(SourceState.id).where(SourceState.claimed_by.is_not(None))).all() == []
    failing.failures = 0
    assert set(site.refresher(ALL_SOURCES, stop=stop).run().totals()) == {"fetched"}


def test_error_about_one_host_does_not_end_the_others(site: RefreshedSite, monkeypatch: pytest.MonkeyPatch) -> None:
    site.add_package_per_host()

    def fail_for_gitlab(session: object, host: str, **options: object) -> object:
        if host == "gitlab.com":
            raise ZeroDivisionError
        return claim_due(session, host, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(refresh, "claim_due", fail_for_gitlab)
    with pytest.raises(ZeroDivisionError):
        site.refresh()
    assert site.package("at-github-com").stars == 511
    assert site.source_state("at-codeberg-org", Source.PEOPLE).fetched_at is not None


def test_data_that_can_not_be_stored_is_the_fault_of_the_host(
    site: RefreshedSite, fake_hosts: FakeHosts, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(3):
        fake_hosts.github.add(f"ada/huge-{number}", stars=2**70)
        site.add_package(f"huge-{number}", repo_url=f"https://github.com/ada/huge-{number}")
    assert site.refresh(Source.REPO).totals() == {"failed": 3}
    state = site.source_state("huge-1", Source.REPO)
    assert state.last_error is not None
    assert state.last_error.startswith("Could not store the response from github.com")
    assert [record.levelname for record in caplog.records if record.name.startswith("pkgsite")] == ["ERROR"]


@pytest.fixture
def scheduler(site: RefreshedSite) -> Scheduler:
    """A scheduler that holds the lease; the test runs its jobs."""
    site.add_package_per_host()
    scheduler = Scheduler(site.app)
    scheduler._acquire_lease()
    assert scheduler.holds_lease
    return scheduler


def run_at(scheduler: Scheduler, monkeypatch: pytest.MonkeyPatch, minutes: int) -> None:
    """Run the refresh at the tick of a later time."""
    at = utc_now() + timedelta(minutes=minutes)
    monkeypatch.setattr(scheduling, "utc_now", lambda: at)
    scheduler._run_job(REFRESH)


def runs(site: RefreshedSite) -> list[tuple[bool, bool]]:
    """Return for each run, oldest first, whether it ended and whether it failed."""
    with site.app.app_context():
        rows = db.session.scalars(select(JobRun).order_by(JobRun.tick_at)).all()
        states = [(run.ended_at is not None, run.error is not None) for run in rows]
        db.session.remove()
        return states


@pytest.mark.parametrize(
    ("module", "operation", "expected"),
    [
        (refresh, "claim_due", [(True, True), (True, False)]),
        (refresh, "record_result", [(True, True), (True, False)]),
        (scheduling, "start_run", [(True, False)]),
        (scheduling, "finish_run", [(False, False), (True, False)]),
    ],
)
def test_next_tick_works_after_a_failed_run(
    site: RefreshedSite,
    scheduler: Scheduler,
    monkeypatch: pytest.MonkeyPatch,
    module: object,
    operation: str,
    expected: list[tuple[bool, bool]],
) -> None:
    failing = FailingOperation(getattr(module, operation), ALWAYS)
    monkeypatch.setattr(module, operation, failing)
    run_at(scheduler, monkeypatch, 0)
    assert scheduler.holds_lease
    failing.failures = 0
    run_at(scheduler, monkeypatch, 1)
    assert runs(site) == expected
    assert site.package("at-github-com").stars == 511


@pytest.mark.parametrize("operation", ["start_run", "finish_run"])
def test_run_is_recorded_despite_a_transient_error(
    site: RefreshedSite, scheduler: Scheduler, monkeypatch: pytest.MonkeyPatch, operation: str
) -> None:
    failing = FailingOperation(getattr(scheduling, operation), len(RETRY_DELAYS_S))
    monkeypatch.setattr(scheduling, operation, failing)
    run_at(scheduler, monkeypatch, 0)
    assert runs(site) == [(True, False)]


def held_until(site: RefreshedSite) -> datetime:
    with site.app.app_context():
        lease: Lease = db.session.scalars(select(Lease)).one()
        db.session.expunge_all()
        db.session.remove()
        return lease.held_until


def test_stopping_scheduler_gives_up_its_lease(site: RefreshedSite, scheduler: Scheduler) -> None:
    assert held_until(site) > utc_now()
    scheduler._stop.set()
    scheduler._heartbeat()
    assert not scheduler.holds_lease
    assert held_until(site) <= utc_now()
    scheduler._heartbeat()
    assert held_until(site) <= utc_now()


def test_failure_in_a_client_is_logged_once_per_run(
    site: RefreshedSite, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(12):
        site.add_package(f"package-{number}", repo_url=f"https://gitlab.com/ada/number-{number}")
    monkeypatch.setattr(site.gateways.code_hosts["gitlab.com"], "repo_facts", lambda *_args, **_options: 1 / 0)
    assert site.refresh(Source.REPO).totals() == {"failed": 5}
    assert [record.levelname for record in caplog.records if record.name.startswith("pkgsite")] == ["ERROR", "WARNING"]
    assert BadResponse.__name__ not in str(site.host_state("gitlab.com").last_error)
