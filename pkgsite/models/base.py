"""What every table shares: named constraints, column types, and how SQLite is opened."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

from sqlalchemy import JSON, BigInteger, DateTime, Engine, Integer, MetaData, String, event
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.engine import Connection, Dialect
from sqlalchemy.orm import DeclarativeBase, Session, mapped_column, registry
from sqlalchemy.types import TypeDecorator

NAMING_CONVENTION = {
    "pk": "pk_%(table_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
}


class UtcDateTime(TypeDecorator[datetime]):
    """An instant. Aware datetimes go in, aware UTC datetimes come out; a naive one is refused."""

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
    """Return a text type that sorts by code point on both databases, whatever a PostgreSQL cluster's locale."""
    return String(length).with_variant(String(length, collation="C"), "postgresql")


Json = JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")

# Downloads of the best-known projects pass two thousand million a month. SQLite's integers are large anyway.
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
        # SQLite gives a deleted row's id to the next one unless told not to;
        # history and mirrors need an id to mean one thing.
        cls.__table_args__ = (*cls.__dict__.get("__table_args__", ()), {"sqlite_autoincrement": True})
        super().__init_subclass__(**options)


def configure_engine(engine: Engine) -> None:
    """Make SQLite keep the promises that PostgreSQL keeps by itself, and PostgreSQL plan each question on its own.

    On SQLite foreign keys are enforced, readers and one writer work at once (WAL), and a transaction begins where
    SQLAlchemy says so (the driver's own habit leaves SELECT and CREATE TABLE outside).
    """
    if engine.dialect.name == "postgresql":

        @event.listens_for(engine, "connect")
        def configure_postgresql(connection: Any, _record: object) -> None:
            # What is asked often would be prepared, with one plan for all values: to find a rare word that way would
            # mean to read every row in the order that is good for a common one.
            connection.prepare_threshold = None

        return

    @event.listens_for(engine, "connect")
    def configure_sqlite(connection: Any, _record: object) -> None:
        connection.isolation_level = None
        for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON", "busy_timeout=10000"):
            connection.execute(f"PRAGMA {pragma}").close()

    @event.listens_for(engine, "begin")
    def begin_sqlite(connection: Connection) -> None:
        connection.exec_driver_sql(f"BEGIN {connection.get_execution_options().get('sqlite_begin', 'DEFERRED')}")


def begin_write(session: Session) -> None:
    """Begin the session's transaction as one that will write.

    On SQLite a transaction that reads first and writes later fails at once where another has written in between;
    one that says so at its beginning waits its turn. Call it before the session's first query.
    """
    session.connection(execution_options={"sqlite_begin": "IMMEDIATE"})
