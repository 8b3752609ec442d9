"""Real databases for the tests: one PostgreSQL server for the run, and a fresh migrated database for each test."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
from sqlalchemy import make_url

ADDRESS = "PKGSITE_TEST_POSTGRESQL"  # the running server's address, handed to the test workers
ROOM = 1 << 30  # bytes; a test run takes some 200 MB


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def program(name: str) -> str:
    """Return the path of a PostgreSQL program; Debian keeps them outside PATH."""
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    path = str(found[-1]) if found else shutil.which(name)
    if not path:
        raise RuntimeError(f"{name} is not installed: `make test` installs PostgreSQL, or `apt-get install postgresql`")
    return path


def folder_in_memory() -> str | None:
    """Return a folder in memory, where there is one with room for a test run's server; else None.

    There a database is copied and dropped in half the time, which each test that touches one does.
    """
    place = Path("/dev/shm")
    has_room = place.is_dir() and os.access(place, os.W_OK) and shutil.disk_usage(place).free > ROOM
    return str(place) if has_room else None


def start_postgresql(parent: str | None = None) -> tuple[str, Path]:
    """Start a throw-away server with an ICU en-US locale, whose own order of text is far from code points.

    PostgreSQL refuses to run as root: then it runs as its own user. Returns its address and its folder, which is made
    in `parent`, or where the machine keeps what is temporary.
    """
    as_root = os.geteuid() == 0
    owner = pwd.getpwnam("postgres" if as_root else pwd.getpwuid(os.geteuid()).pw_name)
    folder = Path(tempfile.mkdtemp(prefix="pkgsite-postgresql-", dir=parent))
    os.chown(folder, owner.pw_uid, owner.pw_gid)
    user = owner.pw_name if as_root else None

    def run(*command: str) -> None:
        subprocess.run(command, user=user, group=user, extra_groups=[] if user else None, cwd=folder, check=True,
                       stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL)  # fmt: skip

    port = free_port()
    run(program("initdb"), "--no-sync", "-A", "trust", "-U", "pkgsite", "-E", "UTF8", "--locale=C.UTF-8",
        "--locale-provider=icu", "--icu-locale=en-US", "-D", f"{folder}/data")  # fmt: skip
    options = f"-p {port} -h 127.0.0.1 -k {folder} -c fsync=off -c synchronous_commit=off -c max_connections=200"
    run(program("pg_ctl"), "-D", f"{folder}/data", "-l", f"{folder}/log", "-w", "-o", options, "start")
    return f"postgresql://pkgsite@127.0.0.1:{port}/postgres", folder


def stop_postgresql(folder: Path) -> None:
    pid = int((folder / "data" / "postmaster.pid").read_text().splitlines()[0])
    os.kill(pid, 3)  # SIGQUIT: at once, the data is thrown away
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, 0)
    shutil.rmtree(folder, ignore_errors=True)


def at_server(statement: str) -> None:
    with psycopg.connect(os.environ[ADDRESS], autocommit=True) as connection:
        connection.execute(statement)  # type: ignore[arg-type]


class Template:
    """A migrated, empty database of one kind, from which each test gets its own copy."""

    def __init__(self, kind: str, folder: Path, worker: str) -> None:
        self.kind, self.folder, self.name, self.copies = kind, folder, f"template_{worker}", 0
        if kind == "postgresql":
            at_server(f"DROP DATABASE IF EXISTS {self.name}")
            at_server(f"CREATE DATABASE {self.name}")
        self.url = self.url_of(self.name)

    def url_of(self, name: str) -> str:
        if self.kind == "sqlite":
            return f"sqlite:///{self.folder / name}.db"
        return make_url(os.environ[ADDRESS]).set(database=name).render_as_string(hide_password=False)

    @contextlib.contextmanager
    def empty(self) -> Iterator[str]:
        """Yield the address of a PostgreSQL database without any table, dropped at the end."""
        self.copies += 1
        name = f"{self.name}_{self.copies}"
        at_server(f"CREATE DATABASE {name}")
        yield self.url_of(name)
        at_server(f"DROP DATABASE {name} WITH (FORCE)")

    @contextlib.contextmanager
    def copy(self) -> Iterator[str]:
        """Yield the address of a fresh copy, dropped at the end."""
        self.copies += 1
        name = f"{self.name}_{self.copies}"
        if self.kind == "sqlite":
            place = self.folder / f"{name}.db"
            shutil.copy(self.folder / f"{self.name}.db", place)
            yield self.url_of(name)
            for leftover in self.folder.glob(f"{name}.db*"):
                leftover.unlink()
        else:
            at_server(f"CREATE DATABASE {name} TEMPLATE {self.name}")
            yield self.url_of(name)
            at_server(f"DROP DATABASE {name} WITH (FORCE)")
