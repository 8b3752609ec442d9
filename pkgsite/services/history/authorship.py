"""What people have changed here, as the revisions tell: whatever comes from elsewhere leaves it alone.

A revision names the changed fields by their columns. One of a membership (`object_type` "membership") names its
`grid_id` and `package_id`, before or after.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from typing import Any

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from pkgsite.models import Revision


def user_edited_fields(session: Session, object_type: str, ids: Collection[int]) -> dict[int, set[str]]:
    """Return, for each of these objects that people ever changed, which fields; a deletion alone names none."""
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
    """Return the pairs of grid and package that people have put together or taken apart.

    `id_field` says of what the ids are: "grid_id" or "package_id".
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
    """Return the titles that people have taken from these objects, each with the object's id, oldest first."""
    revisions = session.execute(
        select(Revision.object_id, Revision.before)
        .where(Revision.object_type == object_type, Revision.object_id.in_(ids))
        .order_by(Revision.id)
    )
    return [(object_id, before["title"]) for object_id, before in revisions if before and "title" in before]


def deleted_by_users(session: Session, object_type: str) -> list[dict[str, Any]]:
    """Return what people have deleted, as it was before."""
    return [
        before
        for before in session.scalars(
            select(Revision.before).where(Revision.object_type == object_type, Revision.after.is_(None))
        )
        if before
    ]
