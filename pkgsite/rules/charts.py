"""The geometry of the charts on pages, without markup."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import pairwise

MAX_TABLE_ROWS = 60  # maximum number of rows in the table of a chart's values
AXIS_STEPS = 4  # approximate number of steps on the vertical axis
MIN_AXIS_SHARE = 20  # an axis spans at least 1/20 of the maximum, so that small changes do not look large


@dataclass(frozen=True, slots=True)
class WeekBar:
    """One bar of a chart, in chart units; y is measured from the top."""

    x: float
    y: float
    height: float
    value: int
    week_on: date | None  # Monday of the week


@dataclass(frozen=True, slots=True)
class Point:
    """The value of one day."""

    day_on: date
    value: int


@dataclass(frozen=True, slots=True)
class LineChart:
    """A line chart of daily values, as SVG path data in chart units; y is measured from the top."""

    line_path: str  # with gaps at days without a value; an isolated value is a dot
    extremes_path: str  # dots at the minimum and the maximum
    bottom: int  # value at the lower edge
    top: int  # value at the upper edge
    first: Point
    last: Point
    minimum: Point  # on the last day with this value
    maximum: Point  # on the last day with this value
    count: int  # number of days with a value
    rows: list[Point]  # for a table, newest first; at most `MAX_TABLE_ROWS`, evenly sampled


def activity_bars(commits: Sequence[int], *, height: int, width: int, ends_on: date | None = None) -> list[WeekBar]:
    """Return a bar for each week, oldest first. The busiest week has full height, any week with commits at least 2.

    Weeks without commits have a flat bar of height 1, so that the gap is visible.
    """
    maximum = max(commits, default=0)
    monday = ends_on - timedelta(days=ends_on.weekday()) if ends_on else None
    step = width / len(commits) if commits else 0
    bars = []
    for week, value in enumerate(commits):
        size = max(2.0, round(height * value / maximum, 1)) if value else 1.0
        week_on = monday - timedelta(weeks=len(commits) - 1 - week) if monday else None
        bars.append(WeekBar(round(week * step, 2), round(height - size, 1), size, value, week_on))
    return bars


def line_chart(
    days: Sequence[tuple[date, int | None]], *, height: int, width: int, joined_days: int = 1
) -> LineChart | None:
    """Return the line chart of daily values, or None if fewer than two days have a value.

    Args:
        days: Days with their values or None, oldest first; days can be missing.
        height: Height of the chart, in chart units.
        width: Width of the chart, in chart units.
        joined_days: Maximum number of days between two values that are connected by a line.
    """
    points = [Point(day_on, value) for day_on, value in days if value is not None]
    if len(points) < 2:
        return None
    newest_first = points[::-1]
    minimum = min(newest_first, key=lambda point: point.value)
    maximum = max(newest_first, key=lambda point: point.value)
    bottom, top = axis_bounds(minimum.value, maximum.value)
    first, last = points[0], points[-1]

    def coordinates(point: Point) -> str:
        x = width * (point.day_on - first.day_on).days / (last.day_on - first.day_on).days
        y = height * (top - point.value) / (top - bottom)
        return f"{x:.1f} {y:.1f}"

    return LineChart(
        line_path="".join(_svg_path([coordinates(point) for point in run]) for run in _split_runs(points, joined_days)),
        extremes_path="".join(_svg_path([coordinates(point)]) for point in (minimum, maximum)),
        bottom=bottom,
        top=top,
        first=first,
        last=last,
        minimum=minimum,
        maximum=maximum,
        count=len(points),
        rows=sample_points(points, MAX_TABLE_ROWS)[::-1],
    )


def axis_bounds(minimum: int, maximum: int) -> tuple[int, int]:
    """Return the values at the lower and upper edges of a chart: round numbers that include all values.

    The axis starts at 0 if that is close enough to the minimum.
    """
    span = max(maximum - minimum, maximum // MIN_AXIS_SHARE, AXIS_STEPS)
    step = _round_step(span)
    middle = (minimum + maximum) // 2
    bottom = max(0, min(minimum, middle - span // 2) // step * step)
    top = max(-(-maximum // step) * step, bottom + step)
    return (0 if bottom <= span else bottom), top


def sample_points(points: Sequence[Point], max_points: int) -> list[Point]:
    """Return at most `max_points` of the points, evenly sampled, including the first and the last."""
    if len(points) <= max_points:
        return list(points)
    return [points[round(index * (len(points) - 1) / (max_points - 1))] for index in range(max_points)]


def sparkline_points(commits: Sequence[int], *, height: int, width: int) -> str:
    """Return the points of an SVG polyline of the commits, summed over four weeks to keep a small line readable."""
    sums = [sum(commits[week : week + 4]) for week in range(0, len(commits), 4)]
    maximum = max(sums, default=0) or 1
    step = width / max(1, len(sums) - 1)
    return " ".join(
        f"{index * step:.1f},{height - 1 - (height - 2) * value / maximum:.1f}" for index, value in enumerate(sums)
    )


def _split_runs(points: Sequence[Point], joined_days: int) -> list[list[Point]]:
    """Split the points into runs whose neighbours are at most `joined_days` apart."""
    runs = [[points[0]]]
    for previous, point in pairwise(points):
        if (point.day_on - previous.day_on).days > joined_days:
            runs.append([])
        runs[-1].append(point)
    return runs


def _svg_path(coordinates: Sequence[str]) -> str:
    """Return the path through these points; a single one is a line of length 0, which round line caps make a dot."""
    start, *rest = coordinates
    return f"M{start}" + (f"L{' '.join(rest)}" if rest else "h0")


def _round_step(value_range: int) -> int:
    """Return the smallest of 1, 2, 5, 10, 20, 50 … of which `AXIS_STEPS` cover the range."""
    step = 1
    while True:
        for factor in (1, 2, 5):
            if step * factor * AXIS_STEPS >= value_range:
                return step * factor
        step *= 10
