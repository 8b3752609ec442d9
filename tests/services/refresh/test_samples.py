"""Samples of each day, and scores."""

from __future__ import annotations

from datetime import date, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from pkgsite.models import DailySample
from pkgsite.rules.scores import score
from pkgsite.services.refresh.samples import record_samples, update_all_scores
from tests.factories import NOW, make_package


def test_each_package_that_has_numbers_is_sampled_once_a_day(session: Session) -> None:
    one = make_package(session, "one", stars=5, forks=2, pypi_downloads=3_000_000_000)
    make_package(session, "two", stars=0)
    make_package(session, "nothing-told")
    make_package(session, "hidden", stars=9, hidden_at=NOW)
    session.commit()
    assert record_samples(session, now=NOW) == 2
    session.commit()
    one.stars = 6
    session.commit()
    assert record_samples(session, now=NOW + timedelta(hours=11)) == 0
    session.commit()
    assert record_samples(session, now=NOW + timedelta(hours=12)) == 2  # another day, by UTC
    session.commit()
    rows = session.execute(
        select(DailySample.day_on, DailySample.stars, DailySample.forks, DailySample.downloads)
        .where(DailySample.package_id == one.id)
        .order_by(DailySample.day_on)
    ).all()
    assert [tuple(row) for row in rows] == [
        (date(2026, 3, 1), 5, 2, 3_000_000_000),
        (date(2026, 3, 2), 6, 2, 3_000_000_000),
    ]


def test_scores_follow_facts_and_months(session: Session) -> None:
    package = make_package(session, "one", stars=100, last_commit_at=NOW, supports_python3=True)
    make_package(session, "two")
    session.commit()
    assert update_all_scores(session, now=NOW) == 2
    session.commit()
    assert package.score == score(stars=100, last_commit_at=NOW, supports_python3=True, now=NOW)
    session.rollback()
    assert update_all_scores(session, now=NOW) == 0
    session.commit()
    later = NOW + timedelta(days=400)
    assert update_all_scores(session, now=later) == 1
    session.commit()
    assert package.score == score(stars=100, last_commit_at=NOW, supports_python3=True, now=later) < 100
