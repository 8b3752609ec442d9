"""Flags: users report problems with a package to the moderators, and its authors can reply.

An open flag is visible to its reporter, the package's authors and moderators.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, aliased

from pkgsite.errors import Forbidden, NotFound
from pkgsite.models import Favourite, Flag, Identity, Package, Usage, User, begin_write
from pkgsite.models.usage import FLAG_KINDS
from pkgsite.rules.links import host_of
from pkgsite.rules.texts import FieldReader
from pkgsite.services.packages.records import AnySelect
from pkgsite.services.permissions import Viewer, require_login

KIND_LABELS = {  # title and explanation
    "spam": ("Spam", "not a package, or advertising"),
    "duplicate": ("Duplicate", "already listed"),
    "dead": ("Unmaintained", "abandoned, or no longer available"),
    "wrong": ("Incorrect data", "something on this page is wrong"),
    "deprecate": ("Should be deprecated", "not recommended for new projects"),
}
REPLY_DENIED = "Only the package's authors and moderators can reply to flags."
MAX_FLAG_TEXT_LENGTH = 2000  # characters of a reason or reply
# The code hosts of the login providers. Only GitHub's participants are logins; other hosts report the commits' author
# names, which anyone can choose.
PROVIDER_HOSTS = {"github": "github.com", "gitlab": "gitlab.com"}
PROVIDERS_LISTING_LOGINS = frozenset({"github"})


@dataclass(frozen=True, slots=True)
class FlagRecord:
    """A flag for display."""

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

    @property
    def kind_title(self) -> str:
        """The kind as pages show it, such as "Unmaintained"."""
        return KIND_LABELS[self.kind][0]


@dataclass(frozen=True, slots=True)
class ViewerState:
    """What a package's page shows to the current user only."""

    is_used: bool = False
    is_favourite: bool = False
    is_author: bool = False
    hidden_at: datetime | None = None
    merged_into: tuple[str, str] | None = None  # slug and title
    flags: Sequence[FlagRecord] = field(default_factory=tuple)  # the open flags that the user may see
    own_flag_id: int | None = None


def viewer_state(session: Session, package_id: int, viewer: Viewer) -> ViewerState:
    """Return the current user's state for a package, in three queries, or without any if they are not logged in."""
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
    """Flag a package, or change the user's open flag.

    Raises:
        Forbidden: The user is not logged in.
        Invalid: The kind is unknown, or the reason is missing or too long.
        NotFound: No such package exists, or the user can't see it.
    """
    user_id = require_login(by)
    begin_write(session)
    _require_visible_package(session, package_id, by)
    reader = FieldReader()
    cleaned_reason = reader.read_text("reason", reason, MAX_FLAG_TEXT_LENGTH, is_required=True)
    if kind not in FLAG_KINDS:
        reader.add_error("kind", "Select a problem.")
    reader.raise_if_invalid()
    query = select(Flag).where(Flag.package_id == package_id, Flag.user_id == user_id, Flag.closed_at.is_(None))
    flag = session.scalar(query.with_for_update())
    if flag is None:
        flag = Flag(package_id=package_id, user_id=user_id, kind=kind, reason=cleaned_reason, created_at=now)
        try:
            with session.begin_nested():
                session.add(flag)
        except IntegrityError:  # a concurrent request of the same user
            flag = session.scalars(query).one()
    flag.kind, flag.reason = kind, cleaned_reason
    session.flush()
    return flag


def find_own_flag(session: Session, package_id: int, by: Viewer) -> Flag | None:
    """Return the user's open flag."""
    return session.scalar(
        select(Flag).where(Flag.package_id == package_id, Flag.user_id == by.user_id, Flag.closed_at.is_(None))
    )


def withdraw_flag(session: Session, package_id: int, *, by: Viewer, now: datetime) -> bool:
    """Withdraw the user's open flag, and return whether there was one."""
    user_id = require_login(by)
    begin_write(session)
    flag = find_own_flag(session, package_id, by)
    if flag is None:
        return False
    flag.closed_at, flag.closed_by_id, flag.outcome = now, user_id, "Withdrawn."
    session.flush()
    return True


