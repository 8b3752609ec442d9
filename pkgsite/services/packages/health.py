"""A package's freshness, activity, vulnerabilities, health and score, as its page shows them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from pkgsite.models import DailySample, HostState, SourceState
from pkgsite.rules import health as checks
from pkgsite.rules.activity import yearly_commits
from pkgsite.rules.freshness import Source, is_missing
from pkgsite.rules.health import Check, HealthFacts, HealthReport, check_health
from pkgsite.rules.links import host_of
from pkgsite.rules.scores import ScoreParts, score_parts
from pkgsite.services.packages.records import PackageRecord

HISTORY_DAYS = 400
# Stars, years since the last commit and Python 3 support of the example packages that explain scores.
SCORE_EXAMPLES = (
    (120, 0, True),
    (120, 1, None),
    (120, 1, False),
    (120, None, True),
    (120, 10, False),
    (12000, 0, False),
)
HOSTS_COUNTING_WEEKS = frozenset({"github.com"})  # hosts that report commits per week
REPO_SOURCES = frozenset({Source.REPO, Source.ACTIVITY, Source.PEOPLE})
IMPORTED_SOURCES = REPO_SOURCES | {Source.INDEX}  # sources whose facts an imported record includes


# The fact that decides each check, for the checks that are based on a single fact.
_EVIDENCE: Mapping[str, tuple[Source, str]] = {
    "release": (Source.INDEX, "released_at"),
    "commits": (Source.REPO, "last_commit_at"),
    "python": (Source.INDEX, "requires_python"),
    "licence": (Source.INDEX, "licences"),
    "vulnerabilities": (Source.INDEX, "vulnerabilities"),
}


@dataclass(frozen=True, slots=True)
class SourceFreshness:
    """The freshness of one source of a package's facts."""

    source: Source
    host: str  # empty if unknown
    fetched_at: datetime | None
    is_imported: bool  # whether the facts were imported from another site; then `fetched_at` is when it fetched them
    last_error: str | None = None
    last_error_at: datetime | None = None
    is_missing: bool = False  # whether the host has reported "not found" repeatedly and for a long time
    next_due_at: datetime | None = None  # None if it is not fetched
    confirmed_at: datetime | None = None  # when the host last confirmed that nothing has changed since `fetched_at`
    # The facts, by column, that the last response did not mention, with the time of the last one that did.
    stated_at: Mapping[str, datetime] = field(default_factory=dict)

    @property
    def is_failing(self) -> bool:
        """Whether the last attempt failed."""
        if not self.last_error or self.last_error_at is None:
            return False
        return self.fetched_at is None or self.is_imported or self.last_error_at > self.fetched_at

    @property
    def fetched_here_at(self) -> datetime | None:
        """When this site last fetched the facts itself."""
        return None if self.is_imported else self.fetched_at

    @property
    def as_of(self) -> datetime | None:
        """When the facts were last known to be current."""
        return self.confirmed_at or self.fetched_at


FreshnessBySource = Mapping[Source, SourceFreshness]  # has every source


@dataclass(frozen=True, slots=True)
class DailyNumbers:
    """A package's counts on one day (UTC)."""

    day_on: date
    stars: int | None
    forks: int | None
    downloads: int | None  # in the last month


@dataclass(frozen=True, slots=True)
class Activity:
    """Commits per week in the 52 weeks to the last count."""

    weeks: list[int]  # oldest first; empty if unknown
    counted_at: datetime | None  # None if unknown; then the weeks' dates are unknown, too
    is_counted_by_host: bool | None  # False if counted by this site, None if unknown

    @property
    def total(self) -> int | None:
        """Number of commits in all weeks, or None if unknown."""
        return yearly_commits(self.weeks)

    @property
    def ends_on(self) -> date | None:
        """A day (UTC) of the last week."""
        return self.counted_at.astimezone(UTC).date() if self.counted_at else None


@dataclass(frozen=True, slots=True)
class Vulnerability:
    """A known vulnerability of the current release."""

    id: str
    aliases: tuple[str, ...]
    summary: str
    link: str | None
    fixed_in: tuple[str, ...]  # releases without it


