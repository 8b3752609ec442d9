"""What waits for moderators: flags, held edits, links to sites; and what becomes of held edits."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session

from pkgsite.errors import Conflict, Forbidden, Invalid, NotFound, SiteError
from pkgsite.models import Flag, Package, PendingEdit, User, UsingSite, begin_write
from pkgsite.rules.paging import Pagination, paginate
from pkgsite.rules.texts import FieldReader
from pkgsite.services.changeset import Changeset
from pkgsite.services.moderation.actions import ACTIONS
from pkgsite.services.moderation.packages import MAX_REASON_LENGTH
from pkgsite.services.packages.flags import FlagRecord, load_flags, select_flags
from pkgsite.services.permissions import Viewer, require_moderator

QUEUE_LISTS = ("flags", "edits", "sites")
PAGE_SIZE = 20
# Where arguments are what a person wrote, under the names that the queue shows.
LABELS = {
    "title": "Title", "slug": "Slug", "category": "Category", "repo_url": "Repository URL",
    "pypi_url": "PyPI project name", "documentation_url": "Documentation URL", "is_deprecated": "Deprecated",
    "replaced_by": "Replaced by", "url": "URL", "grid": "Grid", "description": "Description", "text": "Text",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class QueueQuery:
    list_name: str = "flags"
    page: str = "1"


@dataclass(frozen=True, slots=True)
class PendingEditRecord:
    """An edit that waits."""

    id: int
    action: str
    title: str
    author: str
    submitted_at: datetime
    submitted_values: list[tuple[str, str]]  # what the person wrote, by the field's name
    decided_at: datetime | None
    is_approved: bool | None
    outcome: str | None


@dataclass(frozen=True, slots=True)
class PendingSiteRecord:
    """A link to a site that waits."""

    id: int
    title: str
    url: str
    submitter: str | None
    at: datetime
    package_title: str
    package_slug: str


@dataclass(frozen=True, slots=True)
class ModerationQueue:
    """One of the lists of what waits for moderators, and how much is in each."""

    query: QueueQuery
    counts: dict[str, int]
    paging: Pagination
    flags: list[FlagRecord]
    edits: list[PendingEditRecord]
    sites: list[PendingSiteRecord]


IS_PENDING_EDIT = PendingEdit.decided_at.is_(None)
# What belongs to a hidden package can wait until it is shown again.
IS_OPEN_FLAG = Flag.closed_at.is_(None) & Flag.package_id.in_(select(Package.id).where(Package.hidden_at.is_(None)))
IS_PENDING_SITE = UsingSite.is_approved.is_(None) & UsingSite.package_id.in_(
    select(Package.id).where(Package.hidden_at.is_(None))
)


def moderation_queue(session: Session, query: QueueQuery) -> ModerationQueue:
    """Return one of the lists, oldest first, in a fixed number of queries."""
    if query.list_name not in QUEUE_LISTS:
        query = QueueQuery(page=query.page)
    counts = dict(zip(QUEUE_LISTS, _counts(session), strict=True))
    page = paginate(query.page, size=PAGE_SIZE, count=counts[query.list_name])
    part = {"limit": page.page_size, "offset": page.offset}
    return ModerationQueue(
        query=query,
        counts=counts,
        paging=page,
        flags=_flags(session, **part) if query.list_name == "flags" else [],
        edits=load_pending_edits(session, IS_PENDING_EDIT, **part) if query.list_name == "edits" else [],
        sites=_sites(session, **part) if query.list_name == "sites" else [],
    )


def load_pending_edits(
    session: Session, condition: ColumnElement[bool], *, limit: int, offset: int = 0
) -> list[PendingEditRecord]:
    rows = session.execute(
        select(PendingEdit, User.username)
        .join(User, User.id == PendingEdit.user_id)
        .where(condition)
        .order_by(PendingEdit.decided_at.is_not(None), PendingEdit.id)
        .limit(limit)
        .offset(offset)
    )
    return [
        PendingEditRecord(
            pending_edit.id, pending_edit.action, pending_edit.title, username, pending_edit.at,
            display_values(pending_edit.arguments, is_new=pending_edit.action.endswith(".add")),
            pending_edit.decided_at, pending_edit.is_approved, pending_edit.outcome,
        )
        for pending_edit, username in rows
    ]  # fmt: skip


def own_pending_edits(session: Session, viewer: Viewer) -> list[PendingEditRecord]:
    """Return a person's own edits that wait or were decided on, at most fifty."""
    return load_pending_edits(session, PendingEdit.user_id == viewer.user_id, limit=50)


