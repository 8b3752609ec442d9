"""Work is spread over its period, comes round in time, and is put off longer and longer where it fails."""

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
def test_it_is_due_again_in_half_a_period_to_one_and_a_half(package_id: int, source: Source, now: datetime) -> None:
    ahead = next_due_at(package_id, source, now=now) - now
    assert REFRESH_INTERVALS[source] / 2 <= ahead <= REFRESH_INTERVALS[source] * 3 / 2


@given(st.integers(1, 10**6), st.sampled_from(Source), INSTANTS)
def test_on_time_it_comes_once_a_period(package_id: int, source: Source, now: datetime) -> None:
    due = next_due_at(package_id, source, now=now)
    assert next_due_at(package_id, source, now=due) == due + REFRESH_INTERVALS[source]


def test_a_catalogue_fetched_at_once_spreads_over_the_day() -> None:
    hours = [next_due_at(number, Source.REPO, now=NOW).hour for number in range(2400)]
    counts = [hours.count(hour) for hour in range(24)]
    assert min(counts) > 60
    assert max(counts) < 150


def test_sources_of_one_package_have_moments_of_their_own() -> None:
    assert next_due_at(1, Source.INDEX, now=NOW) != next_due_at(1, Source.ACTIVITY, now=NOW)


def test_a_retry_waits_twice_as_long_each_time_up_to_two_days() -> None:
    waits = [retry_at(failures, 7, Source.REPO, now=NOW) - NOW for failures in range(1, 30)]
    for number, wait in enumerate(waits):
        base = min(INITIAL_RETRY_DELAY * 2**number, MAX_RETRY_DELAY)
        assert base <= wait <= base * 5 / 4


def test_retries_of_many_packages_do_not_come_at_one_moment() -> None:
    assert len({retry_at(1, number, Source.REPO, now=NOW) for number in range(100)}) > 90


def test_gone_needs_both_enough_answers_and_enough_time() -> None:
    long_ago, lately = NOW - timedelta(days=3), NOW - timedelta(days=2, hours=23)
    assert is_missing(4, long_ago, now=NOW)
    assert not is_missing(3, long_ago, now=NOW)
    assert not is_missing(400, lately, now=NOW)
    assert not is_missing(0, None, now=NOW)
