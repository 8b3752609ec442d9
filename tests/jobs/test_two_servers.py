"""Two web servers on one database, both with the scheduler on: one of them does the scheduled work, and the other takes
over when it is killed.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import select

from pkgsite.clock import utc_now
from pkgsite.extensions import db
from pkgsite.models import JobRun, Lease
from pkgsite.rules.timetable import TIMETABLE
from tests.databases import free_port
from tests.test_server import ask, running

DEADLINE_S = 100
TAKEN_OVER_S = 60


@pytest.fixture
def closed_host(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let sites that are started from now on look for every host at a place where nobody answers."""
    nowhere = f"127.0.0.1:{free_port()}"
    for name, value in {
        "SCHEDULER": "web",
        "WORKERS": "1",
        "CODE_HOSTS": f"github.com github http://{nowhere}",
        "PACKAGE_INDEX_URL": f"http://{nowhere}",
        "DOWNLOAD_COUNTS_URL": f"http://{nowhere}",
        "ALLOWED_HOSTS_OUT": nowhere,
    }.items():
        monkeypatch.setenv(name, value)


class Log:
    """What the database says of who works, and what ran."""

    def __init__(self, app: Flask) -> None:
        self._app = app

    def holder(self) -> str:
        """Return the name of the worker that has the duty now; empty if nobody has."""
        with self._app.app_context():
            lease = db.session.scalar(select(Lease).where(Lease.held_until > utc_now()))
            db.session.remove()
            return lease.holder if lease else ""

    def runs(self) -> list[tuple[str, datetime, datetime, str, bool]]:
        """Return job, tick, begin, worker and whether it has ended, of every run, in the order in which they began."""
        with self._app.app_context():
            runs = db.session.scalars(select(JobRun).order_by(JobRun.started_at)).all()
            found = [(run.job, run.tick_at, run.started_at, run.holder, run.ended_at is not None) for run in runs]
            db.session.remove()
            return found


def wait_until(condition: Callable[[], bool], seconds: float = DEADLINE_S) -> bool:
    ends_at = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > ends_at:
            return False
        time.sleep(0.5)
    return True


def process_of(holder: str) -> int:
    return int(holder.split(":")[1])


def group_of(processes: list[subprocess.Popen[str]], pid: int) -> subprocess.Popen[str]:
    """Return the server that a worker belongs to."""
    return next(process for process in processes if os.getpgid(pid) == process.pid)


@pytest.mark.usefixtures("closed_host")
def test_the_other_server_takes_over(database_url: str, make_app: Callable[..., Flask], tmp_path: Path) -> None:
    log = Log(make_app())
    with ExitStack() as servers:
        started = [servers.enter_context(running(database_url, tmp_path)) for _ in range(2)]
        processes = [process for process, _ in started]
        for _, site in started:
            assert ask(site, "/api/v4/").status_code == 200
        names = {job.name for job in TIMETABLE}
        assert wait_until(lambda: {job for job, *_, ended in log.runs() if ended} == names), log.runs()
        first = log.holder()
        assert {holder for *_, holder, _ in log.runs()} == {first}

        doomed = group_of(processes, process_of(first))
        killed_at = utc_now()
        os.killpg(doomed.pid, signal.SIGKILL)
        assert wait_until(lambda: log.holder() not in ("", first), TAKEN_OVER_S), log.holder()
        second = log.holder()
        assert wait_until(lambda: any(holder == second for *_, holder, _ in log.runs())), log.runs()

        runs = log.runs()
        taken_over_at = min(began for _, _, began, holder, _ in runs if holder == second)
        assert (taken_over_at - killed_at).total_seconds() < TAKEN_OVER_S
        ticks = Counter((job, tick) for job, tick, *_ in runs)
        assert max(ticks.values()) == 1
        other = next(process for process in processes if process is not doomed)
        assert group_of([other], process_of(second)) is other
        other.send_signal(signal.SIGTERM)
        _, said = other.communicate(timeout=60)
        assert other.returncode == 0, said
        assert log.holder() == ""  # who leaves gives the duty up
