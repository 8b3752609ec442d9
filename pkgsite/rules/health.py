"""A package's health: checks, each with its state, its evidence, the date of the evidence, and advice.

The state of a check is good, fair, poor or unknown. Unknown is not poor: it means that the site has no data. No check
depends on stars, which only affect the score. All thresholds are in this file; `docs/scores.md` documents them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, tzinfo
from enum import StrEnum
from textwrap import shorten

from pkgsite.rules.activity import WEEKS, week_starts, yearly_commits
from pkgsite.rules.python_requirements import allowed_minors
from pkgsite.rules.versions import supports_python3

RELEASE_GOOD_DAYS = 365
RELEASE_FAIR_DAYS = 730
COMMIT_GOOD_DAYS = 182
COMMIT_FAIR_DAYS = 365
# Everyone who has ever committed counts, even with one fixed typo: two or three are few.
GOOD_PARTICIPANT_COUNT = 5
FAIR_PARTICIPANT_COUNT = 2
# Python versions that still get security fixes, oldest first: https://devguide.python.org/versions/
SUPPORTED_PYTHONS = ("3.11", "3.12", "3.13", "3.14", "3.15")
SUPPORTED_PYTHONS_AS_OF = "November 2026"
NEWEST_PYTHON_COUNT = 2  # a package is good if it supports one of these; few support a new Python at once
FINISHED_STATUSES = frozenset({5, 6})  # development statuses: stable, mature
# Thresholds of the overall state
MIN_POOR_FOR_POOR = 3  # with this many poor checks, the overall state is poor …
CRITICAL_CHECKS = frozenset({"vulnerabilities", "not_archived"})  # … or with one of these
MIN_KNOWN_CHECKS = 4  # with fewer known checks, the overall state is unknown
MAX_FAIR_FOR_GOOD = 2  # with more fair checks, or any poor one, the overall state is not good

# Statuses of a project on the package index, apart from "active":
# https://packaging.python.org/en/latest/specifications/project-status-markers/
INACTIVE_STATUSES = frozenset({"archived", "quarantined", "deprecated"})

_PYTHON_3_CLASSIFIER = re.compile(r"Programming Language :: Python :: (3\.[0-9]+)")
_PYTHON_2 = re.compile(r"Programming Language :: Python :: 2(\.[0-9]+| :: Only)?")
_MAX_VULNERABILITIES_SHOWN = 5
_MAX_REQUIREMENT_LENGTH = 100  # characters of an unreadable requirement that are shown
_WILL_RETRY = "The site will check again."
# fmt: off
_MONTHS = (
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)
# fmt: on


class State(StrEnum):
    GOOD = "good"
    FAIR = "fair"
    POOR = "poor"
    UNKNOWN = "unknown"


_FINISHED_NOTES = {
    State.GOOD: " The package is declared stable, supports a maintained Python version and has no known"
    " vulnerabilities, so it counts as finished.",
    State.FAIR: " The package is declared stable and supports a maintained Python version, so it may be finished.",
}


class EvidenceSource(StrEnum):
    """The source of the evidence, as shown on pages."""

    HOST = "code host"
    INDEX = "PyPI"
    PEOPLE = "users of this site"


@dataclass(frozen=True, slots=True)
class HealthFacts:
    """The facts about a package that determine its health; `None` means unknown."""

    version: str | None  # current release
    released_at: datetime | None
    last_commit_at: datetime | None
    commits_over_52: Sequence[int]  # by week up to activity_as_of, oldest first; 52 values or none
    classifiers: Sequence[str] | None
    requires_python: str | None
    supports_python3: bool | None
    development_status: int | None
    participant_count: int | None  # everyone who has ever committed, without bots; 0 also means unknown
    has_all_participants: bool  # whether the host lists all of them
    licence: str | None
    documentation_url: str | None
    is_archived: bool | None
    is_missing: bool  # the code host no longer has the repository
    is_deprecated: bool  # marked as deprecated by users of this site
    vulnerabilities: Sequence[str] | None  # ids of those of the current release
    has_index: bool  # whether it is on the package index
    has_repo: bool  # whether its repository is known
    repo_as_of: datetime | None
    activity_as_of: datetime | None
    participants_as_of: datetime | None
    index_as_of: datetime | None
    bot_count: int | None = 0  # bots among those who have committed
    time_zone: tzinfo | None = UTC  # of the dates in the evidence
    index_status: str | None = None  # the project's status on the package index, such as "archived"
    has_too_many_participants: bool = False  # for the host to list them


@dataclass(frozen=True, slots=True)
class Check:
    name: str  # stable key
    title: str
    state: State
    evidence: str
    as_of: datetime | None  # when the evidence was fetched
    source: EvidenceSource
    advice: str  # what would improve it; empty if the state is good


@dataclass(frozen=True, slots=True)
class HealthReport:
    checks: tuple[Check, ...]

    @property
    def counts(self) -> dict[State, int]:
        """Return the number of checks in each state, including states without checks."""
        return {state: sum(check.state is state for check in self.checks) for state in State}

    @property
    def state(self) -> State:
        """Return the overall state. The first of these rules that applies decides:

        1. Poor: a critical check is poor, or at least `MIN_POOR_FOR_POOR` checks are.
        2. Unknown: fewer than `MIN_KNOWN_CHECKS` checks are known.
        3. Good: no check is poor, and at most `MAX_FAIR_FOR_GOOD` are fair.
        4. Fair.
        """
        counts = self.counts
        has_critical = any(check.state is State.POOR for check in self.checks if check.name in CRITICAL_CHECKS)
        if has_critical or counts[State.POOR] >= MIN_POOR_FOR_POOR:
            return State.POOR
        if len(self.checks) - counts[State.UNKNOWN] < MIN_KNOWN_CHECKS:
            return State.UNKNOWN
        return State.FAIR if counts[State.POOR] or counts[State.FAIR] > MAX_FAIR_FOR_GOOD else State.GOOD

    @property
    def summary(self) -> str:
        """Return the counts as a sentence, as in "6 of 8 checks passed, 1 failed and 1 without data."."""
        counts = self.counts
        fair = "needs attention" if counts[State.FAIR] == 1 else "need attention"
        others = {State.FAIR: fair, State.POOR: "failed", State.UNKNOWN: "without data"}
        phrases = [f"{counts[State.GOOD]} of {len(self.checks)} checks passed"]
        phrases += [f"{counts[state]} {phrase}" for state, phrase in others.items() if counts[state]]
        return f"{_join_words(phrases)}."


@dataclass(frozen=True, slots=True)
class _CheckResult:
    """The result of a check: a `Check` without name and title."""

    state: State
    evidence: str
    as_of: datetime | None
    source: EvidenceSource
    advice: str = ""


def check_health(facts: HealthFacts, *, now: datetime) -> HealthReport:
    """Return the health report of a package.

    Args:
        facts: The facts about the package.
        now: The time from which ages are calculated.
    """
    return HealthReport(
        (
            _check("release", "Recent release", _release(facts, now)),
            _check("commits", "Recent commits", _commits(facts, now)),
            _check("python", "Maintained Python versions", _python(facts)),
            _check("people", "Several contributors", _people(facts)),
            _check("licence", "Licence", _licence(facts)),
            _check("documentation", "Documentation", _documentation(facts)),
            _check("not_archived", "Active repository", _not_archived(facts)),
            _check("vulnerabilities", "No known vulnerabilities", _vulnerabilities(facts)),
        )
    )


def _check(name: str, title: str, result: _CheckResult) -> Check:
    return Check(name, title, result.state, result.evidence, result.as_of, result.source, result.advice)


def _release(facts: HealthFacts, now: datetime) -> _CheckResult:
    if not facts.has_index:
        return _not_on_index_result()
    if facts.released_at is None:
        return _unknown(EvidenceSource.INDEX, "release date", facts.index_as_of)
    state, phrase = _state_by_age(facts, facts.released_at, now, RELEASE_GOOD_DAYS, RELEASE_FAIR_DAYS)
    released = f"{_version(facts)} was released" if facts.version else "The latest release was made"
    evidence = f"{released} on {_format_date(facts.released_at, facts)}.{phrase}"
    advice = "" if state is State.GOOD else "A new release would improve this."
    return _CheckResult(state, evidence, facts.index_as_of, EvidenceSource.INDEX, advice)


def _commits(facts: HealthFacts, now: datetime) -> _CheckResult:
    if not facts.has_repo:
        return _no_repository_result()
    if facts.last_commit_at is not None:
        at, as_of = facts.last_commit_at, facts.repo_as_of
        phrase = f"Last commit on {_format_date(at, facts)}"
    else:
        week, as_of = _last_active_week(facts), facts.activity_as_of
        if week is None:
            return _unknown(EvidenceSource.HOST, "commit date", facts.repo_as_of)
        at, phrase = week, f"Last commit in the week of {_format_day(week.date())}"
    state, finished = _state_by_age(facts, at, now, COMMIT_GOOD_DAYS, COMMIT_FAIR_DAYS)
    advice = "" if state is State.GOOD else "New commits would improve this."
    return _CheckResult(
        state, f"{phrase}{_yearly_commits_phrase(facts)}.{finished}", as_of, EvidenceSource.HOST, advice
    )


def _python(facts: HealthFacts) -> _CheckResult:
    if not facts.has_index:
        return _not_on_index_result()
    supported, named_pythons = _supported_pythons(facts), _named_pythons(facts.classifiers)
    if supported:
        # Classifiers with only unsupported versions, although the range allows supported ones, are out of date.
        is_outdated = bool(named_pythons) and not set(supported) & set(named_pythons)
        is_good = not is_outdated and bool(set(supported) & set(SUPPORTED_PYTHONS[-NEWEST_PYTHON_COUNT:]))
        state = State.GOOD if is_good else State.FAIR
        phrase = (
            _range_phrase(facts, supported)
            if is_outdated or not named_pythons
            else f"declares support for Python {_join_words(supported)}"
        )
        phrase += f", but its classifiers list only Python {_join_words(named_pythons)}" if is_outdated else ""
    else:
        phrase = _unsupported_phrase(facts, named_pythons)
        if not phrase:
            return _unknown_pythons(facts)
        state = State.POOR
    evidence = f"{_version(facts)} {phrase}. {_supported_versions_sentence()}"
    newest = _join_words(SUPPORTED_PYTHONS[-NEWEST_PYTHON_COUNT:], "or")
    advice = "" if state is State.GOOD else f"A release that declares support for Python {newest} would improve this."
    return _CheckResult(state, evidence, facts.index_as_of, EvidenceSource.INDEX, advice)


def _people(facts: HealthFacts) -> _CheckResult:
    if not facts.has_repo:
        return _no_repository_result()
    if facts.has_too_many_participants:
        evidence = "Too many people have committed for the code host to list them."
        return _CheckResult(State.GOOD, evidence, facts.participants_as_of, EvidenceSource.HOST)
    if not facts.participant_count:
        result = _unknown(EvidenceSource.HOST, "contributor data", facts.participants_as_of)
        return replace(result, evidence="The code host lists only bots.") if facts.bot_count else result
    people = _pluralise(facts.participant_count, "person has", "people have")
    bots = f", not counting {_pluralise(facts.bot_count, 'bot', 'bots')}" if facts.bot_count else ""
    if not facts.has_all_participants and facts.participant_count < GOOD_PARTICIPANT_COUNT:
        evidence = f"At least {people} committed{bots}; the code host's list is incomplete."
        return _CheckResult(State.UNKNOWN, evidence, facts.participants_as_of, EvidenceSource.HOST, _WILL_RETRY)
    if facts.participant_count >= GOOD_PARTICIPANT_COUNT:
        state, advice = State.GOOD, ""
    else:
        state = State.FAIR if facts.participant_count >= FAIR_PARTICIPANT_COUNT else State.POOR
        advice = "More contributors would make it depend less on a few people."
    evidence = f"{people if facts.has_all_participants else f'At least {people}'} committed{bots}."
    return _CheckResult(state, evidence, facts.participants_as_of, EvidenceSource.HOST, advice)


def _licence(facts: HealthFacts) -> _CheckResult:
    source, as_of = (
        (EvidenceSource.INDEX, facts.index_as_of) if facts.has_index else (EvidenceSource.HOST, facts.repo_as_of)
    )
    if facts.licence:
        return _CheckResult(State.GOOD, f"Licensed under {facts.licence}.", as_of, source)
    if not facts.has_index:
        return _not_on_index_result()
    if as_of is None:
        return _unknown(source, "licence data", as_of)
    advice = "Declaring the licence in the package metadata, ideally as an SPDX expression, would improve this."
    return _CheckResult(State.POOR, f"{_version(facts)} declares no licence.", as_of, source, advice)


def _documentation(facts: HealthFacts) -> _CheckResult:
    if facts.documentation_url:
        return _CheckResult(
            State.GOOD, f"The documentation is at {facts.documentation_url}.", None, EvidenceSource.PEOPLE
        )
    # No link on this site does not mean that there is no documentation.
    evidence, advice = "No documentation link yet.", "Anyone with an account can add one."
    return _CheckResult(State.UNKNOWN, evidence, None, EvidenceSource.PEOPLE, advice)


def _not_archived(facts: HealthFacts) -> _CheckResult:
    advice = "Choose another package for new projects."
    if facts.is_missing:
        evidence = "Its repository no longer exists."
        return _CheckResult(State.POOR, evidence, facts.repo_as_of, EvidenceSource.HOST, advice)
    if facts.is_archived and facts.has_repo:
        evidence = "Its repository is archived and read-only."
        return _CheckResult(State.POOR, evidence, facts.repo_as_of, EvidenceSource.HOST, advice)
    if facts.index_status in INACTIVE_STATUSES:
        evidence = f"The project is {facts.index_status} on PyPI."
        return _CheckResult(State.POOR, evidence, facts.index_as_of, EvidenceSource.INDEX, advice)
    if facts.is_deprecated:
        evidence = "Marked as deprecated by users of this site."
        return _CheckResult(State.POOR, evidence, None, EvidenceSource.PEOPLE, advice)
    if not facts.has_repo:
        return _no_repository_result()
    if facts.is_archived is None:
        return _unknown(EvidenceSource.HOST, "archive status", facts.repo_as_of)
    return _CheckResult(State.GOOD, "Its repository is not archived.", facts.repo_as_of, EvidenceSource.HOST)


def _vulnerabilities(facts: HealthFacts) -> _CheckResult:
    if not facts.has_index:
        return _not_on_index_result()
    if facts.vulnerabilities is None:
        return _unknown(EvidenceSource.INDEX, "vulnerability data", facts.index_as_of)
    count, version = len(facts.vulnerabilities), _version(facts)
    if not count:
        evidence = f"{version} has no known vulnerabilities."
        return _CheckResult(State.GOOD, evidence, facts.index_as_of, EvidenceSource.INDEX)
    visible_ids = list(facts.vulnerabilities[:_MAX_VULNERABILITIES_SHOWN])
    more = [f"{count - len(visible_ids)} more"] if count > len(visible_ids) else []
    vulnerabilities = _pluralise(count, "known vulnerability", "known vulnerabilities")
    evidence = f"{version} has {vulnerabilities}: {_join_words(visible_ids + more)}."
    advice = "A release that fixes them would improve this. Until then, check whether they affect you."
    return _CheckResult(State.POOR, evidence, facts.index_as_of, EvidenceSource.INDEX, advice)


def _not_on_index_result() -> _CheckResult:
    """Return the result of checks that need the package index: a package that is not on it is not penalised."""
    advice = "If the package is on PyPI, anyone with an account can add its project name."
    return _CheckResult(State.UNKNOWN, "No PyPI project is known.", None, EvidenceSource.INDEX, advice)


def _no_repository_result() -> _CheckResult:
    advice = "Anyone with an account can add its URL."
    return _CheckResult(State.UNKNOWN, "No repository is known.", None, EvidenceSource.HOST, advice)


def _unknown(source: EvidenceSource, data: str, as_of: datetime | None) -> _CheckResult:
    source_name = f"the {source}" if source is EvidenceSource.HOST else source
    return _CheckResult(State.UNKNOWN, f"No {data} from {source_name} yet.", as_of, source, _WILL_RETRY)


def _state_by_age(facts: HealthFacts, at: datetime, now: datetime, good_days: int, fair_days: int) -> tuple[State, str]:
    """Return the state for the time of the last activity, and a note if the package counts as finished."""
    days = (now - at).days
    if days <= good_days:
        return State.GOOD, ""
    finished = _finished_state(facts)
    if finished is not None:
        return finished, _FINISHED_NOTES[finished]
    return (State.FAIR if days <= fair_days else State.POOR), ""


def _finished_state(facts: HealthFacts) -> State | None:
    """Return the state of a package that is finished rather than abandoned, or None for other packages.

    A package that is declared stable or mature, is maintained and supports a maintained Python version needs no new
    release each year. It is good if it has no known vulnerabilities, and fair if there is no vulnerability data.
    """
    is_maintained = not (
        facts.is_archived or facts.is_missing or facts.is_deprecated or facts.index_status in INACTIVE_STATUSES
    )
    if (
        facts.development_status not in FINISHED_STATUSES
        or not is_maintained
        or facts.vulnerabilities
        or not _supported_pythons(facts)
    ):
        return None
    return State.FAIR if facts.vulnerabilities is None else State.GOOD


def supported_pythons(classifiers: Sequence[str] | None, requires_python: str | None) -> Sequence[str]:
    """Return the supported Python versions that a release lists, or else those that its range allows; oldest first."""
    allowed_versions, named_pythons = _allowed_pythons(requires_python), _named_pythons(classifiers)
    allowed = SUPPORTED_PYTHONS if allowed_versions is None else allowed_versions
    return [python for python in allowed if python in named_pythons] or allowed_versions or ()


def _supported_pythons(facts: HealthFacts) -> Sequence[str]:
    return supported_pythons(facts.classifiers, facts.requires_python) if facts.has_index else ()


def _named_pythons(classifiers: Sequence[str] | None) -> Sequence[str]:
    """Return the minor versions of Python 3 that the classifiers list, oldest first."""
    pythons = {match.group(1) for name in classifiers or () if (match := _PYTHON_3_CLASSIFIER.fullmatch(name))}
    return sorted(pythons, key=lambda python: (len(python), python))


def _allowed_pythons(requires_python: str | None) -> Sequence[str] | None:
    """Return the supported Python versions that a range allows, oldest first; None without a readable range."""
    minors = allowed_minors(requires_python)
    return None if minors is None else [python for python in SUPPORTED_PYTHONS if python in minors]


def _range_phrase(facts: HealthFacts, supported: Sequence[str]) -> str:
    return f"requires Python {facts.requires_python}, which includes {_join_words(supported)}"


def _unsupported_phrase(facts: HealthFacts, named_pythons: Sequence[str]) -> str:
    """Return the phrase for a release that supports no maintained Python version; empty if that is unknown."""
    if _allowed_pythons(facts.requires_python) is not None:
        return f"requires Python {facts.requires_python}, which excludes every maintained version"
    if named_pythons:
        return f"declares support only for Python {_join_words(named_pythons)}"
    classifiers = facts.classifiers or ()
    is_python3 = facts.supports_python3 or supports_python3(None, classifiers)
    if not is_python3 and any(map(_PYTHON_2.fullmatch, classifiers)):
        return "declares support only for Python 2"
    return "does not support Python 3" if facts.supports_python3 is False else ""


def _unknown_pythons(facts: HealthFacts) -> _CheckResult:
    """Return the result for a release that does not say which versions it supports, or not readably."""
    if not facts.requires_python or not facts.requires_python.strip():
        return _unknown(EvidenceSource.INDEX, "Python version data", facts.index_as_of)
    shown = shorten(facts.requires_python, _MAX_REQUIREMENT_LENGTH, placeholder="…")
    evidence = f"{_version(facts)} requires Python “{shown}”, which is unreadable."
    advice = "A release with a valid version specifier would improve this."
    return _CheckResult(State.UNKNOWN, evidence, facts.index_as_of, EvidenceSource.INDEX, advice)


def _supported_versions_sentence() -> str:
    return f"Maintained Python versions as of {SUPPORTED_PYTHONS_AS_OF}: {_join_words(SUPPORTED_PYTHONS)}."


def _last_active_week(facts: HealthFacts) -> datetime | None:
    """Return the Monday of the last week with a commit; None if no week has one, or the weeks are unknown."""
    if facts.activity_as_of is None or len(facts.commits_over_52) != WEEKS:
        return None
    weeks = zip(week_starts(facts.activity_as_of), facts.commits_over_52, strict=True)
    return max((week for week, commits in weeks if commits), default=None)


def _yearly_commits_phrase(facts: HealthFacts) -> str:
    commits = yearly_commits(facts.commits_over_52)
    if not commits or facts.activity_as_of is None:
        return ""
    counted_on = _format_date(facts.activity_as_of, facts)
    return f"; {_pluralise(commits, 'commit', 'commits')} in the {WEEKS} weeks to {counted_on}"


def _version(facts: HealthFacts) -> str:
    return f"Version {facts.version}" if facts.version else "The latest release"


def _format_date(at: datetime, facts: HealthFacts) -> str:
    """Return the date in the time zone of the report."""
    return _format_day(at.astimezone(facts.time_zone or UTC).date())


def _format_day(day: date) -> str:
    """Return a date as in "3 May 2026"; strftime would depend on the process's locale."""
    return f"{day.day} {_MONTHS[day.month - 1]} {day.year}"


def _pluralise(count: int, singular: str, plural: str) -> str:
    return f"{count:,} {singular if count == 1 else plural}"


def _join_words(phrases: Iterable[str], conjunction: str = "and") -> str:
    *others, last = phrases
    return f"{', '.join(others)} {conjunction} {last}" if others else last
