"""Four workers on one database, two of them killed at random: nothing is lost, and no source is claimed twice.

The claims of one of the killed workers are made those of another machine, whose processes can't be checked.
"""

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
from sqlalchemy import func, select, update

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
STARTUP_TIMEOUT_S = 10  # well below the workers' timeouts

ClaimInterval = tuple[int, float]  # id of the source, and expiry


class GatedApp:
    """Delays the first responses until all workers have claims, and each one a bit, so that a kill hits active work."""

    def __init__(self, host: FakeGitHub | FakeForgejo, responses_allowed: threading.Event) -> None:
        self._host, self._opened = host, responses_allowed

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        self._opened.wait(STARTUP_TIMEOUT_S)
        time.sleep(0.03)
        return self._host(environ, start_response)


@pytest.fixture
def responses_allowed() -> Iterator[threading.Event]:
    """The hosts respond once it is set."""
    event = threading.Event()
    yield event
    event.set()


@pytest.fixture
def fake_hosts(serve_app: Callable[[Any], str], responses_allowed: threading.Event) -> FakeHosts:
    hosts = FakeHosts(
        lambda host: serve_app(
            GatedApp(host, responses_allowed) if isinstance(host, FakeGitHub | FakeForgejo) else host
        )
    )
    hosts.github = FakeGitHub(TOKEN)
    for number in range(AT_GITHUB):
        hosts.github.add(f"ada/repo-{number}")
    commits = make_commits(30, now=utc_now())
    hosts.forgejo = FakeForgejo(
        *(FakeRepository(f"ada/repo-{number}", number + 1, commits) for number in range(AT_FORGEJO))
    )
    return hosts


@pytest.fixture
def settings(fake_hosts: FakeHosts) -> dict[str, str]:
    """The settings of the test's site and its workers."""
    return fake_hosts.settings()


@pytest.fixture
def site(fake_hosts: FakeHosts, settings: dict[str, str], make_app: Callable[..., Flask]) -> RefreshedSite:
    """A site with packages that are all due."""
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
def start(database_url: str, settings: dict[str, str], tmp_path: Path) -> Iterator[Callable[..., Process]]:
    """A function that starts a worker process on the test's database, with a shifted clock."""
    own = {"DATABASE_URL": database_url, "DATA_DIR": str(tmp_path), "SECRET_KEY": "for tests only"}
    started: list[Process] = []

    def start_worker(clock_offset_s: float = 0) -> Process:
        environment = os.environ | settings | own
        started.append(processes.start("-m", "tests.jobs.worker", str(clock_offset_s), env=environment))
        return started[-1]

    yield start_worker
    for process in started:
        if process.poll() is None:
            process.kill()
            process.communicate()


def test_killed_workers_lose_nothing(
    site: RefreshedSite, start: Callable[..., Process], responses_allowed: threading.Event
) -> None:
    seed = random.randrange(10**6)
    print(f"seed {seed}")  # noqa: T201 - shown if the test fails
    dice = random.Random(seed)
    workers = [start() for _ in range(4)]
    wait_for(lambda: all(claimed_sources(site, worker) for worker in workers), STARTUP_TIMEOUT_S)
    responses_allowed.set()
    taken_over, abandoned = (kill_worker(site, worker, dice) for worker in workers[:2])
    rename_machine(site, workers[1])
    outputs = [worker.communicate(timeout=DEADLINE_S) for worker in workers]
    assert [worker.returncode for worker in workers] == [-signal.SIGKILL] * 2 + [0] * 2, outputs
    claims = [claim for stdout, _ in outputs for claim in parse_claims(stdout)]

    # The survivors fetched everything except the claims of the killed workers.
    assert ids(site, SourceState.claimed_by.is_not(None)) == taken_over | abandoned
    assert ids(site, SourceState.fetched_at.is_(None)) <= taken_over | abandoned
    # The next worker takes over those of this machine; the others are not claimed before they expire …
    claims = [claim for claim in claims if claim[0] not in taken_over]
    claims += wait_for_claims(start())
    assert ids(site, SourceState.claimed_by.is_not(None)) == abandoned
    # … but afterwards.
    late_claims = wait_for_claims(start(CLAIM_TTL.total_seconds() + 1))
    assert abandoned <= {source for source, _ in late_claims}

    assert ids(site, SourceState.claimed_by.is_not(None) | SourceState.claimed_until.is_not(None)) == set()
    assert ids(site, SourceState.fetched_at.is_(None)) == set()
    assert_facts_applied(site)
    assert_no_overlapping_claims(claims + late_claims)


def kill_worker(site: RefreshedSite, worker: Process, dice: random.Random) -> set[int]:
    """Kill a worker at a random moment, and return the sources that it had claimed.

    It is suspended first to read its claims; between two batches it has none and is resumed.
    """
    while True:
        time.sleep(dice.uniform(0, 0.5))
        assert worker.poll() is None, "the worker ended too early"
        worker.send_signal(signal.SIGSTOP)
        if claimed_sources(site, worker):
            worker.kill()
            worker.wait()
            return claimed_sources(site, worker)
        worker.send_signal(signal.SIGCONT)


def rename_machine(site: RefreshedSite, worker: Process) -> None:
    """Make the claims of a worker those of a process on another machine."""
    with site.app.app_context():
        is_of_worker = SourceState.id.in_(claimed_sources(site, worker))
        db.session.execute(update(SourceState).where(is_of_worker).values(claimed_by=f"elsewhere/1:{worker.pid}:a"))
        db.session.commit()
        db.session.remove()


def wait_for_claims(worker: Process) -> list[ClaimInterval]:
    """Wait for a worker to end, and return its claims."""
    stdout, stderr = worker.communicate(timeout=DEADLINE_S)
    assert worker.returncode == 0, stderr
    return parse_claims(stdout)


def parse_claims(stdout: str) -> list[ClaimInterval]:
    """Return the claims that a worker has printed."""
    claims = [claim.partition("@") for claim in stdout.split()]
    return [(int(source_id), float(expires_at)) for source_id, _, expires_at in claims]


def assert_facts_applied(site: RefreshedSite) -> None:
    with site.app.app_context():
        packages = db.session.scalars(select(Package)).all()
        assert {package.stars for package in packages if "github" in package.repo_url} == {511}
        assert all(package.last_commit_at and package.commits_over_52 and package.participants for package in packages)
        db.session.remove()


def assert_no_overlapping_claims(claims: list[ClaimInterval]) -> None:
    """Check that no source was claimed while another worker's claim was active."""
    times: defaultdict[int, list[float]] = defaultdict(list)
    for source, expires_at in claims:
        times[source].append(expires_at)
    assert len(times) == SOURCES
    for source, expiries in times.items():
        gaps = [second - first for first, second in pairwise(sorted(expiries))]
        assert all(gap >= CLAIM_TTL.total_seconds() for gap in gaps), (source, expiries)


def ids(site: RefreshedSite, condition: Any) -> set[int]:
    with site.app.app_context():
        source_ids = set(db.session.scalars(select(SourceState.id).where(condition)))
        db.session.remove()
        return source_ids


def claimed_sources(site: RefreshedSite, worker: Process) -> set[int]:
    """Return the ids of the sources that a worker has claimed; its name includes the process id."""
    return ids(site, SourceState.claimed_by.like(f"%:{worker.pid}:%"))


def wait_for(condition: Callable[[], bool], seconds: float) -> None:
    """Wait for a condition, but only for this long: a late worker on a busy machine is not a failure."""
    ends_at = time.monotonic() + seconds
    while not condition() and time.monotonic() < ends_at:
        time.sleep(0.02)
