"""Accounts elsewhere by which people log in: GitHub, GitLab."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from pkgsite.clients.base import LoginProvider as LoginProvider  # for the edges, which see no clients
from pkgsite.clients.base import Vouched as Vouched
from pkgsite.errors import Conflict, Forbidden, Invalid, NotFound
from pkgsite.models import Identity, User, begin_write
from pkgsite.rules.usernames import name_from, username_problems
from pkgsite.services.accounts.registration import check_username, make_user, user_by_email
from pkgsite.services.permissions import Viewer, require_known


def person_of(session: Session, vouched: Vouched) -> int | None:
    """Return whose account elsewhere this is; None if nobody's here. A login that has changed there is noted.

    Raises:
        Forbidden: their account here is closed.
    """
    begin_write(session)
    identity = _identity(session, vouched)
    if identity is None:
        return None
    if not session.get_one(User, identity.user_id).is_active:
        raise Forbidden("This account is disabled.")
    if identity.login != vouched.login:
        identity.login = vouched.login
        session.flush()
    return identity.user_id


def has_account(session: Session, vouched: Vouched) -> bool:
    """Tell whether the address that the other site vouches for belongs to an account here."""
    return bool(vouched.email) and user_by_email(session, vouched.email or "") is not None


def free_username(session: Session, vouched: Vouched) -> str:
    """Return the username nearest to the login elsewhere if it is free; otherwise empty."""
    name = name_from(vouched.login)
    if not name or username_problems(name):
        return ""
    is_taken = session.scalar(select(User.id).where(func.lower(User.username) == name.lower()))
    return "" if is_taken else name


def register_vouched(session: Session, vouched: Vouched, username: str, *, now: datetime) -> int:
    """Make an account for somebody for whom another site vouches, and return its id.

    Raises:
        Invalid: the name can't be theirs.
        Conflict: their account elsewhere, or their address, has an account here.
    """
    begin_write(session)
    check_username(session, username)
    if _identity(session, vouched) or has_account(session, vouched):
        raise Conflict("An account already exists.")
    user_id = make_user(session, username, vouched.email, None, confirmed_at=now if vouched.email else None, now=now)
    _add(session, user_id, vouched, now)
    return user_id


def link_identity(session: Session, viewer: Viewer, vouched: Vouched, *, now: datetime) -> None:
    """Let a person who is logged in also log in by an account elsewhere; a second time changes nothing.

    Raises:
        Conflict: it lets somebody else log in.
        Forbidden: nobody is logged in.
    """
    user_id = require_known(viewer)
    begin_write(session)
    found = _identity(session, vouched)
    if found is None:
        _add(session, user_id, vouched, now)
    elif found.user_id != user_id:
        raise Conflict("It is already linked to another account.")


def unlink_identity(session: Session, viewer: Viewer, identity_id: int) -> str:
    """Take away a way in, and return which provider's it was.

    Raises:
        NotFound: they have no such identity.
        Invalid: it is their last way in.
    """
    user_id = require_known(viewer)
    begin_write(session)
    # Two requests at once must not take one of two each: the account's row is held.
    user = session.scalars(select(User).where(User.id == user_id).with_for_update()).one()
    rows = session.scalars(select(Identity).where(Identity.user_id == user_id)).all()
    found = next((row for row in rows if row.id == identity_id), None)
    if found is None:
        raise NotFound("Linked account")
    if len(rows) == 1 and user.password_hash is None:
        raise Invalid({"identity": ["This is your only way to log in. Set a password first."]})
    session.delete(found)
    session.flush()
    return found.provider


def _identity(session: Session, vouched: Vouched) -> Identity | None:
    return session.scalar(
        select(Identity).where(Identity.provider == vouched.provider, Identity.subject == vouched.subject)
    )


def _add(session: Session, user_id: int, vouched: Vouched, now: datetime) -> None:
    session.add(
        Identity(
            user_id=user_id, provider=vouched.provider, subject=vouched.subject, login=vouched.login, created_at=now
        )
    )
    try:
        session.flush()
    except IntegrityError as clash:
        session.rollback()
        raise Conflict("It is already linked to another account.") from clash
