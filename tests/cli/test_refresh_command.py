"""`flask refresh` and `flask jobs run`, as a person and a service manager run them, in a world of fake hosts."""

from __future__ import annotations

import contextlib
import os
import pty
import re
import select
import signal
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from threading import Event
from typing import Any

import pytest
import sqlalchemy as sa
from click.testing import Result
from flask import Flask

from pkgsite.clock import utc_now
from pkgsite.extensions import db
from pkgsite.models import JobRun, Lease, SourceState
from pkgsite.rules.freshness import Source
from pkgsite.rules.timetable import TIMETABLE
from tests import processes
from tests.factories import make_package
from tests.fakes.rest_host import FakeHost
from tests.fakes.v4_site import response
from tests.jobs.fake_hosts import REPOSITORIES, FakeHosts, RefreshedSite
from tests.processes import Process

GITHUB, GITLAB = REPOSITORIES["github.com"], REPOSITORIES["gitlab.com"]
ALL_OF_REPO = {Source.REPO, Source.ACTIVITY, Source.PEOPLE}
DEADLINE_S = 60  # that nothing hangs; all is far faster

Run = Callable[..., Result]
Start = Callable[..., Process]


class Held:
    """A host's fault: its answers do not come before the test says so, and are then the true ones."""

    def __init__(self, host: FakeHost) -> None:
        self.asked, self.over = Event(), Event()
        self._host = host
        host.faults["/projects/"] = self

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        self.asked.set()
        self.over.wait(DEADLINE_S)
        self._host.faults.clear()
        return self._host(environ, start_response)


@pytest.fixture
def world(serve_app: Callable[[Any], str]) -> FakeHosts:
    return FakeHosts(serve_app)


@pytest.fixture
def settings(world: FakeHosts) -> dict[str, str]:
    return world.settings()


@pytest.fixture
def site(world: FakeHosts, settings: dict[str, str], make_app: Callable[..., Flask]) -> RefreshedSite:
    return RefreshedSite(make_app(**settings), world)


@pytest.fixture
def run(site: RefreshedSite) -> Run:
    """A function that runs `flask refresh` with these arguments in the test's process."""

    def invoke(*arguments: str) -> Result:
        return site.app.test_cli_runner().invoke(args=["refresh", *arguments])

    return invoke


@pytest.fixture
def start(database_url: str, tmp_path: Path, settings: dict[str, str]) -> Iterator[Start]:
    """A function that starts `flask` with these arguments in a process of its own, which does not outlive the test."""
    environment = os.environ | settings | {
        "DATABASE_URL": database_url,
        "DATA_DIR": str(tmp_path),
        "SECRET_KEY": "for tests only",
        "SCHEDULER": "off",
        "TERM": "xterm",
    }  # fmt: skip
    started: list[Process] = []

    def begin(*arguments: str, stderr: int = processes.PIPE) -> Process:
        command = ("-m", "flask", "--app", "wsgi", *arguments)
        process = processes.start(*command, env=environment, stderr=stderr, start_new_session=True)
        started.append(process)
        return process

    yield begin
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate()


def fetched(site: RefreshedSite, slug: str) -> set[str]:
    """Return the sources of a package that have been fetched."""
    package_id = site.package(slug).id
    with site.app.app_context():
        rows = db.session.scalars(
            sa.select(SourceState.source).where(
                SourceState.package_id == package_id, SourceState.fetched_at.is_not(None)
            )
        )
        return {Source(source) for source in rows}


def forget(site: RefreshedSite) -> None:
    """Let no source have been fetched, as far as `fetched` can see; when each is due stays as it is."""
    with site.app.app_context():
        db.session.execute(sa.update(SourceState).values(fetched_at=None))
        db.session.commit()


def count(site: RefreshedSite, *conditions: sa.ColumnElement[bool]) -> int:
    found: int = site.query_one(sa.select(sa.func.count()).select_from(SourceState).where(*conditions))
    return found


def wait_until(is_so: Callable[[], bool], process: Process) -> None:
    """Wait for something that a process is to bring about."""
    ends_at = time.monotonic() + DEADLINE_S
    while not is_so():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < ends_at, "it does not come"
        time.sleep(0.02)


