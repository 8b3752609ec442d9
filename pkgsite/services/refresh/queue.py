"""The refresh of facts: what is due is claimed, fetched by an edge with no transaction open, and taken in.

A claim is a lease: who holds it asks, until it runs out; who dies loses it to others by and by. Each function is one
short transaction, which its caller commits.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, func, or_, select, update
from sqlalchemy.orm import Session

from pkgsite.clients.base import Fetched, Quota
from pkgsite.errors import Gone, RateLimited, UpstreamError
from pkgsite.models import HostState, Package, SourceState, begin_write
from pkgsite.rules.freshness import Priority, Source, is_missing, next_due_at, retry_at
from pkgsite.services.refresh.apply import Facts, apply_facts, update_score

CLAIM_TTL = timedelta(minutes=15)
MAX_PAUSE = timedelta(days=1)
DEFAULT_PAUSE = timedelta(minutes=15)  # where a host asks us to stay away and names no time
INITIAL_FAILURE_PAUSE = timedelta(minutes=5)  # of a host that fails, doubling each time
MAX_ERROR_LENGTH = 500  # characters of a failure's words that are kept
COMMIT_SOURCES = (Source.ACTIVITY, Source.PEOPLE)


class RefreshResult(StrEnum):
    """What came of asking a source."""

    FETCHED = "fetched"
    UNCHANGED = "unchanged"
    PENDING = "later"  # the host is still working it out
    MISSING = "missing"  # the host answers that there is no such thing
    FAILED = "failed"
    PAUSED = "paused"  # the host wants to be left alone; it stays due
    LOST = "lost"  # the claim had run out and was another's, or the package is gone from the site

    @property
    def label(self) -> str:
        """The result in words for people; the value is what runs of jobs store."""
        return {"later": "deferred", "missing": "not found", "lost": "skipped"}.get(self.value, self.value)


@dataclass(frozen=True, slots=True)
class SourceFilter:
    """A part of the sources; None: all of them."""

    package_ids: Collection[int] | None = None
    sources: Collection[Source] | None = None

    @property
    def conditions(self) -> list[ColumnElement[bool]]:
        found: list[ColumnElement[bool]] = []
        if self.package_ids is not None:
            found.append(SourceState.package_id.in_(self.package_ids))
        if self.sources is not None:
            found.append(SourceState.source.in_(list(self.sources)))
        return found


ALL_SOURCES = SourceFilter()


@dataclass(frozen=True, slots=True)
class Claim:
    """A source that is ours to ask, until the lease runs out."""

    id: int
    package_id: int
    source: Source
    host: str
    resource: str
    holder: str
    expires_at: datetime
    validators: Mapping[str, str] = field(default_factory=dict)


def due_hosts(session: Session, *, now: datetime, source_filter: SourceFilter = ALL_SOURCES) -> list[str]:
    """Return the hosts that have something due and are not paused."""
    rows = select(SourceState.host).where(*_due(now), *source_filter.conditions, ~_is_paused(now)).distinct()
    return sorted(session.scalars(rows))


def count_due(session: Session, *, now: datetime, source_filter: SourceFilter = ALL_SOURCES) -> int:
    """Return how many sources are due, those of paused hosts too."""
    return (
        session.scalar(select(func.count()).select_from(SourceState).where(*_due(now), *source_filter.conditions)) or 0
    )


def paused_hosts(session: Session, *, now: datetime) -> list[tuple[str, datetime, str]]:
    """Return the hosts that are left alone now: each with until when and why."""
    rows = select(HostState.host, HostState.paused_until, HostState.last_error).where(HostState.paused_until > now)
    return [
        (host, until, reason or "") for host, until, reason in session.execute(rows.order_by(HostState.host)) if until
    ]


def claim_due(
    session: Session,
    host: str,
    *,
    holder: str,
    sizes: Mapping[Source, int],
    now: datetime,
    source_filter: SourceFilter = ALL_SOURCES,
) -> list[Claim]:
    """Claim what of a host comes first, all of one source; nothing, if nothing is due or the host is paused.

    Args:
        host: Whose sources.
        holder: Who claims: a name of its own for each that works at the same time.
        sizes: How many of each source at most.
        now: The present instant; the claims run out `CLAIM_TTL` later.
        source_filter: A part of the sources.
    """
    begin_write(session)
    due = [SourceState.host == host, *_due(now), *source_filter.conditions, ~_is_paused(now)]
    order = (SourceState.priority.desc(), SourceState.next_due_at, SourceState.id)
    skipped: list[str] = []
    while True:
        # What others claim at this moment is passed over; if that was all of a source, the next one is tried.
        source = session.scalar(
            select(SourceState.source).where(*due, SourceState.source.not_in(skipped)).order_by(*order).limit(1)
        )
        if source is None:
            return []
        first = select(SourceState).where(*due, SourceState.source == source).order_by(*order)
        states = session.scalars(first.limit(sizes[Source(source)]).with_for_update(skip_locked=True)).all()
        if states:
            break
        skipped.append(source)
    for state in states:
        state.claimed_by, state.claimed_until = holder, now + CLAIM_TTL
    claims = [_claim(state) for state in states]
    session.flush()
    return claims


def record_result(
    session: Session, claim: Claim, outcome: Fetched[Any] | UpstreamError, *, now: datetime
) -> RefreshResult:
    """Take in what came of asking, and return what that was.

    A failure leaves every known value as it is. Only a source's own failures put it off; one that must wait for its
    host stays due.
    """
    begin_write(session)
    # The package first, as everywhere: of two that settle its sources at once, the second sees what the first wrote.
    package = session.get(Package, claim.package_id, with_for_update={"of": Package})
    state = session.get(SourceState, claim.id, with_for_update=True)
    if state is None or package is None or state.claimed_by != claim.holder:
        return RefreshResult.LOST
    state.claimed_by = state.claimed_until = None
    requested = (state.next_due_at, state.priority) if state.next_due_at > claim.expires_at - CLAIM_TTL else None
    result = _record_outcome(session, state, package, outcome, now)
    if requested:  # something brought it forward while it was being asked: it is asked once more
        state.next_due_at, state.priority = requested
    return result


def release_claims(session: Session, claims: Sequence[Claim]) -> None:
    """Give back claims that were not asked: they stay due."""
    session.execute(
        update(SourceState)
        .where(SourceState.id.in_([one.id for one in claims]), SourceState.claimed_by == claims[0].holder)
        .values(claimed_by=None, claimed_until=None)
    )


def record_response(session: Session, host: str, quotas: Mapping[str, Quota], *, now: datetime) -> None:
    """Note that a host answers, and what it says of our quotas."""
    quota_values = {
        name: {"whole": quota.limit, "left": quota.remaining, "resets_at": quota.resets_at.isoformat()}
        for name, quota in quotas.items()
    }
    values: dict[str, Any] = {"failures": 0, "last_answer_at": now} | ({"quotas": quota_values} if quota_values else {})
    session.execute(update(HostState).where(HostState.host == host).values(values))


def pause_host(session: Session, host: str, failure: UpstreamError, *, now: datetime) -> datetime:
    """Leave a host alone for a while, and return until when: as long as it asks, or longer with each failure."""
    begin_write(session)
    state = session.scalar(select(HostState).where(HostState.host == host).with_for_update())
    if state is None:
        state = HostState(host=host, failures=0)
        session.add(state)
    if isinstance(failure, RateLimited):
        quota_values = failure.retry_after_s
        longest = MAX_PAUSE.total_seconds()
        wait = DEFAULT_PAUSE if quota_values is None else timedelta(seconds=min(max(quota_values, 1.0), longest))
    else:
        wait = INITIAL_FAILURE_PAUSE * (1 << min(state.failures, 10))
        state.failures += 1
    state.paused_until = max(state.paused_until or now, now + min(wait, MAX_PAUSE))
    state.last_error, state.last_error_at = str(failure)[:MAX_ERROR_LENGTH], now
    return state.paused_until


def _due(now: datetime) -> list[ColumnElement[bool]]:
    is_free = or_(SourceState.claimed_until.is_(None), SourceState.claimed_until <= now)
    return [SourceState.next_due_at <= now, is_free]


def _is_paused(now: datetime) -> ColumnElement[bool]:
    return select(HostState.host).where(HostState.host == SourceState.host, HostState.paused_until > now).exists()


def _claim(state: SourceState) -> Claim:
    return Claim(
        id=state.id,
        package_id=state.package_id,
        source=Source(state.source),
        host=state.host,
        resource=state.target,
        holder=str(state.claimed_by),
        expires_at=state.claimed_until,  # type: ignore[arg-type]
        validators=dict(state.validators),
    )


def _record_outcome(
    session: Session, state: SourceState, package: Package, outcome: Fetched[Any] | UpstreamError, now: datetime
) -> RefreshResult:
    if isinstance(outcome, UpstreamError):
        return _record_failure(state, package, outcome, now)
    if outcome.is_pending:
        state.failures += 1
        state.next_due_at = retry_at(state.failures, state.package_id, Source(state.source), now=now)
        return RefreshResult.PENDING
    _record_success(session, state, package, outcome, now)
    return RefreshResult.UNCHANGED if outcome.facts is None else RefreshResult.FETCHED


def _record_success(
    session: Session, state: SourceState, package: Package, outcome: Fetched[Facts], now: datetime
) -> None:
    before = (package.last_commit_at, package.commit_count)
    if outcome.facts is not None:
        apply_facts(session, package, outcome.facts, now=now)
        update_score(package, now=now)
    state.validators = dict(outcome.validators)
    state.fetched_at, state.failures, state.misses = now, 0, 0
    state.first_missed_at = state.last_error = state.last_error_at = None
    state.priority, state.next_due_at = Priority.SCHEDULED, next_due_at(state.package_id, Source(state.source), now=now)
    package.last_fetched_at = package.changed_at = now
    if _decides_if_missing(state, package):
        package.missing_since = None
    has_new_commits = before not in ((None, None), (package.last_commit_at, package.commit_count))
    if state.source == Source.REPO and has_new_commits:  # of what was never told, all is due anyway
        _make_commit_sources_due(session, package.id, now)


def _make_commit_sources_due(session: Session, package_id: int, now: datetime) -> None:
    """New commits change the weeks and the people: both are asked for now, rather than at their time."""
    session.execute(
        update(SourceState)
        .where(
            SourceState.package_id == package_id,
            SourceState.source.in_(COMMIT_SOURCES),
            SourceState.failures == 0,
            or_(SourceState.next_due_at > now, SourceState.claimed_until.is_not(None)),  # who asks may have the old
        )
        .values(next_due_at=now, priority=Priority.UPSTREAM_CHANGE)
    )


def _record_failure(state: SourceState, package: Package, failure: UpstreamError, now: datetime) -> RefreshResult:
    if isinstance(failure, RateLimited):  # that is the host's affair, and does not count against the source
        return RefreshResult.PAUSED
    state.last_error, state.last_error_at = str(failure)[:MAX_ERROR_LENGTH], now
    source = Source(state.source)
    state.failures += 1
    state.priority, state.next_due_at = Priority.SCHEDULED, retry_at(state.failures, state.package_id, source, now=now)
    if not isinstance(failure, Gone):
        return RefreshResult.FAILED
    state.misses += 1
    state.first_missed_at = state.first_missed_at or now
    is_package_missing = _decides_if_missing(state, package) and is_missing(
        state.misses, state.first_missed_at, now=now
    )
    if is_package_missing and package.missing_since is None:
        package.missing_since, package.changed_at = state.first_missed_at, now
    return RefreshResult.MISSING


def _decides_if_missing(state: SourceState, package: Package) -> bool:
    """Tell whether this source decides if the package is gone: its repository, or its project if that is all it has."""
    return state.source == Source.REPO or (state.source == Source.INDEX and not package.repo_url)
