"""Two records of one package become one: the survivor takes what the other one has, and the other leads to it.

All that has a history moves by edits that can be seen and taken back with the act. What people said with one click
("I use this", favourites) moves without.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from pkgsite.errors import Invalid, NotFound
from pkgsite.models import Cell, Favourite, Feature, Grid, GridPackage, Package, SiteUsing, Usage
from pkgsite.rules.texts import Typed
from pkgsite.services.changeset import Act
from pkgsite.services.packages.fields import LONGEST_REF
from pkgsite.services.packages.lookup import keep_others_out, leads_to, package_typed
from pkgsite.services.packages.records import Ref
from pkgsite.services.permissions import require_moderator
from pkgsite.services.refresh.sources import arrange_sources


@dataclass(frozen=True, slots=True)
class MergedGrid:
    """What a merge does in one grid."""

    title: str
    slug: str
    moves: bool  # the survivor is not in it yet: the whole column moves
    filled: tuple[str, ...]  # features whose cell the survivor has left empty
    kept: tuple[str, ...]  # features where both say something else: the survivor's words stay


@dataclass(frozen=True, slots=True)
class MergePlan:
    """What a merge would do."""

    loser: Ref
    survivor: Ref
    grids: list[MergedGrid]
    site_count: int
    usage_count: int
    favourite_count: int
    replaces: list[Ref]  # packages that name the loser as what replaces them


def merge_plan(session: Session, loser_slug: str, into: str) -> MergePlan:
    """Return what merging a package into another would do.

    Raises:
        Invalid: there is no such other package, or it is the same; the words are under "into".
        NotFound: there is no such package.
    """
    loser, survivor = _both(session, loser_slug, into)
    replaces = session.execute(
        select(Package.id, Package.title, Package.slug).where(
            Package.replaced_by_id == loser.id, Package.id != survivor.id
        )
    )
    return MergePlan(
        loser=Ref(loser.id, loser.title, loser.slug),
        survivor=Ref(survivor.id, survivor.title, survivor.slug),
        grids=[_plan_grid(session, survivor, membership) for membership in _memberships(session, loser)],
        site_count=len(_sites_to_move(session, loser, survivor)),
        usage_count=_count_to_move(session, Usage, loser, survivor),
        favourite_count=_count_to_move(session, Favourite, loser, survivor),
        replaces=[Ref(*row) for row in replaces],
    )


def merge(act: Act, *, loser_slug: str, into: str) -> Package:
    """Merge a package into another, and return the survivor.

    What both have stays with the survivor as it is. The loser is hidden; its slugs, old ones too, lead to the survivor.

    Raises:
        Forbidden: this is no moderator.
        Invalid, NotFound: as for `merge_plan`.
    """
    require_moderator(act.by)
    keep_others_out(act.session)
    loser, survivor = _both(act.session, loser_slug, into)
    act.edit(loser, {"hidden_at": loser.hidden_at or act.now, "merged_into_id": survivor.id})
    _lead_on(act, loser, survivor)
    for membership in _memberships(act.session, loser):
        _move_membership(act, membership, survivor)
    for site in _sites_to_move(act.session, loser, survivor):
        act.edit(site, {"package_id": survivor.id})
        act.touch(package_id=loser.id)
    for model in (Usage, Favourite):
        _move_marks(act.session, model, loser, survivor)
    act.touch(package_id=survivor.id)
    if act.gateways:
        arrange_sources(act.session, act.gateways, now=act.now, package_ids=[loser.id])
    return survivor


def _both(session: Session, loser_slug: str, into: str) -> tuple[Package, Package]:
    loser = session.scalar(select(Package).where(Package.slug == loser_slug).with_for_update())
    if loser is None:
        raise NotFound("Package")
    typed = Typed()
    named = typed.line("into", into, LONGEST_REF)
    typed.check()
    found = package_typed(session, named) if named else None
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


def _counterpart(session: Session, membership: GridPackage, survivor: Package) -> GridPackage | None:
    return session.scalar(
        select(GridPackage).where(GridPackage.grid_id == membership.grid_id, GridPackage.package_id == survivor.id)
    )


def _plan_grid(session: Session, survivor: Package, membership: GridPackage) -> MergedGrid:
    grid = session.get_one(Grid, membership.grid_id)
    ours = _counterpart(session, membership, survivor)
    if ours is None:
        return MergedGrid(grid.title, grid.slug, True, (), ())
    theirs, present = _cells(session, membership.id), _cells(session, ours.id)
    features = {
        feature.id: feature.title for feature in session.scalars(select(Feature).where(Feature.grid_id == grid.id))
    }
    said = {number: cell.text for number, cell in theirs.items() if cell.text}
    empty = {number for number in said if number not in present or not present[number].text}
    other = {number for number in said if number not in empty and present[number].text != said[number]}
    return MergedGrid(
        grid.title,
        grid.slug,
        False,
        tuple(features[number] for number in sorted(empty)),
        tuple(features[number] for number in sorted(other)),
    )


def _move_membership(act: Act, membership: GridPackage, survivor: Package) -> None:
    """Take a column out of its grid, and give it to the survivor, or fill what the survivor's own has left empty."""
    session = act.session
    theirs = [(number, cell.text, cell.created_at) for number, cell in _cells(session, membership.id).items()]
    grid_id, created_at = membership.grid_id, membership.created_at
    ours = _counterpart(session, membership, survivor)
    act.delete(membership)
    if ours is None:
        position = session.scalar(select(func.count()).where(GridPackage.package_id == survivor.id)) or 0
        ours = GridPackage(grid_id=grid_id, package_id=survivor.id, position=position, created_at=created_at)
        act.add(ours)
    present = _cells(session, ours.id)
    for feature_id, text, written_at in theirs:
        if not text:
            continue
        cell = present.get(feature_id)
        if cell is None:
            act.add(Cell(grid_package_id=ours.id, feature_id=feature_id, text=text, created_at=written_at))
        elif not cell.text:
            act.edit(cell, {"text": text})


