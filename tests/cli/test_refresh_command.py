"""The commands `refresh` and `jobs run`, with fake hosts."""

from __future__ import annotations

import contextlib
import os
import pty
import re
import select
import signal
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta
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
from tests.waiting import wait_until

GITHUB, GITLAB = REPOSITORIES["github.com"], REPOSITORIES["gitlab.com"]
REPO_SOURCES = {Source.REPO, Source.ACTIVITY, Source.PEOPLE}
TIMEOUT_S = 60  # only reached if something hangs

Run = Callable[..., Result]
Start = Callable[..., Process]


class HeldResponse:
    """A fault of a host: its responses are real, but held back until the test sets `released`."""

    def __init__(self, host: FakeHost) -> None:
        self.requested, self.released = Event(), Event()
        self._host = host
        host.faults["/projects/"] = self

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        self.requested.set()
        self.released.wait(TIMEOUT_S)
        self._host.faults.clear()
        return self._host(environ, start_response)


@pytest.fixture
def fake_hosts(serve_app: Callable[[Any], str]) -> FakeHosts:
    return FakeHosts(serve_app)


@pytest.fixture
def settings(fake_hosts: FakeHosts) -> dict[str, str]:
    return fake_hosts.settings()


@pytest.fixture
def site(fake_hosts: FakeHosts, settings: dict[str, str], make_app: Callable[..., Flask]) -> RefreshedSite:
    return RefreshedSite(make_app(**settings), fake_hosts)


@pytest.fixture
def run_command(site: RefreshedSite) -> Run:
    """A function that runs `flask refresh` with these arguments in the test's process."""

    def invoke(*arguments: str) -> Result:
        return site.app.test_cli_runner().invoke(args=["refresh", *arguments])

    return invoke


@pytest.fixture
def start(database_url: str, tmp_path: Path, settings: dict[str, str]) -> Iterator[Start]:
    """A function that starts `flask` with these arguments in a separate process, which is killed after the test."""
    environment = os.environ | settings | {
        "DATABASE_URL": database_url,
        "DATA_DIR": str(tmp_path),
        "SECRET_KEY": "for tests only",
        "SCHEDULER": "off",
        "TERM": "xterm",
    }  # fmt: skip
    started: list[Process] = []

    def start_process(*arguments: str, stderr: int = processes.PIPE) -> Process:
        command = ("-m", "flask", "--app", "wsgi", *arguments)
        process = processes.start(*command, env=environment, stderr=stderr, start_new_session=True)
        started.append(process)
        return process

    yield start_process
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate()


def fetched_sources(site: RefreshedSite, slug: str) -> set[str]:
    """Return the sources of a package that have been fetched."""
    package_id = site.package(slug).id
    with site.app.app_context():
        rows = db.session.scalars(
            sa.select(SourceState.source).where(
                SourceState.package_id == package_id, SourceState.fetched_at.is_not(None)
            )
        )
        return {Source(source) for source in rows}


def reset_fetched(site: RefreshedSite) -> None:
    """Reset the fetch times, without changing when each source is due."""
    with site.app.app_context():
        db.session.execute(sa.update(SourceState).values(fetched_at=None))
        db.session.commit()


def count_states(site: RefreshedSite, *conditions: sa.ColumnElement[bool]) -> int:
    count: int = site.query_one(sa.select(sa.func.count()).select_from(SourceState).where(*conditions))
    return count


def await_effect(condition: Callable[[], bool], process: Process) -> None:
    """Wait for a condition that a running process should cause."""
    assert wait_until(lambda: condition() or process.poll() is not None, TIMEOUT_S), "timed out"
    assert condition(), process.communicate()


def test_only_due_sources_are_fetched(site: RefreshedSite, fake_hosts: FakeHosts, run_command: Run) -> None:
    site.add_package("known", repo_url=GITHUB)
    assert run_command().exit_code == 0
    request_count = len(fake_hosts.github.request_log)
    with site.app.app_context():  # as after an edit: its sources have not been added yet
        make_package(db.session(), "new", repo_url=GITLAB)
        db.session.commit()
    result = run_command()
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == "repo       1 fetched\nactivity   1 fetched\npeople     1 fetched\n"
    assert len(fake_hosts.github.request_log) == request_count
    assert fetched_sources(site, "new") == REPO_SOURCES
    assert sum(site.package("new").commits_over_52) > 0
    again = run_command()
    assert (again.exit_code, again.stdout, again.stderr) == (0, "Nothing is due.\n", "")


