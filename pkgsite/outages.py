"""Outages of the database: which errors mean one, and one line in the log for each."""

from __future__ import annotations

import logging
import time

from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError

log = logging.getLogger(__name__)

RETRY_AFTER_S = 5  # how soon clients may try again
SAME_OUTAGE_S = 60  # failures within this time of each other belong to one outage
RETRYABLE_SQLSTATES = {"40001", "40P01"}  # serialization failure, deadlock
SQLITE_OUTAGES = (
    "database is locked",
    "readonly database",
    "disk is full",
    "disk I/O error",
    "unable to open database file",
    "malformed",
    "not a database",
    "has been replaced",
)


class _LastFailure:
    at: float | None = None


def lost_race(error: DBAPIError) -> bool:
    """Return whether a transaction failed only because of a concurrent one, so that running it again can succeed."""
    return isinstance(error, IntegrityError) or getattr(error.orig, "sqlstate", None) in RETRYABLE_SQLSTATES


def is_outage(error: DBAPIError) -> bool:
    """Return whether the database is unavailable, as opposed to rejecting this statement."""
    if error.connection_invalidated:
        return True
    message = str(error.orig)
    if type(error.orig).__module__.startswith("sqlite3"):
        return any(text in message for text in SQLITE_OUTAGES)
    return isinstance(error, OperationalError) and not lost_race(error)


def report_outage(error: DBAPIError) -> None:
    """Log the first failure of an outage."""
    now, last = time.monotonic(), _LastFailure.at
    _LastFailure.at = now
    if last is None or now - last > SAME_OUTAGE_S:
        log.error("The database is not available: %s", describe(error))


def was_outage(error: BaseException) -> bool:
    """Return whether an error was an outage of the database, and if so, report it."""
    if not isinstance(error, DBAPIError) or not is_outage(error):
        return False
    report_outage(error)
    return True


def describe(error: DBAPIError) -> str:
    """Return the cause in one line, without the statement and its values."""
    return " ".join(str(error.orig).split())
