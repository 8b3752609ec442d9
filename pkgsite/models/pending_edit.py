"""Edits by new users that wait for a moderator's approval."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from pkgsite.models.base import Base, Id


class PendingEdit(Base):
    """An edit that is applied in the user's name if a moderator approves it."""

    __tablename__ = "pending_edit"

    id: Mapped[Id]
    user_id: Mapped[int] = mapped_column(ForeignKey("user.id", ondelete="CASCADE"), index=True)
    at: Mapped[datetime]
    action: Mapped[str] = mapped_column(String(40))  # name of the action, such as "package.edit"
    arguments: Mapped[dict[str, Any]]  # arguments of the action, as JSON
    title: Mapped[str]  # description for the queue
    decided_at: Mapped[datetime | None]
    decided_by_id: Mapped[int | None] = mapped_column(ForeignKey("user.id", ondelete="SET NULL"), index=True)
    is_approved: Mapped[bool | None]  # None until a moderator has decided
    outcome: Mapped[str | None]  # the moderator's comment, or why the edit could not be applied


Index("ix_pending_edit_open", PendingEdit.id, sqlite_where=PendingEdit.decided_at.is_(None),
      postgresql_where=PendingEdit.decided_at.is_(None))  # fmt: skip
