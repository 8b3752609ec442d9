"""Data for the forms to edit grids, features and cells."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, or_, select
from sqlalchemy.orm import Session

from pkgsite.errors import NotFound
from pkgsite.models import Cell, Feature, Grid, GridPackage, Package, Revision, User
from pkgsite.services.grids.edits import creator_of
from pkgsite.services.grids.records import missing_grid_slug_error
from pkgsite.services.packages.records import BY_STARS, VISIBLE, Ref
from pkgsite.services.permissions import Viewer

MAX_MATCHES = 20


@dataclass(frozen=True, slots=True)
class EditableGrid:
    """The editable fields of a grid.

    Attributes:
        can_edit: Whether the viewer may edit it: it is not locked, or they are a moderator.
        can_remove_members: Whether the viewer may remove packages and features that others have added.
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
    """A cell; its version is 0 if it does not exist yet."""

    grid: EditableGrid
    package: Ref
    feature: EditableFeature
    text: str
    version: int
    changed_by: str | None
    changed_at: datetime | None

    @property
    def label(self) -> str:
        """The title of an edit of this cell in the review queue."""
        return f"Edit “{self.feature.title}” for “{self.package.title}” in “{self.grid.title}”"


def require_feature_in_grid(session: Session, feature_id: int, slug: str) -> None:
    """Check that a feature belongs to the grid with this slug.

    Raises:
        NotFound: It does not.
    """
    grid_slug = session.scalar(
        select(Grid.slug).join(Feature, Feature.grid_id == Grid.id).where(Feature.id == feature_id)
    )
    if grid_slug != slug:
        raise NotFound("Feature")


def get_grid_for_editing(session: Session, slug: str, viewer: Viewer) -> EditableGrid:
    """Return the grid with this slug.

    Raises:
        Moved: The slug is a former one.
        NotFound: No grid has or had this slug.
    """
    grid = session.scalar(select(Grid).where(Grid.slug == slug))
    if grid is None:
        raise missing_grid_slug_error(session, slug)
    return _editable_grid(session, grid, viewer)


def get_feature_for_editing(session: Session, feature_id: int, viewer: Viewer) -> EditableFeature:
    """Return a feature.

    Raises:
        NotFound: No feature has this id.
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
        NotFound: The grid, the feature, or the package in the grid does not exist.
    """
    feature = get_feature_for_editing(session, feature_id, viewer)
    if feature.grid.slug != slug:
        raise NotFound("Feature")
    membership_id, package = _get_member(session, feature.grid.id, package_id, VISIBLE)
    cell = session.scalar(select(Cell).where(Cell.grid_package_id == membership_id, Cell.feature_id == feature.id))
    changed_by, changed_at = _last_change(session, "cell", cell.id) if cell else (None, None)
    return EditableCell(
        grid=feature.grid,
        package=package,
        feature=feature,
        text=cell.text if cell else "",
        version=cell.version if cell else 0,
        changed_by=changed_by,
        changed_at=changed_at,
    )


def get_grid_package(session: Session, grid: EditableGrid, package_id: int, viewer: Viewer) -> tuple[Ref, bool]:
    """Return a package of a grid, and whether the viewer may remove it.

    Raises:
        NotFound: The package is not in the grid.
    """
    membership_id, package = _get_member(session, grid.id, package_id)
    is_creator = viewer.is_authenticated and creator_of(session, "membership", membership_id) == viewer.user_id
    return package, grid.can_edit and (grid.can_remove_members or is_creator)


def find_addable_packages(session: Session, grid: EditableGrid, query: str) -> list[Ref]:
    """Return packages outside the grid with all words in their title, slug or repository URL, most stars first."""
    if not query:
        return []
    member_ids = select(GridPackage.package_id).where(GridPackage.grid_id == grid.id)
    matches = select(Package.id, Package.title, Package.slug).where(VISIBLE, Package.id.not_in(member_ids))
    for word in query.split():
        columns = (Package.title, Package.slug, Package.repo_url)
        matches = matches.where(or_(*(column.icontains(word, autoescape=True) for column in columns)))
    return [Ref(*row) for row in session.execute(matches.order_by(BY_STARS, Package.id).limit(MAX_MATCHES))]


def _get_member(session: Session, grid_id: int, package_id: int, *conditions: ColumnElement[bool]) -> tuple[int, Ref]:
    """Return the membership id and the package."""
    row = session.execute(
        select(GridPackage.id, Package.title, Package.slug)
        .join(Package, Package.id == GridPackage.package_id)
        .where(GridPackage.grid_id == grid_id, Package.id == package_id, *conditions)
    ).one_or_none()
    if row is None:
        raise NotFound("Package")
    return row.id, Ref(package_id, row.title, row.slug)


def _editable_grid(session: Session, grid: Grid, viewer: Viewer) -> EditableGrid:
    changed_by, changed_at = _last_change(session, "grid", grid.id)
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
        changed_by=changed_by,
        changed_at=changed_at,
    )


def _last_change(session: Session, kind: str, object_id: int) -> tuple[str | None, datetime | None]:
    """Return the username and the time of an object's last change."""
    row = session.execute(
        select(User.username, Revision.at)
        .select_from(Revision)
        .outerjoin(User, User.id == Revision.user_id)
        .where(Revision.object_type == kind, Revision.object_id == object_id)
        .order_by(Revision.id.desc())
        .limit(1)
    ).one_or_none()
    return (row[0], row[1]) if row else (None, None)
