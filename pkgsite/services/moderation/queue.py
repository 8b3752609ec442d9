"""The moderation queue: flags, pending edits and site links, and the decisions on pending edits."""

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
from pkgsite.services.moderation.actions import decode_edit
from pkgsite.services.moderation.packages import MAX_DECISION_REASON_LENGTH
from pkgsite.services.packages.flags import FlagRecord, load_flags, select_flags
from pkgsite.services.permissions import Viewer, require_moderator

QUEUE_LISTS = ("flags", "edits", "sites")
PAGE_SIZE = 20
# The labels under which the queue shows the values of pending edits.
LABELS = {
    "title": "Title", "slug": "Slug", "category": "Category", "repo_url": "Repository URL",
    "repo_directory": "Directory", "pypi_url": "PyPI project name", "documentation_url": "Documentation URL",
    "is_deprecated": "Deprecated", "replaced_by": "Replaced by", "url": "URL", "grid": "Grid",
    "description": "Description", "text": "Text",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class QueueQuery:
    list_name: str = "flags"
    page: str = "1"


@dataclass(frozen=True, slots=True)
class PendingEditRecord:
    """An edit that is or was pending review."""

    id: int
    action: str
    title: str
    author: str
    submitted_at: datetime
    submitted_values: list[tuple[str, str]]  # label and value of each field
    decided_at: datetime | None
    is_approved: bool | None
    outcome: str | None


@dataclass(frozen=True, slots=True)
class PendingSiteRecord:
    """A link to a site that is pending review."""

    id: int
    title: str
    url: str
    submitter: str | None
    at: datetime
    package_title: str
    package_slug: str


@dataclass(frozen=True, slots=True)
class ModerationQueue:
    """One of the lists of the moderation queue, and the length of each."""

    query: QueueQuery
    counts: dict[str, int]
    paging: Pagination
    flags: list[FlagRecord]
    edits: list[PendingEditRecord]
    sites: list[PendingSiteRecord]


IS_PENDING_EDIT = PendingEdit.decided_at.is_(None)
# Flags and links of a hidden package wait until it is shown again.
IS_OPEN_FLAG = Flag.closed_at.is_(None) & Flag.package_id.in_(select(Package.id).where(Package.hidden_at.is_(None)))
IS_PENDING_SITE = UsingSite.is_approved.is_(None) & UsingSite.package_id.in_(
    select(Package.id).where(Package.hidden_at.is_(None))
)


def moderation_queue(session: Session, query: QueueQuery) -> ModerationQueue:
    """Return one of the lists, oldest first; takes a fixed number of queries."""
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


def own_submitted_edits(session: Session, viewer: Viewer) -> list[PendingEditRecord]:
    """Return the user's edits that are or were pending review, at most 50."""
    return load_pending_edits(session, PendingEdit.user_id == viewer.user_id, limit=50)


def display_values(arguments: dict[str, Any], *, is_new: bool) -> list[tuple[str, str]]:
    """Return label and text of each value of a pending edit, without ids and versions.

    Args:
        arguments: The arguments of the edit, as stored.
        is_new: Whether the edit adds something; then empty values are left out.
    """
    values = []
    for name, value in arguments.items():
        if isinstance(value, dict):
            values += display_values(value, is_new=is_new)
        elif not name.endswith("_id") and name not in {"version", "id"} and not (value is None and is_new):
            text = "(cleared)" if value is None else ("yes" if value else "no") if isinstance(value, bool) else value
            values.append((LABELS.get(name, name.replace("_", " ").capitalize()), str(text)))
    return values


def pending_edit_author(session: Session, edit_id: int) -> Viewer:
    """Return the author of a pending edit.

    Raises:
        Forbidden: The author's account is disabled.
        NotFound: The edit does not exist or is no longer pending.
    """
    pending_edit = _require_pending(session.get(PendingEdit, edit_id))
    user = session.get_one(User, pending_edit.user_id)
    if not user.is_active:
        raise Forbidden("The author's account is disabled.")
    return Viewer(user.id, user.username, user.role)


def approve_pending_edit(changeset: Changeset, edit_id: int, *, moderator: Viewer) -> Any:
    """Apply a pending edit as its author, and return the object that it created or changed.

    Args:
        changeset: A changeset of the author.
        edit_id: The id of the pending edit.
        moderator: The moderator who approves it.

    Raises:
        NotFound: The edit is no longer pending, or what it changes no longer exists.
        Conflict, Forbidden, Invalid: The edit can no longer be applied.
    """
    require_moderator(moderator)
    pending_edit = _require_pending(changeset.session.get(PendingEdit, edit_id, with_for_update=True))
    if pending_edit.user_id != changeset.user_id:
        raise Forbidden("It belongs to another user.")
    changeset.reason = f"Approved by {moderator.username}."
    outcome = decode_edit(pending_edit.action, pending_edit.arguments).apply(changeset)
    pending_edit.decided_at, pending_edit.decided_by_id = changeset.now, moderator.user_id
    pending_edit.is_approved = True
    return outcome


def failure_message(failure: SiteError) -> str:
    """Return the message that explains why a pending edit could not be applied."""
    if isinstance(failure, Conflict):
        return "The edit could not be applied, because the content has since changed."
    if isinstance(failure, Invalid):
        reason = " ".join(message for messages in failure.problems.values() for message in messages)
    else:
        reason = str(failure)
    return f"The edit could not be applied. {reason}"


def reject_pending_edit(session: Session, edit_id: int, *, by: Viewer, outcome: str, now: datetime) -> PendingEdit:
    """Reject a pending edit, with a reason that its author can read.

    Raises:
        Forbidden: The user is not a moderator.
        Invalid: The reason is missing.
        NotFound: The edit does not exist or is no longer pending.
    """
    require_moderator(by)
    begin_write(session)
    pending_edit = _require_pending(session.get(PendingEdit, edit_id, with_for_update=True))
    reader = FieldReader()
    reason = reader.read_text("reason", outcome, MAX_DECISION_REASON_LENGTH, is_required=True)
    reader.raise_if_invalid()
    pending_edit.decided_at, pending_edit.decided_by_id = now, by.user_id
    pending_edit.is_approved, pending_edit.outcome = False, reason
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
