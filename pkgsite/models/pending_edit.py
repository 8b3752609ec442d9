"""Edits by newcomers, held until a moderator has looked at them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from pkgsite.models.base import Base, Id


class PendingEdit(Base):
    """What a person asked for, to be done in their name once a moderator agrees."""

    __tablename__ = "held_edit"

    id: Mapped[Id]
    user_id: Mapped[int] = mapped_column(ForeignKey("user.id", ondelete="CASCADE"), index=True)
    at: Mapped[datetime]
    action: Mapped[str] = mapped_column(String(40))  # by its name in `services.acts`
    arguments: Mapped[dict[str, Any]]  # what the act takes, as JSON
    title: Mapped[str]  # what it is about, for the queue
    decided_at: Mapped[datetime | None]
    decided_by_id: Mapped[int | None] = mapped_column(ForeignKey("user.id", ondelete="SET NULL"), index=True)
    is_approved: Mapped[bool | None]  # None: nobody has decided yet
    outcome: Mapped[str | None]  # the moderator's words, or why it could not be done


Index("ix_held_edit_open", PendingEdit.id, sqlite_where=PendingEdit.decided_at.is_(None),
      postgresql_where=PendingEdit.decided_at.is_(None))  # fmt: skip
