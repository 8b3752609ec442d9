"""Who made and who last changed a package, and the people who have an account, for old clients of the API."""

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
class Contributors:
    """Usernames; None: nobody, or somebody who has left."""

    created_by: str | None
    modified_by: str | None


@dataclass(frozen=True, slots=True)
class UserRecord:
    id: int
    username: str
    created_at: datetime
    logins_by_provider: dict[str, str]  # by provider, the name there
    package_slugs: tuple[str, ...]  # of the packages that the person added, by title


@dataclass(frozen=True, slots=True)
class UserSlice:
    """Some people out of `count`."""

    count: int
    records: list[UserRecord]


def contributors_of(session: Session, package_ids: Collection[int]) -> dict[int, Contributors]:
    """Return who made and who last changed each of these packages."""
    creator, editor = aliased(User), aliased(User)
    rows = (
        select(Package.id, creator.username, editor.username)
        .outerjoin(creator, creator.id == Package.created_by_id)
        .outerjoin(editor, editor.id == Package.modified_by_id)
        .where(Package.id.in_(package_ids))
    )
    return {number: Contributors(created_by, modified_by) for number, created_by, modified_by in session.execute(rows)}


def list_users(session: Session, *, limit: int, offset: int, with_packages: bool = False) -> UserSlice:
    """Return a stretch of the people who have an account, by name."""
    count = session.scalar(select(func.count()).select_from(User).where(User.is_active)) or 0
    rows = select(User).where(User.is_active).order_by(func.lower(User.username), User.id).limit(limit).offset(offset)
    return UserSlice(count, _records(session, list(session.scalars(rows)), with_packages))


def user_by_name(session: Session, username: str, *, with_packages: bool = False) -> UserRecord:
    """Return a person, by name without case.

    Raises:
        NotFound: nobody has this name.
    """
    query = select(User).where(func.lower(User.username) == username.lower(), User.is_active)
    found = _records(session, list(session.scalars(query)), with_packages)
    if not found:
        raise NotFound("User")
    return found[0]


def _records(session: Session, users: list[User], with_packages: bool) -> list[UserRecord]:
    ids = [user.id for user in users]
    accounts: dict[int, dict[str, str]] = {}
    rows = select(Identity.user_id, Identity.provider, Identity.login).where(Identity.user_id.in_(ids))
    for user_id, provider, login in session.execute(rows.order_by(Identity.id)):
        accounts.setdefault(user_id, {})[provider] = login
    slugs: dict[int, list[str]] = {}
    if with_packages:
        added = select(Package.created_by_id, Package.slug).where(Package.created_by_id.in_(ids), VISIBLE)
        for creator_id, slug in session.execute(added.order_by(Package.title, Package.id)):
            slugs.setdefault(creator_id or 0, []).append(slug)
    return [
        UserRecord(user.id, user.username, user.created_at, accounts.get(user.id, {}), tuple(slugs.get(user.id, ())))
        for user in users
    ]
