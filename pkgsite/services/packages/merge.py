"""Merging duplicate packages: the survivor gets the duplicate's content, and the duplicate redirects to it.

Everything with a history moves by edits that are recorded and reverted with the changeset. Usages and favourites have
no history, and just move.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from pkgsite.errors import Invalid, NotFound
from pkgsite.models import Cell, Favourite, Feature, Grid, GridPackage, Package, Usage, UsingSite
from pkgsite.rules.texts import FieldReader
from pkgsite.services.changeset import Changeset
from pkgsite.services.packages.fields import MAX_REFERENCE_LENGTH
from pkgsite.services.packages.lookup import find_by_reference, is_replaced_by, lock_package_references
from pkgsite.services.packages.records import Ref
from pkgsite.services.permissions import require_moderator
from pkgsite.services.refresh.sources import sync_sources_in_transaction


@dataclass(frozen=True, slots=True)
class GridMergePlan:
    """The effect of a merge on one grid."""

    title: str
    slug: str
    is_moved: bool  # whether the entire column moves, because the survivor is not in the grid yet
    filled_features: tuple[str, ...]  # features whose empty cell the survivor fills from the duplicate
    conflicting_features: tuple[str, ...]  # features where both have different texts; the survivor's is kept


@dataclass(frozen=True, slots=True)
class MergePlan:
    """A preview of a merge."""

    duplicate: Ref
    survivor: Ref
    grids: list[GridMergePlan]
    site_count: int
    usage_count: int
    favourite_count: int
    replaced_packages: list[Ref]  # packages that the duplicate replaces


def plan_merge(session: Session, duplicate_slug: str, target: str) -> MergePlan:
    """Return a preview of merging a package into another.

    Raises:
        Invalid: The target does not exist, or is the same package; the message is under "into".
        NotFound: The duplicate does not exist.
    """
    duplicate, survivor = _load_both(session, duplicate_slug, target)
    replaced_packages = session.execute(
        select(Package.id, Package.title, Package.slug).where(
            Package.replaced_by_id == duplicate.id, Package.id != survivor.id
        )
    )
    return MergePlan(
        duplicate=Ref(duplicate.id, duplicate.title, duplicate.slug),
        survivor=Ref(survivor.id, survivor.title, survivor.slug),
        grids=[_plan_grid_merge(session, survivor, membership) for membership in _memberships(session, duplicate)],
        site_count=len(_sites_to_move(session, duplicate, survivor)),
        usage_count=_count_to_move(session, Usage, duplicate, survivor),
        favourite_count=_count_to_move(session, Favourite, duplicate, survivor),
        replaced_packages=[Ref(*row) for row in replaced_packages],
    )


def merge_packages(changeset: Changeset, *, duplicate_slug: str, target: str) -> Package:
    """Merge a package into another, and return the survivor.

    Where both have content, the survivor's is kept. The duplicate is hidden, and its current and former slugs redirect
    to the survivor.

    Raises:
        Forbidden: The user is not a moderator.
        Invalid, NotFound: As in `plan_merge`.
    """
    require_moderator(changeset.by)
    lock_package_references(changeset.session)
    duplicate, survivor = _load_both(changeset.session, duplicate_slug, target)
    changeset.edit(duplicate, {"hidden_at": duplicate.hidden_at or changeset.now, "merged_into_id": survivor.id})
    _redirect_references(changeset, duplicate, survivor)
    for membership in _memberships(changeset.session, duplicate):
        _move_membership(changeset, membership, survivor)
    for site in _sites_to_move(changeset.session, duplicate, survivor):
        changeset.edit(site, {"package_id": survivor.id})
        changeset.touch(package_id=duplicate.id)
    for model in (Usage, Favourite):
        _move_user_rows(changeset.session, model, duplicate, survivor)
    changeset.touch(package_id=survivor.id)
    if changeset.gateways:
        sync_sources_in_transaction(
            changeset.session, changeset.gateways, now=changeset.now, package_ids=[duplicate.id]
        )
    return survivor


def _load_both(session: Session, duplicate_slug: str, target: str) -> tuple[Package, Package]:
    duplicate = session.scalar(select(Package).where(Package.slug == duplicate_slug).with_for_update())
    if duplicate is None:
        raise NotFound("Package")
    reader = FieldReader()
    reference = reader.read_line("into", target, MAX_REFERENCE_LENGTH)
    reader.raise_if_invalid()
    survivor = find_by_reference(session, reference) if reference else None
    if survivor is None:
        raise Invalid({"into": ["No visible package has this slug or URL."]})
    if survivor.id == duplicate.id:
        raise Invalid({"into": ["A package can't be merged into itself."]})
    return duplicate, session.get_one(Package, survivor.id, with_for_update=True)


def _memberships(session: Session, package: Package) -> list[GridPackage]:
    order = (GridPackage.position, GridPackage.id)
    return list(session.scalars(select(GridPackage).where(GridPackage.package_id == package.id).order_by(*order)))


def _cells(session: Session, membership_id: int) -> dict[int, Cell]:
    """Return the cells of a column, by feature id."""
    cells = session.scalars(select(Cell).where(Cell.grid_package_id == membership_id).order_by(Cell.id))
    return {cell.feature_id: cell for cell in cells}


def _survivor_membership(session: Session, membership: GridPackage, survivor: Package) -> GridPackage | None:
    return session.scalar(
        select(GridPackage).where(GridPackage.grid_id == membership.grid_id, GridPackage.package_id == survivor.id)
    )


def _plan_grid_merge(session: Session, survivor: Package, membership: GridPackage) -> GridMergePlan:
    grid = session.get_one(Grid, membership.grid_id)
    survivor_membership = _survivor_membership(session, membership, survivor)
    if survivor_membership is None:
        return GridMergePlan(grid.title, grid.slug, True, (), ())
    duplicate_texts = {feature_id: cell.text for feature_id, cell in _cells(session, membership.id).items()}
    survivor_texts = {feature_id: cell.text for feature_id, cell in _cells(session, survivor_membership.id).items()}
    filled, conflicting = [], []
    for feature in session.scalars(select(Feature).where(Feature.grid_id == grid.id).order_by(Feature.id)):
        text, survivor_text = duplicate_texts.get(feature.id), survivor_texts.get(feature.id)
        if text and not survivor_text:
            filled.append(feature.title)
        elif text and text != survivor_text:
            conflicting.append(feature.title)
    return GridMergePlan(grid.title, grid.slug, False, tuple(filled), tuple(conflicting))


def _move_membership(changeset: Changeset, membership: GridPackage, survivor: Package) -> None:
    """Move a column from the duplicate to the survivor; if the survivor has a column, fill its empty cells."""
    session = changeset.session
    duplicate_cells = [
        (feature_id, cell.text, cell.created_at) for feature_id, cell in _cells(session, membership.id).items()
    ]
    grid_id, created_at = membership.grid_id, membership.created_at
    survivor_membership = _survivor_membership(session, membership, survivor)
    changeset.delete(membership)
    if survivor_membership is None:
        position = session.scalar(select(func.count()).where(GridPackage.package_id == survivor.id)) or 0
        survivor_membership = GridPackage(
            grid_id=grid_id, package_id=survivor.id, position=position, created_at=created_at
        )
        changeset.add(survivor_membership)
    survivor_cells = _cells(session, survivor_membership.id)
    for feature_id, text, cell_created_at in duplicate_cells:
        if not text:
            continue
        cell = survivor_cells.get(feature_id)
        if cell is None:
            changeset.add(
                Cell(
                    grid_package_id=survivor_membership.id, feature_id=feature_id, text=text, created_at=cell_created_at
                )
            )
        elif not cell.text:
            changeset.edit(cell, {"text": text})


def _redirect_references(changeset: Changeset, duplicate: Package, survivor: Package) -> None:
    """Change the packages that the duplicate replaces, or that were merged into it, to refer to the survivor."""
    replaced = select(Package).where(Package.replaced_by_id == duplicate.id).order_by(Package.id)
    for other in changeset.session.scalars(replaced).all():
        is_circular = other.id == survivor.id or is_replaced_by(changeset.session, survivor.id, other.id)
        changeset.edit(other, {"replaced_by_id": None if is_circular else survivor.id})
    merged = (
        select(Package).where(Package.merged_into_id == duplicate.id, Package.id != survivor.id).order_by(Package.id)
    )
    for other in changeset.session.scalars(merged).all():
        changeset.edit(other, {"merged_into_id": survivor.id})


def _sites_to_move(session: Session, duplicate: Package, survivor: Package) -> list[UsingSite]:
    """Return the duplicate's sites that the survivor does not have."""
    sites = session.scalars(
        select(UsingSite).where(UsingSite.package_id.in_([duplicate.id, survivor.id])).order_by(UsingSite.id)
    ).all()
    existing = {site.url.lower().rstrip("/") for site in sites if site.package_id == survivor.id}
    return [site for site in sites if site.package_id == duplicate.id and site.url.lower().rstrip("/") not in existing]


def _count_to_move(session: Session, model: type[Usage | Favourite], duplicate: Package, survivor: Package) -> int:
    existing = select(model.user_id).where(model.package_id == survivor.id)
    count = select(func.count()).where(model.package_id == duplicate.id, model.user_id.not_in(existing))
    return session.scalar(count) or 0


def _move_user_rows(session: Session, model: type[Usage | Favourite], duplicate: Package, survivor: Package) -> None:
    """Move the duplicate's usages or favourites to the survivor, except those of users who have both."""
    existing = select(model.user_id).where(model.package_id == survivor.id)
    session.execute(
        update(model)
        .where(model.package_id == duplicate.id, model.user_id.not_in(existing))
        .values(package_id=survivor.id)
        .execution_options(synchronize_session=False)
    )
