"""Measures the export of all packages as NDJSON: the growth of the server's memory, and packages per second.

    python -m bench.streaming [--packages 200000] [--database postgresql://…]

Starts the real server, and downloads the entire stream in small chunks. The exit status is 1 if the memory of a server
process grows by `BUDGET_MIB` or more.
"""

from __future__ import annotations

import argparse
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import requests
from flask_migrate import upgrade

import config
from bench.pages import copy_packages
from pkgsite import create_app
from pkgsite.clock import utc_now
from pkgsite.extensions import db
from pkgsite.services.importing.catalogue import load_bundled_catalogue_if_empty

BUDGET_MIB = 60
CHUNK_BYTES = 1 << 16
SAMPLE_INTERVAL_S = 0.02


def populate(environment: dict[str, str], packages: int) -> None:
    """Create the tables, and add packages until there are at least this many."""
    app = create_app(config.flask_config(config.read_settings(environment)))
    with app.app_context():
        upgrade()
        with db.session.begin():
            load_bundled_catalogue_if_empty(db.session(), now=utc_now())
        with db.session.begin():
            copy_packages(packages)
        db.engine.dispose()


@contextmanager
def running_server(environment: dict[str, str]) -> Iterator[tuple[str, int]]:
    """Start the server with one worker, and yield its URL and process id."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server_environment = (
        os.environ | environment | {"PORT": str(port), "WORKERS": "1", "SCHEDULER": "off", "LIMITS": "off"}
    )
    command = [sys.executable, "-m", "flask", "--app", "wsgi", "serve"]
    with subprocess.Popen(
        command, env=server_environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as server:
        try:
            url = f"http://127.0.0.1:{port}"
            wait_until_ready(url)
            yield url, server.pid
        finally:
            server.terminate()


def wait_until_ready(url: str) -> None:
    for _ in range(300):
        try:
            requests.get(f"{url}/api/v4/", timeout=5)
            return
        except requests.ConnectionError:
            time.sleep(0.1)
    raise SystemExit("The server did not start.")


def process_tree(root_pid: int) -> set[int]:
    """Return the ids of a process and all of its descendants."""
    tree = {root_pid}
    parents = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parents[int(folder.name)] = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
        except FileNotFoundError:  # the process has ended
            continue
    while children := {pid for pid, parent_pid in parents.items() if parent_pid in tree} - tree:
        tree |= children
    return tree


def resident_mib(pid: int) -> float:
    """Return the resident memory of a process in MiB."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / (1 << 20)


class MemoryMonitor:
    """Samples the memory of processes in the background, as a context manager.

    Attributes:
        idle: The memory of each process at the start, in MiB.
        peak: The maximum since then, in MiB.
    """

    def __init__(self, processes: set[int]) -> None:
        self.idle = {process: resident_mib(process) for process in processes}
        self.peak = dict(self.idle)
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._sample)

    def __enter__(self) -> MemoryMonitor:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join()

    def _sample(self) -> None:
        while not self._stopped.wait(SAMPLE_INTERVAL_S):
            for process in self.peak:
                self.peak[process] = max(self.peak[process], resident_mib(process))


def download(url: str) -> tuple[int, int]:
    """Download a stream, and return its number of lines and bytes."""
    lines = size = 0
    with requests.get(url, stream=True, timeout=60, headers={"Accept-Encoding": "identity"}) as response:
        response.raise_for_status()
        for chunk in response.iter_content(CHUNK_BYTES):
            lines += chunk.count(b"\n")
            size += len(chunk)
    return lines, size


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--packages", type=int, default=200_000, help="default %(default)s")
    parser.add_argument(
        "--database", default="sqlite:///streaming.db", help="URL of an empty database, default %(default)s"
    )
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        environment = {"DATA_DIR": folder, "DATABASE_URL": args.database, "SECRET_KEY": "bench", "SCHEDULER": "off"}
        populate(environment, args.packages)
        with running_server(environment) as (url, server):
            requests.get(f"{url}/api/v4/packages/", timeout=60).raise_for_status()
            with MemoryMonitor(process_tree(server)) as memory:
                start = time.perf_counter()
                lines, size = download(f"{url}/api/v4/packages.ndjson")
                elapsed_s = time.perf_counter() - start
        growth_mib, process = max((memory.peak[pid] - memory.idle[pid], pid) for pid in memory.idle)
        print(f"{lines:,} packages, {size:,} bytes in {elapsed_s:.1f} s: {lines / elapsed_s:,.0f} packages per second")
        print(f"Memory: {memory.idle[process]:.1f} MiB idle, {memory.peak[process]:.1f} MiB peak")
        print(f"Growth: {growth_mib:.1f} MiB (budget: {BUDGET_MIB} MiB)")
        if lines < args.packages or growth_mib >= BUDGET_MIB:
            sys.exit(1)


if __name__ == "__main__":
    main()
