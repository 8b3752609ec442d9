"""User edits according to the revisions; imports leave them alone.

A revision names the changed fields by their columns. The revision of a membership (`object_type` "membership") has its
`grid_id` and `package_id` in `before` or `after`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from typing import Any

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from pkgsite.models import Revision


def user_edited_fields(session: Session, object_type: str, ids: Collection[int]) -> dict[int, set[str]]:
    """Return the fields that users have ever changed, by object id; a deletion changes no field."""
    fields: defaultdict[int, set[str]] = defaultdict(set)
    revisions = session.execute(
        select(Revision.object_id, Revision.after).where(
            Revision.object_type == object_type, Revision.object_id.in_(ids)
        )
    )
    for object_id, after in revisions:
        fields[object_id].update(after or ())
    return dict(fields)


def user_edited_memberships(session: Session, id_field: str, ids: Collection[int]) -> set[tuple[int, int]]:
    """Return the (grid id, package id) pairs that users have added or removed.

    Args:
        id_field: "grid_id" or "package_id", whichever `ids` are.
    """
    revisions = session.execute(
        select(Revision.before, Revision.after).where(
            Revision.object_type == "membership",
            or_(*(state[id_field].as_integer().in_(ids) for state in (Revision.before, Revision.after))),
        )
    )
    states = [state for revision in revisions for state in revision if state]
    return {(state["grid_id"], state["package_id"]) for state in states if {"grid_id", "package_id"} <= state.keys()}


def former_titles(session: Session, object_type: str, ids: Collection[int]) -> list[tuple[int, str]]:
    """Return the titles that users have replaced, with the objects' ids, oldest first."""
    revisions = session.execute(
        select(Revision.object_id, Revision.before)
        .where(Revision.object_type == object_type, Revision.object_id.in_(ids))
        .order_by(Revision.id)
    )
    return [(object_id, before["title"]) for object_id, before in revisions if before and "title" in before]


def deleted_by_users(session: Session, object_type: str) -> list[dict[str, Any]]:
    """Return the last states of the objects that users have deleted."""
    return [
        before
        for before in session.scalars(
            select(Revision.before).where(Revision.object_type == object_type, Revision.after.is_(None))
        )
        if before
    ]
