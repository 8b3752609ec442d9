"""Four workers on one database, two of them killed at random: nothing is lost, nothing is asked twice at a time."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select

from pkgsite.clock import utc_now
from pkgsite.extensions import db
from pkgsite.models import Package, SourceState
from pkgsite.services.refresh.queue import CLAIM_TTL
from tests import processes
from tests.factories import make_package
from tests.fakes.forgejo import FakeForgejo
from tests.fakes.github import FakeGitHub
from tests.fakes.rest_host import FakeRepository, make_commits
from tests.jobs.fake_hosts import TOKEN, FakeHosts, RefreshedSite
from tests.processes import Process

pytestmark = pytest.mark.long

AT_GITHUB, AT_FORGEJO = 90, 30
SOURCES = (AT_GITHUB + AT_FORGEJO) * 3
DEADLINE_S = 120
STARTUP_TIMEOUT_S = 10  # well below the workers' patience with a host

Claimed = tuple[int, float]  # a source, and until when


class GatedApp:
    """Answers nothing until all workers are at work, and then takes its time, so that a kill hits work in progress."""

    def __init__(self, host: FakeGitHub | FakeForgejo, hosts_may_answer: threading.Event) -> None:
        self._host, self._opened = host, hosts_may_answer

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        self._opened.wait(STARTUP_TIMEOUT_S)
        time.sleep(0.03)
        return self._host(environ, start_response)


@pytest.fixture
def hosts_may_answer() -> Iterator[threading.Event]:
    """Once it is set, the hosts answer."""
    event = threading.Event()
    yield event
    event.set()


@pytest.fixture
def world(serve_app: Callable[[Any], str], hosts_may_answer: threading.Event) -> FakeHosts:
    world = FakeHosts(
        lambda host: serve_app(GatedApp(host, hosts_may_answer) if isinstance(host, FakeGitHub | FakeForgejo) else host)
    )
    world.github = FakeGitHub(TOKEN)
    for number in range(AT_GITHUB):
        world.github.add(f"ada/repo-{number}")
    commits = make_commits(30, now=utc_now())
    world.forgejo = FakeForgejo(
        *(FakeRepository(f"ada/repo-{number}", number + 1, commits) for number in range(AT_FORGEJO))
    )
    return world


@pytest.fixture
def settings(fake_hosts: FakeHosts) -> dict[str, str]:
    """Where the world's hosts are served, for the test and for its workers."""
    return fake_hosts.settings()


@pytest.fixture
def site(fake_hosts: FakeHosts, settings: dict[str, str], make_app: Callable[..., Flask]) -> RefreshedSite:
    """A site all of whose packages are due."""
    site = RefreshedSite(make_app(**settings), fake_hosts)
    with site.app.app_context():
        for host, packages in (("github.com", AT_GITHUB), ("codeberg.org", AT_FORGEJO)):
            for number in range(packages):
                slug = f"{number}-at-{host.partition('.')[0]}"
                make_package(db.session(), slug, repo_url=f"https://{host}/ada/repo-{number}")
        db.session.commit()
    site.sync_sources()
    assert site.query_one(select(func.count()).select_from(SourceState)) == SOURCES
    return site


@pytest.fixture
def start(database_url: str, settings: dict[str, str], tmp_path: Path) -> Iterator[Callable[..., Any]]:
    """A function that starts a worker process on the test's database, with its clock moved on."""
    own = {"DATABASE_URL": database_url, "DATA_DIR": str(tmp_path), "SECRET_KEY": "for tests only"}
    started: list[Process] = []

    def begin(later_s: float = 0) -> Process:
        environment = os.environ | settings | own
        started.append(processes.start("-m", "tests.jobs.worker", str(later_s), env=environment))
        return started[-1]

    yield begin
    for process in started:
        if process.poll() is None:
            process.kill()
            process.communicate()


