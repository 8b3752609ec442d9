"""The numbers that are kept or reckoned for all packages at once: samples of each day, and scores."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Date, insert, literal, or_, select, update
from sqlalchemy.orm import Session

from pkgsite.models import Package, Sample, begin_write
from pkgsite.rules.scores import score

COUNTED = (Package.stars, Package.forks, Package.pypi_downloads)


def take_samples(session: Session, *, now: datetime) -> int:
    """Keep the present numbers of each package that has any, once a day (UTC); return how many were new."""
    begin_write(session)
    today = literal(now.date(), Date)
    sampled = select(Sample.package_id).where(Sample.day_on == today, Sample.package_id == Package.id).exists()
    told = or_(*(column.is_not(None) for column in COUNTED))
    rows = select(Package.id, today, *COUNTED).where(Package.hidden_at.is_(None), told, ~sampled)
    columns = ["package_id", "day_on", "stars", "forks", "downloads"]
    # Unless asked to, SQLAlchemy lets go of PostgreSQL's count.
    statement = insert(Sample).from_select(columns, rows).execution_options(preserve_rowcount=True)
    return session.execute(statement).rowcount  # type: ignore[attr-defined,no-any-return]


def keep_scores(session: Session, *, now: datetime) -> int:
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
