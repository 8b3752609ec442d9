"""Grids as pages and the API show them: queries for records, and lookups by id and slug."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select, union_all
from sqlalchemy.orm import Session

from pkgsite.errors import Moved, NotFound
from pkgsite.models import Cell, Feature, Grid, GridPackage, GridSlugRedirect, Package
from pkgsite.rules.slugs import slug_key
from pkgsite.services.packages.records import VISIBLE, AnySelect


@dataclass(frozen=True, slots=True)
class GridRecord:
    id: int
    title: str
    slug: str
    description: str
    is_locked: bool
    header: bool  # shown on the home page
    package_ids: tuple[int, ...]  # by title in code-point order, then id
    created_at: datetime
    modified_at: datetime
    changed_at: datetime
    version: int


@dataclass(frozen=True, slots=True)
class GridSlice:
    """Some of `count` grids."""

    count: int
    records: list[GridRecord]


def select_grids() -> AnySelect:
    """Return a query for `load_grids`; callers add conditions, order and limit."""
    return select(
        Grid.id,
        Grid.title,
        Grid.slug,
        Grid.description,
        Grid.is_locked,
        Grid.header,
        Grid.created_at,
        Grid.modified_at,
        Grid.changed_at,
        Grid.version,
    )


def load_grids(session: Session, statement: AnySelect) -> list[GridRecord]:
    """Run a query from `select_grids`, and return complete records, in two queries."""
    rows = session.execute(statement).all()
    if not rows:
        return []
    members: defaultdict[int, list[int]] = defaultdict(list)
    for grid_id, package_id in session.execute(
        select(GridPackage.grid_id, GridPackage.package_id)
        .join(Package)
        .where(GridPackage.grid_id.in_([row.id for row in rows]), VISIBLE)
        .order_by(Package.title, Package.id)
    ):
        members[grid_id].append(package_id)
    return [GridRecord(**row._mapping, package_ids=tuple(members[row.id])) for row in rows]


@dataclass(frozen=True, slots=True)
class FeatureRecord:
    """A feature of a grid, with its non-empty cells as pairs of package id and text."""

    id: int
    title: str
    description: str
    position: int  # counted from 0
    version: int
    cells: tuple[tuple[int, str], ...]


def load_features(session: Session, grid_ids: Collection[int]) -> dict[int, list[FeatureRecord]]:
    """Return the features of these grids in order, by grid id, in two queries."""
    cells: defaultdict[int, list[tuple[int, str]]] = defaultdict(list)
    for feature_id, package_id, text in session.execute(
        select(Cell.feature_id, GridPackage.package_id, Cell.text)
        .join(GridPackage, GridPackage.id == Cell.grid_package_id)
        .join(Package, Package.id == GridPackage.package_id)
        .where(GridPackage.grid_id.in_(grid_ids), VISIBLE, Cell.text != "")
        .order_by(Package.title, Package.id)
    ):
        cells[feature_id].append((package_id, text))
    records: defaultdict[int, list[FeatureRecord]] = defaultdict(list)
    features = select(Feature).where(Feature.grid_id.in_(grid_ids)).order_by(Feature.position, Feature.id)
    for feature in session.scalars(features):
        position = len(records[feature.grid_id])
        record = FeatureRecord(
            feature.id, feature.title, feature.description, position, feature.version, tuple(cells[feature.id])
        )
        records[feature.grid_id].append(record)
    return dict(records)


@dataclass(frozen=True, slots=True)
class CellRecord:
    """A cell; its version is 0 if it does not exist yet."""

    text: str = ""
    version: int = 0


def load_cell(session: Session, feature_id: int, package_id: int) -> CellRecord:
    """Return the cell of a feature and a package in the same grid."""
    row = session.execute(
        select(Cell.text, Cell.version)
        .join(GridPackage, GridPackage.id == Cell.grid_package_id)
        .where(Cell.feature_id == feature_id, GridPackage.package_id == package_id)
    ).one_or_none()
    return CellRecord(row.text, row.version) if row else CellRecord()


def grid_by_id(session: Session, grid_id: int) -> GridRecord:
    """Return one grid.

    Raises:
        NotFound: No grid has this id.
    """
    records = load_grids(session, select_grids().where(Grid.id == grid_id))
    if not records:
        raise NotFound("Grid")
    return records[0]


def grid_by_slug(session: Session, slug: str) -> GridRecord:
    """Return the grid with this slug.

    Raises:
        Moved: The slug is a former one.
        NotFound: No grid has or had this slug.
    """
    records = load_grids(session, select_grids().where(Grid.slug == slug))
    if not records:
        raise missing_grid_slug_error(session, slug)
    return records[0]


def is_known_slug(session: Session, slug: str) -> bool:
    """Return whether a grid has this slug, or had it."""
    current = select(Grid.id).where(Grid.slug == slug)
    former = select(GridSlugRedirect.grid_id).where(GridSlugRedirect.slug == slug)
    return session.execute(union_all(current, former).limit(1)).first() is not None


def find_grid_slug(session: Session, slug: str) -> str | None:
    """Return the slug of the grid that has this slug in another spelling, now or formerly; prefer lower case."""
    spelling = slug_key(slug).replace("_", "-").replace(".", "-").replace(" ", "-")
    spellings = {spelling, spelling.replace("-", "_"), slug_key(slug)}
    current = session.scalars(select(Grid.slug).where(func.lower(Grid.slug).in_(spellings)).order_by(Grid.id)).all()
    if current:
        return min(current, key=lambda other: (slug_key(other) != slug_key(slug), other != slug_key(other)))
    return session.scalar(
        select(Grid.slug)
        .join(GridSlugRedirect, GridSlugRedirect.grid_id == Grid.id)
        .where(func.lower(GridSlugRedirect.slug).in_(spellings))
        .order_by(Grid.id)
        .limit(1)
    )


def missing_grid_slug_error(session: Session, slug: str) -> Moved | NotFound:
    """Return the error for a slug that no grid has: `Moved` if it redirects, otherwise `NotFound`."""
    current_slug = session.scalar(
        select(Grid.slug)
        .join(GridSlugRedirect, GridSlugRedirect.grid_id == Grid.id)
        .where(GridSlugRedirect.slug == slug)
    )
    return Moved(current_slug) if current_slug else NotFound("Grid")
