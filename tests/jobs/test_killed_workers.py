"""Four workers on one database, two of them killed at random: nothing is lost, nothing is asked twice at a time."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from itertools import pairwise
from pathlib import Path
from typing import Any

from flask import Flask
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from pkgsite.extensions import db, gateways
from pkgsite.models import Package, SourceState
from pkgsite.services.refresh import LEASE
from pkgsite.services.sources import sync_sources
from tests.factories import NOW, make_package
from tests.fakes.github import FakeGitHub
from tests.jobs.world import TOKEN, World

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = 80
DEADLINE_S = 120


class SlowGitHub(FakeGitHub):
    """Takes its time, so that a kill hits work in progress."""

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        time.sleep(0.02)
        return super().__call__(environ, start_response)


def start(environment: dict[str, str], later_s: float = 0) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "tests.jobs.worker", str(later_s)],
        cwd=ROOT, env=os.environ | environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def claims_in(told: str) -> list[tuple[int, float]]:
    """Return what a worker has claimed: a source, and until when."""
    words = [claimed.partition("@") for claimed in told.split()]
    return [(int(number), float(until)) for number, _, until in words]


def test_two_of_four_workers_are_killed(
    database_url: str, make_app: Callable[..., Flask], tmp_path: Path, serve: Callable[[Any], str]
) -> None:
    world = World(serve)
    world.github = SlowGitHub(TOKEN)
    settings = world.settings()
    app = make_app(**settings)
    with app.app_context():
        fill(db.session(), world)
        sync_sources(db.session(), gateways(), now=NOW)
        db.session.commit()
        sources = db.session.scalar(select(func.count()).select_from(SourceState)) or 0
        db.session.remove()
    assert sources == PACKAGES * 3

    environment = settings | {"DATABASE_URL": database_url, "DATA_DIR": str(tmp_path), "SECRET_KEY": "for tests only"}
    seed = random.randrange(10**6)
    dice = random.Random(seed)
    workers = [start(environment) for _ in range(4)]
    asked_at_first = wait_for(lambda: len(world.github.asked) > 10)
    for doomed in workers[:2]:
        time.sleep(dice.uniform(0, 0.5))
        doomed.send_signal(signal.SIGKILL)
    told = [worker.communicate(timeout=DEADLINE_S) for worker in workers]
    assert asked_at_first, f"no worker began: {told}"
    assert [worker.returncode for worker in workers[2:]] == [0, 0], told
    assert -signal.SIGKILL in {worker.returncode for worker in workers[:2]}, f"seed {seed}: they were done before"

    with app.app_context():
        left = db.session.scalars(select(SourceState.id).where(SourceState.claimed_by.is_not(None))).all()
        fetched = db.session.scalars(select(SourceState.id).where(SourceState.fetched_at.is_not(None))).all()
        db.session.remove()
    assert set(left) | set(fetched) == set(range(1, sources + 1)), f"seed {seed}"

    # Nobody takes over what the dead ones hold before its lease has run out …
    early = start(environment)
    claimed_early = claims_in(early.communicate(timeout=DEADLINE_S)[0])
    assert not {source for source, _ in claimed_early} & set(left), f"seed {seed}"
    # … and then somebody does.
    late = start(environment, later_s=LEASE.total_seconds() + 1)
    claimed_late = claims_in(late.communicate(timeout=DEADLINE_S)[0])
    assert set(left) <= {source for source, _ in claimed_late}, f"seed {seed}"

    claims = [claim for out, _ in told for claim in claims_in(out)] + claimed_early + claimed_late
    with app.app_context():
        states = db.session.scalars(select(SourceState)).all()
        packages = db.session.scalars(select(Package)).all()
        assert [state.id for state in states if state.claimed_by or state.claimed_until] == []
        assert [state.id for state in states if state.fetched_at is None] == []
        assert {package.stars for package in packages} == {511}
        assert all(package.commits_over_52 and package.participants for package in packages)
        db.session.remove()
    # Within one lease each source was claimed once: what a worker had settled or a dead one held, no other took.
    assert_claimed_once(claims, set(left))


def assert_claimed_once(claims: list[tuple[int, float]], left: set[int]) -> None:
    times: defaultdict[int, list[float]] = defaultdict(list)
    for source, until in claims:
        times[source].append(until)
    for source, untils in times.items():
        untils.sort()
        apart = [second - first for first, second in pairwise(untils)]
        assert all(gap >= LEASE.total_seconds() for gap in apart), (source, untils, source in left)


def fill(session: Session, world: World) -> None:
    for number in range(PACKAGES):
        world.github.add(f"ada/repo-{number}")
        make_package(session, f"repo-{number}", repo_url=f"https://github.com/ada/repo-{number}")
    session.commit()


def wait_for(condition: Callable[[], bool]) -> bool:
    """Return whether something came true in time."""
    ends_at = time.monotonic() + DEADLINE_S
    while not condition():
        if time.monotonic() > ends_at:
            return False
        time.sleep(0.02)
    return True
