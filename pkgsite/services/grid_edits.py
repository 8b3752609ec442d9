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
from pkgsite.models import Cell, Feature, Grid, GridPackage, OldGridSlug, Package, Revision
from pkgsite.rules.slugs import LONGEST as LONGEST_SLUG
from pkgsite.rules.slugs import slug_of
from pkgsite.rules.texts import Typed
from pkgsite.services.changes import Act, check_version
from pkgsite.services.package_edits import put_into_grid
from pkgsite.services.permissions import require_moderator

LONGEST_TITLE = 100
LONGEST_TEXT = 1000  # characters of a description or a cell
MOST_FEATURES = 200  # of a grid
RESERVED = frozenset({"g", "add", "feature", "element", "package", "cell"})  # the site's own words in addresses

_SLUG = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_-]*[A-Za-z0-9_])?")


class GridChanges(TypedDict, total=False):
    """What a person writes of a grid: what is absent stays as it is."""

    title: str
    slug: str | None  # for a new grid, None: made from the title
    description: str | None
    header: bool  # shown on the home page; by moderators only
    is_locked: bool  # changed by moderators only, and that by moderators only


def add_grid(act: Act, *, changes: GridChanges) -> Grid:
    """Make a grid.

    Raises:
        Forbidden: what only moderators may say is said by somebody else.
        Invalid: something is wrong with a field.
    """
    grid = Grid(**_read(act, {"title": "", "slug": None, **changes}))
    act.add(grid)
    return grid


def edit_grid(act: Act, *, grid_id: int, changes: GridChanges, version: int | None = None) -> Grid:
    """Change what people write of a grid itself.

    Raises:
        Conflict: somebody has changed it since this version.
        Forbidden: it is locked, or what only moderators may say is said by somebody else.
        Invalid: something is wrong with a field.
        NotFound: there is no such grid.
    """
    grid = open_grid(act, grid_id)
    check_version(grid, version)
    act.edit(grid, _read(act, changes, grid))
    return grid


def lock_grid(act: Act, *, grid_id: int, is_locked: bool) -> Grid:
    """Lock a grid, or open it again.

    Raises:
        Forbidden: this is no moderator.
        NotFound: there is no such grid.
    """
    require_moderator(act.by)
    grid = open_grid(act, grid_id)
    act.edit(grid, {"is_locked": is_locked})
    return grid


def delete_grid(act: Act, *, grid_id: int) -> Grid:
    """Delete a grid with all that is in it; its history brings it back.

    Raises:
        Forbidden: this is no moderator.
        NotFound: there is no such grid.
    """
    require_moderator(act.by)
    grid = open_grid(act, grid_id)
    act.delete(grid)
    return grid


def add_feature(act: Act, *, grid_id: int, title: str, description: str | None = None) -> Feature:
    """Add a feature below the others.

    Raises:
        Forbidden: the grid is locked.
        Invalid: something is wrong with a field, or there are too many.
        NotFound: there is no such grid.
    """
    grid = open_grid(act, grid_id)
    typed = Typed()
    values = _feature_values(typed, title, description)
    last, count = act.session.execute(
        select(func.max(Feature.position), func.count()).where(Feature.grid_id == grid.id)
    ).one()
    if count >= MOST_FEATURES:
        typed.refuse("title", f"This grid already has the maximum of {MOST_FEATURES} features.")
    typed.check()
    feature = Feature(grid_id=grid.id, position=0 if last is None else last + 1, **values)
    act.add(feature)
    return feature


