"""What it costs to send all packages as lines of JSON: the server's memory above its idle size, and packages a second.

    python -m bench.streaming [--packages 200000] [--database postgresql://…]

The real server is started on the database; one reader takes the whole stream, in small bites. It exits 1 if a process
of the server grows by as much as the budget.
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
CHUNK_BYTES = 1 << 16  # bytes
SAMPLE_INTERVAL_S = 0.02  # seconds between two looks at the memory


def populate(environment: dict[str, str], packages: int) -> None:
    """Bring the database to at least so many packages."""
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
    """Serve the site by one worker; return its address and the process that was started."""
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
            address = f"http://127.0.0.1:{port}"
            wait_for(address)
            yield address, server.pid
        finally:
            server.terminate()


def wait_for(address: str) -> None:
    for _ in range(300):
        try:
            requests.get(f"{address}/api/v4/", timeout=5)
            return
        except requests.ConnectionError:
            time.sleep(0.1)
    raise SystemExit("the server did not start")


def process_tree(parent: int) -> set[int]:
    """Return a process with all that it started, in turn."""
    found = {parent}
    parents = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parents[int(folder.name)] = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
        except FileNotFoundError:  # it has ended meanwhile
            continue
    while more := {child for child, of in parents.items() if of in found} - found:
        found |= more
    return found


def resident_mib(process: int) -> float:
    """Return the MiB of memory that a process holds."""
    pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / (1 << 20)


class MemoryMonitor:
    """Looks at the memory of processes until it is stopped.

    Attributes:
        idle: MiB of each process at the beginning.
        peak: The most that each had since.
    """

    def __init__(self, watched: set[int]) -> None:
        self.idle = {process: resident_mib(process) for process in watched}
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
    """Read a stream to its end and return its lines and bytes."""
    lines = size = 0
    with requests.get(url, stream=True, timeout=60, headers={"Accept-Encoding": "identity"}) as answer:
        answer.raise_for_status()
        for chunk in answer.iter_content(CHUNK_BYTES):
            lines += chunk.count(b"\n")
            size += len(chunk)
    return lines, size


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--packages", type=int, default=200_000)
    parser.add_argument("--database", default="sqlite:///streaming.db", help="an empty one")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        environment = {"DATA_DIR": folder, "DATABASE_URL": args.database, "SECRET_KEY": "bench", "SCHEDULER": "off"}
        populate(environment, args.packages)
        with running_server(environment) as (address, server):
            requests.get(f"{address}/api/v4/packages/", timeout=60).raise_for_status()
            with MemoryMonitor(process_tree(server)) as watch:
                start = time.perf_counter()
                lines, size = download(f"{address}/api/v4/packages.ndjson")
                elapsed_s = time.perf_counter() - start
        growth_mib, process = max((watch.peak[one] - watch.idle[one], one) for one in watch.idle)
        print(f"{lines:,} packages, {size:,} bytes in {elapsed_s:.1f} s: {lines / elapsed_s:,.0f} packages a second")
        print(f"Idle {watch.idle[process]:.1f} MiB, at most {watch.peak[process]:.1f} MiB: {growth_mib:.1f} MiB more, "
              f"of {BUDGET_MIB} allowed")  # fmt: skip
        if lines < args.packages or growth_mib >= BUDGET_MIB:
            sys.exit(1)


if __name__ == "__main__":
    main()
