"""Paginated lists of packages and grids, with search, filters and sorting.

An unknown sort order or page is ignored, and an unknown category has no packages; the page lists them in `ignored`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, SQLColumnExpression, and_, case, false, func, or_, select
from sqlalchemy.orm import Session

from pkgsite.errors import NotFound
from pkgsite.models import Category, Favourite, Feature, Grid, GridPackage, Package, Usage
from pkgsite.rules.paging import Pagination, paginate
from pkgsite.rules.search.tokenizer import clean_query, distinct_words
from pkgsite.services.grids.records import GridRecord, grid_by_slug
from pkgsite.services.packages.records import (
    ACTIVE,
    BY_STARS,
    VISIBLE,
    PackageRecord,
    count_packages,
    load_records,
    select_packages,
    usage_counts,
)

PAGE_SIZE = 20
LONG_PAGE_SIZE = 50
DEFAULT_PACKAGE_SORT = "-repo_watchers"
DEFAULT_GRID_SORT = "-modified"

OrderExpression = SQLColumnExpression[Any]


@dataclass(frozen=True, slots=True)
class PackageQuery:
    """The search, filters and order of a package list, as in the query string."""

    q: str = ""
    category: str = ""  # a slug; empty for all
    sort: str = DEFAULT_PACKAGE_SORT
    page: str = "1"
    include_inactive: bool = False  # whether to include archived and deprecated packages


@dataclass(frozen=True, slots=True)
class CategoryCount:
    """A category, with the number of its packages that match a list's query."""

    id: int
    title: str
    slug: str
    description: str
    title_plural: str
    count: int  # packages that the list includes
    inactive_count: int  # archived and deprecated packages that it leaves out

    @property
    def plural(self) -> str:
        return self.title_plural or self.title


@dataclass(frozen=True, slots=True)
class PackageListPage:
    """A page of a list of packages."""

    query: PackageQuery  # with ignored values replaced by defaults
    paging: Pagination
    records: list[PackageRecord]
    usage: dict[int, int]  # numbers of users, by package id
    favourites: dict[int, int] = field(default_factory=dict)  # numbers of favourites, by package id
    ignored: dict[str, str] = field(default_factory=dict)  # invalid values, by parameter
    categories: list[CategoryCount] = field(default_factory=list)  # most packages first
    category: CategoryCount | None = None
    grid: GridRecord | None = None

    @property
    def count_in_all_categories(self) -> int:
        return sum(category.count for category in self.categories)

    @property
    def inactive_count(self) -> int:
        """Number of matching packages that are left out because they are archived or deprecated."""
        if "category" in self.ignored:
            return 0
        categories = [self.category] if self.category else self.categories
        return sum(category.inactive_count for category in categories)


@dataclass(frozen=True, slots=True)
class GridQuery:
    """The search and order of the grid list, as in the query string."""

    q: str = ""
    sort: str = DEFAULT_GRID_SORT
    page: str = "1"


@dataclass(frozen=True, slots=True)
class GridSummary:
    """A grid in a list."""

    id: int
    title: str
    slug: str
    description: str
    header: bool
    modified_at: datetime
    package_count: int
    active_count: int
    feature_count: int


@dataclass(frozen=True, slots=True)
class GridListPage:
    """A page of the list of grids."""

    query: GridQuery
    ignored: dict[str, str]
    paging: Pagination
    grids: list[GridSummary]


def browse_packages(session: Session, query: PackageQuery) -> PackageListPage:
    """Return a page of all packages."""
    return _browse(session, query, None)


def browse_category(session: Session, slug: str, query: PackageQuery) -> PackageListPage:
    """Return a page of a category's packages.

    Raises:
        NotFound: No category has this slug.
    """
    page = _browse(session, replace(query, category=slug), None)
    if page.category is None:
        raise NotFound("Category")
    return page


def browse_grid_packages(session: Session, slug: str, query: PackageQuery) -> PackageListPage:
    """Return a page of a grid's packages.

    Raises:
        Moved: The slug is a former one.
        NotFound: No grid has or had this slug.
    """
    return _browse(session, query, grid_by_slug(session, slug))


