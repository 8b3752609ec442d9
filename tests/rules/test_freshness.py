"""Due times are spread over the interval, and retries back off."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from pkgsite.rules.freshness import (
    INITIAL_RETRY_DELAY,
    MAX_RETRY_DELAY,
    REFRESH_INTERVALS,
    Source,
    is_missing,
    next_due_at,
    retry_at,
)

NOW = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)
INSTANTS = st.integers(0, 7300 * 86400).map(lambda seconds: NOW + timedelta(seconds=seconds))


@given(st.integers(1, 10**6), st.sampled_from(Source), INSTANTS)
def test_a_source_is_due_again_after_half_an_interval_to_one_and_a_half(
    package_id: int, source: Source, now: datetime
) -> None:
    ahead = next_due_at(package_id, source, now=now) - now
    assert REFRESH_INTERVALS[source] / 2 <= ahead <= REFRESH_INTERVALS[source] * 3 / 2


@given(st.integers(1, 10**6), st.sampled_from(Source), INSTANTS)
def test_a_source_fetched_on_time_is_due_after_one_interval(package_id: int, source: Source, now: datetime) -> None:
    due = next_due_at(package_id, source, now=now)
    assert next_due_at(package_id, source, now=due) == due + REFRESH_INTERVALS[source]


def test_packages_fetched_at_once_are_due_all_over_the_day() -> None:
    hours = [next_due_at(package_id, Source.REPO, now=NOW).hour for package_id in range(2400)]
    counts = [hours.count(hour) for hour in range(24)]
    assert min(counts) > 60
    assert max(counts) < 150


def test_sources_of_one_package_have_different_due_times() -> None:
    assert next_due_at(1, Source.INDEX, now=NOW) != next_due_at(1, Source.ACTIVITY, now=NOW)


def test_retries_back_off_exponentially_up_to_two_days() -> None:
    waits = [retry_at(failures, 7, Source.REPO, now=NOW) - NOW for failures in range(1, 30)]
    for retry, wait in enumerate(waits):
        base = min(INITIAL_RETRY_DELAY * 2**retry, MAX_RETRY_DELAY)
        assert base <= wait <= base * 5 / 4


def test_retries_of_many_packages_are_at_different_times() -> None:
    assert len({retry_at(1, package_id, Source.REPO, now=NOW) for package_id in range(100)}) > 90


def test_missing_requires_both_enough_misses_and_enough_time() -> None:
    long_ago, recently = NOW - timedelta(days=3), NOW - timedelta(days=2, hours=23)
    assert is_missing(4, long_ago, now=NOW)
    assert not is_missing(3, long_ago, now=NOW)
    assert not is_missing(400, recently, now=NOW)
    assert not is_missing(0, None, now=NOW)
