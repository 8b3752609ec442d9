"""Users, their logins, emails and API tokens, and stored responses to idempotent API requests."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, UniqueConstraint, func
from sqlalchemy.orm import Mapped, mapped_column

from pkgsite.models.base import Base, Id, by_code_point

ROLES = ("user", "moderator", "staff")
TOKEN_SCOPES = ("read", "write")


class User(Base):
    __tablename__ = "user"
    __table_args__ = (CheckConstraint(f"role IN {ROLES}", name="role"),)

    id: Mapped[Id]
    username: Mapped[str] = mapped_column(by_code_point(150))
    email: Mapped[str | None] = mapped_column(by_code_point(254))
    email_confirmed_at: Mapped[datetime | None]
    password_hash: Mapped[str | None] = mapped_column(String(255))
    role: Mapped[str] = mapped_column(String(20), default="user")
    is_active: Mapped[bool] = mapped_column(default=True)
    shares_favourites: Mapped[bool] = mapped_column(default=False)
    links: Mapped[list[Any]] = mapped_column(default=list)  # [{"label": …, "url": …}]
    created_at: Mapped[datetime]


class Identity(Base):
    """A user's account with an OAuth provider."""

    __tablename__ = "identity"
    __table_args__ = (UniqueConstraint("provider", "subject"),)

    id: Mapped[Id]
    user_id: Mapped[int] = mapped_column(ForeignKey("user.id", ondelete="CASCADE"), index=True)
    provider: Mapped[str] = mapped_column(String(20))
    subject: Mapped[str] = mapped_column(String(255))  # the provider's user id, which never changes
    login: Mapped[str] = mapped_column(by_code_point(255))
    created_at: Mapped[datetime]


class LoginSession(Base):
    """A browser in which a user is logged in. Its cookie has a secret, of which only the SHA-256 is stored."""

    __tablename__ = "login_session"

    id: Mapped[Id]
    user_id: Mapped[int] = mapped_column(ForeignKey("user.id", ondelete="CASCADE"), index=True)
    secret_hash: Mapped[str] = mapped_column(String(64), unique=True)
    created_at: Mapped[datetime]
    last_seen_at: Mapped[datetime]
    address: Mapped[str] = mapped_column(String(64), default="")
    agent: Mapped[str] = mapped_column(String(200), default="")


class LoginAttempt(Base):
    """A failed login attempt, stored as long as it counts towards the limits of the account and the IP address."""

    __tablename__ = "login_attempt"

    id: Mapped[Id]
    key: Mapped[str] = mapped_column(String(80))  # "account …" or "address …", hashed
    at: Mapped[datetime] = mapped_column(index=True)


class OutboxMessage(Base):
    """An email that is not sent, but shown on the outbox page."""

    __tablename__ = "outbox_message"

    id: Mapped[Id]
    to: Mapped[str] = mapped_column(String(254))
    subject: Mapped[str]
    body: Mapped[str]
    at: Mapped[datetime]


class ApiToken(Base):
    """An API token, of which only the SHA-256 is stored."""

    __tablename__ = "api_token"
    __table_args__ = (CheckConstraint(f"scope IN {TOKEN_SCOPES}", name="scope"),)

    id: Mapped[Id]
    user_id: Mapped[int] = mapped_column(ForeignKey("user.id", ondelete="CASCADE"), index=True)
    name: Mapped[str] = mapped_column(String(100))
    token_hash: Mapped[str] = mapped_column(String(64), unique=True)
    scope: Mapped[str] = mapped_column(String(20), default="read")
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime | None]
    last_used_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]


class IdempotentResponse(Base):
    """The response to an API request with an Idempotency-Key, sent again if the client repeats the request."""

    __tablename__ = "idempotent_response"
    __table_args__ = (UniqueConstraint("user_id", "key", name="uq_idempotent_response_user_id_key"),)

    id: Mapped[Id]
    user_id: Mapped[int] = mapped_column(ForeignKey("user.id", ondelete="CASCADE"))
    key: Mapped[str] = mapped_column(String(200))
    fingerprint: Mapped[str] = mapped_column(String(64))  # of the request: the key is valid for this request only
    at: Mapped[datetime] = mapped_column(index=True)
    status: Mapped[int | None]  # None while the request is being processed
    location: Mapped[str | None]
    body: Mapped[str | None]  # as it was sent


class SavedSubmission(Base):
    """A form that someone sent before logging in, kept for an hour; of its key, only the SHA-256 is stored."""

    __tablename__ = "saved_submission"

    id: Mapped[Id]
    key_hash: Mapped[str] = mapped_column(String(64), unique=True)
    user_id: Mapped[int | None] = mapped_column(ForeignKey("user.id", ondelete="CASCADE"), index=True)
    at: Mapped[datetime] = mapped_column(index=True)
    path: Mapped[str]
    fields: Mapped[list[Any]]  # pairs of name and value


Index("ix_login_attempt_key", LoginAttempt.key, LoginAttempt.at)
Index("uq_user_username_lower", func.lower(User.username), unique=True)
Index("uq_user_email_lower", func.lower(User.email), unique=True)
