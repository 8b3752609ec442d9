"""Queries of the API for packages and grids: filters, order, slices, and changed and deleted records."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, case, func, select
from sqlalchemy.orm import InstrumentedAttribute, Session, aliased

from pkgsite.errors import Invalid
from pkgsite.models import Category, Grid, GridPackage, Package, PackageSlugRedirect, Revision
from pkgsite.rules.pypi_names import parse_pypi_name
from pkgsite.rules.repo_urls import normalise_repo_url
from pkgsite.rules.slugs import parse_id
from pkgsite.services.grids.records import GridRecord, GridSlice, load_grids, select_grids
from pkgsite.services.packages.lookup import find_by_index_name, packages_of_repository
from pkgsite.services.packages.records import (
    VISIBLE,
    PackageRecord,
    PackageSlice,
    count_packages,
    load_records,
    select_packages,
)

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
    """A filter and an order for records; an empty value or None matches all.

    Attributes:
        terms: Words that the title, the slug or the description must all contain.
        category: The id or slug of a category; an unknown one has no packages.
        grid: The id or slug of a grid; an unknown one has no packages.
        ids: The ids of the records to return.
        updated_since: The earliest time of the record's last change.
        include_deleted: Whether to list deleted records, too.
        ordering: The name of an order, with "-" in front for descending; highest id first if unknown.
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
    """A record that was hidden, merged into another one, or deleted."""

    id: int
    slug: str
    merged_into: int | None
    deleted_at: datetime


def list_packages(session: Session, record_filter: RecordFilter, *, limit: int, offset: int) -> PackageSlice:
    """Return a slice of the matching packages."""
    conditions = package_conditions(record_filter)
    count = count_packages(session, *conditions)
    if offset >= count:
        return PackageSlice(count, [])
    order = order_by_clause(PACKAGE_ORDERS, record_filter.ordering)
    statement = select_packages().where(*conditions).order_by(*order).limit(limit).offset(offset)
    return PackageSlice(count, load_records(session, statement))


def list_grids(session: Session, record_filter: RecordFilter, *, limit: int, offset: int) -> GridSlice:
    """Return a slice of the matching grids."""
    conditions = grid_conditions(record_filter)
    count = session.scalar(select(func.count()).select_from(Grid).where(*conditions)) or 0
    if offset >= count:
        return GridSlice(count, [])
    order = order_by_clause(GRID_ORDERS, record_filter.ordering)
    statement = select_grids().where(*conditions).order_by(*order).limit(limit).offset(offset)
    return GridSlice(count, load_grids(session, statement))


def packages_after(session: Session, record_filter: RecordFilter, last_id: int, *, limit: int) -> list[PackageRecord]:
    """Return the matching packages with the next higher ids."""
    statement = select_packages().where(*package_conditions(record_filter), Package.id > last_id)
    return load_records(session, statement.order_by(Package.id).limit(limit))


def grids_after(session: Session, record_filter: RecordFilter, last_id: int, *, limit: int) -> list[GridRecord]:
    """Return the matching grids with the next higher ids."""
    statement = select_grids().where(*grid_conditions(record_filter), Grid.id > last_id)
    return load_grids(session, statement.order_by(Grid.id).limit(limit))


def packages_by_id(session: Session, package_ids: Collection[int]) -> list[PackageRecord]:
    """Return these packages in order of their ids; unknown ids are omitted."""
    return load_records(session, select_packages().where(Package.id.in_(package_ids)).order_by(Package.id))


def package_conditions(record_filter: RecordFilter) -> list[ColumnElement[bool]]:
    conditions = _shared_conditions(Package, record_filter)
    if record_filter.category:
        categories = select(Category.id).where(_has_key(Category, record_filter.category))
        conditions.append(Package.category_id.in_(categories))
    if record_filter.grid:
        members = select(GridPackage.package_id).join(Grid).where(_has_key(Grid, record_filter.grid))
        conditions.append(Package.id.in_(members))
    return conditions


def _has_key(model: type[Category | Grid], key: str) -> ColumnElement[bool]:
    record_id = parse_id(key)
    return model.slug == key if record_id is None else model.id == record_id


def grid_conditions(record_filter: RecordFilter) -> list[ColumnElement[bool]]:
    return _shared_conditions(Grid, record_filter)


