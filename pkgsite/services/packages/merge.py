"""Two records of one package become one: the survivor takes what the other one has, and the other leads to it.

All that has a history moves by edits that can be seen and taken back with the act. What people said with one click
("I use this", favourites) moves without.
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
    """What a merge does in one grid."""

    title: str
    slug: str
    is_moved: bool  # the survivor is not in it yet: the whole column moves
    filled_features: tuple[str, ...]  # features whose cell the survivor has left empty
    conflicting_features: tuple[str, ...]  # features where both say something else: the survivor's words stay


@dataclass(frozen=True, slots=True)
class MergePlan:
    """What a merge would do."""

    duplicate: Ref
    survivor: Ref
    grids: list[GridMergePlan]
    site_count: int
    usage_count: int
    favourite_count: int
    replaced_packages: list[Ref]  # packages that name the loser as what replaces them


def plan_merge(session: Session, duplicate_slug: str, target: str) -> MergePlan:
    """Return what merging a package into another would do.

    Raises:
        Invalid: there is no such other package, or it is the same; the words are under "into".
        NotFound: there is no such package.
    """
    loser, survivor = _load_both(session, duplicate_slug, target)
    replaces = session.execute(
        select(Package.id, Package.title, Package.slug).where(
            Package.replaced_by_id == loser.id, Package.id != survivor.id
        )
    )
    return MergePlan(
        duplicate=Ref(loser.id, loser.title, loser.slug),
        survivor=Ref(survivor.id, survivor.title, survivor.slug),
        grids=[_plan_grid_merge(session, survivor, membership) for membership in _memberships(session, loser)],
        site_count=len(_sites_to_move(session, loser, survivor)),
        usage_count=_count_to_move(session, Usage, loser, survivor),
        favourite_count=_count_to_move(session, Favourite, loser, survivor),
        replaced_packages=[Ref(*row) for row in replaces],
    )


def merge_packages(changeset: Changeset, *, duplicate_slug: str, target: str) -> Package:
    """Merge a package into another, and return the survivor.

    What both have stays with the survivor as it is. The loser is hidden; its slugs, old ones too, lead to the survivor.

    Raises:
        Forbidden: this is no moderator.
        Invalid, NotFound: as for `plan_merge`.
    """
    require_moderator(changeset.by)
    lock_package_references(changeset.session)
    loser, survivor = _load_both(changeset.session, duplicate_slug, target)
    changeset.edit(loser, {"hidden_at": loser.hidden_at or changeset.now, "merged_into_id": survivor.id})
    _redirect_references(changeset, loser, survivor)
    for membership in _memberships(changeset.session, loser):
        _move_membership(changeset, membership, survivor)
    for site in _sites_to_move(changeset.session, loser, survivor):
        changeset.edit(site, {"package_id": survivor.id})
        changeset.touch(package_id=loser.id)
    for model in (Usage, Favourite):
        _move_user_rows(changeset.session, model, loser, survivor)
    changeset.touch(package_id=survivor.id)
    if changeset.gateways:
        sync_sources_in_transaction(changeset.session, changeset.gateways, now=changeset.now, package_ids=[loser.id])
    return survivor


def _load_both(session: Session, duplicate_slug: str, target: str) -> tuple[Package, Package]:
    loser = session.scalar(select(Package).where(Package.slug == duplicate_slug).with_for_update())
    if loser is None:
        raise NotFound("Package")
    reader = FieldReader()
    named = reader.read_line("into", target, MAX_REFERENCE_LENGTH)
    reader.raise_if_invalid()
    found = find_by_reference(session, named) if named else None
    if found is None:
        raise Invalid({"into": ["No visible package has this slug or URL."]})
    if found.id == loser.id:
        raise Invalid({"into": ["A package can't be merged into itself."]})
    return loser, session.get_one(Package, found.id, with_for_update=True)


def _memberships(session: Session, package: Package) -> list[GridPackage]:
    order = (GridPackage.position, GridPackage.id)
    return list(session.scalars(select(GridPackage).where(GridPackage.package_id == package.id).order_by(*order)))


def _cells(session: Session, membership_id: int) -> dict[int, Cell]:
    """Return the cells of a column that say something, by feature."""
    rows = session.scalars(select(Cell).where(Cell.grid_package_id == membership_id).order_by(Cell.id))
    return {cell.feature_id: cell for cell in rows}


def _survivor_membership(session: Session, membership: GridPackage, survivor: Package) -> GridPackage | None:
    return session.scalar(
        select(GridPackage).where(GridPackage.grid_id == membership.grid_id, GridPackage.package_id == survivor.id)
    )


def _plan_grid_merge(session: Session, survivor: Package, membership: GridPackage) -> GridMergePlan:
    grid = session.get_one(Grid, membership.grid_id)
    survivor_membership = _survivor_membership(session, membership, survivor)
    if survivor_membership is None:
        return GridMergePlan(grid.title, grid.slug, True, (), ())
    duplicate_cells, present = _cells(session, membership.id), _cells(session, survivor_membership.id)
    features = {
        feature.id: feature.title for feature in session.scalars(select(Feature).where(Feature.grid_id == grid.id))
    }
    filled_cells = {number: cell.text for number, cell in duplicate_cells.items() if cell.text}
    empty = {number for number in filled_cells if number not in present or not present[number].text}
    other = {number for number in filled_cells if number not in empty and present[number].text != filled_cells[number]}
    return GridMergePlan(
        grid.title,
        grid.slug,
        False,
        tuple(features[number] for number in sorted(empty)),
        tuple(features[number] for number in sorted(other)),
    )


def _move_membership(changeset: Changeset, membership: GridPackage, survivor: Package) -> None:
    """Take a column out of its grid, and give it to the survivor, or fill what the survivor's own has left empty."""
    session = changeset.session
    duplicate_cells = [(number, cell.text, cell.created_at) for number, cell in _cells(session, membership.id).items()]
    grid_id, created_at = membership.grid_id, membership.created_at
    survivor_membership = _survivor_membership(session, membership, survivor)
    changeset.delete(membership)
    if survivor_membership is None:
        position = session.scalar(select(func.count()).where(GridPackage.package_id == survivor.id)) or 0
        survivor_membership = GridPackage(
            grid_id=grid_id, package_id=survivor.id, position=position, created_at=created_at
        )
        changeset.add(survivor_membership)
    present = _cells(session, survivor_membership.id)
    for feature_id, text, cell_created_at in duplicate_cells:
        if not text:
            continue
        cell = present.get(feature_id)
        if cell is None:
            changeset.add(
                Cell(
                    grid_package_id=survivor_membership.id, feature_id=feature_id, text=text, created_at=cell_created_at
                )
            )
        elif not cell.text:
            changeset.edit(cell, {"text": text})


