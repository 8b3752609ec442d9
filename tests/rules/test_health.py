"""The health report: each check's states, what is said of them, and that the words about them are true."""

from __future__ import annotations

import ast
import re
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pkgsite.rules import health as rules
from pkgsite.rules.health import (
    SUPPORTED_PYTHONS,
    SUPPORTED_PYTHONS_AS_OF,
    Check,
    EvidenceSource,
    HealthFacts,
    HealthReport,
    State,
    check_health,
)

PAGE = Path(__file__).resolve().parents[2] / "docs" / "scores.md"
GOOD, FAIR, POOR, UNKNOWN = State.GOOD, State.FAIR, State.POOR, State.UNKNOWN
NOW = datetime(2026, 11, 15, 12, tzinfo=UTC)
READ = datetime(2026, 11, 14, tzinfo=UTC)
PYTHON = "Programming Language :: Python ::"
INDEX_ONLY = ["release", "python", "vulnerabilities"]

WELL = HealthFacts(
    version="4.2",
    released_at=datetime(2026, 5, 3, tzinfo=UTC),
    last_commit_at=datetime(2026, 10, 31, 23, tzinfo=UTC),
    commits_over_52=[1] * 52,
    classifiers=[f"{PYTHON} 3", f"{PYTHON} 3.13", f"{PYTHON} 3.14"],
    requires_python=">=3.13",
    supports_python3=True,
    development_status=4,
    participant_count=12,
    has_all_participants=True,
    licence="MIT",
    documentation_url="https://docs.example.org",
    is_archived=False,
    is_missing=False,
    is_deprecated=False,
    vulnerabilities=[],
    has_index=True,
    has_repo=True,
    repo_as_of=READ,
    activity_as_of=READ,
    participants_as_of=READ,
    index_as_of=READ,
)
NOTHING = HealthFacts(
    **{field.name: None for field in fields(HealthFacts)}
    | {"commits_over_52": [], "is_participant_list_complete": True, "is_gone": False, "is_deprecated": False}
    | {"has_index": False, "has_repo": False}
)
OLD = {"released_at": datetime(2019, 2, 1, tzinfo=UTC), "last_commit_at": datetime(2019, 3, 1, tzinfo=UTC)}


def check(name: str, known: HealthFacts = WELL, **changes: Any) -> Check:
    report = check_health(replace(known, **changes), now=NOW)
    return next(found for found in report.checks if found.name == name)


def days_ago(days: int) -> datetime:
    return NOW - timedelta(days=days)


def test_a_package_that_is_well() -> None:
    report = check_health(WELL, now=NOW)
    assert [(found.name, found.state, found.source, found.as_of) for found in report.checks] == [
        ("release", GOOD, EvidenceSource.INDEX, READ),
        ("commits", GOOD, EvidenceSource.HOST, READ),
        ("python", GOOD, EvidenceSource.INDEX, READ),
        ("people", GOOD, EvidenceSource.HOST, READ),
        ("licence", GOOD, EvidenceSource.INDEX, READ),
        ("documentation", GOOD, EvidenceSource.PEOPLE, None),
        ("not_archived", GOOD, EvidenceSource.HOST, READ),
        ("vulnerabilities", GOOD, EvidenceSource.INDEX, READ),
    ]
    assert [found.evidence for found in report.checks] == [
        "Version 4.2 was released on 3 May 2026.",
        "Last commit on 31 October 2026; 52 commits in the 52 weeks to 14 November 2026.",
        "Version 4.2 declares support for Python 3.13 and 3.14. "
        "Maintained Python versions as of November 2026: 3.11, 3.12, 3.13, 3.14 and 3.15.",
        "12 people have committed.",
        "Licensed under MIT.",
        "The documentation is at https://docs.example.org.",
        "Its repository is not archived.",
        "Version 4.2 has no known vulnerabilities.",
    ]
    assert (report.state, report.summary) == (GOOD, "8 of 8 checks passed.")


def test_a_package_of_which_nothing_is_known_is_not_poor() -> None:
    report = check_health(NOTHING, now=NOW)
    assert report.counts == {GOOD: 0, FAIR: 0, POOR: 0, UNKNOWN: 8}
    assert (report.state, report.summary) == (UNKNOWN, "0 of 8 checks passed and 8 without data.")
    assert "No PyPI project" in check("release", NOTHING).evidence


