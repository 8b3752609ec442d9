"""Daily samples and scores of all packages."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Date, delete, insert, literal, or_, select, update
from sqlalchemy.orm import Session

from pkgsite.models import DailySample, Package, begin_write
from pkgsite.rules.freshness import CLOCK_TOLERANCE
from pkgsite.rules.scores import score

SAMPLED_COLUMNS = (Package.stars, Package.forks, Package.pypi_downloads)


def record_samples(session: Session, *, now: datetime) -> int:
    """Record the current figures of each package, once a day (UTC); return the number of new samples.

    Samples of later days are from a process whose clock was ahead, and are deleted.
    """
    begin_write(session)
    session.execute(delete(DailySample).where(DailySample.day_on > (now + CLOCK_TOLERANCE).date()))
    today = literal(now.date(), Date)
    already_sampled = (
        select(DailySample.package_id).where(DailySample.day_on == today, DailySample.package_id == Package.id).exists()
    )
    has_value = or_(*(column.is_not(None) for column in SAMPLED_COLUMNS))
    rows = select(Package.id, today, *SAMPLED_COLUMNS).where(Package.hidden_at.is_(None), has_value, ~already_sampled)
    columns = ["package_id", "day_on", "stars", "forks", "downloads"]
    # SQLAlchemy discards PostgreSQL's row count by default.
    statement = insert(DailySample).from_select(columns, rows).execution_options(preserve_rowcount=True)
    return session.execute(statement).rowcount  # type: ignore[attr-defined,no-any-return]


def update_all_scores(session: Session, *, now: datetime) -> int:
    """Recalculate all scores, which depend on the facts and the current month; return the number of changed scores."""
    begin_write(session)
    rows = select(Package.id, Package.score, Package.stars, Package.last_commit_at, Package.supports_python3)
    changed = []
    for package_id, old_score, stars, last_commit_at, supports_python3 in session.execute(rows):
        new_score = score(stars=stars, last_commit_at=last_commit_at, supports_python3=supports_python3, now=now)
        if new_score != old_score:
            changed.append({"id": package_id, "score": new_score, "scored_at": now})
    if changed:
        session.execute(update(Package), changed)
    return len(changed)
