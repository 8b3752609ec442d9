"""The site as started by `make run`: the real command and web server, with an empty database."""

from __future__ import annotations

import os
import re
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
import requests
from flask import Flask

from tests import processes
from tests.databases import DatabaseTemplate, free_port

pytestmark = pytest.mark.long

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_database(
    request: pytest.FixtureRequest, database_templates: Callable[[str], DatabaseTemplate], tmp_path: Path
) -> Iterator[str]:
    """The URL of a database without tables."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/new.db"
    else:
        with database_templates(request.param).empty() as url:
            yield url


def server_environment(database: str, folder: Path) -> dict[str, str]:
    """Return the environment of a site that listens on a free port."""
    return os.environ | {"DATABASE_URL": database, "DATA_DIR": str(folder), "PORT": str(free_port())}


@contextmanager
def running(database: str, folder: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Start the site with the real command; yield its process and its URL."""
    environment = server_environment(database, folder)
    command = [sys.executable, "-m", "flask", "--app", "wsgi", "serve"]
    process = subprocess.Popen(
        command, cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    with stopping(process):
        yield process, f"http://127.0.0.1:{environment['PORT']}"


@contextmanager
def running_fast_scheduler(database: str, folder: Path) -> Iterator[tuple[processes.Process, str]]:
    """Start the site with a faster scheduler; yield its process and its URL."""
    environment = server_environment(database, folder)
    process = processes.start(
        "-m", "tests.fakes.fast_scheduler", "--app", "wsgi", "serve",
        env=environment, stdout=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    with stopping(process):
        yield process, f"http://127.0.0.1:{environment['PORT']}"


@contextmanager
def stopping(process: processes.Process | subprocess.Popen[str]) -> Iterator[None]:
    """Kill a process and its children at the end."""
    try:
        yield
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def fetch(site: str, path: str) -> requests.Response:
    """Get a page, retrying until the site listens."""
    session = requests.Session()
    retries = requests.adapters.Retry(total=30, connect=30, read=0, backoff_factor=0.1, backoff_max=1)
    session.mount("http://", requests.adapters.HTTPAdapter(max_retries=retries))
    with session:
        return session.get(site + path, timeout=30)


def test_an_empty_database_is_filled_with_the_bundled_catalogue_once(empty_database: str, tmp_path: Path) -> None:
    with running(empty_database, tmp_path) as (process, site):
        record = fetch(site, "/api/v4/packages/2235/").json()
        assert record["title"] == "django-modelcluster"
        assert record["repo_description"].startswith("Django extension to allow working with 'clusters' of models")
        assert fetch(site, "/api/v4/packages/").json()["count"] == 87
        assert "django-modelcluster" in fetch(site, "/packages/p/django-modelcluster/").text
        os.killpg(process.pid, signal.SIGINT)  # as Ctrl+C does
        _, log = process.communicate(timeout=30)
        assert process.returncode == 0, log
        assert "Loaded the bundled catalogue" in log
        assert log.rstrip().endswith("Stopped.")
        assert "Traceback" not in log

    with running(empty_database, tmp_path) as (process, site):
        assert fetch(site, "/api/v4/packages/").json()["count"] == 87
        os.kill(process.pid, signal.SIGTERM)  # as a service manager does
        _, log = process.communicate(timeout=30)
        assert process.returncode == 0, log
        assert "Loaded" not in log


def test_after_a_clean_stop_the_sqlite_file_alone_is_complete(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAIL", "off")  # so that an account can be created with one request
    path = tmp_path / "pkgsite.db"
    with running(f"sqlite:///{path}", tmp_path) as (process, site):
        with requests.Session() as visitor:
            fetch(site, "/account/register/")
            page = visitor.get(f"{site}/account/register/", timeout=30).text
            token = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', page)
            assert token
            form = {"username": "ada", "email": "ada@example.org", "password": "correct horse battery"}
            response = visitor.post(f"{site}/account/register/", form | {"csrf_token": token.group(1)}, timeout=30)
            assert response.status_code == 200, response.text
        os.killpg(process.pid, signal.SIGINT)
        assert process.wait(timeout=30) == 0
    assert {file.name for file in tmp_path.glob("pkgsite.db*")} == {"pkgsite.db", "pkgsite.db.created"}
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute('SELECT username FROM "user"').fetchall() == [("ada",)]


def test_a_port_in_use_is_reported(serve_app: Callable[..., str], tmp_path: Path) -> None:
    port = serve_app(Flask(__name__)).rpartition(":")[2]
    environment = os.environ | {"DATABASE_URL": f"sqlite:///{tmp_path}/x.db", "DATA_DIR": str(tmp_path), "PORT": port}
    command = [sys.executable, "-m", "flask", "--app", "wsgi", "serve"]
    run = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert run.returncode == 1
    assert f"could not listen on 127.0.0.1 port {port}: Address already in use" in run.stderr
    assert "Traceback" not in run.stderr
    assert not (tmp_path / "x.db").exists()
