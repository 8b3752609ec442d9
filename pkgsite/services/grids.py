"""Grids: one record as pages and API show it, found by id or slug."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from pkgsite.errors import Moved, NotFound
from pkgsite.models import Grid, GridPackage, OldGridSlug, Package
from pkgsite.services.packages import VISIBLE, AnySelect


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
class GridListing:
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


def grid_list(session: Session, *, limit: int, offset: int) -> GridListing:
    """Return a stretch of all grids, newest id first."""
    count = session.scalar(select(func.count()).select_from(Grid)) or 0
    if offset >= count:
        return GridListing(count, [])
    return GridListing(count, load_grids(session, select_grids().order_by(Grid.id.desc()).limit(limit).offset(offset)))


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
    present = session.scalar(
        select(Grid.slug).join(OldGridSlug, OldGridSlug.grid_id == Grid.id).where(OldGridSlug.slug == slug)
    )
    raise Moved(present) if present else NotFound("Grid")
