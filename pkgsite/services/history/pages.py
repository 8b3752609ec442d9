"""The pages on which people read what has changed: of one object, of the whole site, and of one act."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, false, func, or_, select
from sqlalchemy.orm import Session, aliased

from pkgsite.errors import Forbidden, NotFound
from pkgsite.models import (
    Revision,
    User,
)
from pkgsite.services.changeset import KINDS, PACKAGE
from pkgsite.services.history.entries import ACT, MOST_LINES_ALONE, Entry, in_words, load_entries, visible_to
from pkgsite.services.history.names import About
from pkgsite.services.history.revert import Scope, in_scope, last_revision, later_overlaps, later_revisions, whole_act
from pkgsite.services.history.subjects import find_subject, is_there, name_subject
from pkgsite.services.permissions import MODERATORS, Viewer

PAGE_SIZE = 50
MOST_OVERLAPS = 20  # that are shown where an act can't be taken back
AGES = (1, 7, 30, 365)  # days that a filter offers


@dataclass(frozen=True, slots=True)
class HistoryPage:
    """A stretch of an object's history, newest first."""

    scope: Scope
    about: About
    is_there: bool
    entries: list[Entry]
    before: int | None  # the act that this stretch comes before; None: it begins with the newest
    older: int | None  # the act that the next stretch comes before; None: there is none

    @property
    def words(self) -> str:
        return in_words(self.about)


@dataclass(frozen=True, slots=True)
class RecentQuery:
    """What somebody asks of the site's changes, under the names that it has in an address."""

    kind: str = ""
    by: str = ""  # a username
    days: str = ""
    not_moderators: bool = False
    before: str = ""  # an act


@dataclass(frozen=True, slots=True)
class RecentPage:
    query: RecentQuery  # as it was understood
    ignored: dict[str, str]  # what was not, by its name
    entries: list[Entry]
    older: int | None


@dataclass(frozen=True, slots=True)
class ChangePage:
    """One act, whole.

    Attributes:
        overlaps: What has touched the same since, newest first, so that the act can't be taken back.
        overlap_count: Of how many acts these are.
    """

    entry: Entry
    overlaps: list[Entry]
    overlap_count: int


@dataclass(frozen=True, slots=True)
class RestorePage:
    """What restoring an object to an earlier state would take back."""

    scope: Scope
    about: About
    revision_id: int
    at: datetime | None  # of that revision; None: before the first
    later: list[Entry]  # newest first
    seen: int  # the last revision of the history


def object_history(session: Session, scope: Scope, viewer: Viewer, *, before: int | None = None) -> HistoryPage:
    """Return a stretch of an object's history: a grid's with all that it holds, a package's with its cells and sites.

    Raises:
        NotFound: there is and was no such object, or it is not for this viewer.
    """
    subject = find_subject(session, scope, viewer)
    own = in_scope(session, scope)
    told = Revision.package_id == scope.id if scope.kind == PACKAGE.name else own
    acts = select(ACT.label("id")).where(told, visible_to(viewer)).distinct().order_by(ACT.desc())
    if before is not None:
        acts = acts.where(before > ACT)
    ids = list(session.scalars(acts.limit(PAGE_SIZE + 1)))
    shown = ids[:PAGE_SIZE]
    entries = load_entries(session, told & _of_acts(shown), viewer, restorable=own)
    _leave_restorable(session, entries, own, viewer)
    return HistoryPage(
        scope=scope,
        about=name_subject(session, subject, viewer),
        is_there=is_there(session, scope),
        entries=entries,
        before=before,
        older=shown[-1] if len(ids) > PAGE_SIZE else None,
    )


def recent_changes(session: Session, query: RecentQuery, viewer: Viewer, *, now: datetime) -> RecentPage:
    """Return a stretch of all that people have changed, newest first; a filter that says nothing is left out."""
    understood, ignored = _understand(query)
    conditions: list[ColumnElement[bool]] = [Revision.part_of_id.is_(None)]
    if understood.kind or not viewer.is_moderator:
        conditions.append(_tells_of(understood.kind, viewer))
    if understood.by:
        user_id = session.scalar(select(User.id).where(func.lower(User.username) == understood.by.lower()))
        if user_id is None:
            return RecentPage(understood, ignored | {"by": understood.by}, [], None)
        conditions.append(Revision.user_id == user_id)
    if understood.days:
        conditions.append(Revision.at >= now - timedelta(days=int(understood.days)))
    if understood.not_moderators:
        moderators = select(User.id).where(User.role.in_(MODERATORS))
        conditions.append(or_(Revision.user_id.is_(None), Revision.user_id.not_in(moderators)))
    if understood.before:
        conditions.append(Revision.id < int(understood.before))
    ids = list(
        session.scalars(select(Revision.id).where(*conditions).order_by(Revision.id.desc()).limit(PAGE_SIZE + 1))
    )
    shown = ids[:PAGE_SIZE]
    entries = load_entries(session, _of_acts(shown), viewer)
    return RecentPage(understood, ignored, entries, shown[-1] if len(ids) > PAGE_SIZE else None)


