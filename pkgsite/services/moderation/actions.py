"""Applies edits, or queues them for review: the edits of new users wait until a moderator has approved them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, TypeVar

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from pkgsite.models import PendingEdit, Revision
from pkgsite.services.changeset import Changeset, Edit
from pkgsite.services.grids import edits as grids
from pkgsite.services.packages import edits as packages
from pkgsite.services.packages import sites

T = TypeVar("T")

# The names under which pending edits are stored; they are data and never change.
EDIT_TYPES: dict[str, Callable[..., Edit[Any]]] = {
    "package.add": packages.AddPackage,
    "package.edit": packages.EditPackage,
    "package.documentation": packages.EditDocumentation,
    "site.add": sites.AddSite,
    "site.edit": sites.EditSite,
    "site.delete": sites.DeleteSite,
    "grid.add": grids.AddGrid,
    "grid.edit": grids.EditGrid,
    "grid.lock": grids.LockGrid,
    "grid.delete": grids.DeleteGrid,
    "feature.add": grids.AddFeature,
    "feature.edit": grids.EditFeature,
    "feature.move": grids.MoveFeature,
    "feature.delete": grids.DeleteFeature,
    "membership.add": grids.AddGridPackage,
    "membership.remove": grids.RemoveGridPackage,
    "cell.edit": grids.EditCell,
}
EDIT_NAMES = {edit_type: name for name, edit_type in EDIT_TYPES.items()}
# Stored under other names than the fields have: pending edits of earlier releases must stay readable.
STORED_NAMES = {"expected_version": "version", "offset": "by"}
FIELD_NAMES = {stored: field for field, stored in STORED_NAMES.items()}


PENDING_MESSAGE = (
    "A moderator reviews the first edits of new users before they are published. To see the status of your edit, "
    "select “Submitted edits” in the account menu."
)


@dataclass(frozen=True, slots=True)
class QueuedEdit:
    """An edit that waits for review."""

    id: int


def encode_edit(edit: Edit[Any]) -> tuple[str, dict[str, Any]]:
    """Return the name and the JSON arguments under which an edit is stored while it waits for review."""
    arguments = asdict(edit)  # type: ignore[call-overload]  # every edit type is a dataclass
    return EDIT_NAMES[type(edit)], {STORED_NAMES.get(name, name): value for name, value in arguments.items()}


def decode_edit(name: str, arguments: Mapping[str, Any]) -> Edit[Any]:
    """Return the edit that was stored."""
    return EDIT_TYPES[name](**{FIELD_NAMES.get(stored, stored): value for stored, value in arguments.items()})


def apply_or_queue(
    changeset: Changeset, edit: Edit[T], *, title: Callable[[], str], review_threshold: int
) -> T | QueuedEdit:
    """Apply an edit, or queue it for review if its author is new.

    An edit that can't be applied fails either way, so that its author learns of errors now and not after the review.

    Args:
        changeset: The changeset to apply it in.
        edit: The edit.
        title: Returns the title that the review queue shows.
        review_threshold: The number of a user's first edits that are reviewed.

    Returns:
        The object that the edit created or changed, or the queued edit.
    """
    if not needs_review(changeset, review_threshold):
        return edit.apply(changeset)
    savepoint = changeset.session.begin_nested()
    edit.apply(changeset)
    savepoint.rollback()
    changeset.reset()
    name, arguments = encode_edit(edit)
    pending_edit = PendingEdit(
        user_id=changeset.user_id, at=changeset.now, action=name, arguments=arguments, title=title()
    )
    changeset.session.add(pending_edit)
    changeset.session.flush()
    return QueuedEdit(pending_edit.id)


def needs_review(changeset: Changeset, review_threshold: int) -> bool:
    """Return whether the user's edits are still reviewed."""
    if changeset.by.is_moderator or not review_threshold:
        return False
    return count_edits(changeset.session, changeset.user_id, limit=review_threshold) < review_threshold


def count_edits(session: Session, user_id: int, *, limit: int) -> int:
    """Return the number of edits that a user has made, counted up to `limit`."""
    head_ids = select(Revision.id).where(Revision.user_id == user_id, Revision.head_id.is_(None)).limit(limit)
    return session.scalar(select(func.count()).select_from(head_ids.subquery())) or 0
