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
    """Return the number of commits in each of the last 52 weeks, oldest first, including the current week."""
    return add_commits([0] * WEEKS, commits, now=now)


def add_commits(counts: Sequence[int], commits: Iterable[datetime], *, now: datetime) -> list[int]:
    """Return the counts of the 52 weeks up to `now` with these commits added; other weeks' commits are ignored."""
    updated, first = list(counts), week_of(now) - WEEKS + 1
    for commit in commits:
        index = week_of(commit) - first
        if 0 <= index < WEEKS:
            updated[index] += 1
    return updated


def shift_counts(counts: Sequence[int], *, counted_at: datetime, now: datetime) -> list[int]:
    """Return counts for the 52 weeks up to `now` from counts at an earlier time: new weeks are 0, old ones dropped.

    If there are not 52 counts, as for a host without this data, returns 52 zeros.
    """
    if len(counts) != WEEKS:
        return [0] * WEEKS
    weeks_passed = min(max(week_of(now) - week_of(counted_at), 0), WEEKS)
    return [*counts[weeks_passed:], *[0] * weeks_passed]


def week_starts(now: datetime) -> list[datetime]:
    """Return the Mondays on which the 52 weeks up to `now` start, oldest first."""
    start = window_start(now)
    return [start + timedelta(weeks=week) for week in range(WEEKS)]
