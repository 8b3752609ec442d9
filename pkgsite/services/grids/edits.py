"""What people do to grids: each act by its name, with arguments that JSON can carry.

A locked grid is changed by moderators only. Whoever changes anything of a grid holds its row, so that two people's
edits come one after the other.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, TypedDict

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from pkgsite.errors import Forbidden, NotFound
from pkgsite.models import Cell, Feature, Grid, GridPackage, GridSlugRedirect, Package, Revision
from pkgsite.rules.slugs import MAX_LENGTH as MAX_SLUG_LENGTH
from pkgsite.rules.slugs import unique_slug
from pkgsite.rules.texts import FieldReader
from pkgsite.services.changeset import Changeset, check_version
from pkgsite.services.packages.edits import add_to_grid
from pkgsite.services.permissions import require_moderator

MAX_TITLE_LENGTH = 100
MAX_TEXT_LENGTH = 1000  # characters of a description or a cell
MAX_FEATURES = 200  # of a grid
RESERVED_SLUGS = frozenset({"g", "add", "feature", "element", "package", "cell"})  # the site's own words in addresses

_SLUG = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_-]*[A-Za-z0-9_])?")


class GridChanges(TypedDict, total=False):
    """What a person writes of a grid: what is absent stays as it is."""

    title: str
    slug: str | None  # for a new grid, None: made from the title
    description: str | None
    header: bool  # shown on the home page; by moderators only
    is_locked: bool  # changed by moderators only, and that by moderators only


def add_grid(changeset: Changeset, *, changes: GridChanges) -> Grid:
    """Make a grid.

    Raises:
        Forbidden: what only moderators may say is said by somebody else.
        Invalid: something is wrong with a field.
    """
    grid = Grid(**_read_changes(changeset, {"title": "", "slug": None, **changes}))
    changeset.add(grid)
    return grid


def edit_grid(changeset: Changeset, *, grid_id: int, changes: GridChanges, version: int | None = None) -> Grid:
    """Change what people write of a grid itself.

    Raises:
        Conflict: somebody has changed it since this version.
        Forbidden: it is locked, or what only moderators may say is said by somebody else.
        Invalid: something is wrong with a field.
        NotFound: there is no such grid.
    """
    grid = get_editable_grid(changeset, grid_id)
    check_version(grid, version)
    changeset.edit(grid, _read_changes(changeset, changes, grid))
    return grid


def lock_grid(changeset: Changeset, *, grid_id: int, is_locked: bool) -> Grid:
    """Lock a grid, or open it again.

    Raises:
        Forbidden: this is no moderator.
        NotFound: there is no such grid.
    """
    require_moderator(changeset.by)
    grid = get_editable_grid(changeset, grid_id)
    changeset.edit(grid, {"is_locked": is_locked})
    return grid


def delete_grid(changeset: Changeset, *, grid_id: int) -> Grid:
    """Delete a grid with all that is in it; its history brings it back.

    Raises:
        Forbidden: this is no moderator.
        NotFound: there is no such grid.
    """
    require_moderator(changeset.by)
    grid = get_editable_grid(changeset, grid_id)
    changeset.delete(grid)
    return grid


def add_feature(changeset: Changeset, *, grid_id: int, title: str, description: str | None = None) -> Feature:
    """Add a feature below the others.

    Raises:
        Forbidden: the grid is locked.
        Invalid: something is wrong with a field, or there are too many.
        NotFound: there is no such grid.
    """
    grid = get_editable_grid(changeset, grid_id)
    reader = FieldReader()
    values = _feature_values(reader, title, description)
    last, count = changeset.session.execute(
        select(func.max(Feature.position), func.count()).where(Feature.grid_id == grid.id)
    ).one()
    if count >= MAX_FEATURES:
        reader.add_error("title", f"This grid already has the maximum of {MAX_FEATURES} features.")
    reader.raise_if_invalid()
    feature = Feature(grid_id=grid.id, position=0 if last is None else last + 1, **values)
    changeset.add(feature)
    return feature


def edit_feature(
    changeset: Changeset,
    *,
    feature_id: int,
    title: str,
    description: str | None = None,
    position: int | None = None,
    version: int | None = None,
) -> Feature:
    """Change what a feature is called and means and, where a position is given (from 0), its place in the grid.

    Raises:
        Conflict, Forbidden, Invalid, NotFound: as for `edit_grid`.
    """
    feature = get_editable_feature(changeset, feature_id)
    check_version(feature, version)
    reader = FieldReader()
    values = _feature_values(reader, title, description)
    reader.raise_if_invalid()
    changeset.edit(feature, values)
    if position is not None:
        _move_to_position(changeset, feature, position)
    return feature


def move_feature(changeset: Changeset, *, feature_id: int, offset: int) -> Feature:
    """Move a feature up (`offset` below 0) or down among those of its grid.

    Raises:
        Forbidden, NotFound: as for `edit_grid`.
    """
    feature = get_editable_feature(changeset, feature_id)
    _move_to_position(changeset, feature, _grid_features(changeset, feature).index(feature) + offset)
    return feature


def delete_feature(changeset: Changeset, *, feature_id: int) -> Feature:
    """Remove a feature with its cells: for moderators, the grid's maker, and who added the feature.

    Raises:
        Forbidden: this person may not, or the grid is locked.
        NotFound: there is no such feature.
    """
    feature = get_editable_feature(changeset, feature_id)
    _require_creator(changeset, feature.grid_id, "feature", feature.id)
    changeset.delete(feature)
    return feature


def add_membership(changeset: Changeset, *, grid_id: int, package_id: int) -> GridPackage:
    """Put a package into a grid, unless it is there already.

    Raises:
        Forbidden: the grid is locked.
        NotFound: there is no such grid, or no such package for this person.
    """
    grid = get_editable_grid(changeset, grid_id)
    package = changeset.session.get(Package, package_id)
    if package is None or (package.hidden_at is not None and not changeset.by.is_moderator):
        raise NotFound("Package")
    return add_to_grid(changeset, grid.slug, package)


def remove_membership(changeset: Changeset, *, grid_id: int, package_id: int) -> GridPackage:
    """Take a package out of a grid, with its cells: for moderators, the grid's maker, and who put it there.

    Raises:
        Forbidden: this person may not, or the grid is locked.
        NotFound: the package is not in the grid.
    """
    get_editable_grid(changeset, grid_id)
    membership = get_membership(changeset.session, grid_id, package_id)
    _require_creator(changeset, grid_id, "membership", membership.id)
    changeset.delete(membership)
    return membership


def edit_cell(
    changeset: Changeset, *, package_id: int, feature_id: int, text: str | None, version: int | None = None
) -> Cell:
    """Say something of a package about a feature; a cell that nobody has filled in yet has version 0.

    Raises:
        Conflict: somebody has changed the cell since.
        Forbidden: the grid is locked.
        Invalid: the text is too long.
        NotFound: there is no such feature, or the package is not in its grid.
    """
    feature = get_editable_feature(changeset, feature_id)
    membership = get_membership(changeset.session, feature.grid_id, package_id)
    reader = FieldReader()
    cleaned_text = reader.read_text("text", text, MAX_TEXT_LENGTH)
    reader.raise_if_invalid()
    place = select(Cell).where(Cell.grid_package_id == membership.id, Cell.feature_id == feature.id)
    cell = changeset.session.scalar(place)
    if cell is None:
        cell = Cell(grid_package_id=membership.id, feature_id=feature.id, text=cleaned_text)
        check_version_number(0, version)
        if cleaned_text:
            changeset.add(cell)
        return cell
    check_version_number(cell.version, version)
    changeset.edit(cell, {"text": cleaned_text})
    return cell


def check_version_number(present: int, expected_version: int | None) -> None:
    """Refuse an edit that began on another version; None: whoever asks doesn't say on which.

    Raises:
        Conflict: it did.
    """
    check_version(Cell(version=present), expected_version)


def get_editable_grid(changeset: Changeset, grid_id: int) -> Grid:
    """Return a grid that this person may change, and let nobody else change it meanwhile.

    Raises:
        Forbidden: it is locked, and this is no moderator.
        NotFound: there is none.
    """
    grid = changeset.session.get(Grid, grid_id, with_for_update=True)
    if grid is None:
        raise NotFound("Grid")
    if grid.is_locked and not changeset.by.is_moderator:
        raise Forbidden("This grid is locked. Only moderators can edit it.")
    return grid


def get_editable_feature(changeset: Changeset, feature_id: int) -> Feature:
    """Return a feature whose grid this person may change, and let nobody else change it meanwhile.

    Raises:
        Forbidden, NotFound: as for `get_editable_grid`.
    """
    grid_id = changeset.session.scalar(select(Feature.grid_id).where(Feature.id == feature_id))
    if grid_id is None:
        raise NotFound("Feature")
    get_editable_grid(changeset, grid_id)
    feature = changeset.session.get(Feature, feature_id, populate_existing=True)  # it may have gone while we waited
    if feature is None:
        raise NotFound("Feature")
    return feature


def get_membership(session: Session, grid_id: int, package_id: int) -> GridPackage:
    """Return a package's place in a grid.

    Raises:
        NotFound: it has none.
    """
    found = session.scalar(
        select(GridPackage).where(GridPackage.grid_id == grid_id, GridPackage.package_id == package_id)
    )
    if found is None:
        raise NotFound("Package")
    return found


def creator_of(session: Session, kind: str, object_id: int) -> int | None:
    """Return who added an object; None: nobody here, or somebody who has left."""
    added = select(Revision.user_id).where(
        Revision.object_type == kind, Revision.object_id == object_id, Revision.action == "add"
    )
    return session.scalar(added.order_by(Revision.id).limit(1))


def suggest_slug(session: Session, title: str) -> str:
    """Return a slug made from a title that no grid has."""
    return unique_slug(
        title, noun="grid", reserved=RESERVED_SLUGS, is_available=lambda slug: is_slug_available(session, slug)
    )


def is_slug_available(session: Session, slug: str, *, exclude_id: int | None = None) -> bool:
    """Tell whether no grid, or none but this one, has a slug or is found by it."""
    same, old = func.lower(Grid.slug) == slug.lower(), func.lower(GridSlugRedirect.slug) == slug.lower()
    found = set(session.scalars(select(Grid.id).where(same))) | set(
        session.scalars(select(GridSlugRedirect.grid_id).where(old))
    )
    return found <= {exclude_id}


def _read_changes(
    changeset: Changeset, changes: GridChanges | dict[str, Any], grid: Grid | None = None
) -> dict[str, Any]:
    """Return the columns that follow from what a person wrote."""
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
    changeset: Changeset, reader: FieldReader, values: dict[str, Any], raw_slug: str | None, grid: Grid | None
) -> None:
    slug = reader.read_line("slug", raw_slug, MAX_SLUG_LENGTH)
    if "slug" in reader.problems or (grid and slug in {"", grid.slug}):
        return  # an odd slug that it has already may stay
    if not slug:
        slug = suggest_slug(changeset.session, values.get("title", ""))
    elif not _SLUG.fullmatch(slug):
        reader.add_error(
            "slug", "Use letters (a–z), digits, hyphens and underscores. Start and end with a letter or digit."
        )
    elif slug.isdigit():
        reader.add_error("slug", "A slug can't consist of digits only.")
    elif slug.lower() in RESERVED_SLUGS:
        reader.add_error("slug", "This slug is reserved. Choose another.")
    elif not is_slug_available(changeset.session, slug, exclude_id=grid.id if grid else None):
        reader.add_error("slug", "This slug is or was used by another grid. Choose another.", already_exists=True)
    values["slug"] = slug


def _grid_features(changeset: Changeset, feature: Feature) -> list[Feature]:
    """Return the features of a feature's grid, in their order."""
    rows = select(Feature).where(Feature.grid_id == feature.grid_id).order_by(Feature.position, Feature.id)
    return list(changeset.session.scalars(rows))


def _move_to_position(changeset: Changeset, feature: Feature, position: int) -> None:
    """Put a feature at a place among those of its grid; beyond the ends means the end."""
    features = [other for other in _grid_features(changeset, feature) if other is not feature]
    features.insert(min(max(position, 0), len(features)), feature)
    for place, one in enumerate(features):
        changeset.edit(one, {"position": place})


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
        raise Forbidden("Only moderators, the person who added this and the grid's creator can remove it.")


GRID_ACTIONS: dict[str, Callable[..., Any]] = {
    "grid.add": add_grid,
    "grid.edit": edit_grid,
    "grid.lock": lock_grid,
    "grid.delete": delete_grid,
    "feature.add": add_feature,
    "feature.edit": edit_feature,
    "feature.move": move_feature,
    "feature.delete": delete_feature,
    "membership.add": add_membership,
    "membership.remove": remove_membership,
    "cell.edit": edit_cell,
}
