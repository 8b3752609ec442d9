"""Builds the search index entries of packages, grids, categories and people."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from pkgsite.models import Category, Grid, GridPackage, Identity, Package, Usage, User
from pkgsite.rules.health import supported_pythons
from pkgsite.rules.pypi_names import parse_pypi_name
from pkgsite.rules.search.compounds import compound_fields
from pkgsite.rules.search.expressions import TEXT_SECTIONS
from pkgsite.rules.search.ranking import Kind, RankSignals, name_keywords, rank_key
from pkgsite.rules.search.tokenizer import keyword_value, name_fields, split_fields
from pkgsite.rules.shortcodes import expand_shortcodes
from pkgsite.rules.weights import WeightInputs, package_weight
from pkgsite.services.packages.records import ACTIVE, VISIBLE


@dataclass(frozen=True, slots=True)
class Document:
    """The indexed words of an item: each section has fields, and phrases match only within a field."""

    name: tuple[tuple[str, ...], ...]
    text: tuple[tuple[str, ...], ...] = ()
    around: tuple[tuple[str, ...], ...] = ()
    people: tuple[tuple[str, ...], ...] = ()
    filter_keywords: tuple[str, ...] = ()  # compared with the filters of a query
    name_keywords: tuple[str, ...] = ()  # find the item by its entire name, or by a prefix of it

    def words(self) -> set[str]:
        """Return the words of all sections, and the filter keywords."""
        fields: Iterator[tuple[str, ...]] = (field for section in TEXT_SECTIONS for field in getattr(self, section))
        return {*self.filter_keywords, *(word for field in fields for word in field)}


@dataclass(frozen=True, slots=True)
class IndexItem:
    """A searchable item: its row of `SearchEntry` and its indexed document."""

    entry: dict[str, Any]
    document: Document


def load_index_items(
    session: Session, kind: Kind, ids: Collection[int], ignored_prefixes: tuple[str, ...], *, now: datetime
) -> list[IndexItem]:
    """Return those of these items that are searchable; hidden packages and deactivated accounts are left out."""
    return _LOADERS[kind](session, ids, ignored_prefixes, now)


def rank_of(package: Any, usage_count: int) -> RankSignals:
    """Return the facts of a package's row that order it among equally good matches."""
    last_activity_at = max(filter(None, (package.last_commit_at, package.released_at)), default=None)
    return RankSignals(bool(package.is_active), package.stars, package.pypi_downloads, usage_count, last_activity_at)


def weight_inputs(package: Any, usage_count: int) -> WeightInputs:
    """Return the facts of a package's row that its weight is calculated from."""
    return WeightInputs(
        is_deprecated=package.is_deprecated,
        has_description=bool(package.description.strip()),
        downloads=package.pypi_downloads,
        forks=package.forks,
        stars=package.stars,
        usage_count=usage_count,
        last_commit_at=package.last_commit_at,
        released_at=package.released_at,
    )


def _packages(
    session: Session, ids: Collection[int], ignored_prefixes: tuple[str, ...], now: datetime
) -> list[IndexItem]:
    usage_count = select(func.count()).where(Usage.package_id == Package.id).correlate(Package).scalar_subquery()
    rows = session.execute(
        select(
            *PACKAGE_COLUMNS,
            *(column.is_not(None).label(name) for name, column in PACKAGE_FLAGS.items()),
            ACTIVE.label("is_active"),
            Category.title.label("category_title"),
            Category.slug.label("category_slug"),
            usage_count.label("usage_count"),
            Grid.title.label("grid_title"),
            Grid.slug.label("grid_slug"),
        )
        .join(Category)
        .outerjoin(GridPackage, GridPackage.package_id == Package.id)
        .outerjoin(Grid, Grid.id == GridPackage.grid_id)
        .where(Package.id.in_(ids), VISIBLE)
        .order_by(Package.id, GridPackage.id)
    )
    return [_package(list(group), ignored_prefixes, now) for _, group in groupby(rows, key=lambda row: row.id)]


def _package(rows: list[Any], ignored_prefixes: tuple[str, ...], now: datetime) -> IndexItem:
    """Return the item of a package; it has a row for each of its grids, or one without a grid."""
    row = rows[0]
    grids = [(grid.grid_title, grid.grid_slug) for grid in rows if grid.grid_slug is not None]
    licences = dict.fromkeys(filter(None, [row.licence, *(row.licences or [])]))
    pythons = supported_pythons(row.classifiers, row.requires_python) if row.pypi_version else ()
    filters = [
        "kind:package",
        f"category:{keyword_value(row.category_slug)}",
        *[f"grid:{keyword_value(slug)}" for _, slug in grids],
        *[f"licence:{keyword_value(licence)}" for licence in licences],
        *[f"python:{python}" for python in pythons],
        *[f"by:{keyword_value(person)}" for person in row.participants],
        *(["is:living"] if row.is_active else []),
        *(["is:archived"] if row.is_archived else []),
        *(["is:deprecated"] if row.is_deprecated or row.replaced_by_id is not None else []),
    ]
    return _index_item(
        Kind.PACKAGE,
        row.id,
        rank_of(row, row.usage_count),
        now,
        names=[row.title, row.slug, parse_pypi_name(row.pypi_url)],
        ignored_prefixes=ignored_prefixes,
        text=[expand_shortcodes(row.description), *map(str, row.topics or [])],
        around=[row.category_title, *[title for title, _ in grids]],
        people=list(map(str, row.participants)),
        filters=filters,
        stars=row.stars,
        weight=package_weight(weight_inputs(row, row.usage_count), now),
    )


