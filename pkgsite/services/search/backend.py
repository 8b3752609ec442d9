"""What search needs of a database's own index of text: what fits an expression, in the order of places."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

from sqlalchemy import text
from sqlalchemy.orm import Session

from pkgsite.rules.search.expressions import TEXT_SECTIONS, Expression
from pkgsite.rules.search.ranking import INACTIVE

BATCH_SIZE = 500  # that are asked for or written together
MAX_SIMILAR_WORDS = 2_000  # words that are looked at, at most, as what a misspelt one may mean


@dataclass(frozen=True, slots=True)
class Document:
    """What the index holds of one thing, as words: each section has fields, over whose ends no phrase reaches."""

    name: tuple[tuple[str, ...], ...]
    text: tuple[tuple[str, ...], ...] = ()
    around: tuple[tuple[str, ...], ...] = ()
    people: tuple[tuple[str, ...], ...] = ()
    filter_keywords: tuple[str, ...] = ()  # marks that filters compare
    name_keywords: tuple[str, ...] = ()  # marks by which its whole name, or the beginning of it, is found

    def words(self) -> set[str]:
        """Return all that search knows as words, and the marks of filters."""
        return {
            *self.filter_keywords,
            *(word for section in TEXT_SECTIONS for one in getattr(self, section) for word in one),
        }


@dataclass(frozen=True, slots=True)
class RangeFilter:
    """Numbers of `search_entry` between which a thing's own must lie; not told, it does not.

    Attributes:
        column: "stars" or "touched_at".
        minimum: The lowest that fits; None for no end.
        maximum: The highest that fits; None for no end.
        active_only: Whether only the living fit.
        is_negated: Whether what fits is not wanted.
    """

    column: str
    minimum: int | None = None
    maximum: int | None = None
    active_only: bool = False
    is_negated: bool = False

    def sql(self) -> str:
        """Return the condition; its parts are whole numbers and names of ours."""
        parts = [f"{self.column} >= {self.minimum:d}"] if self.minimum is not None else []
        parts += [f"{self.column} <= {self.maximum:d}"] if self.maximum is not None else []
        parts += [f"(place & {INACTIVE}) = 0"] if self.active_only else []
        return f"{'NOT ' if self.is_negated else ''}coalesce({' AND '.join(parts)}, FALSE)"

    def matches(self, row: Any) -> bool:
        """Tell whether a row of `search_entry` fulfils the condition, as `sql` does."""
        value = getattr(row, self.column)
        is_between = (
            value is not None
            and (self.minimum is None or value >= self.minimum)
            and (self.maximum is None or value <= self.maximum)
        )
        return (is_between and not (self.active_only and row.place & INACTIVE)) is not self.is_negated


@dataclass(frozen=True, slots=True)
class SubQuery:
    """An expression that is looked for, under a number by which the answer names it.

    Attributes:
        key: By which the answer names it.
        expression: What fits.
        ranges: What must hold besides.
        is_subset: Whether what fits it also fits the last one that is looked for, and only counts among what that
            finds.
        is_rare: Whether so few things fit that it is best to look at all of them, not at the best known of all things
            until enough fit.
    """

    key: int
    expression: Expression
    ranges: tuple[RangeFilter, ...] = ()
    is_subset: bool = False
    is_rare: bool = False


@dataclass(frozen=True, slots=True)
class RankKeyRange:
    """Places from `first` to before `end`, and of each thing that is sought only so many."""

    first: int
    end: int
    limit: int


class SearchBackend(Protocol):
    """What search needs of a database."""

    def search(
        self, session: Session, subqueries: Sequence[SubQuery], key_range: RankKeyRange
    ) -> list[tuple[int, int]]:
        """Return (number, place) of what fits, of each number the lowest places; a place may come under several."""

    def count_by_filter(
        self,
        session: Session,
        subqueries: SubQuery,
        keywords: Mapping[int, str],
        ranges: Mapping[int, RangeFilter],
        key_range: RankKeyRange,
    ) -> dict[int, int]:
        """Return how many of the things that are sought have each mark and fit each bound, by number, up to the limit.

        All of these things are read, once: there must be few.
        """

    def add_documents(
        self, session: Session, documents: Sequence[tuple[Mapping[str, Any], Document]], *, is_rebuild: bool = False
    ) -> None:
        """Take in documents, each with its row of `search_entry`; between `begin_rebuild` and `finish_rebuild` they are `is_rebuild`."""

    def remove(self, session: Session, rank_keys: Collection[int]) -> None:
        """Forget what is at these places."""

    def words_of(self, session: Session, rank_keys: Collection[int]) -> dict[int, set[str]]:
        """Return `Document.words` of what is at these places."""

    def count_words(self, session: Session) -> Iterator[tuple[str, int]]:
        """Return every word and filter's mark of what was put in anew, and in how many things it stands."""

    def similar_words(self, session: Session, word: str, sizes: tuple[int, int]) -> list[tuple[str, int]]:
        """Return words, with their uses, that share pieces of three letters with this one, and are of these lengths."""

    def begin_rebuild(self, session: Session) -> None:
        """Begin anew, with nothing; who looks from outside finds what was there before."""

    def add_words(self, session: Session, words: Sequence[Mapping[str, Any]]) -> None:
        """Add rows of `search_word` to the list of what was put in anew."""

    def finish_rebuild(self, session: Session) -> None:
        """Let what was put in anew take the place of what was there before."""


