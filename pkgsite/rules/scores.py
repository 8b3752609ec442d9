"""A package's score: one number to sort by, its stars less what quiet months and old Pythons take away.

The formula and its numbers are all in this file; `docs/scores.md` restates them with examples.
"""

from __future__ import annotations

from calendar import monthrange
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal

# Parts of the stars are counted in whole tenths: 0.1 and 0.3 have no exact float, and a score must not hang on that.
MONTHS_PER_STEP = 3  # months without a commit that cost a step
STEP_TENTHS = 1  # tenths of the stars that a step costs
UNKNOWN_COMMIT_MONTHS = 24  # what a package without a known commit counts as
PYTHON_3_PENALTY_TENTHS = 3  # tenths of the stars that it costs to be known not to run on Python 3 …
MAX_PYTHON_3_PENALTY = 1000  # … but never more than this
FLOOR_TENTHS = -5  # tenths of the stars below which no score falls


@dataclass(frozen=True, slots=True)
class ScoreParts:
    """How a score came about; the penalties and the floor may end in tenths, the total is whole."""

    stars: int  # 0 where they are unknown
    months: int  # whole months since the last commit, or what an unknown commit counts as
    has_stars: bool
    has_commit: bool
    inactivity_penalty: Decimal
    python3_penalty: Decimal
    floor: Decimal
    is_floored: bool  # the penalties would have taken the score below the floor
    total: int


def months_since(at: datetime, now: datetime) -> int:
    """Return the whole calendar months between two instants, in UTC; 0 where `at` lies ahead.

    A month is whole when the same day and time of day come round in a later month: 15 January to 15 March is 2.
    In a month too short to have that day, its last day stands for it: 31 January to 28 February is 1.
    """
    at, now = at.astimezone(UTC), now.astimezone(UTC)
    months = (now.year - at.year) * 12 + now.month - at.month
    day = min(at.day, monthrange(now.year, now.month)[1])
    if (now.day, now.time()) < (day, at.time()):
        months -= 1
    return max(months, 0)


def score(*, stars: int | None, last_commit_at: datetime | None, supports_python3: bool | None, now: datetime) -> int:
    """Return the score; `score_parts` says how it comes about."""
    return score_parts(stars=stars, last_commit_at=last_commit_at, supports_python3=supports_python3, now=now).total


def score_parts(
    *, stars: int | None, last_commit_at: datetime | None, supports_python3: bool | None, now: datetime
) -> ScoreParts:
    """Return the score with its parts, so that a page can explain it.

    Args:
        stars: Stars on the code host; unknown counts as 0.
        last_commit_at: The last commit; unknown counts as 24 months ago.
        supports_python3: Only a known no costs anything.
        now: The present instant.
    """
    star_count = stars or 0
    months = UNKNOWN_COMMIT_MONTHS if last_commit_at is None else months_since(last_commit_at, now)
    inactivity = months // MONTHS_PER_STEP * STEP_TENTHS * star_count
    python3 = min(PYTHON_3_PENALTY_TENTHS * star_count, 10 * MAX_PYTHON_3_PENALTY) if supports_python3 is False else 0
    floor = FLOOR_TENTHS * star_count
    raw_tenths = 10 * star_count - inactivity - python3
    return ScoreParts(
        stars=star_count,
        months=months,
        has_stars=stars is not None,
        has_commit=last_commit_at is not None,
        inactivity_penalty=_from_tenths(inactivity),
        python3_penalty=_from_tenths(python3),
        floor=_from_tenths(floor),
        is_floored=raw_tenths < floor,
        total=_truncate_tenths(max(raw_tenths, floor)),
    )


def _truncate_tenths(tenths: int) -> int:
    """Return tenths as a whole number, cut towards zero: `//` alone would cut −3.5 to −4."""
    return tenths // 10 if tenths >= 0 else -(-tenths // 10)


def _from_tenths(tenths: int) -> Decimal:
    return Decimal(tenths) / 10
