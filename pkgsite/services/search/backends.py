"""Which index of text a session's database has."""

from __future__ import annotations

from sqlalchemy.orm import Session

from pkgsite.services.search.backend import Engine
from pkgsite.services.search.postgresql import PostgresqlEngine
from pkgsite.services.search.sqlite import SqliteEngine

ENGINES: dict[str, Engine] = {"sqlite": SqliteEngine(), "postgresql": PostgresqlEngine()}


def engine_of(session: Session) -> Engine:
    """Return the engine of the session's database."""
    return ENGINES[session.get_bind().dialect.name]
