"""History pages: of one object, of the entire site, of one changeset, and the preview of a restore."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, false, func, or_, select
from sqlalchemy.orm import Session, aliased

from pkgsite.errors import Forbidden, NotFound
from pkgsite.models import Revision, User
from pkgsite.services.changeset import PACKAGE, TRACKED_MODELS
from pkgsite.services.history.entries import (
    HEAD_ID,
    MAX_CHANGES_ON_OWN_PAGE,
    HistoryEntry,
    is_visible_to,
    label_text,
    load_entries,
)
from pkgsite.services.history.names import ObjectLabel
from pkgsite.services.history.revert import (
    HistoryScope,
    changeset_revisions,
    conflicting_revisions,
    in_scope,
    last_revision_id,
    later_revisions,
)
from pkgsite.services.history.subjects import find_subject, label_subject, object_exists
from pkgsite.services.permissions import MODERATOR_ROLES, Viewer

PAGE_SIZE = 50
MAX_CONFLICTS_SHOWN = 20
PERIODS_DAYS = (1, 7, 30, 365)  # options of the filter


@dataclass(frozen=True, slots=True)
class HistoryPage:
    """One page of an object's history, newest first."""

    scope: HistoryScope
    label: ObjectLabel
    exists: bool
    entries: list[HistoryEntry]
    before_id: int | None  # only changesets with smaller ids are listed; None on the first page
    next_before_id: int | None  # `before_id` of the next page; None on the last page

    @property
    def title(self) -> str:
        return label_text(self.label)


@dataclass(frozen=True, slots=True)
class RecentQuery:
    """The filters of the site's recent changes, as in the query string."""

    kind: str = ""
    by: str = ""  # a username
    days: str = ""
    exclude_moderators: bool = False
    before: str = ""  # id of a changeset


@dataclass(frozen=True, slots=True)
class RecentPage:
    query: RecentQuery  # without the ignored filters
    ignored: dict[str, str]  # invalid values, by filter
    entries: list[HistoryEntry]
    next_before_id: int | None  # `before` of the next page; None on the last page


@dataclass(frozen=True, slots=True)
class ChangePage:
    """One changeset with all its changes.

    Attributes:
        conflicts: Later changesets that prevent reverting this one, newest first.
        conflict_count: Total number of these, of which `conflicts` has the newest.
    """

    entry: HistoryEntry
    conflicts: list[HistoryEntry]
    conflict_count: int


@dataclass(frozen=True, slots=True)
class RestorePage:
    """A preview of restoring an object to an earlier state."""

    scope: HistoryScope
    label: ObjectLabel
    revision_id: int
    at: datetime | None  # time of that revision; None for the state before the first
    reverted: list[HistoryEntry]  # the changesets to undo, newest first
    last_revision_id: int  # the last revision of the history


def object_history(session: Session, scope: HistoryScope, viewer: Viewer, *, before: int | None = None) -> HistoryPage:
    """Return a page of an object's history; a grid's includes its content, a package's includes its cells and sites.

    Raises:
        NotFound: The object never existed, or the viewer can't see it.
    """
    subject = find_subject(session, scope, viewer)
    in_scope_condition = in_scope(session, scope)
    in_history = Revision.package_id == scope.id if scope.kind == PACKAGE.name else in_scope_condition
    head_ids = select(HEAD_ID.label("id")).where(in_history, is_visible_to(viewer)).distinct().order_by(HEAD_ID.desc())
    if before is not None:
        head_ids = head_ids.where(before > HEAD_ID)
    ids = list(session.scalars(head_ids.limit(PAGE_SIZE + 1)))
    visible_ids = ids[:PAGE_SIZE]
    entries = load_entries(session, in_history & _in_changesets(visible_ids), viewer, restorable=in_scope_condition)
    _clear_unrestorable(session, entries, in_scope_condition, viewer)
    return HistoryPage(
        scope=scope,
        label=label_subject(session, subject, viewer),
        exists=object_exists(session, scope),
        entries=entries,
        before_id=before,
        next_before_id=visible_ids[-1] if len(ids) > PAGE_SIZE else None,
    )


def recent_changes(session: Session, query: RecentQuery, viewer: Viewer, *, now: datetime) -> RecentPage:
    """Return a page of the site's changes, newest first; invalid filters are ignored."""
    normalised, ignored = _normalise_query(query)
    conditions: list[ColumnElement[bool]] = [Revision.head_id.is_(None)]
    if normalised.kind or not viewer.is_moderator:
        conditions.append(_has_visible_kind(normalised.kind, viewer))
    if normalised.by:
        user_id = session.scalar(select(User.id).where(func.lower(User.username) == normalised.by.lower()))
        if user_id is None:
            return RecentPage(normalised, ignored | {"by": normalised.by}, [], None)
        conditions.append(Revision.user_id == user_id)
    if normalised.days:
        conditions.append(Revision.at >= now - timedelta(days=int(normalised.days)))
    if normalised.exclude_moderators:
        moderators = select(User.id).where(User.role.in_(MODERATOR_ROLES))
        conditions.append(or_(Revision.user_id.is_(None), Revision.user_id.not_in(moderators)))
    if normalised.before:
        conditions.append(Revision.id < int(normalised.before))
    ids = list(
        session.scalars(select(Revision.id).where(*conditions).order_by(Revision.id.desc()).limit(PAGE_SIZE + 1))
    )
    visible_ids = ids[:PAGE_SIZE]
    entries = load_entries(session, _in_changesets(visible_ids), viewer)
    return RecentPage(normalised, ignored, entries, visible_ids[-1] if len(ids) > PAGE_SIZE else None)


