"""The home page: what the site has, at a glance."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from pkgsite.models import Category, Cell, Grid, Package
from pkgsite.services.browse import (
    CategoryCount,
    GridSummary,
    OrderExpression,
    grid_counts,
    list_categories,
    load_grid_summaries,
)
from pkgsite.services.packages.records import ACTIVE, BY_STARS, VISIBLE, PackageRecord, load_records, select_packages

LIST_LENGTH = 6
MAX_GRIDS = 24


@dataclass(frozen=True, slots=True)
class SiteStatistics:
    """How much the site holds."""

    packages: int
    active: int
    grids: int
    categories: int
    cells: int  # facts that people have written
    last_fetched_at: datetime | None

    @property
    def inactive(self) -> int:
        """Packages that are archived or deprecated."""
        return self.packages - self.active


@dataclass(frozen=True, slots=True)
class HomePage:
    """Everything on the home page."""

    statistics: SiteStatistics
    categories: list[CategoryCount]
    grids: list[GridSummary]  # those for the home page, by title
    most_stars: list[PackageRecord]
    recently_added: list[PackageRecord]
    recently_updated: list[PackageRecord]


def home_page(session: Session) -> HomePage:
    """Return the home page; its lists hold living packages only."""
    orders: list[OrderExpression] = [BY_STARS, Package.created_at.desc(), Package.last_commit_at.desc().nulls_last()]
    id_queries = [
        select(Package.id).where(VISIBLE, ACTIVE).order_by(order, Package.id).limit(LIST_LENGTH) for order in orders
    ]
    found = load_records(session, select_packages().where(or_(*[Package.id.in_(choice) for choice in id_queries])))
    return HomePage(
        statistics=_statistics(session),
        categories=list_categories(session),
        grids=_grids(session),
        most_stars=sorted(found, key=lambda one: (-(-1 if one.stars is None else one.stars), one.id))[:LIST_LENGTH],
        recently_added=sorted(found, key=lambda one: (-one.created_at.timestamp(), one.id))[:LIST_LENGTH],
        recently_updated=sorted(found, key=lambda one: (-_timestamp_or_minus_infinity(one.last_commit_at), one.id))[
            :LIST_LENGTH
        ],
    )


def _timestamp_or_minus_infinity(at: datetime | None) -> float:
    return at.timestamp() if at else float("-inf")


def _grids(session: Session) -> list[GridSummary]:
    return load_grid_summaries(
        session,
        Grid.header.is_(True) & (grid_counts.c.active > 0),
        order=[func.lower(Grid.title), Grid.id],
        limit=MAX_GRIDS,
    )


def _statistics(session: Session) -> SiteStatistics:
    packages = select(func.count()).select_from(Package).where(VISIBLE)
    counts = [
        packages,
        packages.where(ACTIVE),
        select(func.count()).select_from(grid_counts),
        select(func.count()).select_from(Category),
        select(func.count()).select_from(Cell).where(Cell.text != ""),
        select(func.max(Package.last_fetched_at)).where(VISIBLE),
    ]
    return SiteStatistics(*session.execute(select(*[count.scalar_subquery() for count in counts])).one())
