"""Edits of grids, their features, their packages and their cells.

Only moderators can change a locked grid. Each edit locks the grid's row, so that concurrent edits of one grid are
applied one after the other.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, TypedDict

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from pkgsite.errors import Forbidden, NotFound
from pkgsite.models import Cell, Feature, Grid, GridPackage, GridSlugRedirect, Package, Revision
from pkgsite.rules.slugs import MAX_LENGTH as MAX_SLUG_LENGTH
from pkgsite.rules.slugs import slug_key, unique_slug
from pkgsite.rules.texts import FieldReader
from pkgsite.services.changeset import Changeset, check_version
from pkgsite.services.packages.edits import add_to_grid
from pkgsite.services.permissions import require_moderator

MAX_TITLE_LENGTH = 100
MAX_TEXT_LENGTH = 1000  # characters of a description or a cell
MAX_FEATURES = 200  # per grid
RESERVED_SLUGS = frozenset({"g", "add", "feature", "element", "package", "cell"})  # path segments of the site itself

_SLUG = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_-]*[A-Za-z0-9_])?")
REMOVAL_DENIED = "Only moderators, the person who added this and the grid's creator can remove it."


class GridChanges(TypedDict, total=False):
    """The fields of a grid that an edit sets; fields that are absent keep their value."""

    title: str
    slug: str | None  # None for a new grid: generated from the title
    description: str | None
    header: bool  # shown on the home page; set by moderators only
    is_locked: bool  # set by moderators only


@dataclass(frozen=True, slots=True)
class AddGrid:
    """Create a grid."""

    changes: GridChanges

    def apply(self, changeset: Changeset) -> Grid:
        """Create the grid.

        Raises:
            Forbidden: A field that only moderators can set is set by someone else.
            Invalid: A field is invalid.
        """
        grid = Grid(**_read_changes(changeset, {"title": "", "slug": None, **self.changes}))
        changeset.add(grid)
        return grid


@dataclass(frozen=True, slots=True)
class EditGrid:
    """Change the fields of a grid."""

    grid_id: int
    changes: GridChanges
    expected_version: int | None = None

    def apply(self, changeset: Changeset) -> Grid:
        """Change the grid.

        Raises:
            Conflict: The grid has changed since the expected version.
            Forbidden: The grid is locked, or a field that only moderators can set is set by someone else.
            Invalid: A field is invalid.
            NotFound: The grid does not exist.
        """
        grid = get_editable_grid(changeset, self.grid_id)
        check_version(grid, self.expected_version)
        changeset.edit(grid, _read_changes(changeset, self.changes, grid))
        return grid


@dataclass(frozen=True, slots=True)
class LockGrid:
    """Lock a grid, or unlock it."""

    grid_id: int
    is_locked: bool

    def apply(self, changeset: Changeset) -> Grid:
        """Set the lock.

        Raises:
            Forbidden: The user is not a moderator.
            NotFound: The grid does not exist.
        """
        require_moderator(changeset.by)
        grid = get_editable_grid(changeset, self.grid_id)
        changeset.edit(grid, {"is_locked": self.is_locked})
        return grid


@dataclass(frozen=True, slots=True)
class DeleteGrid:
    """Delete a grid with its features, entries and cells; its history can restore it."""

    grid_id: int

    def apply(self, changeset: Changeset) -> Grid:
        """Delete the grid.

        Raises:
            Forbidden: The user is not a moderator.
            NotFound: The grid does not exist.
        """
        require_moderator(changeset.by)
        grid = get_editable_grid(changeset, self.grid_id)
        changeset.delete(grid)
        return grid


@dataclass(frozen=True, slots=True)
class AddFeature:
    """Add a feature at the end of a grid."""

    grid_id: int
    title: str
    description: str | None = None

    def apply(self, changeset: Changeset) -> Feature:
        """Add the feature.

        Raises:
            Forbidden: The grid is locked.
            Invalid: A field is invalid, or the grid has the maximum number of features.
            NotFound: The grid does not exist.
        """
        grid = get_editable_grid(changeset, self.grid_id)
        reader = FieldReader()
        values = _feature_values(reader, self.title, self.description)
        last_position, count = changeset.session.execute(
            select(func.max(Feature.position), func.count()).where(Feature.grid_id == grid.id)
        ).one()
        if count >= MAX_FEATURES:
            reader.add_error("title", f"This grid already has the maximum of {MAX_FEATURES} features.")
        reader.raise_if_invalid()
        feature = Feature(grid_id=grid.id, position=0 if last_position is None else last_position + 1, **values)
        changeset.add(feature)
        return feature


@dataclass(frozen=True, slots=True)
class EditFeature:
    """Change the title and description of a feature and, if `position` is set (from 0), its position in the grid."""

    feature_id: int
    title: str
    description: str | None = None
    position: int | None = None
    expected_version: int | None = None

    def apply(self, changeset: Changeset) -> Feature:
        """Change the feature.

        Raises:
            Conflict, Forbidden, Invalid, NotFound: As for `EditGrid`.
        """
        feature = get_editable_feature(changeset, self.feature_id)
        check_version(feature, self.expected_version)
        reader = FieldReader()
        values = _feature_values(reader, self.title, self.description)
        reader.raise_if_invalid()
        changeset.edit(feature, values)
        if self.position is not None:
            _move_to_position(changeset, feature, self.position)
        return feature


@dataclass(frozen=True, slots=True)
class MoveFeature:
    """Move a feature by `offset` positions; below 0 moves it up."""

    feature_id: int
    offset: int

    def apply(self, changeset: Changeset) -> Feature:
        """Move the feature.

        Raises:
            Forbidden, NotFound: As for `EditGrid`.
        """
        feature = get_editable_feature(changeset, self.feature_id)
        _move_to_position(changeset, feature, _grid_features(changeset, feature).index(feature) + self.offset)
        return feature


@dataclass(frozen=True, slots=True)
class DeleteFeature:
    """Delete a feature with its cells."""

    feature_id: int

    def apply(self, changeset: Changeset) -> Feature:
        """Delete the feature; allowed for moderators, the grid's creator and the person who added the feature.

        Raises:
            Forbidden: The user is none of these, or the grid is locked.
            NotFound: The feature does not exist.
        """
        feature = get_editable_feature(changeset, self.feature_id)
        _require_creator(changeset, feature.grid_id, "feature", feature.id)
        changeset.delete(feature)
        return feature


@dataclass(frozen=True, slots=True)
class AddGridPackage:
    """Add a package to a grid, unless the grid already has it."""

    grid_id: int
    package_id: int

    def apply(self, changeset: Changeset) -> GridPackage:
        """Add the package.

        Raises:
            Forbidden: The grid is locked.
            NotFound: The grid does not exist, or the user cannot see such a package.
        """
        grid = get_editable_grid(changeset, self.grid_id)
        package = changeset.session.get(Package, self.package_id)
        if package is None or (package.hidden_at is not None and not changeset.by.is_moderator):
            raise NotFound("Package")
        return add_to_grid(changeset, grid.slug, package)


@dataclass(frozen=True, slots=True)
class RemoveGridPackage:
    """Remove a package from a grid, with its cells."""

    grid_id: int
    package_id: int

    def apply(self, changeset: Changeset) -> GridPackage:
        """Remove the package; allowed for moderators, the grid's creator and the person who added the package to it.

        Raises:
            Forbidden: The user is none of these, or the grid is locked.
            NotFound: The package is not in the grid.
        """
        get_editable_grid(changeset, self.grid_id)
        membership = changeset.session.scalar(
            select(GridPackage).where(GridPackage.grid_id == self.grid_id, GridPackage.package_id == self.package_id)
        )
        if membership is None:
            raise NotFound("Package")
        _require_creator(changeset, self.grid_id, "membership", membership.id)
        changeset.delete(membership)
        return membership


@dataclass(frozen=True, slots=True)
class EditCell:
    """Set the text of a cell; a cell that has never been filled in has version 0."""

    package_id: int
    feature_id: int
    text: str | None
    expected_version: int | None = None

    def apply(self, changeset: Changeset) -> Cell:
        """Set the text.

        Raises:
            Conflict: The cell has changed since the expected version.
            Forbidden: The grid is locked.
            Invalid: The text is too long.
            NotFound: The feature does not exist, or its grid does not show the package.
        """
        feature = get_editable_feature(changeset, self.feature_id)
        membership, cell = self._load(changeset.session, feature)
        reader = FieldReader()
        text = reader.read_text("text", self.text, MAX_TEXT_LENGTH)
        reader.raise_if_invalid()
        if cell is None:
            cell = Cell(grid_package_id=membership.id, feature_id=feature.id, text=text, version=0)
            check_version(cell, self.expected_version)
            cell.version = 1
            if text:
                changeset.add(cell)
            return cell
        check_version(cell, self.expected_version)
        changeset.edit(cell, {"text": text})
        return cell

    def _load(self, session: Session, feature: Feature) -> tuple[GridPackage, Cell | None]:
        row = session.execute(
            select(GridPackage, Cell)
            .join(Package, Package.id == GridPackage.package_id)
            .outerjoin(Cell, (Cell.grid_package_id == GridPackage.id) & (Cell.feature_id == feature.id))
            .where(
                GridPackage.grid_id == feature.grid_id,
                GridPackage.package_id == self.package_id,
                Package.hidden_at.is_(None),
            )
        ).one_or_none()
        if row is None:
            raise NotFound("Package")
        return row[0], row[1]


def get_editable_grid(changeset: Changeset, grid_id: int) -> Grid:
    """Return a grid that the user can change, and lock its row.

    Raises:
        Forbidden: The grid is locked, and the user is not a moderator.
        NotFound: The grid does not exist.
    """
    return _require_editable(changeset, changeset.session.get(Grid, grid_id, with_for_update=True), "Grid")


def get_editable_feature(changeset: Changeset, feature_id: int) -> Feature:
    """Return a feature of a grid that the user can change, and lock the grid's row.

    Raises:
        Forbidden, NotFound: As for `get_editable_grid`.
    """
    grid_id = select(Feature.grid_id).where(Feature.id == feature_id).scalar_subquery()
    _require_editable(
        changeset, changeset.session.scalar(select(Grid).where(Grid.id == grid_id).with_for_update()), "Feature"
    )
    # Loaded after the lock: another transaction may have deleted it while this one waited.
    feature = changeset.session.get(Feature, feature_id, populate_existing=True)
    if feature is None:
        raise NotFound("Feature")
    return feature


def creator_of(session: Session, kind: str, object_id: int) -> int | None:
    """Return the id of the user who added an object; None if it was imported or the account has been deleted."""
    revision = select(Revision.user_id).where(
        Revision.object_type == kind, Revision.object_id == object_id, Revision.action == "add"
    )
    return session.scalar(revision.order_by(Revision.id).limit(1))


def suggest_grid_slug(session: Session, title: str) -> str:
    """Return a slug, generated from a title, that no grid uses."""
    return unique_slug(
        title, noun="grid", reserved=RESERVED_SLUGS, is_available=lambda slug: is_grid_slug_available(session, slug)
    )


def is_grid_slug_available(session: Session, slug: str, *, exclude_id: int | None = None) -> bool:
    """Return whether no grid uses a slug, now or as a redirect; the grid `exclude_id` does not count.

    New slugs are in lower case, so an imported slug with upper case doesn't block one.
    """
    current, former = Grid.slug == slug, GridSlugRedirect.slug == slug
    grid_ids = set(session.scalars(select(Grid.id).where(current))) | set(
        session.scalars(select(GridSlugRedirect.grid_id).where(former))
    )
    return grid_ids <= {exclude_id}


def _require_editable(changeset: Changeset, grid: Grid | None, noun: str) -> Grid:
    if grid is None:
        raise NotFound(noun)
    if grid.is_locked and not changeset.by.is_moderator:
        raise Forbidden("This grid is locked. Only moderators can edit it.")
    return grid


def _read_changes(changeset: Changeset, changes: Mapping[str, Any], grid: Grid | None = None) -> dict[str, Any]:
    """Return the column values for these changes; `grid` is None for a new one."""
    reader, values = FieldReader(), dict[str, Any]()
    for name in changes.keys() - GridChanges.__annotations__.keys():
        reader.add_error(name, "Unknown field.")
    if "title" in changes:
        values["title"] = reader.read_line("title", changes["title"], MAX_TITLE_LENGTH, is_required=True)
    if "description" in changes:
        values["description"] = reader.read_text("description", changes["description"], MAX_TEXT_LENGTH)
    if "slug" in changes:
        _read_slug(changeset, reader, values, changes["slug"], grid)
    for name in ("header", "is_locked"):
        value = changes.get(name)
        if value is not None and value != (getattr(grid, name) if grid else False):
            require_moderator(changeset.by)
            values[name] = value
    reader.raise_if_invalid()
    return values


def _read_slug(
    changeset: Changeset, reader: FieldReader, values: dict[str, Any], value: str | None, grid: Grid | None
) -> None:
    slug = reader.read_line("slug", value, MAX_SLUG_LENGTH)
    if "slug" in reader.problems or (grid and slug in {"", grid.slug}):
        return  # an imported slug can stay, even if it would not be accepted for a new grid
    slug = slug_key(slug)
    if not slug:
        slug = suggest_grid_slug(changeset.session, values.get("title", ""))
    elif not _SLUG.fullmatch(slug):
        reader.add_error(
            "slug", "Use letters (a–z), digits, hyphens and underscores. Start and end with a letter or digit."
        )
    elif slug.isdigit():
        reader.add_error("slug", "A slug can't consist of digits only.")
    elif slug in RESERVED_SLUGS:
        reader.add_error("slug", "This slug is reserved. Choose another.")
    elif not is_grid_slug_available(changeset.session, slug, exclude_id=grid.id if grid else None):
        reader.add_error("slug", "This slug is or was used by another grid. Choose another.", already_exists=True)
    values["slug"] = slug


def _grid_features(changeset: Changeset, feature: Feature) -> list[Feature]:
    """Return the features of a feature's grid, in their order."""
    features = select(Feature).where(Feature.grid_id == feature.grid_id).order_by(Feature.position, Feature.id)
    return list(changeset.session.scalars(features))


