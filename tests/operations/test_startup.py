"""Faults at start: one line that says what to do, and exit status 1."""

from __future__ import annotations

import errno
import os
import pwd
import signal
import socket
import sqlite3
import struct
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import click
import pytest
from flask import Flask
from sqlalchemy import event

import config
from pkgsite.extensions import db
from pkgsite.models.base import marker_of
from pkgsite.operations import startup
from pkgsite.operations.startup import explained
from tests import processes
from tests.conftest import make_config, new_app
from tests.databases import free_port
from tests.test_server import fetch

pytestmark = pytest.mark.long

SERVE = ("-m", "flask", "--app", "wsgi", "serve")
PROTOCOL_VERSION = 3 << 16  # of PostgreSQL
RESTORE = ".venv/bin/flask --app wsgi restore FILE"


def start(folder: Path, *options: str, **settings: str) -> tuple[int, str]:
    """Start the site; return its exit status and what it wrote to standard error."""
    return run_command(folder, (*SERVE, *options), **settings)


def run_command(folder: Path, command: tuple[str, ...], **settings: str) -> tuple[int, str]:
    environment = os.environ | {"DATA_DIR": str(folder), "PORT": str(free_port()), "SCHEDULER": "off"} | settings
    process = processes.start(*command, env=environment, start_new_session=True)
    _, errors = process.communicate(timeout=60)
    return process.returncode or 0, errors


def line_of(result: tuple[int, str]) -> str:
    """Return the only line of a failed start."""
    status, errors = result
    assert status == 1, errors
    assert len(errors.splitlines()) == 1, errors
    return errors.strip()


