"""A package's health: named checks, each with its evidence, the date of that evidence, and what would improve it.

A check says good, fair, poor or unknown. Unknown is not poor: it means that nobody has told us. No check looks at
stars: how many people like a package is the score's business. The numbers are all in this file; `docs/scores.md`
restates them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from packaging.specifiers import InvalidSpecifier, SpecifierSet

from pkgsite.rules.activity import WEEKS, week_starts
from pkgsite.rules.versions import supports_python3

RELEASE_GOOD_DAYS = 365
RELEASE_FAIR_DAYS = 730
COMMIT_GOOD_DAYS = 182
COMMIT_FAIR_DAYS = 365
# Everybody who ever committed counts, so that one mended typo makes a person: two or three are few.
PEOPLE_GOOD = 5
PEOPLE_FAIR = 2
# The living Pythons are those that still get security fixes, oldest first: https://devguide.python.org/versions/
LIVING_PYTHONS = ("3.11", "3.12", "3.13", "3.14", "3.15")
LIVING_AS_OF = "November 2026"
NEW_PYTHONS = 2  # how many of the newest living Pythons count as new; a release is seldom out with a Python's first day
FINISHED = frozenset({5, 6})  # development status: stable, mature
# The overall state.
POOR_MANY = 3  # so many poor checks make the whole poor …
GRAVE = frozenset({"vulnerabilities", "not_archived"})  # … and one of these alone does
ANSWERS_LEAST = 4  # with fewer checks that have an answer, the whole is unknown
FAIR_MOST = 2  # with more fair checks, or any poor one, the whole is not good

_NAMED = re.compile(r"Programming Language :: Python :: (3\.[0-9]+)")
_PYTHON_2 = re.compile(r"Programming Language :: Python :: 2(\.[0-9]+| :: Only)?")
_VULNERABILITIES_NAMED = 5
_SITE_ASKS = "The site will check again."
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


_FINISHED_WORDS = {
    State.GOOD: " The package is declared stable, supports a maintained Python version and has no known"
    " vulnerabilities, so it counts as finished.",
    State.FAIR: " The package is declared stable and supports a maintained Python version, so it may be finished.",
}


class Source(StrEnum):
    """Who gave the evidence, in words that a page can show."""

    HOST = "code host"
    INDEX = "PyPI"
    PEOPLE = "users of this site"


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of a package, for its health. `None` means that nobody has told us."""

    version: str | None  # the present release
    released_at: datetime | None
    last_commit_at: datetime | None
    commits_over_52: Sequence[int]  # as counted at activity_as_of: one number a week, oldest first; 52 or none
    classifiers: Sequence[str] | None
    requires_python: str | None
    supports_python3: bool | None
    development_status: int | None
    people: int | None  # who have ever committed; 0 is what a host leaves that has named nobody
    people_complete: bool  # the host has named them all
    licence: str | None
    documentation_url: str | None
    is_archived: bool | None
    is_gone: bool  # the code host no longer has the repository
    is_deprecated: bool  # people of this site have said so
    vulnerabilities: Sequence[str] | None  # the names of those of the present release
    has_index: bool  # it is on the package index
    has_repo: bool  # its repository is known
    repo_as_of: datetime | None
    activity_as_of: datetime | None
    people_as_of: datetime | None
    index_as_of: datetime | None


@dataclass(frozen=True, slots=True)
class Check:
    name: str  # a stable key
    title: str
    state: State
    evidence: str
    as_of: datetime | None  # when the evidence was fetched
    source: Source
    advice: str  # what would improve it; empty where all is well


@dataclass(frozen=True, slots=True)
class Report:
    checks: tuple[Check, ...]

    @property
    def counts(self) -> dict[State, int]:
        """Return how many checks are in each state; every state is named."""
        return {state: sum(check.state is state for check in self.checks) for state in State}

    @property
    def state(self) -> State:
        """Return the overall state; the first of these rules that fits decides.

        1. Poor: a grave check is poor, or `POOR_MANY` checks are.
        2. Unknown: fewer than `ANSWERS_LEAST` checks have an answer.
        3. Good: none is poor, and at most `FAIR_MOST` are fair.
        4. Fair.
        """
        counts = self.counts
        grave = any(check.state is State.POOR for check in self.checks if check.name in GRAVE)
        if grave or counts[State.POOR] >= POOR_MANY:
            return State.POOR
        if len(self.checks) - counts[State.UNKNOWN] < ANSWERS_LEAST:
            return State.UNKNOWN
        return State.FAIR if counts[State.POOR] or counts[State.FAIR] > FAIR_MOST else State.GOOD

    @property
    def summary(self) -> str:
        """Return the counts as a sentence, as in "6 of 8 checks passed, 1 failed and 1 without data."."""
        counts = self.counts
        fair = "needs attention" if counts[State.FAIR] == 1 else "need attention"
        others = {State.FAIR: fair, State.POOR: "failed", State.UNKNOWN: "without data"}
        found = [f"{counts[State.GOOD]} of {len(self.checks)} checks passed"]
        found += [f"{counts[state]} {words}" for state, words in others.items() if counts[state]]
        return f"{_joined(found)}."