def recently_added_packages(session: Session, page: str) -> PackageListPage:
    """Return a page of the active packages, newest first."""
    paging = paginate(page, size=LONG_PAGE_SIZE, count=count_packages(session, ACTIVE))
    newest = select_packages().where(ACTIVE).order_by(Package.created_at.desc(), Package.id.desc())
    records = load_records(session, newest.limit(paging.page_size).offset(paging.offset))
    usage = usage_counts(session, [record.id for record in records])
    return PackageListPage(PackageQuery(page=str(paging.page_number)), paging, records, usage)


def favourite_packages(session: Session, page: str) -> PackageListPage:
    """Return a page of all users' favourites, including inactive packages, most favourites first."""
    totals = select(Favourite.package_id, func.count().label("count")).group_by(Favourite.package_id).subquery()
    count = session.scalar(select(func.count()).select_from(totals).join(Package).where(VISIBLE)) or 0
    paging = paginate(page, size=LONG_PAGE_SIZE, count=count)
    favourites = (
        select_packages()
        .join(totals, totals.c.package_id == Package.id)
        .order_by(totals.c["count"].desc(), BY_STARS, Package.id)
        .limit(paging.page_size)
        .offset(paging.offset)
    )
    records = load_records(session, favourites)
    ids = [record.id for record in records]
    return PackageListPage(
        query=PackageQuery(page=str(paging.page_number)),
        paging=paging,
        records=records,
        usage=usage_counts(session, ids),
        favourites=_favourite_counts(session, ids),
    )


def list_categories(session: Session) -> list[CategoryCount]:
    """Return every category with its number of active packages, most packages first."""
    return _category_counts(session, PackageQuery(), [])


def browse_grids(session: Session, query: GridQuery) -> GridListPage:
    """Return a page of the grids that have packages."""
    normalised, ignored = GridQuery(q=clean_query(query.q), sort=query.sort, page=query.page), {}
    if normalised.sort.removeprefix("-") not in GRID_ORDERS:
        ignored["sort"] = clean_query(query.sort)
        normalised = replace(normalised, sort=DEFAULT_GRID_SORT)
    matching = and_(
        grid_counts.c.packages > 0,
        *[or_(*_contains(word, Grid.title, Grid.description)) for word in distinct_words(query.q)],
    )
    joined = select(func.count()).select_from(Grid).join(grid_counts, grid_counts.c.grid_id == Grid.id)
    paging = paginate(query.page, size=PAGE_SIZE, count=session.scalar(joined.where(matching)) or 0)
    grids = load_grid_summaries(
        session,
        matching,
        order=_order_by(GRID_ORDERS, normalised.sort, Grid.id),
        limit=paging.page_size,
        offset=paging.offset,
    )
    return GridListPage(replace(normalised, page=str(paging.page_number)), ignored, paging, grids)


def load_grid_summaries(
    session: Session, condition: ColumnElement[bool], *, order: list[OrderExpression], limit: int, offset: int = 0
) -> list[GridSummary]:
    """Return grid summaries, in one query; the condition and the order may use `grid_counts`."""
    features = select(func.count()).where(Feature.grid_id == Grid.id).correlate(Grid).scalar_subquery()
    statement = (
        select(
            Grid.id,
            Grid.title,
            Grid.slug,
            Grid.description,
            Grid.header,
            Grid.modified_at,
            grid_counts.c.packages.label("package_count"),
            grid_counts.c.active.label("active_count"),
            features.label("feature_count"),
        )
        .join(grid_counts, grid_counts.c.grid_id == Grid.id)
        .where(condition)
        .order_by(*order)
    )
    return [GridSummary(**row._mapping) for row in session.execute(statement.limit(limit).offset(offset))]


def match_conditions(q: str) -> list[ColumnElement[bool]]:
    """Return the conditions that a package has each word in its title, slug or description."""
    return [or_(*_contains(word, Package.title, Package.slug, Package.description)) for word in distinct_words(q)]


