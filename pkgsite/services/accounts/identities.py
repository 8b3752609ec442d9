"""Accounts elsewhere by which people log in: GitHub, GitLab."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from pkgsite.clients.base import ExternalIdentity as ExternalIdentity
from pkgsite.clients.base import LoginProvider as LoginProvider  # for the edges, which see no clients
from pkgsite.errors import Conflict, Forbidden, Invalid, NotFound
from pkgsite.models import Identity, User, begin_write
from pkgsite.rules.usernames import suggest_username, username_problems
from pkgsite.services.accounts.registration import create_user, user_by_email, validate_username
from pkgsite.services.permissions import Viewer, require_login


def find_user_id(session: Session, external_identity: ExternalIdentity) -> int | None:
    """Return whose account elsewhere this is; None if nobody's here. A login that has changed there is noted.

    Raises:
        Forbidden: their account here is closed.
    """
    begin_write(session)
    identity = _identity(session, external_identity)
    if identity is None:
        return None
    if not session.get_one(User, identity.user_id).is_active:
        raise Forbidden("This account is disabled.")
    if identity.login != external_identity.login:
        identity.login = external_identity.login
        session.flush()
    return identity.user_id


def has_account_with_email(session: Session, external_identity: ExternalIdentity) -> bool:
    """Tell whether the address that the other site vouches for belongs to an account here."""
    return bool(external_identity.email) and user_by_email(session, external_identity.email or "") is not None


def available_username(session: Session, external_identity: ExternalIdentity) -> str:
    """Return the username nearest to the login elsewhere if it is free; otherwise empty."""
    name = suggest_username(external_identity.login)
    if not name or username_problems(name):
        return ""
    is_taken = session.scalar(select(User.id).where(func.lower(User.username) == name.lower()))
    return "" if is_taken else name


def register_with_identity(
    session: Session, external_identity: ExternalIdentity, username: str, *, now: datetime
) -> int:
    """Make an account for somebody for whom another site vouches, and return its id.

    Raises:
        Invalid: the name can't be theirs.
        Conflict: their account elsewhere, or their address, has an account here.
    """
    begin_write(session)
    validate_username(session, username)
    if _identity(session, external_identity) or has_account_with_email(session, external_identity):
        raise Conflict("An account already exists.")
    user_id = create_user(
        session, username, external_identity.email, None, confirmed_at=now if external_identity.email else None, now=now
    )
    _add_identity(session, user_id, external_identity, now)
    return user_id


def link_identity(session: Session, viewer: Viewer, external_identity: ExternalIdentity, *, now: datetime) -> None:
    """Let a person who is logged in also log in by an account elsewhere; a second time changes nothing.

    Raises:
        Conflict: it lets somebody else log in.
        Forbidden: nobody is logged in.
    """
    user_id = require_login(viewer)
    begin_write(session)
    found = _identity(session, external_identity)
    if found is None:
        _add_identity(session, user_id, external_identity, now)
    elif found.user_id != user_id:
        raise Conflict("It is already linked to another account.")


def unlink_identity(session: Session, viewer: Viewer, identity_id: int) -> str:
    """Take away a way in, and return which provider's it was.

    Raises:
        NotFound: they have no such identity.
        Invalid: it is their last way in.
    """
    user_id = require_login(viewer)
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


def _identity(session: Session, external_identity: ExternalIdentity) -> Identity | None:
    return session.scalar(
        select(Identity).where(
            Identity.provider == external_identity.provider, Identity.subject == external_identity.subject
        )
    )


def _add_identity(session: Session, user_id: int, external_identity: ExternalIdentity, now: datetime) -> None:
    session.add(
        Identity(
            user_id=user_id,
            provider=external_identity.provider,
            subject=external_identity.subject,
            login=external_identity.login,
            created_at=now,
        )
    )
    try:
        session.flush()
    except IntegrityError as clash:
        session.rollback()
        raise Conflict("It is already linked to another account.") from clash