def change_page(session: Session, revision_id: int, viewer: Viewer) -> ChangePage:
    """Return the act that a revision belongs to, and what stands in the way of taking it back.

    Raises:
        NotFound: there is no such revision, or the viewer may see nothing of its act.
    """
    head = session.scalar(select(ACT).where(Revision.id == revision_id))
    if head is None:
        raise NotFound("Change")
    found = load_entries(session, _of_acts([head]), viewer, most=MOST_LINES_ALONE, whole=True)
    if not found:
        raise NotFound("Change")
    overlaps, count = _overlaps(session, head, viewer) if found[0].may_undo else ([], 0)
    return ChangePage(found[0], overlaps, count)


def restore_page(session: Session, scope: Scope, revision_id: int, viewer: Viewer) -> RestorePage:
    """Return every later edit that restoring an object to the state after a revision takes back.

    Raises:
        Forbidden: some are others', and this is no moderator.
        NotFound: the history has no such revision, or is not for this viewer.
    """
    subject = find_subject(session, scope, viewer)
    later = later_revisions(session, scope, revision_id)
    if not viewer.is_moderator and any(revision.user_id != viewer.user_id for revision in later):
        raise Forbidden("Only moderators can undo other people's changes.")
    condition = in_scope(session, scope) & (Revision.id > revision_id)
    return RestorePage(
        scope=scope,
        about=name_subject(session, subject, viewer),
        revision_id=revision_id,
        at=session.scalar(select(Revision.at).where(Revision.id == revision_id)),
        later=load_entries(session, condition, viewer, most=MOST_LINES_ALONE),
        seen=last_revision(session, scope),
    )


def _leave_restorable(session: Session, entries: list[Entry], own: ColumnElement[bool], viewer: Viewer) -> None:
    """Leave the way back only where something came later, all of which the viewer may take back."""
    last = session.scalar(select(func.max(Revision.id)).where(own)) or 0
    foreign = 0
    if not viewer.is_moderator:
        others = or_(Revision.user_id.is_(None), Revision.user_id != viewer.user_id)
        foreign = session.scalar(select(func.max(Revision.id)).where(own, others)) or 0
    for entry in entries:
        place = entry.restore_id
        if not viewer.is_known or place is None or place == last or place < foreign:
            entry.restore_id = None


def _overlaps(session: Session, head: int, viewer: Viewer) -> tuple[list[Entry], int]:
    later = later_overlaps(session, whole_act(session, head))
    acts = sorted({revision.part_of_id or revision.id for revision in later}, reverse=True)
    if not acts:
        return [], 0
    return load_entries(session, _of_acts(acts[:MOST_OVERLAPS]), viewer), len(acts)


def _of_acts(ids: Sequence[int]) -> ColumnElement[bool]:
    return or_(Revision.id.in_(ids), Revision.part_of_id.in_(ids)) if ids else false()


def _tells_of(kind: str, viewer: Viewer) -> ColumnElement[bool]:
    """Return the condition that the act of a head has a revision of a kind, if any is named, that may be seen."""
    part = aliased(Revision)
    parts = select(part.id).where(part.part_of_id == Revision.id, visible_to(viewer, part))
    if not kind:
        return or_(visible_to(viewer), parts.exists())
    head = visible_to(viewer) & (Revision.object_type == kind)
    return or_(head, parts.where(part.object_type == kind).exists())


def _understand(query: RecentQuery) -> tuple[RecentQuery, dict[str, str]]:
    """Return what can be made of a query, and what can't."""
    ignored = {}
    if query.kind and query.kind not in KINDS:
        ignored["kind"] = query.kind
    for name, most in (("days", 4), ("before", 18)):
        value = getattr(query, name)
        if value and not (value.isascii() and value.isdigit() and len(value) <= most):
            ignored[name] = value
    query = replace(query, **dict.fromkeys(ignored, ""))  # type: ignore[arg-type]  # all of these are texts
    return query, ignored
