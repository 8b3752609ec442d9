"""The data of the status page: jobs, hosts, freshness of facts, and failures."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from pkgsite.models import HostState, JobRun, Lease, Package, SourceState
from pkgsite.rules.freshness import Source
from pkgsite.rules.timetable import TIMETABLE, Job
from pkgsite.services.packages.records import VISIBLE
from pkgsite.services.refresh.queue import RefreshResult

SCHEDULER_LEASE = "scheduler"  # held by the process that runs the jobs
MAX_FAILURES = 20
PERCENTILES = (50, 95)
UNEXPECTED_ERROR = re.compile(r"(\w+(?:Error|Exception)): ")  # a bug, as stored in the log: exception and message
HAS_FAILED = SourceState.last_error_at.is_not(None) & SourceState.last_error.is_not(None)


@dataclass(frozen=True, slots=True)
class JobStatus:
    """A scheduled job with its last run, if any, and its next."""

    title: str
    interval: timedelta
    next_at: datetime
    started_at: datetime | None = None
    ended_at: datetime | None = None
    counts: tuple[tuple[str, int], ...] = ()  # nonzero counts of the result, by name
    error: str | None = None
    is_running: bool = False
    is_interrupted: bool = False  # not finished, and its process no longer holds the lease

    @property
    def duration(self) -> timedelta | None:
        return self.ended_at - self.started_at if self.started_at and self.ended_at else None


@dataclass(frozen=True, slots=True)
class QuotaStatus:
    """One of our quotas, as reported by a host."""

    name: str
    limit: int
    remaining: int
    resets_at: datetime | None  # None if the quota has been reset since


@dataclass(frozen=True, slots=True)
class HostStatus:
    """A host that facts are fetched from."""

    host: str
    last_answer_at: datetime | None
    paused_until: datetime | None  # None if not paused
    last_error: str | None  # the last error, unless the host has responded since
    last_error_at: datetime | None
    checked_at: datetime | None  # last check for changes, on hosts that support it
    quotas: tuple[QuotaStatus, ...]


@dataclass(frozen=True, slots=True)
class SourceStatus:
    """Freshness of one source over all packages."""

    source: Source
    total: int
    never_fetched: int
    due: int
    failing: int
    missing: int
    median_fetched_at: datetime | None = None  # 50% of the fetched ones were fetched since then
    p95_fetched_at: datetime | None = None  # 95% of the fetched ones were fetched since then


@dataclass(frozen=True, slots=True)
class SourceFailure:
    """A source of a package whose last fetch failed."""

    slug: str
    title: str
    source: Source
    host: str
    error: str
    failed_at: datetime
    next_at: datetime


@dataclass(frozen=True, slots=True)
class StatusPage:
    """The data of the status page."""

    jobs: list[JobStatus]
    is_scheduler_running: bool  # the name of its process is not public
    hosts: list[HostStatus]
    sources: list[SourceStatus]
    failures: list[SourceFailure]

    @property
    def has_run(self) -> bool:
        return any(job.started_at for job in self.jobs)

    @property
    def has_sources(self) -> bool:
        return any(source.total for source in self.sources)


class CheckStatus(StrEnum):
    """The result of a health check, from the best to the worst."""

    OK = "ok"
    WARNING = "warning"  # requests can be served
    FAILING = "failing"


@dataclass(frozen=True, slots=True)
class Check:
    """A health check. The message, a sentence, is public."""

    name: str
    status: CheckStatus
    message: str


@dataclass(frozen=True, slots=True)
class LastRun:
    """The last finished run of a job."""

    job: str
    ended_at: datetime
    has_failed: bool


def ping_database(session: Session) -> None:
    """Run a statement; the driver's error is raised if the database is not available."""
    session.execute(select(1))


def database_revision(session: Session) -> str | None:
    """Return the revision (migration) of the database; None if it is not migrated."""
    revision: str | None = session.scalar(text("SELECT version_num FROM alembic_version"))
    return revision


