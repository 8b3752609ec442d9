"""Grids: one record as pages and API show it, found by id or slug."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from pkgsite.errors import Moved, NotFound
from pkgsite.models import Cell, Feature, Grid, GridPackage, GridSlugRedirect, Package
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
    """Some grids out of `count`."""

    count: int
    records: list[GridRecord]


def select_grids() -> AnySelect:
    """Return the query that `load_grids` reads; callers add conditions, order and limits."""
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
    """Run a query made from `select_grids` and return whole records, in two queries whatever their number."""
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
    """A feature of a grid, with its cells: the package's id and the text, where somebody has written one."""

    id: int
    title: str
    description: str
    position: int  # counted from 0
    version: int
    cells: tuple[tuple[int, str], ...]


def load_features(session: Session, grid_ids: Collection[int]) -> dict[int, list[FeatureRecord]]:
    """Return the features of these grids in their order, in two queries whatever their number."""
    cells: defaultdict[int, list[tuple[int, str]]] = defaultdict(list)
    for feature_id, package_id, text in session.execute(
        select(Cell.feature_id, GridPackage.package_id, Cell.text)
        .join(GridPackage, GridPackage.id == Cell.grid_package_id)
        .join(Package, Package.id == GridPackage.package_id)
        .where(GridPackage.grid_id.in_(grid_ids), VISIBLE, Cell.text != "")
        .order_by(Package.title, Package.id)
    ):
        cells[feature_id].append((package_id, text))
    found: defaultdict[int, list[FeatureRecord]] = defaultdict(list)
    rows = select(Feature).where(Feature.grid_id.in_(grid_ids)).order_by(Feature.position, Feature.id)
    for feature in session.scalars(rows):
        position = len(found[feature.grid_id])
        record = FeatureRecord(
            feature.id, feature.title, feature.description, position, feature.version, tuple(cells[feature.id])
        )
        found[feature.grid_id].append(record)
    return dict(found)


@dataclass(frozen=True, slots=True)
class CellRecord:
    """What somebody has written of a package about a feature; version 0: nobody has yet."""

    text: str = ""
    version: int = 0


def load_cell(session: Session, feature_id: int, package_id: int) -> CellRecord:
    """Return the cell of a feature and a package that are in one grid."""
    row = session.execute(
        select(Cell.text, Cell.version)
        .join(GridPackage, GridPackage.id == Cell.grid_package_id)
        .where(Cell.feature_id == feature_id, GridPackage.package_id == package_id)
    ).one_or_none()
    return CellRecord(row.text, row.version) if row else CellRecord()


def grid_by_id(session: Session, grid_id: int) -> GridRecord:
    """Return one grid.

    Raises:
        NotFound: no grid has this id.
    """
    found = load_grids(session, select_grids().where(Grid.id == grid_id))
    if not found:
        raise NotFound("Grid")
    return found[0]


def grid_by_slug(session: Session, slug: str) -> GridRecord:
    """Return the grid that has this slug now.

    Raises:
        Moved: a grid once had this slug and has another one now.
        NotFound: none ever had it.
    """
    found = load_grids(session, select_grids().where(Grid.slug == slug))
    if found:
        return found[0]
    current_slug = session.scalar(
        select(Grid.slug)
        .join(GridSlugRedirect, GridSlugRedirect.grid_id == Grid.id)
        .where(GridSlugRedirect.slug == slug)
    )
    raise Moved(current_slug) if current_slug else NotFound("Grid")
