"""The toggles of a package: "I use this" and favourites."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ColumnElement, delete, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from pkgsite.errors import NotFound
from pkgsite.models import Favourite, Package, Usage, begin_write
from pkgsite.services.permissions import Viewer, require_login


def mark_used(session: Session, slug: str, is_marked: bool, *, by: Viewer, now: datetime) -> bool:
    """Set whether the user uses a package, and return whether that has changed.

    Raises:
        Forbidden: The user is not logged in.
        NotFound: No such package exists, or the user can't see it.
    """
    user_id = require_login(by)
    begin_write(session)
    package_id = _package_id(session, Package.slug == slug, by)
    has_changed = _set_mark(session, Usage, package_id, user_id, is_marked, now)
    if has_changed:  # the API includes the number of users
        session.execute(update(Package).where(Package.id == package_id).values(changed_at=now))
    return has_changed


def mark_favourite(session: Session, key: str | int, is_marked: bool, *, by: Viewer, now: datetime) -> str:
    """Set whether a package is the user's favourite, and return its slug.

    Args:
        session: A session without an open transaction.
        key: The package's slug or id.
        is_marked: Whether it should be a favourite.
        by: The user.
        now: The current time.

    Raises:
        Forbidden: The user is not logged in.
        NotFound: No such package exists, or the user can't see it.
    """
    user_id = require_login(by)
    begin_write(session)
    package_id = _package_id(session, Package.slug == key if isinstance(key, str) else Package.id == key, by)
    _set_mark(session, Favourite, package_id, user_id, is_marked, now)
    return session.execute(select(Package.slug).where(Package.id == package_id)).scalar_one()


def _package_id(session: Session, condition: ColumnElement[bool], by: Viewer) -> int:
    conditions = [condition] if by.is_moderator else [condition, Package.hidden_at.is_(None)]
    package_id = session.scalar(select(Package.id).where(*conditions))
    if package_id is None:
        raise NotFound("Package")
    return package_id


def _set_mark(
    session: Session, model: type[Usage | Favourite], package_id: int, user_id: int, is_marked: bool, now: datetime
) -> bool:
    """Add or remove the user's row, and return whether that has changed anything; repeating it is harmless."""
    if not is_marked:
        statement = delete(model).where(model.package_id == package_id, model.user_id == user_id)
        return bool(session.execute(statement).rowcount)  # type: ignore[attr-defined]
    insert = postgresql.insert if session.get_bind().dialect.name == "postgresql" else sqlite.insert
    row = insert(model).values(package_id=package_id, user_id=user_id, created_at=now)
    return session.scalar(row.on_conflict_do_nothing().returning(model.id)) is not None
