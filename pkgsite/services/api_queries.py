"""Packages and grids as programs ask for them: a part of the list, in an order, and what has changed since."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from packaging.utils import canonicalize_name
from sqlalchemy import ColumnElement, func, select, tuple_
from sqlalchemy.orm import InstrumentedAttribute, Session

from pkgsite.models import Category, Grid, GridPackage, Package, PackageSlugRedirect, Revision, SourceState
from pkgsite.rules.freshness import Source
from pkgsite.rules.pypi_names import parse_pypi_name
from pkgsite.rules.repo_urls import parse_repo_ref
from pkgsite.rules.slugs import parse_id
from pkgsite.services.grids.records import GridRecord, GridSlice, load_grids, select_grids
from pkgsite.services.packages.records import VISIBLE, PackageRecord, PackageSlice, load_records, select_packages

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
MAX_DELETED = 1000


@dataclass(frozen=True, slots=True)
class RecordFilter:
    """What to look for; empty or None: everything.

    Attributes:
        words: All of which stand in the title, the slug or the description.
        category: An id or a slug; an unknown one has no packages.
        grid: The same.
        ids: These records only.
        updated_since: Changed at this instant or later, by whom or what ever.
        include_deleted: Tell of what is gone, too.
        ordering: A name of an order, with "-" before it for the opposite; an unknown one means the newest id first.
    """

    terms: tuple[str, ...] = ()
    category: str = ""
    grid: str = ""
    ids: tuple[int, ...] = ()
    updated_since: datetime | None = None
    include_deleted: bool = False
    ordering: str = ""


@dataclass(frozen=True, slots=True)
class DeletedRecord:
    """A record that is gone: hidden, merged into another one, or deleted."""

    id: int
    slug: str
    merged_into: int | None
    deleted_at: datetime


def list_packages(session: Session, record_filter: RecordFilter, *, limit: int, offset: int) -> PackageSlice:
    """Return a stretch of the packages that are looked for."""
    conditions = package_conditions(record_filter)
    count = session.scalar(select(func.count()).select_from(Package).where(VISIBLE, *conditions)) or 0
    if offset >= count:
        return PackageSlice(count, [])
    order = order_by_clause(PACKAGE_ORDERS, record_filter.ordering)
    statement = select_packages().where(*conditions).order_by(*order).limit(limit).offset(offset)
    return PackageSlice(count, load_records(session, statement))


def list_grids(session: Session, record_filter: RecordFilter, *, limit: int, offset: int) -> GridSlice:
    """Return a stretch of the grids that are looked for."""
    conditions = grid_conditions(record_filter)
    count = session.scalar(select(func.count()).select_from(Grid).where(*conditions)) or 0
    if offset >= count:
        return GridSlice(count, [])
    order = order_by_clause(GRID_ORDERS, record_filter.ordering)
    return GridSlice(
        count, load_grids(session, select_grids().where(*conditions).order_by(*order).limit(limit).offset(offset))
    )


def packages_after(session: Session, record_filter: RecordFilter, last_id: int, *, limit: int) -> list[PackageRecord]:
    """Return the next packages that are looked for, by id."""
    wanted = select_packages().where(*package_conditions(record_filter), Package.id > last_id)
    return load_records(session, wanted.order_by(Package.id).limit(limit))


def grids_after(session: Session, record_filter: RecordFilter, last_id: int, *, limit: int) -> list[GridRecord]:
    """Return the next grids that are looked for, by id."""
    return load_grids(
        session, select_grids().where(*grid_conditions(record_filter), Grid.id > last_id).order_by(Grid.id).limit(limit)
    )


def packages_by_id(session: Session, package_ids: Collection[int]) -> list[PackageRecord]:
    """Return these packages, by id; those that there aren't are left out."""
    return load_records(session, select_packages().where(Package.id.in_(package_ids)).order_by(Package.id))


def package_conditions(record_filter: RecordFilter) -> list[ColumnElement[bool]]:
    found = _shared_conditions(Package, record_filter)
    if record_filter.category:
        package_id = parse_id(record_filter.category)
        category_condition = (
            Category.slug == record_filter.category if package_id is None else Category.id == package_id
        )
        found.append(Package.category_id.in_(select(Category.id).where(category_condition)))
    if record_filter.grid:
        package_id = parse_id(record_filter.grid)
        of_grid = Grid.slug == record_filter.grid if package_id is None else Grid.id == package_id
        found.append(Package.id.in_(select(GridPackage.package_id).join(Grid).where(of_grid)))
    return found


def grid_conditions(record_filter: RecordFilter) -> list[ColumnElement[bool]]:
    return _shared_conditions(Grid, record_filter)


