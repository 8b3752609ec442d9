"""Revisions: every change that a person made, kept for ever."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, String, event
from sqlalchemy.orm import Mapped, Mapper, mapped_column

from pkgsite.models.base import Base, Id


class Revision(Base):
    """Who changed what, when, from what to what. Rows are added, never changed or deleted."""

    __tablename__ = "revision"

    id: Mapped[Id]
    at: Mapped[datetime] = mapped_column(index=True)
    user_id: Mapped[int | None] = mapped_column(ForeignKey("user.id", ondelete="SET NULL"), index=True)
    object_type: Mapped[str] = mapped_column(String(20))  # "package", "grid", "feature", "cell" …
    object_id: Mapped[int]  # no foreign key: the revision outlives its object
    action: Mapped[str] = mapped_column(String(20))  # "add", "edit", "delete": what became of the object
    before: Mapped[dict[str, Any] | None]  # the changed fields alone, by name; None where there was nothing
    after: Mapped[dict[str, Any] | None]
    reason: Mapped[str] = mapped_column(default="")
    via: Mapped[str] = mapped_column(String(10), default="page")  # "page", "api" or "command"
    head_id: Mapped[int | None] = mapped_column(index=True)  # the first revision of the same act; None: this one

    # Whose history it is told in. No foreign keys, for the same reason.
    grid_id: Mapped[int | None] = mapped_column(index=True)
    package_id: Mapped[int | None] = mapped_column(index=True)
    feature_id: Mapped[int | None] = mapped_column(index=True)


Index("ix_revision_object", Revision.object_type, Revision.object_id, Revision.id)


@event.listens_for(Revision, "before_update")
@event.listens_for(Revision, "before_delete")
def reject_change(_mapper: Mapper[Revision], _connection: object, revision: Revision) -> None:
    raise RuntimeError(f"revision {revision.id} can't be changed or deleted: history is read-only")
