"""What people say of a package with one click: "I use this", and that it is a favourite. Counted from rows."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ColumnElement, delete, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from pkgsite.errors import NotFound
from pkgsite.models import Favourite, Package, Usage, begin_write
from pkgsite.services.permissions import Viewer, require_login


def mark_used(session: Session, slug: str, is_marked: bool, *, by: Viewer, now: datetime) -> bool:
    """Let a person say that they use a package, or no longer; tell whether that is new.

    Raises:
        Forbidden: nobody is logged in.
        NotFound: there is no such package for this person.
    """
    user_id = require_login(by)
    begin_write(session)
    package_id = _package_id(session, Package.slug == slug, by)
    is_new = _set_mark(session, Usage, package_id, user_id, is_marked, now)
    if is_new:  # the API tells how many they are
        session.execute(update(Package).where(Package.id == package_id).values(changed_at=now))
    return is_new


def mark_favourite(session: Session, key: str | int, is_marked: bool, *, by: Viewer, now: datetime) -> str:
    """Let a person call a package a favourite, or no longer; return the package's slug.

    Args:
        session: In which no transaction is open.
        key: The package's slug or its id.
        is_marked: Whether it is to be one.
        by: Who.
        now: The present instant.

    Raises:
        Forbidden: nobody is logged in.
        NotFound: there is no such package for this person.
    """
    user_id = require_login(by)
    begin_write(session)
    package_id = _package_id(session, Package.slug == key if isinstance(key, str) else Package.id == key, by)
    _set_mark(session, Favourite, package_id, user_id, is_marked, now)
    return session.execute(select(Package.slug).where(Package.id == package_id)).scalar_one()


def _package_id(session: Session, condition: ColumnElement[bool], by: Viewer) -> int:
    visibility = [] if by.is_moderator else [Package.hidden_at.is_(None)]
    found = session.scalar(select(Package.id).where(condition, *visibility))
    if found is None:
        raise NotFound("Package")
    return found


def _set_mark(
    session: Session, model: type[Usage | Favourite], package_id: int, user_id: int, is_marked: bool, now: datetime
) -> bool:
    """Add or remove the row that says so, however often it is asked for; tell whether anything changed."""
    if not is_marked:
        statement = delete(model).where(model.package_id == package_id, model.user_id == user_id)
        return bool(session.execute(statement).rowcount)  # type: ignore[attr-defined]
    insert = postgresql.insert if session.get_bind().dialect.name == "postgresql" else sqlite.insert
    row = insert(model).values(package_id=package_id, user_id=user_id, created_at=now)
    return session.scalar(row.on_conflict_do_nothing().returning(model.id)) is not None
