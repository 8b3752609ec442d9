"""Flags: people tell the moderators that something is wrong with a package, and its authors can answer.

An open flag is seen by whoever raised it, by the package's authors and by moderators.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Select, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, aliased

from pkgsite.errors import Forbidden, NotFound
from pkgsite.models import Favourite, Flag, Identity, Package, Usage, User, begin_write
from pkgsite.models.usage import FLAG_KINDS
from pkgsite.rules.links import host_of
from pkgsite.rules.texts import FieldReader
from pkgsite.services.permissions import Viewer, require_login

AnySelect = Select[*tuple[Any, ...]]

KIND_LABELS = {
    "spam": "Spam: not a package, or advertising",
    "duplicate": "Duplicate: already listed",
    "dead": "Unmaintained: abandoned, or no longer available",
    "wrong": "Incorrect data: something on this page is wrong",
    "deprecate": "Should be deprecated: not recommended for new projects",
}
MAX_REASON_LENGTH = 2000  # characters
# Where those who vouch for people keep repositories. GitHub's lists of participants name logins; others name whatever
# was written into the commits, which anybody can choose.
PROVIDER_HOSTS = {"github": "github.com", "gitlab": "gitlab.com"}
PROVIDERS_LISTING_LOGINS = frozenset({"github"})


@dataclass(frozen=True, slots=True)
class FlagRecord:
    """A flag as it is shown."""

    id: int
    package_title: str
    package_slug: str
    kind: str
    reason: str
    reporter_id: int
    reporter: str
    created_at: datetime
    reply: str | None
    replied_by: str | None
    replied_at: datetime | None


@dataclass(frozen=True, slots=True)
class ViewerState:
    """What a package's page shows to one person alone."""

    is_used: bool = False
    is_favourite: bool = False
    is_author: bool = False
    hidden_at: datetime | None = None
    merged_into: tuple[str, str] | None = None  # slug and title
    flags: Sequence[FlagRecord] = field(default_factory=tuple)  # open ones, those that this person may see
    own_flag_id: int | None = None


def viewer_state(session: Session, package_id: int, viewer: Viewer) -> ViewerState:
    """Return how a person stands to a package, in three queries; of nobody's there is nothing to ask."""
    if viewer.user_id is None:
        return ViewerState()
    merge_target = aliased(Package)
    is_used, is_favourite = (
        select(model.id).where(model.package_id == package_id, model.user_id == viewer.user_id).exists()
        for model in (Usage, Favourite)
    )
    row = session.execute(
        select(
            Package.created_by_id,
            Package.repo_url,
            Package.participants,
            Package.hidden_at,
            merge_target.slug,
            merge_target.title,
            is_used.label("is_used"),
            is_favourite.label("is_favourite"),
        )
        .outerjoin(merge_target, merge_target.id == Package.merged_into_id)
        .where(Package.id == package_id)
    ).one()
    is_author = _is_author(session, viewer, row.created_by_id, row.repo_url, row.participants)
    flags = open_flags(session, package_id)
    return ViewerState(
        is_used=row.is_used,
        is_favourite=row.is_favourite,
        is_author=is_author,
        hidden_at=row.hidden_at,
        merged_into=(row.slug, row.title) if row.slug else None,
        flags=[flag for flag in flags if is_author or viewer.is_moderator or flag.reporter_id == viewer.user_id],
        own_flag_id=next((flag.id for flag in flags if flag.reporter_id == viewer.user_id), None),
    )


def raise_flag(session: Session, package_id: int, *, kind: str, reason: str, by: Viewer, now: datetime) -> Flag:
    """Flag a package, or change the flag that this person has raised and nobody has closed.

    Raises:
        Forbidden: nobody is logged in.
        Invalid: there is no such kind, or no reason is given.
        NotFound: there is no such package for this person.
    """
    user_id = require_login(by)
    begin_write(session)
    _require_visible_package(session, package_id, by)
    reader = FieldReader()
    cleaned_reason = reader.read_text("reason", reason, MAX_REASON_LENGTH, is_required=True)
    if kind not in FLAG_KINDS:
        reader.add_error("kind", "Select a reason.")
    reader.raise_if_invalid()
    query = select(Flag).where(Flag.package_id == package_id, Flag.user_id == user_id, Flag.closed_at.is_(None))
    flag = session.scalar(query.with_for_update())
    if flag is None:
        flag = Flag(package_id=package_id, user_id=user_id, kind=kind, reason=cleaned_reason, created_at=now)
        try:
            with session.begin_nested():
                session.add(flag)
        except IntegrityError:  # the same person, at the same moment, in another window
            flag = session.scalars(query).one()
    flag.kind, flag.reason = kind, cleaned_reason
    session.flush()
    return flag


