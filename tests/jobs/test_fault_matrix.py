"""Every host in every mood: the outcome has its name, nothing known is lost, and the other hosts' facts come in."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from pkgsite.errors import Gone, RateLimited, UpstreamError
from pkgsite.rules.freshness import Source
from pkgsite.services.refresh.queue import Result
from tests.fakes.rest_host import FAULTS
from tests.fakes.v4_site import Answer, answer
from tests.jobs.fake_hosts import Site, World

MISSING = pytest.param(answer("404 Not Found", {"message": "Not Found"}), Gone, id="404")
LIMITED = pytest.param(
    answer("403 Forbidden", {"message": "slow down"}, X_RateLimit_Remaining="0", X_RateLimit_Reset="99999999999"),
    RateLimited,
    id="403 by quota",
)
MOODS = [*FAULTS, MISSING, LIMITED]


def break_github(world: World, fault: Answer) -> None:
    world.github.fail(fault)


def break_host(name: str) -> Callable[[World, Answer], None]:
    def with_fault(world: World, fault: Answer) -> None:
        getattr(world, name).faults[""] = fault

    return with_fault


HOSTS = {
    "github.com": (break_github, {Source.REPO, Source.ACTIVITY, Source.PEOPLE}),
    "gitlab.com": (break_host("gitlab"), {Source.REPO, Source.ACTIVITY, Source.PEOPLE}),
    "bitbucket.org": (break_host("bitbucket"), {Source.REPO, Source.ACTIVITY, Source.PEOPLE}),
    "codeberg.org": (break_host("forgejo"), {Source.REPO, Source.ACTIVITY, Source.PEOPLE}),
    "index": (break_host("pypi"), {Source.INDEX}),
    "counts": (break_host("counts"), {Source.DOWNLOADS}),
}
GOOD = {Result.FETCHED, Result.UNCHANGED}


def expected(host: str, kind: type[UpstreamError]) -> set[Result]:
    """Return the outcomes that a failure must have."""
    if kind is RateLimited:
        return {Result.PAUSED}
    if kind is Gone and host == "counts":
        return set()  # that host keeps counts of what was downloaded at all: unknown is an answer
    if kind is Gone and host == "github.com":
        # GraphQL is one address for all: without it the host is broken, and no repository missing.
        return {Result.FAILED, Result.MISSING}
    return {Result.MISSING} if kind is Gone else {Result.FAILED}


@pytest.mark.parametrize(("fault", "kind"), MOODS)
@pytest.mark.parametrize("host", HOSTS)
def test_a_host_that_fails(site: Site, world: World, host: str, fault: Answer, kind: type[UpstreamError]) -> None:
    site.add_one_of_each_host()
    first = site.refresh()
    assert set(first.totals()) == {"fetched"}, first.failures
    known = site.facts()
    world.later = timedelta(days=60)  # all is due again
    breaks, sources = HOSTS[host]
    breaks(world, fault)

    tally = site.refresh()

    broken: set[Result] = set()
    for source, result in tally.counts:
        if result not in GOOD:
            assert source in sources
            broken.add(result)
    assert broken == expected(host, kind)
    assert kept(site.facts()) == kept(known)
    for name in REFRESHED:
        if name != host:
            slug, source = REFRESHED[name]
            assert site.state(slug, source).fetched_at > world.now() - timedelta(hours=1), name
    slug, source = REFRESHED[host]
    state = site.state(slug, source)
    assert state.claimed_by is None
    if Result.PAUSED in broken:
        assert site.host(state.host).paused_until > world.now() + timedelta(minutes=5)
        assert (state.failures, state.last_error) == (0, None)
        assert state.next_due_at <= world.now()
    elif broken:
        assert (state.failures, state.misses) == (1, int(broken == {Result.MISSING}))
        assert state.last_error
        assert world.now() < state.next_due_at < world.now() + timedelta(minutes=15)


REFRESHED = {
    "github.com": ("at-github-com", Source.REPO),
    "gitlab.com": ("at-gitlab-com", Source.REPO),
    "bitbucket.org": ("at-bitbucket-org", Source.REPO),
    "codeberg.org": ("at-codeberg-org", Source.REPO),
    "index": ("at-github-com", Source.INDEX),
    "counts": ("at-github-com", Source.DOWNLOADS),
}
AGES = {"commits_over_52", "score"}  # these grow old by themselves: the world's clock was moved on


def kept(facts: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {slug: {name: value for name, value in record.items() if name not in AGES} for slug, record in facts.items()}