def test_a_data_folder_that_can_not_be_created(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    line = line_of(start(tmp_path / "file" / "data"))
    assert line == f"The site can't start: {tmp_path}/file/data: Not a directory. Set DATA_DIR to a folder."


def test_debug_shows_the_traceback(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    for options, settings in (((), {"DATABASE_URL": f"sqlite:///{tmp_path}/none/x.db"}), ((), {})):
        folder = tmp_path if settings else tmp_path / "file" / "data"
        status, errors = start(folder, "--debug", *options, **settings)
        assert status == 1
        assert "Traceback (most recent call last)" in errors


def test_a_missing_folder_of_the_database(tmp_path: Path) -> None:
    line = line_of(start(tmp_path, DATABASE_URL=f"sqlite:///{tmp_path}/none/x.db"))
    expected = f"Error: The folder {tmp_path}/none of the database does not exist. Create it, or change DATABASE_URL."
    assert line == expected


@pytest.mark.parametrize(
    "command", [("db", "upgrade"), ("jobs", "run"), ("search", "rebuild"), ("backup", "x")], ids=" ".join
)
def test_other_commands_explain_the_same_faults(tmp_path: Path, command: tuple[str, ...]) -> None:
    result = run_command(tmp_path, (*SERVE[:-1], *command), DATABASE_URL=f"sqlite:///{tmp_path}/none/x.db")
    assert line_of(result).startswith(f"Error: The folder {tmp_path}/none of the database does not exist.")


def test_a_file_that_is_not_a_database(tmp_path: Path) -> None:
    path = tmp_path / "pkgsite.db"
    path.write_bytes(b"This is not SQLite. " * 1_000)
    line = line_of(start(tmp_path))
    assert line == (
        f"Error: The file {path} is not a SQLite database, or it is damaged. Move it to another place, then restore a "
        f"backup: {RESTORE}"
    )


def test_a_damaged_sqlite_file(tmp_path: Path) -> None:
    path = tmp_path / "pkgsite.db"
    with closing(sqlite3.connect(path)) as connection:
        for number in range(20):
            connection.execute(f"CREATE TABLE table_{number} (id INTEGER PRIMARY KEY, text TEXT)")
    with path.open("r+b") as file:
        file.seek(100)
        file.write(b"\xff" * 3_000)  # the schema
    line = line_of(start(tmp_path))
    assert line == (
        f"Error: The database file {path} is damaged. Move it to another place, then restore a backup: {RESTORE}"
    )


@contextmanager
def without_root() -> Iterator[Path]:
    """Yield a folder of a user who is not root, and become that user: root can write everywhere."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if os.geteuid() != 0:
            yield folder
            return
        user = pwd.getpwnam("nobody").pw_uid
        os.chown(folder, user, -1)
        os.seteuid(user)
        try:
            yield folder
        finally:
            os.seteuid(0)


@pytest.fixture
def created_files(tmp_path: Path) -> Iterator[list[Flask]]:
    """Applications whose connections are closed at the end of the test."""
    apps: list[Flask] = []
    yield apps
    for app in apps:
        with app.app_context():
            db.session.remove()
            db.engine.dispose()


@explained
def create_table(name: str = "first") -> None:
    with db.engine.begin() as connection:
        connection.exec_driver_sql(f"CREATE TABLE {name} (id INTEGER)")


def error_of_command(app: Flask) -> str:
    """Return the message of a command that writes."""
    with app.app_context():
        with pytest.raises(click.ClickException) as error:
            create_table("second")
        db.engine.dispose()
    return error.value.message


def test_a_database_that_can_not_be_written(created_files: list[Flask], tmp_path: Path) -> None:
    with without_root() as folder:
        path = folder / "pkgsite.db"
        app = new_app(make_config(f"sqlite:///{path}", folder))
        created_files.append(app)
        with app.app_context():
            create_table()
            db.engine.dispose()
        path.chmod(0o400)
        assert error_of_command(app) == (
            f"The database file {path} is read-only. Let the site's user write to it and to its folder."
        )
    with without_root() as folder:
        path = folder / "pkgsite.db"
        app = new_app(make_config(f"sqlite:///{path}", folder))
        created_files.append(app)
        folder.chmod(0o500)
        assert error_of_command(app) == (
            f"The database file {path} can't be opened. Let the site's user write to it and to its folder."
        )
        folder.chmod(0o700)


def test_a_data_folder_that_can_not_be_written() -> None:
    with without_root() as folder:
        folder.chmod(0o500)
        with pytest.raises(SystemExit) as exit_, startup.explained_load_errors():
            config.load_or_create_secret_key(folder / "data")
        folder.chmod(0o700)
        assert str(exit_.value) == (
            f"The site can't start: {folder}/data: Permission denied. Let the site's user write there, or set DATA_DIR "
            "to another folder."
        )


def test_a_full_disk(created_files: list[Flask], tmp_path: Path) -> None:
    path = tmp_path / "pkgsite.db"
    app = new_app(make_config(f"sqlite:///{path}", tmp_path))
    created_files.append(app)
    with app.app_context():

        @event.listens_for(db.engine, "connect")
        def limit_size(connection: Any, _record: object) -> None:
            connection.execute("PRAGMA max_page_count=1").close()

    assert error_of_command(app) == f"The disk with the database file {path} is full. Free some space, then try again."
    full = OSError(errno.ENOSPC, "No space left on device", "/data/secret_key")
    assert startup.explain_file_error(full) == (
        "/data/secret_key: No space left on device. Free some space on the disk."
    )


@pytest.fixture
def postgresql_rejecting() -> Iterator[Callable[[str, str], int]]:
    """A function that starts a PostgreSQL server which rejects a connection with an error, and returns its port."""
    listeners = []

    def listen(sqlstate: str, message: str) -> int:
        listener = socket.create_server(("127.0.0.1", 0))
        listeners.append(listener)
        threading.Thread(target=reject_connections, args=(listener, sqlstate, message), daemon=True).start()
        return int(listener.getsockname()[1])

    yield listen
    for listener in listeners:
        listener.close()


def reject_connections(listener: socket.socket, sqlstate: str, message: str) -> None:
    with suppress(OSError):  # the listener is closed
        while True:
            connection, _ = listener.accept()
            with connection:
                while True:
                    length, code = struct.unpack("!ii", connection.recv(8, socket.MSG_WAITALL))
                    connection.recv(length - 8)
                    if code == PROTOCOL_VERSION:
                        break
                    connection.sendall(b"N")  # no encryption
                fields = f"SFATAL\0VFATAL\0C{sqlstate}\0M{message}\0\0".encode()
                connection.sendall(b"E" + struct.pack("!i", len(fields) + 4) + fields)


@pytest.mark.parametrize(
    ("sqlstate", "message", "expected"),
    [
        (
            "28P01",
            'password authentication failed for user "site"',
            "PostgreSQL at {server} rejected the username or password. Check both in DATABASE_URL.",
        ),
        (
            "3D000",
            'database "packages" does not exist',
            "PostgreSQL at {server} has no database “packages”. Create it: createdb packages",
        ),
    ],
)
def test_postgresql_rejects_the_connection(
    postgresql_rejecting: Callable[[str, str], int], tmp_path: Path, sqlstate: str, message: str, expected: str
) -> None:
    server = f"127.0.0.1:{postgresql_rejecting(sqlstate, message)}"
    line = line_of(start(tmp_path, DATABASE_URL=f"postgresql://site:wrong@{server}/packages"))
    assert line == "Error: " + expected.format(server=server)


def test_no_postgresql_at_the_address(tmp_path: Path) -> None:
    server = f"127.0.0.1:{free_port()}"
    line = line_of(start(tmp_path, DATABASE_URL=f"postgresql://site:hidden@{server}/packages"))
    assert line.startswith(
        f"Error: PostgreSQL at {server} is not available. Check that it is running, and DATABASE_URL. ("
    )
    assert "Connection refused" in line
    assert "hidden" not in line


def test_a_lost_sqlite_file_is_not_replaced_by_an_empty_one(tmp_path: Path) -> None:
    path = tmp_path / "pkgsite.db"
    marker_of(path).write_text("a database was here")
    line = line_of(start(tmp_path))
    assert line == (
        f"Error: The database file {path} is missing, but there was one before. To restore a backup, run: {RESTORE}. "
        "To start an empty site instead, run: .venv/bin/flask --app wsgi serve --new-database"
    )
    assert not path.exists()

    port = free_port()
    environment = os.environ | {"DATA_DIR": str(tmp_path), "PORT": str(port), "SCHEDULER": "off"}
    process = processes.start(*SERVE, "--new-database", env=environment, start_new_session=True)
    assert fetch(f"http://127.0.0.1:{port}", "/health/ready").status_code == 200
    assert path.exists()
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    assert process.returncode == 0


def test_redis_without_its_package(tmp_path: Path) -> None:
    if find_spec("redis") is not None:
        pytest.skip("the package is installed")
    line = line_of(start(tmp_path, REDIS_URL="redis://127.0.0.1/0"))
    assert line.startswith(
        "The site can't start: REDIS_URL requires the package redis, which is not installed. Install it: "
    )
    assert line.endswith("pip install redis")


@pytest.mark.parametrize(("name", "package"), [("REDIS_URL", "redis"), ("SENTRY_DSN", "sentry-sdk")])
def test_a_setting_without_its_package_is_reported(
    name: str, package: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(startup, "find_spec", lambda _name: None)
    with pytest.raises(SystemExit) as exit_:
        startup.require_packages({"REDIS_URL": "", "SENTRY_DSN": "", name: "x"})
    message = str(exit_.value)
    assert f"{name} requires the package {package}, which is not installed. Install it: " in message
    assert message.endswith(f"pip install {package}")
