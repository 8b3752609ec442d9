"""The interface of search backends, one for each database's full-text index, and helpers that they share."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

from sqlalchemy import text
from sqlalchemy.orm import Session

from pkgsite.rules.search.expressions import Expression
from pkgsite.rules.search.ranking import INACTIVE
from pkgsite.services.search.documents import Document

BATCH_SIZE = 500  # rows per statement
MAX_SIMILAR_WORDS = 2_000  # candidates for the correction of a misspelt word


@dataclass(frozen=True, slots=True)
class RangeFilter:
    """A condition on a number in `search_entry`. An unknown number never meets it, unless it is negated.

    Attributes:
        column: "stars" or "touched_at".
        minimum: Lowest matching value; None for no limit.
        maximum: Highest matching value; None for no limit.
        active_only: Whether only active packages match.
        is_negated: Whether the condition is inverted.
    """

    column: str
    minimum: int | None = None
    maximum: int | None = None
    active_only: bool = False
    is_negated: bool = False

    def sql(self) -> str:
        """Return the condition as SQL. Nothing needs escaping: it consists of integers and fixed column names."""
        parts = [f"{self.column} >= {self.minimum:d}"] if self.minimum is not None else []
        parts += [f"{self.column} <= {self.maximum:d}"] if self.maximum is not None else []
        parts += [f"(place & {INACTIVE}) = 0"] if self.active_only else []
        return f"{'NOT ' if self.is_negated else ''}coalesce({' AND '.join(parts)}, FALSE)"

    def matches(self, row: Any) -> bool:
        """Return whether a row of `search_entry` meets the condition; the result is that of `sql`."""
        value = getattr(row, self.column)
        is_in_range = (
            value is not None
            and (self.minimum is None or value >= self.minimum)
            and (self.maximum is None or value <= self.maximum)
        )
        return (is_in_range and not (self.active_only and row.place & INACTIVE)) is not self.is_negated


@dataclass(frozen=True, slots=True)
class SubQuery:
    """One of the expressions of a search, usually that of a tier.

    Attributes:
        key: Number that identifies the subquery in the results.
        expression: Expression that items must match.
        ranges: Ranges that items must be in as well.
        is_subset: Whether its matches also match the last subquery of the search. Only items among the first matches
            of that one are then returned.
        is_rare: Whether so few items match that reading all matches is faster than reading all items in ranking order
            until enough of them match.
    """

    key: int
    expression: Expression
    ranges: tuple[RangeFilter, ...] = ()
    is_subset: bool = False
    is_rare: bool = False


@dataclass(frozen=True, slots=True)
class RankKeyRange:
    """Rank keys from `first` up to but excluding `end`, and the maximum number of matches of each subquery."""

    first: int
    end: int
    limit: int


class SearchBackend(Protocol):
    """A database's full-text index."""

    def search(
        self, session: Session, subqueries: Sequence[SubQuery], key_range: RankKeyRange
    ) -> list[tuple[int, int]]:
        """Return (subquery's key, rank key) of the first matches of each subquery; an item may match several."""

    def count_by_filter(
        self,
        session: Session,
        subquery: SubQuery,
        keywords: Mapping[int, str],
        ranges: Mapping[int, RangeFilter],
        key_range: RankKeyRange,
    ) -> dict[int, int]:
        """Return how many matches of a subquery have each keyword or are in each range, up to the limit.

        Keywords and ranges share their numbering, by which the counts are returned. All matches are read once, so there
        must be few of them.
        """

    def add_documents(
        self, session: Session, documents: Sequence[tuple[Mapping[str, Any], Document]], *, is_rebuild: bool = False
    ) -> None:
        """Add a batch of documents to the index, each with its row of `search_entry`.

        `is_rebuild` adds them to the new index.
        """

    def remove(self, session: Session, rank_keys: Collection[int]) -> None:
        """Remove the documents with these rank keys."""

    def words_of(self, session: Session, rank_keys: Collection[int]) -> dict[int, set[str]]:
        """Return `Document.words` of the documents with these rank keys."""

    def count_words(self, session: Session) -> Iterator[tuple[str, int]]:
        """Return each word and filter keyword of the new index, and the number of documents that contain it."""

    def similar_words(self, session: Session, word: str, sizes: tuple[int, int]) -> list[tuple[str, int]]:
        """Return words that share trigrams with this one, each with the number of items that contain it.

        Args:
            session: Session of the database.
            word: A word that the index doesn't contain.
            sizes: Minimum and maximum length of the returned words, in characters.
        """

    def begin_rebuild(self, session: Session) -> None:
        """Start an empty new index. Until the transaction ends, other transactions see the old one."""

    def add_words(self, session: Session, words: Sequence[Mapping[str, Any]]) -> None:
        """Add rows to the `search_word` table of the new index."""

    def finish_rebuild(self, session: Session) -> None:
        """Replace the old index with the new one."""


_NAME_KEYWORD_SIGNS = ("=", "~", "<", "^", "|")


def is_word(token: str) -> bool:
    """Return whether a token of the index is a word or a filter keyword, not a name keyword."""
    return not token.startswith(_NAME_KEYWORD_SIGNS)


SubQueryRenderer: TypeAlias = Callable[[SubQuery, str, RankKeyRange], tuple[str, dict[str, str]]]


def run_subqueries(
    session: Session, subqueries: Sequence[SubQuery], key_range: RankKeyRange, render: SubQueryRenderer
) -> list[tuple[int, int]]:
    parts, values = render_subqueries(subqueries, key_range, render)
    selects = [select_matches(key, query) for key, query in parts]
    return [(row.key, row.place) for row in session.execute(text(" UNION ALL ".join(selects)), values)]


def select_matches(key: int, query: str) -> str:
    return f"SELECT {key:d} AS key, place FROM ({query}) AS part{key:d}"


def run_counts(
    session: Session,
    matching_rows: str,
    conditions: Mapping[int, str],
    values: Mapping[str, Any],
    key_range: RankKeyRange,
) -> dict[int, int]:
    columns = [f"count(*) FILTER (WHERE {condition}) AS n{number:d}" for number, condition in conditions.items()]
    query = text(f"SELECT {', '.join(columns)} FROM {matching_rows}")
    row = session.execute(query, {"first": key_range.first, "end": key_range.end, **values}).one()
    return {number: min(getattr(row, f"n{number}"), key_range.limit) for number in conditions}


def render_subqueries(
    subqueries: Sequence[SubQuery], key_range: RankKeyRange, render: SubQueryRenderer
) -> tuple[list[tuple[int, str]], dict[str, Any]]:
    """Return the key and SQL of each subquery, and the parameters of all of them."""
    parts: list[tuple[int, str]] = []
    values: dict[str, Any] = {"first": key_range.first, "end": key_range.end, "limit": key_range.limit}
    for index, subquery in enumerate(subqueries):
        query, subquery_values = render(subquery, f"q{index}", key_range)
        parts.append((subquery.key, query))
        values |= subquery_values
    return parts, values


def range_conditions(ranges: tuple[RangeFilter, ...]) -> str:
    """Return the SQL of these ranges, to be appended to other conditions."""
    return "".join(f" AND {range_filter.sql()}" for range_filter in ranges)
