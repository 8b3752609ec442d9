"""The processes of the web server: workers end with the server, and stopping or replacing them fails no request."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests

from tests import processes
from tests.databases import DatabaseTemplate, free_port
from tests.test_server import fetch
from tests.waiting import wait_until

pytestmark = pytest.mark.long

HEAD = b"POST /account/login/ HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-www-form-urlencoded\r\n"


@pytest.fixture
def server(
    database_templates: Callable[[str], DatabaseTemplate], tmp_path: Path
) -> Iterator[tuple[processes.Process, str]]:
    """A site with two workers: its server process and its URL."""
    with database_templates("sqlite").copy() as database_url:
        port = free_port()
        environment = os.environ | {
            "DATABASE_URL": database_url,
            "DATA_DIR": str(tmp_path),
            "PORT": str(port),
            "WORKERS": "2",
            "SCHEDULER": "off",
            "LIMITS": "off",
        }
        process = processes.start(
            "-m", "flask", "--app", "wsgi", "serve", env=environment, start_new_session=True, stderr=subprocess.DEVNULL
        )
        url = f"http://127.0.0.1:{port}"
        try:
            fetch(url, "/about/")  # waits until the site is running
            yield process, url
        finally:
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=60)


def workers_of(process_id: int) -> set[int]:
    """Return the ids of the running processes whose parent this is, without Python's resource tracker."""
    workers = set()
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(status.read_text().rpartition(")")[2].split()[1])
            command = (status.parent / "cmdline").read_bytes()
        except OSError:  # it has ended meanwhile
            continue
        if parent == process_id and b"spawn_main" in command:
            workers.add(int(status.parent.name))
    return workers


def is_running(process_id: int) -> bool:
    try:
        state = Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def test_workers_end_when_the_server_is_killed(server: tuple[processes.Process, str]) -> None:
    process, _ = server
    workers = workers_of(process.pid)
    assert len(workers) == 2
    process.kill()
    assert wait_until(lambda: not any(map(is_running, workers)))


def test_a_request_in_flight_is_finished_when_the_server_stops(server: tuple[processes.Process, str]) -> None:
    process, url = server
    address = (str(urlsplit(url).hostname), urlsplit(url).port or 80)
    with (
        socket.create_connection(address, timeout=60) as client,
        socket.create_connection(address, timeout=60) as idle,
    ):
        client.sendall(HEAD + b"Content-Length: 3\r\n\r\na")
        workers = workers_of(process.pid)
        process.send_signal(signal.SIGTERM)
        assert idle.recv(1) == b""  # the server closes idle connections when it begins to stop
        client.sendall(b"=1")
        response = b"".join(iter(lambda: client.recv(1 << 16), b""))
    assert response.startswith(b"HTTP/1.1 ")
    assert response.rstrip().endswith(b"</html>")
    assert process.wait(timeout=60) == 0
    assert not any(map(is_running, workers))


def test_no_request_fails_while_the_workers_are_replaced(server: tuple[processes.Process, str]) -> None:
    process, url = server
    before = workers_of(process.pid)
    failures, done = list[object](), threading.Event()

    def read() -> None:
        while not done.is_set():
            try:
                status = requests.get(f"{url}/packages/", timeout=60).status_code
            except requests.RequestException as error:
                failures.append(error)
            else:
                failures.extend([status] if status != 200 else [])

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    process.send_signal(signal.SIGHUP)
    try:
        assert wait_until(lambda: len(workers_of(process.pid)) == 2 and not workers_of(process.pid) & before)
    finally:
        done.set()
        for reader in readers:
            reader.join()
    assert failures == []
