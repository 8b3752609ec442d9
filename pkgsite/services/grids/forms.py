"""What the forms about grids show."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from pkgsite.errors import Moved, NotFound
from pkgsite.models import Cell, Feature, Grid, GridPackage, GridSlugRedirect, Package, Revision, User
from pkgsite.services.grids.edits import creator_of
from pkgsite.services.packages.records import BY_STARS, VISIBLE, Ref
from pkgsite.services.permissions import Viewer

MAX_MATCHES = 20


@dataclass(frozen=True, slots=True)
class EditableGrid:
    """What people have written of a grid itself.

    Attributes:
        can_edit: Whether the viewer may change it: it is not locked, or they are a moderator.
        can_remove_members: Whether the viewer may take away what others have put there.
    """

    id: int
    title: str
    slug: str
    description: str
    is_locked: bool
    header: bool
    version: int
    can_edit: bool
    can_remove_members: bool
    changed_by: str | None
    changed_at: datetime | None


@dataclass(frozen=True, slots=True)
class EditableFeature:
    id: int
    title: str
    description: str
    version: int
    grid: EditableGrid
    can_delete: bool
    cell_count: int


@dataclass(frozen=True, slots=True)
class EditableCell:
    """A cell, filled in or not (then its version is 0)."""

    grid: EditableGrid
    package: Ref
    feature: EditableFeature
    text: str
    version: int
    changed_by: str | None
    changed_at: datetime | None


def get_grid_for_editing(session: Session, slug: str, viewer: Viewer) -> EditableGrid:
    """Return the grid with this slug.

    Raises:
        Moved: a grid once had this slug and has another one now.
        NotFound: none ever had it.
    """
    grid = session.scalar(select(Grid).where(Grid.slug == slug))
    if grid is None:
        present = session.scalar(
            select(Grid.slug)
            .join(GridSlugRedirect, GridSlugRedirect.grid_id == Grid.id)
            .where(GridSlugRedirect.slug == slug)
        )
        raise Moved(present) if present else NotFound("Grid")
    return _editable_grid(session, grid, viewer)


def get_feature_for_editing(session: Session, feature_id: int, viewer: Viewer) -> EditableFeature:
    """Return a feature.

    Raises:
        NotFound: there is none.
    """
    feature = session.get(Feature, feature_id)
    if feature is None:
        raise NotFound("Feature")
    grid = _editable_grid(session, session.get_one(Grid, feature.grid_id), viewer)
    cells = session.scalars(select(Cell.id).where(Cell.feature_id == feature.id, Cell.text != "")).all()
    is_creator = viewer.is_authenticated and creator_of(session, "feature", feature.id) == viewer.user_id
    return EditableFeature(
        id=feature.id,
        title=feature.title,
        description=feature.description,
        version=feature.version,
        grid=grid,
        can_delete=grid.can_edit and (grid.can_remove_members or is_creator),
        cell_count=len(cells),
    )


def get_cell_for_editing(session: Session, slug: str, package_id: int, feature_id: int, viewer: Viewer) -> EditableCell:
    """Return a cell of a grid.

    Raises:
        NotFound: the grid, the package in it or its feature is not there.
    """
    feature = get_feature_for_editing(session, feature_id, viewer)
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
    by, at = _last_change(session, "cell", cell.id) if cell else (None, None)
    return EditableCell(
        grid=feature.grid,
        package=Ref(row.package_id, row.title, row.slug),
        feature=feature,
        text=cell.text if cell else "",
        version=cell.version if cell else 0,
        changed_by=by,
        changed_at=at,
    )


def get_grid_package(session: Session, grid: EditableGrid, package_id: int, viewer: Viewer) -> tuple[Ref, bool]:
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
    is_creator = viewer.is_authenticated and creator_of(session, "membership", row.id) == viewer.user_id
    return Ref(row.package_id, row.title, row.slug), grid.can_edit and (grid.can_remove_members or is_creator)


def find_addable_packages(session: Session, grid: EditableGrid, query: str) -> list[Ref]:
    """Return packages that are not in a grid yet and have these words in title, slug or repository, by stars."""
    if not query:
        return []
    member_ids = select(GridPackage.package_id).where(GridPackage.grid_id == grid.id)
    found = select(Package.id, Package.title, Package.slug).where(VISIBLE, Package.id.not_in(member_ids))
    for word in query.split():
        columns = (Package.title, Package.slug, Package.repo_url)
        matches = [column.icontains(word, autoescape=True) for column in columns]
        found = found.where(matches[0] | matches[1] | matches[2])
    return [Ref(*row) for row in session.execute(found.order_by(BY_STARS, Package.id).limit(MAX_MATCHES))]


def _editable_grid(session: Session, grid: Grid, viewer: Viewer) -> EditableGrid:
    by, at = _last_change(session, "grid", grid.id)
    return EditableGrid(
        id=grid.id,
        title=grid.title,
        slug=grid.slug,
        description=grid.description,
        is_locked=grid.is_locked,
        header=grid.header,
        version=grid.version,
        can_edit=viewer.is_moderator or (viewer.is_authenticated and not grid.is_locked),
        can_remove_members=viewer.is_moderator or (viewer.is_authenticated and grid.created_by_id == viewer.user_id),
        changed_by=by,
        changed_at=at,
    )


def _last_change(session: Session, kind: str, object_id: int) -> tuple[str | None, datetime | None]:
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