def check_scheduler(session: Session, *, now: datetime) -> Check:
    """Return whether a process runs the scheduled jobs, and how long ago one started. Pages are served without it."""
    is_running = is_scheduler_running(session, now=now)
    last_started_at = session.scalar(select(func.max(JobRun.started_at)))
    age = f"the last job started {_seconds(now - last_started_at)} ago" if last_started_at else "no job has started yet"
    if is_running:
        return Check("scheduler", CheckStatus.OK, f"A scheduler is running; {age}.")
    return Check("scheduler", CheckStatus.WARNING, f"No scheduler is running; {age}.")


def _seconds(duration: timedelta) -> str:
    return f"{max(0, round(duration.total_seconds())):,} s"


def is_scheduler_running(session: Session, *, now: datetime) -> bool:
    lease = select(Lease.name).where(Lease.name == SCHEDULER_LEASE, Lease.held_until > now)
    return session.scalar(lease) is not None


def last_runs(session: Session) -> list[LastRun]:
    """Return the last finished run of each job that has finished one."""
    last = [
        select(JobRun.id)
        .where(JobRun.job == job.name, JobRun.ended_at.is_not(None))
        .order_by(JobRun.tick_at.desc())
        .limit(1)
        .scalar_subquery()
        for job in TIMETABLE
    ]
    runs = session.scalars(select(JobRun).where(JobRun.id.in_(last)))
    return [LastRun(run.job, run.ended_at, run.error is not None) for run in runs if run.ended_at]


def status_page(session: Session, *, now: datetime) -> StatusPage:
    """Return the data of the status page."""
    holder = session.scalar(select(Lease.holder).where(Lease.name == SCHEDULER_LEASE, Lease.held_until > now))
    return StatusPage(
        jobs=_jobs(session, holder, now),
        is_scheduler_running=holder is not None,
        hosts=_hosts(session, now),
        sources=_sources(session, now),
        failures=_failures(session),
    )


def _jobs(session: Session, holder: str | None, now: datetime) -> list[JobStatus]:
    last = [
        select(JobRun.id)
        .where(JobRun.job == job.name, JobRun.tick_at <= now)
        .order_by(JobRun.tick_at.desc())
        .limit(1)
        .scalar_subquery()
        for job in TIMETABLE
    ]
    runs = {run.job: run for run in session.scalars(select(JobRun).where(JobRun.id.in_(last)))}
    return [_job(job, runs.get(job.name), holder, now) for job in TIMETABLE]


def _job(job: Job, run: JobRun | None, holder: str | None, now: datetime) -> JobStatus:
    next_at = job.next_tick(now)
    if run is None:
        return JobStatus(job.title, job.interval, next_at)
    return JobStatus(
        title=job.title,
        interval=job.interval,
        next_at=next_at,
        started_at=run.started_at,
        ended_at=run.ended_at,
        counts=_counts(run.result),
        error=_public_error(run.error),
        is_running=run.ended_at is None and run.holder == holder,
        is_interrupted=run.ended_at is None and run.holder != holder,
    )


def _public_error(error: str | None) -> str | None:
    """Return a run's error for the public page: only the exception's name for a bug, whose message may be private."""
    bug = UNEXPECTED_ERROR.match(error or "")
    return f"{bug.group(1)} (see the log for details)" if bug else error


def _counts(result: Mapping[str, Any] | None) -> tuple[tuple[str, int], ...]:
    """Return the nonzero counts of a run's result."""
    return tuple((_label(name, count), count) for name, count in (result or {}).items() if type(count) is int and count)


def _label(name: str, count: int) -> str:
    """Return the display name of a count."""
    if name in set(RefreshResult):
        return RefreshResult(name).label
    return "paused host" if name == "paused hosts" and count == 1 else name.replace("_", " ")


def _hosts(session: Session, now: datetime) -> list[HostStatus]:
    states = session.scalars(select(HostState).order_by(HostState.host)).all()
    errors = _errors_by_host(session)
    return [_host(state, errors.get(state.host), now) for state in states]


