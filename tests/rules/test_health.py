"""The health report: the states and texts of each check, and the thresholds in the documentation."""

from __future__ import annotations

import ast
import re
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pkgsite.rules import health
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
FETCHED_AT = datetime(2026, 11, 14, tzinfo=UTC)
PYTHON = "Programming Language :: Python ::"
INDEX_ONLY = ["release", "python", "vulnerabilities"]

HEALTHY = HealthFacts(
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
    repo_as_of=FETCHED_AT,
    activity_as_of=FETCHED_AT,
    participants_as_of=FETCHED_AT,
    index_as_of=FETCHED_AT,
)
NOTHING = HealthFacts(
    **dict.fromkeys((field.name for field in fields(HealthFacts)), cast(Any, None))
    | {"commits_over_52": [], "has_all_participants": True, "is_missing": False, "is_deprecated": False}
    | {"has_index": False, "has_repo": False}
)
OLD_DATES: dict[str, Any] = {
    "released_at": datetime(2019, 2, 1, tzinfo=UTC),
    "last_commit_at": datetime(2019, 3, 1, tzinfo=UTC),
}


def check(name: str, facts: HealthFacts = HEALTHY, **changes: Any) -> Check:
    report = check_health(replace(facts, **changes), now=NOW)
    return next(check for check in report.checks if check.name == name)


def days_ago(days: int) -> datetime:
    return NOW - timedelta(days=days)


def test_a_healthy_package() -> None:
    report = check_health(HEALTHY, now=NOW)
    assert [(check.name, check.state, check.source, check.as_of) for check in report.checks] == [
        ("release", GOOD, EvidenceSource.INDEX, FETCHED_AT),
        ("commits", GOOD, EvidenceSource.HOST, FETCHED_AT),
        ("python", GOOD, EvidenceSource.INDEX, FETCHED_AT),
        ("people", GOOD, EvidenceSource.HOST, FETCHED_AT),
        ("licence", GOOD, EvidenceSource.INDEX, FETCHED_AT),
        ("documentation", GOOD, EvidenceSource.PEOPLE, None),
        ("not_archived", GOOD, EvidenceSource.HOST, FETCHED_AT),
        ("vulnerabilities", GOOD, EvidenceSource.INDEX, FETCHED_AT),
    ]
    assert [check.evidence for check in report.checks] == [
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


def test_a_package_without_facts_is_not_poor() -> None:
    report = check_health(NOTHING, now=NOW)
    assert report.counts == {GOOD: 0, FAIR: 0, POOR: 0, UNKNOWN: 8}
    assert (report.state, report.summary) == (UNKNOWN, "0 of 8 checks passed and 8 without data.")
    assert "No PyPI project" in check("release", NOTHING).evidence


def test_a_package_that_has_not_been_fetched_is_not_poor() -> None:
    report = check_health(replace(NOTHING, has_index=True, has_repo=True), now=NOW)
    assert report.counts[UNKNOWN] == 8
    assert check("release", NOTHING, has_index=True).evidence == "No release date from PyPI yet."


def test_bots_are_not_people() -> None:
    one_person = check("people", participant_count=1, bot_count=12)
    assert (one_person.state, one_person.evidence) == (POOR, "1 person has committed, not counting 12 bots.")
    incomplete = check("people", participant_count=1, bot_count=1, has_all_participants=False)
    assert incomplete.evidence == (
        "At least 1 person has committed, not counting 1 bot; the code host's list is incomplete."
    )
    only_bots = check("people", participant_count=0, bot_count=2)
    assert (only_bots.state, only_bots.evidence) == (UNKNOWN, "The code host lists only bots.")


@pytest.mark.parametrize("status", ["archived", "quarantined", "deprecated"])
def test_an_inactive_project_on_the_index_is_poor(status: str) -> None:
    result = check("not_archived", index_status=status)
    assert (result.state, result.source) == (POOR, EvidenceSource.INDEX)
    assert result.evidence == f"The project is {status} on PyPI."
    assert check("not_archived", index_status="active").state is GOOD
    finished: dict[str, Any] = {"development_status": 6, **OLD_DATES}
    assert check("release", **finished).state is GOOD
    assert check("release", **finished, index_status=status).state is POOR


def test_a_package_that_is_not_on_the_index_is_judged_by_the_other_checks() -> None:
    report = check_health(replace(HEALTHY, has_index=False, vulnerabilities=["CVE-1"], **OLD_DATES), now=NOW)
    assert {check.name for check in report.checks if check.state is UNKNOWN} == set(INDEX_ONLY)
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
def test_release_and_commits_are_judged_by_age(name: str, field: str, days: int, expected: State) -> None:
    changes: dict[str, Any] = {field: days_ago(days)}
    assert check(name, **changes).state is expected


@pytest.mark.parametrize(
    ("weeks", "expected", "phrase"),
    [
        ([0] * 51 + [3], GOOD, "in the week of 9 November 2026"),
        ([1] + [0] * 51, FAIR, "in the week of 17 November 2025"),
        ([0] * 52, UNKNOWN, "No commit date from the code host yet."),
        ([], UNKNOWN, "No commit date from the code host yet."),
    ],
)
def test_weekly_counts_replace_an_unknown_last_commit(weeks: list[int], expected: State, phrase: str) -> None:
    commits = check("commits", last_commit_at=None, commits_over_52=weeks)
    assert commits.state is expected
    assert phrase in commits.evidence


@pytest.mark.parametrize("status", [5, 6])
@pytest.mark.parametrize("name", ["release", "commits"])
def test_finished_packages_are_good_at_any_age(name: str, status: int) -> None:
    finished = check(name, development_status=status, **OLD_DATES)
    assert finished.state is GOOD
    assert finished.evidence.endswith("it counts as finished.")
    assert " 2019" in finished.evidence


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
        ({"is_missing": True}, POOR),
        ({"is_deprecated": True}, POOR),
        ({"classifiers": [f"{PYTHON} 3.6"], "requires_python": None}, POOR),
        ({"classifiers": [f"{PYTHON} 3"], "requires_python": None}, POOR),
        ({"classifiers": None, "requires_python": ">=3.6"}, GOOD),
    ],
)
def test_only_maintained_packages_on_a_maintained_python_can_be_finished(
    changes: dict[str, Any], expected: State
) -> None:
    finished = {"development_status": 5, **OLD_DATES} | changes
    assert check("release", **finished).state is check("commits", **finished).state is expected