@dataclass(frozen=True, slots=True)
class _Finding:
    """What a check found: a check without its name and title."""

    state: State
    evidence: str
    as_of: datetime | None
    source: Source
    advice: str = ""


def health(known: Known, *, now: datetime) -> Report:
    """Return what the checks say of a package.

    Args:
        known: What is known of the package.
        now: The present instant, from which ages are counted.
    """
    return Report(
        (
            _check("release", "Recent release", _release(known, now)),
            _check("commits", "Recent commits", _commits(known, now)),
            _check("python", "Maintained Python versions", _python(known)),
            _check("people", "Several contributors", _people(known)),
            _check("licence", "Licence", _licence(known)),
            _check("documentation", "Documentation", _documentation(known)),
            _check("not_archived", "Active repository", _not_archived(known)),
            _check("vulnerabilities", "No known vulnerabilities", _vulnerabilities(known)),
        )
    )


def _check(name: str, title: str, found: _Finding) -> Check:
    return Check(name, title, found.state, found.evidence, found.as_of, found.source, found.advice)


def _release(known: Known, now: datetime) -> _Finding:
    if not known.has_index:
        return _not_on_index()
    if known.released_at is None:
        return _not_told(Source.INDEX, "release date", known.index_as_of)
    state, words = _by_age(known, known.released_at, now, RELEASE_GOOD_DAYS, RELEASE_FAIR_DAYS)
    released = f"{_version(known)} was released" if known.version else "The latest release was made"
    evidence = f"{released} on {_day(known.released_at)}.{words}"
    advice = "" if state is State.GOOD else "A new release would improve this."
    return _Finding(state, evidence, known.index_as_of, Source.INDEX, advice)


def _commits(known: Known, now: datetime) -> _Finding:
    if not known.has_repo:
        return _no_repository()
    if known.last_commit_at is not None:
        at, as_of = known.last_commit_at, known.repo_as_of
        words = f"Last commit on {_day(at)}"
    else:
        week, as_of = _last_busy_week(known), known.activity_as_of
        if week is None:
            return _not_told(Source.HOST, "commit date", known.repo_as_of)
        at, words = week, f"Last commit in the week of {_day(week)}"
    state, finished = _by_age(known, at, now, COMMIT_GOOD_DAYS, COMMIT_FAIR_DAYS)
    advice = "" if state is State.GOOD else "New commits would improve this."
    return _Finding(state, f"{words}{_year_of_commits(known)}.{finished}", as_of, Source.HOST, advice)


def _python(known: Known) -> _Finding:
    if not known.has_index:
        return _not_on_index()
    living, named = _living_pythons(known), _named_pythons(known.classifiers)
    if living:
        # Names that are all dead, beside a range that lets living ones in, mean that nobody has looked for long.
        is_dated = bool(named) and not set(living) & set(named)
        is_good = not is_dated and bool(set(living) & set(LIVING_PYTHONS[-NEW_PYTHONS:]))
        state = State.GOOD if is_good else State.FAIR
        words = (
            _range_words(known, living) if is_dated or not named else f"declares support for Python {_joined(living)}"
        )
        words += f", but its classifiers list only Python {_joined(named)}" if is_dated else ""
    else:
        words = _dead_words(known, named)
        if not words:
            return _not_told(Source.INDEX, "Python version data", known.index_as_of)
        state = State.POOR
    evidence = f"{_version(known)} {words}. {_living_words()}"
    newest = _joined(LIVING_PYTHONS[-NEW_PYTHONS:], "or")
    advice = "" if state is State.GOOD else f"A release that declares support for Python {newest} would improve this."
    return _Finding(state, evidence, known.index_as_of, Source.INDEX, advice)


