"""Every fault on every host: it has the right result, loses no facts, and does not affect the other hosts."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from pkgsite.errors import Gone, NotAllowed, RateLimited, UpstreamError
from pkgsite.rules.freshness import Source
from pkgsite.services.refresh.queue import RefreshResult
from tests.fakes.rest_host import FAULTS
from tests.fakes.v4_site import WsgiApp, response
from tests.jobs.fake_hosts import FakeHosts, RefreshedSite

MISSING = pytest.param(response("404 Not Found", {"message": "Not Found"}), Gone, id="404")
LIMITED = pytest.param(
    response("403 Forbidden", {"message": "slow down"}, X_RateLimit_Remaining="0", X_RateLimit_Reset="99999999999"),
    RateLimited,
    id="403 by quota",
)
GITHUB_FAULTS = [*FAULTS, MISSING, LIMITED]


def break_github(fake_hosts: FakeHosts, fault: WsgiApp) -> None:
    fake_hosts.github.add_fault(fault)


def break_host(name: str) -> Callable[[FakeHosts, WsgiApp], None]:
    def with_fault(fake_hosts: FakeHosts, fault: WsgiApp) -> None:
        getattr(fake_hosts, name).faults[""] = fault

    return with_fault


HOSTS = {
    "github.com": (break_github, {Source.REPO, Source.ACTIVITY, Source.PEOPLE}),
    "gitlab.com": (break_host("gitlab"), {Source.REPO, Source.ACTIVITY, Source.PEOPLE}),
    "bitbucket.org": (break_host("bitbucket"), {Source.REPO, Source.ACTIVITY, Source.PEOPLE}),
    "codeberg.org": (break_host("forgejo"), {Source.REPO, Source.ACTIVITY, Source.PEOPLE}),
    "index": (break_host("pypi"), {Source.INDEX}),
    "counts": (break_host("download_counts"), {Source.DOWNLOADS}),
}


def advance_clock(fake_hosts: FakeHosts) -> None:
    """Advance the site's clock so far that everything is due again."""
    fake_hosts.clock_offset += timedelta(days=60)


GOOD = {RefreshResult.FETCHED, RefreshResult.UNCHANGED}


def expected(host: str, kind: type[UpstreamError]) -> set[RefreshResult]:
    """Return the expected results of a failure."""
    is_rejected_token = kind is NotAllowed and host == "github.com"  # the only one with a token
    if kind is RateLimited or is_rejected_token:
        return {RefreshResult.PAUSED}
    if kind is Gone and host == "counts":
        return set()  # that host only knows projects with downloads: an unknown count is not a failure
    if kind is Gone and host == "github.com":
        # GraphQL is one URL for all repositories: a 404 is a failure of the host.
        return {RefreshResult.FAILED, RefreshResult.MISSING}
    return {RefreshResult.MISSING} if kind is Gone else {RefreshResult.FAILED}


@pytest.mark.long
@pytest.mark.parametrize(("fault", "kind"), GITHUB_FAULTS)
@pytest.mark.parametrize("host", HOSTS)
def test_failing_host_affects_only_its_own_sources(
    refreshed_site: RefreshedSite, fake_hosts: FakeHosts, host: str, fault: WsgiApp, kind: type[UpstreamError]
) -> None:
    site = refreshed_site
    if kind is Gone:  # a 404 is trusted only if the host has just responded: refresh once more
        advance_clock(fake_hosts)
        assert {result for _, result in site.refresh().counts} <= GOOD
    known = site.facts()
    advance_clock(fake_hosts)
    break_it, sources = HOSTS[host]
    break_it(fake_hosts, fault)

    summary = site.refresh()

    failures: set[RefreshResult] = set()
    for source, result in summary.counts:
        if result not in GOOD:
            assert source in sources
            failures.add(result)
    assert failures == expected(host, kind)
    if kind is Gone and host == "counts":
        known["at-github-com"]["pypi_downloads"] = None  # the host says that it has no count
    assert unchanged_facts(site.facts()) == unchanged_facts(known)
    for name in REFRESHED:
        if name != host:
            slug, source = REFRESHED[name]
            fetched_at = site.source_state(slug, source).fetched_at
            assert fetched_at is not None, name
            assert fetched_at > fake_hosts.now() - timedelta(hours=1), name
    slug, source = REFRESHED[host]
    state = site.source_state(slug, source)
    assert state.claimed_by is None
    if RefreshResult.PAUSED in failures:
        paused_until = site.host_state(state.host).paused_until
        assert paused_until is not None
        assert paused_until > fake_hosts.now() + timedelta(minutes=4)
        assert (state.failures, state.last_error) == (0, None)
        assert state.next_due_at <= fake_hosts.now()
    elif failures:
        assert (state.failures, state.misses) == (1, int(failures == {RefreshResult.MISSING}))
        assert state.last_error
        assert fake_hosts.now() < state.next_due_at < fake_hosts.now() + timedelta(minutes=15)


REFRESHED = {
    "github.com": ("at-github-com", Source.REPO),
    "gitlab.com": ("at-gitlab-com", Source.REPO),
    "bitbucket.org": ("at-bitbucket-org", Source.REPO),
    "codeberg.org": ("at-codeberg-org", Source.REPO),
    "index": ("at-github-com", Source.INDEX),
    "counts": ("at-github-com", Source.DOWNLOADS),
}
TIME_DEPENDENT_FACTS = {"commits_over_52", "score", "scored_at"}


def unchanged_facts(facts: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {
        slug: {name: value for name, value in record.items() if name not in TIME_DEPENDENT_FACTS}
        for slug, record in facts.items()
    }