@pytest.mark.parametrize(
    ("listed", "requires", "python3", "expected", "phrase"),
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
        (["3.14"], "==3.14.1", True, GOOD, "declares support for Python 3.14"),
        ([], "==3.14.1", True, GOOD, "requires Python ==3.14.1, which includes 3.14"),
        ([], ">=3.6.*", True, GOOD, "requires Python >=3.6.*, which includes 3.11, 3.12, 3.13, 3.14 and 3.15"),
        ([], ">=3.x", None, UNKNOWN, "Version 4.2 requires Python “>=3.x”, which is unreadable."),
        (["3.14"], ">=3.x", True, GOOD, "declares support for Python 3.14"),
        (None, f">={'1' * 10_000}", None, UNKNOWN, "requires Python “…”, which is unreadable."),
        (["2 :: Only"], None, False, POOR, "declares support only for Python 2."),
    ],
)
def test_python_versions(
    listed: list[str] | None, requires: str | None, python3: bool | None, expected: State, phrase: str
) -> None:
    classifiers = None if listed is None else [f"{PYTHON} {python}" for python in listed]
    python_check = check("python", classifiers=classifiers, requires_python=requires, supports_python3=python3)
    assert python_check.state is expected
    assert phrase in python_check.evidence


@pytest.mark.parametrize(
    ("count", "is_complete", "expected", "evidence"),
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
def test_contributors(count: int | None, is_complete: bool, expected: State, evidence: str) -> None:
    people = check("people", participant_count=count, has_all_participants=is_complete)
    assert (people.state, people.evidence) == (expected, evidence)


@pytest.mark.parametrize(
    ("name", "changes", "expected", "evidence"),
    [
        ("licence", {"licence": None}, POOR, "Version 4.2 declares no licence."),
        ("licence", {"licence": None, "version": None}, POOR, "The latest release declares no licence."),
        ("licence", {"licence": None, "index_as_of": None}, UNKNOWN, "No licence data from PyPI yet."),
        ("documentation", {"documentation_url": ""}, UNKNOWN, "No documentation link yet."),
        ("not_archived", {"is_archived": None}, UNKNOWN, None),
        ("not_archived", {"is_archived": True}, POOR, "Its repository is archived and read-only."),
        ("not_archived", {"is_missing": True}, POOR, "Its repository no longer exists."),
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
def test_other_checks(name: str, changes: dict[str, Any], expected: State, evidence: str | None) -> None:
    result = check(name, **changes)
    assert result.state is expected
    assert evidence in {None, result.evidence}


def report(states: str, critical: State = GOOD) -> HealthReport:
    """Return a report with seven checks, given by the first letters of their states, and a critical one."""
    by_letter = {str(state)[0]: state for state in State}
    checks = [Check(letter, "", by_letter[letter], "", None, EvidenceSource.HOST, "") for letter in states]
    return HealthReport((*checks, Check("vulnerabilities", "", critical, "", None, EvidenceSource.INDEX, "")))


@pytest.mark.parametrize(
    ("states", "critical", "expected", "summary"),
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
def test_the_overall_state_and_its_summary(states: str, critical: State, expected: State, summary: str) -> None:
    overall = report(states, critical)
    assert (overall.state, overall.summary) == (expected, summary)


def test_every_threshold_is_documented() -> None:
    page = PAGE.read_text()
    documented = {name: int(number) for number, name in re.findall(r"^\|[^|]+\| (\d+) \| `([A-Z_]+)` \|$", page, re.M)}
    statements = ast.parse(Path(health.__file__).read_text()).body
    targets = [target for node in statements if isinstance(node, ast.Assign) for target in node.targets]
    names = {target.id for target in targets if isinstance(target, ast.Name) and not target.id.startswith("_")}
    constants = {name: getattr(health, name) for name in names}
    assert documented == {name: value for name, value in constants.items() if isinstance(value, int)}
    assert f"as of {SUPPORTED_PYTHONS_AS_OF} these are\n  {', '.join(SUPPORTED_PYTHONS)}." in page


def test_every_check_is_documented() -> None:
    table = PAGE.read_text().split("\n| check |")[1].split("\n\n")[0].splitlines()[2:]
    titles = [row.split(" | ")[0].strip("| ") for row in table]
    assert titles == [check.title for check in check_health(HEALTHY, now=NOW).checks]


def test_checks_do_not_depend_on_stars() -> None:
    assert not [field.name for field in fields(HealthFacts) if "star" in field.name]


TIMES = st.none() | st.timedeltas(timedelta(days=-40), timedelta(days=9999)).map(lambda age: NOW - age)
FLAG = st.none() | st.booleans()
PYTHONS = st.sampled_from([f"{PYTHON} {python}" for python in ("2.7", "3", "3.6", "3.11", "3.15")]) | st.text()
FACTS = st.builds(
    HealthFacts,
    version=st.none() | st.text(),
    released_at=TIMES,
    last_commit_at=TIMES,
    commits_over_52=st.just([]) | st.lists(st.integers(0, 9), min_size=52, max_size=52),
    classifiers=st.none() | st.lists(PYTHONS, max_size=4),
    requires_python=st.none() | st.text() | st.sampled_from([">=3.9", "<3", "~=3.11", "==3.12.*"]),
    supports_python3=FLAG,
    development_status=st.none() | st.integers(1, 7),
    participant_count=st.none() | st.integers(0, 9),
    has_all_participants=st.booleans(),
    licence=st.none() | st.text(),
    documentation_url=st.none() | st.text(),
    is_archived=FLAG,
    is_missing=st.booleans(),
    is_deprecated=st.booleans(),
    vulnerabilities=st.none() | st.lists(st.text(), max_size=8),
    has_index=st.booleans(),
    has_repo=st.booleans(),
    repo_as_of=TIMES,
    activity_as_of=TIMES,
    participants_as_of=TIMES,
    index_as_of=TIMES,
)


@given(FACTS)
def test_every_check_has_evidence_and_every_check_that_is_not_good_has_advice(facts: HealthFacts) -> None:
    result = check_health(facts, now=NOW)
    assert len(result.checks) == sum(result.counts.values()) == 8
    assert len({check.name for check in result.checks}) == 8
    for check in result.checks:
        assert check.evidence.endswith(".")
        assert (check.advice == "") == (check.state is GOOD)
    states = {check.name: check.state for check in result.checks}
    if not facts.has_index:
        assert {states[name] for name in INDEX_ONLY} == {UNKNOWN}
    if facts.is_missing or facts.is_deprecated:
        assert result.state is POOR


@given(FACTS)
def test_time_alone_never_improves_a_check(facts: HealthFacts) -> None:
    rank = [POOR, FAIR, GOOD, UNKNOWN]
    today, later = check_health(facts, now=NOW).checks, check_health(facts, now=NOW + timedelta(days=400)).checks
    for before, after in zip(today, later, strict=True):
        assert (before.state is UNKNOWN) == (after.state is UNKNOWN)
        assert rank.index(before.state) >= rank.index(after.state)
