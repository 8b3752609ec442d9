"""What search knows of each thing that can be found, read from its rows."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from pkgsite.models import Category, Grid, GridPackage, Identity, Package, User
from pkgsite.rules.health import supported_pythons
from pkgsite.rules.pypi_names import parse_pypi_name
from pkgsite.rules.search.ranking import Kind, RankSignals, name_keywords, rank_key
from pkgsite.rules.search.tokenizer import keyword_value, name_words, normalise_name, split_words
from pkgsite.rules.shortcodes import expand_shortcodes
from pkgsite.rules.weights import WeightInputs, package_weight
from pkgsite.services.packages.records import ACTIVE, VISIBLE, usage_counts
from pkgsite.services.search.backend import Document


@dataclass(frozen=True, slots=True)
class IndexItem:
    """A thing that can be found: its row of `SearchEntry`, and what the index holds of it."""

    entry: dict[str, Any]
    document: Document


def load_index_items(
    session: Session, kind: Kind, ids: Collection[int], ignored_prefixes: tuple[str, ...], *, now: datetime
) -> list[IndexItem]:
    """Return those of these things that can be found: a hidden package and a closed account can't."""
    return _LOADERS[kind](session, ids, ignored_prefixes, now)


def rank_of(package: Any, usage_count: int) -> RankSignals:
    """Return what decides between a package's row and others that fit the words alike."""
    touched_at = max(filter(None, (package.last_commit_at, package.released_at)), default=None)
    return RankSignals(bool(package.is_active), package.stars, package.pypi_downloads, usage_count, touched_at)


def weight_inputs(package: Any, usage_count: int) -> WeightInputs:
    """Return what a package's row is weighed by."""
    return WeightInputs(
        is_deprecated=package.deprecated_at is not None,
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
    grids: defaultdict[int, list[Any]] = defaultdict(list)
    for row in session.execute(
        select(GridPackage.package_id, Grid.title, Grid.slug).join(Grid).where(GridPackage.package_id.in_(ids))
    ):
        grids[row.package_id].append(row)
    counts_by_package = usage_counts(session, ids)
    rows = session.execute(
        select(
            *PACKAGE_COLUMNS,
            ACTIVE.label("is_active"),
            Category.title.label("in_title"),
            Category.slug.label("in_slug"),
        )
        .join(Category)
        .where(Package.id.in_(ids), VISIBLE)
    )
    return [_package(row, grids[row.id], counts_by_package.get(row.id, 0), ignored_prefixes, now) for row in rows]


def _package(
    row: Any, grids: list[Any], usage_count: int, ignored_prefixes: tuple[str, ...], now: datetime
) -> IndexItem:
    licences = dict.fromkeys(filter(None, [row.licence, *(row.licences or [])]))
    pythons = supported_pythons(row.classifiers, row.requires_python) if row.pypi_version else ()
    filters = [
        "kind:package",
        f"category:{keyword_value(row.in_slug)}",
        *[f"grid:{keyword_value(grid.slug)}" for grid in grids],
        *[f"licence:{keyword_value(licence)}" for licence in licences],
        *[f"python:{python}" for python in pythons],
        *[f"by:{keyword_value(person)}" for person in row.participants],
        *(["is:living"] if row.is_active else []),
        *(["is:archived"] if row.archived_at is not None else []),
        *(["is:deprecated"] if row.deprecated_at is not None or row.replaced_by_id is not None else []),
    ]
    return _index_item(
        Kind.PACKAGE,
        row.id,
        rank_of(row, usage_count),
        now,
        names=[row.title, row.slug, parse_pypi_name(row.pypi_url)],
        ignored_prefixes=ignored_prefixes,
        text=[expand_shortcodes(row.description), *map(str, row.topics or [])],
        around=[row.in_title, *[grid.title for grid in grids]],
        people=list(map(str, row.participants)),
        filters=filters,
        stars=row.stars,
        weight=package_weight(weight_inputs(row, usage_count), now),
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
    # Columns, not mapped rows: those would be as this session read them, before another one changed them.
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


def _people(session: Session, ids: Collection[int], _prefixes: tuple[str, ...], now: datetime) -> list[IndexItem]:
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
    Package.archived_at,
    Package.deprecated_at,
    Package.replaced_by_id,
)


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
    """Return what the index holds of a thing with these names, texts and filters' marks."""
    keys = list(dict.fromkeys(key for name in names if (key := normalise_name(name))))
    fields = [*map(tuple, map(split_words, names)), *map(tuple, map(name_words, names)), *((key,) for key in keys)]
    in_names = [word for words in fields for word in words]
    return Document(
        name=_distinct(fields),
        text=_distinct(map(tuple, map(split_words, text))),
        around=_distinct(map(tuple, map(split_words, around))),
        people=_distinct(map(tuple, map(split_words, people))),
        filter_keywords=tuple(dict.fromkeys(filters)),
        name_keywords=tuple(name_keywords(keys, in_names, ignored_prefixes)),
    )


def _distinct(fields: Any) -> tuple[tuple[str, ...], ...]:
    return tuple(dict.fromkeys(words for words in fields if words))


def _digest(entry: dict[str, Any], document: Document) -> str:
    return hashlib.blake2b(repr((entry, document)).encode(), digest_size=16).hexdigest()
