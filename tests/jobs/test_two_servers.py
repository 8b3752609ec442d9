"""Two web servers with schedulers on one database: one runs the jobs, and the other takes over when it is killed."""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import pytest
from flask import Flask
from sqlalchemy import select

from pkgsite import create_app
from pkgsite.clock import utc_now
from pkgsite.extensions import db
from pkgsite.jobs import scheduler
from pkgsite.models import JobRun, Lease
from pkgsite.rules.timetable import TIMETABLE
from tests.conftest import KINDS, make_config
from tests.databases import DatabaseTemplate, free_port
from tests.processes import Process
from tests.test_server import fetch, running_fast_scheduler
from tests.waiting import wait_until

TIMEOUT_S = 100
TAKEOVER_TIMEOUT_S = 60
JOB_NAMES = {job.name for job in TIMETABLE}


@pytest.fixture
def unreachable_hosts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Point the settings of new sites to hosts that do not exist."""
    unused_host = f"127.0.0.1:{free_port()}"
    for name, value in {
        "SCHEDULER": "web",
        "WORKERS": "1",
        "CODE_HOSTS": f"github.com github http://{unused_host}",
        "PACKAGE_INDEX_URL": f"http://{unused_host}",
        "DOWNLOAD_COUNTS_URL": f"http://{unused_host}",
        "ALLOWED_HOSTS_OUT": unused_host,
    }.items():
        monkeypatch.setenv(name, value)


class Run(NamedTuple):
    """A run of a job."""

    job: str
    tick_at: datetime  # scheduled time
    started_at: datetime
    holder: str  # name of the worker
    is_ended: bool


class ServerPair:
    """Two servers, with queries for their lease and runs."""

    def __init__(self, app: Flask, started: list[tuple[Process, str]]) -> None:
        self._app = app
        self._processes = [process for process, _ in started]
        self._urls = [url for _, url in started]
        self.first_holder, self.killed_at = "", utc_now()

    def lease_holder(self) -> str:
        """Return the name of the worker that holds the lease, or an empty string."""
        with self._app.app_context():
            lease = db.session.scalar(select(Lease).where(Lease.held_until > utc_now()))
            db.session.remove()
            return lease.holder if lease else ""

    def runs(self) -> list[Run]:
        """Return all runs of jobs, ordered by start."""
        with self._app.app_context():
            runs = db.session.scalars(select(JobRun).order_by(JobRun.started_at)).all()
            rows = [Run(run.job, run.tick_at, run.started_at, run.holder, run.ended_at is not None) for run in runs]
            db.session.remove()
            return rows

    def assert_single_scheduler(self) -> None:
        """Check that both servers respond, and that a single worker has run every job."""
        for url in self._urls:
            assert fetch(url, "/api/v4/").status_code == 200
        assert wait_until(lambda: {run.job for run in self.runs() if run.is_ended} == JOB_NAMES, TIMEOUT_S), self.runs()
        self.first_holder = self.lease_holder()
        assert {run.holder for run in self.runs()} == {self.first_holder}

    def kill_lease_holder(self) -> None:
        """Kill the server of the worker that holds the lease."""
        server = self._server_of(self.first_holder)
        self.killed_at = utc_now()
        os.killpg(server.pid, signal.SIGKILL)
        self._processes.remove(server)

    def assert_takeover(self) -> None:
        """Check that the survivor acquires the lease and starts jobs in time, and that no tick has run twice."""
        assert wait_until(lambda: self.lease_holder() not in ("", self.first_holder), TIMEOUT_S), self.runs()
        second = self.lease_holder()
        assert [self._server_of(second)] == self._processes
        assert wait_until(lambda: any(run.holder == second for run in self.runs()), TIMEOUT_S), self.runs()
        runs = self.runs()
        taken_over_at = min(run.started_at for run in runs if run.holder == second)
        assert (taken_over_at - self.killed_at).total_seconds() < TAKEOVER_TIMEOUT_S
        assert set(Counter((run.job, run.tick_at) for run in runs).values()) == {1}

    def assert_lease_released_on_stop(self) -> None:
        (last,) = self._processes
        last.send_signal(signal.SIGTERM)
        _, stderr = last.communicate(timeout=60)
        assert last.returncode == 0, stderr
        assert self.lease_holder() == ""

    def _server_of(self, holder: str) -> Process:
        """Return the server of a worker."""
        group = os.getpgid(int(holder.split(":")[1]))
        return next(process for process in self._processes if process.pid == group)


@pytest.fixture
def pairs(
    unreachable_hosts: None, database_templates: Callable[[str], DatabaseTemplate], tmp_path: Path
) -> Iterator[list[ServerPair]]:
    """Two servers on each database. All run at the same time, so that the test waits only once for leases to expire."""
    with ExitStack() as stack:
        server_pairs = []
        for kind in KINDS:
            folder = tmp_path / kind
            folder.mkdir()
            url = stack.enter_context(database_templates(kind).copy())
            app = create_app(make_config(url, folder))
            stack.callback(dispose_engine, app)
            servers = [stack.enter_context(running_fast_scheduler(url, folder)) for _ in range(2)]
            server_pairs.append(ServerPair(app, servers))
        yield server_pairs


def dispose_engine(app: Flask) -> None:
    with app.app_context():
        db.engine.dispose()


@pytest.mark.long
def test_the_other_server_takes_over(pairs: list[ServerPair]) -> None:
    # The durations used in production; the servers of this test use shorter ones.
    assert (scheduler.LEASE_TTL + scheduler.HEARTBEAT_INTERVAL).total_seconds() < TAKEOVER_TIMEOUT_S
    for pair in pairs:
        pair.assert_single_scheduler()
    for pair in pairs:
        pair.kill_lease_holder()
    for pair in pairs:
        pair.assert_takeover()
    for pair in pairs:
        pair.assert_lease_released_on_stop()