def load_freshness(session: Session, package: PackageRecord, *, now: datetime) -> FreshnessBySource:
    """Return the freshness of each source, in one query.

    Until this site has fetched something itself, all facts are those of the imported record, and as old as it says.
    """
    states = session.execute(
        select(
            SourceState.source,
            SourceState.host,
            SourceState.fetched_at,
            SourceState.last_error,
            SourceState.last_error_at,
            SourceState.misses,
            SourceState.first_missed_at,
            SourceState.next_due_at,
            SourceState.validators,
            SourceState.stated_at,
            HostState.checked_at,
        )
        .outerjoin(HostState, (HostState.host == SourceState.host) & (SourceState.source == Source.INDEX))
        .where(SourceState.package_id == package.id)
    ).all()
    is_imported = package.last_fetched_at is not None and not any(state.fetched_at for state in states)
    imported_at = dict.fromkeys(IMPORTED_SOURCES if is_imported else (), package.last_fetched_at)
    fetched = {
        state.source: SourceFreshness(
            source=Source(state.source),
            host=state.host,
            fetched_at=state.fetched_at or imported_at.get(state.source),
            is_imported=state.source in imported_at,
            last_error=state.last_error,
            last_error_at=state.last_error_at,
            is_missing=is_missing(state.misses, state.first_missed_at, now=now),
            next_due_at=state.next_due_at,
            confirmed_at=_confirmed_at(state, now),
            stated_at={name: datetime.fromisoformat(at) for name, at in (state.stated_at or {}).items()},
        )
        for state in states
    }
    hosts = dict.fromkeys(REPO_SOURCES, host_of(package.repo_url))
    return {
        source: fetched.get(source)
        or SourceFreshness(source, hosts.get(source, ""), imported_at.get(source), source in imported_at)
        for source in Source
    }


def load_samples(session: Session, package_id: int, *, now: datetime) -> list[DailyNumbers]:
    """Return a package's numbers for the last `HISTORY_DAYS` days, oldest first."""
    since = now.astimezone(UTC).date() - timedelta(days=HISTORY_DAYS)
    days = session.execute(
        select(DailySample.day_on, DailySample.stars, DailySample.forks, DailySample.downloads)
        .where(DailySample.package_id == package_id, DailySample.day_on > since)
        .order_by(DailySample.day_on)
    )
    return [DailyNumbers(*day) for day in days]


def package_activity(package: PackageRecord, sources: FreshnessBySource) -> Activity:
    """Return the commits of the 52 weeks to the last count."""
    freshness = sources[Source.ACTIVITY]
    if package.commits_last_year is None:
        return Activity([], None, None)
    counted_by_host = freshness.host in HOSTS_COUNTING_WEEKS if freshness.fetched_here_at else None
    return Activity(list(package.commits_over_52), freshness.fetched_at, counted_by_host)


def known_vulnerabilities(package: PackageRecord) -> list[Vulnerability] | None:
    """Return the known vulnerabilities of the current release, or None if unknown."""
    if package.vulnerabilities is None:
        return None
    return [
        Vulnerability(
            id=record.get("id") or "unnamed",
            aliases=tuple(record.get("aliases") or ()),
            summary=record.get("summary") or "",
            link=record.get("link"),
            fixed_in=tuple(record.get("fixed_in") or ()),
        )
        for record in package.vulnerabilities
    ]