def test_a_package_that_nobody_has_asked_about_is_not_poor() -> None:
    report = check_health(replace(NOTHING, has_index=True, has_repo=True), now=NOW)
    assert report.counts[UNKNOWN] == 8
    assert check("release", NOTHING, has_index=True).evidence == "No release date from PyPI yet."


def test_a_package_off_the_index_is_judged_by_the_rest() -> None:
    report = check_health(replace(WELL, has_index=False, vulnerabilities=["CVE-1"], **OLD), now=NOW)
    assert {found.name for found in report.checks if found.state is UNKNOWN} == set(INDEX_ONLY)
    assert check("licence", has_index=False).source is EvidenceSource.HOST
    assert check("licence", has_index=False, licence=None).state is UNKNOWN


@pytest.mark.parametrize(
    ("name", "field", "days", "expected"),
    [
        ("release", "released_at", -1, GOOD),
        ("release", "released_at", 365, GOOD),
        ("release", "released_at", 366, FAIR),
        ("release", "released_at", 730, FAIR),
        ("release", "released_at", 731, POOR),
        ("commits", "last_commit_at", 182, GOOD),
        ("commits", "last_commit_at", 183, FAIR),
        ("commits", "last_commit_at", 365, FAIR),
        ("commits", "last_commit_at", 366, POOR),
    ],
)
def test_age(name: str, field: str, days: int, expected: State) -> None:
    assert check(name, **{field: days_ago(days)}).state is expected


@pytest.mark.parametrize(
    ("weeks", "expected", "words"),
    [
        ([0] * 51 + [3], GOOD, "in the week of 9 November 2026"),
        ([1] + [0] * 51, FAIR, "in the week of 17 November 2025"),
        ([0] * 52, UNKNOWN, "No commit date from the code host yet."),
        ([], UNKNOWN, "No commit date from the code host yet."),
    ],
)
def test_without_a_last_commit_the_weeks_are_asked(weeks: list[int], expected: State, words: str) -> None:
    found = check("commits", last_commit_at=None, commits_over_52=weeks)
    assert found.state is expected
    assert words in found.evidence


@pytest.mark.parametrize("status", [5, 6])
@pytest.mark.parametrize("name", ["release", "commits"])
def test_finished_work_is_good_however_old(name: str, status: int) -> None:
    found = check(name, development_status=status, **OLD)
    assert found.state is GOOD
    assert found.evidence.endswith("it counts as finished.")
    assert " 2019" in found.evidence


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"vulnerabilities": None}, FAIR),
        ({"vulnerabilities": ["CVE-1"]}, POOR),
        ({"development_status": 4}, POOR),
        ({"development_status": 7}, POOR),
        ({"development_status": None}, POOR),
        ({"is_archived": True}, POOR),
        ({"is_archived": None}, GOOD),
        ({"is_gone": True}, POOR),
        ({"is_deprecated": True}, POOR),
        ({"classifiers": [f"{PYTHON} 3.6"], "requires_python": None}, POOR),
        ({"classifiers": [f"{PYTHON} 3"], "requires_python": None}, POOR),
        ({"classifiers": None, "requires_python": ">=3.6"}, GOOD),
    ],
)
def test_only_kept_and_running_work_can_be_finished(changes: dict[str, Any], expected: State) -> None:
    finished = {"development_status": 5, **OLD} | changes
    assert check("release", **finished).state is check("commits", **finished).state is expected


@pytest.mark.parametrize(
    ("named", "requires", "python3", "expected", "words"),
    [
        (["3", "3.15"], None, True, GOOD, "declares support for Python 3.15"),
        (["3.9", "3.11", "3.14"], ">=3.9", True, GOOD, "declares support for Python 3.11 and 3.14"),
        (["3.11", "3.12", "3.13"], ">=3.9", True, FAIR, "declares support for Python 3.11, 3.12 and 3.13"),
        (["3.13", "3.14"], "<3.14", True, FAIR, "declares support for Python 3.13."),
        (["3"], ">=3.10", True, GOOD, "requires Python >=3.10, which includes 3.11, 3.12, 3.13, 3.14 and 3.15"),
        (None, ">3.14, !=3.14.0", True, GOOD, "includes 3.14 and 3.15"),
        (["3 :: Only"], ">=3.8,<3.13", True, FAIR, "includes 3.11 and 3.12"),
        (["2.7", "3.6", "3.10"], ">=2.7", True, FAIR, "but its classifiers list only Python 3.6 and 3.10"),
        (["3.9", "3.10"], None, True, POOR, "declares support only for Python 3.9 and 3.10"),
        (["3.14"], "<3", False, POOR, "requires Python <3, which excludes every maintained version"),
        (["2", "2.7"], None, None, POOR, "declares support only for Python 2."),
        (["2 :: Only"], "", None, POOR, "declares support only for Python 2."),
        ([], None, False, POOR, "does not support Python 3"),
        (["2.7", "3"], None, True, UNKNOWN, "No Python version data from PyPI yet."),
        (["2.7"], None, True, UNKNOWN, "No Python version data from PyPI yet."),
        ([], ">=3.x", None, UNKNOWN, "No Python version data from PyPI yet."),
        (None, f">={'1' * 10_000}", None, UNKNOWN, "No Python version data from PyPI yet."),
    ],
)
def test_pythons(
    named: list[str] | None, requires: str | None, python3: bool | None, expected: State, words: str
) -> None:
    classifiers = None if named is None else [f"{PYTHON} {python}" for python in named]
    found = check("python", classifiers=classifiers, requires_python=requires, supports_python3=python3)
    assert found.state is expected
    assert words in found.evidence


