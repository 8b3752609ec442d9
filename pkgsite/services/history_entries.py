"""Acts as people read them: who did what, when and why, with a diff of each field."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, case, func, or_, select, true
from sqlalchemy.orm import Session

from pkgsite.models import Package, Revision, SiteUsing
from pkgsite.rules.diffs import Piece, shortened, word_diff
from pkgsite.services.changes import KINDS, SITE, from_json
from pkgsite.services.history_names import PACKAGE_FIELDS, About, Names, Person, References, load_names
from pkgsite.services.permissions import Viewer

MOST_LINES = 20  # of one act, in a list of acts
MOST_LINES_ALONE = 1000  # on an act's own page

LABELS = {
    "title": "title",
    "slug": "slug",
    "category_id": "category",
    "repo_url": "repository",
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
SAID_BY_THE_NAME = {"grid_id", "package_id", "feature_id", "grid_package_id"}
SAID_WHEN_CHANGED = {"position", "is_locked", "header"}  # says little of what is new or gone
DONE = {"add": "added", "edit": "changed", "delete": "removed"}

Value = str | datetime | None  # None: nothing is there


@dataclass(frozen=True, slots=True)
class FieldChange:
    """What became of one field.

    Attributes:
        pieces: Its text, word by word; empty where it holds days.
    """

    label: str
    before: Value
    after: Value
    pieces: Sequence[Piece]


@dataclass(frozen=True, slots=True)
class ObjectChange:
    """What an act did to one object."""

    kind: str
    object_id: int
    action: str  # "add", "edit" or "delete"
    about: About
    fields: list[FieldChange]

    @property
    def done(self) -> str:
        return DONE.get(self.action, self.action)


@dataclass
class Entry:
    """One act.

    Attributes:
        id: Of its head.
        more: How many further objects it changed, which are not told here.
        may_undo: Whether who looks may try to take it back.
        restore_id: The revision after which the object whose history this is may be restored; None where it may not.
    """

    id: int
    at: datetime
    person: Person | None
    via: str
    reason: str
    user_id: int | None
    may_undo: bool
    last_id: int
    restore_id: int | None
    lines: list[ObjectChange] = field(default_factory=list)
    more: int = 0


ACT = func.coalesce(Revision.part_of_id, Revision.id)


def visible_to(viewer: Viewer, told: type[Revision] = Revision) -> ColumnElement[bool]:
    """Return the condition that somebody may see a revision.

    What is hidden is for moderators, and so are links to sites that nobody has approved yet, but for one's own.
    """
    if viewer.is_moderator:
        return true()
    hidden = select(Package.id).where(Package.hidden_at.is_not(None))
    approved = select(SiteUsing.id).where(SiteUsing.is_approved.is_(True))
    sites = or_(told.object_type != SITE.name, told.object_id.in_(approved))
    if viewer.is_known:
        sites |= told.user_id == viewer.user_id
    return or_(told.package_id.is_(None), told.package_id.not_in(hidden)) & sites


def load_entries(
    session: Session,
    condition: ColumnElement[bool],
    viewer: Viewer,
    *,
    most: int = MOST_LINES,
    whole: bool = False,
    restorable: ColumnElement[bool] | None = None,
) -> list[Entry]:
    """Return the acts of the revisions that meet a condition, newest first, in at most eight queries.

    Args:
        session: The database's.
        condition: On revisions; an act tells only of those that meet it and that the viewer may see.
        viewer: Who looks.
        most: How many revisions of an act are told.
        whole: Texts are told from beginning to end; otherwise what stayed is cut.
        restorable: On revisions: an object may be restored to the state after them.
    """
    chosen = case((restorable, Revision.id)) if restorable is not None else case((Revision.id < 0, Revision.id))
    ranked = (
        select(
            Revision.id,
            ACT.label("act_id"),
            func.row_number().over(partition_by=ACT, order_by=Revision.id).label("place"),
            func.count().over(partition_by=ACT).label("of_all"),
            func.max(Revision.id).over(partition_by=ACT).label("last_id"),
            func.max(chosen).over(partition_by=ACT).label("restore_id"),
        )
        .where(condition, visible_to(viewer))
        .subquery()
    )
    rows = session.execute(
        select(Revision, ranked.c.act_id, ranked.c.of_all, ranked.c.last_id, ranked.c.restore_id)
        .join(ranked, ranked.c.id == Revision.id)
        .where(ranked.c.place <= most)
        .order_by(Revision.id)
    ).all()
    references = References()
    for row in rows:
        references.add(row.Revision)
    names = load_names(session, references, viewer)
    entries: dict[int, Entry] = {}
    for revision, act_id, of_all, last_id, restore_id in rows:
        if act_id not in entries:
            entries[act_id] = Entry(
                id=act_id,
                at=revision.at,
                person=names.people.get(revision.user_id or 0),
                via=revision.via,
                reason=revision.reason,
                user_id=revision.user_id,
                may_undo=viewer.is_moderator or (viewer.is_known and revision.user_id == viewer.user_id),
                last_id=last_id,
                restore_id=restore_id,
                more=of_all,
            )
        entries[act_id].lines.append(tell(revision, names, whole=whole))
        entries[act_id].more -= 1
    return sorted(entries.values(), key=lambda entry: entry.id, reverse=True)


def tell(revision: Revision, names: Names, *, whole: bool = True) -> ObjectChange:
    """Return what a revision says, in words."""
    about = names.about(
        revision.object_type, revision.object_id, revision.grid_id, revision.package_id, revision.feature_id
    )
    before, after = revision.before or {}, revision.after or {}
    told = [
        _field(name, before, after, names, whole=whole)
        for name in _field_names(revision)
        if revision.action == "edit" or _says_something(name, before | after)
    ]
    return ObjectChange(revision.object_type, revision.object_id, revision.action, about, told)


def in_words(about: About) -> str:
    """Return what is meant, as plain text."""
    return "".join(
        part if isinstance(part, str) else f"“{part.title}”" if part.is_quoted else part.title for part in about
    )


def _field_names(revision: Revision) -> list[str]:
    """Return the fields that a revision tells of, in the order of its kind."""
    held = (revision.before or {}).keys() | (revision.after or {}).keys()
    kind = KINDS.get(revision.object_type)
    known = [name for name in (kind.fields if kind else ()) if name in held]
    others = sorted(held - set(known)) if revision.action == "edit" else []
    return [name for name in [*known, *others] if name not in SAID_BY_THE_NAME]


def _says_something(name: str, state: Mapping[str, Any]) -> bool:
    """Tell whether a field of an object that was added or removed is worth a line."""
    return state.get(name) not in (None, "") and name not in SAID_WHEN_CHANGED


def _field(name: str, before: Mapping[str, Any], after: Mapping[str, Any], names: Names, *, whole: bool) -> FieldChange:
    old, new = _value(name, before, names), _value(name, after, names)
    pieces: list[Piece] = []
    if not isinstance(old, datetime) and not isinstance(new, datetime):
        pieces = word_diff(old or "", new or "")
    return FieldChange(LABELS.get(name, name.replace("_", " ")), old, new, pieces if whole else shortened(pieces))


def _value(name: str, state: Mapping[str, Any], names: Names) -> Value:
    """Return a field's value for people: ids by name, yes and no, instants as such."""
    value = state.get(name)
    if name == "is_approved" and name in state and value is None:
        return "pending review"
    if value is None or value == "":
        return None
    if isinstance(value, bool):
        return "yes" if value else "no"
    if name.endswith("_at"):
        return _instant(name, value)
    if name == "category_id":
        return names.categories.get(value, "a deleted category")
    if name in PACKAGE_FIELDS:
        return names.of("package", value).title
    if name == "position" and isinstance(value, int):
        return str(value + 1)
    return str(value)


def _instant(name: str, value: Any) -> Value:
    try:
        instant = from_json(name, value)
    except ValueError:
        return str(value)
    return instant if isinstance(instant, datetime) else str(instant)
