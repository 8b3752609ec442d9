"""The shape of the charts that pages draw: plain numbers, without a word of markup."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import pairwise

MAX_TABLE_ROWS = 60  # a table behind a chart has so many rows at most
AXIS_STEPS = 4  # a chart's height is about so many round steps of its axis
MIN_AXIS_SHARE = 20  # an axis spans at least one part in so many of the greatest value, so that a ripple is no mountain


@dataclass(frozen=True, slots=True)
class WeekBar:
    """One bar of a chart, in the chart's own units, y counted from the top."""

    x: float
    y: float
    height: float
    value: int | None  # None: the week has not been counted
    week_on: date | None  # the Monday of the bar's week


@dataclass(frozen=True, slots=True)
class Point:
    """A value on a day."""

    day_on: date
    value: int


@dataclass(frozen=True, slots=True)
class LineChart:
    """A line through days, as the data of SVG paths in the chart's own units, y counted from the top."""

    line_path: str  # broken where days without a value lie between; a value that stands alone is a dot
    extremes_path: str  # dots on the least and the greatest value
    bottom: int  # the value at the lower edge
    top: int  # the value at the upper edge
    first: Point
    last: Point
    minimum: Point  # the last day of those that had it
    maximum: Point  # the last day of those that had it
    count: int  # days with a value
    rows: list[Point]  # for a table, newest first; `MAX_TABLE_ROWS` at most, evenly chosen where there are more days


def activity_bars(
    commits: Sequence[int | None], *, height: int, width: int, ends_on: date | None = None
) -> list[WeekBar]:
    """Return a bar for each week, oldest first: the busiest is full height, a week with any commit is at least 2 high.

    A week without commits has a flat bar of height 1, so that the reader sees a time without work rather than
    nothing; so has a week that has not been counted, whose value is None.
    """
    maximum = max((value for value in commits if value is not None), default=0)
    monday = ends_on - timedelta(days=ends_on.weekday()) if ends_on else None
    step = width / len(commits) if commits else 0
    bars = []
    for number, value in enumerate(commits):
        size = max(2.0, round(height * value / maximum, 1)) if value else 1.0
        week_on = monday - timedelta(weeks=len(commits) - 1 - number) if monday else None
        bars.append(WeekBar(round(number * step, 2), round(height - size, 1), size, value, week_on))
    return bars


def line_chart(
    days: Sequence[tuple[date, int | None]], *, height: int, width: int, joined_days: int = 1
) -> LineChart | None:
    """Return the line through a value's days; None where fewer than two of them have a value.

    Args:
        days: Each day once, oldest first, with its value or None; a day may be missing altogether.
        height: Of the chart, in its own units.
        width: Of the chart, in its own units.
        joined_days: Two values are joined if they are at most so many days apart.
    """
    points = [Point(day_on, value) for day_on, value in days if value is not None]
    if len(points) < 2:
        return None
    newest_first = points[::-1]
    least = min(newest_first, key=lambda point: point.value)
    maximum = max(newest_first, key=lambda point: point.value)
    bottom, top = axis_bounds(least.value, maximum.value)
    first, last = points[0], points[-1]

    def place(point: Point) -> str:
        x = width * (point.day_on - first.day_on).days / (last.day_on - first.day_on).days
        y = height * (top - point.value) / (top - bottom)
        return f"{x:.1f} {y:.1f}"

    return LineChart(
        line_path="".join(_svg_path([place(point) for point in run]) for run in _split_runs(points, joined_days)),
        extremes_path="".join(_svg_path([place(point)]) for point in (least, maximum)),
        bottom=bottom,
        top=top,
        first=first,
        last=last,
        minimum=least,
        maximum=maximum,
        count=len(points),
        rows=sample_points(points, MAX_TABLE_ROWS)[::-1],
    )


def axis_bounds(minimum: int, maximum: int) -> tuple[int, int]:
    """Return the values at the lower and the upper edge of a chart: round numbers around what it shows.

    The axis begins at 0 where that is not far below the least value.
    """
    room = max(maximum - minimum, maximum // MIN_AXIS_SHARE, AXIS_STEPS)
    step = _round_step(room)
    middle = (minimum + maximum) // 2
    bottom = max(0, min(minimum, middle - room // 2) // step * step)
    top = max(-(-maximum // step) * step, bottom + step)
    return (0 if bottom <= room else bottom), top


def sample_points(points: Sequence[Point], max_points: int) -> list[Point]:
    """Return so many of the points at most, evenly chosen, the first and the last among them."""
    if len(points) <= max_points:
        return list(points)
    return [points[round(number * (len(points) - 1) / (max_points - 1))] for number in range(max_points)]


def sparkline_points(commits: Sequence[int], *, height: int, width: int) -> str:
    """Return the points of a line through the weeks, joined by fours so that a small line stays readable."""
    sums = [sum(commits[at : at + 4]) for at in range(0, len(commits), 4)]
    maximum = max(sums, default=0) or 1
    step = width / max(1, len(sums) - 1)
    return " ".join(
        f"{number * step:.1f},{height - 1 - (height - 2) * value / maximum:.1f}" for number, value in enumerate(sums)
    )


def _split_runs(points: Sequence[Point], joined_days: int) -> list[list[Point]]:
    """Return the points cut into runs where two neighbours are too far apart to be joined."""
    runs = [[points[0]]]
    for before, point in pairwise(points):
        if (point.day_on - before.day_on).days > joined_days:
            runs.append([])
        runs[-1].append(point)
    return runs


def _svg_path(coordinates: Sequence[str]) -> str:
    """Return the path through these places; one alone is a line without length, which round ends make a dot."""
    start, *rest = coordinates
    return f"M{start}" + (f"L{' '.join(rest)}" if rest else "h0")


def _round_step(value_range: int) -> int:
    """Return the least of 1, 2, 5, 10, 20, 50 … of which `AXIS_STEPS` fill the room."""
    step = 1
    while True:
        for factor in (1, 2, 5):
            if step * factor * AXIS_STEPS >= value_range:
                return step * factor
        step *= 10