def test_two_of_four_workers_are_killed(
    site: RefreshedSite, start: Callable[..., Process], hosts_may_answer: threading.Event
) -> None:
    seed = random.randrange(10**6)
    print(f"seed {seed}")  # noqa: T201 - shown where the test fails
    dice = random.Random(seed)
    workers = [start() for _ in range(4)]
    wait_for(lambda: all(claimed_sources(site, worker) for worker in workers), STARTUP_TIMEOUT_S)
    hosts_may_answer.set()
    left: set[int] = set()
    for doomed in workers[:2]:
        left |= kill_worker(site, doomed, dice)
    told = [worker.communicate(timeout=DEADLINE_S) for worker in workers]
    assert [worker.returncode for worker in workers] == [-signal.SIGKILL] * 2 + [0] * 2, told
    claims = [claim for out, _ in told for claim in parse_claims(out)]

    # The survivors did all else, and left what the dead ones held.
    assert ids(site, SourceState.claimed_by.is_not(None)) == left
    assert ids(site, SourceState.fetched_at.is_(None)) <= left
    # Nobody takes that over before its lease has run out …
    claims += wait_for_claims(start())
    assert ids(site, SourceState.claimed_by.is_not(None)) == left
    # … and then somebody does.
    late = wait_for_claims(start(CLAIM_TTL.total_seconds() + 1))
    assert left <= {source for source, _ in late}

    assert ids(site, SourceState.claimed_by.is_not(None) | SourceState.claimed_until.is_not(None)) == set()
    assert ids(site, SourceState.fetched_at.is_(None)) == set()
    assert_facts_applied(site)
    assert_no_overlapping_claims(claims + late)


def kill_worker(site: RefreshedSite, doomed: Process, dice: random.Random) -> set[int]:
    """Kill a worker at a random moment, and return the sources that it held then.

    It is stopped first, so that what it holds can be looked at; between two batches it holds nothing, and may go on.
    """
    while True:
        time.sleep(dice.uniform(0, 0.5))
        assert doomed.poll() is None, "it was done before"
        doomed.send_signal(signal.SIGSTOP)
        if claimed_sources(site, doomed):
            doomed.kill()
            doomed.wait()
            return claimed_sources(site, doomed)
        doomed.send_signal(signal.SIGCONT)


def wait_for_claims(worker_id: Process) -> list[Claimed]:
    """Return what a worker claimed until nothing was due."""
    out, errors = worker_id.communicate(timeout=DEADLINE_S)
    assert worker_id.returncode == 0, errors
    return parse_claims(out)


def parse_claims(told: str) -> list[Claimed]:
    """Return what a worker said that it claimed."""
    words = [claimed.partition("@") for claimed in told.split()]
    return [(int(number), float(until)) for number, _, until in words]


def assert_facts_applied(site: RefreshedSite) -> None:
    with site.app.app_context():
        packages = db.session.scalars(select(Package)).all()
        assert {package.stars for package in packages if "github" in package.repo_url} == {511}
        assert all(package.last_commit_at and package.commits_over_52 and package.participants for package in packages)
        db.session.remove()


def assert_no_overlapping_claims(claims: list[Claimed]) -> None:
    """Of each source the leases do not overlap: what one worker had settled or a dead one held, no other took."""
    times: defaultdict[int, list[float]] = defaultdict(list)
    for source, until in claims:
        times[source].append(until)
    assert len(times) == SOURCES
    for source, untils in times.items():
        apart = [second - first for first, second in pairwise(sorted(untils))]
        assert all(gap >= CLAIM_TTL.total_seconds() for gap in apart), (source, untils)


def ids(site: RefreshedSite, condition: Any) -> set[int]:
    with site.app.app_context():
        found = set(db.session.scalars(select(SourceState.id).where(condition)))
        db.session.remove()
        return found


def claimed_sources(site: RefreshedSite, worker_id: Process) -> set[int]:
    """Return the sources that a worker has claimed; its process's number is part of its name."""
    return ids(site, SourceState.claimed_by.like(f"%:{worker_id.pid}:%"))


def wait_for(condition: Callable[[], bool], seconds: float) -> None:
    """Wait until something comes true, or this long: on a busy machine a worker may be late, and that is no failure."""
    ends_at = time.monotonic() + seconds
    while not condition() and time.monotonic() < ends_at:
        time.sleep(0.02)
