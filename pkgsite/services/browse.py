"""Lists of packages and of grids as pages show them: searched, filtered, sorted, a page at a time.

A value that can't be used (an unknown category, sort or page) never drops the others: it is left out, and the list
says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, SQLColumnExpression, and_, case, func, or_, select
from sqlalchemy.orm import Session

from pkgsite.errors import NotFound
from pkgsite.models import Category, Favourite, Feature, Grid, GridPackage, Package, Usage
from pkgsite.rules.paging import Paging, paging
from pkgsite.rules.search.tokenizer import clean, words_in
from pkgsite.services.grids.records import GridRecord, grid_by_slug
from pkgsite.services.packages.records import (
    BY_STARS,
    LIVING,
    VISIBLE,
    PackageRecord,
    load_records,
    select_packages,
    usage_counts,
)

PAGE_SIZE = 20
LONG_PAGE_SIZE = 50
DEFAULT_PACKAGE_SORT = "-repo_watchers"
DEFAULT_GRID_SORT = "-modified"

Order = SQLColumnExpression[Any]


@dataclass(frozen=True, slots=True)
class PackageQuery:
    """What somebody asks of a list of packages, under the names that it has in an address."""

    q: str = ""
    category: str = ""  # a slug; empty for all
    sort: str = DEFAULT_PACKAGE_SORT
    page: str = "1"
    all: bool = False  # archived and deprecated packages too


@dataclass(frozen=True, slots=True)
class CategoryCount:
    """A category, with the number of packages that a list would show of it."""

    id: int
    title: str
    slug: str
    description: str
    title_plural: str
    count: int  # as the list is asked for
    left_out: int  # archived and deprecated ones that it doesn't show

    @property
    def plural(self) -> str:
        return self.title_plural or self.title


@dataclass(frozen=True, slots=True)
class PackageList:
    """A page of a list of packages."""

    query: PackageQuery  # as it was understood
    ignored: dict[str, str]  # what was not, by its name
    paging: Paging
    records: list[PackageRecord]
    usage: dict[int, int]  # people who use a package, by its id
    favourites: dict[int, int]
    categories: list[CategoryCount]  # most packages first
    category: CategoryCount | None
    grid: GridRecord | None

    @property
    def count_in_all_categories(self) -> int:
        return sum(category.count for category in self.categories)

    @property
    def left_out(self) -> int:
        """Archived and deprecated packages that would be in the list as well."""
        chosen = [self.category] if self.category else self.categories
        return sum(category.left_out for category in chosen)


@dataclass(frozen=True, slots=True)
class GridQuery:
    """What somebody asks of the list of grids, under the names that it has in an address."""

    q: str = ""
    sort: str = DEFAULT_GRID_SORT
    page: str = "1"


@dataclass(frozen=True, slots=True)
class GridLine:
    """A grid in a list."""

    id: int
    title: str
    slug: str
    description: str
    header: bool
    modified_at: datetime
    package_count: int
    living_count: int
    feature_count: int


@dataclass(frozen=True, slots=True)
class GridList:
    """A page of the list of grids."""

    query: GridQuery
    ignored: dict[str, str]
    paging: Paging
    lines: list[GridLine]


def list_packages(session: Session, query: PackageQuery) -> PackageList:
    """Return the asked page of all packages."""
    return _list(session, query, None)


def list_category(session: Session, slug: str, query: PackageQuery) -> PackageList:
    """Return the asked page of one category's packages.

    Raises:
        NotFound: no category has this slug.
    """
    page = _list(session, replace(query, category=slug), None)
    if page.category is None:
        raise NotFound("Category")
    return page


def list_grid_packages(session: Session, slug: str, query: PackageQuery) -> PackageList:
    """Return the asked page of one grid's packages.

    Raises:
        Moved: a grid once had this slug and has another one now.
        NotFound: none ever had it.
    """
    return _list(session, query, grid_by_slug(session, slug))


def latest_packages(session: Session, page: str) -> PackageList:
    """Return a page of the living packages, last added first."""
    count = session.scalar(select(func.count()).select_from(Package).where(VISIBLE, LIVING)) or 0
    place = paging(page, size=LONG_PAGE_SIZE, count=count)
    newest = select_packages().where(LIVING).order_by(Package.created_at.desc(), Package.id.desc())
    records = load_records(session, newest.limit(place.size).offset(place.offset))
    return _plain_list(place, records, usage_counts(session, [record.id for record in records]), {})


def liked_packages(session: Session, page: str) -> PackageList:
    """Return a page of the packages that are somebody's favourite, most favoured first, whatever their state."""
    likes = select(Favourite.package_id, func.count().label("likes")).group_by(Favourite.package_id).subquery()
    count = session.scalar(select(func.count()).select_from(likes).join(Package).where(VISIBLE)) or 0
    place = paging(page, size=LONG_PAGE_SIZE, count=count)
    favoured = (
        select_packages()
        .join(likes, likes.c.package_id == Package.id)
        .order_by(likes.c.likes.desc(), BY_STARS, Package.id)
        .limit(place.size)
        .offset(place.offset)
    )
    records = load_records(session, favoured)
    ids = [record.id for record in records]
    return _plain_list(place, records, usage_counts(session, ids), _favourite_counts(session, ids))


def list_categories(session: Session) -> list[CategoryCount]:
    """Return every category with its number of living packages, most first."""
    return _category_counts(session, PackageQuery(), [])


