"""Clients that stall occupy no thread, and are disconnected; other requests are answered meanwhile."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from urllib.parse import urlsplit

import pytest
import requests
from sqlalchemy.orm import Session

from tests import processes
from tests.conftest import KINDS
from tests.databases import DatabaseTemplate, free_port
from tests.factories import make_package
from tests.test_server import fetch
from tests.waiting import wait_until

pytestmark = pytest.mark.long

CLIENTS = 24
STALL_S = 2  # the setting CLIENT_TIMEOUT
FORM = b"POST /account/login/ HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-www-form-urlencoded\r\n"
HALF_BODY = FORM + b"Content-Length: 100000\r\n\r\na="
HALF_CHUNKED_BODY = FORM + b"Transfer-Encoding: chunked\r\n\r\n2\r\na=\r\n"
HALF_HEAD = b"GET / HTTP/1.1\r\nHost: local"


def fill(session: Session) -> None:
    """Add packages whose export is larger than the buffers of a connection."""
    for number in range(40):
        make_package(session, f"p{number}", description="long " * 20_000)


@pytest.fixture(scope="module", params=KINDS)
def site(
    request: pytest.FixtureRequest,
    database_templates: Callable[..., DatabaseTemplate],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[str]:
    """The URL of a site with one worker."""
    with database_templates(request.param, fill).copy() as database_url:
        port = free_port()
        environment = os.environ | {
            "DATABASE_URL": database_url,
            "DATA_DIR": str(tmp_path_factory.mktemp("site")),
            "PORT": str(port),
            "WORKERS": "1",
            "SCHEDULER": "off",
            "LIMITS": "off",
            "CLIENT_TIMEOUT": str(STALL_S),
        }
        process = processes.start("-m", "flask", "--app", "wsgi", "serve", env=environment, start_new_session=True)
        url = f"http://127.0.0.1:{port}"
        try:
            fetch(url, "/about/")  # waits until the site is running
            yield url
        finally:
            process.send_signal(signal.SIGTERM)
            _, log = process.communicate(timeout=60)
            assert "Traceback" not in log


@contextmanager
def slow_clients(site: str, sent: bytes, count: int = CLIENTS) -> Iterator[list[socket.socket]]:
    parts = urlsplit(site)
    with ExitStack() as stack:
        clients = []
        for _ in range(count):
            client = socket.socket()
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.connect((str(parts.hostname), parts.port or 80))
            clients.append(stack.enter_context(client))
            client.sendall(sent)
        yield clients


def read_to_end(client: socket.socket) -> bytes:
    """Return what the server sends until it closes the connection."""
    client.settimeout(30)
    received = b""
    try:
        while data := client.recv(1 << 16):
            received += data
    except ConnectionResetError:
        pass
    return received


@pytest.mark.parametrize("sent", [HALF_BODY, HALF_CHUNKED_BODY], ids=["length", "chunked"])
def test_unfinished_bodies_leave_other_requests_alone_and_time_out(site: str, sent: bytes) -> None:
    with slow_clients(site, sent) as clients:
        assert requests.get(f"{site}/packages/", timeout=30).status_code == 200
        responses = [read_to_end(client) for client in clients]
    assert {response.partition(b"\r\n")[0] for response in responses} == {b"HTTP/1.1 408 Request Timeout"}
    assert all(b"\r\nconnection: close\r\n" in response for response in responses)


def test_an_unfinished_head_is_disconnected(site: str) -> None:
    with slow_clients(site, HALF_HEAD) as clients:
        assert requests.get(f"{site}/packages/", timeout=30).status_code == 200
        assert {read_to_end(client) for client in clients} == {b""}


def test_unread_exports_leave_other_requests_alone_and_end(site: str) -> None:
    path = "/api/v4/packages.ndjson?expand=all"
    with slow_clients(site, f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()):
        assert requests.get(f"{site}/packages/", timeout=30).status_code == 200
        rejected = requests.get(site + path, timeout=30)
        assert (rejected.status_code, rejected.headers["Retry-After"]) == (503, "10")
        assert wait_until(lambda: requests.get(site + path, timeout=30, stream=True).status_code == 200)


def test_a_large_head_is_rejected(site: str) -> None:
    with slow_clients(site, b"GET / HTTP/1.1\r\nHost: localhost\r\nCookie: " + b"x" * 70_000, count=1) as clients:
        assert read_to_end(clients[0]).startswith(b"HTTP/1.1 431 ")


def test_a_large_chunked_body_is_rejected(site: str) -> None:
    response = requests.post(f"{site}/api/v4/packages/lookup/", data=iter([b"x" * 70_000] * 20), timeout=30)
    assert response.status_code == 413
    assert "detail" in response.json()


def test_many_form_fields_are_rejected(site: str) -> None:
    fields = [(f"field{number}", "1") for number in range(1_001)]
    assert requests.post(f"{site}/account/login/", data=fields, timeout=30).status_code == 413
