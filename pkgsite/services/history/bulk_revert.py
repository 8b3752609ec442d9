"""What taking back everything that a person did would come to, before anybody does it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from pkgsite.errors import NotFound
from pkgsite.models import Revision, User
from pkgsite.services.history.entries import HistoryEntry, load_entries
from pkgsite.services.history.revert import conflicts_with, possible_conflicts
from pkgsite.services.permissions import Viewer, require_moderator

MAX_SKIPPED_SHOWN = 50  # of the acts that are kept

ConflictKey = tuple[str, int]  # where revisions can be in each other's way: a grid, or an object outside of grids


@dataclass(frozen=True, slots=True)
class BulkRevertPage:
    """What taking back a person's edits would come to.

    Attributes:
        days: How far back; None: all.
        undone: How many acts would be taken back.
        kept: How many would not, as others have touched the same since.
        skipped: The newest of these.
    """

    user_id: int
    username: str
    days: int | None
    revertible_count: int
    skipped_count: int
    skipped: list[HistoryEntry]


def bulk_revert_page(
    session: Session, username: str, viewer: Viewer, *, days: int | None, now: datetime
) -> BulkRevertPage:
    """Return what would come of taking back all that a person did, in a fixed number of queries.

    Raises:
        Forbidden: this is no moderator.
        NotFound: there is nobody of this name.
    """
    require_moderator(viewer)
    user_id, name = find_user(session, username)
    query = select(Revision).where(Revision.user_id == user_id)
    if days is not None:
        query = query.where(Revision.at >= now - timedelta(days=days))
    revertible, skipped = _plan(session, list(session.scalars(query.order_by(Revision.id))))
    shown = skipped[:MAX_SKIPPED_SHOWN]
    entries = load_entries(session, or_(Revision.id.in_(shown), Revision.head_id.in_(shown)), viewer)
    return BulkRevertPage(user_id, name, days, len(revertible), len(skipped), entries)


def find_user(session: Session, username: str) -> tuple[int, str]:
    """Return the id and the name of the person with this name, however it is written.

    Raises:
        NotFound: there is nobody of this name.
    """
    row = session.execute(
        select(User.id, User.username).where(func.lower(User.username) == username.lower())
    ).one_or_none()
    if row is None:
        raise NotFound("User")
    return row.id, row.username


def _plan(session: Session, revisions: list[Revision]) -> tuple[list[int], list[int]]:
    """Return the heads of the acts that would be taken back, and of those that would not, newest first."""
    if not revisions:
        return [], []
    changesets: defaultdict[int, list[Revision]] = defaultdict(list)
    for revision in revisions:
        changesets[revision.head_id or revision.id].append(revision)
    candidates = (
        select(Revision).where(Revision.id > revisions[0].id, or_(*possible_conflicts(revisions))).order_by(Revision.id)
    )
    later_by_key: defaultdict[ConflictKey, list[Revision]] = defaultdict(list)
    for revision in session.scalars(candidates):
        later_by_key[_conflict_key(revision)].append(revision)
    passed: set[int] = set()
    revertible, skipped = [], []
    for head_id in sorted(changesets, reverse=True):
        if _has_conflict(changesets[head_id], later_by_key, passed):
            skipped.append(head_id)
        else:
            revertible.append(head_id)
            passed |= {revision.id for revision in changesets[head_id]}
    return revertible, skipped


def _has_conflict(
    revisions: list[Revision], later_by_key: dict[ConflictKey, list[Revision]], ignored_ids: set[int]
) -> bool:
    last = revisions[-1].id
    return any(
        other.id > last and other.id not in ignored_ids and conflicts_with(revision, other)
        for revision in revisions
        for other in _revisions_at(later_by_key, revision)
    )


def _revisions_at(later_by_key: dict[ConflictKey, list[Revision]], revision: Revision) -> Iterable[Revision]:
    return later_by_key.get(_conflict_key(revision), ())


def _conflict_key(revision: Revision) -> ConflictKey:
    return ("grid", revision.grid_id) if revision.grid_id else (revision.object_type, revision.object_id)