def _grids(session: Session, ids: Collection[int], ignored_prefixes: tuple[str, ...], now: datetime) -> list[IndexItem]:
    size = select(func.count()).where(GridPackage.grid_id == Grid.id).correlate(Grid).scalar_subquery()
    rows = session.execute(
        select(Grid.id, Grid.title, Grid.slug, Grid.description, size.label("size")).where(Grid.id.in_(ids))
    )
    return [
        _index_item(
            Kind.GRID,
            row.id,
            RankSignals(is_active=True, usage_count=row.size),
            now,
            names=[row.title, row.slug],
            ignored_prefixes=ignored_prefixes,
            text=[expand_shortcodes(row.description)],
            filters=["kind:grid"],
        )
        for row in rows
    ]


def _categories(
    session: Session, ids: Collection[int], ignored_prefixes: tuple[str, ...], now: datetime
) -> list[IndexItem]:
    # Columns instead of mapped rows, which could be outdated: another transaction may have changed them since.
    columns = (Category.id, Category.title, Category.title_plural, Category.slug, Category.description)
    return [
        _index_item(
            Kind.CATEGORY,
            category.id,
            RankSignals(is_active=True),
            now,
            names=[category.title, category.title_plural, category.slug],
            ignored_prefixes=ignored_prefixes,
            text=[category.description],
            filters=["kind:category"],
        )
        for category in session.execute(select(*columns).where(Category.id.in_(ids)))
    ]


def _people(
    session: Session, ids: Collection[int], _ignored_prefixes: tuple[str, ...], now: datetime
) -> list[IndexItem]:
    logins: defaultdict[int, list[str]] = defaultdict(list)
    for row in session.execute(select(Identity.user_id, Identity.login).where(Identity.user_id.in_(ids))):
        logins[row.user_id].append(row.login)
    rows = session.execute(select(User.id, User.username).where(User.id.in_(ids), User.is_active))
    return [
        _index_item(
            Kind.PERSON,
            row.id,
            RankSignals(is_active=True),
            now,
            names=[row.username, *logins[row.id]],
            ignored_prefixes=(),
            filters=["kind:person"],
        )
        for row in rows
    ]


_LOADERS: dict[Kind, Callable[[Session, Collection[int], tuple[str, ...], datetime], list[IndexItem]]] = {
    Kind.PACKAGE: _packages,
    Kind.GRID: _grids,
    Kind.CATEGORY: _categories,
    Kind.PERSON: _people,
}
PACKAGE_COLUMNS = (
    Package.id,
    Package.title,
    Package.slug,
    Package.pypi_url,
    Package.pypi_version,
    Package.description,
    Package.topics,
    Package.participants,
    Package.stars,
    Package.forks,
    Package.pypi_downloads,
    Package.last_commit_at,
    Package.released_at,
    Package.licence,
    Package.licences,
    Package.classifiers,
    Package.requires_python,
    Package.replaced_by_id,
)
# Whether these columns are set is indexed, but not their values.
PACKAGE_FLAGS = {"is_archived": Package.archived_at, "is_deprecated": Package.deprecated_at}


def _index_item(
    kind: Kind,
    item_id: int,
    signals: RankSignals,
    now: datetime,
    *,
    names: list[str],
    ignored_prefixes: tuple[str, ...],
    text: list[str] | None = None,
    around: list[str] | None = None,
    people: list[str] | None = None,
    filters: list[str],
    stars: int | None = None,
    weight: int | None = None,
) -> IndexItem:
    document = build_document(
        names, ignored_prefixes, text=text or [], around=around or [], people=people or [], filters=filters
    )
    touched_at = None if signals.last_activity_at is None else int(signals.last_activity_at.timestamp())
    entry = {
        "place": rank_key(kind, item_id, signals, now),
        "kind": int(kind),
        "item_id": item_id,
        "stars": stars,
        "touched_at": touched_at,
        "weight": weight,
        "marks": " ".join(document.filter_keywords),
    }
    return IndexItem(entry | {"digest": _digest(entry, document)}, document)


def build_document(
    names: list[str],
    ignored_prefixes: tuple[str, ...],
    *,
    text: list[str],
    around: list[str],
    people: list[str],
    filters: list[str],
) -> Document:
    """Return the document of an item with these names, texts and filter keywords."""
    keys, fields = name_fields(names)
    text_fields, around_fields = split_fields(text), split_fields(around)
    compounds = compound_fields(fields, (*text_fields, *around_fields), ignored_prefixes)
    fields = tuple(dict.fromkeys((*fields, *compounds)))
    words_of_names = [word for words in fields for word in words]
    return Document(
        name=fields,
        text=text_fields,
        around=around_fields,
        people=split_fields(people),
        filter_keywords=tuple(dict.fromkeys(filters)),
        name_keywords=tuple(name_keywords(keys, words_of_names, ignored_prefixes)),
    )


def _digest(entry: dict[str, Any], document: Document) -> str:
    return hashlib.blake2b(repr((entry, document)).encode(), digest_size=16).hexdigest()
