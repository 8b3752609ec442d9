"""How fresh each source of facts is, what each host lets us do, and how the numbers went from day to day."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, SmallInteger, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from pkgsite.models.base import Base, BigInt, Id


class SourceState(Base):
    """What is known of one source of one package's facts, and who is at it.

    A source is a kind of facts that is asked for on its own: the repository itself ("repo"), its weekly commits
    ("activity"), its people ("people"), the package index ("index"), its downloads ("downloads").
    """

    __tablename__ = "source_state"
    __table_args__ = (UniqueConstraint("package_id", "source"),)

    id: Mapped[Id]
    package_id: Mapped[int] = mapped_column(ForeignKey("package.id", ondelete="CASCADE"))
    source: Mapped[str] = mapped_column(String(20))
    host: Mapped[str] = mapped_column(String(255))  # whom to ask, with a port where it has its own
    target: Mapped[str] = mapped_column(String(255))  # what to ask for: a repository's path, a project's name
    validators: Mapped[dict[str, Any]] = mapped_column(default=dict)  # ETags, serials, ids: for the next request
    fetched_at: Mapped[datetime | None]  # when the host last told us, or said that nothing has changed
    next_due_at: Mapped[datetime]
    priority: Mapped[int] = mapped_column(SmallInteger, default=0)  # of those that are due, the higher comes first
    failures: Mapped[int] = mapped_column(default=0)  # in a row
    misses: Mapped[int] = mapped_column(default=0)  # answers "there is no such thing", in a row
    first_missed_at: Mapped[datetime | None]  # the first of these
    last_error: Mapped[str | None]
    last_error_at: Mapped[datetime | None]
    claimed_by: Mapped[str | None] = mapped_column(String(100))
    claimed_until: Mapped[datetime | None]


# For claims, a host at a time, and for the ages that the status page shows.
Index("ix_source_state_due", SourceState.host, SourceState.priority.desc(), SourceState.next_due_at)
Index("ix_source_state_age", SourceState.source, SourceState.fetched_at)


class HostState(Base):
    """What a host lets us do: until when it wants to be left alone, and what it says of our quotas."""

    __tablename__ = "host_state"

    host: Mapped[str] = mapped_column(String(255), primary_key=True)
    paused_until: Mapped[datetime | None]
    failures: Mapped[int] = mapped_column(default=0)  # pauses in a row because it failed
    quotas: Mapped[dict[str, Any]] = mapped_column(default=dict)  # by name: {"whole", "left", "resets_at" (ISO 8601)}
    last_answer_at: Mapped[datetime | None]
    last_error: Mapped[str | None]
    last_error_at: Mapped[datetime | None]
    validators: Mapped[dict[str, Any]] = mapped_column(default=dict)  # of the question what has changed on it
    checked_at: Mapped[datetime | None]  # when that question was last answered


class DailySample(Base):
    """A package's numbers on one day (UTC)."""

    __tablename__ = "sample"
    __table_args__ = (UniqueConstraint("package_id", "day_on"),)

    id: Mapped[Id]
    package_id: Mapped[int] = mapped_column(ForeignKey("package.id", ondelete="CASCADE"))
    day_on: Mapped[date]
    stars: Mapped[int | None]
    forks: Mapped[int | None]
    downloads: Mapped[int | None] = mapped_column(BigInt)  # of the last month


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
