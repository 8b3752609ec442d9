"""The refresh queue: due sources are claimed, fetched by the caller without an open transaction, and recorded.

A claim is a lease: if its holder dies, it expires and others can claim the source. Each function needs one short
transaction, which the caller commits.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import ColumnElement, and_, case, exists, func, or_, select, update
from sqlalchemy.orm import Session

from pkgsite.clients.base import Fetched, Quota, identity_of
from pkgsite.errors import Gone, NotAllowed, RateLimited, UpstreamError
from pkgsite.models import HostState, Package, SourceState, begin_write
from pkgsite.rules.freshness import (
    CLOCK_TOLERANCE,
    Priority,
    Source,
    is_missing,
    latest_due_at,
    next_due_at,
    retry_at,
)
from pkgsite.services.refresh.apply import Facts, apply_facts, unstated_columns, update_score

CLAIM_TTL = timedelta(minutes=15)
MAX_PAUSE = timedelta(days=1)
DEFAULT_PAUSE = timedelta(minutes=15)  # after a rate limit without a time
MIN_LIMIT_PAUSE = timedelta(minutes=1)  # after a rate limit that states only the shortest time
INITIAL_FAILURE_PAUSE = timedelta(minutes=5)  # of a failing host
# Pauses without a time from the host double each time, until the host has responded for this long after the last one.
PAUSE_MEMORY = timedelta(hours=1)
MAX_REFUSAL_PAUSE = timedelta(hours=1)  # so that the site recovers soon after the operator has changed something
MAX_ERROR_LENGTH = 500  # in characters
COMMIT_SOURCES = (Source.ACTIVITY, Source.PEOPLE)
REPO_SOURCES = (Source.REPO, *COMMIT_SOURCES)


class RefreshResult(StrEnum):
    """The result of refreshing a source."""

    FETCHED = "fetched"
    UNCHANGED = "unchanged"
    PENDING = "later"  # the host is still computing it
    MISSING = "missing"  # the host returned "not found"
    FAILED = "failed"
    PAUSED = "paused"  # the host is paused; the source stays due
    LOST = "lost"  # the claim had expired and another worker took it, or the package was deleted

    @property
    def label(self) -> str:
        """The display name; the value is stored in the results of job runs."""
        return {"later": "deferred", "missing": "not found", "lost": "skipped"}.get(self.value, self.value)


@dataclass(frozen=True, slots=True)
class SourceFilter:
    """Restricts an operation to some packages and sources; None means all."""

    package_ids: Collection[int] | None = None
    sources: Collection[Source] | None = None

    @property
    def conditions(self) -> list[ColumnElement[bool]]:
        conditions: list[ColumnElement[bool]] = []
        if self.package_ids is not None:
            conditions.append(SourceState.package_id.in_(self.package_ids))
        if self.sources is not None:
            conditions.append(SourceState.source.in_(list(self.sources)))
        return conditions


ALL_SOURCES = SourceFilter()


@dataclass(frozen=True, slots=True)
class ClaimedGroup:
    """Due sources of a host that a worker has claimed.

    Attributes:
        until: When the last of these claims expires.
    """

    host: str
    source: Source
    holder: str
    count: int
    until: datetime


@dataclass(frozen=True, slots=True)
class Claim:
    """A source that a worker may fetch until the claim expires."""

    id: int
    package_id: int
    source: Source
    host: str
    resource: str
    holder: str
    expires_at: datetime
    validators: Mapping[str, str] = field(default_factory=dict)


def due_hosts(session: Session, *, now: datetime, source_filter: SourceFilter = ALL_SOURCES) -> list[str]:
    """Return the hosts that have due sources and are not paused."""
    rows = select(SourceState.host).where(*_due(now), *source_filter.conditions, ~_is_paused(now)).distinct()
    return sorted(session.scalars(rows))


def count_due(session: Session, *, now: datetime, source_filter: SourceFilter = ALL_SOURCES) -> int:
    """Return the number of due sources, including those of paused hosts."""
    return (
        session.scalar(select(func.count()).select_from(SourceState).where(*_due(now), *source_filter.conditions)) or 0
    )


def paused_hosts(session: Session, *, now: datetime) -> list[tuple[str, datetime, str]]:
    """Return the paused hosts, each with the end of the pause and the reason."""
    rows = select(HostState.host, HostState.paused_until, HostState.last_error).where(HostState.paused_until > now)
    return [
        (host, until, reason or "") for host, until, reason in session.execute(rows.order_by(HostState.host)) if until
    ]


def pause_reason(session: Session, host: str, *, now: datetime) -> str | None:
    """Return the reason why a host is paused; None if it is not."""
    return session.scalar(
        select(func.coalesce(HostState.last_error, "")).where(HostState.host == host, HostState.paused_until > now)
    )


def claimed_groups(session: Session, *, now: datetime, source_filter: SourceFilter = ALL_SOURCES) -> list[ClaimedGroup]:
    """Return the due sources that workers have claimed, by host, source and worker."""
    names = (SourceState.host, SourceState.source, SourceState.claimed_by)
    rows = session.execute(
        select(*names, func.count(), func.max(SourceState.claimed_until))
        .where(SourceState.next_due_at <= now, SourceState.claimed_until > now, *source_filter.conditions)
        .group_by(*names)
        .order_by(*names)
    )
    return [
        ClaimedGroup(host, Source(source), holder or "", count, until)
        for host, source, holder, count, until in rows
        if until
    ]


def claim_holders(session: Session, *, now: datetime) -> list[tuple[str, datetime]]:
    """Return the workers whose claims have not expired, and when they made the first of these."""
    rows = session.execute(
        select(SourceState.claimed_by, func.min(SourceState.claimed_until))
        .where(SourceState.claimed_until > now)
        .group_by(SourceState.claimed_by)
    )
    return [(holder, until - CLAIM_TTL) for holder, until in rows if holder and until]


def release_claims_of(session: Session, holders: Collection[str]) -> None:
    """Release all claims of workers that have ended; the sources stay due."""
    begin_write(session)
    session.execute(
        update(SourceState).where(SourceState.claimed_by.in_(holders)).values(claimed_by=None, claimed_until=None)
    )


def claim_due(
    session: Session,
    host: str,
    *,
    holder: str,
    sizes: Mapping[Source, int],
    now: datetime,
    source_filter: SourceFilter = ALL_SOURCES,
) -> list[Claim]:
    """Claim the next due items of a host, all of the same source; none if nothing is due or the host is paused.

    Args:
        host: Host name.
        holder: Unique name of the worker.
        sizes: Maximum number of claims by source.
        now: Current time; the claims expire after `CLAIM_TTL`.
        source_filter: Sources to claim.
    """
    begin_write(session)
    due = [SourceState.host == host, *_due(now), *source_filter.conditions, ~_is_paused(now)]
    order = (SourceState.priority.desc(), SourceState.next_due_at, SourceState.id)
    skipped: list[str] = []
    while True:
        # Rows locked by other workers are skipped; if these are all of a source, the next source is tried.
        source = session.scalar(
            select(SourceState.source).where(*due, SourceState.source.not_in(skipped)).order_by(*order).limit(1)
        )
        if source is None:
            return []
        candidates = (
            select(SourceState, Package.repo_identity, Package.repo_moved_to)
            .join(Package, Package.id == SourceState.package_id)
            .where(*due, SourceState.source == source)
            .order_by(*order)
            .limit(sizes[Source(source)])
        )
        rows = session.execute(candidates.with_for_update(skip_locked=True, of=SourceState)).all()
        if rows:
            break
        skipped.append(source)
    for state, _, _ in rows:
        state.claimed_by, state.claimed_until = holder, now + CLAIM_TTL
    claims = [_claim(state, identity or {}, moved_to) for state, identity, moved_to in rows]
    session.flush()
    return claims


def record_result(
    session: Session, claim: Claim, outcome: Fetched[Any] | UpstreamError, *, now: datetime
) -> RefreshResult:
    """Record the outcome of a claim.

    A failure keeps all known values. It delays the next request for this source, unless it stops the host: then the
    source stays due.
    """
    begin_write(session)
    # Lock the package first, as everywhere: a concurrent worker then sees these changes to the package.
    package = session.get(Package, claim.package_id, with_for_update={"of": Package})
    state = session.get(SourceState, claim.id, with_for_update=True)
    if state is None or package is None or state.claimed_by != claim.holder:
        return RefreshResult.LOST
    state.claimed_by = state.claimed_until = None
    requested = (state.next_due_at, state.priority) if state.next_due_at > claim.expires_at - CLAIM_TTL else None
    result = _record_outcome(session, state, package, outcome, now)
    if requested:  # made due during the request: fetch it again
        state.next_due_at, state.priority = requested
    return result


def release_claims(session: Session, claims: Sequence[Claim]) -> None:
    """Release claims that were not fetched; they stay due."""
    session.execute(
        update(SourceState)
        .where(SourceState.id.in_([claim.id for claim in claims]), SourceState.claimed_by == claims[0].holder)
        .values(claimed_by=None, claimed_until=None)
    )


def has_leftovers(session: Session, *, now: datetime) -> bool:
    """Return whether there are active claims, perhaps of workers that have ended, or times from a wrong clock."""
    is_claimed = exists().where(SourceState.claimed_until > now)
    wrong_times = [exists().where(condition) for condition in _wrong_times(now).values()]
    return bool(session.scalar(select(or_(is_claimed, *wrong_times))))


def reset_future_times(session: Session, *, now: datetime) -> int:
    """Make sources with impossible due times due now, end impossible claims and pauses, and return their number.

    Such times are further ahead than their rules can produce: they are from a process whose clock was ahead.
    """
    begin_write(session)
    wrong = _wrong_times(now)
    statements = (
        update(SourceState).where(wrong["due"]).values(next_due_at=now),
        update(SourceState).where(wrong["claim"]).values(claimed_by=None, claimed_until=None),
        update(SourceState).where(wrong["miss"]).values(first_missed_at=now),
        update(HostState).where(wrong["pause"]).values(paused_until=None, failures=0),
        update(Package).where(Package.missing_since > now + CLOCK_TOLERANCE).values(missing_since=now),
    )
    return sum(
        session.execute(statement.execution_options(synchronize_session=False)).rowcount  # type: ignore[attr-defined]
        for statement in statements
    )


def _wrong_times(now: datetime) -> dict[str, ColumnElement[bool]]:
    return {
        "due": or_(
            *(
                and_(SourceState.source == source, SourceState.next_due_at > latest_due_at(source, now=now))
                for source in Source
            )
        ),
        "claim": SourceState.claimed_until > now + CLAIM_TTL + CLOCK_TOLERANCE,
        "miss": SourceState.first_missed_at > now + CLOCK_TOLERANCE,
        "pause": HostState.paused_until > now + MAX_PAUSE + CLOCK_TOLERANCE,
    }


def record_response(session: Session, host: str, quotas: Mapping[str, Quota], *, now: datetime) -> None:
    """Record that a host has responded, and the quotas that it reported."""
    was_paused = HostState.paused_until > now - PAUSE_MEMORY
    quota_values = {
        name: {"whole": quota.limit, "left": quota.remaining, "resets_at": quota.resets_at.isoformat()}
        for name, quota in quotas.items()
    }
    failures = case((was_paused, HostState.failures), else_=0)
    values = {"failures": failures, "last_answer_at": now} | ({"quotas": quota_values} if quota_values else {})
    session.execute(update(HostState).where(HostState.host == host).values(values))


def pause_host(session: Session, host: str, failure: UpstreamError, *, now: datetime) -> datetime:
    """Pause a host, and return the end of the pause (see `start_pause`)."""
    until, _ = start_pause(session, host, failure, now=now)
    return until


def start_pause(session: Session, host: str, failure: UpstreamError, *, now: datetime) -> tuple[datetime, bool]:
    """Pause a host: as long as it requests, or longer each time.

    A host that is paused already is paused for longer if it requests so.

    Returns:
        The end of the pause, and whether it is a new one.
    """
    begin_write(session)
    state = session.scalar(select(HostState).where(HostState.host == host).with_for_update())
    if state is None:
        state = HostState(host=host, failures=0)
        session.add(state)
    is_new = state.paused_until is None or state.paused_until <= now
    wait = _pause_length(failure, state.failures if is_new else state.failures - 1)
    state.failures += is_new
    state.paused_until = max(state.paused_until or now, now + wait)
    state.last_error, state.last_error_at = str(failure)[:MAX_ERROR_LENGTH], now
    return state.paused_until, is_new


def _pause_length(failure: UpstreamError, previous_pauses: int) -> timedelta:
    growth = 1 << min(max(previous_pauses, 0), 10)
    if not isinstance(failure, RateLimited):
        is_refusal = isinstance(failure, NotAllowed) and failure.is_host_wide
        return min(INITIAL_FAILURE_PAUSE * growth, MAX_REFUSAL_PAUSE if is_refusal else MAX_PAUSE)
    if failure.retry_after_s is None:
        return min(DEFAULT_PAUSE * growth, MAX_PAUSE)
    if failure.retry_after_s < 1:  # no time to wait, as from a host whose clock is behind
        return min(MIN_LIMIT_PAUSE * growth, MAX_PAUSE)
    requested = timedelta(seconds=min(failure.retry_after_s, MAX_PAUSE.total_seconds()))
    return min(requested + MIN_LIMIT_PAUSE * (growth - 1), MAX_PAUSE) if failure.is_minimum else requested


def _due(now: datetime) -> list[ColumnElement[bool]]:
    is_free = or_(SourceState.claimed_until.is_(None), SourceState.claimed_until <= now)
    return [SourceState.next_due_at <= now, is_free]


def _is_paused(now: datetime) -> ColumnElement[bool]:
    return select(HostState.host).where(HostState.host == SourceState.host, HostState.paused_until > now).exists()


def _claim(state: SourceState, identity: Mapping[str, str], moved_to: str | None) -> Claim:
    """Return the claim of a source, with the identity and the current address of the repository if they are known."""
    is_identified = state.source in REPO_SOURCES and identity.get("target") == f"{state.host}/{state.target}"
    moved_path = _path_on_host(moved_to, state.host) if is_identified else None
    return Claim(
        id=state.id,
        package_id=state.package_id,
        source=Source(state.source),
        host=state.host,
        resource=moved_path or state.target,
        holder=str(state.claimed_by),
        expires_at=state.claimed_until,  # type: ignore[arg-type]
        validators={**state.validators, **(identity_of(identity) if is_identified else {})},
    )


def _path_on_host(url: str | None, host: str) -> str | None:
    """Return the path of a repository's URL in lower case, or None if it is on another host."""
    parts = urlsplit(url or "")
    return parts.path.strip("/").lower() if parts.netloc.lower() == host else None


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
    commits_before = (package.last_commit_at, package.commit_count)
    if outcome.facts is not None:
        apply_facts(session, package, outcome.facts, now=now)
        update_score(package, now=now)
        state.stated_at = _stated_at(state, package, outcome.facts)
    if state.source == Source.REPO:
        identity = identity_of(outcome.validators)
        package.repo_identity = {**identity, "target": f"{state.host}/{state.target}"} if identity else None
    state.validators = dict(outcome.validators)
    state.fetched_at, state.failures, state.misses = now, 0, 0
    state.first_missed_at = state.last_error = state.last_error_at = None
    state.priority, state.next_due_at = Priority.SCHEDULED, next_due_at(state.package_id, Source(state.source), now=now)
    package.last_fetched_at = package.changed_at = now
    if _decides_if_missing(state, package):
        package.missing_since = None
    has_new_commits = commits_before not in ((None, None), (package.last_commit_at, package.commit_count))
    if state.source == Source.REPO and has_new_commits:  # after the first fetch, all are due anyway
        # A list that is too long stays too long.
        sources = [Source.ACTIVITY] if package.has_too_many_participants else COMMIT_SOURCES
        _make_due_after_commits(session, package.id, sources, now)


