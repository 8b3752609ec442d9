"""Personal API tokens."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import or_, select, update
from sqlalchemy.orm import Session

from pkgsite.errors import NotFound
from pkgsite.models import ApiToken, User, begin_write
from pkgsite.models.user import TOKEN_SCOPES
from pkgsite.rules.texts import FieldReader
from pkgsite.services.accounts.users import hash_secret
from pkgsite.services.permissions import Viewer, require_login

TOKEN_PREFIX = "pkgs_"  # noqa: S105  # lets people and secret scanners recognise a token
MAX_TOKENS = 50  # per user
MAX_NAME_LENGTH = 100
MAX_LIFETIME = timedelta(days=3660)
ACTIVITY_INTERVAL = timedelta(minutes=10)  # minimum time between updates of `last_used_at`


@dataclass(frozen=True, slots=True)
class TokenRecord:
    """A token as its owner sees it; the secret is shown only once, on creation."""

    id: int
    name: str
    scope: str
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None
    is_expired: bool


@dataclass(frozen=True, slots=True)
class TokenPrincipal:
    """An authenticated token.

    Attributes:
        is_activity_due: Whether `last_used_at` should be updated, with `record_token_use`.
    """

    token_id: int
    viewer: Viewer
    can_write: bool
    is_activity_due: bool


def create_token(
    session: Session, *, name: str, scope: str, expires_at: datetime | None, by: Viewer, now: datetime
) -> str:
    """Create a token, and return its secret, which is not stored.

    Raises:
        Invalid: The name, the scope or the expiry date is invalid; the errors are under the field's name.
        Forbidden: The viewer is not logged in.
    """
    user_id = require_login(by)
    reader = FieldReader()
    name = reader.read_line("name", name, MAX_NAME_LENGTH, is_required=True)
    if scope not in TOKEN_SCOPES:
        reader.add_error("scope", "Select read-only or read and write access.")
    if expires_at is not None and not now < expires_at <= now + MAX_LIFETIME:
        reader.add_error("expires_at", "The expiry date must be in the future and within 10 years.")
    active_tokens = (
        select(ApiToken.id).where(ApiToken.user_id == user_id, ApiToken.revoked_at.is_(None)).limit(MAX_TOKENS)
    )
    if len(session.scalars(active_tokens).all()) >= MAX_TOKENS:
        reader.add_error("name", f"You already have the maximum of {MAX_TOKENS} tokens. Revoke one first.")
    reader.raise_if_invalid()
    secret = TOKEN_PREFIX + secrets.token_urlsafe(32)
    token = ApiToken(user_id=user_id, name=name, token_hash=hash_secret(secret), scope=scope)
    token.created_at, token.expires_at = now, expires_at
    session.add(token)
    session.flush()
    return secret


def list_tokens(session: Session, viewer: Viewer, *, now: datetime) -> list[TokenRecord]:
    """Return the viewer's tokens that are not revoked, newest first."""
    rows = select(ApiToken).where(ApiToken.user_id == require_login(viewer), ApiToken.revoked_at.is_(None))
    return [
        TokenRecord(
            id=token.id,
            name=token.name,
            scope=token.scope,
            created_at=token.created_at,
            expires_at=token.expires_at,
            last_used_at=token.last_used_at,
            is_expired=token.expires_at is not None and token.expires_at <= now,
        )
        for token in session.scalars(rows.order_by(ApiToken.id.desc()))
    ]


def revoke_token(session: Session, token_id: int, *, by: Viewer, now: datetime) -> None:
    """Revoke one of the user's own tokens.

    Raises:
        NotFound: The user has no such token.
    """
    statement = update(ApiToken).where(ApiToken.id == token_id, ApiToken.user_id == require_login(by))
    result = session.execute(statement.where(ApiToken.revoked_at.is_(None)).values(revoked_at=now))
    if not result.rowcount:  # type: ignore[attr-defined]
        raise NotFound("Token")


def authenticate_token(session: Session, secret: str, *, now: datetime) -> TokenPrincipal | None:
    """Return the principal of a token, or None if it is unknown, expired or revoked, or its owner is disabled."""
    row = session.execute(
        select(ApiToken.id, ApiToken.scope, ApiToken.last_used_at, User.id.label("user_id"), User.username, User.role)
        .join(User, User.id == ApiToken.user_id)
        .where(
            ApiToken.token_hash == hash_secret(secret),
            ApiToken.revoked_at.is_(None),
            or_(ApiToken.expires_at.is_(None), ApiToken.expires_at > now),
            User.is_active,
        )
    ).one_or_none()
    if row is None:
        return None
    is_activity_due = row.last_used_at is None or row.last_used_at < now - ACTIVITY_INTERVAL
    return TokenPrincipal(row.id, Viewer(row.user_id, row.username, row.role), row.scope == "write", is_activity_due)


def record_token_use(session: Session, token_id: int, *, now: datetime) -> None:
    """Update when a token was last used, in a separate transaction."""
    begin_write(session)
    session.execute(update(ApiToken).where(ApiToken.id == token_id).values(last_used_at=now))