def test_what_is_due_is_fetched_and_nothing_else(site: RefreshedSite, world: FakeHosts, run_command: Run) -> None:
    site.add_package("known", repo_url=GITHUB)
    assert run_command().exit_code == 0
    asked = len(world.github.request_log)
    with site.app.app_context():  # as an edit leaves it: its sources are still to be found
        make_package(db.session(), "new", repo_url=GITLAB)
        db.session.commit()
    result = run_command()
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == "repo       1 fetched\nactivity   1 fetched\npeople     1 fetched\n"
    assert len(world.github.request_log) == asked
    assert fetched(site, "new") == ALL_OF_REPO
    assert sum(site.package("new").commits_over_52) > 0
    again = run_command()
    assert (again.exit_code, again.stdout, again.stderr) == (0, "Nothing is due.\n", "")


def add_three(site: RefreshedSite, world: FakeHosts) -> None:
    """Add three packages that have been fetched, whose repositories have got another star since."""
    repositories = [world.github.add(f"ada/{slug}", stars=1) for slug in ("one", "two", "three")]
    for repository in repositories:
        site.add_package(repository.name.removeprefix("ada/"), repo_url=f"https://github.com/{repository.name}")
    site.refresh()
    for repository in repositories:
        repository.stars = 2
    forget(site)


def stars(site: RefreshedSite) -> list[int | None]:
    return [site.package(slug).stars for slug in ("one", "two", "three")]


def test_named_packages_are_fetched_at_once_and_no_others(
    site: RefreshedSite, world: FakeHosts, run_command: Run
) -> None:
    add_three(site, world)
    site.add_package("due", repo_url=GITLAB)
    result = run_command("one", "two", "one")
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == "repo       2 fetched\nactivity   2 unchanged\npeople     2 unchanged\n"
    assert stars(site) == [2, 2, 1]
    assert fetched(site, "one") == fetched(site, "two") == ALL_OF_REPO
    assert fetched(site, "three") == fetched(site, "due") == set()


def test_everything_is_fetched_on_demand(site: RefreshedSite, world: FakeHosts, run_command: Run) -> None:
    add_three(site, world)
    result = run_command("--all")
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == "repo       3 fetched\nactivity   3 unchanged\npeople     3 unchanged\n"
    assert stars(site) == [2, 2, 2]


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        (("--source", "repo"), {"due": {Source.REPO}, "one": set(), "two": set(), "three": set()}),
        (("one", "due", "--source", "repo"), {"due": {Source.REPO}, "one": {Source.REPO}, "two": set()}),
        (("two", "--source=people", "--source=repo"), {"due": set(), "two": {Source.PEOPLE, Source.REPO}}),
        (("--all", "--source", "activity"), {slug: {Source.ACTIVITY} for slug in ("due", "one", "two", "three")}),
        (("one", "--all"), {"one": ALL_OF_REPO, "two": set(), "due": set()}),
    ],
)
def test_one_source_only(
    site: RefreshedSite, world: FakeHosts, run_command: Run, arguments: tuple[str, ...], found: dict[str, set[Source]]
) -> None:
    add_three(site, world)
    site.add_package("due", repo_url=GITLAB)
    result = run_command(*arguments)
    assert (result.exit_code, result.stderr) == (0, "")
    assert {slug: fetched(site, slug) for slug in found} == found


def test_a_source_that_there_is_not(site: RefreshedSite, run_command: Run) -> None:
    site.add_package("due", repo_url=GITLAB)
    result = run_command("--source", "weather")
    assert result.exit_code == 2
    assert "'weather' is not one of 'repo', 'activity', 'people', 'index', 'downloads'" in result.stderr
    assert fetched(site, "due") == set()


@pytest.mark.parametrize("arguments", [("nope", "due", "nada"), ("nope", "due", "nada", "--all")])
def test_an_unknown_package_is_named_and_nothing_is_fetched(
    site: RefreshedSite, world: FakeHosts, run_command: Run, arguments: tuple[str, ...]
) -> None:
    site.add_package("due", repo_url=GITLAB)
    due_at = site.source_state("due", Source.REPO).next_due_at
    result = run_command(*arguments)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == "Error: No package found for nope, nada.\n"
    assert world.gitlab.request_log == []
    assert site.source_state("due", Source.REPO).next_due_at == due_at


