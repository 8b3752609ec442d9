"""What people can do, by name: done at once, or held until a moderator has looked, and done then in their name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from pkgsite.models import PendingEdit, Revision
from pkgsite.services.changeset import Changeset
from pkgsite.services.grids import edits as grid_edits
from pkgsite.services.packages import edits as package_edits

# Each takes the act and what JSON can carry, and returns the object that it made or changed.
ACTIONS: dict[str, Callable[..., Any]] = {**package_edits.PACKAGE_ACTIONS, **grid_edits.GRID_ACTIONS}


@dataclass(frozen=True, slots=True)
class QueuedEdit:
    """An edit that waits for a moderator."""

    id: int


def apply_or_queue(
    changeset: Changeset, action: str, arguments: Mapping[str, Any], *, title: str, review_threshold: int
) -> Any:
    """Do something, or hold it for review where its doer is new; return the object, or `QueuedEdit`.

    What can't be done is refused either way, so that nobody learns of a slip only days later.

    Args:
        changeset: Whose.
        action: One of `ACTS`.
        arguments: What the act takes.
        title: What it is about, for the queue.
        review_threshold: How many of a person's first edits are held.
    """
    if not needs_review(changeset, review_threshold):
        return ACTIONS[action](changeset, **arguments)
    savepoint = changeset.session.begin_nested()
    ACTIONS[action](changeset, **arguments)
    savepoint.rollback()
    changeset.reset()
    pending_edit = PendingEdit(
        user_id=changeset.user_id, at=changeset.now, action=action, arguments=dict(arguments), title=title
    )
    changeset.session.add(pending_edit)
    changeset.session.flush()
    return QueuedEdit(pending_edit.id)


def needs_review(changeset: Changeset, review_threshold: int) -> bool:
    """Tell whether a person's edits are still looked at first."""
    if changeset.by.is_moderator or not review_threshold:
        return False
    return count_edits(changeset.session, changeset.user_id, limit=review_threshold) < review_threshold


def count_edits(session: Session, user_id: int, *, limit: int) -> int:
    """Return how many edits of a person have been made, counted no further than `limit`."""
    head_ids = select(Revision.id).where(Revision.user_id == user_id, Revision.head_id.is_(None)).limit(limit)
    return session.scalar(select(func.count()).select_from(head_ids.subquery())) or 0
