"""Weights of packages and grids, with the values of the reference site."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from pkgsite.rules.weights import WeightInputs, grid_weight, package_weight

NOW = datetime(2026, 3, 1, tzinfo=UTC)
NOTHING = WeightInputs(
    is_deprecated=False,
    has_description=False,
    downloads=None,
    forks=None,
    stars=None,
    usage_count=0,
    last_commit_at=None,
    released_at=None,
)


def test_a_package_without_facts_gets_points_for_not_being_deprecated() -> None:
    assert package_weight(NOTHING, NOW) == 12
    assert package_weight(replace(NOTHING, is_deprecated=True), NOW) == 0


def test_an_example() -> None:
    facts = WeightInputs(
        is_deprecated=False,
        has_description=True,
        downloads=0,
        forks=0,
        stars=1234,
        usage_count=1,
        last_commit_at=NOW - timedelta(days=200),
        released_at=NOW - timedelta(days=5),
    )
    assert package_weight(facts, NOW) == 53


def test_the_maximum_weight_is_100() -> None:
    facts = WeightInputs(
        is_deprecated=False,
        has_description=True,
        downloads=20_000,
        forks=20,
        stars=20,
        usage_count=20,
        last_commit_at=NOW,
        released_at=NOW,
    )
    assert package_weight(facts, NOW) == 100


@pytest.mark.parametrize(("days", "points"), [(0, 20), (89, 20), (90, 10), (181, 10), (182, 5), (364, 5), (365, 0)])
def test_points_for_commits_decrease_with_age(days: int, points: int) -> None:
    facts = replace(NOTHING, last_commit_at=NOW - timedelta(days=days))
    assert package_weight(facts, NOW) == (20 + points) * 100 // 160


@pytest.mark.parametrize(
    ("max_weight", "is_locked", "header", "has_packages", "expected"),
    [
        (120, True, True, True, 100),
        (120, True, True, False, 80),
        (120, False, False, False, 40),
        (60, True, True, True, 50),
        (None, True, True, True, 83),
    ],
)
def test_grids_lose_a_step_for_each_missing_property(
    max_weight: int | None, is_locked: bool, header: bool, has_packages: bool, expected: int
) -> None:
    assert grid_weight(max_weight, is_locked=is_locked, header=header, has_packages=has_packages) == expected