def add_three(site: RefreshedSite, fake_hosts: FakeHosts) -> None:
    """Add three packages that have been fetched, and then add a star to their repositories."""
    repositories = [fake_hosts.github.add(f"ada/{slug}", stars=1) for slug in ("one", "two", "three")]
    for repository in repositories:
        site.add_package(repository.name.removeprefix("ada/"), repo_url=f"https://github.com/{repository.name}")
    site.refresh()
    for repository in repositories:
        repository.stars = 2
    reset_fetched(site)


def stars(site: RefreshedSite) -> list[int | None]:
    return [site.package(slug).stars for slug in ("one", "two", "three")]


def test_named_packages_are_fetched_immediately(site: RefreshedSite, fake_hosts: FakeHosts, run_command: Run) -> None:
    add_three(site, fake_hosts)
    site.add_package("due", repo_url=GITLAB)
    result = run_command("one", "two", "one")
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == "repo       2 fetched\nactivity   2 unchanged\npeople     2 unchanged\n"
    assert stars(site) == [2, 2, 1]
    assert fetched_sources(site, "one") == fetched_sources(site, "two") == REPO_SOURCES
    assert fetched_sources(site, "three") == fetched_sources(site, "due") == set()


def test_all_fetches_everything(site: RefreshedSite, fake_hosts: FakeHosts, run_command: Run) -> None:
    add_three(site, fake_hosts)
    result = run_command("--all")
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == "repo       3 fetched\nactivity   3 unchanged\npeople     3 unchanged\n"
    assert stars(site) == [2, 2, 2]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("--source", "repo"), {"due": {Source.REPO}, "one": set(), "two": set(), "three": set()}),
        (("one", "due", "--source", "repo"), {"due": {Source.REPO}, "one": {Source.REPO}, "two": set()}),
        (("two", "--source=people", "--source=repo"), {"due": set(), "two": {Source.PEOPLE, Source.REPO}}),
        (("--all", "--source", "activity"), {slug: {Source.ACTIVITY} for slug in ("due", "one", "two", "three")}),
        (("one", "--all"), {"one": REPO_SOURCES, "two": set(), "due": set()}),
    ],
)
def test_source_option_selects_sources(
    site: RefreshedSite,
    fake_hosts: FakeHosts,
    run_command: Run,
    arguments: tuple[str, ...],
    expected: dict[str, set[Source]],
) -> None:
    add_three(site, fake_hosts)
    site.add_package("due", repo_url=GITLAB)
    result = run_command(*arguments)
    assert (result.exit_code, result.stderr) == (0, "")
    assert {slug: fetched_sources(site, slug) for slug in expected} == expected


def test_unknown_source(site: RefreshedSite, run_command: Run) -> None:
    site.add_package("due", repo_url=GITLAB)
    result = run_command("--source", "weather")
    assert result.exit_code == 2
    assert "'weather' is not one of 'repo', 'activity', 'people', 'index', 'downloads'" in result.stderr
    assert fetched_sources(site, "due") == set()


@pytest.mark.parametrize("arguments", [("nope", "due", "nada"), ("nope", "due", "nada", "--all")])
def test_unknown_package_is_reported_and_nothing_is_fetched(
    site: RefreshedSite, fake_hosts: FakeHosts, run_command: Run, arguments: tuple[str, ...]
) -> None:
    site.add_package("due", repo_url=GITLAB)
    due_at = site.source_state("due", Source.REPO).next_due_at
    result = run_command(*arguments)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == "Error: No package found for nope, nada.\n"
    assert fake_hosts.gitlab.request_log == []
    assert site.source_state("due", Source.REPO).next_due_at == due_at


def test_failing_host_is_reported_and_others_are_fetched(
    site: RefreshedSite, fake_hosts: FakeHosts, run_command: Run
) -> None:
    package_id = site.add_package("broken", repo_url=GITLAB)
    site.add_package("whole", repo_url=GITHUB)
    fake_hosts.gitlab.faults[""] = response("500 Internal Server Error", {"message": ""})
    result = run_command()
    assert result.exit_code == 1
    lines = result.stdout.splitlines()
    assert lines[:3] == [
        "repo       1 fetched, 1 failed",
        "activity   1 fetched, 1 failed",
        "people     1 fetched, 1 failed",
    ]
    assert [line.partition(": ")[0] for line in lines[3:]] == [
        f"  package {package_id}, {source}" for source in ("activity", "people", "repo")
    ]
    assert all(re.search(r"http://127\.0\.0\.1:\d+/api/v4/\S+ returned 500$", line) for line in lines[3:])
    assert fetched_sources(site, "whole") == REPO_SOURCES


def test_missing_repository_is_reported(site: RefreshedSite, fake_hosts: FakeHosts, run_command: Run) -> None:
    package_id = site.add_package("gone", repo_url="https://github.com/ada/gone")
    result = run_command("--source", "repo")
    assert result.exit_code == 1
    assert result.stdout.startswith(f"repo       1 not found\n  package {package_id}, repo: ")


