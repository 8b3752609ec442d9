"""External identities: GitHub and GitLab accounts that users can log in with."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from pkgsite.clients.base import ExternalIdentity as ExternalIdentity
from pkgsite.clients.base import LoginProvider as LoginProvider  # re-exported for views, which must not import clients
from pkgsite.errors import Conflict, Forbidden, Invalid, NotFound
from pkgsite.models import Identity, User, begin_write
from pkgsite.rules.usernames import suggest_username, username_problems
from pkgsite.services.accounts.registration import create_user, user_by_email, validate_username
from pkgsite.services.permissions import Viewer, require_login


def find_user_id(session: Session, external_identity: ExternalIdentity) -> int | None:
    """Return the id of the user with this identity, or None, and update the stored login if it has changed.

    Raises:
        Forbidden: The user's account is disabled.
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
    """Return whether an account already has the email address that the provider has verified."""
    return bool(external_identity.email) and user_by_email(session, external_identity.email or "") is not None


def available_username(session: Session, external_identity: ExternalIdentity) -> str:
    """Return a username based on the login at the provider, or "" if it is invalid or already taken."""
    name = suggest_username(external_identity.login)
    if not name or username_problems(name):
        return ""
    is_taken = session.scalar(select(User.id).where(func.lower(User.username) == name.lower()))
    return "" if is_taken else name


def register_with_identity(
    session: Session, external_identity: ExternalIdentity, username: str, *, now: datetime
) -> int:
    """Create an account for an external identity, and return the user's id.

    Raises:
        Invalid: The username is invalid or already taken.
        Conflict: An account with this identity or email address already exists.
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
    """Link an external identity to the viewer's account, unless it is linked already.

    Raises:
        Conflict: The identity is linked to another account.
        Forbidden: The viewer is not logged in.
    """
    user_id = require_login(viewer)
    begin_write(session)
    identity = _identity(session, external_identity)
    if identity is None:
        _add_identity(session, user_id, external_identity, now)
    elif identity.user_id != user_id:
        raise Conflict("It is already linked to another account.")


def unlink_identity(session: Session, viewer: Viewer, identity_id: int) -> str:
    """Unlink an identity from the viewer's account, and return its provider.

    Raises:
        NotFound: The viewer has no such identity.
        Invalid: The identity is the viewer's only login method.
    """
    user_id = require_login(viewer)
    begin_write(session)
    # Lock the user's row, so that two concurrent requests can't remove the last two identities.
    user = session.scalars(select(User).where(User.id == user_id).with_for_update()).one()
    identities = session.scalars(select(Identity).where(Identity.user_id == user_id)).all()
    identity = next((identity for identity in identities if identity.id == identity_id), None)
    if identity is None:
        raise NotFound("Linked account")
    if len(identities) == 1 and user.password_hash is None:
        raise Invalid({"identity": ["This is your only way to log in. Set a password first."]})
    session.delete(identity)
    session.flush()
    return identity.provider


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
    except IntegrityError as error:
        session.rollback()
        raise Conflict("It is already linked to another account.") from error
