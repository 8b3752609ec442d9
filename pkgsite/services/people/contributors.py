"""Who added and last edited packages, and the users of the site, for API v3."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session, aliased

from pkgsite.errors import NotFound
from pkgsite.models import Identity, Package, User
from pkgsite.services.packages.records import VISIBLE


@dataclass(frozen=True, slots=True)
class PackageEditors:
    """The usernames of those who added and last edited a package; None if unknown or deleted."""

    created_by: str | None
    modified_by: str | None


@dataclass(frozen=True, slots=True)
class UserRecord:
    id: int
    username: str
    created_at: datetime
    logins_by_provider: dict[str, str]
    package_slugs: tuple[str, ...]  # of the packages that the user added, sorted by title


@dataclass(frozen=True, slots=True)
class UserPage:
    """A page of users; `count` is the number of all users."""

    count: int
    records: list[UserRecord]


def editors_by_package(session: Session, package_ids: Collection[int]) -> dict[int, PackageEditors]:
    """Return who added and last edited these packages, by package id."""
    creator, editor = aliased(User), aliased(User)
    rows = (
        select(Package.id, creator.username, editor.username)
        .outerjoin(creator, creator.id == Package.created_by_id)
        .outerjoin(editor, editor.id == Package.modified_by_id)
        .where(Package.id.in_(package_ids))
    )
    return {
        package_id: PackageEditors(created_by, modified_by)
        for package_id, created_by, modified_by in session.execute(rows)
    }


def list_users(session: Session, *, limit: int, offset: int, with_packages: bool = False) -> UserPage:
    """Return a page of the active users, sorted by username."""
    count = session.scalar(select(func.count()).select_from(User).where(User.is_active)) or 0
    rows = select(User).where(User.is_active).order_by(func.lower(User.username), User.id).limit(limit).offset(offset)
    return UserPage(count, _records(session, list(session.scalars(rows)), with_packages))


def user_by_name(session: Session, username: str, *, with_packages: bool = False) -> UserRecord:
    """Return the active user with this username, ignoring case.

    Raises:
        NotFound: No active user has this name.
    """
    query = select(User).where(func.lower(User.username) == username.lower(), User.is_active)
    records = _records(session, list(session.scalars(query)), with_packages)
    if not records:
        raise NotFound("User")
    return records[0]


def _records(session: Session, users: list[User], with_packages: bool) -> list[UserRecord]:
    ids = [user.id for user in users]
    logins: dict[int, dict[str, str]] = {}
    rows = select(Identity.user_id, Identity.provider, Identity.login).where(Identity.user_id.in_(ids))
    for user_id, provider, login in session.execute(rows.order_by(Identity.id)):
        logins.setdefault(user_id, {})[provider] = login
    slugs: dict[int, list[str]] = {}
    if with_packages:
        added = select(Package.created_by_id, Package.slug).where(Package.created_by_id.in_(ids), VISIBLE)
        for creator_id, slug in session.execute(added.order_by(Package.title, Package.id)):
            slugs.setdefault(creator_id or 0, []).append(slug)
    return [
        UserRecord(user.id, user.username, user.created_at, logins.get(user.id, {}), tuple(slugs.get(user.id, ())))
        for user in users
    ]
