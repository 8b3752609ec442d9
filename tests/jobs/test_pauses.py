"""Pauses of hosts: when they start, how long they last, and what they log."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from pkgsite.clock import utc_now
from pkgsite.errors import BadResponse, NotAllowed, RateLimited, Unavailable, UpstreamError
from pkgsite.extensions import db
from pkgsite.jobs.timetable import check_index_for_changes
from pkgsite.models import SourceState
from pkgsite.rules.freshness import Source
from pkgsite.services.refresh.queue import Claim, RefreshResult, SourceFilter, pause_host, record_response
from tests.fakes.github import quota_headers
from tests.fakes.rest_host import FakeRepository, make_commits
from tests.fakes.v4_site import WsgiApp, response
from tests.jobs.fake_hosts import REPOSITORIES, FakeHosts, RefreshedSite

MINUTE = timedelta(minutes=1)
SECONDARY_LIMIT = {
    "message": "You have exceeded a secondary rate limit. Please wait a few minutes before you try again.",
    "documentation_url": "https://docs.github.com/rest/overview/resources-in-the-rest-api#secondary-rate-limits",
}


def add_packages(site: RefreshedSite, host: str, count: int = 12) -> None:
    for number in range(count):
        site.add_package(f"package-{number}", repo_url=f"https://{host}/ada/one")


def logged(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name.startswith("pkgsite")]


def failures(site: RefreshedSite) -> list[int]:
    with site.app.app_context():
        return list(db.session.scalars(select(SourceState.failures).distinct()))


def paused_for(site: RefreshedSite, fake_hosts: FakeHosts, host: str) -> timedelta:
    until = site.host_state(host).paused_until
    assert until is not None
    return until - fake_hosts.now()


@pytest.mark.parametrize("reset_s", [-100, 10])
def test_limit_stated_in_the_body_pauses_the_host_longer_each_time(
    site: RefreshedSite, fake_hosts: FakeHosts, caplog: pytest.LogCaptureFixture, reset_s: int
) -> None:
    add_packages(site, "github.com")
    reset_at = int(utc_now().timestamp()) + reset_s
    fake_hosts.github.add_fault(
        response("403 Forbidden", SECONDARY_LIMIT, **quota_headers("core", 5000, 4614, reset_at))
    )
    summary = site.refresh()
    assert set(summary.totals()) == {"paused"}
    assert len(fake_hosts.github.request_log) == 1
    assert failures(site) == [0]
    lengths = [paused_for(site, fake_hosts, "github.com")]
    for _ in range(3):
        fake_hosts.clock_offset += lengths[-1] + timedelta(seconds=1)
        site.refresh()
        lengths.append(paused_for(site, fake_hosts, "github.com"))
    expected = [MINUTE, 2 * MINUTE, 4 * MINUTE, 8 * MINUTE]
    assert [round(length / MINUTE, 1) for length in lengths] == [length / MINUTE for length in expected]
    assert len(fake_hosts.github.request_log) == len(logged(caplog)) == 4


def test_limit_stated_in_the_body_lasts_until_the_quota_is_reset(site: RefreshedSite, fake_hosts: FakeHosts) -> None:
    add_packages(site, "github.com")
    reset_at = int(utc_now().timestamp()) + 1800
    fake_hosts.github.add_fault(
        response("403 Forbidden", SECONDARY_LIMIT, **quota_headers("core", 5000, 4614, reset_at))
    )
    site.refresh()
    assert paused_for(site, fake_hosts, "github.com") == pytest.approx(30 * MINUTE, abs=timedelta(seconds=10))


REFUSALS: list[WsgiApp] = [
    response("401 Unauthorized", {"message": "Bad credentials"}),
    response("403 Forbidden", {"message": "Max number of login attempts exceeded"}),
]


@pytest.mark.parametrize("fault", REFUSALS)
def test_refused_token_pauses_the_host_at_once(
    site: RefreshedSite, fake_hosts: FakeHosts, caplog: pytest.LogCaptureFixture, fault: WsgiApp
) -> None:
    site.add_package_per_host()
    add_packages(site, "github.com")
    fake_hosts.github.add_fault(fault)
    summary = site.refresh()
    assert list(summary.paused) == ["github.com"]
    assert failures(site) == [0]
    assert len(fake_hosts.github.request_log) == 1
    (line,) = logged(caplog)
    assert line.startswith("github.com paused until ")
    assert "CODE_HOST_TOKENS" in line
    assert "rejects this site's token" in str(site.host_state("github.com").last_error)
    for _ in range(8):  # the pauses grow, but the site recovers within an hour of a change
        fake_hosts.clock_offset += paused_for(site, fake_hosts, "github.com") + timedelta(seconds=1)
        site.refresh()
    assert timedelta(minutes=59) < paused_for(site, fake_hosts, "github.com") <= timedelta(hours=1)


@pytest.fixture
def private_site(fake_hosts: FakeHosts, make_app: Callable[..., Flask]) -> RefreshedSite:
    """A site whose hosts resolve to this machine, which its settings do not allow."""
    return RefreshedSite(make_app(**fake_hosts.settings() | {"ALLOWED_HOSTS_OUT": ""}), fake_hosts)


def test_non_public_address_pauses_the_host_and_is_logged_once(
    private_site: RefreshedSite, fake_hosts: FakeHosts, caplog: pytest.LogCaptureFixture
) -> None:
    site = private_site
    site.add_package_per_host()
    add_packages(site, "codeberg.org")
    site.refresh()
    with site.app.app_context():
        assert check_index_for_changes(site.gateways, fake_hosts.now()) == {"paused hosts": 1}
    hosts = [*REPOSITORIES, site.gateways.package_index_host, site.gateways.downloads_host]
    assert sorted(line.partition(" ")[0] for line in logged(caplog)) == sorted(hosts)
    assert all("resolves to a non-public address (127.0.0.1)" in line for line in logged(caplog))
    assert failures(site) == [0]
    error = str(site.host_state("codeberg.org").last_error)
    assert error == "127.0.0.1 resolves to a non-public address"
    fake_hosts.clock_offset = 4 * MINUTE
    site.refresh()
    assert len(logged(caplog)) == len(hosts)
    fake_hosts.clock_offset = 6 * MINUTE
    site.refresh()
    assert len(logged(caplog)) == 2 * len(hosts)


def test_unreachable_hosts_are_logged_once_per_pause(
    make_app: Callable[..., Flask], fake_hosts: FakeHosts, caplog: pytest.LogCaptureFixture
) -> None:
    urls = {"GITHUB": "http://127.0.0.1:9", "INDEX": "http://127.0.0.1:9", "DOWNLOADS": "http://127.0.0.1:9"}
    settings = {
        "CODE_HOSTS": f"github.com github {urls['GITHUB']}",
        "PACKAGE_INDEX_URL": urls["INDEX"],
        "DOWNLOAD_COUNTS_URL": urls["DOWNLOADS"],
        "ALLOWED_HOSTS_OUT": "127.0.0.1:9",
    }
    site = RefreshedSite(make_app(**settings), fake_hosts)
    for number in range(8):
        site.add_package(f"package-{number}", repo_url=f"https://github.com/ada/r{number}", pypi_url=f"p{number}")
    for minutes in range(5):
        fake_hosts.clock_offset = minutes * MINUTE
        site.refresh()
    assert sorted(line.partition(" ")[0] for line in logged(caplog)) == ["127.0.0.1:9", "github.com"]


def test_pause_of_another_job_is_respected_within_a_claim(
    site: RefreshedSite, fake_hosts: FakeHosts, caplog: pytest.LogCaptureFixture
) -> None:
    add_packages(site, "codeberg.org")

    def pause(_claim: Claim, _result: RefreshResult) -> None:
        with site.app.app_context():
            pause_host(db.session(), "codeberg.org", Unavailable("down"), now=fake_hosts.now())
            db.session.commit()

    site.refresher(SourceFilter(sources=[Source.REPO]), on_result=pause).run()
    assert sum("/commits" not in request for request in fake_hosts.forgejo.request_log) == 1
    with site.app.app_context():
        assert db.session.scalars(select(SourceState.id).where(SourceState.claimed_by.is_not(None))).all() == []
    assert logged(caplog) == []


def test_host_that_fails_for_few_packages_is_not_paused(site: RefreshedSite, fake_hosts: FakeHosts) -> None:
    for number in range(4):
        path = f"ada/number-{number}"
        fake_hosts.forgejo.repositories[path] = FakeRepository(path, 10 + number, make_commits(1))
        site.add_package(f"package-{number}", repo_url=f"https://codeberg.org/{path}")
    fake_hosts.forgejo.faults[""] = response("500 Internal Server Error", {"message": ""})
    summary = site.refresh()
    assert summary.paused == {}
    assert summary.totals() == {"failed": 12}


PAUSES = [
    (Unavailable(""), [5, 10, 20, 40]),
    (BadResponse(""), [5, 10, 20, 40]),
    (RateLimited(""), [15, 30, 60, 120]),
    (RateLimited("", 120.0), [2, 2, 2, 2]),
    (RateLimited("", 0.0), [1, 2, 4, 8]),  # the time has passed by our clock
    (RateLimited("", 60.0, is_minimum=True), [1, 2, 4, 8]),
    (RateLimited("", 1800.0, is_minimum=True), [30, 31, 33, 37]),
    (NotAllowed("", is_host_wide=True), [5, 10, 20, 40, 60, 60]),
]


@pytest.mark.parametrize(("failure", "minutes"), PAUSES)
def test_pauses_grow_unless_the_host_says_how_long(
    site: RefreshedSite, failure: UpstreamError, minutes: list[int]
) -> None:
    now = utc_now()
    with site.app.app_context():
        for expected in minutes:
            until = pause_host(db.session(), "codeberg.org", failure, now=now)
            db.session.commit()
            assert (until - now) / MINUTE == expected
            now = until + timedelta(seconds=1)
            # A few responses in between don't make the next pause short.
            record_response(db.session(), "codeberg.org", {}, now=now)
            db.session.commit()
        record_response(db.session(), "codeberg.org", {}, now=now + timedelta(hours=1))
        db.session.commit()
        until = pause_host(db.session(), "codeberg.org", failure, now=now + timedelta(hours=1))
        assert (until - now) / MINUTE - 60 == minutes[0]


def test_failure_of_a_paused_host_does_not_lengthen_the_next_pause(site: RefreshedSite) -> None:
    now = utc_now()
    with site.app.app_context():
        lengths: list[Any] = []
        for seconds in (0, 1, 2, 400):
            at = now + timedelta(seconds=seconds)
            lengths.append(pause_host(db.session(), "codeberg.org", Unavailable(""), now=at) - at)
            db.session.commit()
    assert [length / MINUTE for length in lengths] == [5, 5, 5, 10]


def contributor_requests(fake_hosts: FakeHosts) -> int:
    """Return how often GitHub was asked for the contributors, by the repository's name or id."""
    return sum("/contributors?" in request for request in fake_hosts.github.request_log)