def display_values(arguments: dict[str, Any], *, is_new: bool) -> list[tuple[str, str]]:
    """Return what a person wrote as words, by the names of its fields; numbers that only we understand are left out.

    Args:
        arguments: Of a held act.
        is_new: Whether it adds something: then what was left empty is not worth telling.
    """
    found = []
    for name, value in arguments.items():
        if isinstance(value, dict):
            found += display_values(value, is_new=is_new)
        elif not name.endswith("_id") and name not in {"version", "id"} and not (value is None and is_new):
            text = "(cleared)" if value is None else ("yes" if value else "no") if isinstance(value, bool) else value
            found.append((LABELS.get(name, name.replace("_", " ").capitalize()), str(text)))
    return found


def pending_edit_author(session: Session, edit_id: int) -> Viewer:
    """Return in whose name a held edit is to be done.

    Raises:
        Forbidden: their account is closed.
        NotFound: there is none that waits.
    """
    pending_edit = _require_pending(session.get(PendingEdit, edit_id))
    user = session.get_one(User, pending_edit.user_id)
    if not user.is_active:
        raise Forbidden("the author's account is disabled")
    return Viewer(user.id, user.username, user.role)


def approve_pending_edit(changeset: Changeset, edit_id: int, *, moderator: Viewer) -> Any:
    """Do what a newcomer asked for, in their name, and return the object.

    Args:
        act: The newcomer's.
        edit_id: Which.
        moderator: Who agrees.

    Raises:
        NotFound: there is none that waits, or what it changes is gone.
        Conflict, Forbidden, Invalid: it can't be done any more.
    """
    require_moderator(moderator)
    pending_edit = _require_pending(changeset.session.get(PendingEdit, edit_id, with_for_update=True))
    if pending_edit.user_id != changeset.user_id:
        raise Forbidden("it belongs to another user")
    changeset.reason = f"Approved by {moderator.username}."
    done = ACTIONS[pending_edit.action](changeset, **pending_edit.arguments)
    pending_edit.decided_at, pending_edit.decided_by_id, pending_edit.is_approved = (
        changeset.now,
        moderator.user_id,
        True,
    )
    return done


def failure_message(failure: SiteError) -> str:
    """Say in words why a held edit can't be done any more."""
    if isinstance(failure, Conflict):
        return "The edit could not be applied: the content has changed since."
    if isinstance(failure, Invalid):
        return "The edit could not be applied: " + " ".join(" ".join(reason) for reason in failure.problems.values())
    return f"The edit could not be applied: {failure}."


def reject_pending_edit(session: Session, edit_id: int, *, by: Viewer, outcome: str, now: datetime) -> PendingEdit:
    """Decide that a held edit is not done, with words that its author can read.

    Raises:
        Forbidden: this is no moderator.
        Invalid: there are no words.
        NotFound: there is none that waits.
    """
    require_moderator(by)
    begin_write(session)
    pending_edit = _require_pending(session.get(PendingEdit, edit_id, with_for_update=True))
    reader = FieldReader()
    reason = reader.read_text("reason", outcome, MAX_REASON_LENGTH, is_required=True)
    reader.raise_if_invalid()
    pending_edit.decided_at, pending_edit.decided_by_id, pending_edit.is_approved, pending_edit.outcome = (
        now,
        by.user_id,
        False,
        reason,
    )
    return pending_edit


def _require_pending(pending_edit: PendingEdit | None) -> PendingEdit:
    if pending_edit is None or pending_edit.decided_at is not None:
        raise NotFound("Pending edit")
    return pending_edit


def _counts(session: Session) -> tuple[int, ...]:
    conditions = ((Flag, IS_OPEN_FLAG), (PendingEdit, IS_PENDING_EDIT), (UsingSite, IS_PENDING_SITE))
    counts = [
        select(func.count()).select_from(model).where(condition).scalar_subquery() for model, condition in conditions
    ]
    return tuple(session.execute(select(*counts)).one())


def _flags(session: Session, *, limit: int, offset: int) -> list[FlagRecord]:
    return load_flags(session, select_flags().where(IS_OPEN_FLAG).limit(limit).offset(offset))


def _sites(session: Session, *, limit: int, offset: int) -> list[PendingSiteRecord]:
    rows = session.execute(
        select(
            UsingSite.id, UsingSite.title, UsingSite.url, User.username, UsingSite.created_at,
            Package.title, Package.slug,
        )
        .join(Package, Package.id == UsingSite.package_id)
        .outerjoin(User, User.id == UsingSite.created_by_id)
        .where(IS_PENDING_SITE)
        .order_by(UsingSite.id)
        .limit(limit)
        .offset(offset)
    )  # fmt: skip
    return [PendingSiteRecord(*row) for row in rows]
