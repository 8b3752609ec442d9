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
from pkgsite.services.history.entries import Entry, load_entries
from pkgsite.services.history.revert import neighbourhood, overlaps
from pkgsite.services.permissions import Viewer, require_moderator

MOST_SHOWN = 50  # of the acts that are kept

Place = tuple[str, int]  # where revisions can be in each other's way: a grid, or an object outside of grids


@dataclass(frozen=True, slots=True)
class BulkUndoPage:
    """What taking back a person's edits would come to.

    Attributes:
        days: How far back; None: all.
        undone: How many acts would be taken back.
        kept: How many would not, as others have touched the same since.
        shown: The newest of these.
    """

    user_id: int
    username: str
    days: int | None
    undone: int
    kept: int
    shown: list[Entry]


def bulk_undo_page(session: Session, username: str, viewer: Viewer, *, days: int | None, now: datetime) -> BulkUndoPage:
    """Return what would come of taking back all that a person did, in a fixed number of queries.

    Raises:
        Forbidden: this is no moderator.
        NotFound: there is nobody of this name.
    """
    require_moderator(viewer)
    user_id, name = person_named(session, username)
    done = select(Revision).where(Revision.user_id == user_id)
    if days is not None:
        done = done.where(Revision.at >= now - timedelta(days=days))
    undone, kept = _foresee(session, list(session.scalars(done.order_by(Revision.id))))
    shown = kept[:MOST_SHOWN]
    entries = load_entries(session, or_(Revision.id.in_(shown), Revision.part_of_id.in_(shown)), viewer)
    return BulkUndoPage(user_id, name, days, len(undone), len(kept), entries)


def person_named(session: Session, username: str) -> tuple[int, str]:
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


def _foresee(session: Session, mine: list[Revision]) -> tuple[list[int], list[int]]:
    """Return the heads of the acts that would be taken back, and of those that would not, newest first."""
    if not mine:
        return [], []
    acts: defaultdict[int, list[Revision]] = defaultdict(list)
    for revision in mine:
        acts[revision.part_of_id or revision.id].append(revision)
    near = select(Revision).where(Revision.id > mine[0].id, or_(*neighbourhood(mine))).order_by(Revision.id)
    later: defaultdict[Place, list[Revision]] = defaultdict(list)
    for revision in session.scalars(near):
        later[_place(revision)].append(revision)
    passed: set[int] = set()
    undone, kept = [], []
    for head in sorted(acts, reverse=True):
        if _is_overlapped(acts[head], later, passed):
            kept.append(head)
        else:
            undone.append(head)
            passed |= {revision.id for revision in acts[head]}
    return undone, kept


def _is_overlapped(act: list[Revision], later: dict[Place, list[Revision]], passed: set[int]) -> bool:
    last = act[-1].id
    return any(
        other.id > last and other.id not in passed and overlaps(revision, other)
        for revision in act
        for other in _at(later, revision)
    )


def _at(later: dict[Place, list[Revision]], revision: Revision) -> Iterable[Revision]:
    return later.get(_place(revision), ())


def _place(revision: Revision) -> Place:
    return ("grid", revision.grid_id) if revision.grid_id else (revision.object_type, revision.object_id)
