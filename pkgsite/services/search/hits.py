"""Search hits: packages, grids, categories and people, with the facts that pages and the API show."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal, NamedTuple

from sqlalchemy import case, func, select
from sqlalchemy.orm import Session

from pkgsite.models import Category, Grid, GridPackage, Package, SearchEntry, SearchWord, Usage, User
from pkgsite.rules.search.query import ParsedQuery
from pkgsite.rules.search.ranking import Kind, item_id_from_rank_key, kind_from_rank_key, popularity
from pkgsite.rules.search.tokenizer import keyword_value, split_words
from pkgsite.rules.shortcodes import expand_shortcodes
from pkgsite.rules.weights import grid_weight, package_weight
from pkgsite.services.packages.records import ACTIVE, VISIBLE
from pkgsite.services.search.analysis import starts_with
from pkgsite.services.search.documents import rank_of, weight_inputs

MAX_PEOPLE = 6
MAX_CANDIDATES = 50  # contributors that are read from the index, before exclusions are applied


class Match(NamedTuple):
    """An item that matches a search, before its facts are loaded."""

    rank_key: int
    tier: int  # the quality of the match, see `Tier`; 0 if the query has no words

    @property
    def kind(self) -> Kind:
        return kind_from_rank_key(self.rank_key)

    @property
    def item_id(self) -> int:
        return item_id_from_rank_key(self.rank_key)


@dataclass(frozen=True, slots=True)
class Hit:
    """A package or grid in the results. Facts that only packages have are empty for a grid."""

    item_type: Literal["package", "grid"]
    id: int
    title: str
    slug: str
    description: str  # with emoji shortcodes expanded
    created_at: datetime
    modified_at: datetime
    weight: int  # 0 to 100
    tier: int = 0
    is_active: bool = True
    is_archived: bool = False
    category: str = ""  # title
    stars: int | None = None
    forks: int | None = None
    downloads: int | None = None
    score: int | None = None
    usage_count: int = 0
    popularity: int = 0  # 0 to 1,023, see rules.search.ranking
    topics: tuple[str, ...] = ()
    grids: tuple[str, ...] = ()  # titles
    participants: tuple[str, ...] = ()
    last_commit_at: datetime | None = None
    released_at: datetime | None = None
    package_count: int = 0  # in a grid


@dataclass(frozen=True, slots=True)
class CategoryHit:
    title: str
    slug: str
    package_count: int


@dataclass(frozen=True, slots=True)
class PersonHit:
    """A person: a user of this site, a contributor to packages, or both."""

    name: str
    username: str | None  # None if they have no account
    package_count: int  # packages that they contributed to


def load_packages(session: Session, matches: Sequence[Match], *, now: datetime) -> list[Hit]:
    """Return the matching packages, in the order of the matches."""
    if not matches:
        return []
    ids = [match.item_id for match in matches]
    grids: dict[int, list[str]] = {}
    for row in session.execute(
        select(GridPackage.package_id, Grid.title)
        .join(Grid)
        .where(GridPackage.package_id.in_(ids))
        .order_by(GridPackage.position, GridPackage.id)
    ):
        grids.setdefault(row.package_id, []).append(row.title)
    rows = session.execute(select(*_PACKAGE_COLUMNS).join(Category).where(Package.id.in_(ids), VISIBLE))
    hits = {row.id: _package_hit(row, tuple(grids.get(row.id, ())), now) for row in rows}
    return [replace(hits[match.item_id], tier=match.tier) for match in matches if match.item_id in hits]


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
        is_archived=row.is_archived,
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


def load_grids(session: Session, matches: Sequence[Match]) -> list[Hit]:
    """Return the matching grids, in the order of the matches."""
    if not matches:
        return []
    max_weight = session.scalar(select(func.max(SearchEntry.weight)))
    size = (
        select(func.count())
        .select_from(GridPackage)
        .join(Package, Package.id == GridPackage.package_id)
        .where(GridPackage.grid_id == Grid.id, VISIBLE)
        .correlate(Grid)
    )
    rows = session.execute(
        select(*_GRID_COLUMNS, size.scalar_subquery().label("size")).where(
            Grid.id.in_([match.item_id for match in matches])
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
            weight=grid_weight(max_weight, is_locked=row.is_locked, header=row.header, has_packages=row.size > 0),
            package_count=row.size,
        )
        for row in rows
    }
    return [replace(hits[match.item_id], tier=match.tier) for match in matches if match.item_id in hits]


def load_categories(session: Session, ids: Collection[int]) -> tuple[CategoryHit, ...]:
    """Return these categories, in the order of the ids, with their package counts from the index."""
    if not ids:
        return ()
    rows = session.execute(select(Category.id, Category.title, Category.slug).where(Category.id.in_(ids))).all()
    keywords = {row.id: f"category:{keyword_value(row.slug)}" for row in rows}
    words = select(SearchWord.word, SearchWord.uses).where(SearchWord.word.in_(keywords.values()))
    counts = {row.word: row.uses for row in session.execute(words)}
    hits = {row.id: CategoryHit(row.title, row.slug, counts.get(keywords[row.id], 0)) for row in rows}
    return tuple(hits[category_id] for category_id in ids if category_id in hits)


def load_people(session: Session, query: ParsedQuery, ids: Sequence[int]) -> tuple[PersonHit, ...]:
    """Return the users with these ids, and the contributors whose name starts with the query."""
    name_prefix = keyword_value(query.text)
    package_counts: dict[str, int] = {}
    if len(name_prefix) > 1:
        keyword = f"by:{name_prefix}"
        rows = session.execute(
            select(SearchWord.word, SearchWord.uses)
            .where(starts_with(SearchWord.word, keyword))
            .order_by(case((SearchWord.word == keyword, 0), else_=1), SearchWord.uses.desc(), SearchWord.word)
            .limit(MAX_CANDIDATES)
        )
        package_counts = {row.word.removeprefix("by:"): row.uses for row in rows}
    users = select(User.id, User.username).where(User.id.in_(ids), User.is_active)
    usernames = {row.id: row.username for row in session.execute(users)} if ids else {}
    hits = {
        keyword_value(name): PersonHit(name, name, package_counts.get(keyword_value(name), 0))
        for user_id in ids
        if (name := usernames.get(user_id))
    }
    for name, count in package_counts.items():
        if matches_phrases(split_words(name), query):
            hits.setdefault(name, PersonHit(name, None, count))
    return tuple(hits.values())[:MAX_PEOPLE]


def matches_phrases(words: Sequence[str], query: ParsedQuery) -> bool:
    """Return whether words contain all phrases of a query and nothing that it excludes."""

    def contains(phrase: tuple[str, ...]) -> bool:
        return any(tuple(words[start : start + len(phrase)]) == phrase for start in range(len(words)))

    return all(map(contains, query.phrases)) and not any(map(contains, query.excluded))


_usage_count = select(func.count()).where(Usage.package_id == Package.id).correlate(Package).scalar_subquery()

_PACKAGE_COLUMNS = (
    Package.id,
    Package.title,
    Package.slug,
    Package.description,
    Package.created_at,
    Package.modified_at,
    Package.participants,
    Package.topics,
    Package.score,
    Package.deprecated_at.is_not(None).label("is_deprecated"),
    Package.archived_at.is_not(None).label("is_archived"),
    Package.pypi_downloads,
    Package.forks,
    Package.stars,
    Package.last_commit_at,
    Package.released_at,
    Category.title.label("category"),
    case((ACTIVE, True), else_=False).label("is_active"),
    _usage_count.label("usage_count"),
)
_GRID_COLUMNS = (
    Grid.id,
    Grid.title,
    Grid.slug,
    Grid.description,
    Grid.is_locked,
    Grid.header,
    Grid.created_at,
    Grid.modified_at,
)
