"""The score: examples, edge cases and the documented table."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from itertools import product
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pkgsite.rules.scores import months_since, score, score_parts

PAGE = Path(__file__).resolve().parents[2] / "docs" / "scores.md"
NOW = datetime(2026, 11, 15, 12, tzinfo=UTC)
STARS = st.integers(min_value=0, max_value=10**9)
COMMITS = st.none() | st.timedeltas(timedelta(days=-40), timedelta(days=9999)).map(lambda age: NOW - age)
PYTHON_3 = st.sampled_from([True, False, None])


def months_ago(months: int) -> datetime:
    year, month = divmod(NOW.year * 12 + NOW.month - 1 - months, 12)
    return NOW.replace(year=year, month=month + 1)


EXAMPLES = [
    (100, NOW - timedelta(days=10), True, 100),
    (100, None, False, -10),
    (100, None, True, 20),
    (100, months_ago(2), True, 100),
    (100, months_ago(3), True, 90),
    (100, months_ago(6), True, 80),
    (100, NOW, False, 70),
    (100, NOW, None, 100),
    (1000, months_ago(24), False, -100),
    (1000, months_ago(120), False, -500),
    (100, months_ago(120), False, -50),
    (10_000, months_ago(120), False, -5000),
    (55, months_ago(4), True, 49),
    (10_000, NOW, False, 9000),
    (7, months_ago(3), False, 4),
    (0, None, False, 0),
    (0, NOW, True, 0),
    (None, NOW, True, 0),
]


@pytest.mark.parametrize(("stars", "commit", "python3", "expected"), EXAMPLES)
def test_examples(stars: int | None, commit: datetime | None, python3: bool | None, expected: int) -> None:
    assert score(stars=stars, last_commit_at=commit, supports_python3=python3, now=NOW) == expected


def test_the_examples_are_documented() -> None:
    commits: dict[str, list[datetime | None]] = {
        "unknown": [None],
        "now": [NOW],
        "10 days ago": [NOW - timedelta(days=10)],
    }
    commits |= {f"{months} months ago": [months_ago(months)] for months in range(1, 121)}
    commits["any"] = [None, NOW, months_ago(24)]
    support: dict[str, list[bool | None]] = {
        "yes": [True],
        "no": [False],
        "unknown": [None],
        "any": [True, False, None],
    }
    seen = set()
    for row in rows_under("### Examples"):
        stars, commit, python3, documented, reference_score, note = row
        for last_commit_at, supports_python3 in product(commits[commit], support[python3]):
            points = score(
                stars=number(stars), last_commit_at=last_commit_at, supports_python3=supports_python3, now=NOW
            )
            assert points == number(documented), row
            seen.add((number(stars), last_commit_at, supports_python3, points))
        assert (documented != reference_score) == note.startswith("**changed**: "), row
    assert seen >= {row for row in EXAMPLES if row[0] is not None}


def rows_under(heading: str) -> list[list[str]]:
    """Return the cells of the first table under a heading of the page, without its header."""
    lines = PAGE.read_text().split(f"\n{heading}\n")[1].split("\n## ")[0].splitlines()
    table = [line for line in lines if line.startswith("|")][2:]
    assert table
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table]


def number(text: str) -> int:
    return int(text.replace("−", "-").replace(",", ""))


@pytest.mark.parametrize(
    ("at", "now", "expected"),
    [
        (datetime(2026, 1, 15, tzinfo=UTC), datetime(2026, 3, 15, tzinfo=UTC), 2),
        (datetime(2026, 1, 15, 0, 0, 1, tzinfo=UTC), datetime(2026, 3, 15, tzinfo=UTC), 1),
        (datetime(2026, 1, 15, tzinfo=UTC), datetime(2026, 3, 14, tzinfo=UTC), 1),
        (datetime(2025, 12, 31, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC), 0),
        (datetime(2026, 1, 31, tzinfo=UTC), datetime(2026, 2, 28, tzinfo=UTC), 1),
        (datetime(2024, 1, 31, tzinfo=UTC), datetime(2024, 2, 28, tzinfo=UTC), 0),
        (datetime(2026, 1, 31, tzinfo=UTC), datetime(2026, 2, 27, 23, 59, tzinfo=UTC), 0),
        (datetime(2024, 2, 29, tzinfo=UTC), datetime(2025, 2, 28, tzinfo=UTC), 12),
        (datetime(2027, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC), 0),
        (datetime(2026, 3, 1, 1, tzinfo=timezone(timedelta(hours=2))), datetime(2026, 3, 28, 23, tzinfo=UTC), 1),
    ],
)
def test_full_calendar_months_are_counted_in_utc(at: datetime, now: datetime, expected: int) -> None:
    assert months_since(at, now) == expected


def test_the_parts_explain_the_score() -> None:
    parts = score_parts(stars=55, last_commit_at=months_ago(4), supports_python3=False, now=NOW)
    assert (parts.stars, parts.months, parts.has_stars, parts.has_commit) == (55, 4, True, True)
    assert (parts.inactivity_penalty, parts.python3_penalty) == (Decimal("5.5"), Decimal("16.5"))
    assert (parts.floor, parts.is_floored, parts.total) == (Decimal("-27.5"), False, 33)


def test_the_parts_show_unknown_facts_and_whether_the_floor_applies() -> None:
    unknown = score_parts(stars=None, last_commit_at=None, supports_python3=None, now=NOW)
    assert (unknown.stars, unknown.months, unknown.has_stars, unknown.has_commit) == (0, 24, False, False)
    assert score_parts(stars=7, last_commit_at=months_ago(45), supports_python3=True, now=NOW).is_floored is False
    floored = score_parts(stars=7, last_commit_at=months_ago(48), supports_python3=True, now=NOW)
    assert (floored.is_floored, floored.total) == (True, -3)  # rounded towards zero, not down to −4


@given(stars=STARS, commit=COMMITS, python3=PYTHON_3)
def test_a_score_is_between_minus_half_the_stars_and_the_stars(
    stars: int, commit: datetime | None, python3: bool | None
) -> None:
    parts = score_parts(stars=stars, last_commit_at=commit, supports_python3=python3, now=NOW)
    assert -stars <= 2 * parts.total <= 2 * stars
    exact_score = parts.floor if parts.is_floored else parts.stars - parts.inactivity_penalty - parts.python3_penalty
    assert (
        int(exact_score) == parts.total == score(stars=stars, last_commit_at=commit, supports_python3=python3, now=NOW)
    )


@given(stars=STARS, python3=PYTHON_3, months=st.tuples(st.integers(0, 600), st.integers(0, 600)))
def test_more_months_without_a_commit_never_improve_a_score(
    stars: int, python3: bool | None, months: tuple[int, int]
) -> None:
    earlier, later = (
        score(stars=stars, last_commit_at=months_ago(ago), supports_python3=python3, now=NOW)
        for ago in sorted(months, reverse=True)
    )
    assert earlier <= later


@given(stars=STARS, commit=COMMITS)
def test_only_known_missing_python_3_support_has_a_penalty(stars: int, commit: datetime | None) -> None:
    yes, no, unknown = (
        score(stars=stars, last_commit_at=commit, supports_python3=python3, now=NOW) for python3 in (True, False, None)
    )
    assert no <= yes == unknown


@given(
    st.timedeltas(timedelta(0), timedelta(days=9999)).map(lambda age: NOW - age),
    st.timedeltas(timedelta(0), timedelta(days=9999)),
    st.timedeltas(timedelta(0), timedelta(days=99)),
)
def test_the_number_of_months_only_grows(at: datetime, passed: timedelta, more: timedelta) -> None:
    assert 0 <= months_since(at, at + passed) <= months_since(at, at + passed + more)