def test_a_host_that_fails_is_named_and_the_others_are_read(
    site: RefreshedSite, world: FakeHosts, run_command: Run
) -> None:
    number = site.add_package("broken", repo_url=GITLAB)
    site.add_package("whole", repo_url=GITHUB)
    world.gitlab.faults[""] = response("500 Internal Server Error", {"message": ""})
    result = run_command()
    assert result.exit_code == 1
    lines = result.stdout.splitlines()
    assert lines[:3] == [
        "repo       1 fetched, 1 failed",
        "activity   1 fetched, 1 failed",
        "people     1 fetched, 1 failed",
    ]
    assert [line.partition(": ")[0] for line in lines[3:]] == [
        f"  package {number}, {source}" for source in ("activity", "people", "repo")
    ]
    assert all(re.search(r"http://127\.0\.0\.1:\d+/api/v4/\S+ returned 500$", line) for line in lines[3:])
    assert fetched(site, "whole") == ALL_OF_REPO


def test_what_is_gone_was_not_read(site: RefreshedSite, world: FakeHosts, run_command: Run) -> None:
    number = site.add_package("gone", repo_url="https://github.com/ada/gone")
    result = run_command("--source", "repo")
    assert result.exit_code == 1
    assert result.stdout.startswith(f"repo       1 not found\n  package {number}, repo: ")


def test_a_host_that_wants_to_be_left_alone(site: RefreshedSite, world: FakeHosts, run_command: Run) -> None:
    site.add_package("limited", repo_url=GITLAB)
    world.gitlab.faults[""] = response("429 Too Many Requests", {}, Retry_After="600")
    result = run_command()
    assert result.exit_code == 1
    told, left_alone, failure = result.stdout.splitlines()
    assert told == "repo       1 paused"
    assert re.match(r"gitlab\.com paused until \d\d:\d\d UTC: .* returned 429: rate limit exceeded", left_alone)
    assert failure.startswith("  package ")

    world.gitlab.faults.clear()
    asked = len(world.gitlab.request_log)
    result = run_command()
    assert result.exit_code == 1  # it is due, and was not read
    nothing, left_alone = result.stdout.splitlines()
    assert nothing == "No host is available at the moment."
    assert left_alone.startswith("gitlab.com paused until ")
    assert len(world.gitlab.request_log) == asked

    site.add_package("whole", repo_url=GITHUB)
    result = run_command()
    assert result.exit_code == 1
    assert result.stdout.startswith("repo       1 fetched\n")
    assert run_command("whole").exit_code == 0


MANY = 30


def add_many(site: RefreshedSite) -> None:
    """Add packages of a host that is asked for one repository after the other."""
    with site.app.app_context():
        for number in range(MANY):
            make_package(db.session(), f"p{number}", repo_url=GITLAB)
        db.session.commit()
    site.sync_sources()


@pytest.mark.long
def test_ctrl_c_finishes_what_is_being_asked(site: RefreshedSite, world: FakeHosts, start: Start) -> None:
    add_many(site)
    held = Held(world.gitlab)
    process = start("refresh")
    wait_until(held.asked.is_set, process)
    process.send_signal(signal.SIGINT)
    held.over.set()
    said, warned = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 130, warned
    assert warned == "Stopped. The remaining sources are still due.\n"
    done = count(site, SourceState.fetched_at.is_not(None))
    assert 0 < done < MANY
    assert said == f"repo       {done} fetched\n"
    assert count(site, SourceState.claimed_by.is_not(None) | SourceState.claimed_until.is_not(None)) == 0
    assert count(site, SourceState.next_due_at <= utc_now()) == 3 * MANY - done


def test_ctrl_c_is_again_what_it_was(site: RefreshedSite, run_command: Run) -> None:
    before = signal.getsignal(signal.SIGINT)
    site.add_package("one", repo_url=GITHUB)
    assert run_command().exit_code == 0
    assert signal.getsignal(signal.SIGINT) is before


