"""What people say of a package beside its page: favourites, "I use this", sites that use it, flags."""

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
    """A person says: I use this."""

    __tablename__ = "usage"
    __table_args__ = (UniqueConstraint("user_id", "package_id"),)

    id: Mapped[Id]
    user_id: Mapped[int] = mapped_column(ForeignKey("user.id", ondelete="CASCADE"))
    package_id: Mapped[int] = mapped_column(ForeignKey("package.id", ondelete="CASCADE"), index=True)
    created_at: Mapped[datetime]


class UsingSite(Base):
    """A public site that uses a package; shown once a moderator has approved it."""

    __tablename__ = "site_using"

    id: Mapped[Id]
    package_id: Mapped[int] = mapped_column(ForeignKey("package.id", ondelete="CASCADE"), index=True)
    title: Mapped[Title]
    url: Mapped[str] = mapped_column(String(200))
    is_approved: Mapped[bool | None]  # None: nobody has decided yet
    version: Mapped[int] = mapped_column(default=1)  # counts people's edits
    created_at: Mapped[datetime]
    created_by_id: Mapped[int | None] = mapped_column(ForeignKey("user.id", ondelete="SET NULL"), index=True)


class Flag(Base):
    """A person tells the moderators that something is wrong with a package; each person has one open flag a package."""

    __tablename__ = "flag"
    __table_args__ = (CheckConstraint(f"kind IN {FLAG_KINDS}", name="kind"),)

    id: Mapped[Id]
    package_id: Mapped[int] = mapped_column(ForeignKey("package.id", ondelete="CASCADE"))
    user_id: Mapped[int] = mapped_column(ForeignKey("user.id", ondelete="CASCADE"), index=True)
    kind: Mapped[str] = mapped_column(String(20))
    reason: Mapped[str]
    created_at: Mapped[datetime]
    answer: Mapped[str | None]  # what an author of the package says to it
    answered_at: Mapped[datetime | None]
    answered_by_id: Mapped[int | None] = mapped_column(ForeignKey("user.id", ondelete="SET NULL"), index=True)
    closed_at: Mapped[datetime | None]
    closed_by_id: Mapped[int | None] = mapped_column(ForeignKey("user.id", ondelete="SET NULL"), index=True)
    outcome: Mapped[str | None]  # the moderator's words


Index("uq_flag_open", Flag.package_id, Flag.user_id, unique=True,
      sqlite_where=Flag.closed_at.is_(None), postgresql_where=Flag.closed_at.is_(None))  # fmt: skip