def _redirect_references(changeset: Changeset, duplicate: Package, survivor: Package) -> None:
    """Let what led to the loser lead to the survivor."""
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
    """Return the loser's links that the survivor has not."""
    rows = session.scalars(
        select(UsingSite).where(UsingSite.package_id.in_([duplicate.id, survivor.id])).order_by(UsingSite.id)
    ).all()
    existing = {site.url.lower().rstrip("/") for site in rows if site.package_id == survivor.id}
    return [site for site in rows if site.package_id == duplicate.id and site.url.lower().rstrip("/") not in existing]


def _count_to_move(session: Session, model: type[Usage | Favourite], duplicate: Package, survivor: Package) -> int:
    existing = select(model.user_id).where(model.package_id == survivor.id)
    count = select(func.count()).where(model.package_id == duplicate.id, model.user_id.not_in(existing))
    return session.scalar(count) or 0


def _move_user_rows(session: Session, model: type[Usage | Favourite], duplicate: Package, survivor: Package) -> None:
    """Move what people said of the loser to the survivor; who has said it of both has said it of the survivor."""
    existing = select(model.user_id).where(model.package_id == survivor.id)
    session.execute(
        update(model)
        .where(model.package_id == duplicate.id, model.user_id.not_in(existing))
        .values(package_id=survivor.id)
        .execution_options(synchronize_session=False)
    )
