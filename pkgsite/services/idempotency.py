"""Answers that are kept for a day, so that a program that did not hear one may ask again and do nothing twice."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import delete, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from pkgsite.errors import Conflict
from pkgsite.models import IdempotentResponse

RETENTION = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class StoredResponse:
    """The place for the answer to a request.

    Attributes:
        status: Of the answer that was given already; None: none was.
        body: As JSON.
    """

    id: int
    status: int | None
    location: str | None
    body: str | None


def reserve_response(session: Session, *, user_id: int, key: str, fingerprint: str, now: datetime) -> StoredResponse:
    """Return the place for the answer to a request, with the answer where it was given already.

    Two equal requests at once come one after the other: the second waits here until the first has been committed or
    rolled back. The caller has begun the transaction, and fills in the answer before committing it.

    Args:
        session: In a transaction that writes.
        user_id: Whose program asks.
        key: The program's name for this one request.
        fingerprint: Equal for equal requests, and for no others.
        now: The present instant.

    Raises:
        Conflict: the key was used for another request.
    """
    session.execute(delete(IdempotentResponse).where(IdempotentResponse.at < now - RETENTION))
    insert = postgresql.insert if session.get_bind().dialect.name == "postgresql" else sqlite.insert
    statement = insert(IdempotentResponse).values(user_id=user_id, key=key, fingerprint=fingerprint, at=now)
    session.execute(statement.on_conflict_do_nothing(index_elements=["user_id", "key"]))
    row = session.execute(
        select(
            IdempotentResponse.id,
            IdempotentResponse.fingerprint,
            IdempotentResponse.status,
            IdempotentResponse.location,
            IdempotentResponse.body,
        ).where(IdempotentResponse.user_id == user_id, IdempotentResponse.key == key)
    ).one()
    if row.fingerprint != fingerprint:
        raise Conflict("This Idempotency-Key was already used for a different request. Use a new key.")
    return StoredResponse(row.id, row.status, row.location, row.body)


def store_response(session: Session, stored: StoredResponse, *, status: int, location: str | None, body: str) -> None:
    """Keep an answer in its place."""
    statement = update(IdempotentResponse).where(IdempotentResponse.id == stored.id)
    session.execute(statement.values(status=status, location=location, body=body))
