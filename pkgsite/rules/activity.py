"""Commits counted by week: weeks begin on Monday at 00:00 UTC, and each commit is an instant."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta

WEEKS = 52


def week_of(at: datetime) -> int:
    """Return the number of the week that an instant falls into; the week of 1 January of the year 1, a Monday, is 0."""
    return (at.astimezone(UTC).toordinal() - 1) // 7


def window_start(now: datetime) -> datetime:
    """Return the Monday on which the 52 weeks that end with the present one began."""
    monday = (week_of(now) - WEEKS + 1) * 7 + 1
    return datetime.fromordinal(monday).replace(tzinfo=UTC)


def weekly_counts(commits: Iterable[datetime], *, now: datetime) -> list[int]:
    """Return how many of these commits fell into each of the last 52 weeks, oldest first, the present week last."""
    return add_commits([0] * WEEKS, commits, now=now)


def add_commits(counts: Sequence[int], commits: Iterable[datetime], *, now: datetime) -> list[int]:
    """Return the counts of the 52 weeks up to now with these commits added; commits of other weeks are left out."""
    updated, first = list(counts), week_of(now) - WEEKS + 1
    for commit in commits:
        index = week_of(commit) - first
        if 0 <= index < WEEKS:
            updated[index] += 1
    return updated


def shift_counts(counts: Sequence[int], *, counted_at: datetime, now: datetime) -> list[int]:
    """Return counts taken at one time as they stand at a later one: weeks that have begun since are 0, old ones go.

    Counts that are not 52 long, as a host that has told nothing leaves them, give 52 zeros.
    """
    if len(counts) != WEEKS:
        return [0] * WEEKS
    weeks_passed = min(max(week_of(now) - week_of(counted_at), 0), WEEKS)
    return [*counts[weeks_passed:], *[0] * weeks_passed]


def week_starts(now: datetime) -> list[datetime]:
    """Return the Mondays on which the 52 weeks began, oldest first."""
    start = window_start(now)
    return [start + timedelta(weeks=number) for number in range(WEEKS)]
