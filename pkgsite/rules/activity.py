"""Weekly commit counts. Weeks start on Monday at 00:00 UTC."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta

WEEKS = 52


def week_of(at: datetime) -> int:
    """Return the number of the week of a time; week 0 starts on Monday, 1 January of the year 1."""
    return (at.astimezone(UTC).toordinal() - 1) // 7


def window_start(now: datetime) -> datetime:
    """Return the start of the 52 weeks that end with the current week."""
    monday = (week_of(now) - WEEKS + 1) * 7 + 1
    return datetime.fromordinal(monday).replace(tzinfo=UTC)


def weekly_counts(commits: Iterable[datetime], *, now: datetime) -> list[int]:
    """Return the number of commits in each of the last 52 weeks, oldest first, including the current week.

    Commits of other weeks are ignored.
    """
    counts, first = [0] * WEEKS, week_of(now) - WEEKS + 1
    for commit in commits:
        index = week_of(commit) - first
        if 0 <= index < WEEKS:
            counts[index] += 1
    return counts


def yearly_commits(counts: Sequence[int]) -> int | None:
    """Return the number of commits in the 52 weeks of these counts, or None if the counts are unknown."""
    return sum(counts) if len(counts) == WEEKS else None


def week_starts(now: datetime) -> list[datetime]:
    """Return the Mondays on which the 52 weeks up to `now` start, oldest first."""
    start = window_start(now)
    return [start + timedelta(weeks=week) for week in range(WEEKS)]