def find_own_flag(session: Session, package_id: int, by: Viewer) -> Flag | None:
    """Return the open flag that this person has raised."""
    return session.scalar(
        select(Flag).where(Flag.package_id == package_id, Flag.user_id == by.user_id, Flag.closed_at.is_(None))
    )


def withdraw_flag(session: Session, package_id: int, *, by: Viewer, now: datetime) -> bool:
    """Close the flag that this person has raised; tell whether there was one."""
    user_id = require_login(by)
    begin_write(session)
    flag = find_own_flag(session, package_id, by)
    if flag is None:
        return False
    flag.closed_at, flag.closed_by_id, flag.outcome = now, user_id, "Withdrawn."
    session.flush()
    return True


def reply_to_flag(session: Session, flag_id: int, *, reply: str, by: Viewer, now: datetime) -> Flag:
    """Let an author of the package, or a moderator, answer an open flag; an empty answer takes one back.

    Raises:
        Forbidden: this person is neither.
        Invalid: the answer is too long.
        NotFound: there is no such open flag.
    """
    user_id = require_login(by)
    begin_write(session)
    flag = session.get(Flag, flag_id, with_for_update=True)
    if flag is None or flag.closed_at is not None:
        raise NotFound("Flag")
    _require_visible_package(session, flag.package_id, by)
    if not by.is_moderator and not is_author_of(session, flag.package_id, by):
        raise Forbidden("Only the package's authors can reply.")
    reader = FieldReader()
    answer = reader.read_text("answer", reply, MAX_REASON_LENGTH)
    reader.raise_if_invalid()
    flag.answer = answer or None
    flag.answered_at, flag.answered_by_id = (now, user_id) if answer else (None, None)
    session.flush()
    return flag


def close_flags(
    session: Session, ids: Collection[int], *, by: Viewer, outcome: str, now: datetime, package_id: int | None = None
) -> int:
    """Close open flags with a moderator's words, and return how many."""
    statement = update(Flag).where(Flag.id.in_(ids), Flag.closed_at.is_(None))
    if package_id is not None:
        statement = statement.where(Flag.package_id == package_id)
    done = session.execute(statement.values(closed_at=now, closed_by_id=by.user_id, outcome=outcome))
    return int(done.rowcount)  # type: ignore[attr-defined]


def is_author_of(session: Session, package_id: int, viewer: Viewer) -> bool:
    """Tell whether a person added a package, or is known by its code host as one of those who work on it."""
    row = session.execute(
        select(Package.created_by_id, Package.repo_url, Package.participants).where(Package.id == package_id)
    ).one_or_none()
    return row is not None and _is_author(session, viewer, *row)


def select_flags() -> AnySelect:
    """Return the query that `load_flags` reads: open flags of packages, to which callers add conditions and order."""
    answerer = aliased(User)
    return (
        select(
            Flag.id,
            Package.title,
            Package.slug,
            Flag.kind,
            Flag.reason,
            Flag.user_id,
            User.username,
            Flag.created_at,
            Flag.answer,
            answerer.username,
            Flag.answered_at,
        )
        .join(Package, Package.id == Flag.package_id)
        .join(User, User.id == Flag.user_id)
        .outerjoin(answerer, answerer.id == Flag.answered_by_id)
        .where(Flag.closed_at.is_(None))
        .order_by(Flag.id)
    )


def open_flags(session: Session, package_id: int) -> list[FlagRecord]:
    """Return the open flags of a package, oldest first."""
    return load_flags(session, select_flags().where(Flag.package_id == package_id))


def load_flags(session: Session, statement: AnySelect) -> list[FlagRecord]:
    return [FlagRecord(*row) for row in session.execute(statement)]


def _is_author(
    session: Session, viewer: Viewer, created_by_id: int | None, repo_url: str, participants: Collection[str]
) -> bool:
    identities = session.execute(select(Identity.provider, Identity.login).where(Identity.user_id == viewer.user_id))
    host, logins = host_of(repo_url), {name.lower() for name in participants}
    owner = repo_url.partition("://")[2].split("/")[1:2]
    known = [
        login.lower()
        in ({name.lower() for name in owner} | (logins if provider in PROVIDERS_LISTING_LOGINS else set()))
        for provider, login in identities
        if PROVIDER_HOSTS.get(provider) == host
    ]
    return (viewer.user_id is not None and viewer.user_id == created_by_id) or any(known)


def _require_visible_package(session: Session, package_id: int, by: Viewer) -> None:
    visibility = [] if by.is_moderator else [Package.hidden_at.is_(None)]
    if session.scalar(select(Package.id).where(Package.id == package_id, *visibility)) is None:
        raise NotFound("Package")