@pytest.mark.parametrize(
    ("people", "complete", "expected", "evidence"),
    [
        (1200, False, GOOD, "At least 1,200 people have committed."),
        (5, True, GOOD, "5 people have committed."),
        (4, True, FAIR, "4 people have committed."),
        (2, True, FAIR, "2 people have committed."),
        (1, True, POOR, "1 person has committed."),
        (1, False, UNKNOWN, "At least 1 person has committed; the code host's list is incomplete."),
        (0, True, UNKNOWN, "No contributor data from the code host yet."),
        (None, True, UNKNOWN, "No contributor data from the code host yet."),
    ],
)
def test_people(people: int | None, complete: bool, expected: State, evidence: str) -> None:
    found = check("people", people=people, is_participant_list_complete=complete)
    assert (found.state, found.evidence) == (expected, evidence)


@pytest.mark.parametrize(
    ("name", "changes", "expected", "evidence"),
    [
        ("licence", {"licence": None}, POOR, "Version 4.2 declares no licence."),
        ("licence", {"licence": None, "version": None}, POOR, "The latest release declares no licence."),
        ("licence", {"licence": None, "index_as_of": None}, UNKNOWN, "No licence data from PyPI yet."),
        ("documentation", {"documentation_url": ""}, UNKNOWN, "No documentation link yet."),
        ("not_archived", {"is_archived": None}, UNKNOWN, None),
        ("not_archived", {"is_archived": True}, POOR, "Its repository is archived and read-only."),
        ("not_archived", {"is_gone": True}, POOR, "Its repository no longer exists."),
        ("not_archived", {"is_deprecated": True}, POOR, "Marked as deprecated by users of this site."),
        ("not_archived", {"is_deprecated": True, "has_repo": False}, POOR, None),
        ("not_archived", {"has_repo": False}, UNKNOWN, "No repository is known."),
        ("vulnerabilities", {"vulnerabilities": None}, UNKNOWN, None),
        ("vulnerabilities", {"vulnerabilities": ["A"]}, POOR, "Version 4.2 has 1 known vulnerability: A."),
        (
            "vulnerabilities",
            {"vulnerabilities": list("ABCDEFG")},
            POOR,
            "Version 4.2 has 7 known vulnerabilities: A, B, C, D, E and 2 more.",
        ),
    ],
)
def test_the_rest(name: str, changes: dict[str, Any], expected: State, evidence: str | None) -> None:
    found = check(name, **changes)
    assert found.state is expected
    assert evidence in {None, found.evidence}


def report(states: str, grave: State = GOOD) -> HealthReport:
    """Return a report of seven checks, each given by its state's first letter, and a grave one."""
    letters = {str(state)[0]: state for state in State}
    checks = [Check(str(at), "", letters[char], "", None, EvidenceSource.HOST, "") for at, char in enumerate(states)]
    return HealthReport((*checks, Check("vulnerabilities", "", grave, "", None, EvidenceSource.INDEX, "")))