def _host(state: HostState, source_error: tuple[str, datetime] | None, now: datetime) -> HostStatus:
    last_response_at, is_paused = state.last_answer_at, state.paused_until is not None and state.paused_until > now
    error, error_at = state.last_error, state.last_error_at
    if error is None and last_response_at is None and source_error:
        # Too few failures for a pause, but no response at all.
        error, error_at = source_error
    if last_response_at and error_at and error_at < last_response_at and not is_paused:
        error = error_at = None  # it has responded since
    return HostStatus(
        host=state.host,
        last_answer_at=last_response_at,
        paused_until=state.paused_until if is_paused else None,
        last_error=error,
        last_error_at=error_at,
        checked_at=state.checked_at,
        quotas=tuple(_quota(name, values, now) for name, values in sorted(state.quotas.items())),
    )


def _errors_by_host(session: Session) -> dict[str, tuple[str, datetime]]:
    """Return the last error of any source of each host, with its time."""
    rank = func.row_number().over(
        partition_by=SourceState.host, order_by=[SourceState.last_error_at.desc(), SourceState.id]
    )
    failed = select(SourceState.host, SourceState.last_error, SourceState.last_error_at, rank.label("rank"))
    ranked = failed.where(HAS_FAILED).subquery().c
    rows = session.execute(select(ranked.host, ranked.last_error, ranked.last_error_at).where(ranked.rank == 1))
    return {host: (error, error_at) for host, error, error_at in rows}


def _quota(name: str, values: Mapping[str, Any], now: datetime) -> QuotaStatus:
    resets_at = datetime.fromisoformat(values["resets_at"])
    if resets_at <= now:
        return QuotaStatus(name, values["whole"], values["whole"], None)
    return QuotaStatus(name, values["whole"], values["left"], resets_at)


def _sources(session: Session, now: datetime) -> list[SourceStatus]:
    counts = select(
        SourceState.source,
        func.count(),
        func.count(SourceState.fetched_at),
        *[
            func.count().filter(condition)
            for condition in (SourceState.next_due_at <= now, SourceState.failures > 0, SourceState.misses > 0)
        ],
    ).group_by(SourceState.source)
    rows = {source: tuple(row) for source, *row in session.execute(counts)}
    counts_by_source = {source: rows.get(source, (0, 0, 0, 0, 0)) for source in Source}
    percentiles = iter(_fetch_percentiles(session, {source: row[1] for source, row in counts_by_source.items()}))
    return [
        SourceStatus(source, total, total - fetched, due, failing, missing, next(percentiles), next(percentiles))
        for source, (total, fetched, due, failing, missing) in counts_by_source.items()
    ]


def _fetch_percentiles(session: Session, fetched: Mapping[Source, int]) -> Sequence[datetime | None]:
    """Return, for each source and percentile, the time since which that share of packages has been fetched.

    Each value is read by its offset in the index by source and time, without reading the others.
    """
    percentiles = [
        select(SourceState.fetched_at)
        .where(SourceState.source == source, SourceState.fetched_at.is_not(None))
        .order_by(SourceState.fetched_at.desc())
        .offset(max(-(-count * percentile // 100) - 1, 0))
        .limit(1)
        .scalar_subquery()
        for source, count in fetched.items()
        for percentile in PERCENTILES
    ]
    return tuple(session.execute(select(*percentiles)).one())


def _failures(session: Session) -> list[SourceFailure]:
    rows = session.execute(
        select(
            Package.slug,
            Package.title,
            SourceState.source,
            SourceState.host,
            SourceState.last_error,
            SourceState.last_error_at,
            SourceState.next_due_at,
        )
        .join(Package, Package.id == SourceState.package_id)
        .where(HAS_FAILED, VISIBLE)
        .order_by(SourceState.last_error_at.desc(), SourceState.id)
        .limit(MAX_FAILURES)
    )
    return [
        SourceFailure(slug, title, Source(source), host, str(error), failed_at, next_at)
        for slug, title, source, host, error, failed_at, next_at in rows
        if failed_at is not None
    ]
