"""Measures how long ordinary requests take while slow clients hold connections.

    python -m bench.slow_clients [--clients 64] [--seconds 20]

Starts the real server. One kind of client sends half of a request body, another one half of a chunked body, a third
never reads the export that it has requested. Prints the p50 and p99 of other requests for each kind; the exit status is
1 if a p99 exceeds `BUDGET_S`.
"""

from __future__ import annotations

import argparse
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import requests

from bench.streaming import populate, wait_until_ready

BUDGET_S = 1.0
PACKAGES = 5_000
PATHS = ("/packages/", "/grids/", "/api/v4/packages/927/")
HEAD = b"POST /account/login/ HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-www-form-urlencoded\r\n"
KINDS = {
    "no slow clients": None,
    "half of a body": HEAD + b"Content-Length: 100000\r\n\r\na=",
    "half of a chunked body": HEAD + b"Transfer-Encoding: chunked\r\n\r\n2\r\na=\r\n",
    "an unread export": b"GET /api/v4/packages.ndjson?expand=all HTTP/1.1\r\nHost: localhost\r\n\r\n",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=20)
    arguments = parser.parse_args()
    worst = 0.0
    with tempfile.TemporaryDirectory() as folder:
        environment = {"DATABASE_URL": f"sqlite:///{Path(folder) / 'bench.db'}", "DATA_DIR": folder}
        populate(environment, PACKAGES)
        with running_server(environment) as url:
            for kind, request in KINDS.items():
                with slow_clients(url, request, arguments.clients if request else 0):
                    times = sorted(measure(url, arguments.seconds))
                p99 = times[int(len(times) * 0.99)]
                worst = max(worst, p99)
                print(
                    f"{kind:24} {len(times):6} requests, p50 {statistics.median(times) * 1000:7.1f} ms, "
                    f"p99 {p99 * 1000:7.1f} ms"
                )
    sys.exit(worst > BUDGET_S)


def measure(url: str, seconds: float) -> Iterator[float]:
    """Send requests one after the other, and yield how long each takes, in seconds."""
    session, ends_at = requests.Session(), time.monotonic() + seconds
    while time.monotonic() < ends_at:
        for path in PATHS:
            started_at = time.monotonic()
            session.get(url + path, timeout=30).raise_for_status()
            yield time.monotonic() - started_at


@contextmanager
def slow_clients(url: str, request: bytes | None, count: int) -> Iterator[None]:
    """Open connections that send this and then do nothing."""
    parts = urlsplit(url)
    with ExitStack() as stack:
        for _ in range(count):
            client = stack.enter_context(socket.create_connection((str(parts.hostname), parts.port or 80)))
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.sendall(request or b"")
        yield


@contextmanager
def running_server(environment: dict[str, str]) -> Iterator[str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    settings = environment | {"PORT": str(port), "WORKERS": "2", "SCHEDULER": "off", "LIMITS": "off"}
    command = [sys.executable, "-m", "flask", "--app", "wsgi", "serve"]
    with subprocess.Popen(command, env=os.environ | settings, stderr=subprocess.DEVNULL) as server:
        try:
            url = f"http://127.0.0.1:{port}"
            wait_until_ready(url)
            yield url
        finally:
            server.terminate()


if __name__ == "__main__":
    main()
