"""The shape of the charts that pages draw: plain numbers, without a word of markup."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar of a chart, in the chart's own units, y counted from the top."""

    x: float
    y: float
    height: float
    value: int
    week_on: date | None  # the Monday of the bar's week


def activity_bars(commits: Sequence[int], *, height: int, width: int, ends_on: date | None = None) -> list[Bar]:
    """Return a bar for each week, oldest first: the busiest is full height, a week with any commit is at least 2 high.

    A week without commits has a flat bar of height 1, so that the reader sees a time without work rather than
    nothing.
    """
    most = max(commits, default=0)
    monday = ends_on - timedelta(days=ends_on.weekday()) if ends_on else None
    step = width / len(commits) if commits else 0
    bars = []
    for number, value in enumerate(commits):
        size = max(2.0, round(height * value / most, 1)) if value > 0 else 1.0
        week_on = monday - timedelta(weeks=len(commits) - 1 - number) if monday else None
        bars.append(Bar(round(number * step, 2), round(height - size, 1), size, value, week_on))
    return bars


def spark_points(commits: Sequence[int], *, height: int, width: int) -> str:
    """Return the points of a line through the weeks, joined by fours so that a small line stays readable."""
    sums = [sum(commits[at : at + 4]) for at in range(0, len(commits), 4)]
    most = max(sums, default=0) or 1
    step = width / max(1, len(sums) - 1)
    return " ".join(
        f"{number * step:.1f},{height - 1 - (height - 2) * value / most:.1f}" for number, value in enumerate(sums)
    )
