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
from pkgsite.rules.health import living_pythons
from pkgsite.rules.pypi_names import pypi_name
from pkgsite.rules.search.ranking import Kind, Standing, name_marks, place
from pkgsite.rules.search.tokenizer import mark_value, name_key, name_words, split_words
from pkgsite.rules.shortcodes import expand_shortcodes
from pkgsite.rules.weights import WeighedFacts, package_weight
from pkgsite.services.packages.records import LIVING, VISIBLE, usage_counts
from pkgsite.services.search.backend import Document


@dataclass(frozen=True, slots=True)
class Findable:
    """A thing that can be found: its row of `SearchEntry`, and what the index holds of it."""

    entry: dict[str, Any]
    document: Document


def load_findable(
    session: Session, kind: Kind, ids: Collection[int], prefixes: tuple[str, ...], *, now: datetime
) -> list[Findable]:
    """Return those of these things that can be found: a hidden package and a closed account can't."""
    return _LOADERS[kind](session, ids, prefixes, now)


def standing_of(package: Any, uses: int) -> Standing:
    """Return what decides between a package's row and others that fit the words alike."""
    touched_at = max(filter(None, (package.last_commit_at, package.released_at)), default=None)
    return Standing(bool(package.is_living), package.stars, package.pypi_downloads, uses, touched_at)


def weighed_facts(package: Any, uses: int) -> WeighedFacts:
    """Return what a package's row is weighed by."""
    return WeighedFacts(
        is_deprecated=package.deprecated_at is not None,
        has_description=bool(package.description.strip()),
        downloads=package.pypi_downloads,
        forks=package.forks,
        stars=package.stars,
        usage_count=uses,
        last_commit_at=package.last_commit_at,
        released_at=package.released_at,
    )


def _packages(session: Session, ids: Collection[int], prefixes: tuple[str, ...], now: datetime) -> list[Findable]:
    grids: defaultdict[int, list[Any]] = defaultdict(list)
    for row in session.execute(
        select(GridPackage.package_id, Grid.title, Grid.slug).join(Grid).where(GridPackage.package_id.in_(ids))
    ):
        grids[row.package_id].append(row)
    uses = usage_counts(session, ids)
    rows = session.execute(
        select(
            *PACKAGE_COLUMNS,
            LIVING.label("is_living"),
            Category.title.label("in_title"),
            Category.slug.label("in_slug"),
        )
        .join(Category)
        .where(Package.id.in_(ids), VISIBLE)
    )
    return [_package(row, grids[row.id], uses.get(row.id, 0), prefixes, now) for row in rows]


def _package(row: Any, grids: list[Any], uses: int, prefixes: tuple[str, ...], now: datetime) -> Findable:
    licences = dict.fromkeys(filter(None, [row.licence, *(row.licences or [])]))
    pythons = living_pythons(row.classifiers, row.requires_python) if row.pypi_version else ()
    filters = [
        "kind:package",
        f"category:{mark_value(row.in_slug)}",
        *[f"grid:{mark_value(grid.slug)}" for grid in grids],
        *[f"licence:{mark_value(licence)}" for licence in licences],
        *[f"python:{python}" for python in pythons],
        *[f"by:{mark_value(person)}" for person in row.participants],
        *(["is:living"] if row.is_living else []),
        *(["is:archived"] if row.archived_at is not None else []),
        *(["is:deprecated"] if row.deprecated_at is not None or row.replaced_by_id is not None else []),
    ]
    return _findable(
        Kind.PACKAGE,
        row.id,
        standing_of(row, uses),
        now,
        names=[row.title, row.slug, pypi_name(row.pypi_url)],
        prefixes=prefixes,
        text=[expand_shortcodes(row.description), *map(str, row.topics or [])],
        around=[row.in_title, *[grid.title for grid in grids]],
        people=list(map(str, row.participants)),
        filters=filters,
        stars=row.stars,
        weight=package_weight(weighed_facts(row, uses), now),
    )


