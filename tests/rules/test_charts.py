"""The geometry of charts."""

import re
from datetime import date, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pkgsite.rules.charts import Point, activity_bars, axis_bounds, line_chart, sample_points, sparkline_points

DAY = date(2026, 2, 1)


def days(*values: int | None) -> list[tuple[date, int | None]]:
    return [(DAY + timedelta(days=offset), value) for offset, value in enumerate(values)]


def test_the_busiest_week_has_full_height_and_weeks_without_commits_are_visible() -> None:
    bars = activity_bars([0, 1, 1000], width=30, height=100)
    assert [bar.height for bar in bars] == [1, 2, 100]
    assert [bar.x for bar in bars] == [0, 10, 20]
    assert [bar.y + bar.height for bar in bars] == [100, 100, 100]


def test_bars_start_on_mondays_and_end_with_the_given_week() -> None:
    bars = activity_bars([1] * 52, width=52, height=10, ends_on=date(2026, 2, 15))
    assert (bars[0].week_on, bars[-1].week_on) == (date(2025, 2, 17), date(2026, 2, 9))


def test_a_chart_without_weeks_has_no_bars() -> None:
    assert activity_bars([], width=52, height=10) == []


@given(st.lists(st.integers(0, 10**6), max_size=60))
def test_bars_and_points_stay_inside_the_chart(commits: list[int]) -> None:
    assert all(0 <= bar.y <= 96 and 0 < bar.height <= 96 for bar in activity_bars(commits, width=624, height=96))
    for point in sparkline_points(commits, width=96, height=22).split():
        x, y = map(float, point.split(","))
        assert 0 <= x <= 96
        assert 0 <= y <= 22


def test_a_line_runs_from_the_first_day_to_the_last() -> None:
    chart = line_chart(days(0, 5, 10), width=100, height=50)
    assert chart
    assert (chart.bottom, chart.top) == (0, 10)
    assert chart.line_path == "M0.0 50.0L50.0 25.0 100.0 0.0"
    assert chart.extremes_path == "M0.0 50.0h0M100.0 0.0h0"
    assert (chart.first, chart.last) == (Point(DAY, 0), Point(DAY + timedelta(days=2), 10))
    assert [point.value for point in chart.rows] == [10, 5, 0]


def test_a_day_without_a_value_is_a_gap_and_an_isolated_value_is_a_dot() -> None:
    chart = line_chart(days(0, 5, None, 10, None), width=100, height=50)
    assert chart
    assert chart.line_path == "M0.0 50.0L33.3 25.0M100.0 0.0h0"
    assert chart.count == 3
    missing = line_chart([day for day in days(0, 5, None, 10, None) if day[1] is not None], width=100, height=50)
    assert missing == chart


def test_weekly_values_can_be_joined() -> None:
    weekly = [(DAY + timedelta(weeks=week), 10) for week in (0, 1, 3)]
    chart = line_chart(weekly, width=210, height=10, joined_days=10)
    assert chart
    assert chart.line_path.count("M") == 2
    assert chart.line_path.startswith("M0.0")
    assert "L70.0" in chart.line_path


@pytest.mark.parametrize("values", [days(), days(None, None), days(None, 3)])
def test_fewer_than_two_values_make_no_chart(values: list[tuple[date, int | None]]) -> None:
    assert line_chart(values, width=100, height=50) is None


def test_minimum_and_maximum_are_on_the_last_day_with_their_value() -> None:
    chart = line_chart(days(3, 9, 3, 9, 5), width=100, height=50)
    assert chart
    assert chart.minimum == Point(DAY + timedelta(days=2), 3)
    assert chart.maximum == Point(DAY + timedelta(days=3), 9)


@pytest.mark.parametrize(
    ("minimum", "maximum", "bounds"),
    [
        (0, 0, (0, 1)),
        (7, 7, (5, 7)),
        (3, 90, (0, 100)),
        (2258, 2263, (2200, 2300)),
        (1000, 2000, (0, 2000)),
        (56850, 91542, (50000, 100000)),
        (10**6, 10**6 + 1, (960000, 1020000)),
    ],
)
def test_an_axis_has_round_bounds_and_does_not_exaggerate_small_changes(
    minimum: int, maximum: int, bounds: object
) -> None:
    assert axis_bounds(minimum, maximum) == bounds


def test_table_rows_are_sampled_evenly() -> None:
    points = [Point(DAY + timedelta(days=number), number) for number in range(400)]
    rows = sample_points(points, 60)
    assert (len(rows), rows[0], rows[-1]) == (60, points[0], points[-1])
    steps = {after.value - before.value for before, after in pairwise(rows)}
    assert steps == {6, 7}
    assert sample_points(points[:60], 60) == points[:60]


@given(st.lists(st.none() | st.integers(0, 10**9), max_size=400))
def test_lines_stay_inside_the_chart(values: list[int | None]) -> None:
    chart = line_chart(days(*values), width=624, height=120)
    known = [value for value in values if value is not None]
    assert (chart is None) == (len(known) < 2)
    if chart:
        assert 0 <= chart.bottom <= chart.minimum.value <= chart.maximum.value <= chart.top
        assert chart.bottom < chart.top
        assert len(chart.rows) <= 60
        for x, y in re.findall(r"([0-9.]+) ([0-9.]+)", chart.line_path + chart.extremes_path):
            assert 0 <= float(x) <= 624
            assert 0 <= float(y) <= 120
