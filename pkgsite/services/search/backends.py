"""Which index of text a session's database has."""

from __future__ import annotations

from sqlalchemy.orm import Session

from pkgsite.services.search.backend import SearchBackend
from pkgsite.services.search.postgresql import PostgresqlBackend
from pkgsite.services.search.sqlite import SqliteBackend

BACKENDS: dict[str, SearchBackend] = {"sqlite": SqliteBackend(), "postgresql": PostgresqlBackend()}


def backend_for(session: Session) -> SearchBackend:
    """Return the engine of the session's database."""
    return BACKENDS[session.get_bind().dialect.name]