def test_rate_limited_host_is_paused(site: RefreshedSite, fake_hosts: FakeHosts, run_command: Run) -> None:
    site.add_package("limited", repo_url=GITLAB)
    fake_hosts.gitlab.faults[""] = response("429 Too Many Requests", {}, Retry_After="600")
    result = run_command()
    assert result.exit_code == 1
    counts, paused, failure = result.stdout.splitlines()
    assert counts == "repo       1 paused"
    assert re.match(r"gitlab\.com paused until \d\d:\d\d UTC: .* returned 429: rate limit exceeded", paused)
    assert failure.startswith("  package ")

    fake_hosts.gitlab.faults.clear()
    request_count = len(fake_hosts.gitlab.request_log)
    result = run_command()
    assert result.exit_code == 1  # due but not fetched
    message, paused = result.stdout.splitlines()
    assert message == "No host is available at the moment."
    assert paused.startswith("gitlab.com paused until ")
    assert len(fake_hosts.gitlab.request_log) == request_count

    site.add_package("whole", repo_url=GITHUB)
    result = run_command()
    assert result.exit_code == 1
    assert result.stdout.startswith("repo       1 fetched\n")
    assert run_command("whole").exit_code == 0


def claim_all(site: RefreshedSite, holder: str) -> datetime:
    """Claim every source for a worker, and return until when."""
    until = utc_now() + timedelta(minutes=14)
    with site.app.app_context():
        db.session.execute(sa.update(SourceState).values(claimed_by=holder, claimed_until=until))
        db.session.commit()
    return until


def test_claims_of_another_machine_are_reported(site: RefreshedSite, fake_hosts: FakeHosts, run_command: Run) -> None:
    site.add_package("one", repo_url=GITLAB)
    site.add_package("two", repo_url=GITLAB)
    until = claim_all(site, "web1/4026531836:7142:5f3a09bc:gitlab.com")
    result = run_command("--source", "repo", "--source", "people")
    assert result.exit_code == 1
    assert result.stdout.splitlines() == [
        f"gitlab.com, people: 2 sources are claimed by process 7142 on web1 until {until:%H:%M} UTC.",
        f"gitlab.com, repo: 2 sources are claimed by process 7142 on web1 until {until:%H:%M} UTC.",
    ]
    assert fake_hosts.gitlab.request_log == []
    claim_all(site, "a name of another form")
    result = run_command("one", "--source", "repo")
    assert (result.exit_code, result.stdout) == (1, f"gitlab.com, repo: 1 source is claimed until {until:%H:%M} UTC.\n")


@pytest.mark.long
def test_claims_of_a_killed_refresh_are_taken_over(
    site: RefreshedSite, fake_hosts: FakeHosts, start: Start, run_command: Run
) -> None:
    site.add_package("one", repo_url=GITLAB)
    held = HeldResponse(fake_hosts.gitlab)
    process = start("refresh")
    await_effect(held.requested.is_set, process)
    process.kill()
    process.communicate()
    held.released.set()
    fake_hosts.gitlab.faults.clear()
    assert count_states(site, SourceState.claimed_until > utc_now()) == 1
    result = run_command()
    assert (result.exit_code, result.stdout.splitlines()[0]) == (0, "repo       1 fetched")


MANY_PACKAGES = 30


def add_many(site: RefreshedSite) -> None:
    """Add packages on a host that is queried one repository at a time."""
    with site.app.app_context():
        for number in range(MANY_PACKAGES):
            make_package(db.session(), f"p{number}", repo_url=GITLAB)
        db.session.commit()
    site.sync_sources()


@pytest.mark.long
def test_ctrl_c_finishes_active_requests(site: RefreshedSite, fake_hosts: FakeHosts, start: Start) -> None:
    add_many(site)
    held = HeldResponse(fake_hosts.gitlab)
    process = start("refresh")
    await_effect(held.requested.is_set, process)
    process.send_signal(signal.SIGINT)
    held.released.set()
    stdout, stderr = process.communicate(timeout=TIMEOUT_S)
    assert process.returncode == 130, stderr
    assert stderr == "Stopped. The remaining sources are still due.\n"
    done = count_states(site, SourceState.fetched_at.is_not(None))
    assert 0 < done < MANY_PACKAGES
    assert stdout == f"repo       {done} fetched\n"
    assert count_states(site, SourceState.claimed_by.is_not(None) | SourceState.claimed_until.is_not(None)) == 0
    assert count_states(site, SourceState.next_due_at <= utc_now()) == 3 * MANY_PACKAGES - done