def _shared_conditions(model: type[Package | Grid], record_filter: RecordFilter) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = [
        model.title.icontains(word, autoescape=True)
        | model.slug.icontains(word, autoescape=True)
        | model.description.icontains(word, autoescape=True)
        for word in record_filter.terms
    ]
    if record_filter.ids:
        found.append(model.id.in_(record_filter.ids))
    if record_filter.updated_since is not None:
        found.append(model.changed_at >= record_filter.updated_since)
    return found


def order_by_clause(orders: Mapping[str, InstrumentedAttribute[Any]], ordering: str) -> list[Any]:
    """Return an order: unknown values last either way, ties by id so that paging is stable."""
    column = orders.get(ordering.removeprefix("-"))
    newest = orders["id"].desc()
    if column is None:
        return [newest]
    direction = column.desc() if ordering.startswith("-") else column.asc()
    return [direction] if column is orders["id"] else [direction.nulls_last(), newest]


def last_package_change_at(session: Session) -> datetime | None:
    """Return when any package was last changed, those that are hidden too."""
    return session.scalar(select(func.max(Package.changed_at)))


def last_grid_change_at(session: Session) -> datetime | None:
    """Return when any grid was last changed."""
    return session.scalar(select(func.max(Grid.changed_at)))


def deleted_packages(session: Session, since: datetime | None) -> list[DeletedRecord]:
    """Return the packages that are hidden or merged, the last first."""
    rows = select(Package.id, Package.slug, Package.merged_into_id, Package.changed_at).where(~VISIBLE)
    if since is not None:
        rows = rows.where(Package.changed_at >= since)
    newest_first = rows.order_by(Package.changed_at.desc(), Package.id.desc()).limit(MAX_DELETED)
    return [DeletedRecord(*row) for row in session.execute(newest_first)]


def deleted_grids(session: Session, since: datetime | None) -> list[DeletedRecord]:
    """Return the grids that people have deleted and nobody has brought back, the last first."""
    rows = select(Revision.object_id, Revision.before, Revision.at).where(
        Revision.object_type == "grid",
        Revision.action == "delete",
        Revision.object_id.not_in(select(Grid.id)),
    )
    if since is not None:
        rows = rows.where(Revision.at >= since)
    found: dict[int, DeletedRecord] = {}
    for package_id, before, at in session.execute(rows.order_by(Revision.id.desc()).limit(MAX_DELETED)):
        found.setdefault(package_id, DeletedRecord(package_id, str((before or {}).get("slug", "")), None, at))
    return list(found.values())


def lookup_packages(session: Session, keys: Sequence[str], host_kinds: Mapping[str, str]) -> dict[str, int]:
    """Return the ids of the packages that these keys name, by key; those that name none are left out.

    Args:
        keys: Slugs that packages have or had, addresses of repositories in any form, names on the package index.
        host_kinds: For each known code host its kind.
    """
    stripped = {key: key.strip() for key in keys}
    by_slug = _ids_by_slug(session, set(stripped.values()))
    repos = {key: ref for key, word in stripped.items() if (ref := parse_repo_ref(word, host_kinds))}
    names = {key: str(canonicalize_name(parse_pypi_name(word))) for key, word in stripped.items() if key not in repos}
    by_place = _ids_by_source(
        session,
        {(Source.REPO, ref.path.lower()) for ref in repos.values()} | {(Source.INDEX, name) for name in names.values()},
    )
    found: dict[str, int] = {}
    for key, word in stripped.items():
        ref = repos.get(key)
        source_key = (Source.REPO, ref.path.lower(), ref.host) if ref else (Source.INDEX, names[key], "")
        package_id = by_slug.get(word) or by_place.get(source_key)
        if package_id:
            found[key] = package_id
    return found


def _ids_by_slug(session: Session, slugs: Collection[str]) -> dict[str, int]:
    old = select(PackageSlugRedirect.slug, Package.id).join(Package, Package.id == PackageSlugRedirect.package_id)
    current_slugs = select(Package.slug, Package.id)
    redirects = session.execute(old.where(PackageSlugRedirect.slug.in_(slugs), VISIBLE))
    current = session.execute(current_slugs.where(Package.slug.in_(slugs), VISIBLE))
    return {row.slug: row.id for row in [*redirects, *current]}


def _ids_by_source(session: Session, targets: Collection[tuple[Source, str]]) -> dict[tuple[Source, str, str], int]:
    """Return packages by where their facts come from; of those on the index whatever host that is."""
    rows = select(SourceState.source, SourceState.target, SourceState.host, SourceState.package_id)
    targets_condition = tuple_(SourceState.source, SourceState.target).in_(
        [(str(source), target) for source, target in targets]
    )
    found: dict[tuple[Source, str, str], int] = {}
    for source, target, host, package_id in session.execute(
        rows.where(targets_condition).order_by(SourceState.package_id)
    ):
        found.setdefault((Source(source), target, host if source == Source.REPO else ""), package_id)
    return found
