"""People, how they log in, and the tokens of their programs."""

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
    """A person's account at a place that vouches for them (OAuth)."""

    __tablename__ = "identity"
    __table_args__ = (UniqueConstraint("provider", "subject"),)

    id: Mapped[Id]
    user_id: Mapped[int] = mapped_column(ForeignKey("user.id", ondelete="CASCADE"), index=True)
    provider: Mapped[str] = mapped_column(String(20))
    subject: Mapped[str] = mapped_column(String(255))  # the provider's own id, which a rename does not change
    login: Mapped[str] = mapped_column(by_code_point(255))
    created_at: Mapped[datetime]


class LoginSession(Base):
    """A browser in which a person is logged in: its cookie holds a secret of which only the SHA-256 is kept."""

    __tablename__ = "login_session"

    id: Mapped[Id]
    user_id: Mapped[int] = mapped_column(ForeignKey("user.id", ondelete="CASCADE"), index=True)
    secret_hash: Mapped[str] = mapped_column(String(64), unique=True)
    created_at: Mapped[datetime]
    last_seen_at: Mapped[datetime]
    address: Mapped[str] = mapped_column(String(64), default="")
    agent: Mapped[str] = mapped_column(String(200), default="")


class LoginAttempt(Base):
    """A failed try to log in, kept for as long as it counts against its account and its address."""

    __tablename__ = "login_attempt"

    id: Mapped[Id]
    key: Mapped[str] = mapped_column(String(80))  # "account …" or "address …", hashed
    at: Mapped[datetime] = mapped_column(index=True)


class OutboxMessage(Base):
    """A message that was not sent, but laid where the person at this machine can read it."""

    __tablename__ = "outbox_message"

    id: Mapped[Id]
    to: Mapped[str] = mapped_column(String(254))
    subject: Mapped[str]
    body: Mapped[str]
    at: Mapped[datetime]


class ApiToken(Base):
    """A program's key: only its SHA-256 is kept."""

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
    """What a program was answered to a request with an Idempotency-Key: asked again, it is answered the same."""

    __tablename__ = "kept_answer"
    __table_args__ = (UniqueConstraint("user_id", "key", name="uq_kept_answer_user_id_key"),)

    id: Mapped[Id]
    user_id: Mapped[int] = mapped_column(ForeignKey("user.id", ondelete="CASCADE"))
    key: Mapped[str] = mapped_column(String(200))
    fingerprint: Mapped[str] = mapped_column(String(64))  # of the request: the key is good for that one alone
    at: Mapped[datetime] = mapped_column(index=True)
    status: Mapped[int | None]  # None: the request is being answered
    location: Mapped[str | None]
    body: Mapped[str | None]  # as it was sent


Index("ix_login_attempt_key", LoginAttempt.key, LoginAttempt.at)
Index("uq_user_username_lower", func.lower(User.username), unique=True)
Index("uq_user_email_lower", func.lower(User.email), unique=True)