def test_signal_handler_is_restored(site: RefreshedSite, run_command: Run) -> None:
    previous_handler = signal.getsignal(signal.SIGINT)
    site.add_package("one", repo_url=GITHUB)
    assert run_command().exit_code == 0
    assert signal.getsignal(signal.SIGINT) is previous_handler


@contextlib.contextmanager
def terminal() -> Iterator[tuple[int, Callable[[], str]]]:
    """Yield a terminal for a process, and a function that returns its output after the process has ended."""
    master, slave = pty.openpty()

    def read_output() -> str:
        os.close(slave)
        output = b""
        while select.select([master], [], [], TIMEOUT_S)[0]:
            try:
                output += os.read(master, 65536)
            except OSError:  # Linux raises it after the last writer has closed the terminal
                return output.decode()
        raise AssertionError("the terminal was not closed")

    yield slave, read_output
    os.close(master)


@pytest.mark.long
def test_progress_bar_on_a_terminal(site: RefreshedSite, start: Start) -> None:
    site.add_package("one", repo_url=GITLAB)
    with terminal() as (slave, read_output):
        process = start("refresh", stderr=slave)
        terminal_output = read_output()
    stdout, _ = process.communicate(timeout=TIMEOUT_S)
    assert process.returncode == 0, terminal_output
    assert terminal_output.count("Refreshing") > 1
    assert [f"{number}/3" in terminal_output for number in range(4)] == [True] * 4
    assert stdout == "repo       1 fetched\nactivity   1 fetched\npeople     1 fetched\n"


@pytest.mark.long
def test_no_progress_bar_if_nothing_is_due(site: RefreshedSite, start: Start) -> None:
    with terminal() as (slave, read_output):
        process = start("refresh", stderr=slave)
        terminal_output = read_output()
    stdout, _ = process.communicate(timeout=TIMEOUT_S)
    assert (process.returncode, stdout, terminal_output) == (0, "Nothing is due.\n", "")


def test_no_progress_bar_without_a_terminal(site: RefreshedSite, start: Start) -> None:
    site.add_package("one", repo_url=GITLAB)
    process = start("refresh")
    stdout, stderr = process.communicate(timeout=TIMEOUT_S)
    assert (process.returncode, stderr) == (0, "")
    assert stdout.startswith("repo       1 fetched\n")


def holders(site: RefreshedSite) -> list[str]:
    """Return the current holders of the scheduler's lease."""
    with site.app.app_context():
        return list(db.session.scalars(sa.select(Lease.holder).where(Lease.held_until > utc_now())))


def ended_runs(site: RefreshedSite) -> list[JobRun]:
    with site.app.app_context():
        return list(db.session.scalars(sa.select(JobRun).where(JobRun.ended_at.is_not(None))))


@pytest.mark.long
@pytest.mark.parametrize("signal_number", [signal.SIGTERM, signal.SIGINT])
def test_jobs_run_until_they_are_stopped(site: RefreshedSite, start: Start, signal_number: signal.Signals) -> None:
    site.add_package("one", repo_url=GITLAB)
    process = start("jobs", "run")
    await_effect(lambda: {run.job for run in ended_runs(site)} == {job.name for job in TIMETABLE}, process)
    assert [run.error for run in ended_runs(site) if run.error] == []
    assert fetched_sources(site, "one") == REPO_SOURCES
    assert len(holders(site)) == 1
    process.send_signal(signal_number)
    stdout, stderr = process.communicate(timeout=TIMEOUT_S)
    assert (process.returncode, stdout) == (0, "")
    assert (
        stderr.splitlines()[0]
        == "Scheduler started. Jobs run while this process holds the lease. Press Ctrl+C to stop."
    )
    assert stderr.splitlines()[-1] == "Stopped."
    assert "Traceback" not in stderr
    assert holders(site) == []


@pytest.mark.long
def test_lease_is_released_while_a_request_is_active(site: RefreshedSite, fake_hosts: FakeHosts, start: Start) -> None:
    add_many(site)
    held = HeldResponse(fake_hosts.gitlab)
    process = start("jobs", "run")
    await_effect(held.requested.is_set, process)
    await_effect(lambda: holders(site) != [], process)
    process.send_signal(signal.SIGTERM)
    await_effect(lambda: holders(site) == [], process)
    held.released.set()
    _, stderr = process.communicate(timeout=TIMEOUT_S)
    assert process.returncode == 0, stderr
    assert "Traceback" not in stderr
    assert count_states(site, SourceState.claimed_by.is_not(None)) == 0
    assert count_states(site, SourceState.fetched_at.is_not(None)) == 1
    assert all(run.error is None for run in ended_runs(site))
