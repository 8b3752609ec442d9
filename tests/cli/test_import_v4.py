"""The `import-v4` command."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from click.testing import Result
from flask import Flask
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from pkgsite import cli
from pkgsite.clients.http import Timeouts
from pkgsite.clients.v4_site import V4Site
from pkgsite.models import ImportProgress, Package
from tests.databases import free_port
from tests.factories import make_package
from tests.fakes.v4_site import (
    FakeV4Site,
    HangingResponse,
    WsgiApp,
    connection_reset,
    html_response,
    response,
    truncated_response,
)

Run = Callable[..., Result]
Serve = Callable[[Any], str]

SUMMARY = """\
categories     2 added,     0 changed,     0 unchanged,     0 skipped
grids          5 added,     0 changed,     0 unchanged,     0 skipped
packages       7 added,     0 changed,     0 unchanged,     4 skipped

5 warnings:
  package 19 “untimely”: skipped (created is not a valid timestamp)
  package 18 “lonely”: not added to unknown grids: 77
  package 17 “stranger”: skipped (unknown category 99)
  package 16 “long”: skipped (title is longer than 100 characters)
  package 14 “master”: skipped (its slug is used by package 20 “MASTER” on this site)
"""


def test_second_import_reports_no_changes(
    run_command: Run, serve_app: Serve, fake_site: FakeV4Site, session: Session
) -> None:
    address = serve_app(fake_site)
    first = run_command("import-v4", f"{address}/api/v4/")
    assert first.exit_code == 0, first.output
    assert first.stdout == SUMMARY
    assert first.stderr == ""
    second = run_command("import-v4", address)  # the site's own URL
    assert second.exit_code == 0
    assert second.stdout.splitlines()[:4] == [
        "categories     0 added,     0 changed,     2 unchanged,     0 skipped",
        "grids          0 added,     0 changed,     5 unchanged,     0 skipped",
        "packages       0 added,     0 changed,     7 unchanged,     4 skipped",
        "No changes: everything is already up to date.",
    ]
    assert make_package(session, "ours").id == 22
    assert session.scalars(select(ImportProgress)).all() == []


@pytest.mark.parametrize(
    ("options", "zone", "hour"), [([], "UTC", 17), (["--time-zone", "Asia/Tokyo"], "Asia/Tokyo", 8)]
)
def test_times_without_an_offset(
    run_command: Run, serve_app: Serve, session: Session, options: list[str], zone: str, hour: int
) -> None:
    fake = FakeV4Site()
    times = {"created": "2010-08-17T05:47:00.834356", "modified": "2024-06-03T17:19:49.078307"}
    fake.add_category(1, "apps", **times)
    fake.add_grid(438, "health", **times)
    fetched = {"last_updated": "2024-06-01T07:50:28", "last_fetched": "2024-06-03T17:19:48.550707"}
    fake.add_package(34, "example", category=1, grids=(438,), **times, **fetched)
    result = run_command("import-v4", serve_app(fake), *options)
    assert result.exit_code == 0, result.output
    note = f"Times without a UTC offset were read as {zone}. Use --time-zone for another zone."
    assert result.stdout.splitlines()[-1] == note
    assert result.stdout.count("UTC offset") == 1
    package = session.get_one(Package, 34)
    assert package.last_fetched_at == datetime(2024, 6, 3, hour, 19, 48, 550707, UTC)


def test_unknown_time_zone(run_command: Run) -> None:
    result = run_command("import-v4", "https://packages.example.org", "--time-zone", "Mars/Olympus")
    assert result.exit_code == 2
    assert "There is no time zone “Mars/Olympus”." in result.stderr


@pytest.mark.parametrize(
    "failure",
    [
        response("500 Internal Server Error", b""),
        response("429 Too Many Requests", {}, Retry_After="0"),
        response("503 Service Unavailable", b"<html>", "text/html"),
        truncated_response,
        connection_reset,
    ],
)
def test_transient_failures_are_retried(
    run_command: Run, serve_app: Serve, fake_site: FakeV4Site, failure: WsgiApp
) -> None:
    fake_site.scripted_responses = dict.fromkeys((1, 2, 4, 7), failure)
    result = run_command("import-v4", serve_app(fake_site))
    assert result.exit_code == 0, result.output
    assert result.stdout == SUMMARY


def test_slow_response_is_retried(
    run_command: Run, serve_app: Serve, fake_site: FakeV4Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    hanging = HangingResponse()
    fake_site.scripted_responses = {5: hanging}
    monkeypatch.setattr(cli, "TIMEOUTS", Timeouts(read_timeout_s=0.3, attempts=5, backoff_s=0, jitter_s=0))
    result = run_command("import-v4", serve_app(fake_site))
    hanging.released.set()
    assert result.stdout == SUMMARY


@pytest.mark.parametrize(
    ("failure", "message"),
    [
        (response("500 Internal Server Error", b""), "returned 500."),
        (html_response(), "returned text/html instead of JSON."),
        (response("200 OK", b'{"count": 11, "results": ['), "returned invalid JSON: Expecting value"),
        (response("403 Forbidden", {}), "returned 403: access denied."),
        (response("302 Found", b"", Location="https://elsewhere.example/"), "redirected to another host:"),
    ],
)
def test_persistent_failure_stops_the_import_and_the_next_run_resumes(
    run_command: Run, serve_app: Serve, fake_site: FakeV4Site, session: Session, failure: WsgiApp, message: str
) -> None:
    address = serve_app(fake_site)
    fake_site.scripted_responses = dict.fromkeys((5, 6, 7), failure)  # 4 was the first page of packages
    stopped = run_command("import-v4", address)
    assert stopped.exit_code == 1
    assert stopped.stdout == ""
    error = stopped.stderr.partition("Error: ")[2]
    assert error.startswith(f"{address}/api/v4/packages/?limit=100&offset=3 {message}")
    assert error.endswith("\nThe records imported so far are kept. Run the command again to resume.\n")
    assert session.scalar(select(func.count()).select_from(Package)) == 2
    session.commit()
    fake_site.scripted_responses.clear()
    fake_site.request_log.clear()
    finished = run_command("import-v4", address)
    assert finished.exit_code == 0
    assert finished.stderr == "Resuming the last import at stage “packages”: 3 records done.\n"
    assert finished.stdout == SUMMARY  # of the entire import
    assert fake_site.request_log[0] == "/api/v4/packages/?limit=100&offset=3"


@pytest.mark.parametrize(
    "wrong_site", [html_response(), response("404 Not Found", b"<h1>No</h1>", "text/html"), response("200 OK", {})]
)
def test_wrong_url(run_command: Run, serve_app: Serve, session: Session, wrong_site: WsgiApp) -> None:
    address = serve_app(wrong_site)
    result = run_command("import-v4", f"{address}/somewhere")
    assert result.exit_code == 1
    assert f"Error: {address}/somewhere/api/v4/categories/?limit=100&offset=0" in result.stderr
    assert f"Nothing was imported. Is {address}/somewhere/api/v4/ the root URL of a site with API v4?" in result.stderr
    assert session.scalars(select(ImportProgress)).all() == []


def test_unreachable_host(run_command: Run) -> None:
    address = f"http://127.0.0.1:{free_port()}"
    result = run_command("import-v4", address)
    assert result.exit_code == 1
    assert f"Could not connect to {address}/api/v4/categories/?limit=100&offset=0: Connection refused." in result.stderr


def test_invalid_url(run_command: Run) -> None:
    result = run_command("import-v4", "packages.example.org")
    assert result.exit_code == 1
    assert result.stderr == (
        "Error: “packages.example.org” is not a valid site URL, such as https://packages.example.org/api/v4/\n"
    )


def test_ctrl_c_explains_that_the_next_run_resumes(
    run_command: Run, serve_app: Serve, fake_site: FakeV4Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = serve_app(fake_site)
    original_page = V4Site.page

    def page(self: V4Site, collection: str, offset: int) -> Any:
        if (collection, offset) == ("packages", 6):
            raise KeyboardInterrupt
        return original_page(self, collection, offset)

    with monkeypatch.context() as patched:
        patched.setattr(V4Site, "page", page)
        stopped = run_command("import-v4", address)
    assert stopped.exit_code == 130
    assert stopped.stderr == "Import stopped. The records imported so far are kept. Run the command again to resume.\n"
    finished = run_command("import-v4", address)
    assert finished.stderr == "Resuming the last import at stage “packages”: 6 records done.\n"
    assert finished.stdout == SUMMARY


def test_user_agent_has_the_public_url(make_app: Callable[..., Flask], serve_app: Serve) -> None:
    user_agents = []

    def site(environ: dict[str, Any], start_response: Any) -> Any:
        user_agents.append(environ["HTTP_USER_AGENT"])
        return response("200 OK", {"count": 0, "next": None, "results": []})(environ, start_response)

    app = make_app(PUBLIC_URL="https://packages.example.org")
    assert app.test_cli_runner().invoke(args=["import-v4", serve_app(site)]).exit_code == 0
    assert set(user_agents) == {"pkgsite (+https://packages.example.org)"}


def test_missing_tables_are_explained(run_command: Run, app: Flask) -> None:
    run_command("db", "downgrade", "base")
    for command in (["import-v4", "http://h.example"], ["load-catalogue"]):
        result = run_command(*command)
        assert result.exit_code == 1
        hint = "Run this first: .venv/bin/flask --app wsgi db upgrade"
        assert result.stderr == f"Error: The database has no tables yet. {hint}\n"
