"""What search needs of a database's own index of text: what fits an expression, in the order of places."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

from sqlalchemy import text
from sqlalchemy.orm import Session

from pkgsite.rules.search.expressions import WORDS, Expression
from pkgsite.rules.search.ranking import DEAD

ROWS = 500  # that are asked for or written together
NEAR_WORDS = 2_000  # words that are looked at, at most, as what a misspelt one may mean


@dataclass(frozen=True, slots=True)
class Document:
    """What the index holds of one thing, as words: each section has fields, over whose ends no phrase reaches."""

    name: tuple[tuple[str, ...], ...]
    text: tuple[tuple[str, ...], ...] = ()
    around: tuple[tuple[str, ...], ...] = ()
    people: tuple[tuple[str, ...], ...] = ()
    filters: tuple[str, ...] = ()  # marks that filters compare
    names: tuple[str, ...] = ()  # marks by which its whole name, or the beginning of it, is found

    def words(self) -> set[str]:
        """Return all that search knows as words, and the marks of filters."""
        return {*self.filters, *(word for section in WORDS for one in getattr(self, section) for word in one)}


@dataclass(frozen=True, slots=True)
class Bound:
    """Numbers of `search_entry` between which a thing's own must lie; not told, it does not.

    Attributes:
        column: "stars" or "touched_at".
        least: The lowest that fits; None for no end.
        most: The highest that fits; None for no end.
        is_living: Whether only the living fit.
        is_minus: Whether what fits is not wanted.
    """

    column: str
    least: int | None = None
    most: int | None = None
    is_living: bool = False
    is_minus: bool = False

    def sql(self) -> str:
        """Return the condition; its parts are whole numbers and names of ours."""
        parts = [f"{self.column} >= {self.least:d}"] if self.least is not None else []
        parts += [f"{self.column} <= {self.most:d}"] if self.most is not None else []
        parts += [f"(place & {DEAD}) = 0"] if self.is_living else []
        return f"{'NOT ' if self.is_minus else ''}coalesce({' AND '.join(parts)}, FALSE)"

    def fits(self, row: Any) -> bool:
        """Tell whether a row of `search_entry` fulfils the condition, as `sql` does."""
        value = getattr(row, self.column)
        is_between = (
            value is not None
            and (self.least is None or value >= self.least)
            and (self.most is None or value <= self.most)
        )
        return (is_between and not (self.is_living and row.place & DEAD)) is not self.is_minus


@dataclass(frozen=True, slots=True)
class Sought:
    """An expression that is looked for, under a number by which the answer names it.

    Attributes:
        number: By which the answer names it.
        expression: What fits.
        bounds: What must hold besides.
        is_within: Whether what fits it also fits the last one that is looked for, and only counts among what that
            finds.
        is_rare: Whether so few things fit that it is best to look at all of them, not at the best known of all things
            until enough fit.
    """

    number: int
    expression: Expression
    bounds: tuple[Bound, ...] = ()
    is_within: bool = False
    is_rare: bool = False


@dataclass(frozen=True, slots=True)
class Span:
    """Places from `first` to before `end`, and of each thing that is sought only so many."""

    first: int
    end: int
    limit: int


class Engine(Protocol):
    """What search needs of a database."""

    def find(self, session: Session, sought: Sequence[Sought], span: Span) -> list[tuple[int, int]]:
        """Return (number, place) of what fits, of each number the lowest places; a place may come under several."""

    def count_each(
        self, session: Session, sought: Sought, marks: Mapping[int, str], bounds: Mapping[int, Bound], span: Span
    ) -> dict[int, int]:
        """Return how many of the things that are sought have each mark and fit each bound, by number, up to the limit.

        All of these things are read, once: there must be few.
        """

    def put(
        self, session: Session, documents: Sequence[tuple[Mapping[str, Any], Document]], *, is_anew: bool = False
    ) -> None:
        """Take in documents, each with its row of `search_entry`; between `clear` and `finish` they are `is_anew`."""

    def remove(self, session: Session, places: Collection[int]) -> None:
        """Forget what is at these places."""

    def words_at(self, session: Session, places: Collection[int]) -> dict[int, set[str]]:
        """Return `Document.words` of what is at these places."""

    def count_words(self, session: Session) -> Iterator[tuple[str, int]]:
        """Return every word and filter's mark of what was put in anew, and in how many things it stands."""

    def similar_words(self, session: Session, word: str, sizes: tuple[int, int]) -> list[tuple[str, int]]:
        """Return words, with their uses, that share pieces of three letters with this one, and are of these lengths."""

    def clear(self, session: Session) -> None:
        """Begin anew, with nothing; who looks from outside finds what was there before."""

    def put_words(self, session: Session, words: Sequence[Mapping[str, Any]]) -> None:
        """Add rows of `search_word` to the list of what was put in anew."""

    def finish(self, session: Session) -> None:
        """Let what was put in anew take the place of what was there before."""


_NAME_SIGNS = ("=", "~", "<", "^", "|")


def is_word(term: str) -> bool:
    """Tell whether a term of the index is a word or a filter's mark, not one by which whole names are found."""
    return not term.startswith(_NAME_SIGNS)


Part: TypeAlias = Callable[[Sought, str, Span], tuple[str, dict[str, str]]]


def found_by(session: Session, sought: Sequence[Sought], span: Span, part: Part) -> list[tuple[int, int]]:
    parts, values = parts_by(sought, span, part)
    each = [f"SELECT {number:d} AS number, place FROM ({query}) AS part{number:d}" for number, query in parts]
    return [(row.number, row.place) for row in session.execute(text(" UNION ALL ".join(each)), values)]


def counted_each(
    session: Session, fitting: str, conditions: Mapping[int, str], values: Mapping[str, Any], span: Span
) -> dict[int, int]:
    columns = [f"count(*) FILTER (WHERE {condition}) AS n{number:d}" for number, condition in conditions.items()]
    query = text(f"SELECT {', '.join(columns)} FROM {fitting}")
    row = session.execute(query, {"first": span.first, "end": span.end, **values}).one()
    return {number: min(getattr(row, f"n{number}"), span.limit) for number in conditions}


def parts_by(sought: Sequence[Sought], span: Span, part: Part) -> tuple[list[tuple[int, str]], dict[str, Any]]:
    parts: list[tuple[int, str]] = []
    values: dict[str, Any] = {"first": span.first, "end": span.end, "limit": span.limit}
    for at, one in enumerate(sought):
        query, own = part(one, f"q{at}", span)
        parts.append((one.number, query))
        values |= own
    return parts, values


def and_bounds(bounds: tuple[Bound, ...]) -> str:
    return "".join(f" AND {bound.sql()}" for bound in bounds)


def groups(items: Collection[Any]) -> Iterator[list[Any]]:
    everything = list(items)
    return (everything[start : start + ROWS] for start in range(0, len(everything), ROWS))
