"""When a source of facts is asked again, which of those that are due comes first, and when a package counts as gone."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from enum import IntEnum, StrEnum


class Source(StrEnum):
    """The kinds of facts that are asked for on their own."""

    REPO = "repo"
    ACTIVITY = "activity"
    PEOPLE = "people"
    INDEX = "index"
    DOWNLOADS = "downloads"


class Priority(IntEnum):
    """What brought a source forward; of those that are due, the higher comes first."""

    SCHEDULED = 0
    UPSTREAM_CHANGE = 1  # the index, or the code host, has said that something changed
    USER_REQUEST = 2  # a person asked
    WEBHOOK = 3  # the host told us at the moment of the change


# How long facts are good for. Commits and people are also asked for as soon as the repository shows a new commit, and
# the index as soon as a project's serial has grown: their weeks are for what changes without either.
REFRESH_INTERVALS = {
    Source.REPO: timedelta(days=1),
    Source.ACTIVITY: timedelta(days=7),
    Source.PEOPLE: timedelta(days=28),
    Source.INDEX: timedelta(days=7),
    Source.DOWNLOADS: timedelta(days=7),
}

INITIAL_RETRY_DELAY = timedelta(minutes=10)
MAX_RETRY_DELAY = timedelta(days=2)
MISSING_MIN_MISSES = 4
MISSING_MIN_DURATION = timedelta(days=3)
EPOCH = datetime.fromtimestamp(0, UTC)


def stable_fraction(package_id: int, source: str) -> float:
    """Return a number from 0 to 1 that is this package's and source's own, so that a day's work has no peak."""
    digest = hashlib.sha256(f"{source}:{package_id}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def next_due_at(package_id: int, source: Source, *, now: datetime) -> datetime:
    """Return when a source that has just been fetched is due again.

    Each package has its own moment within the period; the next one that lies at least half a period ahead is taken,
    so that work done early, or all at once, spreads again by itself. Facts are thus fetched on time at an age of
    half a period to one and a half.
    """
    interval = REFRESH_INTERVALS[source]
    phase = EPOCH + stable_fraction(package_id, source) * interval
    periods = (now + interval / 2 - phase) // interval + 1
    return phase + periods * interval


def retry_at(failures: int, package_id: int, source: Source, *, now: datetime) -> datetime:
    """Return when a source is asked again that failed so many times in a row: each time twice as late, with jitter."""
    wait = min(INITIAL_RETRY_DELAY * (1 << min(max(failures - 1, 0), 16)), MAX_RETRY_DELAY)
    return now + wait * (1 + stable_fraction(package_id, f"{source}:{failures}") / 4)


def is_missing(misses: int, first_missed_at: datetime | None, *, now: datetime) -> bool:
    """Tell whether what its host does not know has been missing often and long enough to count as gone."""
    return (
        misses >= MISSING_MIN_MISSES and first_missed_at is not None and now - first_missed_at >= MISSING_MIN_DURATION
    )
