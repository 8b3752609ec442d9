"""History entries: changesets for display, with the author, the reason and a diff of each field."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, case, func, or_, select, true
from sqlalchemy.orm import Session

from pkgsite.models import Package, Revision, UsingSite
from pkgsite.rules.diffs import DiffSegment, collapse_unchanged, word_diff
from pkgsite.services.changeset import SITE, TRACKED_MODELS, from_json_value
from pkgsite.services.history.names import PACKAGE_FIELDS, Author, NameLookup, ObjectLabel, ObjectReferences, load_names
from pkgsite.services.permissions import Viewer

MAX_CHANGES = 20  # per changeset, in a list
MAX_CHANGES_ON_OWN_PAGE = 1000  # on a changeset's own page

FIELD_LABELS = {
    "title": "title",
    "slug": "slug",
    "category_id": "category",
    "repo_url": "repository",
    "repo_directory": "directory",
    "pypi_url": "PyPI project",
    "documentation_url": "documentation",
    "deprecated_at": "deprecated since",
    "replaced_by_id": "replaced by",
    "hidden_at": "hidden since",
    "merged_into_id": "merged into",
    "description": "description",
    "is_locked": "locked",
    "header": "shown on home page",
    "position": "position",
    "text": "text",
    "url": "URL",
    "is_approved": "approved",
}
FIELDS_IN_LABEL = {"grid_id", "package_id", "feature_id", "grid_package_id"}
FIELDS_SHOWN_ONLY_ON_EDIT = {"position", "is_locked", "header"}  # uninteresting in added and removed objects
ACTION_VERBS = {"add": "added", "edit": "changed", "delete": "removed"}

Value = str | datetime | None  # None if empty


@dataclass(frozen=True, slots=True)
class FieldChange:
    """The change of one field.

    Attributes:
        segments: The word diff; empty for dates.
    """

    label: str
    before: Value
    after: Value
    segments: Sequence[DiffSegment]


@dataclass(frozen=True, slots=True)
class ObjectChange:
    """The change of one object."""

    kind: str
    object_id: int
    action: str  # "add", "edit" or "delete"
    label: ObjectLabel
    fields: list[FieldChange]

    @property
    def verb(self) -> str:
        return ACTION_VERBS.get(self.action, self.action)


@dataclass
class HistoryEntry:
    """A changeset for display.

    Attributes:
        id: The id of its head revision.
        last_id: The id of its last visible revision.
        hidden_change_count: Number of further changed objects, which are not in `changes`.
        can_revert: Whether the viewer may try to undo it.
        restore_id: The revision to which the history's object can be restored; None if the viewer can't.
    """

    id: int
    at: datetime
    author: Author | None
    via: str
    reason: str
    user_id: int | None
    can_revert: bool
    last_id: int
    restore_id: int | None
    changes: list[ObjectChange] = field(default_factory=list)
    hidden_change_count: int = 0


HEAD_ID = func.coalesce(Revision.head_id, Revision.id)


def is_visible_to(viewer: Viewer, model: type[Revision] = Revision) -> ColumnElement[bool]:
    """Return the condition that the viewer may see a revision.

    Only moderators see hidden packages, and sites that await approval, except the viewer's own.
    """
    if viewer.is_moderator:
        return true()
    hidden = select(Package.id).where(Package.hidden_at.is_not(None))
    approved = select(UsingSite.id).where(UsingSite.is_approved.is_(True))
    sites = or_(model.object_type != SITE.name, model.object_id.in_(approved))
    if viewer.is_authenticated:
        sites |= model.user_id == viewer.user_id
    return or_(model.package_id.is_(None), model.package_id.not_in(hidden)) & sites


def load_entries(
    session: Session,
    condition: ColumnElement[bool],
    viewer: Viewer,
    *,
    max_changes: int = MAX_CHANGES,
    full_text: bool = False,
    restorable: ColumnElement[bool] | None = None,
) -> list[HistoryEntry]:
    """Return the changesets of the revisions that meet a condition, newest first, in at most eight queries.

    Args:
        session: The database session.
        condition: A condition on revisions; an entry lists only those that meet it and that the viewer may see.
        viewer: The current user.
        max_changes: Maximum number of changes per entry.
        full_text: Whether to include unchanged text in full.
        restorable: A condition on revisions: those that the object can be restored to.
    """
    restorable_id = case((restorable, Revision.id)) if restorable is not None else case((Revision.id < 0, Revision.id))
    ranked = (
        select(
            Revision.id,
            HEAD_ID.label("head_id"),
            func.row_number().over(partition_by=HEAD_ID, order_by=Revision.id).label("position"),
            func.count().over(partition_by=HEAD_ID).label("total"),
            func.max(Revision.id).over(partition_by=HEAD_ID).label("last_id"),
            func.max(restorable_id).over(partition_by=HEAD_ID).label("restore_id"),
        )
        .where(condition, is_visible_to(viewer))
        .subquery()
    )
    rows = session.execute(
        select(Revision, ranked.c.head_id, ranked.c.total, ranked.c.last_id, ranked.c.restore_id)
        .join(ranked, ranked.c.id == Revision.id)
        .where(ranked.c.position <= max_changes)
        .order_by(Revision.id)
    ).all()
    references = ObjectReferences()
    for row in rows:
        references.add(row.Revision)
    names = load_names(session, references, viewer)
    entries: dict[int, HistoryEntry] = {}
    for revision, head_id, total, last_id, restore_id in rows:
        if head_id not in entries:
            entries[head_id] = HistoryEntry(
                id=head_id,
                at=revision.at,
                author=names.authors.get(revision.user_id or 0),
                via=revision.via,
                reason=revision.reason,
                user_id=revision.user_id,
                can_revert=viewer.is_moderator or (viewer.is_authenticated and revision.user_id == viewer.user_id),
                last_id=last_id,
                restore_id=restore_id,
                hidden_change_count=total,
            )
        entries[head_id].changes.append(describe_change(revision, names, full_text=full_text))
        entries[head_id].hidden_change_count -= 1
    return sorted(entries.values(), key=lambda entry: entry.id, reverse=True)


def describe_change(revision: Revision, names: NameLookup, *, full_text: bool = True) -> ObjectChange:
    """Return a revision for display."""
    label = names.label_for(
        revision.object_type, revision.object_id, revision.grid_id, revision.package_id, revision.feature_id
    )
    before, after = revision.before or {}, revision.after or {}
    field_changes = [
        _field_change(name, before, after, names, full_text=full_text)
        for name in _field_names(revision)
        if revision.action == "edit" or _is_worth_showing(name, before | after)
    ]
    return ObjectChange(revision.object_type, revision.object_id, revision.action, label, field_changes)


def label_text(label: ObjectLabel) -> str:
    """Return a label as plain text."""
    return "".join(
        part if isinstance(part, str) else f"“{part.title}”" if part.is_quoted else part.title for part in label
    )


def _field_names(revision: Revision) -> list[str]:
    """Return the fields that a revision changed, in the order of its kind."""
    present_fields = (revision.before or {}).keys() | (revision.after or {}).keys()
    kind = TRACKED_MODELS.get(revision.object_type)
    known = [name for name in (kind.fields if kind else ()) if name in present_fields]
    others = sorted(present_fields - set(known)) if revision.action == "edit" else []
    return [name for name in [*known, *others] if name not in FIELDS_IN_LABEL]


def _is_worth_showing(name: str, state: Mapping[str, Any]) -> bool:
    """Return whether to show a field of an object that was added or removed."""
    return state.get(name) not in (None, "") and name not in FIELDS_SHOWN_ONLY_ON_EDIT


def _field_change(
    name: str, before: Mapping[str, Any], after: Mapping[str, Any], names: NameLookup, *, full_text: bool
) -> FieldChange:
    old, new = _display_value(name, before, names), _display_value(name, after, names)
    segments: list[DiffSegment] = []
    if not isinstance(old, datetime) and not isinstance(new, datetime):
        segments = word_diff(old or "", new or "")
    label = FIELD_LABELS.get(name, name.replace("_", " "))
    return FieldChange(label, old, new, segments if full_text else collapse_unchanged(segments))


def _display_value(name: str, state: Mapping[str, Any], names: NameLookup) -> Value:
    """Return a field's value for display: names for ids, "yes" or "no" for booleans, and datetimes as they are."""
    value = state.get(name)
    if name == "is_approved" and name in state and value is None:
        return "pending review"
    if value is None or value == "":
        return None
    if isinstance(value, bool):
        return "yes" if value else "no"
    if name.endswith("_at"):
        return _parse_timestamp(name, value)
    if name == "category_id":
        return names.categories.get(value, "a deleted category")
    if name in PACKAGE_FIELDS:
        return names.name_of("package", value).title
    if name == "position" and isinstance(value, int):
        return str(value + 1)
    return str(value)


def _parse_timestamp(name: str, value: Any) -> Value:
    try:
        timestamp = from_json_value(name, value)
    except ValueError:
        return str(value)
    return timestamp if isinstance(timestamp, datetime) else str(timestamp)