def _grids(session: Session, ids: Collection[int], prefixes: tuple[str, ...], now: datetime) -> list[Findable]:
    size = select(func.count()).where(GridPackage.grid_id == Grid.id).correlate(Grid).scalar_subquery()
    rows = session.execute(
        select(Grid.id, Grid.title, Grid.slug, Grid.description, size.label("size")).where(Grid.id.in_(ids))
    )
    return [
        _findable(
            Kind.GRID,
            row.id,
            Standing(is_living=True, usage_count=row.size),
            now,
            names=[row.title, row.slug],
            prefixes=prefixes,
            text=[expand_shortcodes(row.description)],
            filters=["kind:grid"],
        )
        for row in rows
    ]


def _categories(session: Session, ids: Collection[int], prefixes: tuple[str, ...], now: datetime) -> list[Findable]:
    # Columns, not mapped rows: those would be as this session read them, before another one changed them.
    columns = (Category.id, Category.title, Category.title_plural, Category.slug, Category.description)
    return [
        _findable(
            Kind.CATEGORY,
            category.id,
            Standing(is_living=True),
            now,
            names=[category.title, category.title_plural, category.slug],
            prefixes=prefixes,
            text=[category.description],
            filters=["kind:category"],
        )
        for category in session.execute(select(*columns).where(Category.id.in_(ids)))
    ]


def _people(session: Session, ids: Collection[int], _prefixes: tuple[str, ...], now: datetime) -> list[Findable]:
    logins: defaultdict[int, list[str]] = defaultdict(list)
    for row in session.execute(select(Identity.user_id, Identity.login).where(Identity.user_id.in_(ids))):
        logins[row.user_id].append(row.login)
    rows = session.execute(select(User.id, User.username).where(User.id.in_(ids), User.is_active))
    return [
        _findable(
            Kind.PERSON,
            row.id,
            Standing(is_living=True),
            now,
            names=[row.username, *logins[row.id]],
            prefixes=(),
            filters=["kind:person"],
        )
        for row in rows
    ]


_LOADERS: dict[Kind, Callable[[Session, Collection[int], tuple[str, ...], datetime], list[Findable]]] = {
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


def _findable(
    kind: Kind,
    item_id: int,
    standing: Standing,
    now: datetime,
    *,
    names: list[str],
    prefixes: tuple[str, ...],
    text: list[str] | None = None,
    around: list[str] | None = None,
    people: list[str] | None = None,
    filters: list[str],
    stars: int | None = None,
    weight: int | None = None,
) -> Findable:
    document = make_document(
        names, prefixes, text=text or [], around=around or [], people=people or [], filters=filters
    )
    touched_at = None if standing.touched_at is None else int(standing.touched_at.timestamp())
    entry = {
        "place": place(kind, item_id, standing, now),
        "kind": int(kind),
        "item_id": item_id,
        "stars": stars,
        "touched_at": touched_at,
        "weight": weight,
        "marks": " ".join(document.filters),
    }
    return Findable(entry | {"digest": _digest(entry, document)}, document)


def make_document(
    names: list[str],
    prefixes: tuple[str, ...],
    *,
    text: list[str],
    around: list[str],
    people: list[str],
    filters: list[str],
) -> Document:
    """Return what the index holds of a thing with these names, texts and filters' marks."""
    keys = list(dict.fromkeys(key for name in names if (key := name_key(name))))
    fields = [*map(tuple, map(split_words, names)), *map(tuple, map(name_words, names)), *((key,) for key in keys)]
    in_names = [word for words in fields for word in words]
    return Document(
        name=_different(fields),
        text=_different(map(tuple, map(split_words, text))),
        around=_different(map(tuple, map(split_words, around))),
        people=_different(map(tuple, map(split_words, people))),
        filters=tuple(dict.fromkeys(filters)),
        names=tuple(name_marks(keys, in_names, prefixes)),
    )


def _different(fields: Any) -> tuple[tuple[str, ...], ...]:
    return tuple(dict.fromkeys(words for words in fields if words))


def _digest(entry: dict[str, Any], document: Document) -> str:
    return hashlib.blake2b(repr((entry, document)).encode(), digest_size=16).hexdigest()