def change_page(session: Session, revision_id: int, viewer: Viewer) -> ChangePage:
    """Return the changeset that a revision belongs to, and the conflicts that prevent reverting it.

    Raises:
        NotFound: No such revision exists, or the viewer can't see any of its changeset.
    """
    head_id = session.scalar(select(HEAD_ID).where(Revision.id == revision_id))
    if head_id is None:
        raise NotFound("Change")
    entries = load_entries(
        session, _in_changesets([head_id]), viewer, max_changes=MAX_CHANGES_ON_OWN_PAGE, full_text=True
    )
    if not entries:
        raise NotFound("Change")
    conflicts, count = _conflicts(session, head_id, viewer) if entries[0].can_revert else ([], 0)
    return ChangePage(entries[0], conflicts, count)


def restore_page(session: Session, scope: HistoryScope, revision_id: int, viewer: Viewer) -> RestorePage:
    """Return the later changes that are undone by restoring an object to the state after a revision.

    Raises:
        Forbidden: Some of them are other users', and the viewer is not a moderator.
        NotFound: The history has no such revision, or the viewer can't see it.
    """
    subject = find_subject(session, scope, viewer)
    later = later_revisions(session, scope, revision_id)
    if not viewer.is_moderator and any(revision.user_id != viewer.user_id for revision in later):
        raise Forbidden("Only moderators can undo other people's changes.")
    condition = in_scope(session, scope) & (Revision.id > revision_id)
    return RestorePage(
        scope=scope,
        label=label_subject(session, subject, viewer),
        revision_id=revision_id,
        at=session.scalar(select(Revision.at).where(Revision.id == revision_id)),
        reverted=load_entries(session, condition, viewer, max_changes=MAX_CHANGES_ON_OWN_PAGE),
        last_revision_id=last_revision_id(session, scope),
    )


def _clear_unrestorable(
    session: Session, entries: list[HistoryEntry], in_scope_condition: ColumnElement[bool], viewer: Viewer
) -> None:
    """Clear `restore_id` unless there are later revisions, all of which the viewer may undo."""
    last = session.scalar(select(func.max(Revision.id)).where(in_scope_condition)) or 0
    last_foreign_id = 0
    if not viewer.is_moderator:
        others = or_(Revision.user_id.is_(None), Revision.user_id != viewer.user_id)
        last_foreign_id = session.scalar(select(func.max(Revision.id)).where(in_scope_condition, others)) or 0
    for entry in entries:
        restore_id = entry.restore_id
        if not viewer.is_authenticated or restore_id is None or restore_id == last or restore_id < last_foreign_id:
            entry.restore_id = None


def _conflicts(session: Session, head_id: int, viewer: Viewer) -> tuple[list[HistoryEntry], int]:
    later = conflicting_revisions(session, changeset_revisions(session, head_id))
    head_ids = sorted({revision.head_id or revision.id for revision in later}, reverse=True)
    if not head_ids:
        return [], 0
    return load_entries(session, _in_changesets(head_ids[:MAX_CONFLICTS_SHOWN]), viewer), len(head_ids)


def _in_changesets(ids: Sequence[int]) -> ColumnElement[bool]:
    return or_(Revision.id.in_(ids), Revision.head_id.in_(ids)) if ids else false()


def _has_visible_kind(kind: str, viewer: Viewer) -> ColumnElement[bool]:
    """Return the condition that a head's changeset has a visible revision, of this kind if it is not empty."""
    part = aliased(Revision)
    parts = select(part.id).where(part.head_id == Revision.id, is_visible_to(viewer, part))
    if not kind:
        return or_(is_visible_to(viewer), parts.exists())
    is_visible_head = is_visible_to(viewer) & (Revision.object_type == kind)
    return or_(is_visible_head, parts.where(part.object_type == kind).exists())


def _normalise_query(query: RecentQuery) -> tuple[RecentQuery, dict[str, str]]:
    """Return the query without its invalid filters, and the invalid values by filter."""
    ignored = {}
    if query.kind and query.kind not in TRACKED_MODELS:
        ignored["kind"] = query.kind
    for name, max_digits in (("days", 4), ("before", 18)):
        value = getattr(query, name)
        if value and not (value.isascii() and value.isdigit() and len(value) <= max_digits):
            ignored[name] = value
    return replace(query, **dict.fromkeys(ignored, "")), ignored  # type: ignore[arg-type]  # only strings are ignored
