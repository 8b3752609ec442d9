"""Signed links in emails: each has one purpose, expires, and becomes invalid once the account has changed."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import timedelta

from itsdangerous import BadSignature, URLSafeTimedSerializer
from sqlalchemy.orm import Session

from pkgsite.errors import NotFound
from pkgsite.models import User

REGISTER, CONFIRM, RESET = "register", "confirm", "reset"
LINK_TTLS = {REGISTER: timedelta(days=2), CONFIRM: timedelta(days=2), RESET: timedelta(hours=2)}
MAX_TOKEN_LENGTH = 2000  # characters


@dataclass(frozen=True, slots=True)
class RegistrationClaims:
    """The content of a registration link."""

    username: str
    email: str


@dataclass(frozen=True, slots=True)
class AccountLinkClaims:
    """The content of a link for an existing account.

    Attributes:
        email: The address to confirm; for a password reset, the account's address when the link was created.
    """

    user_id: int
    username: str
    email: str


def sign_registration(key: str, username: str, email: str) -> str:
    return _signer(key, REGISTER).dumps([username, email])


def verify_registration(key: str, token: str) -> RegistrationClaims:
    """Return the claims of a registration link.

    Raises:
        NotFound: The link is invalid or expired.
    """
    username, email = _verify(key, REGISTER, token, 2)
    return RegistrationClaims(str(username), str(email))


def sign_account_link(key: str, purpose: str, user: User, email: str) -> str:
    """Return the token of a link to confirm this address or to reset the password."""
    return _signer(key, purpose).dumps([user.id, email, _fingerprint(user)])


def verify_account_link(session: Session, key: str, purpose: str, token: str) -> AccountLinkClaims:
    """Return the claims of an account link.

    Raises:
        NotFound: The link is invalid, expired or already used, or the account has changed since.
    """
    user_id, email, fingerprint = _verify(key, purpose, token, 3)
    user = session.get(User, user_id) if isinstance(user_id, int) else None
    if user is None or not user.is_active or _fingerprint(user) != fingerprint:
        raise NotFound("Link")
    return AccountLinkClaims(user.id, user.username, str(email))


def _signer(key: str, purpose: str) -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(key, salt=f"account link: {purpose}", signer_kwargs={"digest_method": hashlib.sha256})


def _verify(key: str, purpose: str, token: str, field_count: int) -> list[object]:
    try:
        payload = _signer(key, purpose).loads(token[:MAX_TOKEN_LENGTH], max_age=int(LINK_TTLS[purpose].total_seconds()))
    except BadSignature as error:
        raise NotFound("Link") from error
    if not isinstance(payload, list) or len(payload) != field_count:
        raise NotFound("Link")
    return payload


def _fingerprint(user: User) -> str:
    """Return a digest of the account that changes when a link has been used or should no longer work."""
    state = (user.id, user.email, str(user.email_confirmed_at), user.password_hash, user.is_active)
    return hashlib.sha256(repr(state).encode()).hexdigest()[:24]
