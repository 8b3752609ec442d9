"""A process whose clock was ahead leaves times in the future: those that no rule can produce are replaced."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from sqlalchemy import select, update

from pkgsite.clock import utc_now
from pkgsite.extensions import db
from pkgsite.jobs import scheduler as scheduling
from pkgsite.jobs.scheduler import Scheduler
from pkgsite.models import DailySample, HostState, JobRun, Lease, SourceState
from pkgsite.rules.freshness import Source, latest_due_at, next_due_at, retry_at
from pkgsite.rules.timetable import HOUSEKEEPING, REFRESH
from pkgsite.services.refresh.queue import CLAIM_TTL, MAX_PAUSE, reset_future_times
from pkgsite.services.refresh.samples import record_samples
from pkgsite.services.status import status_page
from tests.jobs.fake_hosts import FakeHosts, RefreshedSite

DAY = timedelta(days=1)
AHEAD = 400 * DAY


def set_states(site: RefreshedSite, **values: object) -> None:
    with site.app.app_context():
        db.session.execute(update(SourceState).values(**values))
        db.session.commit()


def pause_hosts(site: RefreshedSite, until: datetime) -> None:
    with site.app.app_context():
        db.session.execute(update(HostState).values(paused_until=until, failures=9))
        db.session.commit()


def reset(site: RefreshedSite, now: datetime) -> int:
    with site.app.app_context():
        changed = reset_future_times(db.session(), now=now)
        db.session.commit()
        return changed


def test_refresh_replaces_times_from_a_wrong_clock(site: RefreshedSite, fake_hosts: FakeHosts) -> None:
    site.add_package_per_host()
    fake_hosts.clock_offset = AHEAD
    assert site.refresh().totals() == {"fetched": 14}
    set_states(site, claimed_by="elsewhere/1:7:a", claimed_until=fake_hosts.now() + CLAIM_TTL)
    pause_hosts(site, fake_hosts.now() + timedelta(hours=1))
    fake_hosts.clock_offset = timedelta(0)
    assert sum(site.refresh().totals().values()) == 14
    with site.app.app_context():
        for state in db.session.scalars(select(SourceState)):
            assert state.next_due_at <= latest_due_at(Source(state.source), now=utc_now())
            assert state.fetched_at is not None
            assert state.fetched_at <= utc_now()


@pytest.mark.parametrize("source", Source)
def test_times_that_the_rules_produce_are_kept(site: RefreshedSite, source: Source) -> None:
    now = utc_now()
    site.add_package("one", repo_url="https://github.com/ada/one", pypi_url="one")
    latest = max(
        *(next_due_at(number, source, now=now) for number in range(300)),
        *(retry_at(failures, number, source, now=now) for failures in range(12) for number in range(30)),
    )
    set_states(site, next_due_at=now)
    is_of_source = SourceState.source == source
    with site.app.app_context():
        db.session.execute(update(SourceState).where(is_of_source).values(next_due_at=latest))
        db.session.execute(update(SourceState).values(claimed_by="a", claimed_until=now + CLAIM_TTL))
        db.session.commit()
    pause_hosts(site, now + MAX_PAUSE)
    assert reset(site, now) == 0
    with site.app.app_context():
        db.session.execute(update(SourceState).where(is_of_source).values(next_due_at=now + 50 * DAY))
        db.session.commit()
    assert reset(site, now) == 1
    assert site.source_state("one", source).next_due_at == now


def test_time_of_the_first_miss_is_not_in_the_future(site: RefreshedSite) -> None:
    site.add_package("one", repo_url="https://github.com/ada/one")
    now = utc_now()
    set_states(site, first_missed_at=now + AHEAD)
    assert reset(site, now) == 3
    assert site.source_state("one", Source.REPO).first_missed_at == now


def test_missing_packages_and_samples_are_not_in_the_future(site: RefreshedSite) -> None:
    site.add_package("one", repo_url="https://github.com/ada/one", stars=5)
    now = utc_now()
    with site.app.app_context():
        for at in (now + AHEAD, now):
            record_samples(db.session(), now=at)
            db.session.commit()
        assert db.session.scalars(select(DailySample.day_on)).all() == [now.date()]
        db.session.remove()
    site.update_package("one", missing_since=now + AHEAD)
    assert reset(site, now) == 1
    assert site.package("one").missing_since == now


def test_lease_of_a_scheduler_whose_clock_was_ahead_is_taken_over(
    site: RefreshedSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.add_package_per_host()
    wrong, right = Scheduler(site.app), Scheduler(site.app)
    with monkeypatch.context() as patch:
        ahead = utc_now() + AHEAD
        patch.setattr(scheduling, "utc_now", lambda: ahead)
        wrong._acquire_lease()
        wrong._run_job(HOUSEKEEPING)
    right._acquire_lease()
    assert right.holds_lease
    wrong._acquire_lease()
    assert not wrong.holds_lease
    right._run_job(REFRESH)
    with site.app.app_context():
        assert db.session.scalars(select(Lease.holder)).all() == [right._name]
        page = status_page(db.session(), now=utc_now())
        assert [job.title for job in page.jobs if job.started_at] == [REFRESH.title]
        db.session.remove()
    assert site.package("at-github-com").stars == 511
    right._run_job(HOUSEKEEPING)
    with site.app.app_context():
        assert all(run.started_at <= utc_now() for run in db.session.scalars(select(JobRun)))
        db.session.remove()
