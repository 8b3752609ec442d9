"""The state of each source of facts and of each host, daily samples of the numbers, and the progress of imports."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, SmallInteger, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from pkgsite.models.base import Base, BigInt, Id


class SourceState(Base):
    """The state of one source of one package's facts, and the process that is fetching it.

    A source is a kind of facts that is fetched separately: the repository ("repo"), its weekly commits ("activity"),
    its contributors ("people"), the package index ("index") or the download counts ("downloads").
    """

    __tablename__ = "source_state"
    __table_args__ = (UniqueConstraint("package_id", "source"),)

    id: Mapped[Id]
    package_id: Mapped[int] = mapped_column(ForeignKey("package.id", ondelete="CASCADE"))
    source: Mapped[str] = mapped_column(String(20))
    host: Mapped[str] = mapped_column(String(255))  # with the port, if it is not the default
    target: Mapped[str] = mapped_column(String(255))  # path of the repository, or name of the project
    validators: Mapped[dict[str, Any]] = mapped_column(default=dict)  # ETags, serials and ids for the next request
    fetched_at: Mapped[datetime | None]  # last successful fetch, even if nothing had changed
    # The facts that the last response did not mention, with the time (ISO 8601) of the last one that did.
    stated_at: Mapped[dict[str, Any] | None]
    next_due_at: Mapped[datetime]
    priority: Mapped[int] = mapped_column(SmallInteger, default=0)  # higher values are fetched first
    failures: Mapped[int] = mapped_column(default=0)  # consecutive failures
    misses: Mapped[int] = mapped_column(default=0)  # consecutive "not found" responses
    first_missed_at: Mapped[datetime | None]  # time of the first of these
    last_error: Mapped[str | None]
    last_error_at: Mapped[datetime | None]
    claimed_by: Mapped[str | None] = mapped_column(String(100))
    claimed_until: Mapped[datetime | None]


# For claiming due sources host by host, and for the ages on the status page.
Index("ix_source_state_due", SourceState.host, SourceState.priority.desc(), SourceState.next_due_at)
Index("ix_source_state_age", SourceState.source, SourceState.fetched_at)
Index("ix_source_state_target", SourceState.target, SourceState.source)


class HostState(Base):
    """The state of a host: its pauses, rate limit quotas and errors."""

    __tablename__ = "host_state"

    host: Mapped[str] = mapped_column(String(255), primary_key=True)
    paused_until: Mapped[datetime | None]
    failures: Mapped[int] = mapped_column(default=0)  # consecutive pauses because of errors
    quotas: Mapped[dict[str, Any]] = mapped_column(default=dict)  # by name: {"whole", "left", "resets_at" (ISO 8601)}
    last_answer_at: Mapped[datetime | None]
    last_error: Mapped[str | None]
    last_error_at: Mapped[datetime | None]
    validators: Mapped[dict[str, Any]] = mapped_column(default=dict)  # for the request for recent changes
    checked_at: Mapped[datetime | None]  # last successful request for recent changes


class DailySample(Base):
    """A package's numbers on one day, in UTC."""

    __tablename__ = "daily_sample"
    __table_args__ = (UniqueConstraint("package_id", "day_on"),)

    id: Mapped[Id]
    package_id: Mapped[int] = mapped_column(ForeignKey("package.id", ondelete="CASCADE"))
    day_on: Mapped[date]
    stars: Mapped[int | None]
    forks: Mapped[int | None]
    downloads: Mapped[int | None] = mapped_column(BigInt)  # in the last month


class ImportProgress(Base):
    """The progress of an unfinished import from another site; the row is deleted when the import is complete."""

    __tablename__ = "import_progress"

    url: Mapped[str] = mapped_column(String(500), primary_key=True)
    stage: Mapped[str] = mapped_column(String(20))
    offset: Mapped[int]  # records of this stage that are complete
    total: Mapped[int | None]  # records of this stage, as reported when the stage started
    restarts: Mapped[int]  # restarts of this stage because the site's list changed
    tallies: Mapped[dict[str, Any]]  # counts of results by stage
    started_at: Mapped[datetime]
    updated_at: Mapped[datetime]
