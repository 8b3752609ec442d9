"""Weekly commit counts: weeks start on Monday at 00:00 UTC; compared with counting by brute force."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pkgsite.rules.activity import WEEKS, week_starts, weekly_counts, yearly_commits

NOWS = st.timedeltas(timedelta(0), timedelta(days=40 * 365)).map(lambda age: datetime(2000, 1, 1, tzinfo=UTC) + age)
ZONES = st.one_of(
    st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes))),
    st.sampled_from([ZoneInfo("America/New_York"), ZoneInfo("Europe/Berlin"), ZoneInfo("Australia/Lord_Howe"), UTC]),
)
AGES = st.one_of(
    st.floats(-10 * 86400, 400 * 86400).map(lambda s: timedelta(seconds=s)),
    # around the boundaries of weeks, to the microsecond
    st.builds(
        lambda weeks, micros: timedelta(weeks=weeks, microseconds=micros), st.integers(0, 54), st.integers(-2, 2)
    ),
)


def by_brute_force(commits: list[datetime], now: datetime) -> list[int]:
    """Count week by week, backwards from the current week."""
    midnight = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    monday = midnight - timedelta(days=midnight.weekday())
    counts = []
    for back in range(WEEKS - 1, -1, -1):
        start = monday - timedelta(weeks=back)
        counts.append(sum(start <= commit.astimezone(UTC) < start + timedelta(weeks=1) for commit in commits))
    return counts


@st.composite
def histories(draw: st.DrawFn) -> tuple[datetime, list[datetime]]:
    now = draw(NOWS)
    monday = now.replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=now.weekday())
    ages = draw(st.lists(st.tuples(st.sampled_from([now, monday]), AGES, ZONES), max_size=30))
    return now, [(start - age).astimezone(zone) for start, age, zone in ages]


@given(histories())
@example((datetime(2026, 1, 1, tzinfo=UTC), [datetime(2025, 12, 28, 23, 59, 59, tzinfo=UTC)]))  # the end of a year
@example((datetime(2026, 3, 8, 23, 0, tzinfo=UTC), [datetime(2026, 3, 8, 3, 30, tzinfo=ZoneInfo("America/New_York"))]))
@example((datetime(2024, 2, 29, tzinfo=UTC), [datetime(2024, 2, 26, tzinfo=timezone(timedelta(hours=14)))]))
def test_counts_equal_those_of_brute_force(history: tuple[datetime, list[datetime]]) -> None:
    now, commits = history
    assert weekly_counts(commits, now=now) == by_brute_force(commits, now)


@given(NOWS)
def test_weeks_start_on_mondays(now: datetime) -> None:
    starts = week_starts(now)
    assert len(starts) == WEEKS
    assert all(start.weekday() == 0 and start.time() == datetime.min.time() for start in starts)
    assert starts[-1] <= now < starts[-1] + timedelta(weeks=1)


@pytest.mark.parametrize(("counts", "total"), [([], None), ([1] * 51, None), ([0] * 52, 0), ([1] * 52, 52)])
def test_the_commits_of_a_year_are_the_sum_of_all_weeks(counts: list[int], total: int | None) -> None:
    assert yearly_commits(counts) == total
