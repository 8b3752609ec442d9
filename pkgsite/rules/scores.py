"""A package's score: its stars minus penalties for inactivity and for missing Python 3 support.

The formula and its constants are all in this file; `docs/scores.md` documents them with examples.
"""

from __future__ import annotations

from calendar import monthrange
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal

# Fractions of the stars are integers in tenths: 0.1 and 0.3 have no exact float, which could change a score.
MONTHS_PER_STEP = 3  # months without a commit per penalty step
STEP_TENTHS = 1  # penalty per step, in tenths of the stars
UNKNOWN_COMMIT_MONTHS = 24  # assumed if the last commit is unknown
PYTHON_3_PENALTY_TENTHS = 3  # penalty for no Python 3 support, in tenths of the stars …
MAX_PYTHON_3_PENALTY = 1000  # … but at most this
FLOOR_TENTHS = -5  # minimum score, in tenths of the stars


@dataclass(frozen=True, slots=True)
class ScoreParts:
    """The parts of a score; penalties and floor can have one decimal, the total is an integer."""

    stars: int  # 0 if unknown
    months: int  # full months since the last commit, or the assumed number
    has_stars: bool
    has_commit: bool
    inactivity_penalty: Decimal
    python3_penalty: Decimal
    floor: Decimal
    is_floored: bool  # whether the floor limits the penalties
    total: int


def months_since(at: datetime, now: datetime) -> int:
    """Return the number of full calendar months between two times, in UTC; 0 if `at` is in the future.

    A month is full at the same day and time of the next month: 15 January to 15 March is 2 months. In a month without
    that day, its last day counts: 31 January to 28 February is 1 month.
    """
    at, now = at.astimezone(UTC), now.astimezone(UTC)
    months = (now.year - at.year) * 12 + now.month - at.month
    day = min(at.day, monthrange(now.year, now.month)[1])
    if (now.day, now.time()) < (day, at.time()):
        months -= 1
    return max(months, 0)


def score(*, stars: int | None, last_commit_at: datetime | None, supports_python3: bool | None, now: datetime) -> int:
    """Return the score; `score_parts` returns how it is calculated."""
    return score_parts(stars=stars, last_commit_at=last_commit_at, supports_python3=supports_python3, now=now).total


def score_parts(
    *, stars: int | None, last_commit_at: datetime | None, supports_python3: bool | None, now: datetime
) -> ScoreParts:
    """Return the score with its parts, for explanations on pages.

    Args:
        stars: Stars on the code host; None counts as 0.
        last_commit_at: Time of the last commit; None counts as 24 months ago.
        supports_python3: Only False has a penalty.
        now: The current time.
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
    """Return tenths as an integer, rounded towards zero: `//` alone would round −3.5 to −4."""
    return tenths // 10 if tenths >= 0 else -(-tenths // 10)


def _from_tenths(tenths: int) -> Decimal:
    return Decimal(tenths) / 10