def _stated_at(state: SourceState, package: Package, facts: Facts) -> dict[str, str]:
    """Return when the known facts that this response does not mention were last stated, by column."""
    known, last_at = state.stated_at or {}, state.fetched_at or package.last_fetched_at
    unstated = {name: known.get(name) or (last_at and last_at.isoformat()) for name in unstated_columns(package, facts)}
    return {name: at for name, at in unstated.items() if at}


def _make_due_after_commits(session: Session, package_id: int, sources: Collection[Source], now: datetime) -> None:
    """Make sources due that depend on the commits, after new commits."""
    session.execute(
        update(SourceState)
        .where(
            SourceState.package_id == package_id,
            SourceState.source.in_(sources),
            SourceState.failures == 0,
            or_(
                SourceState.next_due_at > now, SourceState.claimed_until.is_not(None)
            ),  # an active request may return old data
        )
        .values(next_due_at=now, priority=Priority.UPSTREAM_CHANGE)
    )


def _record_failure(state: SourceState, package: Package, failure: UpstreamError, now: datetime) -> RefreshResult:
    if failure.stops_host:  # does not count as a failure of the source
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
    """Return whether this source decides if the package is missing: its repository, or else its project."""
    return state.source == Source.REPO or (state.source == Source.INDEX and not package.repo_url)
