"""Packages and grids as programs ask for them: a part of the list, in an order, and what has changed since."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from packaging.utils import canonicalize_name
from sqlalchemy import ColumnElement, func, select, tuple_
from sqlalchemy.orm import InstrumentedAttribute, Session

from pkgsite.models import Category, Grid, GridPackage, OldPackageSlug, Package, Revision, SourceState
from pkgsite.rules.freshness import Source
from pkgsite.rules.pypi_names import pypi_name
from pkgsite.rules.repo_urls import repo_ref
from pkgsite.rules.slugs import id_in
from pkgsite.services.grids.records import GridListing, GridRecord, load_grids, select_grids
from pkgsite.services.packages.records import VISIBLE, Listing, PackageRecord, load_records, select_packages

PACKAGE_ORDERS: dict[str, InstrumentedAttribute[Any]] = {
    "id": Package.id,
    "title": Package.title,
    "slug": Package.slug,
    "created": Package.created_at,
    "modified": Package.modified_at,
    "changed": Package.changed_at,
    "repo_watchers": Package.stars,
    "repo_forks": Package.forks,
    "last_updated": Package.last_commit_at,
    "score": Package.score,
}
GRID_ORDERS: dict[str, InstrumentedAttribute[Any]] = {
    "id": Grid.id,
    "title": Grid.title,
    "slug": Grid.slug,
    "created": Grid.created_at,
    "modified": Grid.modified_at,
    "changed": Grid.changed_at,
}
MOST_DELETED = 1000


@dataclass(frozen=True, slots=True)
class Find:
    """What to look for; empty or None: everything.

    Attributes:
        words: All of which stand in the title, the slug or the description.
        category: An id or a slug; an unknown one has no packages.
        grid: The same.
        ids: These records only.
        updated_since: Changed at this instant or later, by whom or what ever.
        with_deleted: Tell of what is gone, too.
        order: A name of an order, with "-" before it for the opposite; an unknown one means the newest id first.
    """

    words: tuple[str, ...] = ()
    category: str = ""
    grid: str = ""
    ids: tuple[int, ...] = ()
    updated_since: datetime | None = None
    with_deleted: bool = False
    order: str = ""


@dataclass(frozen=True, slots=True)
class Deleted:
    """A record that is gone: hidden, merged into another one, or deleted."""

    id: int
    slug: str
    merged_into: int | None
    at: datetime


def find_packages(session: Session, find: Find, *, limit: int, offset: int) -> Listing:
    """Return a stretch of the packages that are looked for."""
    conditions = package_conditions(find)
    count = session.scalar(select(func.count()).select_from(Package).where(VISIBLE, *conditions)) or 0
    if offset >= count:
        return Listing(count, [])
    order = order_of(PACKAGE_ORDERS, find.order)
    statement = select_packages().where(*conditions).order_by(*order).limit(limit).offset(offset)
    return Listing(count, load_records(session, statement))


def find_grids(session: Session, find: Find, *, limit: int, offset: int) -> GridListing:
    """Return a stretch of the grids that are looked for."""
    conditions = grid_conditions(find)
    count = session.scalar(select(func.count()).select_from(Grid).where(*conditions)) or 0
    if offset >= count:
        return GridListing(count, [])
    order = order_of(GRID_ORDERS, find.order)
    return GridListing(
        count, load_grids(session, select_grids().where(*conditions).order_by(*order).limit(limit).offset(offset))
    )


def packages_after(session: Session, find: Find, last_id: int, *, limit: int) -> list[PackageRecord]:
    """Return the next packages that are looked for, by id."""
    wanted = select_packages().where(*package_conditions(find), Package.id > last_id)
    return load_records(session, wanted.order_by(Package.id).limit(limit))


def grids_after(session: Session, find: Find, last_id: int, *, limit: int) -> list[GridRecord]:
    """Return the next grids that are looked for, by id."""
    return load_grids(
        session, select_grids().where(*grid_conditions(find), Grid.id > last_id).order_by(Grid.id).limit(limit)
    )


def packages_by_id(session: Session, package_ids: Collection[int]) -> list[PackageRecord]:
    """Return these packages, by id; those that there aren't are left out."""
    return load_records(session, select_packages().where(Package.id.in_(package_ids)).order_by(Package.id))


def package_conditions(find: Find) -> list[ColumnElement[bool]]:
    found = _common(Package, find)
    if find.category:
        number = id_in(find.category)
        named = Category.slug == find.category if number is None else Category.id == number
        found.append(Package.category_id.in_(select(Category.id).where(named)))
    if find.grid:
        number = id_in(find.grid)
        of_grid = Grid.slug == find.grid if number is None else Grid.id == number
        found.append(Package.id.in_(select(GridPackage.package_id).join(Grid).where(of_grid)))
    return found


