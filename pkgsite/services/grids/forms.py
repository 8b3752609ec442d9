"""What the forms about grids show."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from pkgsite.errors import Moved, NotFound
from pkgsite.models import Cell, Feature, Grid, GridPackage, OldGridSlug, Package, Revision, User
from pkgsite.services.grids.edits import made_by
from pkgsite.services.packages.records import BY_STARS, VISIBLE, Ref
from pkgsite.services.permissions import Viewer

MOST_FOUND = 20


@dataclass(frozen=True, slots=True)
class GridToEdit:
    """What people have written of a grid itself.

    Attributes:
        may_edit: Whether the viewer may change it: it is not locked, or they are a moderator.
        may_take: Whether the viewer may take away what others have put there.
    """

    id: int
    title: str
    slug: str
    description: str
    is_locked: bool
    header: bool
    version: int
    may_edit: bool
    may_take: bool
    changed_by: str | None
    changed_at: datetime | None


@dataclass(frozen=True, slots=True)
class FeatureToEdit:
    id: int
    title: str
    description: str
    version: int
    grid: GridToEdit
    may_delete: bool
    cell_count: int


@dataclass(frozen=True, slots=True)
class CellToEdit:
    """A cell, filled in or not (then its version is 0)."""

    grid: GridToEdit
    package: Ref
    feature: FeatureToEdit
    text: str
    version: int
    changed_by: str | None
    changed_at: datetime | None


def grid_to_edit(session: Session, slug: str, viewer: Viewer) -> GridToEdit:
    """Return the grid with this slug.

    Raises:
        Moved: a grid once had this slug and has another one now.
        NotFound: none ever had it.
    """
    grid = session.scalar(select(Grid).where(Grid.slug == slug))
    if grid is None:
        present = session.scalar(
            select(Grid.slug).join(OldGridSlug, OldGridSlug.grid_id == Grid.id).where(OldGridSlug.slug == slug)
        )
        raise Moved(present) if present else NotFound("Grid")
    return _grid(session, grid, viewer)


def feature_to_edit(session: Session, feature_id: int, viewer: Viewer) -> FeatureToEdit:
    """Return a feature.

    Raises:
        NotFound: there is none.
    """
    feature = session.get(Feature, feature_id)
    if feature is None:
        raise NotFound("Feature")
    grid = _grid(session, session.get_one(Grid, feature.grid_id), viewer)
    cells = session.scalars(select(Cell.id).where(Cell.feature_id == feature.id, Cell.text != "")).all()
    is_maker = viewer.is_known and made_by(session, "feature", feature.id) == viewer.user_id
    return FeatureToEdit(
        id=feature.id,
        title=feature.title,
        description=feature.description,
        version=feature.version,
        grid=grid,
        may_delete=grid.may_edit and (grid.may_take or is_maker),
        cell_count=len(cells),
    )


def cell_to_edit(session: Session, slug: str, package_id: int, feature_id: int, viewer: Viewer) -> CellToEdit:
    """Return a cell of a grid.

    Raises:
        NotFound: the grid, the package in it or its feature is not there.
    """
    feature = feature_to_edit(session, feature_id, viewer)
    if feature.grid.slug != slug:
        raise NotFound("Feature")
    row = session.execute(
        select(GridPackage.id, Package.id.label("package_id"), Package.title, Package.slug)
        .join(Package, Package.id == GridPackage.package_id)
        .where(GridPackage.grid_id == feature.grid.id, Package.id == package_id, VISIBLE)
    ).one_or_none()
    if row is None:
        raise NotFound("Package")
    cell = session.scalar(select(Cell).where(Cell.grid_package_id == row.id, Cell.feature_id == feature.id))
    by, at = _last(session, "cell", cell.id) if cell else (None, None)
    return CellToEdit(
        grid=feature.grid,
        package=Ref(row.package_id, row.title, row.slug),
        feature=feature,
        text=cell.text if cell else "",
        version=cell.version if cell else 0,
        changed_by=by,
        changed_at=at,
    )


def package_in(session: Session, grid: GridToEdit, package_id: int, viewer: Viewer) -> tuple[Ref, bool]:
    """Return a package of a grid, and whether this person may take it out.

    Raises:
        NotFound: it is not there.
    """
    row = session.execute(
        select(GridPackage.id, Package.id.label("package_id"), Package.title, Package.slug)
        .join(Package, Package.id == GridPackage.package_id)
        .where(GridPackage.grid_id == grid.id, Package.id == package_id)
    ).one_or_none()
    if row is None:
        raise NotFound("Package")
    is_maker = viewer.is_known and made_by(session, "membership", row.id) == viewer.user_id
    return Ref(row.package_id, row.title, row.slug), grid.may_edit and (grid.may_take or is_maker)


def find_to_add(session: Session, grid: GridToEdit, words: str) -> list[Ref]:
    """Return packages that are not in a grid yet and have these words in title, slug or repository, by stars."""
    if not words:
        return []
    inside = select(GridPackage.package_id).where(GridPackage.grid_id == grid.id)
    found = select(Package.id, Package.title, Package.slug).where(VISIBLE, Package.id.not_in(inside))
    for word in words.split():
        columns = (Package.title, Package.slug, Package.repo_url)
        matches = [column.icontains(word, autoescape=True) for column in columns]
        found = found.where(matches[0] | matches[1] | matches[2])
    return [Ref(*row) for row in session.execute(found.order_by(BY_STARS, Package.id).limit(MOST_FOUND))]


def _grid(session: Session, grid: Grid, viewer: Viewer) -> GridToEdit:
    by, at = _last(session, "grid", grid.id)
    return GridToEdit(
        id=grid.id,
        title=grid.title,
        slug=grid.slug,
        description=grid.description,
        is_locked=grid.is_locked,
        header=grid.header,
        version=grid.version,
        may_edit=viewer.is_moderator or (viewer.is_known and not grid.is_locked),
        may_take=viewer.is_moderator or (viewer.is_known and grid.created_by_id == viewer.user_id),
        changed_by=by,
        changed_at=at,
    )


def _last(session: Session, kind: str, object_id: int) -> tuple[str | None, datetime | None]:
    """Return who changed an object last, and when."""
    row = session.execute(
        select(User.username, Revision.at)
        .select_from(Revision)
        .outerjoin(User, User.id == Revision.user_id)
        .where(Revision.object_type == kind, Revision.object_id == object_id)
        .order_by(Revision.id.desc())
        .limit(1)
    ).one_or_none()
    return (row[0], row[1]) if row else (None, None)