def edit_feature(
    act: Act,
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
    feature = open_feature(act, feature_id)
    check_version(feature, version)
    typed = Typed()
    values = _feature_values(typed, title, description)
    typed.check()
    act.edit(feature, values)
    if position is not None:
        _put_at(act, feature, position)
    return feature


def move_feature(act: Act, *, feature_id: int, by: int) -> Feature:
    """Move a feature up (`by` below 0) or down among those of its grid.

    Raises:
        Forbidden, NotFound: as for `edit_grid`.
    """
    feature = open_feature(act, feature_id)
    _put_at(act, feature, _features_with(act, feature).index(feature) + by)
    return feature


def delete_feature(act: Act, *, feature_id: int) -> Feature:
    """Remove a feature with its cells: for moderators, the grid's maker, and who added the feature.

    Raises:
        Forbidden: this person may not, or the grid is locked.
        NotFound: there is no such feature.
    """
    feature = open_feature(act, feature_id)
    _require_maker(act, feature.grid_id, "feature", feature.id)
    act.delete(feature)
    return feature


def add_membership(act: Act, *, grid_id: int, package_id: int) -> GridPackage:
    """Put a package into a grid, unless it is there already.

    Raises:
        Forbidden: the grid is locked.
        NotFound: there is no such grid, or no such package for this person.
    """
    grid = open_grid(act, grid_id)
    package = act.session.get(Package, package_id)
    if package is None or (package.hidden_at is not None and not act.by.is_moderator):
        raise NotFound("Package")
    return put_into_grid(act, grid.slug, package)


def remove_membership(act: Act, *, grid_id: int, package_id: int) -> GridPackage:
    """Take a package out of a grid, with its cells: for moderators, the grid's maker, and who put it there.

    Raises:
        Forbidden: this person may not, or the grid is locked.
        NotFound: the package is not in the grid.
    """
    open_grid(act, grid_id)
    membership = membership_of(act.session, grid_id, package_id)
    _require_maker(act, grid_id, "membership", membership.id)
    act.delete(membership)
    return membership


def edit_cell(act: Act, *, package_id: int, feature_id: int, text: str | None, version: int | None = None) -> Cell:
    """Say something of a package about a feature; a cell that nobody has filled in yet has version 0.

    Raises:
        Conflict: somebody has changed the cell since.
        Forbidden: the grid is locked.
        Invalid: the text is too long.
        NotFound: there is no such feature, or the package is not in its grid.
    """
    feature = open_feature(act, feature_id)
    membership = membership_of(act.session, feature.grid_id, package_id)
    typed = Typed()
    words = typed.text("text", text, LONGEST_TEXT)
    typed.check()
    place = select(Cell).where(Cell.grid_package_id == membership.id, Cell.feature_id == feature.id)
    cell = act.session.scalar(place)
    if cell is None:
        cell = Cell(grid_package_id=membership.id, feature_id=feature.id, text=words)
        check_version_of(0, version)
        if words:
            act.add(cell)
        return cell
    check_version_of(cell.version, version)
    act.edit(cell, {"text": words})
    return cell


def check_version_of(present: int, begun_on: int | None) -> None:
    """Refuse an edit that began on another version; None: whoever asks doesn't say on which.

    Raises:
        Conflict: it did.
    """
    check_version(Cell(version=present), begun_on)


def open_grid(act: Act, grid_id: int) -> Grid:
    """Return a grid that this person may change, and let nobody else change it meanwhile.

    Raises:
        Forbidden: it is locked, and this is no moderator.
        NotFound: there is none.
    """
    grid = act.session.get(Grid, grid_id, with_for_update=True)
    if grid is None:
        raise NotFound("Grid")
    if grid.is_locked and not act.by.is_moderator:
        raise Forbidden("This grid is locked. Only moderators can edit it.")
    return grid


def open_feature(act: Act, feature_id: int) -> Feature:
    """Return a feature whose grid this person may change, and let nobody else change it meanwhile.

    Raises:
        Forbidden, NotFound: as for `open_grid`.
    """
    grid_id = act.session.scalar(select(Feature.grid_id).where(Feature.id == feature_id))
    if grid_id is None:
        raise NotFound("Feature")
    open_grid(act, grid_id)
    feature = act.session.get(Feature, feature_id, populate_existing=True)  # it may have gone while we waited
    if feature is None:
        raise NotFound("Feature")
    return feature


def membership_of(session: Session, grid_id: int, package_id: int) -> GridPackage:
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


def made_by(session: Session, kind: str, object_id: int) -> int | None:
    """Return who added an object; None: nobody here, or somebody who has left."""
    added = select(Revision.user_id).where(
        Revision.object_type == kind, Revision.object_id == object_id, Revision.action == "add"
    )
    return session.scalar(added.order_by(Revision.id).limit(1))


def offered_slug(session: Session, title: str) -> str:
    """Return a slug made from a title that no grid has."""
    return slug_of(title, noun="grid", reserved=RESERVED, is_free=lambda slug: slug_is_free(session, slug))


def slug_is_free(session: Session, slug: str, *, but: int | None = None) -> bool:
    """Tell whether no grid, or none but this one, has a slug or is found by it."""
    same, old = func.lower(Grid.slug) == slug.lower(), func.lower(OldGridSlug.slug) == slug.lower()
    found = set(session.scalars(select(Grid.id).where(same))) | set(
        session.scalars(select(OldGridSlug.grid_id).where(old))
    )
    return found <= {but}


def _read(act: Act, changes: GridChanges | dict[str, Any], grid: Grid | None = None) -> dict[str, Any]:
    """Return the columns that follow from what a person wrote."""
    typed, values = Typed(), dict[str, Any]()
    for name in changes.keys() - GridChanges.__annotations__.keys():
        typed.refuse(name, "Unknown field.")
    if "title" in changes:
        values["title"] = typed.line("title", changes["title"], LONGEST_TITLE, is_needed=True)
    if "description" in changes:
        values["description"] = typed.text("description", changes["description"], LONGEST_TEXT)
    if "slug" in changes:
        _read_slug(act, typed, values, changes["slug"], grid)
    for name in ("header", "is_locked"):
        ticked = changes.get(name)
        if ticked is not None and ticked != (getattr(grid, name) if grid else False):
            require_moderator(act.by)
            values[name] = ticked
    typed.check()
    return values


def _read_slug(act: Act, typed: Typed, values: dict[str, Any], written: str | None, grid: Grid | None) -> None:
    slug = typed.line("slug", written, LONGEST_SLUG)
    if "slug" in typed.problems or (grid and slug in {"", grid.slug}):
        return  # an odd slug that it has already may stay
    if not slug:
        slug = offered_slug(act.session, values.get("title", ""))
    elif not _SLUG.fullmatch(slug):
        typed.refuse(
            "slug", "Use letters (a–z), digits, hyphens and underscores. Start and end with a letter or digit."
        )
    elif slug.isdigit():
        typed.refuse("slug", "A slug can't consist of digits only.")
    elif slug.lower() in RESERVED:
        typed.refuse("slug", "This slug is reserved. Choose another.")
    elif not slug_is_free(act.session, slug, but=grid.id if grid else None):
        typed.refuse("slug", "This slug is or was used by another grid. Choose another.", is_taken=True)
    values["slug"] = slug


def _features_with(act: Act, feature: Feature) -> list[Feature]:
    """Return the features of a feature's grid, in their order."""
    rows = select(Feature).where(Feature.grid_id == feature.grid_id).order_by(Feature.position, Feature.id)
    return list(act.session.scalars(rows))


def _put_at(act: Act, feature: Feature, position: int) -> None:
    """Put a feature at a place among those of its grid; beyond the ends means the end."""
    features = [one for one in _features_with(act, feature) if one is not feature]
    features.insert(min(max(position, 0), len(features)), feature)
    for place, one in enumerate(features):
        act.edit(one, {"position": place})


def _feature_values(typed: Typed, title: str, description: str | None) -> dict[str, Any]:
    return {
        "title": typed.line("title", title, LONGEST_TITLE, is_needed=True),
        "description": typed.text("description", description, LONGEST_TEXT),
    }


def _require_maker(act: Act, grid_id: int, kind: str, object_id: int) -> None:
    makers = {act.session.get_one(Grid, grid_id).created_by_id, made_by(act.session, kind, object_id)}
    if act.user_id not in makers and not act.by.is_moderator:
        raise Forbidden("Only moderators, the person who added this and the grid's creator can remove it.")


ACTS: dict[str, Callable[..., Any]] = {
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
