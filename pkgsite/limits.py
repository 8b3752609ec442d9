"""Rate limits, counted in a SQLite file that all workers of a machine share, or in Redis for several machines.

Requests that get status 304 (Not Modified) are not counted.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

from flask import Flask, Response
from limits.storage import Storage

from pkgsite.extensions import limiter

# By kind of request: the limit for a user with an account, and the limit for an IP address without one.
RATES = {
    "read": ("20000/hour", "5000/hour"),
    "search": ("6000/hour", "3000/hour"),
    "write": ("2000/hour", "2000/hour"),
    "bulk": ("200/hour", "60/hour"),
    "login": ("120/hour", "120/hour"),
}
COUNTER_FILE = "limits.db"
HEADER_PREFIX = "RateLimit-"


class SqliteStorage(Storage):
    """Counters in a SQLite file that all processes of a machine share. Losing the file only resets the counters."""

    STORAGE_SCHEME = ["shared"]  # noqa: RUF012  # the library's own attribute

    def __init__(self, uri: str, **options: Any) -> None:
        super().__init__(uri, **options)
        self._path = uri.removeprefix("shared://")
        self._local = threading.local()

    @property
    def base_exceptions(self) -> type[Exception]:
        return sqlite3.Error

    def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        now = time.time()
        row = self._run(
            "INSERT INTO counter (key, count, ends_at) VALUES (?, ?, ?) ON CONFLICT (key) DO UPDATE SET "
            "count = CASE WHEN ends_at <= ? THEN excluded.count ELSE count + excluded.count END, "
            "ends_at = CASE WHEN ends_at <= ? THEN excluded.ends_at ELSE ends_at END RETURNING count",
            (key, amount, now + expiry, now, now),
        )
        return int(row[0]) if row else amount

    def get(self, key: str) -> int:
        row = self._run("SELECT count FROM counter WHERE key = ? AND ends_at > ?", (key, time.time()))
        return int(row[0]) if row else 0

    def get_expiry(self, key: str) -> float:
        row = self._run("SELECT ends_at FROM counter WHERE key = ?", (key,))
        return max(float(row[0]), time.time()) if row else time.time()

    def check(self) -> bool:
        return self._run("SELECT 1", ()) is not None

    def reset(self) -> int | None:
        self._run("DELETE FROM counter", ())
        return None

    def clear(self, key: str) -> None:
        self._run("DELETE FROM counter WHERE key = ?", (key,))

    def _run(self, statement: str, values: tuple[Any, ...]) -> tuple[Any, ...] | None:
        with self._connection() as connection:
            row: tuple[Any, ...] | None = connection.execute(statement, values).fetchone()
            return row

    def _connection(self) -> sqlite3.Connection:
        """Return this thread's connection; a forked process opens its own."""
        if getattr(self._local, "process", None) != os.getpid():
            connection = sqlite3.connect(self._path, timeout=5, isolation_level=None)
            connection.execute("PRAGMA journal_mode=WAL").close()
            connection.execute("PRAGMA synchronous=OFF").close()
            connection.execute(
                "CREATE TABLE IF NOT EXISTS counter (key TEXT PRIMARY KEY, count INTEGER, ends_at REAL) WITHOUT ROWID"
            ).close()
            connection.execute("DELETE FROM counter WHERE ends_at <= ?", (time.time(),)).close()
            self._local.connection, self._local.process = connection, os.getpid()
        return cast(sqlite3.Connection, self._local.connection)


def init_app(app: Flask) -> None:
    redis = app.config["REDIS_URL"]
    app.config.update(
        RATELIMIT_ENABLED=app.config["LIMITS"] == "on",
        RATELIMIT_STORAGE_URI=redis or f"shared://{Path(app.config['DATA_DIR']) / COUNTER_FILE}",
        RATELIMIT_STRATEGY="fixed-window",
        RATELIMIT_HEADERS_ENABLED=True,
        RATELIMIT_HEADER_LIMIT=f"{HEADER_PREFIX}Limit",
        RATELIMIT_HEADER_REMAINING=f"{HEADER_PREFIX}Remaining",
        RATELIMIT_HEADER_RESET=f"{HEADER_PREFIX}Reset",
        RATELIMIT_HEADER_RETRY_AFTER_VALUE="delta-seconds",
        RATELIMIT_SWALLOW_ERRORS=True,  # a broken counter blocks no request; Flask-Limiter logs it
        RATELIMIT_KEY_PREFIX="pkgsite",
    )
    Path(app.config["DATA_DIR"]).mkdir(parents=True, exist_ok=True)
    limiter.init_app(app)


def strip_uncounted_headers(response: Response) -> None:
    """Remove rate limit headers from responses that are not counted or not limited."""
    if response.status_code != 429:  # Flask-Limiter adds it to every response
        response.headers.pop("Retry-After", None)
    if response.status_code == 304:
        for name in [name for name, _ in response.headers if name.startswith(HEADER_PREFIX)]:
            del response.headers[name]


def rate_limited(kind: str, identify: Callable[[], tuple[str, bool]], *, methods: list[str] | None = None) -> Any:
    """Return a decorator that applies one of `RATES` to a blueprint or a view, for each client separately.

    Args:
        kind: Key of `RATES`. All views with the same kind share one counter.
        identify: Returns the client's key, and whether the client has an account.
        methods: HTTP methods to limit; None limits all.
    """
    return limiter.shared_limit(
        lambda: RATES[kind][0 if identify()[1] else 1],
        scope=kind,
        key_func=lambda: identify()[0],
        deduct_when=counts_against_limit,
        methods=methods,
    )


def counts_against_limit(response: Response) -> bool:
    return response.status_code != 304
