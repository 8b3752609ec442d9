"""Search over packages and grids: every word has to be found; the nearest title comes first."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import ColumnElement, SQLColumnExpression, Text, and_, case, cast, func, literal, or_, select
from sqlalchemy.orm import Session

from pkgsite.models import Category, Grid, Package, Usage
from pkgsite.rules.search_words import clean, may_be_a_name, words_in
from pkgsite.rules.shortcodes import expand_shortcodes
from pkgsite.rules.weights import WeighedFacts, grid_weight, heaviest_weight, package_weight
from pkgsite.services.listing import grid_counts
from pkgsite.services.packages import LIVING, VISIBLE


@dataclass(frozen=True, slots=True)
class Hit:
    """A package or a grid that was found. The facts of a package are empty for a grid."""

    item_type: Literal["package", "grid"]
    id: int
    title: str
    slug: str
    description: str  # emoji shortcodes are expanded
    created_at: datetime
    modified_at: datetime
    weight: int  # 0 to 100
    is_living: bool = True
    category: str = ""  # its title
    stars: int | None = None
    forks: int | None = None
    downloads: int | None = None
    score: int | None = None
    usage_count: int = 0
    participants: tuple[str, ...] = ()
    last_commit_at: datetime | None = None
    released_at: datetime | None = None
    package_count: int = 0  # of a grid


def search(session: Session, q: str, *, limit: int, now: datetime) -> list[Hit]:
    """Return packages and grids in which every word of `q` is found, best first, in three queries.

    A title or slug equal to `q` comes first, then titles that begin with it, then those that hold every word, then
    the others; in each of the four, grids first, then living packages before the rest, and more stars before fewer.
    Nothing is found for an empty `q`.
    """
    words = words_in(q)
    if not words:
        return []
    whole = clean(q).lower()
    ranked = [
        *_packages(session, whole, words, limit=limit, now=now),
        *_grids(session, whole, words, limit=limit, now=now),
    ]
    ranked.sort(key=lambda pair: (pair[0], _place(pair[1])))
    return [hit for _rank, hit in ranked[:limit]]


def _place(hit: Hit) -> tuple[int, int, int, int]:
    kind = 0 if hit.item_type == "grid" else 1
    return kind, 0 if hit.is_living else 1, -(-1 if hit.stars is None else hit.stars), hit.id


def _rank(
    whole: str, words: list[str], title: SQLColumnExpression[str], slug: SQLColumnExpression[str]
) -> ColumnElement[int]:
    """Return how near a row is to what was typed, 0 nearest."""
    return case(
        (or_(func.lower(title) == whole, func.lower(slug) == whole), 0),
        (title.istartswith(whole, autoescape=True), 1),
        (and_(*[title.icontains(word, autoescape=True) for word in words]), 2),
        else_=3,
    )


def _packages(session: Session, whole: str, words: list[str], *, limit: int, now: datetime) -> list[tuple[int, Hit]]:
    rank = _rank(whole, words, Package.title, Package.slug)
    statement = (
        select(
            rank.label("rank"),
            Package.id,
            Package.title,
            Package.slug,
            Package.created_at,
            Package.modified_at,
            Package.participants,
            Package.score,
            Category.title.label("category"),
            case((LIVING, True), else_=False).label("is_living"),
            *_WEIGHED,
        )
        .join(Category)
        .where(VISIBLE, *[_package_has(word) for word in words])
        .order_by(rank, case((LIVING, 0), else_=1), Package.stars.desc().nulls_last(), Package.id)
        .limit(limit)
    )
    return [
        (
            row.rank,
            Hit(
                item_type="package",
                id=row.id,
                title=row.title,
                slug=row.slug,
                description=expand_shortcodes(row.description),
                created_at=row.created_at,
                modified_at=row.modified_at,
                weight=package_weight(_facts(row), now),
                is_living=bool(row.is_living),
                category=row.category,
                stars=row.stars,
                forks=row.forks,
                downloads=row.pypi_downloads,
                score=row.score,
                usage_count=row.usage_count,
                participants=tuple(row.participants),
                last_commit_at=row.last_commit_at,
                released_at=row.released_at,
            ),
        )
        for row in session.execute(statement)
    ]


def _grids(session: Session, whole: str, words: list[str], *, limit: int, now: datetime) -> list[tuple[int, Hit]]:
    rank = _rank(whole, words, Grid.title, Grid.slug)
    package_count = func.coalesce(grid_counts.c.packages, 0)
    statement = (
        select(rank.label("rank"), package_count.label("package_count"), *_GRID)
        .outerjoin(grid_counts, grid_counts.c.grid_id == Grid.id)
        .where(*[_contain_any(word, Grid.title, Grid.slug, Grid.description) for word in words])
        .order_by(rank, Grid.id)
        .limit(limit)
    )
    rows = session.execute(statement).all()
    heaviest = heaviest_weight((_facts(row) for row in session.execute(select(*_WEIGHED).where(VISIBLE))), now)
    return [
        (
            row.rank,
            Hit(
                item_type="grid",
                id=row.id,
                title=row.title,
                slug=row.slug,
                description=expand_shortcodes(row.description),
                created_at=row.created_at,
                modified_at=row.modified_at,
                weight=grid_weight(
                    heaviest, is_locked=row.is_locked, header=row.header, has_packages=row.package_count > 0
                ),
                package_count=row.package_count,
            ),
        )
        for row in rows
    ]


def _facts(row: Any) -> WeighedFacts:
    return WeighedFacts(
        is_deprecated=row.deprecated_at is not None,
        has_description=bool(row.description.strip()),
        downloads=row.pypi_downloads,
        forks=row.forks,
        stars=row.stars,
        usage_count=row.usage_count,
        last_commit_at=row.last_commit_at,
        released_at=row.released_at,
    )


def _package_has(word: str) -> ColumnElement[bool]:
    columns: list[SQLColumnExpression[str]] = [Package.title, Package.slug, Package.description, Category.title]
    if may_be_a_name(word):
        columns.append(cast(Package.participants, Text))
    return _contain_any(word, *columns)


def _contain_any(word: str, *columns: Any) -> ColumnElement[bool]:
    return or_(literal(False), *[column.icontains(word, autoescape=True) for column in columns])


_usage_count = select(func.count()).where(Usage.package_id == Package.id).correlate(Package).scalar_subquery()

_WEIGHED = (
    Package.description,
    Package.deprecated_at,
    Package.pypi_downloads,
    Package.forks,
    Package.stars,
    Package.last_commit_at,
    Package.released_at,
    _usage_count.label("usage_count"),
)

_GRID = (
    Grid.id,
    Grid.title,
    Grid.slug,
    Grid.description,
    Grid.is_locked,
    Grid.header,
    Grid.created_at,
    Grid.modified_at,
)
