"""What keeping the facts fresh costs: requests to a fake GitHub, packages a minute, and memory.

    python -m bench.refresh [--repos 5000]

The fake speaks GitHub's wire format over HTTP in a process of its own and counts what it is asked; the site refreshes
by its real engine into SQLite in a temporary folder. A first run has everything to fetch. On the second day 2 % of the
repositories have new commits: once what is due by the site's own timetable is asked, and once everything is.
A run that asks more than its budget ends the program with status 1.
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

TOKEN = "for-the-bench-only"
MAX_GRAPHQL_REQUESTS = 120  # requests for the metadata of 5,000 repositories
MAX_SECOND_DAY_SHARE = 0.10  # of the first run's REST quota
DAILY_CHANGE_RATE = 0.02  # of the repositories, from one day to the next
REST_QUOTA_PER_HOUR = 5000  # REST requests that a token of GitHub has


@dataclass(frozen=True, slots=True)
class RequestCounts:
    """What the fake was asked since the last time, and what that cost."""

    graphql: int
    rest: int
    points: int
    quota: int

    def summary(self) -> str:
        return f"{self.graphql:6,} GraphQL ({self.points:,} points)  {self.rest:7,} REST ({self.quota:,} counted)"


def fake_github(repos: int, pipe: Connection) -> None:
    """Serve the fake, and answer orders: "count" what it was asked, or "change" some repositories."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    github = FakeGitHub(TOKEN)
    github.limits = {"core": 10**9, "graphql": 10**9}
    repositories = [github.add(f"owner/repo-{number}") for number in range(repos)]
    server = make_server("127.0.0.1", 0, github, threaded=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    pipe.send(f"http://127.0.0.1:{server.server_port}")
    while (send_command := pipe.recv()) != "stop":
        if send_command == "count":
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
                repo.committed_at = send_command
                repo.weeks = [*(repo.weeks or [0] * 52)[:-1], repo.commits % 50]
            pipe.send(None)
    server.shutdown()


@contextmanager
def running_fake(repos: int) -> Iterator[tuple[str, Callable[[str], RequestCounts]]]:
    """The address of a fake, and a function that gives it an order."""
    parent_pipe, child_pipe = multiprocessing.get_context("spawn").Pipe()
    process = multiprocessing.get_context("spawn").Process(target=fake_github, args=(repos, child_pipe), daemon=True)
    process.start()
    address = parent_pipe.recv()

    def order(message: str) -> RequestCounts:
        parent_pipe.send(message)
        counts: RequestCounts = parent_pipe.recv()
        return counts

    yield address, order
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
    """Refresh at a later time than now; return what came of it, and the seconds that it took."""
    with app.app_context():
        if everything:
            make_due(db.session(), priority=Priority.USER_REQUEST, now=utc_now() + clock_offset)
            db.session.commit()
        refresher = Refresher(app, gateways(), clock=lambda: utc_now() + clock_offset)
    start = time.perf_counter()
    totals = refresher.run().totals()
    return totals, time.perf_counter() - start


def peak_mib() -> float:
    """Return the most memory that this process has had, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def print_report(name: str, counts: RequestCounts, totals: dict[str, int], seconds: float, repos: int) -> None:
    summary = ", ".join(f"{number:,} {result}" for result, number in sorted(totals.items()))
    print(f"{name:24} {counts.summary()}")
    print(f"{'':24} {summary}; {repos * 60 / seconds:,.0f} packages a minute, peak {peak_mib():.0f} MiB", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--repos", type=int, default=5000)
    repos = parser.parse_args().repos
    exceeded = []
    with tempfile.TemporaryDirectory() as folder, running_fake(repos) as (address, send_command):
        app = make_site(Path(folder), repos, address)
        print(f"{repos:,} repositories; before the first run the process has {peak_mib():.0f} MiB")
        totals, seconds = refresh(app, timedelta(0))
        cold = send_command("count")
        print_report("first run", cold, totals, seconds, repos)
        print(
            f"{'':24} with a token of {REST_QUOTA_PER_HOUR:,} REST requests an hour it takes {cold.quota / REST_QUOTA_PER_HOUR:.1f} hours"
        )
        if cold.graphql > MAX_GRAPHQL_REQUESTS:
            exceeded.append(f"the first run asked GraphQL {cold.graphql} times, more than {MAX_GRAPHQL_REQUESTS}")
        runs = (("second day, as due", timedelta(days=2), False), ("third day, everything", timedelta(days=3), True))
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
