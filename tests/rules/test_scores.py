"""The score: its table, its edges, and that the words about it are true."""

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


TABLE = [
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


@pytest.mark.parametrize(("stars", "commit", "python3", "expected"), TABLE)
def test_the_table(stars: int | None, commit: datetime | None, python3: bool | None, expected: int) -> None:
    assert score(stars=stars, last_commit_at=commit, supports_python3=python3, now=NOW) == expected


def test_the_page_has_the_same_table() -> None:
    commits = {"unknown": [None], "now": [NOW], "10 days ago": [NOW - timedelta(days=10)]}
    commits |= {f"{months} months ago": [months_ago(months)] for months in range(1, 121)}
    commits["any"] = [None, NOW, months_ago(24)]
    answers = {"yes": [True], "no": [False], "unknown": [None], "any": [True, False, None]}
    seen = set()
    for row in rows_under("### Examples"):
        stars, commit, python3, ours, theirs, changed = row
        for at, answer in product(commits[commit], answers[python3]):
            found = score(stars=int(stars), last_commit_at=at, supports_python3=answer, now=NOW)
            assert found == number(ours), row
            seen.add((int(stars), at, answer, found))
        assert (ours != theirs) == changed.startswith("**changed**: "), row
    assert seen >= {row for row in TABLE if row[0] is not None}


def rows_under(heading: str) -> list[list[str]]:
    """Return the cells of the first table under a heading of the page, without its head."""
    lines = PAGE.read_text().split(f"\n{heading}\n")[1].split("\n## ")[0].splitlines()
    table = [line for line in lines if line.startswith("|")][2:]
    assert table
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table]


def number(words: str) -> int:
    return int(words.replace("−", "-"))


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
def test_whole_calendar_months_are_counted_in_utc(at: datetime, now: datetime, expected: int) -> None:
    assert months_since(at, now) == expected


def test_the_parts_explain_the_score() -> None:
    parts = score_parts(stars=55, last_commit_at=months_ago(4), supports_python3=False, now=NOW)
    assert (parts.stars, parts.months, parts.has_stars, parts.has_commit) == (55, 4, True, True)
    assert (parts.inactivity_penalty, parts.python3_penalty) == (Decimal("5.5"), Decimal("16.5"))
    assert (parts.floor, parts.is_floored, parts.total) == (Decimal("-27.5"), False, 33)


def test_the_parts_say_what_was_unknown_and_whether_the_floor_held() -> None:
    unknown = score_parts(stars=None, last_commit_at=None, supports_python3=None, now=NOW)
    assert (unknown.stars, unknown.months, unknown.has_stars, unknown.has_commit) == (0, 24, False, False)
    assert score_parts(stars=7, last_commit_at=months_ago(45), supports_python3=True, now=NOW).is_floored is False
    fallen = score_parts(stars=7, last_commit_at=months_ago(48), supports_python3=True, now=NOW)
    assert (fallen.is_floored, fallen.total) == (True, -3)  # cut towards zero, not down to −4


@given(stars=STARS, commit=COMMITS, python3=PYTHON_3)
def test_a_score_lies_between_minus_half_the_stars_and_the_stars(
    stars: int, commit: datetime | None, python3: bool | None
) -> None:
    parts = score_parts(stars=stars, last_commit_at=commit, supports_python3=python3, now=NOW)
    assert -stars <= 2 * parts.total <= 2 * stars
    left = parts.floor if parts.is_floored else parts.stars - parts.inactivity_penalty - parts.python3_penalty
    assert int(left) == parts.total == score(stars=stars, last_commit_at=commit, supports_python3=python3, now=NOW)


@given(stars=STARS, python3=PYTHON_3, months=st.tuples(st.integers(0, 600), st.integers(0, 600)))
def test_more_quiet_months_never_help(stars: int, python3: bool | None, months: tuple[int, int]) -> None:
    earlier, later = (
        score(stars=stars, last_commit_at=months_ago(ago), supports_python3=python3, now=NOW)
        for ago in sorted(months, reverse=True)
    )
    assert earlier <= later


@given(stars=STARS, commit=COMMITS)
def test_only_a_known_no_to_python_3_costs_anything(stars: int, commit: datetime | None) -> None:
    yes, no, unknown = (
        score(stars=stars, last_commit_at=commit, supports_python3=python3, now=NOW) for python3 in (True, False, None)
    )
    assert no <= yes == unknown


@given(
    st.timedeltas(timedelta(0), timedelta(days=9999)).map(lambda age: NOW - age),
    st.timedeltas(timedelta(0), timedelta(days=9999)),
    st.timedeltas(timedelta(0), timedelta(days=99)),
)
def test_months_only_grow(at: datetime, passed: timedelta, more: timedelta) -> None:
    assert 0 <= months_since(at, at + passed) <= months_since(at, at + passed + more)
