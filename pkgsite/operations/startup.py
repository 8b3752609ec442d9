"""Errors at start in one line that says what to do; with `--debug` on the command line, the traceback instead."""

from __future__ import annotations

import errno
import functools
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import click
from flask import current_app
from sqlalchemy import URL
from sqlalchemy.exc import DBAPIError

from pkgsite.extensions import db
from pkgsite.outages import describe, is_outage

P = ParamSpec("P")
R = TypeVar("R")

# By setting: the module that it needs, and the package to install.
OPTIONAL_PACKAGES = {"REDIS_URL": ("redis", "redis"), "SENTRY_DSN": ("sentry_sdk", "sentry-sdk")}
ADVICE = {
    errno.ENOSPC: "Free some space on the disk",
    errno.ENOENT: "Create the folder, or set DATA_DIR to another one",
    errno.ENOTDIR: "Set DATA_DIR to a folder",
}
DEFAULT_ADVICE = "Let the site's user write there, or set DATA_DIR to another folder"
SQLITE_MESSAGES = (  # a part of the driver's message, and what to say
    (
        "has been deleted",
        "The database file {path} is missing, but there was one before. To restore a backup, run: {command} restore "
        "FILE. To start an empty site instead, run: {command} serve --new-database",
    ),
    ("readonly database", "The database file {path} is read-only. Let the site's user write to it and to its folder."),
    ("disk is full", "The disk with the database file {path} is full. Free some space, then try again."),
    (
        "not a database",
        "The file {path} is not a SQLite database, or it is damaged. Move it to another place, then restore a backup: "
        "{command} restore FILE",
    ),
    (
        "malformed",
        "The database file {path} is damaged. Move it to another place, then restore a backup: {command} restore FILE",
    ),
    ("locked", "The database file {path} is locked by another process. Stop that process, or try again later."),
    ("disk I/O error", "The database file {path} can't be read or written (disk I/O error). Check the disk."),
)
POSTGRESQL_MESSAGES = (
    (
        ("authentication failed", "no password supplied", 'role "'),
        "PostgreSQL at {server} rejected the username or password. Check both in DATABASE_URL.",
    ),
    (("does not exist",), "PostgreSQL at {server} has no database “{name}”. Create it: createdb {name}"),
)


def is_debug() -> bool:
    """Return whether the command line asks for tracebacks."""
    return "--debug" in sys.argv


@contextmanager
def explained_load_errors() -> Iterator[None]:
    """End the process with one line if the application can't be loaded because of a file or a folder."""
    try:
        yield
    except OSError as error:
        if is_debug():
            raise
        raise SystemExit(f"The site can't start: {explain_file_error(error)}") from None


def explain_file_error(error: OSError) -> str:
    place = f"{error.filename}: " if error.filename else ""
    return f"{place}{error.strerror}. {ADVICE.get(error.errno or 0, DEFAULT_ADVICE)}."


def require_packages(settings: Mapping[str, Any]) -> None:
    """End the process with one line if a setting needs a package that is not installed."""
    for name, (module, package) in OPTIONAL_PACKAGES.items():
        if settings[name] and find_spec(module) is None:
            raise SystemExit(
                f"The site can't start: {name} requires the package {package}, which is not installed. "
                f"Install it: {Path(sys.executable).parent / 'pip'} install {package}"
            )


def explained(command: Callable[P, R]) -> Callable[P, R]:
    """Let a command fail with one line if the database or a folder is not available."""

    @functools.wraps(command)
    def run(*args: P.args, **options: P.kwargs) -> R:
        try:
            return command(*args, **options)
        except (DBAPIError, OSError) as error:
            message = explain_file_error(error) if isinstance(error, OSError) else explain_database_error(error)
            if message is None or is_debug():
                raise
            raise click.ClickException(message) from None

    return run


def explain_database_error(error: DBAPIError) -> str | None:
    """Return what is wrong with the database and what to do; None if the error is not an outage."""
    if not is_outage(error):
        return None
    url = db.engine.url
    return _explain_sqlite(error, url) if url.get_backend_name() == "sqlite" else _explain_postgresql(error, url)


def _explain_sqlite(error: DBAPIError, url: URL) -> str:
    path, message = Path(url.database or ""), str(error.orig)
    for part, explanation in SQLITE_MESSAGES:
        if part in message:
            return explanation.format(path=path, command=current_app.config["COMMAND"])
    if not path.parent.is_dir():
        return f"The folder {path.parent} of the database does not exist. Create it, or change DATABASE_URL."
    return f"The database file {path} can't be opened. Let the site's user write to it and to its folder."


def _explain_postgresql(error: DBAPIError, url: URL) -> str:
    message = describe(error)
    server = f"{url.host or 'localhost'}:{url.port or 5432}"
    for parts, explanation in POSTGRESQL_MESSAGES:
        if any(part in message for part in parts):
            return explanation.format(server=server, name=url.database)
    return f"PostgreSQL at {server} is not available. Check that it is running, and DATABASE_URL. ({message})"
