"""The shape of charts."""

from datetime import date

from hypothesis import given
from hypothesis import strategies as st

from pkgsite.rules.charts import activity_bars, spark_points


def test_the_busiest_week_is_full_height_and_a_quiet_one_still_shows() -> None:
    bars = activity_bars([0, 1, 1000], width=30, height=100)
    assert [bar.height for bar in bars] == [1, 2, 100]
    assert [bar.x for bar in bars] == [0, 10, 20]
    assert [bar.y + bar.height for bar in bars] == [100, 100, 100]


def test_weeks_begin_on_mondays_and_end_with_the_week_of_the_fetch() -> None:
    bars = activity_bars([1] * 52, width=52, height=10, ends_on=date(2026, 2, 15))
    assert (bars[0].week_on, bars[-1].week_on) == (date(2025, 2, 17), date(2026, 2, 9))


def test_no_weeks_make_no_bars() -> None:
    assert activity_bars([], width=52, height=10) == []


@given(st.lists(st.integers(0, 10**6), max_size=60))
def test_every_bar_and_point_stays_inside(commits: list[int]) -> None:
    assert all(0 <= bar.y <= 96 and 0 < bar.height <= 96 for bar in activity_bars(commits, width=624, height=96))
    for point in spark_points(commits, width=96, height=22).split():
        x, y = map(float, point.split(","))
        assert 0 <= x <= 96
        assert 0 <= y <= 22
