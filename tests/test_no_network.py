"""A site that can't reach other hosts still works, and its status page shows which hosts are unreachable."""

from __future__ import annotations

import re
import signal
import socket
import time
from collections.abc import Callable, Iterator
from html import unescape
from pathlib import Path

import pytest

from tests.processes import Process
from tests.test_server import fetch, running_fast_scheduler

pytestmark = pytest.mark.long

DEADLINE_S = 150  # seconds
PAGES = [
    "/",
    "/packages/",
    "/packages/p/django-modelcluster/",
    "/grids/",
    "/grids/g/forms/",
    "/categories/apps/",
    "/search/?q=cms",
    "/help/",
    "/status/",
    "/api/v4/",
    "/api/v4/packages/",
    "/api/v4/packages/2235/",
    "/api/v4/search/?q=cms",
]
KINDS = {"github.com": "github", "gitlab.com": "gitlab", "bitbucket.org": "bitbucket", "codeberg.org": "forgejo"}


@pytest.fixture
def reserve_port() -> Iterator[Callable[[], socket.socket]]:
    """A function that binds a socket to a free port, so that no other process can use the port."""
    reserved: list[socket.socket] = []

    def reserve() -> socket.socket:
        reserved.append(socket.socket())
        reserved[-1].bind(("127.0.0.1", 0))
        return reserved[-1]

    yield reserve
    for port in reserved:
        port.close()


def host_of(port: socket.socket) -> str:
    return f"127.0.0.1:{port.getsockname()[1]}"


def point_hosts_at(monkeypatch: pytest.MonkeyPatch, code_hosts: str, index: str, counts: str) -> None:
    """Set the environment so that sites started from now on connect to these hosts instead of the real ones."""
    for name, value in {
        "SCHEDULER": "web",
        "CODE_HOSTS": ", ".join(f"{name} {kind} http://{code_hosts}" for name, kind in KINDS.items()),
        "PACKAGE_INDEX_URL": f"http://{index}",
        "DOWNLOAD_COUNTS_URL": f"http://{counts}",
        "ALLOWED_HOSTS_OUT": f"{code_hosts},{index},{counts}",
    }.items():
        monkeypatch.setenv(name, value)


def host_status(html: str) -> dict[str, str]:
    """Return the status of each host, as shown on the status page."""
    table = html.partition('aria-label="Table of hosts"')[2].partition("</table>")[0]
    rows = re.findall(r'<th scope="row">(.*?)</th>(.*?)</tr>', table, re.DOTALL)
    return {unescape(host): " ".join(unescape(re.sub(r"<[^>]+>", " ", cells)).split()) for host, cells in rows}


def unreachable_hosts(html: str) -> set[str]:
    """Return the unreachable hosts, as shown on the status page."""
    refused = re.compile(r"Could not connect to \S+: Connection refused")
    return {host for host, status in host_status(html).items() if refused.search(status)}


def assert_pages_work(site: str) -> None:
    assert {page: fetch(site, page).status_code for page in PAGES} == dict.fromkeys(PAGES, 200)


def stop(process: Process) -> str:
    """Stop the site with SIGTERM, as service managers do, and return its log."""
    process.send_signal(signal.SIGTERM)
    _, log = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 0, log
    assert log.rstrip().endswith("Stopped.")
    assert "Traceback" not in log
    return str(log)


def test_hosts_that_refuse_connections(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reserve_port: Callable[[], socket.socket]
) -> None:
    code_hosts, index, counts = (host_of(reserve_port()) for _ in range(3))
    point_hosts_at(monkeypatch, code_hosts, index, counts)
    with running_fast_scheduler(f"sqlite:///{tmp_path}/new.db", tmp_path) as (process, site):
        assert_pages_work(site)
        expected, ends_at = {"github.com", "bitbucket.org", index, counts}, time.monotonic() + DEADLINE_S
        while not expected <= unreachable_hosts(fetch(site, "/status/").text):
            assert time.monotonic() < ends_at, host_status(fetch(site, "/status/").text)
            time.sleep(0.1)
        statuses = host_status(fetch(site, "/status/").text)
        assert set(statuses) == {*KINDS, index, counts}
        assert f"http://{index}/" in statuses[index]
        assert f"http://{code_hosts}/repos/" in statuses["github.com"]
        assert "Available" not in " ".join(statuses.values())
        assert_pages_work(site)
        log = stop(process)
        assert "Could not connect to http://127.0.0.1:" in log  # the log names the hosts, too
        assert "retrying in" not in log  # one line for each host and pause


def test_hosts_that_do_not_respond(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reserve_port: Callable[[], socket.socket]
) -> None:
    """Neither pages nor the shutdown wait for hosts."""
    silent = reserve_port()
    silent.listen(128)
    silent.settimeout(DEADLINE_S)
    point_hosts_at(monkeypatch, *[host_of(silent)] * 3)
    with running_fast_scheduler(f"sqlite:///{tmp_path}/new.db", tmp_path) as (process, site):
        connection, _ = silent.accept()
        with connection:
            assert connection.recv(4) == b"GET "
            assert_pages_work(site)
            stop(process)
