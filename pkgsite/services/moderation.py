"""What waits for moderators: flags, held edits, links to sites; and what becomes of held edits."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session

from pkgsite.errors import Conflict, Forbidden, Invalid, NotFound, SiteError
from pkgsite.models import Flag, HeldEdit, Package, SiteUsing, User, begin_write
from pkgsite.rules.paging import Paging, paging
from pkgsite.rules.texts import Typed
from pkgsite.services.acts import ACTS
from pkgsite.services.changes import Act
from pkgsite.services.flags import FlagLine, flag_lines, select_flags
from pkgsite.services.package_moderation import LONGEST_REASON
from pkgsite.services.permissions import Viewer, require_moderator

LISTS = ("flags", "edits", "sites")
PER_PAGE = 20
# Where arguments are what a person wrote, under the names that the queue shows.
LABELS = {
    "title": "Title", "slug": "Slug", "category": "Category", "repo_url": "Repository URL",
    "pypi_url": "PyPI project name", "documentation_url": "Documentation URL", "is_deprecated": "Deprecated",
    "replaced_by": "Replaced by", "url": "URL", "grid": "Grid", "description": "Description", "text": "Text",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class QueueQuery:
    list: str = "flags"
    page: str = "1"


@dataclass(frozen=True, slots=True)
class HeldLine:
    """An edit that waits."""

    id: int
    act: str
    title: str
    by: str
    at: datetime
    words: list[tuple[str, str]]  # what the person wrote, by the field's name
    decided_at: datetime | None
    is_approved: bool | None
    outcome: str | None


@dataclass(frozen=True, slots=True)
class SiteLine:
    """A link to a site that waits."""

    id: int
    title: str
    url: str
    by: str | None
    at: datetime
    package_title: str
    package_slug: str


@dataclass(frozen=True, slots=True)
class Queue:
    """One of the lists of what waits for moderators, and how much is in each."""

    query: QueueQuery
    counts: dict[str, int]
    paging: Paging
    flags: list[FlagLine]
    edits: list[HeldLine]
    sites: list[SiteLine]


OPEN_EDITS = HeldEdit.decided_at.is_(None)
# What belongs to a hidden package can wait until it is shown again.
OPEN_FLAGS = Flag.closed_at.is_(None) & Flag.package_id.in_(select(Package.id).where(Package.hidden_at.is_(None)))
OPEN_SITES = SiteUsing.is_approved.is_(None) & SiteUsing.package_id.in_(
    select(Package.id).where(Package.hidden_at.is_(None))
)


def moderation_queue(session: Session, query: QueueQuery) -> Queue:
    """Return one of the lists, oldest first, in a fixed number of queries."""
    if query.list not in LISTS:
        query = QueueQuery(page=query.page)
    counts = dict(zip(LISTS, _counts(session), strict=True))
    page = paging(query.page, size=PER_PAGE, count=counts[query.list])
    part = {"limit": page.size, "offset": page.offset}
    return Queue(
        query=query,
        counts=counts,
        paging=page,
        flags=_flags(session, **part) if query.list == "flags" else [],
        edits=held_edits(session, OPEN_EDITS, **part) if query.list == "edits" else [],
        sites=_sites(session, **part) if query.list == "sites" else [],
    )


def held_edits(session: Session, condition: ColumnElement[bool], *, limit: int, offset: int = 0) -> list[HeldLine]:
    rows = session.execute(
        select(HeldEdit, User.username)
        .join(User, User.id == HeldEdit.user_id)
        .where(condition)
        .order_by(HeldEdit.decided_at.is_not(None), HeldEdit.id)
        .limit(limit)
        .offset(offset)
    )
    return [
        HeldLine(
            held.id, held.act, held.title, username, held.at,
            words_of(held.arguments, is_new=held.act.endswith(".add")),
            held.decided_at, held.is_approved, held.outcome,
        )
        for held, username in rows
    ]  # fmt: skip


def own_held_edits(session: Session, viewer: Viewer) -> list[HeldLine]:
    """Return a person's own edits that wait or were decided on, at most fifty."""
    return held_edits(session, HeldEdit.user_id == viewer.user_id, limit=50)


