"""A site that can reach no other host is still a whole site, and says which hosts it could not reach."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from html import unescape
from pathlib import Path

import pytest

from tests.test_server import ask, running

pytestmark = pytest.mark.long

DEADLINE_S = 150  # that nothing hangs
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
    """A function that takes a port of this machine, closed until the test listens on it; nobody else gets it."""
    taken: list[socket.socket] = []

    def take() -> socket.socket:
        taken.append(socket.socket())
        taken[-1].bind(("127.0.0.1", 0))
        return taken[-1]

    yield take
    for one in taken:
        one.close()


def name_of(port: socket.socket) -> str:
    return f"127.0.0.1:{port.getsockname()[1]}"


def point_hosts_at(monkeypatch: pytest.MonkeyPatch, code_hosts: str, index: str, counts: str) -> None:
    """Let a site that is started from now on look for every host that it asks at these places."""
    for name, value in {
        "SCHEDULER": "web",
        "CODE_HOSTS": ", ".join(f"{name} {kind} http://{code_hosts}" for name, kind in KINDS.items()),
        "PACKAGE_INDEX_URL": f"http://{index}",
        "DOWNLOAD_COUNTS_URL": f"http://{counts}",
        "ALLOWED_HOSTS_OUT": f"{code_hosts},{index},{counts}",
    }.items():
        monkeypatch.setenv(name, value)


def host_status(html: str) -> dict[str, str]:
    """Return what the status page says of each host."""
    table = html.partition('aria-label="Table of hosts"')[2].partition("</table>")[0]
    rows = re.findall(r'<th scope="row">(.*?)</th>(.*?)</tr>', table, re.DOTALL)
    return {unescape(host): " ".join(unescape(re.sub(r"<[^>]+>", " ", cells)).split()) for host, cells in rows}


def unreachable_hosts(html: str) -> set[str]:
    """Return the hosts that could not be reached, as the status page says."""
    refused = re.compile(r"Could not connect to \S+: Connection refused")
    return {host for host, words in host_status(html).items() if refused.search(words)}


def assert_pages_work(site: str) -> None:
    assert {page: ask(site, page).status_code for page in PAGES} == dict.fromkeys(PAGES, 200)


def stop(process: subprocess.Popen[str]) -> str:
    """Stop the site as a service manager does, and return what it said."""
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 0, said
    assert said.rstrip().endswith("Stopped.")
    assert "Traceback" not in said
    return said


def test_hosts_that_refuse(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reserve_port: Callable[[], socket.socket]
) -> None:
    code_hosts, index, counts = (name_of(reserve_port()) for _ in range(3))
    point_hosts_at(monkeypatch, code_hosts, index, counts)
    with running(f"sqlite:///{tmp_path}/new.db", tmp_path, program="tests.fakes.hurried") as (process, site):
        assert_pages_work(site)
        wanted, ends_at = {"github.com", "bitbucket.org", index, counts}, time.monotonic() + DEADLINE_S
        while not wanted <= unreachable_hosts(ask(site, "/status/").text):
            assert time.monotonic() < ends_at, host_status(ask(site, "/status/").text)
            time.sleep(0.1)
        told = host_status(ask(site, "/status/").text)
        assert set(told) == {*KINDS, index, counts}
        assert f"http://{index}/" in told[index]
        assert f"http://{code_hosts}/repos/" in told["github.com"]
        assert "Answers" not in " ".join(told.values())
        assert_pages_work(site)
        assert f"http://{code_hosts}/" in stop(process)  # the log names them too


def test_hosts_that_keep_silent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reserve_port: Callable[[], socket.socket]
) -> None:
    """Pages do not wait for hosts, and neither does the end."""
    silent = reserve_port()
    silent.listen(128)
    silent.settimeout(DEADLINE_S)
    point_hosts_at(monkeypatch, *[name_of(silent)] * 3)
    with running(f"sqlite:///{tmp_path}/new.db", tmp_path, program="tests.fakes.hurried") as (process, site):
        question, _ = silent.accept()
        with question:
            assert question.recv(4) == b"GET "
            assert_pages_work(site)
            stop(process)
