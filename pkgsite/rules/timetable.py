"""The timetable of scheduled jobs: each has its ticks, counted from midnight UTC on 1 January 1970."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

EPOCH = datetime.fromtimestamp(0, UTC)
KEPT_FOR = timedelta(days=14)  # runs in the log


@dataclass(frozen=True, slots=True)
class Job:
    """A scheduled job.

    Attributes:
        name: In the log.
        title: On the status page.
        every: The time from tick to tick.
        offset: The first tick after midnight, so that not all come at once.
    """

    name: str
    title: str
    every: timedelta
    offset: timedelta = timedelta(0)

    def tick(self, now: datetime) -> datetime:
        """Return the last tick up to now."""
        return EPOCH + self.offset + (now - EPOCH - self.offset) // self.every * self.every

    def next_tick(self, now: datetime) -> datetime:
        """Return the first tick after now."""
        return self.tick(now) + self.every


REFRESH = Job("refresh", "Refresh what is due", timedelta(minutes=1))
SOURCES = Job("sources", "Find what is to be refreshed", timedelta(minutes=10), timedelta(seconds=20))
SERIALS = Job("serials", "Ask the index what has changed", timedelta(hours=6), timedelta(minutes=7))
SAMPLES = Job("samples", "Keep the numbers of the day", timedelta(hours=1), timedelta(minutes=3))
SCORES = Job("scores", "Bring scores up to date", timedelta(hours=6), timedelta(minutes=11))
HOUSEKEEPING = Job("housekeeping", "Clear old rows away", timedelta(days=1), timedelta(hours=3, minutes=17))
SEARCH = Job("search", "Bring the search index up to the day", timedelta(days=1), timedelta(hours=4, minutes=23))
TIMETABLE = (REFRESH, SOURCES, SERIALS, SAMPLES, SCORES, HOUSEKEEPING, SEARCH)
