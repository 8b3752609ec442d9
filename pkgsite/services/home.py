"""The home page: what the site has, at a glance."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from pkgsite.models import Category, Cell, Grid, Package
from pkgsite.services.browse import CategoryCount, GridLine, Order, grid_counts, list_categories, load_grid_lines
from pkgsite.services.packages.records import BY_STARS, LIVING, VISIBLE, PackageRecord, load_records, select_packages

LIST_LENGTH = 6
MOST_GRIDS = 24


@dataclass(frozen=True, slots=True)
class Numbers:
    """How much the site holds."""

    packages: int
    living: int
    grids: int
    categories: int
    cells: int  # facts that people have written
    last_fetched_at: datetime | None

    @property
    def past(self) -> int:
        """Packages that are archived or deprecated."""
        return self.packages - self.living


@dataclass(frozen=True, slots=True)
class FrontPage:
    """Everything on the home page."""

    numbers: Numbers
    categories: list[CategoryCount]
    grids: list[GridLine]  # those for the home page, by title
    most_stars: list[PackageRecord]
    latest_added: list[PackageRecord]
    latest_commits: list[PackageRecord]


def front_page(session: Session) -> FrontPage:
    """Return the home page; its lists hold living packages only."""
    orders: list[Order] = [BY_STARS, Package.created_at.desc(), Package.last_commit_at.desc().nulls_last()]
    choices = [
        select(Package.id).where(VISIBLE, LIVING).order_by(order, Package.id).limit(LIST_LENGTH) for order in orders
    ]
    found = load_records(session, select_packages().where(or_(*[Package.id.in_(choice) for choice in choices])))
    return FrontPage(
        numbers=_numbers(session),
        categories=list_categories(session),
        grids=_grids(session),
        most_stars=sorted(found, key=lambda one: (-(-1 if one.stars is None else one.stars), one.id))[:LIST_LENGTH],
        latest_added=sorted(found, key=lambda one: (-one.created_at.timestamp(), one.id))[:LIST_LENGTH],
        latest_commits=sorted(found, key=lambda one: (-_seconds(one.last_commit_at), one.id))[:LIST_LENGTH],
    )


def _seconds(at: datetime | None) -> float:
    return at.timestamp() if at else float("-inf")


def _grids(session: Session) -> list[GridLine]:
    return load_grid_lines(
        session,
        Grid.header.is_(True) & (grid_counts.c.living > 0),
        order=[func.lower(Grid.title), Grid.id],
        limit=MOST_GRIDS,
    )


def _numbers(session: Session) -> Numbers:
    packages = select(func.count()).select_from(Package).where(VISIBLE)
    counts = [
        packages,
        packages.where(LIVING),
        select(func.count()).select_from(grid_counts),
        select(func.count()).select_from(Category),
        select(func.count()).select_from(Cell).where(Cell.text != ""),
        select(func.max(Package.last_fetched_at)).where(VISIBLE),
    ]
    return Numbers(*session.execute(select(*[count.scalar_subquery() for count in counts])).one())
