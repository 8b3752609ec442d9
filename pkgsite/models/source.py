"""How fresh each source of facts is, and how the numbers went from day to day."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from sqlalchemy import ForeignKey, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from pkgsite.models.base import Base, Id


class SourceState(Base):
    """What is known of one source (a code host, the package index …) of one package's facts."""

    __tablename__ = "source_state"
    __table_args__ = (UniqueConstraint("package_id", "source"),)

    id: Mapped[Id]
    package_id: Mapped[int] = mapped_column(ForeignKey("package.id", ondelete="CASCADE"))
    source: Mapped[str] = mapped_column(String(20))
    validators: Mapped[dict[str, Any]] = mapped_column(
        default=dict
    )  # ETags, serials: what makes the next request cheap
    fetched_at: Mapped[datetime | None]
    next_due_at: Mapped[datetime | None] = mapped_column(index=True)
    failures: Mapped[int] = mapped_column(default=0)  # in a row
    last_error: Mapped[str | None]
    last_error_at: Mapped[datetime | None]
    claimed_by: Mapped[str | None] = mapped_column(String(100))
    claimed_until: Mapped[datetime | None]


class Sample(Base):
    """A package's numbers on one day (UTC)."""

    __tablename__ = "sample"
    __table_args__ = (UniqueConstraint("package_id", "day_on"),)

    id: Mapped[Id]
    package_id: Mapped[int] = mapped_column(ForeignKey("package.id", ondelete="CASCADE"))
    day_on: Mapped[date]
    stars: Mapped[int | None]
    forks: Mapped[int | None]
    downloads: Mapped[int | None]  # of the last month


class ImportProgress(Base):
    """How far an unfinished import from another site has come; the row goes when the import is done."""

    __tablename__ = "import_progress"

    url: Mapped[str] = mapped_column(String(500), primary_key=True)
    stage: Mapped[str] = mapped_column(String(20))
    offset: Mapped[int]  # records of this stage that are done
    total: Mapped[int | None]  # records of this stage, as the site said when the stage began
    restarts: Mapped[int]  # of this stage, because the site's list had changed
    tallies: Mapped[dict[str, Any]]  # for each stage that has begun, what came of its records
    started_at: Mapped[datetime]
    updated_at: Mapped[datetime]