def _people(known: Known) -> _Finding:
    if not known.has_repo:
        return _no_repository()
    if not known.people:
        return _not_told(Source.HOST, "contributor data", known.people_as_of)
    people = _some(known.people, "person has", "people have")
    if not known.people_complete and known.people < PEOPLE_GOOD:
        evidence = f"At least {people} committed; the code host's list is incomplete."
        return _Finding(State.UNKNOWN, evidence, known.people_as_of, Source.HOST, _SITE_ASKS)
    if known.people >= PEOPLE_GOOD:
        state, advice = State.GOOD, ""
    else:
        state = State.FAIR if known.people >= PEOPLE_FAIR else State.POOR
        advice = "More contributors would make it depend less on a few people."
    evidence = f"{people if known.people_complete else f'At least {people}'} committed."
    return _Finding(state, evidence, known.people_as_of, Source.HOST, advice)


def _licence(known: Known) -> _Finding:
    source, as_of = (Source.INDEX, known.index_as_of) if known.has_index else (Source.HOST, known.repo_as_of)
    if known.licence:
        return _Finding(State.GOOD, f"Licensed under {known.licence}.", as_of, source)
    if not known.has_index:
        return _not_on_index()
    if as_of is None:
        return _not_told(source, "licence data", as_of)
    advice = "Declaring the licence in the package metadata, ideally as an SPDX expression, would improve this."
    return _Finding(State.POOR, f"{_version(known)} declares no licence.", as_of, source, advice)


def _documentation(known: Known) -> _Finding:
    if known.documentation_url:
        return _Finding(State.GOOD, f"The documentation is at {known.documentation_url}.", None, Source.PEOPLE)
    # That nobody has written an address here doesn't mean that there is none.
    evidence, advice = "No documentation link yet.", "Anyone with an account can add one."
    return _Finding(State.UNKNOWN, evidence, None, Source.PEOPLE, advice)


def _not_archived(known: Known) -> _Finding:
    advice = "Choose another package for new projects."
    if known.is_gone:
        evidence = "Its repository no longer exists."
        return _Finding(State.POOR, evidence, known.repo_as_of, Source.HOST, advice)
    if known.is_archived and known.has_repo:
        evidence = "Its repository is archived and read-only."
        return _Finding(State.POOR, evidence, known.repo_as_of, Source.HOST, advice)
    if known.is_deprecated:
        evidence = "Marked as deprecated by users of this site."
        return _Finding(State.POOR, evidence, None, Source.PEOPLE, advice)
    if not known.has_repo:
        return _no_repository()
    if known.is_archived is None:
        return _not_told(Source.HOST, "archive status", known.repo_as_of)
    return _Finding(State.GOOD, "Its repository is not archived.", known.repo_as_of, Source.HOST)


def _vulnerabilities(known: Known) -> _Finding:
    if not known.has_index:
        return _not_on_index()
    if known.vulnerabilities is None:
        return _not_told(Source.INDEX, "vulnerability data", known.index_as_of)
    count, version = len(known.vulnerabilities), _version(known)
    if not count:
        evidence = f"{version} has no known vulnerabilities."
        return _Finding(State.GOOD, evidence, known.index_as_of, Source.INDEX)
    shown = list(known.vulnerabilities[:_VULNERABILITIES_NAMED])
    more = [f"{count - len(shown)} more"] if count > len(shown) else []
    evidence = f"{version} has {_some(count, 'known vulnerability', 'known vulnerabilities')}: {_joined(shown + more)}."
    advice = "A release that fixes them would improve this. Until then, check whether they affect you."
    return _Finding(State.POOR, evidence, known.index_as_of, Source.INDEX, advice)


def _not_on_index() -> _Finding:
    """Return what a check says that only the package index could answer: not being there is no fault."""
    advice = "If the package is on PyPI, anyone with an account can add its project name."
    return _Finding(State.UNKNOWN, "No PyPI project is known.", None, Source.INDEX, advice)


def _no_repository() -> _Finding:
    advice = "Anyone with an account can add its URL."
    return _Finding(State.UNKNOWN, "No repository is known.", None, Source.HOST, advice)


def _not_told(source: Source, what: str, as_of: datetime | None) -> _Finding:
    named = f"the {source}" if source is Source.HOST else source
    return _Finding(State.UNKNOWN, f"No {what} from {named} yet.", as_of, source, _SITE_ASKS)


def _by_age(known: Known, at: datetime, now: datetime, good_days: int, fair_days: int) -> tuple[State, str]:
    """Return the state of work last done at an instant, and what is to be said where the work may be finished."""
    days = (now - at).days
    if days <= good_days:
        return State.GOOD, ""
    finished = _finished(known)
    if finished is not None:
        return finished, _FINISHED_WORDS[finished]
    return (State.FAIR if days <= fair_days else State.POOR), ""


