"""The numbers that are kept or reckoned for all packages at once: samples of each day, and scores."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Date, insert, literal, or_, select, update
from sqlalchemy.orm import Session

from pkgsite.models import DailySample, Package, begin_write
from pkgsite.rules.scores import score

SAMPLED_COLUMNS = (Package.stars, Package.forks, Package.pypi_downloads)


def record_samples(session: Session, *, now: datetime) -> int:
    """Keep the present numbers of each package that has any, once a day (UTC); return how many were new."""
    begin_write(session)
    today = literal(now.date(), Date)
    already_sampled = (
        select(DailySample.package_id).where(DailySample.day_on == today, DailySample.package_id == Package.id).exists()
    )
    has_value = or_(*(column.is_not(None) for column in SAMPLED_COLUMNS))
    rows = select(Package.id, today, *SAMPLED_COLUMNS).where(Package.hidden_at.is_(None), has_value, ~already_sampled)
    columns = ["package_id", "day_on", "stars", "forks", "downloads"]
    # Unless asked to, SQLAlchemy lets go of PostgreSQL's count.
    statement = insert(DailySample).from_select(columns, rows).execution_options(preserve_rowcount=True)
    return session.execute(statement).rowcount  # type: ignore[attr-defined,no-any-return]


def update_all_scores(session: Session, *, now: datetime) -> int:
    """Bring every package's score in line with its facts and the present month; return how many changed."""
    begin_write(session)
    rows = select(Package.id, Package.score, Package.stars, Package.last_commit_at, Package.supports_python3)
    changed = [
        {"id": row.id, "score": found}
        for row in session.execute(rows)
        if row.score
        != (
            found := score(
                stars=row.stars,
                last_commit_at=row.last_commit_at,
                supports_python3=row.supports_python3,
                now=now,
            )
        )
    ]
    if changed:
        session.execute(update(Package), changed)
    return len(changed)
