"""How much a package or a grid weighs among search results, from 0 to 100.

The rules are those of the reference site, so that its API's readers find the numbers that they know.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

RULE_POINTS = 20
RULE_COUNT = 8

_COMMIT_POINTS = ((timedelta(days=90), 20), (timedelta(days=182), 10), (timedelta(days=365), 5))
_RECENT_RELEASE = timedelta(days=365)


@dataclass(frozen=True, slots=True)
class WeightInputs:
    """The facts that a package is weighed by; None means "not told" and earns nothing."""

    is_deprecated: bool
    has_description: bool
    downloads: int | None
    forks: int | None
    stars: int | None
    usage_count: int
    last_commit_at: datetime | None
    released_at: datetime | None


def package_weight(facts: WeightInputs, now: datetime) -> int:
    """Return the sum of eight rules of 20 points each, scaled to 100 and cut to a whole number."""
    points = (
        0 if facts.is_deprecated else RULE_POINTS,
        RULE_POINTS if facts.has_description else 0,
        _capped((facts.downloads or 0) // 1000),
        _capped(facts.forks or 0),
        _commit_points(facts.last_commit_at, now),
        RULE_POINTS if facts.released_at is not None and now - facts.released_at < _RECENT_RELEASE else 0,
        _capped(facts.usage_count),
        _capped(facts.stars or 0),
    )
    return sum(points) * 100 // (RULE_COUNT * RULE_POINTS)


def grid_weight(max_weight: int | None, *, is_locked: bool, header: bool, has_packages: bool) -> int:
    """Return a grid's weight, a step below that of the heaviest package (100 where there is none).

    A step is a sixth of it; one is taken for being a grid, and one each for not being locked, not being on the home
    page, and having no packages.
    """
    maximum = 100 if max_weight is None else max_weight
    steps = 1 + (not is_locked) + (not header) + (not has_packages)
    return maximum * (6 - steps) // 6


def max_package_weight(packages: Iterable[WeightInputs], now: datetime) -> int | None:
    """Return the highest weight among the packages; None where there are none."""
    return max((package_weight(facts, now) for facts in packages), default=None)


def _capped(points: int) -> int:
    return max(0, min(points, RULE_POINTS))


def _commit_points(last_commit_at: datetime | None, now: datetime) -> int:
    if last_commit_at is None:
        return 0
    age = now - last_commit_at
    return next((points for limit, points in _COMMIT_POINTS if age < limit), 0)