@contextlib.contextmanager
def terminal() -> Iterator[tuple[int, Callable[[], str]]]:
    """Yield a terminal for a process to write to, and a function that returns what was written once it has ended."""
    ours, theirs = pty.openpty()

    def written() -> str:
        os.close(theirs)
        found = b""
        while select.select([ours], [], [], DEADLINE_S)[0]:
            try:
                found += os.read(ours, 65536)
            except OSError:  # Linux says so that nobody has the terminal open any more
                return found.decode()
        raise AssertionError("the terminal stays open")

    yield theirs, written
    os.close(ours)


@pytest.mark.long
def test_a_terminal_shows_how_far_it_has_come(site: RefreshedSite, start: Start) -> None:
    site.add_package("one", repo_url=GITLAB)
    with terminal() as (theirs, written):
        process = start("refresh", stderr=theirs)
        shown = written()
    said, _ = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 0, shown
    assert shown.count("Refreshing") > 1
    assert [f"{number}/3" in shown for number in range(4)] == [True] * 4
    assert said == "repo       1 fetched\nactivity   1 fetched\npeople     1 fetched\n"


@pytest.mark.long
def test_a_terminal_shows_no_bar_where_there_is_nothing_to_do(site: RefreshedSite, start: Start) -> None:
    with terminal() as (theirs, written):
        process = start("refresh", stderr=theirs)
        shown = written()
    said, _ = process.communicate(timeout=DEADLINE_S)
    assert (process.returncode, said, shown) == (0, "Nothing is due.\n", "")


@pytest.mark.long
def test_a_file_gets_no_bar(site: RefreshedSite, start: Start) -> None:
    site.add_package("one", repo_url=GITLAB)
    process = start("refresh")
    said, warned = process.communicate(timeout=DEADLINE_S)
    assert (process.returncode, warned) == (0, "")
    assert said.startswith("repo       1 fetched\n")


def holders(site: RefreshedSite) -> list[str]:
    """Return who has the duty of running the jobs now."""
    with site.app.app_context():
        return list(db.session.scalars(sa.select(Lease.holder).where(Lease.held_until > utc_now())))


def ended_runs(site: RefreshedSite) -> list[JobRun]:
    with site.app.app_context():
        return list(db.session.scalars(sa.select(JobRun).where(JobRun.ended_at.is_not(None))))


@pytest.mark.long
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_jobs_run_until_they_are_stopped(site: RefreshedSite, start: Start, number: signal.Signals) -> None:
    site.add_package("one", repo_url=GITLAB)
    process = start("jobs", "run")
    wait_until(lambda: {run.job for run in ended_runs(site)} == {job.name for job in TIMETABLE}, process)
    assert [run.error for run in ended_runs(site) if run.error] == []
    assert fetched(site, "one") == ALL_OF_REPO
    assert len(holders(site)) == 1
    process.send_signal(number)
    said, warned = process.communicate(timeout=DEADLINE_S)
    assert (process.returncode, said) == (0, "")
    assert (
        warned.splitlines()[0]
        == "Scheduler started. Jobs run while this process holds the lease. Press Ctrl-C to stop."
    )
    assert warned.splitlines()[-1] == "Stopped."
    assert "Traceback" not in warned
    assert holders(site) == []


@pytest.mark.long
def test_jobs_give_up_their_lease_while_a_host_still_answers(
    site: RefreshedSite, world: FakeHosts, start: Start
) -> None:
    add_many(site)
    held = Held(world.gitlab)
    process = start("jobs", "run")
    wait_until(held.asked.is_set, process)
    wait_until(lambda: holders(site) != [], process)
    process.send_signal(signal.SIGTERM)
    wait_until(lambda: holders(site) == [], process)
    held.over.set()
    _, warned = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 0, warned
    assert "Traceback" not in warned
    assert count(site, SourceState.claimed_by.is_not(None)) == 0
    assert count(site, SourceState.fetched_at.is_not(None)) == 1
    assert all(run.error is None for run in ended_runs(site))