def _shared_conditions(model: type[Package | Grid], record_filter: RecordFilter) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = [
        model.title.icontains(term, autoescape=True)
        | model.slug.icontains(term, autoescape=True)
        | model.description.icontains(term, autoescape=True)
        for term in record_filter.terms
    ]
    if record_filter.ids:
        conditions.append(model.id.in_(record_filter.ids))
    if record_filter.updated_since is not None:
        conditions.append(model.changed_at >= record_filter.updated_since)
    return conditions


def order_by_clause(orders: Mapping[str, InstrumentedAttribute[Any]], ordering: str) -> list[Any]:
    """Return an order: unknown values last in both directions, ties by id for stable paging."""
    column = orders.get(ordering.removeprefix("-"))
    newest = orders["id"].desc()
    if column is None:
        return [newest]
    direction = column.desc() if ordering.startswith("-") else column.asc()
    return [direction] if column is orders["id"] else [direction.nulls_last(), newest]


def last_package_change_at(session: Session) -> datetime | None:
    """Return when any package, even a hidden one, was last changed."""
    return session.scalar(select(func.max(Package.changed_at)))


def last_grid_change_at(session: Session) -> datetime | None:
    """Return when any grid was last changed."""
    return session.scalar(select(func.max(Grid.changed_at)))


def deleted_packages(session: Session, since: datetime | None) -> list[DeletedRecord]:
    """Return the hidden and merged packages, most recent first."""
    rows = select(Package.id, Package.slug, Package.merged_into_id, Package.changed_at).where(~VISIBLE)
    if since is not None:
        rows = rows.where(Package.changed_at >= since)
    newest_first = rows.order_by(Package.changed_at.desc(), Package.id.desc()).limit(MAX_DELETED)
    return [DeletedRecord(*row) for row in session.execute(newest_first)]


def deleted_grids(session: Session, since: datetime | None) -> list[DeletedRecord]:
    """Return the grids that were deleted and not restored, most recent first."""
    rows = select(Revision.object_id, Revision.before, Revision.at).where(
        Revision.object_type == "grid",
        Revision.action == "delete",
        Revision.object_id.not_in(select(Grid.id)),
    )
    if since is not None:
        rows = rows.where(Revision.at >= since)
    records: dict[int, DeletedRecord] = {}
    for grid_id, before, deleted_at in session.execute(rows.order_by(Revision.id.desc()).limit(MAX_DELETED)):
        records.setdefault(grid_id, DeletedRecord(grid_id, str((before or {}).get("slug", "")), None, deleted_at))
    return list(records.values())


def lookup_packages(session: Session, keys: Sequence[str], host_kinds: Mapping[str, str]) -> dict[str, list[int]]:
    """Return the ids of the packages that each key identifies, the oldest first; unknown keys are omitted.

    A merged package counts as the package that it was merged into.

    Args:
        session: The database session.
        keys: Current or former slugs, repository URLs in any form, or names on the package index.
        host_kinds: The kinds of the supported code hosts, by host name.
    """
    stripped = {key: key.strip() for key in keys}
    by_slug = _ids_by_slug(session, set(stripped.values()))
    found: dict[str, list[int]] = {}
    for key, text in stripped.items():
        ids = [by_slug[text]] if text in by_slug else _ids_of_reference(session, text, host_kinds)
        if ids:
            found[key] = ids
    return found


def _ids_by_slug(session: Session, slugs: Collection[str]) -> dict[str, int]:
    """Return package ids by current and former slugs."""
    target = aliased(Package)
    package_id = case((VISIBLE, Package.id), else_=target.id)
    merged = target.id == Package.merged_into_id
    former = (
        select(PackageSlugRedirect.slug, package_id)
        .join(Package, Package.id == PackageSlugRedirect.package_id)
        .outerjoin(target, merged & target.hidden_at.is_(None))
        .where(PackageSlugRedirect.slug.in_(slugs))
    )
    current = (
        select(Package.slug, package_id)
        .outerjoin(target, merged & target.hidden_at.is_(None))
        .where(Package.slug.in_(slugs))
    )
    rows = [*session.execute(former), *session.execute(current)]
    return {slug: found_id for slug, found_id in rows if found_id is not None}


def _ids_of_reference(session: Session, text: str, host_kinds: Mapping[str, str]) -> list[int]:
    """Return the ids of the packages with this repository URL or this name on the package index."""
    try:
        repo_url = normalise_repo_url(text, host_kinds)
    except Invalid:
        name = parse_pypi_name(text)
        package = find_by_index_name(session, name) if name else None
        return [package.id] if package else []
    listed = packages_of_repository(session, repo_url, host_kinds)
    return list(dict.fromkeys(package.ref.id for package in listed))
