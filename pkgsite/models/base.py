"""What all models share: constraint naming, column types and the configuration of database connections."""

from __future__ import annotations

import atexit
import sqlite3
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import orjson
from sqlalchemy import JSON, BigInteger, DateTime, Engine, Integer, MetaData, String, event
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.engine import Connection, Dialect
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import DeclarativeBase, Session, mapped_column, registry
from sqlalchemy.types import TypeDecorator

CONNECT_TIMEOUT_S = 5  # to PostgreSQL
ANSWER_TIMEOUT_S = 30  # after which an unreachable PostgreSQL server counts as lost
FILE_ID = "file_id"  # key of the info of a SQLite connection
MARKER_SUFFIX = ".created"  # of a file beside a SQLite database
MARKER_TEXT = """\
pkgsite has created the database {name} in this folder. If that file is missing, the site does not start with an empty
database instead. To restore a backup, use the command `restore`. To start an empty site, use `serve --new-database`.
"""
NAMING_CONVENTION = {
    "pk": "pk_%(table_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
}


class UtcDateTime(TypeDecorator[datetime]):
    """A timestamp. Accepts aware datetimes, returns aware datetimes in UTC, and rejects naive ones."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("naive datetimes can't be stored: add a time zone")
        value = value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: datetime | None, _dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def by_code_point(length: int) -> Any:
    """Return a text type that sorts by code point on both databases, whatever the locale of PostgreSQL."""
    return String(length).with_variant(String(length, collation="C"), "postgresql")


Json = JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")

# The most popular projects have more than 2**31 downloads a month. SQLite's integers have 64 bits anyway.
BigInt = BigInteger().with_variant(Integer, "sqlite")

Id = Annotated[int, mapped_column(Integer, primary_key=True)]
Title = Annotated[str, mapped_column(by_code_point(100))]
Slug = Annotated[str, mapped_column(by_code_point(50))]


class Base(DeclarativeBase):
    registry = registry(
        metadata=MetaData(naming_convention=NAMING_CONVENTION),
        type_annotation_map={datetime: UtcDateTime(), list[Any]: Json, dict[str, Any]: Json},
    )

    def __init_subclass__(cls, **options: Any) -> None:
        # Without AUTOINCREMENT, SQLite reuses the ids of deleted rows; history and API clients rely on unique ids.
        cls.__table_args__ = (*cls.__dict__.get("__table_args__", ()), {"sqlite_autoincrement": True})
        super().__init_subclass__(**options)


def dump_json(value: Any) -> str:
    """Return a value as JSON, for a JSON column."""
    return orjson.dumps(value).decode()


def engine_options(url: str) -> dict[str, Any]:
    """Return the options of the engine: on PostgreSQL, lost connections are noticed before they are used."""
    if url.startswith("sqlite"):
        return {}
    return {
        "pool_pre_ping": True,
        "connect_args": {"connect_timeout": CONNECT_TIMEOUT_S, "tcp_user_timeout": 1000 * ANSWER_TIMEOUT_S},
    }


def configure_engine(engine: Engine) -> None:
    """Configure the connections of SQLite and PostgreSQL.

    On SQLite, foreign keys are enforced, readers do not block the writer (WAL), and SQLAlchemy begins transactions
    (the driver itself would leave SELECT and CREATE TABLE outside). On PostgreSQL, each query gets its own plan.
    """
    if engine.dialect.name == "postgresql":

        @event.listens_for(engine, "connect")
        def configure_postgresql(connection: Any, _record: object) -> None:
            # Psycopg prepares frequent statements, with one plan for all values. That plan suits common search words;
            # with it, a search for a rare word reads every row.
            connection.prepare_threshold = None

        return

    atexit.register(engine.dispose)  # the last connection to close moves the write-ahead log into the database file
    path = Path(engine.url.database or "")
    has_connected = False

    @event.listens_for(engine, "do_connect")
    def require_same_file(_dialect: object, _record: object, _arguments: object, _options: object) -> None:
        if (has_connected or marker_of(path).exists()) and not path.exists():  # the driver would create an empty file
            raise sqlite3.OperationalError("unable to open database file: it has been deleted")

    @event.listens_for(engine, "connect")
    def configure_sqlite(connection: Any, record: Any) -> None:
        nonlocal has_connected
        has_connected = True
        record.info[FILE_ID] = file_id(path)
        connection.isolation_level = None
        for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON", "busy_timeout=10000"):
            connection.execute(f"PRAGMA {pragma}").close()

    @event.listens_for(engine, "begin")
    def begin_sqlite(connection: Connection) -> None:
        connection.exec_driver_sql(f"BEGIN {connection.get_execution_options().get('sqlite_begin', 'DEFERRED')}")


def begin_write(session: Session) -> None:
    """Begin the session's transaction as a write transaction. Call it before the session's first query.

    On SQLite, a transaction that reads first and writes later fails if another one has written in between. A write
    transaction waits until it has the lock.
    """
    connection = session.connection(execution_options={"sqlite_begin": "IMMEDIATE"})
    if FILE_ID in connection.info and connection.info[FILE_ID] != file_id(Path(connection.engine.url.database or "")):
        cause = sqlite3.OperationalError("the database file has been replaced or deleted")
        raise OperationalError("BEGIN IMMEDIATE", None, cause)


def complete_file(engine: Engine) -> None:
    """Move the write-ahead log of a SQLite database into its file, so that the file alone has everything."""
    if engine.dialect.name == "sqlite" and Path(engine.url.database or "").exists():
        with engine.connect() as connection:
            driver_connection: Any = connection.connection.dbapi_connection
            driver_connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").close()
        engine.dispose()  # closing the last connection deletes the empty log


def record_file(engine: Engine) -> None:
    """Record beside a SQLite database that it exists, so that no empty one takes its place if it is lost."""
    path = Path(engine.url.database or "")
    if engine.dialect.name == "sqlite" and path.exists() and not marker_of(path).exists():
        marker_of(path).write_text(MARKER_TEXT.format(name=path.name))


def allow_new_file(engine: Engine) -> None:
    """Let a SQLite database be created, even if there was one before."""
    path = Path(engine.url.database or "")
    if engine.dialect.name == "sqlite" and not path.exists():
        marker_of(path).unlink(missing_ok=True)


def marker_of(path: Path) -> Path:
    """Return the path of the file that records that a SQLite database exists."""
    return path.with_name(path.name + MARKER_SUFFIX)


def file_id(path: Path) -> tuple[int, int] | None:
    """Return what identifies a file, whatever its name; None if there is none."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def began_as_write(session: Session) -> bool:
    """Return whether the session's transaction was begun by `begin_write`."""
    return session.connection().get_execution_options().get("sqlite_begin") == "IMMEDIATE"
