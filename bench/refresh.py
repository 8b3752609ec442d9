"""Measures the cost of refreshing facts: requests to a fake GitHub, packages per minute, and memory.

    python -m bench.refresh [--repos 5000]

The fake serves GitHub's wire format over HTTP in a separate process and counts the requests. The site refreshes with
its real refresher into SQLite in a temporary folder. The first run fetches everything. On the second and third day, 2 %
of the repositories have new commits: the second run refreshes what is due, the third everything. If a run exceeds its
budget, the program exits with status 1.
"""

from __future__ import annotations

import argparse
import logging
import multiprocessing
import resource
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from multiprocessing.connection import Connection
from pathlib import Path
from urllib.parse import urlsplit

from flask import Flask
from flask_migrate import upgrade
from sqlalchemy import insert
from werkzeug.serving import make_server

import config
from pkgsite import create_app
from pkgsite.clock import utc_now
from pkgsite.extensions import db, gateways
from pkgsite.jobs.refresh import Refresher
from pkgsite.models import Package
from pkgsite.rules.freshness import Priority
from pkgsite.services.refresh.sources import make_due, sync_sources
from tests.factories import make_category
from tests.fakes.github import FakeGitHub

TOKEN = "benchmark-token"
MAX_GRAPHQL_REQUESTS = 120  # requests for the metadata of 5,000 repositories
MAX_SECOND_DAY_SHARE = 0.10  # of the first run's REST quota
DAILY_CHANGE_RATE = 0.02  # of the repositories, per day
REST_QUOTA_PER_HOUR = 5000  # of a GitHub token


@dataclass(frozen=True, slots=True)
class RequestCounts:
    """The requests to the fake since the last count, and their cost."""

    graphql: int
    rest: int
    points: int
    quota: int

    def summary(self) -> str:
        return f"{self.graphql:6,} GraphQL ({self.points:,} points)  {self.rest:7,} REST ({self.quota:,} counted)"


def fake_github(repos: int, pipe: Connection) -> None:
    """Serve the fake and execute commands from the pipe.

    Commands: "count" sends the request counts, "stop" ends the process, and a timestamp adds a commit of that time to
    some repositories.
    """
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    github = FakeGitHub(TOKEN)
    github.limits = {"core": 10**9, "graphql": 10**9}
    repositories = [github.add(f"owner/repo-{number}") for number in range(repos)]
    server = make_server("127.0.0.1", 0, github, threaded=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    pipe.send(f"http://127.0.0.1:{server.server_port}")
    while (command := pipe.recv()) != "stop":
        if command == "count":
            graphql = github.count_requests("POST /graphql")
            pipe.send(
                RequestCounts(graphql, len(github.request_log) - graphql, github.spent["graphql"], github.spent["core"])
            )
            github.request_log.clear()
            github.spent.clear()
        else:
            for repo in repositories[:: round(1 / DAILY_CHANGE_RATE)]:
                repo.stars += 1
                repo.commits += 1
                repo.committed_at = command
                repo.weeks = [*(repo.weeks or [0] * 52)[:-1], repo.commits % 50]
            pipe.send(None)
    server.shutdown()


@contextmanager
def running_fake(repos: int) -> Iterator[tuple[str, Callable[[str], RequestCounts]]]:
    """Run a fake; yield its URL and a function that sends it a command."""
    parent_pipe, child_pipe = multiprocessing.get_context("spawn").Pipe()
    process = multiprocessing.get_context("spawn").Process(target=fake_github, args=(repos, child_pipe), daemon=True)
    process.start()
    address = parent_pipe.recv()

    def send_command(command: str) -> RequestCounts:
        parent_pipe.send(command)
        counts: RequestCounts = parent_pipe.recv()
        return counts

    yield address, send_command
    parent_pipe.send("stop")
    process.join()


def make_site(folder: Path, repos: int, address: str) -> Flask:
    """Return a site with a package for each repository, none of them fetched yet."""
    environment = {
        "DATA_DIR": str(folder),
        "SECRET_KEY": "bench",
        "CODE_HOSTS": f"github.com github {address}",
        "CODE_HOST_TOKENS": f"github.com={TOKEN}",
        "ALLOWED_HOSTS_OUT": urlsplit(address).netloc,
    }
    app = create_app(config.flask_config(config.read_settings(environment)))
    with app.app_context():
        upgrade()
        now = utc_now()
        category = make_category(db.session())
        rows = [
            {"title": f"Repo {number}", "slug": f"repo-{number}", "repo_url": f"https://github.com/owner/repo-{number}",
             "category_id": category.id, "created_at": now, "modified_at": now, "changed_at": now}
            for number in range(repos)
        ]  # fmt: skip
        db.session.execute(insert(Package), rows)
        db.session.commit()
        sync_sources(db.session(), gateways(), now=now)
        db.session.commit()
    return app


def refresh(app: Flask, clock_offset: timedelta, *, everything: bool = False) -> tuple[dict[str, int], float]:
    """Refresh with a shifted clock; return the counts by result and the duration in seconds."""
    with app.app_context():
        if everything:
            make_due(db.session(), priority=Priority.USER_REQUEST, now=utc_now() + clock_offset)
            db.session.commit()
        refresher = Refresher(app, gateways(), clock=lambda: utc_now() + clock_offset)
    start = time.perf_counter()
    totals = refresher.run().totals()
    return totals, time.perf_counter() - start


def peak_mib() -> float:
    """Return the peak memory of this process in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def print_report(name: str, counts: RequestCounts, totals: dict[str, int], seconds: float, repos: int) -> None:
    summary = ", ".join(f"{count:,} {result}" for result, count in sorted(totals.items()))
    print(f"{name:24} {counts.summary()}")
    print(f"{'':24} {summary}; {repos * 60 / seconds:,.0f} packages per minute, peak {peak_mib():.0f} MiB", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--repos", type=int, default=5000)
    repos = parser.parse_args().repos
    exceeded = []
    with tempfile.TemporaryDirectory() as folder, running_fake(repos) as (address, send_command):
        app = make_site(Path(folder), repos, address)
        print(f"{repos:,} repositories; {peak_mib():.0f} MiB before the first run")
        totals, seconds = refresh(app, timedelta(0))
        cold = send_command("count")
        print_report("first run", cold, totals, seconds, repos)
        hours = cold.quota / REST_QUOTA_PER_HOUR
        print(f"{'':24} takes {hours:.1f} hours with a quota of {REST_QUOTA_PER_HOUR:,} REST requests per hour")
        if cold.graphql > MAX_GRAPHQL_REQUESTS:
            exceeded.append(f"the first run sent {cold.graphql} GraphQL requests, more than {MAX_GRAPHQL_REQUESTS}")
        runs = (("second day, due only", timedelta(days=2), False), ("third day, everything", timedelta(days=3), True))
        for name, later, everything in runs:
            send_command(f"{utc_now() + later:%Y-%m-%dT%H:%M:%SZ}")
            totals, seconds = refresh(app, later, everything=everything)
            counts = send_command("count")
            print_report(name, counts, totals, seconds, repos)
            share = counts.quota / cold.quota
            print(f"{'':24} {share:.1%} of the first run's REST quota")
            if share > MAX_SECOND_DAY_SHARE:
                exceeded.append(f"the {name} took {share:.1%} of the first run's REST quota")
        with app.app_context():
            db.engine.dispose()
    for message in exceeded:
        print(f"Over budget: {message}", file=sys.stderr)
    return 1 if exceeded else 0


if __name__ == "__main__":
    sys.exit(main())