def list_grids(session: Session, query: GridQuery) -> GridList:
    """Return the asked page of the grids that have packages."""
    understood, ignored = GridQuery(q=clean(query.q), sort=query.sort, page=query.page), {}
    if understood.sort.removeprefix("-") not in GRID_ORDERS:
        ignored["sort"] = clean(query.sort)
        understood = replace(understood, sort=DEFAULT_GRID_SORT)
    matching = and_(
        grid_counts.c.packages > 0, *[or_(*_contain(word, Grid.title, Grid.description)) for word in words_in(query.q)]
    )
    joined = select(func.count()).select_from(Grid).join(grid_counts, grid_counts.c.grid_id == Grid.id)
    place = paging(query.page, size=PAGE_SIZE, count=session.scalar(joined.where(matching)) or 0)
    lines = load_grid_lines(
        session, matching, order=_order(GRID_ORDERS, understood.sort, Grid.id), limit=place.size, offset=place.offset
    )
    return GridList(replace(understood, page=str(place.number)), ignored, place, lines)


def load_grid_lines(
    session: Session, condition: ColumnElement[bool], *, order: list[Order], limit: int, offset: int = 0
) -> list[GridLine]:
    """Return grids with their numbers, in one query. The condition and the order may use `grid_counts`."""
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
            grid_counts.c.living.label("living_count"),
            features.label("feature_count"),
        )
        .join(grid_counts, grid_counts.c.grid_id == Grid.id)
        .where(condition)
        .order_by(*order)
    )
    return [GridLine(**row._mapping) for row in session.execute(statement.limit(limit).offset(offset))]


def match_words(q: str) -> list[ColumnElement[bool]]:
    """Return the conditions that a package meets when each word is in its title, slug or description."""
    return [or_(*_contain(word, Package.title, Package.slug, Package.description)) for word in words_in(q)]


def _list(session: Session, query: PackageQuery, grid: GridRecord | None) -> PackageList:
    understood, ignored = replace(query, q=clean(query.q), category=clean(query.category)), {}
    if understood.sort.removeprefix("-") not in PACKAGE_ORDERS:
        ignored["sort"] = clean(query.sort)
        understood = replace(understood, sort=DEFAULT_PACKAGE_SORT)
    wanted = match_words(query.q)
    if grid:
        wanted.append(Package.id.in_(select(GridPackage.package_id).where(GridPackage.grid_id == grid.id)))
    categories = _category_counts(session, understood, wanted)
    category = next((one for one in categories if one.slug == understood.category), None)
    if understood.category and not category:
        ignored["category"] = understood.category
        understood = replace(understood, category="")
    count = category.count if category else sum(one.count for one in categories)
    place = paging(query.page, size=PAGE_SIZE, count=count)
    if category:
        wanted.append(Package.category_id == category.id)
    if not understood.all:
        wanted.append(LIVING)
    statement = select_packages().where(*wanted).order_by(*_order(PACKAGE_ORDERS, understood.sort, Package.id))
    records = load_records(session, statement.limit(place.size).offset(place.offset))
    return PackageList(
        query=replace(understood, page=str(place.number)),
        ignored=ignored,
        paging=place,
        records=records,
        usage=usage_counts(session, [record.id for record in records]),
        favourites={},
        categories=categories,
        category=category,
        grid=grid,
    )


def _plain_list(
    place: Paging, records: list[PackageRecord], usage: dict[int, int], favourites: dict[int, int]
) -> PackageList:
    return PackageList(PackageQuery(page=str(place.number)), {}, place, records, usage, favourites, [], None, None)


def _category_counts(session: Session, query: PackageQuery, wanted: list[ColumnElement[bool]]) -> list[CategoryCount]:
    """Return every category with the number of its packages that are wanted, shown and left out."""
    living = func.count(case((LIVING, Package.id)))
    total = func.count(Package.id)
    shown = total if query.all else living
    statement = (
        select(
            Category.id,
            Category.title,
            Category.slug,
            Category.description,
            Category.title_plural,
            shown.label("count"),
            (total - shown).label("left_out"),
        )
        .outerjoin(Package, and_(Package.category_id == Category.id, VISIBLE, *wanted))
        .group_by(Category.id)
        .order_by(shown.desc(), Category.title, Category.id)
    )
    return [CategoryCount(**row._mapping) for row in session.execute(statement)]


def _favourite_counts(session: Session, package_ids: list[int]) -> dict[int, int]:
    rows = session.execute(
        select(Favourite.package_id, func.count())
        .where(Favourite.package_id.in_(package_ids))
        .group_by(Favourite.package_id)
    )
    return {row.package_id: row[1] for row in rows}


def _contain(word: str, *columns: SQLColumnExpression[str]) -> list[ColumnElement[bool]]:
    return [column.icontains(word, autoescape=True) for column in columns]


def _order(orders: Mapping[str, Order], sort: str, tie: Order) -> list[Order]:
    """Return the order that a sort key means: unknown values last either way, ties by id so that paging is stable."""
    if sort == DEFAULT_PACKAGE_SORT:
        return [BY_STARS, tie]  # says the same, and has an index
    column = orders[sort.removeprefix("-")]
    return [(column.desc() if sort.startswith("-") else column.asc()).nulls_last(), tie]


_usage_count = select(func.count()).where(Usage.package_id == Package.id).correlate(Package).scalar_subquery()

PACKAGE_ORDERS: dict[str, Order] = {
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
        func.count(case((LIVING, Package.id))).label("living"),
    )
    .join(Package, Package.id == GridPackage.package_id)
    .where(VISIBLE)
    .group_by(GridPackage.grid_id)
    .subquery()
)

GRID_ORDERS: dict[str, Order] = {
    "title": func.lower(Grid.title),
    "modified": Grid.modified_at,
    "gridpackage_count": grid_counts.c.packages,
    "active_gridpackage_count": grid_counts.c.living,
}