def test_contributors_that_are_too_many_pass_the_health_check_and_are_rarely_requested(
    site: RefreshedSite, fake_hosts: FakeHosts
) -> None:
    repo = fake_hosts.github.add("torvalds/linux")
    site.add_package("linux", repo_url="https://github.com/torvalds/linux", participants=["ada"])
    too_large = "The history or contributor list is too large to list contributors for this repository via the API."
    fake_hosts.github.add_fault(response("403 Forbidden", {"message": too_large}), path="/contributors")
    assert site.refresh().totals() == {"fetched": 3}
    package = site.package("linux")
    assert (package.participants, package.has_too_many_participants) == (["ada"], True)
    page = site.app.test_client().get("/packages/p/linux/").get_data(as_text=True)
    assert "Too many people have committed for the code host to list them." in page
    requested = contributor_requests(fake_hosts)
    repo.commits = 901
    fake_hosts.clock_offset = timedelta(days=2)
    site.refresh()
    assert site.package("linux").commit_count == 901
    assert contributor_requests(fake_hosts) == requested == 1
    assert site.source_state("linux", Source.PEOPLE).next_due_at > fake_hosts.now() + timedelta(days=10)
    fake_hosts.github.clear_faults()
    fake_hosts.clock_offset = timedelta(days=45)
    site.refresh()
    assert not site.package("linux").has_too_many_participants


def test_repository_that_was_taken_down_counts_as_missing_with_the_reason(
    site: RefreshedSite, fake_hosts: FakeHosts
) -> None:
    site.add_package("one", repo_url=REPOSITORIES["gitlab.com"])
    site.refresh()
    block = {"reason": "dmca", "created_at": "2021-04-22T17:53:56Z", "html_url": "https://example.org/dmca"}
    fake_hosts.gitlab.faults[""] = response("451 Unavailable For Legal Reasons", {"message": "Blocked", "block": block})
    for days in range(2, 12):
        fake_hosts.clock_offset = timedelta(days=days)
        summary = site.refresh(Source.REPO)
        assert set(summary.totals()) <= {"missing"}
    assert site.package("one").missing_since is not None
    page = site.app.test_client().get("/packages/p/one/").get_data(as_text=True)
    assert "taken down by the host (dmca, 2021-04-22, https://example.org/dmca)" in page