def _move_to_position(changeset: Changeset, feature: Feature, position: int) -> None:
    """Move a feature to a position in its grid; a position beyond either end means that end.

    Only the moved feature changes if there is a free number between its new neighbours. Otherwise the features between
    its old and its new place exchange their numbers.
    """
    features = _grid_features(changeset, feature)
    old_index, new_index = features.index(feature), min(max(position, 0), len(features) - 1)
    if old_index == new_index:
        return
    others = [other for other in features if other is not feature]
    free_number = _number_between(others[:new_index], others[new_index:])
    if free_number is not None:
        changeset.edit(feature, {"position": free_number})
        return
    first, end = min(old_index, new_index), max(old_index, new_index) + 1
    numbers = [other.position for other in features]
    if any(number >= following for number, following in pairwise(numbers)):  # imported features can share a number
        first, end, numbers = 0, len(features), list(range(len(features)))
    others.insert(new_index, feature)
    for moved, number in zip(others[first:end], numbers[first:end], strict=True):
        changeset.edit(moved, {"position": number})


def _number_between(before: list[Feature], after: list[Feature]) -> int | None:
    """Return a position after all features of one list and before all of the other; None if there is none."""
    if not after:
        return before[-1].position + 1
    number = after[0].position - 1
    lowest = before[-1].position if before else -1
    return number if number > lowest else None


def _feature_values(reader: FieldReader, title: str, description: str | None) -> dict[str, Any]:
    return {
        "title": reader.read_line("title", title, MAX_TITLE_LENGTH, is_required=True),
        "description": reader.read_text("description", description, MAX_TEXT_LENGTH),
    }


def _require_creator(changeset: Changeset, grid_id: int, kind: str, object_id: int) -> None:
    creator_ids = {
        changeset.session.get_one(Grid, grid_id).created_by_id,
        creator_of(changeset.session, kind, object_id),
    }
    if changeset.user_id not in creator_ids and not changeset.by.is_moderator:
        raise Forbidden(REMOVAL_DENIED)
