"""How the site's own work goes: its jobs, the hosts that it asks, the age of what they told, and what failed."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from pkgsite.models import HostState, JobRun, Lease, Package, SourceState
from pkgsite.rules.freshness import Source
from pkgsite.rules.timetable import TIMETABLE, Job
from pkgsite.services.packages.records import VISIBLE
from pkgsite.services.refresh.queue import RefreshResult

SCHEDULER_LEASE = "scheduler"  # the lease of the process that starts jobs
MAX_FAILURES = 20
PERCENTILES = (50, 95)
UNEXPECTED_ERROR = re.compile(
    r"(\w+(?:Error|Exception)): "
)  # of ours, as the log of runs has it: the exception, and its words
HAS_FAILED = SourceState.last_error_at.is_not(None) & SourceState.last_error.is_not(None)


@dataclass(frozen=True, slots=True)
class JobStatus:
    """A scheduled job: its last run, if it has run, and its next."""

    title: str
    interval: timedelta
    next_at: datetime
    started_at: datetime | None = None
    ended_at: datetime | None = None
    counts: tuple[tuple[str, int], ...] = ()  # what came of it, by name; nothing that is 0
    error: str | None = None
    is_running: bool = False
    is_interrupted: bool = False  # it has not ended, and the process that was at it has the duty no more

    @property
    def duration(self) -> timedelta | None:
        return self.ended_at - self.started_at if self.started_at and self.ended_at else None


@dataclass(frozen=True, slots=True)
class QuotaStatus:
    """What a host says of one of our quotas."""

    name: str
    limit: int
    remaining: int
    resets_at: datetime | None  # None: that time is over, so that the quota is whole again


@dataclass(frozen=True, slots=True)
class HostStatus:
    """A host that facts come from."""

    host: str
    last_answer_at: datetime | None
    paused_until: datetime | None  # None: it can be asked
    last_error: str | None  # the last one that nothing has followed
    last_error_at: datetime | None
    checked_at: datetime | None  # when it last told what has changed on it, where it can
    quotas: tuple[QuotaStatus, ...]


@dataclass(frozen=True, slots=True)
class SourceStatus:
    """How fresh one kind of facts is, over all packages."""

    source: Source
    total: int
    never_fetched: int  # of them not fetched yet
    due: int
    failing: int
    missing: int
    median_fetched_at: datetime | None = None  # half of what has been fetched was fetched since then
    p95_fetched_at: datetime | None = None  # the same for 95 of 100


@dataclass(frozen=True, slots=True)
class SourceFailure:
    """A source of a package that could not be fetched the last time."""

    slug: str
    title: str
    source: Source
    host: str
    error: str
    at: datetime
    next_at: datetime


@dataclass(frozen=True, slots=True)
class StatusPage:
    """Everything on the status page."""

    jobs: list[JobStatus]
    is_scheduler_running: bool  # whether some process starts jobs; which one is no stranger's affair
    hosts: list[HostStatus]
    sources: list[SourceStatus]
    failures: list[SourceFailure]

    @property
    def has_run(self) -> bool:
        return any(job.started_at for job in self.jobs)

    @property
    def has_sources(self) -> bool:
        return any(line.total for line in self.sources)


def status_page(session: Session, *, now: datetime) -> StatusPage:
    """Return how the site's own work goes."""
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
        select(JobRun.id).where(JobRun.job == job.name).order_by(JobRun.tick_at.desc()).limit(1).scalar_subquery()
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
    """Return a run's failure as everybody may read it: of a mistake of ours its kind, for the words may tell of us."""
    mistake = UNEXPECTED_ERROR.match(error or "")
    return f"{mistake.group(1)} (see the log for details)" if mistake else error


def _counts(result: Mapping[str, Any] | None) -> tuple[tuple[str, int], ...]:
    """Return the counts of a run; whatever else it may have noted is for the log."""
    found = (result or {}).items()
    return tuple((_label(name, number), number) for name, number in found if type(number) is int and number)


def _label(name: str, number: int) -> str:
    """Return a count's name in words for people."""
    if name in set(RefreshResult):
        return RefreshResult(name).label
    return "paused host" if name == "paused hosts" and number == 1 else name.replace("_", " ")


def _hosts(session: Session, now: datetime) -> list[HostStatus]:
    states = session.scalars(select(HostState).order_by(HostState.host)).all()
    errors = _errors_by_host(session)
    return [_host(state, errors.get(state.host), now) for state in states]


def _host(state: HostState, source_error: tuple[str, datetime] | None, now: datetime) -> HostStatus:
    last_response_at, is_paused = state.last_answer_at, state.paused_until is not None and state.paused_until > now
    error, error_at = state.last_error, state.last_error_at
    if error is None and last_response_at is None and source_error:
        # Too few of its packages failed for a pause, but it has told us nothing at all.
        error, error_at = source_error
    if last_response_at and error_at and error_at < last_response_at and not is_paused:
        error = error_at = None  # it has answered since
    return HostStatus(
        host=state.host,
        last_answer_at=last_response_at,
        paused_until=state.paused_until if is_paused else None,
        last_error=error,
        last_error_at=error_at,
        checked_at=state.checked_at,
        quotas=tuple(_quota(name, counts_by_source, now) for name, counts_by_source in sorted(state.quotas.items())),
    )


def _errors_by_host(session: Session) -> dict[str, tuple[str, datetime]]:
    """Return the last failure of any source of each host, where there is one."""
    position = func.row_number().over(
        partition_by=SourceState.host, order_by=[SourceState.last_error_at.desc(), SourceState.id]
    )
    failed = select(SourceState.host, SourceState.last_error, SourceState.last_error_at, position.label("place"))
    ranked = failed.where(HAS_FAILED).subquery().c
    rows = session.execute(select(ranked.host, ranked.last_error, ranked.last_error_at).where(ranked.place == 1))
    return {host: (error, at) for host, error, at in rows}


def _quota(name: str, counts_by_source: Mapping[str, Any], now: datetime) -> QuotaStatus:
    resets_at = datetime.fromisoformat(counts_by_source["resets_at"])
    if resets_at <= now:
        return QuotaStatus(name, counts_by_source["whole"], counts_by_source["whole"], None)
    return QuotaStatus(name, counts_by_source["whole"], counts_by_source["left"], resets_at)


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
    found = {source: tuple(numbers) for source, *numbers in session.execute(counts)}
    counts_by_source = {source: found.get(source, (0, 0, 0, 0, 0)) for source in Source}
    percentiles = iter(
        _fetch_percentiles(session, {source: numbers[1] for source, numbers in counts_by_source.items()})
    )
    return [
        SourceStatus(source, number, number - fetched, due, failing, missing, next(percentiles), next(percentiles))
        for source, (number, fetched, due, failing, missing) in counts_by_source.items()
    ]


def _fetch_percentiles(session: Session, fetched: Mapping[Source, int]) -> Sequence[datetime | None]:
    """Return, for each source and percentile, since when so many of 100 have been fetched.

    The index by source and age is walked to the place in question; no ages are read but those that are returned.
    """
    percentiles = [
        select(SourceState.fetched_at)
        .where(SourceState.source == source, SourceState.fetched_at.is_not(None))
        .order_by(SourceState.fetched_at.desc())
        .offset(max(-(-number * percentile // 100) - 1, 0))
        .limit(1)
        .scalar_subquery()
        for source, number in fetched.items()
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
        SourceFailure(slug, title, Source(source), host, str(error), at, next_at)
        for slug, title, source, host, error, at, next_at in rows
        if at is not None
    ]
