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

    AGE = 0
    SERIAL = 1  # the index, or the code host, has said that something changed
    CLICK = 2  # a person asked
    WEBHOOK = 3  # the host told us at the moment of the change


# How long facts are good for. Commits and people are also asked for as soon as the repository shows a new commit, and
# the index as soon as a project's serial has grown: their weeks are for what changes without either.
EVERY = {
    Source.REPO: timedelta(days=1),
    Source.ACTIVITY: timedelta(days=7),
    Source.PEOPLE: timedelta(days=28),
    Source.INDEX: timedelta(days=7),
    Source.DOWNLOADS: timedelta(days=7),
}

FIRST_RETRY = timedelta(minutes=10)
LONGEST_RETRY = timedelta(days=2)
GONE_MISSES = 4
GONE_AFTER = timedelta(days=3)
EPOCH = datetime.fromtimestamp(0, UTC)


def spread(package_id: int, source: str) -> float:
    """Return a number from 0 to 1 that is this package's and source's own, so that a day's work has no peak."""
    digest = hashlib.sha256(f"{source}:{package_id}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def next_due(package_id: int, source: Source, *, now: datetime) -> datetime:
    """Return when a source that has just been fetched is due again.

    Each package has its own moment within the period; the next one that lies at least half a period ahead is taken,
    so that work done early, or all at once, spreads again by itself. Facts are thus fetched on time at an age of
    half a period to one and a half.
    """
    every = EVERY[source]
    moment = EPOCH + spread(package_id, source) * every
    periods = (now + every / 2 - moment) // every + 1
    return moment + periods * every


def retry_at(failures: int, package_id: int, source: Source, *, now: datetime) -> datetime:
    """Return when a source is asked again that failed so many times in a row: each time twice as late, with jitter."""
    wait = min(FIRST_RETRY * (1 << min(max(failures - 1, 0), 16)), LONGEST_RETRY)
    return now + wait * (1 + spread(package_id, f"{source}:{failures}") / 4)


def is_gone(misses: int, first_missed_at: datetime | None, *, now: datetime) -> bool:
    """Tell whether what its host does not know has been missing often and long enough to count as gone."""
    return misses >= GONE_MISSES and first_missed_at is not None and now - first_missed_at >= GONE_AFTER
