"""How much packages and grids weigh; the numbers are the reference site's."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from pkgsite.rules.weights import WeightInputs, grid_weight, max_package_weight, package_weight

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


def test_a_package_of_which_nothing_is_known_is_at_least_not_deprecated() -> None:
    assert package_weight(NOTHING, NOW) == 12
    assert package_weight(replace(NOTHING, is_deprecated=True), NOW) == 0


def test_the_worked_example() -> None:
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


def test_a_package_with_everything_weighs_100() -> None:
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
def test_commits_count_less_as_they_age(days: int, points: int) -> None:
    facts = replace(NOTHING, last_commit_at=NOW - timedelta(days=days))
    assert package_weight(facts, NOW) == (20 + points) * 100 // 160


@pytest.mark.parametrize(
    ("heaviest", "locked", "header", "packages", "weight"),
    [
        (120, True, True, True, 100),
        (120, True, True, False, 80),
        (120, False, False, False, 40),
        (60, True, True, True, 50),
        (None, True, True, True, 83),
    ],
)
def test_grids_weigh_a_step_less_for_each_thing_missing(
    heaviest: int | None, locked: bool, header: bool, packages: bool, weight: int
) -> None:
    assert grid_weight(heaviest, is_locked=locked, header=header, has_packages=packages) == weight


def test_the_heaviest_of_none_is_none() -> None:
    assert max_package_weight([], NOW) is None
    assert max_package_weight([NOTHING], NOW) == 12
