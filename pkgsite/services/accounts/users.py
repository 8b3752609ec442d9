"""People's accounts: who is who, and who is logged in where."""

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

SESSION_TTL = timedelta(days=30)  # after it was last used
ACTIVITY_INTERVAL = timedelta(minutes=10)  # the time of last use is written no more often than that
MAX_USER_AGENT_LENGTH = 200  # characters
MAX_LOGIN_LENGTH = 254


@dataclass(frozen=True, slots=True)
class AuthenticatedSession:
    """A browser that is logged in, and the person who is."""

    id: int
    viewer: Viewer
    is_activity_due: bool = False  # whether the time of its last use is to be written


@dataclass(frozen=True, slots=True)
class Account:
    """A person's account, as far as logging in is concerned; of nobody where the name is unknown."""

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
    """What letters need to know of the site.

    Attributes:
        title: Its name.
        signing_key: What its links are signed with.
        build_url: A function from an endpoint and its values to a full address.
    """

    title: str
    signing_key: str
    build_url: Callable[..., str]


def find_account(session: Session, identifier: str) -> Account:
    """Return the account of a username or an e-mail address as somebody typed it; one of nobody if there is none."""
    column = User.email if "@" in identifier else User.username
    is_plausible = "\x00" not in identifier and len(identifier) <= MAX_LOGIN_LENGTH
    user = session.scalar(select(User).where(func.lower(column) == identifier.lower())) if is_plausible else None
    return _account(user) if user else Account(None, identifier[:MAX_LOGIN_LENGTH], None, False, None, False)


def get_own_account(session: Session, viewer: Viewer) -> Account:
    """Return the account of who looks.

    Raises:
        Forbidden: nobody is logged in.
    """
    user = session.get(User, viewer.user_id) if viewer.user_id else None
    if user is None:
        raise Forbidden("Log in to continue.")
    return _account(user)


def get_user_by_login(session: Session, identifier: str) -> User:
    """Return the row of an account by its name or address.

    Raises:
        NotFound: there is none.
    """
    found = find_account(session, identifier)
    if found.user_id is None:
        raise NotFound("Account")
    return session.get_one(User, found.user_id)


def update_password_hash(session: Session, user_id: int, password_hash: str) -> None:
    """Keep a password's hash, such as one made anew at another cost."""
    session.execute(update(User).where(User.id == user_id).values(password_hash=password_hash))


def has_staff(session: Session) -> bool:
    """Tell whether anybody can promote and help others."""
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
    """Log a person in, and return the secret that their browser is to keep."""
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
    """Return who is logged in by a secret; None if nobody is, or no longer."""
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
    """Note that a logged-in browser is in use, and tell whether that was written: no page fails for want of it."""
    statement = (
        update(LoginSession)
        .where(LoginSession.id == session_id, LoginSession.last_seen_at < now - ACTIVITY_INTERVAL)
        .values(last_seen_at=now)
    )
    try:
        begin_write(session)
        return bool(session.execute(statement).rowcount)  # type: ignore[attr-defined]
    except OperationalError:  # the database is busy; the next page notes it
        session.rollback()
        return False


def delete_session(session: Session, session_id: int) -> None:
    """Log a browser out."""
    session.execute(delete(LoginSession).where(LoginSession.id == session_id))


def hash_secret(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
