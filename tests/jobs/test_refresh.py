"""Refreshing: stored facts, failures, pauses and priorities."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import func, select, update

from pkgsite.errors import RateLimited, Unavailable
from pkgsite.extensions import db
from pkgsite.jobs import refresh
from pkgsite.jobs.refresh import REQUEST_INTERVALS_S
from pkgsite.models import HostState, Package, Release, SourceState
from pkgsite.rules.freshness import Priority, Source
from pkgsite.rules.scores import score
from pkgsite.services.refresh.queue import CLAIM_TTL, Claim, RefreshResult, SourceFilter, claim_due, pause_host
from pkgsite.services.refresh.sources import make_due
from tests.factories import NOW
from tests.fakes.github import secondary_limit_response
from tests.fakes.rest_host import expected_weekly_counts
from tests.fakes.v4_site import response
from tests.jobs.fake_hosts import FakeHosts, RefreshedSite, ResultRecorder

GITHUB = "https://github.com/ada/one"
EVERY_SIZE = dict.fromkeys(Source, 50)


def test_facts_of_all_hosts_are_stored(site: RefreshedSite, fake_hosts: FakeHosts) -> None:
    site.add_package_per_host()
    summary = site.refresh()
    assert summary.totals() == {"fetched": 14}
    assert summary.failures == {}

    package = site.package("at-github-com")
    assert (package.stars, package.forks, package.open_issues) == (511, 70, 12)
    assert package.topics == ["django", "cms"]
    assert package.last_commit_at == datetime(2026, 1, 28, 13, 56, 56, tzinfo=UTC)
    assert package.commits_over_52 == [*range(52)]
    assert package.participants == ["gasman", "kaedroho"]
    assert (package.pypi_version, package.licence, package.repo_licence) == ("1.1", "MIT", "BSD-3-Clause")
    assert package.pypi_downloads == 4321
    assert package.vulnerabilities == []
    assert package.supports_python3 is True
    assert package.score == score(
        stars=511, last_commit_at=package.last_commit_at, supports_python3=True, now=fake_hosts.now()
    )
    assert package.last_fetched_at is not None

    counted = site.package("at-codeberg-org")
    assert tuple(counted.commits_over_52) == expected_weekly_counts(
        fake_hosts.forgejo.repositories["ada/one"].commits, now=fake_hosts.now()
    )
    assert site.query_one(select(func.count()).select_from(Release)) == 2


def test_refresh_is_not_an_edit(site: RefreshedSite) -> None:
    site.add_package_per_host()
    before = site.package("at-github-com")
    site.refresh()
    after = site.package("at-github-com")
    assert (after.version, after.modified_at, after.modified_by_id) == (1, NOW, None)
    assert after.changed_at == after.last_fetched_at
    assert after.changed_at > before.changed_at


def test_sources_are_not_fetched_before_they_are_due(site: RefreshedSite, fake_hosts: FakeHosts) -> None:
    site.add_package_per_host()
    site.refresh()
    request_count = len(fake_hosts.github.request_log)
    assert site.refresh().totals() == {}
    fake_hosts.clock_offset = timedelta(hours=11)
    assert site.refresh().totals() == {}
    assert len(fake_hosts.github.request_log) == request_count
    fake_hosts.clock_offset = timedelta(hours=37)
    summary = site.refresh()
    assert {source for source, _ in summary.counts} == {Source.REPO}


def test_unknown_facts_keep_known_values(site: RefreshedSite, fake_hosts: FakeHosts) -> None:
    site.add_package("one", repo_url="https://bitbucket.org/ada/one", stars=77, commit_count=5, licence="MIT")
    site.refresh()
    package = site.package("one")
    assert (package.stars, package.commit_count, package.licence) == (77, 5, "MIT")  # this host has none of these facts


def test_documentation_url_of_users_is_kept(site: RefreshedSite, fake_hosts: FakeHosts) -> None:
    fake_hosts.pypi.add("two", "1.0", project_urls={"Documentation": "https://two.example/from-the-index"})
    site.add_package("one", pypi_url="two", documentation_url="https://docs.example/by-users")
    site.refresh()
    package = site.package("one")
    assert package.documentation_url == "https://docs.example/by-users"
    assert package.index_documentation_url == "https://two.example/from-the-index"


def test_new_commits_refresh_activity_and_contributors(site: RefreshedSite, fake_hosts: FakeHosts) -> None:
    repo = fake_hosts.github.add("ada/two")
    site.add_package("two", repo_url="https://github.com/ada/two")
    site.refresh()
    fake_hosts.clock_offset = timedelta(hours=37)
    assert site.refresh().totals() == {"fetched": 1}
    repo.committed_at, repo.weeks, repo.people = "2026-02-01T00:00:00Z", [9] * 52, ["ada"]
    fake_hosts.clock_offset = timedelta(hours=74)
    summary = site.refresh()
    assert {source for source, _ in summary.counts} == {Source.REPO, Source.ACTIVITY, Source.PEOPLE}
    package = site.package("two")
    assert (package.commits_over_52, package.participants) == ([9] * 52, ["ada"])


def test_pending_activity_is_fetched_later(site: RefreshedSite, fake_hosts: FakeHosts) -> None:
    repo = fake_hosts.github.add("ada/two", weeks=None)
    site.add_package("two", repo_url="https://github.com/ada/two", commits_over_52=[1] * 52)
    summary = site.refresh()
    assert summary.counts[Source.ACTIVITY, RefreshResult.PENDING] == 1
    assert site.package("two").commits_over_52 == [1] * 52
    assert site.source_state("two", Source.ACTIVITY).last_error is None
    repo.weeks = [2] * 52
    fake_hosts.clock_offset = timedelta(minutes=15)
    assert site.refresh().counts[Source.ACTIVITY, RefreshResult.FETCHED] == 1
    assert site.package("two").commits_over_52 == [2] * 52


def test_package_is_missing_after_days_and_until_it_returns(site: RefreshedSite, fake_hosts: FakeHosts) -> None:
    site.add_package_per_host()
    site.refresh()
    fake_hosts.github.rename("ada/one", "ada/elsewhere")
    fake_hosts.github._moved.clear()
    missing_on_day = None
    for days in range(2, 30):
        fake_hosts.clock_offset = timedelta(days=days)
        site.refresh(Source.REPO)
        if site.package("at-github-com").missing_since:
            missing_on_day = days
            break
    state = site.source_state("at-github-com", Source.REPO)
    assert missing_on_day is not None
    assert missing_on_day >= 5  # first missed on the second day, and three more days must pass
    assert state.misses >= 4
    assert site.package("at-github-com").missing_since == state.first_missed_at
    assert site.package("at-github-com").stars == 511
    fake_hosts.github.rename("ada/elsewhere", "ada/one")
    fake_hosts.clock_offset += timedelta(days=4)
    site.refresh(Source.REPO)
    assert site.package("at-github-com").missing_since is None
    assert (
        site.source_state("at-github-com", Source.REPO).misses,
        site.source_state("at-github-com", Source.REPO).failures,
    ) == (
        0,
        0,
    )


def test_package_without_repository_is_missing_with_its_project(site: RefreshedSite, fake_hosts: FakeHosts) -> None:
    site.add_package("one", pypi_url="one")
    site.refresh()
    fake_hosts.pypi.remove("one")
    for days in range(11, 40):
        fake_hosts.clock_offset = timedelta(days=days)
        site.refresh()
    assert site.package("one").missing_since is not None
    assert site.package("one").pypi_version == "1.1"


def test_moved_repository_is_followed_and_recorded(site: RefreshedSite, fake_hosts: FakeHosts) -> None:
    site.add_package("one", repo_url=GITHUB)
    site.refresh()
    fake_hosts.github.rename("ada/one", "grace/better")
    fake_hosts.clock_offset = timedelta(days=2)
    site.refresh(Source.REPO)
    package = site.package("one")
    assert (package.repo_url, package.repo_moved_to) == (GITHUB, "https://github.com/grace/better")
    assert package.version == 1


def test_another_repository_with_the_old_name_is_rejected(site: RefreshedSite, fake_hosts: FakeHosts) -> None:
    site.add_package("one", repo_url=GITHUB)
    site.refresh()
    fake_hosts.github.remove("ada/one")
    fake_hosts.github.add("ada/one", stars=3)
    fake_hosts.clock_offset = timedelta(days=2)
    assert site.refresh(Source.REPO).totals() == {"missing": 1}
    assert site.package("one").stars == 511


def test_archived_and_unarchived(site: RefreshedSite, fake_hosts: FakeHosts) -> None:
    repo = fake_hosts.github.add("ada/two", is_archived=True)
    site.add_package("two", repo_url="https://github.com/ada/two")
    site.refresh()
    archived_at = site.package("two").archived_at
    assert archived_at is not None
    fake_hosts.clock_offset = timedelta(days=2)
    site.refresh(Source.REPO)
    assert site.package("two").archived_at == archived_at
    repo.is_archived, fake_hosts.clock_offset = False, timedelta(days=4)
    site.refresh(Source.REPO)
    assert site.package("two").archived_at is None


def test_empty_repository_is_not_a_failure(site: RefreshedSite, fake_hosts: FakeHosts) -> None:
    fake_hosts.github.add("ada/two", is_empty=True)
    site.add_package("two", repo_url="https://github.com/ada/two")
    assert set(site.refresh().totals()) == {"fetched"}
    package = site.package("two")
    assert (package.last_commit_at, package.commit_count, package.commits_over_52) == (None, 0, [0] * 52)


def test_rate_limit_pauses_its_host_for_a_while(site: RefreshedSite, fake_hosts: FakeHosts) -> None:
    site.add_package_per_host()
    fake_hosts.github.add_fault(secondary_limit_response(after="1800"))
    summary = site.refresh()
    assert list(summary.paused) == ["github.com"]
    assert summary.counts[Source.REPO, RefreshResult.FETCHED] == 3
    request_count = len(fake_hosts.github.request_log)
    fake_hosts.github.clear_faults()
    fake_hosts.clock_offset = timedelta(minutes=29)
    site.refresh()
    assert len(fake_hosts.github.request_log) == request_count
    fake_hosts.clock_offset = timedelta(minutes=31)
    assert site.refresh().counts[Source.REPO, RefreshResult.FETCHED] == 1


def test_failing_host_is_paused_longer_each_time(site: RefreshedSite, fake_hosts: FakeHosts) -> None:
    for number in range(12):
        site.add_package(f"package-{number}", repo_url=f"https://codeberg.org/ada/number-{number}")
    fake_hosts.forgejo.faults[""] = response("500 Internal Server Error", {"message": ""})
    summary = site.refresh()
    assert summary.counts[Source.REPO, RefreshResult.FAILED] == 5
    assert len(fake_hosts.forgejo.request_log) == 5
    first_paused_until = site.host_state("codeberg.org").paused_until
    fake_hosts.clock_offset = timedelta(minutes=6)
    site.refresh()
    second_paused_until = site.host_state("codeberg.org").paused_until
    assert first_paused_until is not None
    assert second_paused_until is not None
    first_pause = first_paused_until - fake_hosts.now() + timedelta(minutes=6)
    assert second_paused_until - fake_hosts.now() > first_pause * 1.5
    fake_hosts.forgejo.faults.clear()
    fake_hosts.clock_offset = timedelta(hours=1)
    site.refresh()
    assert site.host_state("codeberg.org").last_error


def test_exception_in_a_client_does_not_stop_the_refresh(
    site: RefreshedSite, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    site.add_package_per_host()
    host = site.gateways.code_hosts["gitlab.com"]
    monkeypatch.setattr(host, "repo_facts", lambda *_args, **_options: 1 / 0)
    summary = site.refresh()
    assert summary.counts[Source.REPO, RefreshResult.FAILED] == 1
    assert summary.counts[Source.REPO, RefreshResult.FETCHED] == 3
    assert "ZeroDivisionError" in str(site.source_state("at-gitlab-com", Source.REPO).last_error)
    assert "could not request" in caplog.text


def test_database_error_does_not_stop_the_refresh(
    site: RefreshedSite, fake_hosts: FakeHosts, caplog: pytest.LogCaptureFixture
) -> None:
    site.add_package_per_host()
    fake_hosts.github.add("ada/two", stars=2**70)
    site.add_package("two", repo_url="https://github.com/ada/two", stars=5)
    summary = site.refresh(Source.REPO)
    assert summary.counts[Source.REPO, RefreshResult.FETCHED] == 4
    assert summary.counts[Source.REPO, RefreshResult.FAILED] == 1
    assert site.package("two").stars == 5
    assert site.source_state("two", Source.REPO).failures == 1


def test_stopped_refresh_releases_its_claims(site: RefreshedSite, fake_hosts: FakeHosts) -> None:
    for number in range(12):
        site.add_package(f"package-{number}", repo_url="https://codeberg.org/ada/one")
    stop, recorder = threading.Event(), ResultRecorder()

    def on_result(claim: Claim, result: RefreshResult) -> None:
        recorder(claim, result)
        if len(recorder.recorded) == 3:
            stop.set()

    site.refresher(SourceFilter(sources=[Source.REPO]), stop=stop, on_result=on_result).run()
    assert len(recorder.recorded) == 3
    with site.app.app_context():
        assert db.session.scalars(select(SourceState).where(SourceState.claimed_by.is_not(None))).all() == []
    assert site.refresh(Source.REPO).totals() == {"fetched": 9}


def test_claims_are_exclusive_until_they_expire(site: RefreshedSite, fake_hosts: FakeHosts) -> None:
    site.add_package_per_host()
    with site.app.app_context():
        first = claim_due(db.session(), "github.com", holder="a", sizes=EVERY_SIZE, now=fake_hosts.now())
        db.session.commit()
        assert [claim.source for claim in first] == [Source.REPO]
        others = claim_due(db.session(), "github.com", holder="b", sizes=EVERY_SIZE, now=fake_hosts.now())
        db.session.commit()
        assert {claim.source for claim in others}.isdisjoint({Source.REPO})
        later = fake_hosts.now() + CLAIM_TTL
        again = claim_due(db.session(), "github.com", holder="c", sizes=EVERY_SIZE, now=later + timedelta(seconds=1))
        db.session.commit()
        assert again


def test_result_of_a_lost_claim_is_dropped(site: RefreshedSite, monkeypatch: pytest.MonkeyPatch) -> None:
    site.add_package("one", repo_url=GITHUB)

    host = site.gateways.code_hosts["github.com"]
    repo_facts = host.repo_facts

    def slow_repo_facts(*args: Any, **options: Any) -> object:
        with site.app.app_context():
            db.session.execute(update(SourceState).values(claimed_by="another worker"))
            db.session.commit()
        return repo_facts(*args, **options)

    monkeypatch.setattr(host, "repo_facts", slow_repo_facts)
    summary = site.refresh(Source.REPO)
    assert summary.totals() == {"lost": 1}
    assert site.package("one").stars is None


def test_webhook_during_a_request_is_not_lost(
    site: RefreshedSite, fake_hosts: FakeHosts, monkeypatch: pytest.MonkeyPatch
) -> None:
    package_id = site.add_package("one", repo_url=GITHUB)
    host = site.gateways.code_hosts["github.com"]
    repo_facts, is_first_request = host.repo_facts, True

    def slow_repo_facts(*args: Any, **options: Any) -> object:
        nonlocal is_first_request
        outcomes = repo_facts(*args, **options)
        if is_first_request:
            is_first_request = False
            with site.app.app_context():
                make_due(
                    db.session(),
                    priority=Priority.WEBHOOK,
                    now=fake_hosts.now(),
                    package_ids=[package_id],
                    sources=[Source.REPO],
                )
                db.session.commit()
        return outcomes

    monkeypatch.setattr(host, "repo_facts", slow_repo_facts)
    assert site.refresh(Source.REPO).totals() == {"fetched": 2}
    assert site.source_state("one", Source.REPO).priority == Priority.SCHEDULED
    assert site.refresh(Source.REPO).totals() == {}


def test_sources_are_fetched_by_priority(site: RefreshedSite, fake_hosts: FakeHosts) -> None:
    ids = [site.add_package(f"package-{number}", repo_url="https://codeberg.org/ada/one") for number in range(4)]
    with site.app.app_context():
        for package_id, priority in zip(
            ids[1:], (Priority.UPSTREAM_CHANGE, Priority.WEBHOOK, Priority.USER_REQUEST), strict=True
        ):
            make_due(
                db.session(), priority=priority, now=fake_hosts.now(), package_ids=[package_id], sources=[Source.REPO]
            )
        db.session.commit()
    recorder = ResultRecorder()
    site.refresher(SourceFilter(sources=[Source.REPO]), on_result=recorder).run()
    assert [claim.package_id for claim, _ in recorder.recorded] == [ids[2], ids[3], ids[1], ids[0]]


def test_pauses_follow_the_host_up_to_a_limit(site: RefreshedSite, fake_hosts: FakeHosts) -> None:
    site.add_package_per_host()
    now = fake_hosts.now()
    with site.app.app_context():
        session = db.session()
        assert pause_host(session, "gitlab.com", RateLimited("", 90.0), now=now) == now + timedelta(seconds=90)
        session.commit()
        assert pause_host(session, "gitlab.com", RateLimited("", 1e9), now=now) == now + timedelta(days=1)
        session.commit()
        assert pause_host(session, "gitlab.com", Unavailable(""), now=now) == now + timedelta(days=1)  # never shortened
        session.commit()


def test_quotas_are_stored_for_the_status_page(site: RefreshedSite) -> None:
    site.add_package_per_host()
    site.refresh()
    state: HostState = site.host_state("github.com")
    assert set(state.quotas) == {"core", "graphql"}
    assert state.quotas["core"]["left"] < state.quotas["core"]["whole"] == 5000
    assert state.last_answer_at is not None


def test_releases_follow_the_index(site: RefreshedSite, fake_hosts: FakeHosts) -> None:
    site.add_package("one", pypi_url="One")
    site.refresh()
    fake_hosts.pypi.release("one", "2.0", requires_python=">=3.12")
    fake_hosts.pypi.yank("one", "1.1", "broken")
    del fake_hosts.pypi["one"].releases["1.0"]
    fake_hosts.clock_offset = timedelta(days=11)
    site.refresh()
    with site.app.app_context():
        rows = db.session.execute(select(Release.number, Release.yanked_reason, Release.licence).order_by(Release.id))
        assert [tuple(row) for row in rows] == [("1.1", "broken", "MIT"), ("2.0", None, "MIT")]
    package = site.package("one")
    assert (package.pypi_version, package.requires_python) == ("2.0", ">=3.12")


def test_vulnerability_is_stored_until_it_is_fixed(site: RefreshedSite, fake_hosts: FakeHosts) -> None:
    site.add_package("one", pypi_url="one")
    fake_hosts.pypi.add_vulnerability(
        "one", "PYSEC-2026-1", fixed_in=["1.2"], aliases=["CVE-2026-1"], summary="Reads too far"
    )
    site.refresh()
    (vulnerability,) = site.package("one").vulnerabilities or []
    assert vulnerability["id"] == "PYSEC-2026-1"
    assert vulnerability["fixed_in"] == ["1.2"]
    fake_hosts.pypi["one"].vulnerabilities.clear()
    fake_hosts.clock_offset = timedelta(days=11)
    site.refresh()
    assert site.package("one").vulnerabilities == []


def test_package_without_sources_is_unchanged(site: RefreshedSite) -> None:
    site.add_package("one", repo_url="https://example.org/ada/one", pypi_url="", stars=8)
    assert site.refresh().totals() == {}
    assert site.query_one(select(Package.stars)) == 8


def test_facts_of_the_previous_release_are_reset(site: RefreshedSite, fake_hosts: FakeHosts) -> None:
    fake_hosts.pypi.add(
        "two", "1.0", classifiers=["Development Status :: 5 - Production/Stable"], license_expression="MIT"
    )
    site.add_package("one", pypi_url="two")
    site.refresh()
    package = site.package("one")
    assert (package.development_status, package.requires_python, package.licence) == (5, ">=3.10", "MIT")
    fake_hosts.pypi.add("two", "2.0", classifiers=[])
    fake_hosts.pypi.release("two", "2.1", requires_python=None)
    fake_hosts.clock_offset = timedelta(days=40)
    site.refresh()
    package = site.package("one")
    assert package.pypi_version == "2.1"
    assert (package.development_status, package.requires_python) == (None, None)


def test_empty_repository_description_keeps_that_of_the_index(site: RefreshedSite, fake_hosts: FakeHosts) -> None:
    fake_hosts.github.add("ada/two", description="")
    site.add_package("one", repo_url="https://github.com/ada/two", index_summary="From the index")
    site.refresh()
    assert site.package("one").description == "From the index"


class RecordingEvent(threading.Event):
    """Records the timeouts of `wait` instead of waiting."""

    def __init__(self) -> None:
        super().__init__()
        self.timeouts: list[float | None] = []

    def wait(self, timeout: float | None = None) -> bool:
        self.timeouts.append(timeout)
        return self.is_set()


def test_requests_for_download_counts_are_spaced(
    site: RefreshedSite, fake_hosts: FakeHosts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(refresh, "REQUEST_INTERVALS_S", REQUEST_INTERVALS_S)  # the real intervals
    for name in ("one", "two", "three"):
        fake_hosts.add_project(name)
        site.add_package(name, pypi_url=name)
    stop = RecordingEvent()
    assert site.refresher(SourceFilter(sources=[Source.DOWNLOADS]), stop=stop).run().totals() == {"fetched": 3}
    assert stop.timeouts == [1.0] * 3