def _browse(session: Session, query: PackageQuery, grid: GridRecord | None) -> PackageListPage:
    normalised, ignored = replace(query, q=clean_query(query.q), category=clean_query(query.category)), {}
    if normalised.sort.removeprefix("-") not in PACKAGE_ORDERS:
        ignored["sort"] = clean_query(query.sort)
        normalised = replace(normalised, sort=DEFAULT_PACKAGE_SORT)
    conditions = match_conditions(query.q)
    if grid:
        conditions.append(Package.id.in_(select(GridPackage.package_id).where(GridPackage.grid_id == grid.id)))
    categories = _category_counts(session, normalised, conditions)
    category = next((category for category in categories if category.slug == normalised.category), None)
    is_unknown_category = bool(normalised.category and not category)
    if is_unknown_category:
        ignored["category"] = normalised.category
        conditions.append(false())
    count = 0 if is_unknown_category else category.count if category else sum(one.count for one in categories)
    paging = paginate(query.page, size=PAGE_SIZE, count=count)
    if category:
        conditions.append(Package.category_id == category.id)
    if not normalised.include_inactive:
        conditions.append(ACTIVE)
    statement = select_packages().where(*conditions).order_by(*_order_by(PACKAGE_ORDERS, normalised.sort, Package.id))
    records = load_records(session, statement.limit(paging.page_size).offset(paging.offset))
    return PackageListPage(
        query=replace(normalised, page=str(paging.page_number)),
        paging=paging,
        records=records,
        usage=usage_counts(session, [record.id for record in records]),
        ignored=ignored,
        categories=categories,
        category=category,
        grid=grid,
    )


def _category_counts(
    session: Session, query: PackageQuery, conditions: list[ColumnElement[bool]]
) -> list[CategoryCount]:
    """Return every category with the numbers of matching packages that the list includes and leaves out."""
    active = func.count(case((ACTIVE, Package.id)))
    total = func.count(Package.id)
    visible = total if query.include_inactive else active
    statement = (
        select(
            Category.id,
            Category.title,
            Category.slug,
            Category.description,
            Category.title_plural,
            visible.label("count"),
            (total - visible).label("inactive_count"),
        )
        .outerjoin(Package, and_(Package.category_id == Category.id, VISIBLE, *conditions))
        .group_by(Category.id)
        .order_by(visible.desc(), Category.title, Category.id)
    )
    return [CategoryCount(**row._mapping) for row in session.execute(statement)]


def _favourite_counts(session: Session, package_ids: list[int]) -> dict[int, int]:
    rows = session.execute(
        select(Favourite.package_id, func.count())
        .where(Favourite.package_id.in_(package_ids))
        .group_by(Favourite.package_id)
    )
    return {row.package_id: row[1] for row in rows}


def _contains(word: str, *columns: SQLColumnExpression[str]) -> list[ColumnElement[bool]]:
    return [column.icontains(word, autoescape=True) for column in columns]


def _order_by(orders: Mapping[str, OrderExpression], sort: str, tie_breaker: OrderExpression) -> list[OrderExpression]:
    """Return the order for a sort key: unknown values last in both directions, ties by id for stable paging."""
    if sort == DEFAULT_PACKAGE_SORT:
        return [BY_STARS, tie_breaker]  # equivalent, and has an index
    column = orders[sort.removeprefix("-")]
    return [(column.desc() if sort.startswith("-") else column.asc()).nulls_last(), tie_breaker]


_usage_count = select(func.count()).where(Usage.package_id == Package.id).correlate(Package).scalar_subquery()

PACKAGE_ORDERS: dict[str, OrderExpression] = {
    "repo_watchers": Package.stars,
    "repo_forks": Package.forks,
    "pypi_downloads": Package.pypi_downloads,
    "usage_count": _usage_count,
    "last_updated": Package.last_commit_at,
    "last_fetched": Package.last_fetched_at,
    "created": Package.created_at,
    "title": func.lower(Package.title),
    "category": func.lower(Category.title),
}

grid_counts = (
    select(
        GridPackage.grid_id,
        func.count().label("packages"),
        func.count(case((ACTIVE, Package.id))).label("active"),
    )
    .join(Package, Package.id == GridPackage.package_id)
    .where(VISIBLE)
    .group_by(GridPackage.grid_id)
    .subquery()
)

GRID_ORDERS: dict[str, OrderExpression] = {
    "title": func.lower(Grid.title),
    "modified": Grid.modified_at,
    "gridpackage_count": grid_counts.c.packages,
    "active_gridpackage_count": grid_counts.c.active,
}
