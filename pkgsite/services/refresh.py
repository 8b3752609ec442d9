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
from pkgsite.rules.freshness import Priority, Source, is_gone, next_due, retry_at
from pkgsite.services.facts import Facts, keep_score, take_facts

LEASE = timedelta(minutes=15)
LONGEST_PAUSE = timedelta(days=1)
PAUSE_UNTOLD = timedelta(minutes=15)  # where a host asks us to stay away and names no time
FIRST_PAUSE = timedelta(minutes=5)  # of a host that fails, doubling each time
LONGEST_ERROR = 500  # characters of a failure's words that are kept
WITH_NEW_COMMITS = (Source.ACTIVITY, Source.PEOPLE)


class Result(StrEnum):
    """What came of asking a source."""

    FETCHED = "fetched"
    UNCHANGED = "unchanged"
    LATER = "later"  # the host is still working it out
    MISSING = "missing"  # the host answers that there is no such thing
    FAILED = "failed"
    PAUSED = "paused"  # the host wants to be left alone; it stays due
    LOST = "lost"  # the claim had run out and was another's, or the package is gone from the site

    @property
    def label(self) -> str:
        """The result in words for people; the value is what runs of jobs store."""
        return {"later": "deferred", "missing": "not found", "lost": "skipped"}.get(self.value, self.value)


@dataclass(frozen=True, slots=True)
class Only:
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


ALL = Only()


@dataclass(frozen=True, slots=True)
class Claim:
    """A source that is ours to ask, until the lease runs out."""

    id: int
    package_id: int
    source: Source
    host: str
    target: str
    holder: str
    until: datetime
    validators: Mapping[str, str] = field(default_factory=dict)


def due_hosts(session: Session, *, now: datetime, only: Only = ALL) -> list[str]:
    """Return the hosts that have something due and are not paused."""
    rows = select(SourceState.host).where(*_due(now), *only.conditions, ~_is_paused(now)).distinct()
    return sorted(session.scalars(rows))


def count_due(session: Session, *, now: datetime, only: Only = ALL) -> int:
    """Return how many sources are due, those of paused hosts too."""
    return session.scalar(select(func.count()).select_from(SourceState).where(*_due(now), *only.conditions)) or 0


def paused_hosts(session: Session, *, now: datetime) -> list[tuple[str, datetime, str]]:
    """Return the hosts that are left alone now: each with until when and why."""
    rows = select(HostState.host, HostState.paused_until, HostState.last_error).where(HostState.paused_until > now)
    return [(host, until, why or "") for host, until, why in session.execute(rows.order_by(HostState.host)) if until]


def claim(
    session: Session, host: str, *, holder: str, sizes: Mapping[Source, int], now: datetime, only: Only = ALL
) -> list[Claim]:
    """Claim what of a host comes first, all of one source; nothing, if nothing is due or the host is paused.

    Args:
        host: Whose sources.
        holder: Who claims: a name of its own for each that works at the same time.
        sizes: How many of each source at most.
        now: The present instant; the claims run out `LEASE` later.
        only: A part of the sources.
    """
    begin_write(session)
    due = [SourceState.host == host, *_due(now), *only.conditions, ~_is_paused(now)]
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
        state.claimed_by, state.claimed_until = holder, now + LEASE
    claims = [_claim(state) for state in states]
    session.flush()
    return claims


def settle(session: Session, claimed: Claim, outcome: Fetched[Any] | UpstreamError, *, now: datetime) -> Result:
    """Take in what came of asking, and return what that was.

    A failure leaves every known value as it is. Only a source's own failures put it off; one that must wait for its
    host stays due.
    """
    begin_write(session)
    # The package first, as everywhere: of two that settle its sources at once, the second sees what the first wrote.
    package = session.get(Package, claimed.package_id, with_for_update={"of": Package})
    state = session.get(SourceState, claimed.id, with_for_update=True)
    if state is None or package is None or state.claimed_by != claimed.holder:
        return Result.LOST
    state.claimed_by = state.claimed_until = None
    pressing = (state.next_due_at, state.priority) if state.next_due_at > claimed.until - LEASE else None
    result = _take_outcome(session, state, package, outcome, now)
    if pressing:  # something brought it forward while it was being asked: it is asked once more
        state.next_due_at, state.priority = pressing
    return result


def release(session: Session, claims: Sequence[Claim]) -> None:
    """Give back claims that were not asked: they stay due."""
    session.execute(
        update(SourceState)
        .where(SourceState.id.in_([one.id for one in claims]), SourceState.claimed_by == claims[0].holder)
        .values(claimed_by=None, claimed_until=None)
    )