@pytest.mark.parametrize(
    ("states", "grave", "expected", "summary"),
    [
        ("ggggggg", POOR, POOR, "7 of 8 checks passed and 1 failed."),
        ("uuuuuuu", POOR, POOR, "0 of 8 checks passed, 1 failed and 7 without data."),
        ("ggggppp", GOOD, POOR, "5 of 8 checks passed and 3 failed."),
        ("gguuuuu", GOOD, UNKNOWN, "3 of 8 checks passed and 5 without data."),
        ("uuuuuuu", GOOD, UNKNOWN, "1 of 8 checks passed and 7 without data."),
        ("ggguuuu", GOOD, GOOD, "4 of 8 checks passed and 4 without data."),
        ("gggggff", GOOD, GOOD, "6 of 8 checks passed and 2 need attention."),
        ("ggggfff", GOOD, FAIR, "5 of 8 checks passed and 3 need attention."),
        ("gggggfp", GOOD, FAIR, "6 of 8 checks passed, 1 needs attention and 1 failed."),
    ],
)
def test_the_whole(states: str, grave: State, expected: State, summary: str) -> None:
    whole = report(states, grave)
    assert (whole.state, whole.summary) == (expected, summary)


def test_the_page_restates_every_threshold() -> None:
    page = PAGE.read_text()
    told = {name: int(number) for number, name in re.findall(r"^\|[^|]+\| (\d+) \| `([A-Z_]+)` \|$", page, re.M)}
    theirs = ast.parse(Path(rules.__file__).read_text()).body
    names = {target.id for node in theirs if isinstance(node, ast.Assign) for target in node.targets}
    held = {name: getattr(rules, name) for name in names if not name.startswith("_")}
    assert told == {name: value for name, value in held.items() if isinstance(value, int)}
    assert f"as of {SUPPORTED_PYTHONS_AS_OF} these are\n  {', '.join(SUPPORTED_PYTHONS)}." in page


def test_the_page_names_every_check() -> None:
    table = PAGE.read_text().split("\n| check |")[1].split("\n\n")[0].splitlines()[2:]
    assert [row.split(" | ")[0].strip("| ") for row in table] == [
        found.title for found in check_health(WELL, now=NOW).checks
    ]


def test_no_check_can_look_at_stars() -> None:
    assert not [field.name for field in fields(HealthFacts) if "star" in field.name]


TIMES = st.none() | st.timedeltas(timedelta(days=-40), timedelta(days=9999)).map(lambda age: NOW - age)
FLAG = st.none() | st.booleans()
PYTHONS = st.sampled_from([f"{PYTHON} {python}" for python in ("2.7", "3", "3.6", "3.11", "3.15")]) | st.text()
KNOWN = st.builds(
    HealthFacts,
    version=st.none() | st.text(),
    released_at=TIMES,
    last_commit_at=TIMES,
    commits_over_52=st.just([]) | st.lists(st.integers(0, 9), min_size=52, max_size=52),
    classifiers=st.none() | st.lists(PYTHONS, max_size=4),
    requires_python=st.none() | st.text() | st.sampled_from([">=3.9", "<3", "~=3.11", "==3.12.*"]),
    supports_python3=FLAG,
    development_status=st.none() | st.integers(1, 7),
    people=st.none() | st.integers(0, 9),
    is_participant_list_complete=st.booleans(),
    licence=st.none() | st.text(),
    documentation_url=st.none() | st.text(),
    is_archived=FLAG,
    is_gone=st.booleans(),
    is_deprecated=st.booleans(),
    vulnerabilities=st.none() | st.lists(st.text(), max_size=8),
    has_index=st.booleans(),
    has_repo=st.booleans(),
    repo_as_of=TIMES,
    activity_as_of=TIMES,
    people_as_of=TIMES,
    index_as_of=TIMES,
)


@given(KNOWN)
def test_whatever_is_known_each_check_speaks_and_advises(known: HealthFacts) -> None:
    found = check_health(known, now=NOW)
    assert len(found.checks) == sum(found.counts.values()) == 8
    assert len({one.name for one in found.checks}) == 8
    for one in found.checks:
        assert one.evidence.endswith(".")
        assert (one.advice == "") == (one.state is GOOD)
    states = {one.name: one.state for one in found.checks}
    if not known.has_index:
        assert {states[name] for name in INDEX_ONLY} == {UNKNOWN}
    if known.is_missing or known.is_deprecated:
        assert found.state is POOR


@given(KNOWN)
def test_time_alone_never_improves_a_check(known: HealthFacts) -> None:
    rank = [POOR, FAIR, GOOD, UNKNOWN]
    today, later = check_health(known, now=NOW).checks, check_health(known, now=NOW + timedelta(days=400)).checks
    for before, after in zip(today, later, strict=True):
        assert (before.state is UNKNOWN) == (after.state is UNKNOWN)
        assert rank.index(before.state) >= rank.index(after.state)