def _lead_on(act: Act, loser: Package, survivor: Package) -> None:
    """Let what led to the loser lead to the survivor."""
    replaced = select(Package).where(Package.replaced_by_id == loser.id).order_by(Package.id)
    for other in act.session.scalars(replaced).all():
        in_a_ring = other.id == survivor.id or leads_to(act.session, survivor.id, other.id)
        act.edit(other, {"replaced_by_id": None if in_a_ring else survivor.id})
    merged = select(Package).where(Package.merged_into_id == loser.id, Package.id != survivor.id).order_by(Package.id)
    for other in act.session.scalars(merged).all():
        act.edit(other, {"merged_into_id": survivor.id})


def _sites_to_move(session: Session, loser: Package, survivor: Package) -> list[SiteUsing]:
    """Return the loser's links that the survivor has not."""
    rows = session.scalars(
        select(SiteUsing).where(SiteUsing.package_id.in_([loser.id, survivor.id])).order_by(SiteUsing.id)
    ).all()
    there = {site.url.lower().rstrip("/") for site in rows if site.package_id == survivor.id}
    return [site for site in rows if site.package_id == loser.id and site.url.lower().rstrip("/") not in there]


def _count_to_move(session: Session, model: type[Usage | Favourite], loser: Package, survivor: Package) -> int:
    there = select(model.user_id).where(model.package_id == survivor.id)
    count = select(func.count()).where(model.package_id == loser.id, model.user_id.not_in(there))
    return session.scalar(count) or 0


def _move_marks(session: Session, model: type[Usage | Favourite], loser: Package, survivor: Package) -> None:
    """Move what people said of the loser to the survivor; who has said it of both has said it of the survivor."""
    there = select(model.user_id).where(model.package_id == survivor.id)
    session.execute(
        update(model)
        .where(model.package_id == loser.id, model.user_id.not_in(there))
        .values(package_id=survivor.id)
        .execution_options(synchronize_session=False)
    )
