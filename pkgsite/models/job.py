"""Scheduled jobs: leases and the log of runs."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from pkgsite.models.base import Base, Id


class Lease(Base):
    """A role held by one process at a time. It expires at `held_until` unless the process renews it."""

    __tablename__ = "lease"

    name: Mapped[str] = mapped_column(String(50), primary_key=True)
    holder: Mapped[str] = mapped_column(String(100))
    held_until: Mapped[datetime]


class JobRun(Base):
    """One run of a scheduled job.

    Each scheduled time of a job has at most one run, even if another process takes over the lease.
    """

    __tablename__ = "job_run"
    __table_args__ = (UniqueConstraint("job", "tick_at"),)

    id: Mapped[Id]
    job: Mapped[str] = mapped_column(String(50))
    tick_at: Mapped[datetime]  # scheduled time
    holder: Mapped[str] = mapped_column(String(100))
    started_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]  # None if it is running or its process died
    result: Mapped[dict[str, Any] | None]  # counts by name
    error: Mapped[str | None]


Index("ix_job_run_started", JobRun.started_at)