def grid_conditions(find: Find) -> list[ColumnElement[bool]]:
    return _common(Grid, find)


def _common(model: type[Package | Grid], find: Find) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = [
        model.title.icontains(word, autoescape=True)
        | model.slug.icontains(word, autoescape=True)
        | model.description.icontains(word, autoescape=True)
        for word in find.words
    ]
    if find.ids:
        found.append(model.id.in_(find.ids))
    if find.updated_since is not None:
        found.append(model.changed_at >= find.updated_since)
    return found


def order_of(orders: Mapping[str, InstrumentedAttribute[Any]], asked: str) -> list[Any]:
    """Return an order: unknown values last either way, ties by id so that paging is stable."""
    column = orders.get(asked.removeprefix("-"))
    newest = orders["id"].desc()
    if column is None:
        return [newest]
    direction = column.desc() if asked.startswith("-") else column.asc()
    return [direction] if column is orders["id"] else [direction.nulls_last(), newest]


def last_package_change(session: Session) -> datetime | None:
    """Return when any package was last changed, those that are hidden too."""
    return session.scalar(select(func.max(Package.changed_at)))


def last_grid_change(session: Session) -> datetime | None:
    """Return when any grid was last changed."""
    return session.scalar(select(func.max(Grid.changed_at)))


def deleted_packages(session: Session, since: datetime | None) -> list[Deleted]:
    """Return the packages that are hidden or merged, the last first."""
    rows = select(Package.id, Package.slug, Package.merged_into_id, Package.changed_at).where(~VISIBLE)
    if since is not None:
        rows = rows.where(Package.changed_at >= since)
    newest_first = rows.order_by(Package.changed_at.desc(), Package.id.desc()).limit(MOST_DELETED)
    return [Deleted(*row) for row in session.execute(newest_first)]


def deleted_grids(session: Session, since: datetime | None) -> list[Deleted]:
    """Return the grids that people have deleted and nobody has brought back, the last first."""
    rows = select(Revision.object_id, Revision.before, Revision.at).where(
        Revision.object_type == "grid",
        Revision.action == "delete",
        Revision.object_id.not_in(select(Grid.id)),
    )
    if since is not None:
        rows = rows.where(Revision.at >= since)
    found: dict[int, Deleted] = {}
    for number, before, at in session.execute(rows.order_by(Revision.id.desc()).limit(MOST_DELETED)):
        found.setdefault(number, Deleted(number, str((before or {}).get("slug", "")), None, at))
    return list(found.values())


def look_up_packages(session: Session, keys: Sequence[str], kinds: Mapping[str, str]) -> dict[str, int]:
    """Return the ids of the packages that these keys name, by key; those that name none are left out.

    Args:
        keys: Slugs that packages have or had, addresses of repositories in any form, names on the package index.
        kinds: For each known code host its kind.
    """
    words = {key: key.strip() for key in keys}
    by_slug = _by_slug(session, set(words.values()))
    repos = {key: ref for key, word in words.items() if (ref := repo_ref(word, kinds))}
    names = {key: str(canonicalize_name(pypi_name(word))) for key, word in words.items() if key not in repos}
    by_place = _by_place(
        session,
        {(Source.REPO, ref.path.lower()) for ref in repos.values()} | {(Source.INDEX, name) for name in names.values()},
    )
    found: dict[str, int] = {}
    for key, word in words.items():
        ref = repos.get(key)
        place = (Source.REPO, ref.path.lower(), ref.host) if ref else (Source.INDEX, names[key], "")
        number = by_slug.get(word) or by_place.get(place)
        if number:
            found[key] = number
    return found


def _by_slug(session: Session, slugs: Collection[str]) -> dict[str, int]:
    old = select(OldPackageSlug.slug, Package.id).join(Package, Package.id == OldPackageSlug.package_id)
    now = select(Package.slug, Package.id)
    former = session.execute(old.where(OldPackageSlug.slug.in_(slugs), VISIBLE))
    present = session.execute(now.where(Package.slug.in_(slugs), VISIBLE))
    return {row.slug: row.id for row in [*former, *present]}


def _by_place(session: Session, targets: Collection[tuple[Source, str]]) -> dict[tuple[Source, str, str], int]:
    """Return packages by where their facts come from; of those on the index whatever host that is."""
    rows = select(SourceState.source, SourceState.target, SourceState.host, SourceState.package_id)
    asked = tuple_(SourceState.source, SourceState.target).in_([(str(source), target) for source, target in targets])
    found: dict[tuple[Source, str, str], int] = {}
    for source, target, host, number in session.execute(rows.where(asked).order_by(SourceState.package_id)):
        found.setdefault((Source(source), target, host if source == Source.REPO else ""), number)
    return found
