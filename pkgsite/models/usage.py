"""What users add to a package without editing it: favourites, usages, sites that use it, and flags."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from pkgsite.models.base import Base, Id, Title

FLAG_KINDS = ("spam", "duplicate", "dead", "wrong", "deprecate")


class Favourite(Base):
    __tablename__ = "favourite"
    __table_args__ = (UniqueConstraint("user_id", "package_id"),)

    id: Mapped[Id]
    user_id: Mapped[int] = mapped_column(ForeignKey("user.id", ondelete="CASCADE"))
    package_id: Mapped[int] = mapped_column(ForeignKey("package.id", ondelete="CASCADE"), index=True)
    created_at: Mapped[datetime]


class Usage(Base):
    """A user's "I use this"."""

    __tablename__ = "usage"
    __table_args__ = (UniqueConstraint("user_id", "package_id"),)

    id: Mapped[Id]
    user_id: Mapped[int] = mapped_column(ForeignKey("user.id", ondelete="CASCADE"))
    package_id: Mapped[int] = mapped_column(ForeignKey("package.id", ondelete="CASCADE"), index=True)
    created_at: Mapped[datetime]


class UsingSite(Base):
    """A public site that uses a package; shown after approval by a moderator."""

    __tablename__ = "using_site"

    id: Mapped[Id]
    package_id: Mapped[int] = mapped_column(ForeignKey("package.id", ondelete="CASCADE"), index=True)
    title: Mapped[Title]
    url: Mapped[str] = mapped_column(String(200))
    is_approved: Mapped[bool | None]  # None until a moderator has decided
    version: Mapped[int] = mapped_column(default=1)  # incremented with each edit by a user
    created_at: Mapped[datetime]
    created_by_id: Mapped[int | None] = mapped_column(ForeignKey("user.id", ondelete="SET NULL"), index=True)


class Flag(Base):
    """A user's report to the moderators about a package; each user can have one open flag per package."""

    __tablename__ = "flag"
    __table_args__ = (CheckConstraint(f"kind IN {FLAG_KINDS}", name="kind"),)

    id: Mapped[Id]
    package_id: Mapped[int] = mapped_column(ForeignKey("package.id", ondelete="CASCADE"))
    user_id: Mapped[int] = mapped_column(ForeignKey("user.id", ondelete="CASCADE"), index=True)
    kind: Mapped[str] = mapped_column(String(20))
    reason: Mapped[str]
    created_at: Mapped[datetime]
    reply: Mapped[str | None]  # by an author of the package or a moderator
    replied_at: Mapped[datetime | None]
    replied_by_id: Mapped[int | None] = mapped_column(ForeignKey("user.id", ondelete="SET NULL"), index=True)
    closed_at: Mapped[datetime | None]
    closed_by_id: Mapped[int | None] = mapped_column(ForeignKey("user.id", ondelete="SET NULL"), index=True)
    outcome: Mapped[str | None]  # the moderator's comment


Index("uq_flag_open", Flag.package_id, Flag.user_id, unique=True,
      sqlite_where=Flag.closed_at.is_(None), postgresql_where=Flag.closed_at.is_(None))  # fmt: skip
