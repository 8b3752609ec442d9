"""Scheduled work: who does it, and what came of it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from pkgsite.models.base import Base, Id


class Lease(Base):
    """A duty that one process at a time has, for as long as it says that it is alive."""

    __tablename__ = "lease"

    name: Mapped[str] = mapped_column(String(50), primary_key=True)
    holder: Mapped[str] = mapped_column(String(100))
    held_until: Mapped[datetime]


class JobRun(Base):
    """One run of a scheduled job. A tick of a job has one run at most, whoever holds the lease."""

    __tablename__ = "job_run"
    __table_args__ = (UniqueConstraint("job", "tick_at"),)

    id: Mapped[Id]
    job: Mapped[str] = mapped_column(String(50))
    tick_at: Mapped[datetime]  # the moment of the timetable that it stands for
    holder: Mapped[str] = mapped_column(String(100))
    started_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]  # None: it is at work, or its process died
    result: Mapped[dict[str, Any] | None]  # counts by name
    error: Mapped[str | None]


Index("ix_job_run_started", JobRun.started_at)