def words_of(arguments: dict[str, Any], *, is_new: bool) -> list[tuple[str, str]]:
    """Return what a person wrote as words, by the names of its fields; numbers that only we understand are left out.

    Args:
        arguments: Of a held act.
        is_new: Whether it adds something: then what was left empty is not worth telling.
    """
    found = []
    for name, value in arguments.items():
        if isinstance(value, dict):
            found += words_of(value, is_new=is_new)
        elif not name.endswith("_id") and name not in {"version", "id"} and not (value is None and is_new):
            shown = "(cleared)" if value is None else ("yes" if value else "no") if isinstance(value, bool) else value
            found.append((LABELS.get(name, name.replace("_", " ").capitalize()), str(shown)))
    return found


def author_of_held(session: Session, held_id: int) -> Viewer:
    """Return in whose name a held edit is to be done.

    Raises:
        Forbidden: their account is closed.
        NotFound: there is none that waits.
    """
    held = _open(session.get(HeldEdit, held_id))
    user = session.get_one(User, held.user_id)
    if not user.is_active:
        raise Forbidden("the author's account is disabled")
    return Viewer(user.id, user.username, user.role)


def approve_held(act: Act, held_id: int, *, moderator: Viewer) -> Any:
    """Do what a newcomer asked for, in their name, and return the object.

    Args:
        act: The newcomer's.
        held_id: Which.
        moderator: Who agrees.

    Raises:
        NotFound: there is none that waits, or what it changes is gone.
        Conflict, Forbidden, Invalid: it can't be done any more.
    """
    require_moderator(moderator)
    held = _open(act.session.get(HeldEdit, held_id, with_for_update=True))
    if held.user_id != act.user_id:
        raise Forbidden("it belongs to another user")
    act.reason = f"Approved by {moderator.username}."
    done = ACTS[held.act](act, **held.arguments)
    held.decided_at, held.decided_by_id, held.is_approved = act.now, moderator.user_id, True
    return done


def why_not(failure: SiteError) -> str:
    """Say in words why a held edit can't be done any more."""
    if isinstance(failure, Conflict):
        return "The edit could not be applied: the content has changed since."
    if isinstance(failure, Invalid):
        return "The edit could not be applied: " + " ".join(" ".join(words) for words in failure.problems.values())
    return f"The edit could not be applied: {failure}."


def reject_held(session: Session, held_id: int, *, by: Viewer, outcome: str, now: datetime) -> HeldEdit:
    """Decide that a held edit is not done, with words that its author can read.

    Raises:
        Forbidden: this is no moderator.
        Invalid: there are no words.
        NotFound: there is none that waits.
    """
    require_moderator(by)
    begin_write(session)
    held = _open(session.get(HeldEdit, held_id, with_for_update=True))
    typed = Typed()
    words = typed.text("reason", outcome, LONGEST_REASON, is_needed=True)
    typed.check()
    held.decided_at, held.decided_by_id, held.is_approved, held.outcome = now, by.user_id, False, words
    return held


def _open(held: HeldEdit | None) -> HeldEdit:
    if held is None or held.decided_at is not None:
        raise NotFound("Pending edit")
    return held


def _counts(session: Session) -> tuple[int, ...]:
    conditions = ((Flag, OPEN_FLAGS), (HeldEdit, OPEN_EDITS), (SiteUsing, OPEN_SITES))
    counts = [
        select(func.count()).select_from(model).where(condition).scalar_subquery() for model, condition in conditions
    ]
    return tuple(session.execute(select(*counts)).one())


def _flags(session: Session, *, limit: int, offset: int) -> list[FlagLine]:
    return flag_lines(session, select_flags().where(OPEN_FLAGS).limit(limit).offset(offset))


def _sites(session: Session, *, limit: int, offset: int) -> list[SiteLine]:
    rows = session.execute(
        select(
            SiteUsing.id, SiteUsing.title, SiteUsing.url, User.username, SiteUsing.created_at,
            Package.title, Package.slug,
        )
        .join(Package, Package.id == SiteUsing.package_id)
        .outerjoin(User, User.id == SiteUsing.created_by_id)
        .where(OPEN_SITES)
        .order_by(SiteUsing.id)
        .limit(limit)
        .offset(offset)
    )  # fmt: skip
    return [SiteLine(*row) for row in rows]