def _finished(known: Known) -> State | None:
    """Return what old work counts as where it may be finished; None where nothing says that it is.

    A package that calls itself stable or mature, is kept and runs on a living Python needs no new release each year.
    That it is safe to leave alone must be known, though: where nobody has told of vulnerabilities, it is only fair.
    """
    is_kept = not (known.is_archived or known.is_gone or known.is_deprecated)
    if known.development_status not in FINISHED or not is_kept or known.vulnerabilities or not _living_pythons(known):
        return None
    return State.FAIR if known.vulnerabilities is None else State.GOOD


def living_pythons(classifiers: Sequence[str] | None, requires_python: str | None) -> Sequence[str]:
    """Return the living Pythons that a release names, or else those that its range lets in; oldest first."""
    let_in, named = _let_in(requires_python), _named_pythons(classifiers)
    allowed = LIVING_PYTHONS if let_in is None else let_in
    return [python for python in allowed if python in named] or let_in or ()


def _living_pythons(known: Known) -> Sequence[str]:
    return living_pythons(known.classifiers, known.requires_python) if known.has_index else ()


def _named_pythons(classifiers: Sequence[str] | None) -> Sequence[str]:
    """Return the minor versions of Python 3 that the classifiers name, oldest first."""
    found = {match.group(1) for name in classifiers or () if (match := _NAMED.fullmatch(name))}
    return sorted(found, key=lambda python: (len(python), python))


def _let_in(requires_python: str | None) -> Sequence[str] | None:
    """Return the living Pythons that a range lets in, oldest first; None where there is no range that can be read."""
    if not requires_python or not requires_python.strip():
        return None
    try:
        wanted = SpecifierSet(requires_python)
        # The first and a late patch, so that ">3.11" and "!=3.12.0" are judged by what they mean.
        return [
            python
            for python in LIVING_PYTHONS
            if wanted.contains(f"{python}.0", prereleases=True) or wanted.contains(f"{python}.99", prereleases=True)
        ]
    except (InvalidSpecifier, ValueError):  # ValueError: a number of thousands of digits
        return None


def _range_words(known: Known, living: Sequence[str]) -> str:
    return f"requires Python {known.requires_python}, which includes {_joined(living)}"


def _dead_words(known: Known, named: Sequence[str]) -> str:
    """Return how a release says that it runs on no living Python; nothing where it doesn't say so."""
    if _let_in(known.requires_python) is not None:
        return f"requires Python {known.requires_python}, which excludes every maintained version"
    if named:
        return f"declares support only for Python {_joined(named)}"
    if known.supports_python3 is False:
        return "does not support Python 3"
    classifiers = known.classifiers or ()
    says_3 = known.supports_python3 or supports_python3(None, classifiers)
    return "declares support only for Python 2" if not says_3 and any(map(_PYTHON_2.fullmatch, classifiers)) else ""


def _living_words() -> str:
    return f"Maintained Python versions as of {LIVING_AS_OF}: {_joined(LIVING_PYTHONS)}."


def _last_busy_week(known: Known) -> datetime | None:
    """Return the Monday of the last week with a commit; None where no week has one, or nobody knows which weeks."""
    if known.activity_as_of is None or len(known.commits_over_52) != WEEKS:
        return None
    weeks = zip(week_starts(known.activity_as_of), known.commits_over_52, strict=True)
    return max((week for week, commits in weeks if commits), default=None)


def _year_of_commits(known: Known) -> str:
    commits = sum(known.commits_over_52)
    if not commits or known.activity_as_of is None:
        return ""
    return f"; {_some(commits, 'commit', 'commits')} in the {WEEKS} weeks to {_day(known.activity_as_of)}"


def _version(known: Known) -> str:
    return f"Version {known.version}" if known.version else "The latest release"


def _day(at: datetime) -> str:
    """Return an instant's day in UTC, as in "3 May 2026"; strftime would ask the process's locale for the month."""
    at = at.astimezone(UTC)
    return f"{at.day} {_MONTHS[at.month - 1]} {at.year}"


def _some(count: int, one: str, many: str) -> str:
    return f"{count:,} {one if count == 1 else many}"


def _joined(words: Iterable[str], last: str = "and") -> str:
    *most, end = words
    return f"{', '.join(most)} {last} {end}" if most else end
