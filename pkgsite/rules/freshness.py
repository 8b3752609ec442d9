"""When sources of facts are fetched again, in what order, and when a repository counts as missing."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from enum import IntEnum, StrEnum


class Source(StrEnum):
    """The kinds of facts that are fetched separately."""

    REPO = "repo"
    ACTIVITY = "activity"
    PEOPLE = "people"
    INDEX = "index"
    DOWNLOADS = "downloads"


class Priority(IntEnum):
    """The reason why a source is due; sources with a higher priority are fetched first."""

    SCHEDULED = 0
    UPSTREAM_CHANGE = 1  # reported by the package index or the code host
    USER_REQUEST = 2  # requested by a user
    WEBHOOK = 3  # sent by the host at the time of the change


# Contributors and weekly commits are also fetched when the repository has a new commit, and the package index when a
# project's serial has increased: their intervals are for all other changes.
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
MAX_RETRY_JITTER = 0.25  # of the delay
CLOCK_TOLERANCE = timedelta(minutes=1)  # by which the clocks of machines may differ
EPOCH = datetime.fromtimestamp(0, UTC)


def stable_fraction(package_id: int, source: str) -> float:
    """Return a number from 0 to 1 that is specific to the package and the source, to spread requests over time."""
    digest = hashlib.sha256(f"{source}:{package_id}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def next_due_at(package_id: int, source: Source, *, now: datetime) -> datetime:
    """Return when a source that has just been fetched is due again.

    Each package has a fixed phase within the interval. The next due time is the first one at that phase that is at
    least half an interval away, so that sources fetched early, or all at once, spread out again. Sources are
    therefore due again after half an interval to one and a half.
    """
    interval = REFRESH_INTERVALS[source]
    phase = EPOCH + stable_fraction(package_id, source) * interval
    periods = (now + interval / 2 - phase) // interval + 1
    return phase + periods * interval


def retry_at(failures: int, package_id: int, source: Source, *, now: datetime) -> datetime:
    """Return when to retry a source after consecutive failures, with exponential backoff and jitter."""
    wait = min(INITIAL_RETRY_DELAY * (1 << min(max(failures - 1, 0), 16)), MAX_RETRY_DELAY)
    return now + wait * (1 + stable_fraction(package_id, f"{source}:{failures}") * MAX_RETRY_JITTER)


def latest_due_at(source: Source, *, now: datetime) -> datetime:
    """Return the latest time that `next_due_at` or `retry_at` can have returned; later ones are from a wrong clock."""
    return now + max(REFRESH_INTERVALS[source] * 1.5, MAX_RETRY_DELAY * (1 + MAX_RETRY_JITTER)) + CLOCK_TOLERANCE


def is_missing(misses: int, first_missed_at: datetime | None, *, now: datetime) -> bool:
    """Return whether a host has reported "not found" often enough and for long enough that the source is missing."""
    return (
        misses >= MISSING_MIN_MISSES and first_missed_at is not None and now - first_missed_at >= MISSING_MIN_DURATION
    )