def reply_to_flag(session: Session, flag_id: int, *, reply: str, by: Viewer, now: datetime) -> Flag:
    """Set an author's or a moderator's reply to an open flag; an empty reply removes it.

    Raises:
        Forbidden: The user is neither an author nor a moderator.
        Invalid: The reply is too long.
        NotFound: No such open flag exists, or the user can't see the package.
    """
    user_id = require_login(by)
    begin_write(session)
    flag = session.get(Flag, flag_id, with_for_update=True)
    if flag is None or flag.closed_at is not None:
        raise NotFound("Flag")
    _require_visible_package(session, flag.package_id, by)
    if not by.is_moderator and not is_author_of(session, flag.package_id, by):
        raise Forbidden(REPLY_DENIED)
    reader = FieldReader()
    text = reader.read_text("answer", reply, MAX_FLAG_TEXT_LENGTH)
    reader.raise_if_invalid()
    flag.reply = text or None
    flag.replied_at, flag.replied_by_id = (now, user_id) if text else (None, None)
    session.flush()
    return flag


def close_flags(
    session: Session, ids: Collection[int], *, by: Viewer, outcome: str, now: datetime, package_id: int | None = None
) -> int:
    """Close open flags with the moderator's message, and return their number."""
    statement = update(Flag).where(Flag.id.in_(ids), Flag.closed_at.is_(None))
    if package_id is not None:
        statement = statement.where(Flag.package_id == package_id)
    result = session.execute(statement.values(closed_at=now, closed_by_id=by.user_id, outcome=outcome))
    return int(result.rowcount)  # type: ignore[attr-defined]


def is_author_of(session: Session, package_id: int, viewer: Viewer) -> bool:
    """Return whether a user has added a package, owns its repository, or is a participant on the code host."""
    row = session.execute(
        select(Package.created_by_id, Package.repo_url, Package.participants).where(Package.id == package_id)
    ).one_or_none()
    return row is not None and _is_author(session, viewer, *row)


def select_flags() -> AnySelect:
    """Return a query for `load_flags`: open flags, oldest first; callers add conditions."""
    replier = aliased(User)
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
            Flag.reply,
            replier.username,
        )
        .join(Package, Package.id == Flag.package_id)
        .join(User, User.id == Flag.user_id)
        .outerjoin(replier, replier.id == Flag.replied_by_id)
        .where(Flag.closed_at.is_(None))
        .order_by(Flag.id)
    )


def open_flags(session: Session, package_id: int) -> list[FlagRecord]:
    """Return a package's open flags, oldest first."""
    return load_flags(session, select_flags().where(Flag.package_id == package_id))


def load_flags(session: Session, statement: AnySelect) -> list[FlagRecord]:
    return [FlagRecord(*row) for row in session.execute(statement)]


def _is_author(
    session: Session, viewer: Viewer, created_by_id: int | None, repo_url: str, participants: Collection[str]
) -> bool:
    if viewer.user_id is None:
        return False
    identities = session.execute(select(Identity.provider, Identity.login).where(Identity.user_id == viewer.user_id))
    host = host_of(repo_url)
    owners = {name.lower() for name in repo_url.partition("://")[2].split("/")[1:2]}
    logins = {name.lower() for name in participants}
    return viewer.user_id == created_by_id or any(
        login.lower() in (owners | logins if provider in PROVIDERS_LISTING_LOGINS else owners)
        for provider, login in identities
        if PROVIDER_HOSTS.get(provider) == host
    )


def _require_visible_package(session: Session, package_id: int, by: Viewer) -> None:
    conditions = [] if by.is_moderator else [Package.hidden_at.is_(None)]
    if session.scalar(select(Package.id).where(Package.id == package_id, *conditions)) is None:
        raise NotFound("Package")