_NAME_KEYWORD_SIGNS = ("=", "~", "<", "^", "|")


def is_word(term: str) -> bool:
    """Tell whether a term of the index is a word or a filter's mark, not one by which whole names are found."""
    return not term.startswith(_NAME_KEYWORD_SIGNS)


SubQueryRenderer: TypeAlias = Callable[[SubQuery, str, RankKeyRange], tuple[str, dict[str, str]]]


def run_subqueries(
    session: Session, subqueries: Sequence[SubQuery], key_range: RankKeyRange, part: SubQueryRenderer
) -> list[tuple[int, int]]:
    parts, values = render_subqueries(subqueries, key_range, part)
    selects = [f"SELECT {number:d} AS number, place FROM ({query}) AS part{number:d}" for number, query in parts]
    return [(row.number, row.place) for row in session.execute(text(" UNION ALL ".join(selects)), values)]


def run_counts(
    session: Session, fitting: str, conditions: Mapping[int, str], values: Mapping[str, Any], key_range: RankKeyRange
) -> dict[int, int]:
    columns = [f"count(*) FILTER (WHERE {condition}) AS n{number:d}" for number, condition in conditions.items()]
    query = text(f"SELECT {', '.join(columns)} FROM {fitting}")
    row = session.execute(query, {"first": key_range.first, "end": key_range.end, **values}).one()
    return {number: min(getattr(row, f"n{number}"), key_range.limit) for number in conditions}


def render_subqueries(
    subqueries: Sequence[SubQuery], key_range: RankKeyRange, part: SubQueryRenderer
) -> tuple[list[tuple[int, str]], dict[str, Any]]:
    parts: list[tuple[int, str]] = []
    values: dict[str, Any] = {"first": key_range.first, "end": key_range.end, "limit": key_range.limit}
    for at, one in enumerate(subqueries):
        query, subquery_values = part(one, f"q{at}", key_range)
        parts.append((one.key, query))
        values |= subquery_values
    return parts, values


def range_conditions(ranges: tuple[RangeFilter, ...]) -> str:
    return "".join(f" AND {bound.sql()}" for bound in ranges)


def in_batches(items: Collection[Any]) -> Iterator[list[Any]]:
    everything = list(items)
    return (everything[start : start + BATCH_SIZE] for start in range(0, len(everything), BATCH_SIZE))