def note_answer(session: Session, host: str, quotas: Mapping[str, Quota], *, now: datetime) -> None:
    """Note that a host answers, and what it says of our quotas."""
    told = {
        name: {"whole": quota.whole, "left": quota.left, "resets_at": quota.resets_at.isoformat()}
        for name, quota in quotas.items()
    }
    values: dict[str, Any] = {"failures": 0, "last_answer_at": now} | ({"quotas": told} if told else {})
    session.execute(update(HostState).where(HostState.host == host).values(values))


def pause_host(session: Session, host: str, failure: UpstreamError, *, now: datetime) -> datetime:
    """Leave a host alone for a while, and return until when: as long as it asks, or longer with each failure."""
    begin_write(session)
    state = session.scalar(select(HostState).where(HostState.host == host).with_for_update())
    if state is None:
        state = HostState(host=host, failures=0)
        session.add(state)
    if isinstance(failure, RateLimited):
        told = failure.retry_after_s
        longest = LONGEST_PAUSE.total_seconds()
        wait = PAUSE_UNTOLD if told is None else timedelta(seconds=min(max(told, 1.0), longest))
    else:
        wait = FIRST_PAUSE * (1 << min(state.failures, 10))
        state.failures += 1
    state.paused_until = max(state.paused_until or now, now + min(wait, LONGEST_PAUSE))
    state.last_error, state.last_error_at = str(failure)[:LONGEST_ERROR], now
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
        target=state.target,
        holder=str(state.claimed_by),
        until=state.claimed_until,  # type: ignore[arg-type]
        validators=dict(state.validators),
    )


def _take_outcome(
    session: Session, state: SourceState, package: Package, outcome: Fetched[Any] | UpstreamError, now: datetime
) -> Result:
    if isinstance(outcome, UpstreamError):
        return _take_failure(state, package, outcome, now)
    if outcome.is_later:
        state.failures += 1
        state.next_due_at = retry_at(state.failures, state.package_id, Source(state.source), now=now)
        return Result.LATER
    _take_success(session, state, package, outcome, now)
    return Result.UNCHANGED if outcome.facts is None else Result.FETCHED


def _take_success(
    session: Session, state: SourceState, package: Package, outcome: Fetched[Facts], now: datetime
) -> None:
    before = (package.last_commit_at, package.commit_count)
    if outcome.facts is not None:
        take_facts(session, package, outcome.facts, now=now)
        keep_score(package, now=now)
    state.validators = dict(outcome.validators)
    state.fetched_at, state.failures, state.misses = now, 0, 0
    state.first_missed_at = state.last_error = state.last_error_at = None
    state.priority, state.next_due_at = Priority.AGE, next_due(state.package_id, Source(state.source), now=now)
    package.last_fetched_at = package.changed_at = now
    if _tells_whether_gone(state, package):
        package.gone_at = None
    has_new_commits = before not in ((None, None), (package.last_commit_at, package.commit_count))
    if state.source == Source.REPO and has_new_commits:  # of what was never told, all is due anyway
        _ask_for_commits(session, package.id, now)


def _ask_for_commits(session: Session, package_id: int, now: datetime) -> None:
    """New commits change the weeks and the people: both are asked for now, rather than at their time."""
    session.execute(
        update(SourceState)
        .where(
            SourceState.package_id == package_id,
            SourceState.source.in_(WITH_NEW_COMMITS),
            SourceState.failures == 0,
            or_(SourceState.next_due_at > now, SourceState.claimed_until.is_not(None)),  # who asks may have the old
        )
        .values(next_due_at=now, priority=Priority.SERIAL)
    )


def _take_failure(state: SourceState, package: Package, failure: UpstreamError, now: datetime) -> Result:
    if isinstance(failure, RateLimited):  # that is the host's affair, and does not count against the source
        return Result.PAUSED
    state.last_error, state.last_error_at = str(failure)[:LONGEST_ERROR], now
    source = Source(state.source)
    state.failures += 1
    state.priority, state.next_due_at = Priority.AGE, retry_at(state.failures, state.package_id, source, now=now)
    if not isinstance(failure, Gone):
        return Result.FAILED
    state.misses += 1
    state.first_missed_at = state.first_missed_at or now
    gone = _tells_whether_gone(state, package) and is_gone(state.misses, state.first_missed_at, now=now)
    if gone and package.gone_at is None:
        package.gone_at, package.changed_at = state.first_missed_at, now
    return Result.MISSING


def _tells_whether_gone(state: SourceState, package: Package) -> bool:
    """Tell whether this source decides if the package is gone: its repository, or its project if that is all it has."""
    return state.source == Source.REPO or (state.source == Source.INDEX and not package.repo_url)
