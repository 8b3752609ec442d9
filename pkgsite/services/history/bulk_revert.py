"""Preview of a bulk revert: which of a user's changes can be undone, and which can't."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from pkgsite.errors import NotFound
from pkgsite.models import Revision, User
from pkgsite.services.history.entries import HistoryEntry, load_entries
from pkgsite.services.history.revert import conflict_conditions, conflicts_with
from pkgsite.services.permissions import Viewer, require_moderator

MAX_SKIPPED_SHOWN = 50

ConflictKey = tuple[str, int]  # only revisions with the same key can conflict: a grid, or an object outside of grids


@dataclass(frozen=True, slots=True)
class BulkRevertPage:
    """A preview of reverting a user's changes.

    Attributes:
        days: The period to revert; None for all time.
        revertible_count: Number of changesets to revert.
        skipped_count: Number of changesets to keep, because others have since edited the same content.
        skipped: The newest of the changesets to keep.
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
    """Return the preview of reverting a user's changes, in a fixed number of queries.

    Raises:
        Forbidden: The viewer is not a moderator.
        NotFound: No user has this name.
    """
    require_moderator(viewer)
    user_id, username = find_user(session, username)
    query = select(Revision).where(Revision.user_id == user_id)
    if days is not None:
        query = query.where(Revision.at >= now - timedelta(days=days))
    revertible, skipped = _plan(session, list(session.scalars(query.order_by(Revision.id))))
    shown = skipped[:MAX_SKIPPED_SHOWN]
    entries = load_entries(session, or_(Revision.id.in_(shown), Revision.head_id.in_(shown)), viewer)
    return BulkRevertPage(user_id, username, days, len(revertible), len(skipped), entries)


def find_user(session: Session, username: str) -> tuple[int, str]:
    """Return the id and the username of a user, ignoring case.

    Raises:
        NotFound: No user has this name.
    """
    row = session.execute(
        select(User.id, User.username).where(func.lower(User.username) == username.lower())
    ).one_or_none()
    if row is None:
        raise NotFound("User")
    return row.id, row.username


def _plan(session: Session, revisions: list[Revision]) -> tuple[list[int], list[int]]:
    """Return the head ids of the changesets to revert, and of those to skip, newest first."""
    if not revisions:
        return [], []
    changesets: defaultdict[int, list[Revision]] = defaultdict(list)
    for revision in revisions:
        changesets[revision.head_id or revision.id].append(revision)
    candidates = (
        select(Revision)
        .where(Revision.id > revisions[0].id, or_(*conflict_conditions(revisions)))
        .order_by(Revision.id)
    )
    later_by_key: defaultdict[ConflictKey, list[Revision]] = defaultdict(list)
    for revision in session.scalars(candidates):
        later_by_key[_conflict_key(revision)].append(revision)
    reverted_ids: set[int] = set()
    revertible, skipped = [], []
    for head_id in sorted(changesets, reverse=True):
        if _has_conflict(changesets[head_id], later_by_key, reverted_ids):
            skipped.append(head_id)
        else:
            revertible.append(head_id)
            reverted_ids |= {revision.id for revision in changesets[head_id]}
    return revertible, skipped


def _has_conflict(
    revisions: list[Revision], later_by_key: dict[ConflictKey, list[Revision]], ignored_ids: set[int]
) -> bool:
    last_id = revisions[-1].id
    return any(
        other.id > last_id and other.id not in ignored_ids and conflicts_with(revision, other)
        for revision in revisions
        for other in later_by_key.get(_conflict_key(revision), ())
    )


def _conflict_key(revision: Revision) -> ConflictKey:
    return ("grid", revision.grid_id) if revision.grid_id else (revision.object_type, revision.object_id)
