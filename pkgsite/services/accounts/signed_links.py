"""Links that letters carry: signed, for one purpose, for a time, and dead once what they are about has changed."""

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
    """What a person who registers has told of themselves."""

    username: str
    email: str


@dataclass(frozen=True, slots=True)
class AccountLinkClaims:
    """What a link of an account is about.

    Attributes:
        email: The address that is to be confirmed; of a reset the address that the account had.
    """

    user_id: int
    username: str
    email: str


def sign_registration(key: str, username: str, email: str) -> str:
    return _signer(key, REGISTER).dumps([username, email])


def verify_registration(key: str, token: str) -> RegistrationClaims:
    """Return what a registration's link carries.

    Raises:
        NotFound: it is not one of ours, or too old.
    """
    username, email = _verify(key, REGISTER, token, 2)
    return RegistrationClaims(str(username), str(email))


def sign_account_link(key: str, purpose: str, user: User, email: str) -> str:
    """Return the token of a link that lets its reader confirm this address, or choose a new password."""
    return _signer(key, purpose).dumps([user.id, email, _fingerprint(user)])


def verify_account_link(session: Session, key: str, purpose: str, token: str) -> AccountLinkClaims:
    """Return what a link is about.

    Raises:
        NotFound: it is not one of ours, too old, used up, or the account has changed since.
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
    except BadSignature as refusal:
        raise NotFound("Link") from refusal
    if not isinstance(payload, list) or len(payload) != field_count:
        raise NotFound("Link")
    return payload


def _fingerprint(user: User) -> str:
    """Return what changes when a link of this account has done its work, or should do it no more."""
    state = (user.id, user.email, str(user.email_confirmed_at), user.password_hash, user.is_active)
    return hashlib.sha256(repr(state).encode()).hexdigest()[:24]