def health_report(
    package: PackageRecord, sources: FreshnessBySource, *, now: datetime, time_zone: tzinfo = UTC
) -> HealthReport:
    """Return a package's health, with dates in this time zone."""
    vulnerabilities = known_vulnerabilities(package)
    people, bots = package.contributors
    facts = HealthFacts(
        version=package.pypi_version,
        released_at=package.released_at,
        last_commit_at=package.last_commit_at,
        commits_over_52=package.commits_over_52,
        classifiers=package.classifiers,
        requires_python=package.requires_python,
        supports_python3=package.supports_python3,
        development_status=package.development_status,
        participant_count=len(people),
        bot_count=len(bots),
        has_all_participants=package.participants_complete,
        has_too_many_participants=package.has_too_many_participants,
        licence=package.licence,
        documentation_url=package.documentation_url,
        is_archived=_is_archived(package, sources),
        is_missing=package.missing_since is not None,
        is_deprecated=package.is_deprecated,
        vulnerabilities=None if vulnerabilities is None else [vulnerability.id for vulnerability in vulnerabilities],
        has_index=bool(package.pypi_name),
        has_repo=bool(package.repo_url),
        repo_as_of=sources[Source.REPO].fetched_at,
        activity_as_of=sources[Source.ACTIVITY].fetched_at,
        participants_as_of=sources[Source.PEOPLE].fetched_at,
        # Of the index's facts, an imported record has only the version.
        index_as_of=sources[Source.INDEX].fetched_here_at,
        time_zone=time_zone,
        index_status=package.index_status,
    )
    report = check_health(facts, now=now)
    return HealthReport(
        tuple(_date_evidence(_credit_index(check, package, sources), package, sources) for check in report.checks)
    )


def package_score(package: PackageRecord, *, now: datetime) -> ScoreParts:
    """Return how a package's score is calculated.

    Scores decrease with time, and lists and the API have the stored one. Until it is updated, its parts are those of
    the time when it was calculated, so that the total is the same everywhere.
    """
    parts = _score_parts(package, now)
    if package.scored_at is None or parts.total == package.score:
        return parts
    return _score_parts(package, package.scored_at)


def _score_parts(package: PackageRecord, at: datetime) -> ScoreParts:
    return score_parts(
        stars=package.stars,
        last_commit_at=package.last_commit_at,
        supports_python3=package.supports_python3,
        now=at,
    )


def score_examples() -> list[tuple[bool | None, ScoreParts]]:
    """Return the Python 3 support and the score of each example package."""
    now = datetime(2026, 1, 1, tzinfo=UTC)
    return [
        (
            supports_python3,
            score_parts(
                stars=stars,
                last_commit_at=None if years is None else now.replace(year=now.year - years),
                supports_python3=supports_python3,
                now=now,
            ),
        )
        for stars, years, supports_python3 in SCORE_EXAMPLES
    ]


def _confirmed_at(state: Any, now: datetime) -> datetime | None:
    """Return when the index last listed its changed projects without this one.

    None if the project has changed and is due, has no serial, or could not be fetched the last time.
    """
    checked_at, fetched_at = state.checked_at, state.fetched_at
    if not checked_at or not fetched_at or checked_at <= fetched_at or state.next_due_at <= now:
        return None
    if "serial" not in state.validators:
        return None
    has_failed = state.last_error_at is not None and state.last_error_at > fetched_at
    return None if has_failed else checked_at


def _is_archived(package: PackageRecord, sources: FreshnessBySource) -> bool | None:
    """Return whether the repository is archived, or None before it is fetched, because imported records don't say."""
    if package.is_archived:
        return True
    return None if sources[Source.REPO].fetched_here_at is None else False


def _date_evidence(check: Check, package: PackageRecord, sources: FreshnessBySource) -> Check:
    """Return the check with the date of its fact, if its source no longer states the fact and it is therefore older."""
    source, column = _EVIDENCE.get(check.name, (None, ""))
    if check.name == "licence" and not package.licences:
        source, column = Source.REPO, "repo_licence"
    stated_at = sources[source].stated_at.get(column) if source else None
    return replace(check, as_of=stated_at) if stated_at else check


def _credit_index(check: Check, package: PackageRecord, sources: FreshnessBySource) -> Check:
    """Return the check with the package index as its source, if the fact comes from there as an exception."""
    as_of = sources[Source.INDEX].fetched_here_at
    if check.name == "documentation" and package.has_index_documentation:
        return replace(check, source=checks.EvidenceSource.INDEX, as_of=as_of)
    if check.name == "not_archived" and package.missing_since and not package.repo_url:
        evidence = "Its project no longer exists on PyPI."
        return replace(check, evidence=evidence, source=checks.EvidenceSource.INDEX, as_of=as_of)
    return check
