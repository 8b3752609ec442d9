"""Answers that are kept for a day, so that a program that did not hear one may ask again and do nothing twice."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import delete, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from pkgsite.errors import Conflict
from pkgsite.models import KeptAnswer

KEPT = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Place:
    """The place for the answer to a request.

    Attributes:
        status: Of the answer that was given already; None: none was.
        body: As JSON.
    """

    id: int
    status: int | None
    location: str | None
    body: str | None


def reserve(session: Session, *, user_id: int, key: str, fingerprint: str, now: datetime) -> Place:
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
    session.execute(delete(KeptAnswer).where(KeptAnswer.at < now - KEPT))
    insert = postgresql.insert if session.get_bind().dialect.name == "postgresql" else sqlite.insert
    place = insert(KeptAnswer).values(user_id=user_id, key=key, fingerprint=fingerprint, at=now)
    session.execute(place.on_conflict_do_nothing(index_elements=["user_id", "key"]))
    kept = session.execute(
        select(KeptAnswer.id, KeptAnswer.fingerprint, KeptAnswer.status, KeptAnswer.location, KeptAnswer.body).where(
            KeptAnswer.user_id == user_id, KeptAnswer.key == key
        )
    ).one()
    if kept.fingerprint != fingerprint:
        raise Conflict("This Idempotency-Key was already used for a different request. Use a new key.")
    return Place(kept.id, kept.status, kept.location, kept.body)


def keep(session: Session, place: Place, *, status: int, location: str | None, body: str) -> None:
    """Keep an answer in its place."""
    filled = update(KeptAnswer).where(KeptAnswer.id == place.id)
    session.execute(filled.values(status=status, location=location, body=body))
