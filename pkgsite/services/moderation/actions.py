"""What people can do, by name: done at once, or held until a moderator has looked, and done then in their name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from pkgsite.models import HeldEdit, Revision
from pkgsite.services.changeset import Act
from pkgsite.services.grids import edits as grid_edits
from pkgsite.services.packages import edits as package_edits

# Each takes the act and what JSON can carry, and returns the object that it made or changed.
ACTS: dict[str, Callable[..., Any]] = {**package_edits.ACTS, **grid_edits.ACTS}


@dataclass(frozen=True, slots=True)
class Held:
    """An edit that waits for a moderator."""

    id: int


def do_or_hold(act: Act, name: str, arguments: Mapping[str, Any], *, title: str, review_first: int) -> Any:
    """Do something, or hold it for review where its doer is new; return the object, or `Held`.

    What can't be done is refused either way, so that nobody learns of a slip only days later.

    Args:
        act: Whose.
        name: One of `ACTS`.
        arguments: What the act takes.
        title: What it is about, for the queue.
        review_first: How many of a person's first edits are held.
    """
    if not is_held(act, review_first):
        return ACTS[name](act, **arguments)
    savepoint = act.session.begin_nested()
    ACTS[name](act, **arguments)
    savepoint.rollback()
    act.forget()
    held = HeldEdit(user_id=act.user_id, at=act.now, act=name, arguments=dict(arguments), title=title)
    act.session.add(held)
    act.session.flush()
    return Held(held.id)


def is_held(act: Act, review_first: int) -> bool:
    """Tell whether a person's edits are still looked at first."""
    if act.by.is_moderator or not review_first:
        return False
    return edit_count(act.session, act.user_id, most=review_first) < review_first


def edit_count(session: Session, user_id: int, *, most: int) -> int:
    """Return how many edits of a person have been made, counted no further than `most`."""
    heads = select(Revision.id).where(Revision.user_id == user_id, Revision.part_of_id.is_(None)).limit(most)
    return session.scalar(select(func.count()).select_from(heads.subquery())) or 0
