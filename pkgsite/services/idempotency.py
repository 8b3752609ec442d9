"""Responses to requests with an Idempotency-Key, stored for a day so that clients can retry safely."""

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
    """The stored response to a request, or the reservation for it.

    Attributes:
        status: The status code; None if there is no response yet.
        body: The body as JSON.
    """

    id: int
    status: int | None
    location: str | None
    body: str | None


def reserve_response(session: Session, *, user_id: int, key: str, fingerprint: str, now: datetime) -> StoredResponse:
    """Return the stored response to a request, or reserve a row for it.

    If the same request is being processed, wait until its transaction ends. The caller stores the response before it
    commits.

    Args:
        session: A session in a write transaction.
        user_id: The id of the user whose client sends the request.
        key: The value of the Idempotency-Key header.
        fingerprint: A digest of the request.
        now: The current time.

    Raises:
        Conflict: The key was already used for a different request.
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
    """Store the response to a request in its reserved row."""
    statement = update(IdempotentResponse).where(IdempotentResponse.id == stored.id)
    session.execute(statement.values(status=status, location=location, body=body))
