"""Users and their login sessions."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import delete, func, select, update
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from pkgsite.errors import Forbidden, NotFound
from pkgsite.models import LoginSession, User, begin_write
from pkgsite.services.permissions import Viewer

SESSION_TTL = timedelta(days=30)  # since its last use
ACTIVITY_INTERVAL = timedelta(minutes=10)  # minimum time between updates of `last_seen_at`
MAX_USER_AGENT_LENGTH = 200  # characters
MAX_LOGIN_LENGTH = 254


@dataclass(frozen=True, slots=True)
class AuthenticatedSession:
    """A valid login session and its user."""

    id: int
    viewer: Viewer
    is_activity_due: bool = False  # whether `last_seen_at` should be updated


@dataclass(frozen=True, slots=True)
class Account:
    """The login details of an account; `user_id` is None if the account does not exist."""

    user_id: int | None
    username: str
    email: str | None
    is_email_confirmed: bool
    password_hash: str | None
    is_active: bool

    @property
    def has_password(self) -> bool:
        return self.password_hash is not None


@dataclass(frozen=True, slots=True)
class SiteContext:
    """The site's details that emails need.

    Attributes:
        title: The site's name.
        signing_key: The secret that signs links.
        build_url: A function from an endpoint and its values to an absolute URL.
    """

    title: str
    signing_key: str
    build_url: Callable[..., str]


def find_account(session: Session, identifier: str) -> Account:
    """Return the account with this username or email address; its `user_id` is None if it does not exist."""
    column = User.email if "@" in identifier else User.username
    is_plausible = "\x00" not in identifier and len(identifier) <= MAX_LOGIN_LENGTH
    user = session.scalar(select(User).where(func.lower(column) == identifier.lower())) if is_plausible else None
    return _account(user) if user else Account(None, identifier[:MAX_LOGIN_LENGTH], None, False, None, False)


def get_own_account(session: Session, viewer: Viewer) -> Account:
    """Return the viewer's account.

    Raises:
        Forbidden: The viewer is not logged in.
    """
    user = session.get(User, viewer.user_id) if viewer.user_id else None
    if user is None:
        raise Forbidden("Log in to continue.")
    return _account(user)


def get_user_by_login(session: Session, identifier: str) -> User:
    """Return the user with this username or email address.

    Raises:
        NotFound: No such account exists.
    """
    account = find_account(session, identifier)
    if account.user_id is None:
        raise NotFound("Account")
    return session.get_one(User, account.user_id)


def update_password_hash(session: Session, user_id: int, password_hash: str) -> None:
    """Store a password hash, such as one with new parameters."""
    session.execute(update(User).where(User.id == user_id).values(password_hash=password_hash))


def has_staff(session: Session) -> bool:
    """Return whether the site has an active staff member."""
    return session.scalar(select(User.id).where(User.role == "staff", User.is_active).limit(1)) is not None


def _account(user: User) -> Account:
    return Account(
        user_id=user.id,
        username=user.username,
        email=user.email,
        is_email_confirmed=user.email_confirmed_at is not None,
        password_hash=user.password_hash,
        is_active=user.is_active,
    )


def start_session(session: Session, user_id: int, *, now: datetime, address: str = "", user_agent: str = "") -> str:
    """Start a login session, and return the secret for the browser's cookie."""
    secret = secrets.token_urlsafe(32)
    expired = (LoginSession.user_id == user_id, LoginSession.last_seen_at <= now - SESSION_TTL)
    session.execute(delete(LoginSession).where(*expired))
    session.add(
        LoginSession(
            user_id=user_id,
            secret_hash=hash_secret(secret),
            created_at=now,
            last_seen_at=now,
            address=address[:64],
            agent="".join(filter(str.isprintable, user_agent))[:MAX_USER_AGENT_LENGTH],
        )
    )
    session.flush()
    return secret


def authenticate_session(session: Session, secret: str, *, now: datetime) -> AuthenticatedSession | None:
    """Return the login session with this secret, or None if it is unknown or expired, or its user is disabled."""
    row = session.execute(
        select(LoginSession.id, LoginSession.last_seen_at, User.id.label("user_id"), User.username, User.role)
        .join(User, User.id == LoginSession.user_id)
        .where(
            LoginSession.secret_hash == hash_secret(secret),
            LoginSession.last_seen_at > now - SESSION_TTL,
            User.is_active,
        )
    ).one_or_none()
    if row is None:
        return None
    is_activity_due = row.last_seen_at < now - ACTIVITY_INTERVAL
    return AuthenticatedSession(row.id, Viewer(row.user_id, row.username, row.role), is_activity_due)


def record_activity(session: Session, session_id: int, *, now: datetime) -> bool:
    """Update when a session was last used, and return whether it was written.

    A busy database is no error, so that a page never fails because of it.
    """
    statement = (
        update(LoginSession)
        .where(LoginSession.id == session_id, LoginSession.last_seen_at < now - ACTIVITY_INTERVAL)
        .values(last_seen_at=now)
    )
    try:
        begin_write(session)
        return bool(session.execute(statement).rowcount)  # type: ignore[attr-defined]
    except OperationalError:  # the database is busy; the next request retries
        session.rollback()
        return False


def delete_session(session: Session, session_id: int) -> None:
    """End a login session."""
    session.execute(delete(LoginSession).where(LoginSession.id == session_id))


def hash_secret(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
