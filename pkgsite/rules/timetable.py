"""The timetable of scheduled jobs: each has its ticks, counted from midnight UTC on 1 January 1970."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

EPOCH = datetime.fromtimestamp(0, UTC)
LOG_RETENTION = timedelta(days=14)  # runs in the log


@dataclass(frozen=True, slots=True)
class Job:
    """A scheduled job.

    Attributes:
        name: In the log.
        title: On the status page.
        interval: The time from tick to tick.
        offset: The first tick after midnight, so that not all come at once.
    """

    name: str
    title: str
    interval: timedelta
    offset: timedelta = timedelta(0)

    def last_tick(self, now: datetime) -> datetime:
        """Return the last tick up to now."""
        return EPOCH + self.offset + (now - EPOCH - self.offset) // self.interval * self.interval

    def next_tick(self, now: datetime) -> datetime:
        """Return the first tick after now."""
        return self.last_tick(now) + self.interval


REFRESH = Job("refresh", "Refresh package facts", timedelta(minutes=1))
SOURCES = Job("sources", "Update refresh schedule", timedelta(minutes=10), timedelta(seconds=20))
SERIALS = Job("serials", "Check PyPI for changes", timedelta(hours=6), timedelta(minutes=7))
SAMPLES = Job("samples", "Record daily statistics", timedelta(hours=1), timedelta(minutes=3))
SCORES = Job("scores", "Update scores", timedelta(hours=6), timedelta(minutes=11))
HOUSEKEEPING = Job("housekeeping", "Delete old job runs", timedelta(days=1), timedelta(hours=3, minutes=17))
SEARCH = Job("search", "Update search index", timedelta(days=1), timedelta(hours=4, minutes=23))
TIMETABLE = (REFRESH, SOURCES, SERIALS, SAMPLES, SCORES, HOUSEKEEPING, SEARCH)
