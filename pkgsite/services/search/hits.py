"""What was found, read from the rows: packages, grids, categories and people, as pages and the API show them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import case, func, select
from sqlalchemy.orm import Session

from pkgsite.models import Category, Grid, GridPackage, Package, SearchEntry, SearchWord, Usage, User
from pkgsite.rules.search.query import ParsedQuery
from pkgsite.rules.search.ranking import item_id_from_rank_key, popularity
from pkgsite.rules.search.tokenizer import keyword_value, split_words
from pkgsite.rules.shortcodes import expand_shortcodes
from pkgsite.rules.weights import grid_weight, package_weight
from pkgsite.services.packages.records import ACTIVE, VISIBLE
from pkgsite.services.search.analysis import MAX_CODE_POINT
from pkgsite.services.search.documents import rank_of, weight_inputs

MAX_PEOPLE = 6
MAX_CANDIDATES = 50  # people whose name begins like what was typed


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
    tier: int = 0
    is_active: bool = True
    is_archived: bool = False
    category: str = ""  # its title
    stars: int | None = None
    forks: int | None = None
    downloads: int | None = None
    score: int | None = None
    usage_count: int = 0
    popularity: int = 0  # 0 to 1,023, by rules.search_ranking
    topics: tuple[str, ...] = ()
    grids: tuple[str, ...] = ()  # their titles
    participants: tuple[str, ...] = ()
    last_commit_at: datetime | None = None
    released_at: datetime | None = None
    package_count: int = 0  # of a grid


@dataclass(frozen=True, slots=True)
class CategoryHit:
    title: str
    slug: str
    package_count: int


@dataclass(frozen=True, slots=True)
class PersonHit:
    """A person: with an account here, or named as one who took part in packages, or both."""

    name: str
    username: str | None  # of the account
    package_count: int  # in which they took part


def load_packages(session: Session, matches: Sequence[tuple[int, int]], *, now: datetime) -> list[Hit]:
    """Return the packages at these places, in their order, with these tiers."""
    if not matches:
        return []
    ids = [item_id_from_rank_key(rank_key) for rank_key, _ in matches]
    grids: dict[int, list[str]] = {}
    for row in session.execute(
        select(GridPackage.package_id, Grid.title)
        .join(Grid)
        .where(GridPackage.package_id.in_(ids))
        .order_by(GridPackage.position, GridPackage.id)
    ):
        grids.setdefault(row.package_id, []).append(row.title)
    rows = session.execute(select(*_PACKAGE).join(Category).where(Package.id.in_(ids), VISIBLE))
    hits = {row.id: _package_hit(row, tuple(grids.get(row.id, ())), now) for row in rows}
    return [
        replace(hits[item_id_from_rank_key(rank_key)], tier=tier)
        for rank_key, tier in matches
        if item_id_from_rank_key(rank_key) in hits
    ]


def _package_hit(row: Any, grids: tuple[str, ...], now: datetime) -> Hit:
    signals = rank_of(row, row.usage_count)
    return Hit(
        item_type="package",
        id=row.id,
        title=row.title,
        slug=row.slug,
        description=expand_shortcodes(row.description),
        created_at=row.created_at,
        modified_at=row.modified_at,
        weight=package_weight(weight_inputs(row, row.usage_count), now),
        is_active=signals.is_active,
        is_archived=row.archived_at is not None,
        category=row.category,
        stars=row.stars,
        forks=row.forks,
        downloads=row.pypi_downloads,
        score=row.score,
        usage_count=row.usage_count,
        popularity=popularity(signals, now),
        topics=tuple(map(str, row.topics or ())),
        grids=grids,
        participants=tuple(map(str, row.participants)),
        last_commit_at=row.last_commit_at,
        released_at=row.released_at,
    )


def load_grids(session: Session, matches: Sequence[tuple[int, int]]) -> list[Hit]:
    """Return the grids at these places, in their order, with these tiers."""
    if not matches:
        return []
    heaviest = session.scalar(select(func.max(SearchEntry.weight)))
    size = (
        select(func.count())
        .select_from(GridPackage)
        .join(Package, Package.id == GridPackage.package_id)
        .where(GridPackage.grid_id == Grid.id, VISIBLE)
        .correlate(Grid)
    )
    rows = session.execute(
        select(*_GRID, size.scalar_subquery().label("size")).where(
            Grid.id.in_([item_id_from_rank_key(rank_key) for rank_key, _ in matches])
        )
    )
    hits = {
        row.id: Hit(
            item_type="grid",
            id=row.id,
            title=row.title,
            slug=row.slug,
            description=expand_shortcodes(row.description),
            created_at=row.created_at,
            modified_at=row.modified_at,
            weight=grid_weight(heaviest, is_locked=row.is_locked, header=row.header, has_packages=row.size > 0),
            package_count=row.size,
        )
        for row in rows
    }
    return [
        replace(hits[item_id_from_rank_key(rank_key)], tier=tier)
        for rank_key, tier in matches
        if item_id_from_rank_key(rank_key) in hits
    ]


def load_categories(session: Session, ids: Collection[int]) -> tuple[CategoryHit, ...]:
    """Return these categories, in this order; the index knows how many packages each has."""
    if not ids:
        return ()
    rows = session.execute(select(Category.id, Category.title, Category.slug).where(Category.id.in_(ids))).all()
    keywords = {row.id: f"category:{keyword_value(row.slug)}" for row in rows}
    sizes = select(SearchWord.word, SearchWord.uses).where(SearchWord.word.in_(keywords.values()))
    uses = {row.word: row.uses for row in session.execute(sizes)}
    found = {row.id: CategoryHit(row.title, row.slug, uses.get(keywords[row.id], 0)) for row in rows}
    return tuple(found[one] for one in ids if one in found)


def load_people(session: Session, query: ParsedQuery, ids: Sequence[int]) -> tuple[PersonHit, ...]:
    """Return these accounts, and those who took part in packages and whose name begins like the words of a search."""
    names = keyword_value(query.text)
    participation_counts: dict[str, int] = {}
    if len(names) > 1:
        rows = session.execute(
            select(SearchWord.word, SearchWord.uses)
            .where(SearchWord.word >= f"by:{names}", SearchWord.word < f"by:{names}{MAX_CODE_POINT}")
            .order_by(case((SearchWord.word == f"by:{names}", 0), else_=1), SearchWord.uses.desc(), SearchWord.word)
            .limit(MAX_CANDIDATES)
        )
        participation_counts = {row.word.removeprefix("by:"): row.uses for row in rows}
    accounts = select(User.id, User.username).where(User.id.in_(ids), User.is_active)
    usernames = {row.id: row.username for row in session.execute(accounts)} if ids else {}
    found = {
        keyword_value(name): PersonHit(name, name, participation_counts.get(keyword_value(name), 0))
        for one in ids
        if (name := usernames.get(one))
    }
    for name, uses in participation_counts.items():
        if matches_phrases(split_words(name), query):
            found.setdefault(name, PersonHit(name, None, uses))
    return tuple(found.values())[:MAX_PEOPLE]


def matches_phrases(words: Sequence[str], query: ParsedQuery) -> bool:
    """Tell whether words have all phrases of a search, and nothing that it does not want."""

    def has(phrase: tuple[str, ...]) -> bool:
        return any(tuple(words[rank_key : rank_key + len(phrase)]) == phrase for rank_key in range(len(words)))

    return all(map(has, query.phrases)) and not any(map(has, query.excluded))


_usage_count = select(func.count()).where(Usage.package_id == Package.id).correlate(Package).scalar_subquery()

_PACKAGE = (
    Package.id,
    Package.title,
    Package.slug,
    Package.description,
    Package.created_at,
    Package.modified_at,
    Package.participants,
    Package.topics,
    Package.score,
    Package.deprecated_at,
    Package.archived_at,
    Package.pypi_downloads,
    Package.forks,
    Package.stars,
    Package.last_commit_at,
    Package.released_at,
    Category.title.label("category"),
    case((ACTIVE, True), else_=False).label("is_active"),
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
