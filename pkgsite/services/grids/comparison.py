"""Comparison of a grid's packages: packages as columns, facts and features as rows."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from pkgsite.models import Cell, Feature, GridPackage, Package
from pkgsite.rules.grid_cells import EMPTY, CellView, parse_cell
from pkgsite.rules.search.tokenizer import clean_query
from pkgsite.services.grids.records import GridRecord, grid_by_slug
from pkgsite.services.packages.records import PackageRecord, load_records, select_packages, usage_counts

DEFAULT_SORT = "score"
STABLE_STATUS = 5  # the development status "Production/Stable"

Key = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class ComparisonQuery:
    """The search and filters of a grid's page, as in the query string."""

    q: str = ""
    sort: str = DEFAULT_SORT
    stable_only: bool = False


@dataclass(frozen=True, slots=True)
class Column:
    """A package of the grid."""

    package: PackageRecord
    usage_count: int


@dataclass(frozen=True, slots=True)
class FeatureRow:
    """A feature, with a cell for each column."""

    id: int
    title: str
    description: str
    cells: list[CellView]


@dataclass(frozen=True, slots=True)
class Comparison:
    """A grid's page."""

    grid: GridRecord
    query: ComparisonQuery  # with ignored values replaced by defaults
    ignored: dict[str, str]  # invalid values, by parameter
    columns: list[Column]  # active packages first
    features: list[FeatureRow]
    best_by_row: dict[str, frozenset[int]]  # ids of the packages with the best value, by row of numbers

    @property
    def sorted_by(self) -> str:
        return self.query.sort

    def has_fact(self, name: str) -> bool:
        """Return whether any package has or declares this fact."""
        packages = [column.package for column in self.columns]
        return any(getattr(package, name) or getattr(package.declared, name, None) for package in packages)

    @property
    def count(self) -> int:
        """Number of packages in the grid, whether or not they match the query."""
        return len(self.grid.package_ids)


def compare(session: Session, slug: str, query: ComparisonQuery) -> Comparison:
    """Return a grid's packages that match the query, side by side.

    Raises:
        Moved: The slug is a former one.
        NotFound: No grid has or had this slug.
    """
    grid = grid_by_slug(session, slug)
    sort, ignored = query.sort, {}
    if sort not in ORDERS:
        ignored["sort"] = clean_query(sort)
        sort = DEFAULT_SORT
    normalised_query = ComparisonQuery(clean_query(query.q), sort, query.stable_only)
    columns = _columns(session, grid, normalised_query)
    return Comparison(
        grid=grid,
        query=normalised_query,
        ignored=ignored,
        columns=columns,
        features=_features(session, grid.id, [column.package.id for column in columns]),
        best_by_row={name: _best_package_ids(columns, value) for name, value in _COMPARED_VALUES.items()},
    )


def _columns(session: Session, grid: GridRecord, query: ComparisonQuery) -> list[Column]:
    members = select(GridPackage.package_id).where(GridPackage.grid_id == grid.id)
    statement = select_packages().where(Package.id.in_(members))
    if query.q:
        statement = statement.where(
            Package.title.icontains(query.q, autoescape=True) | Package.description.icontains(query.q, autoescape=True)
        )
    records = load_records(session, statement)
    if query.stable_only:
        records = [record for record in records if record.shown_development_status == STABLE_STATUS]
    usage = usage_counts(session, [record.id for record in records])
    order = ORDERS[query.sort]
    records.sort(key=lambda record: (_activity_rank(record), order(record), record.id))
    return [Column(record, usage.get(record.id, 0)) for record in records]


def _activity_rank(package: PackageRecord) -> int:
    """Return 0 for active packages, 1 for deprecated and 2 for archived ones."""
    if package.is_archived:
        return 2
    return 1 if package.is_deprecated else 0


def _features(session: Session, grid_id: int, package_ids: list[int]) -> list[FeatureRow]:
    features = session.execute(
        select(Feature.id, Feature.title, Feature.description)
        .where(Feature.grid_id == grid_id)
        .order_by(Feature.position, Feature.id)
    ).all()
    texts: defaultdict[int, dict[int, str]] = defaultdict(dict)
    for feature_id, package_id, text in session.execute(
        select(Cell.feature_id, GridPackage.package_id, Cell.text)
        .join(GridPackage, GridPackage.id == Cell.grid_package_id)
        .where(GridPackage.grid_id == grid_id)
    ):
        texts[feature_id][package_id] = text
    return [
        FeatureRow(
            row.id,
            row.title,
            row.description,
            [
                parse_cell(texts[row.id][package_id]) if package_id in texts[row.id] else EMPTY
                for package_id in package_ids
            ],
        )
        for row in features
    ]


def _best_package_ids(columns: list[Column], value: Callable[[Column], Any]) -> frozenset[int]:
    """Return the packages with the highest value in a row; none if fewer than two are known, or all are equal."""
    values = {column.package.id: value(column) for column in columns if value(column) is not None}
    if len(values) < 2 or len(set(values.values())) < 2:
        return frozenset()
    maximum = max(values.values())
    return frozenset(package_id for package_id, package_value in values.items() if package_value == maximum)


def _descending_key(number: int | None) -> Key:
    """Return a sort key for high numbers first and unknown ones last."""
    return (1, 0) if number is None else (0, -number)


def _newest_first_key(moment: datetime | None) -> Key:
    return (1, 0.0) if moment is None else (0, -moment.timestamp())


ORDERS: Mapping[str, Callable[[PackageRecord], Key]] = {
    # Stars decide between packages with the same score, or without one.
    "score": lambda package: (*_descending_key(package.score), *_descending_key(package.stars)),
    "title": lambda package: (package.title.lower(),),
    "commit_date": lambda package: _newest_first_key(package.last_commit_at),
    "watchers": lambda package: _descending_key(package.stars),
    "downloads": lambda package: _descending_key(package.pypi_downloads),
    "forks": lambda package: _descending_key(package.forks),
}

_COMPARED_VALUES: Mapping[str, Callable[[Column], Any]] = {
    "usage": lambda column: column.usage_count,
    "stars": lambda column: column.package.stars,
    "forks": lambda column: column.package.forks,
    "downloads": lambda column: column.package.pypi_downloads,
    "commits": lambda column: column.package.commits_last_year,
    "last_commit": lambda column: column.package.last_commit_at,
}
