"""In which order results come, and why: the whole formula.

First counts how a thing fits the words: the tier, best first. Within a tier living packages come before dead ones, and
the better known and better kept before the others. So popularity decides between equals, and buries no exact match.

What decides within a tier does not depend on the words: it is worked out when a thing is indexed, as one number, its
place. The index is kept in the order of places, which makes the first thousand matches of any words the best known.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import IntEnum

from pkgsite.rules.search.expressions import WORDS, Expression, Phrase, Section, Term, all_of, any_of, mark
from pkgsite.rules.search.tokenizer import SHORTEST_BEGINNING, bare_key


class Kind(IntEnum):
    """What can be found."""

    PACKAGE = 0
    GRID = 1
    CATEGORY = 2
    PERSON = 3


class Tier(IntEnum):
    """How a thing fits what was typed, best first."""

    NAME = 1
    BARE_NAME = 2
    NAME_BEGINS = 3
    WORDS_IN_NAME = 4
    NEAR_NAME = 5
    NAME_WORD_BEGINS = 6
    NAME_AND_TEXT = 7
    TEXT = 8
    ANYWHERE = 9
    SOME_WORDS = 10


REASONS = {
    Tier.NAME: "Exact name match.",
    Tier.BARE_NAME: "Exact name match, ignoring the prefix {prefix}.",
    Tier.NAME_BEGINS: "The name starts with your search.",
    Tier.WORDS_IN_NAME: "All words are in the name.",
    Tier.NEAR_NAME: "Close name match (one typo).",
    Tier.NAME_WORD_BEGINS: "All words are in the name; the last one matches the beginning of a word.",
    Tier.NAME_AND_TEXT: "Some words are in the name, the rest in the description or topics.",
    Tier.TEXT: "All words are in the description or topics.",
    Tier.ANYWHERE: "All words match, some of them in grid, category or contributor names.",
    Tier.SOME_WORDS: "Matches some of the words; no result has them all.",
}
NARROW = {Tier.WORDS_IN_NAME, Tier.NAME_AND_TEXT, Tier.TEXT}  # what fits one of these fits ANYWHERE too
WITHIN = {Tier.NAME_AND_TEXT, Tier.TEXT}  # of these only what is among the best known of ANYWHERE
NO_WORDS = "Matches the filters."

MOST_POPULAR = 1023
RECENT = timedelta(days=365)
_ITEM_BITS, _POPULARITY_BITS = 35, 10
DEAD = 1 << (_ITEM_BITS + _POPULARITY_BITS)  # a bit of the places of dead packages
_KIND_SHIFT = _ITEM_BITS + _POPULARITY_BITS + 1

SHORT_BEGINNINGS = (2, 3, 4)  # letters: beginnings of names so short that they are words of the index themselves


@dataclass(frozen=True, slots=True)
class Standing:
    """What decides between things that fit the words alike; None in a fact means "not told" and earns nothing."""

    is_living: bool
    stars: int | None = None
    downloads: int | None = None  # of the last month
    usage_count: int = 0
    touched_at: datetime | None = None  # the last commit or release


def popularity(standing: Standing, now: datetime) -> int:
    """Return how well known and well kept a package is, from 0 to 1,023.

    Orders of magnitude count: ten times the stars are 130 points, ten times the downloads 40, ten times the people who
    say that they use it 40. A commit or release within a year is 60 points.
    """
    points = (
        130 * math.log10(1 + max(0, standing.stars or 0))
        + 40 * math.log10(1 + max(0, standing.downloads or 0))
        + 40 * math.log10(1 + standing.usage_count)
        + (60 if standing.touched_at is not None and now - standing.touched_at < RECENT else 0)
    )
    return min(MOST_POPULAR, round(points))


def place(kind: Kind, item_id: int, standing: Standing, now: datetime) -> int:
    """Return where a thing stands among those that fit the same words alike: a number of its own, lowest first."""
    dead = 0 if standing.is_living else DEAD
    return first_place(kind) + dead + ((MOST_POPULAR - popularity(standing, now)) << _ITEM_BITS) + item_id


def first_place(kind: int) -> int:
    """Return a number below which no thing of this kind has its place, and above all of the kinds before it."""
    return kind << _KIND_SHIFT


def kind_of(at: int) -> Kind:
    """Return the kind of the thing at a place."""
    return Kind(at >> _KIND_SHIFT)


def item_of(at: int) -> int:
    """Return the id of the thing at a place, among its kind."""
    return at & ((1 << _ITEM_BITS) - 1)


@dataclass(frozen=True, slots=True)
class Wanted:
    """One way to read the words.

    Attributes:
        words: For each of them what may stand in its place; a tuple of words stands for words that follow each other.
        keys: How all of them are typed as one name.
        near: Names that are typed like that but for one slip.
        beginning: The last word, where it may be only begun.
        begun: The most used words that begin like it; of a short beginning all that do are found without them.
        is_begun: Whether it is only begun: no word is known that is written like this.
    """

    words: tuple[tuple[str | tuple[str, ...], ...], ...]
    keys: tuple[str, ...]
    near: tuple[str, ...] = ()
    beginning: str = ""
    begun: tuple[str, ...] = ()
    is_begun: bool = False


def tiers(readings: Sequence[Wanted], prefixes: tuple[str, ...]) -> list[tuple[Tier, Expression]]:
    """Return what fits each tier, for any of the ways to read the words."""
    found: list[tuple[Tier, Expression]] = []

    def add(tier: Tier, parts: list[Expression]) -> None:
        if parts:
            found.append((tier, any_of(parts)))

    keys = list(dict.fromkeys(key for reading in readings for key in reading.keys if key))
    bare = list(dict.fromkeys(bare_key(key, prefixes) for key in keys))
    begun = [key for key in keys if len(key) >= SHORTEST_BEGINNING]
    add(Tier.NAME, [mark(f"={key}") for key in keys])
    add(Tier.BARE_NAME, [mark(f"~{key}") for key in bare])
    add(Tier.NAME_BEGINS, [_name_begins(key) for key in begun])
    whole = [reading for reading in readings if not reading.is_begun]  # of others NAME_WORD_BEGINS finds the names
    add(Tier.WORDS_IN_NAME, [_all_in(reading, (Section.NAME,)) for reading in whole])
    add(Tier.NEAR_NAME, [mark(f"={key}") for reading in readings for key in reading.near])
    add(Tier.NAME_WORD_BEGINS, [_last_begun(one) for one in readings if one.begun or is_short(one.beginning)])
    both = (Section.NAME, Section.TEXT)
    several = [reading for reading in readings if len(reading.words) > 1]
    add(Tier.NAME_AND_TEXT, [all_of([_all_in(one, both), _some_in(one, (Section.NAME,))]) for one in several])
    add(Tier.TEXT, [_all_in(reading, both) for reading in readings])
    add(Tier.ANYWHERE, [_all_in(reading) for reading in readings])
    return found


def some_words(readings: Sequence[Wanted]) -> Expression:
    """Return what has one of the words at least."""
    return any_of([_some_in(reading) for reading in readings])


def name_marks(keys: Sequence[str], words: Sequence[str], prefixes: tuple[str, ...]) -> list[str]:
    """Return the words of the index's own by which a thing is found by its whole name, or by the beginning of it."""
    bare = dict.fromkeys(bare_key(key, prefixes) for key in keys)
    starts = dict.fromkeys([*keys, *bare])
    return [
        *[f"={key}" for key in dict.fromkeys(keys)],
        *[f"~{key}" for key in bare],
        *_beginnings("<", starts),
        *_beginnings("^", words),
    ]


def _beginnings(sign: str, words: Sequence[str] | dict[str, None]) -> list[str]:
    return list(dict.fromkeys(sign + word[:size] for word in words for size in SHORT_BEGINNINGS if len(word) >= size))


def _name_begins(key: str) -> Expression:
    if is_short(key):
        return mark(f"<{key}")
    return any_of([mark(f"={key}", begins=True), mark(f"~{key}", begins=True)])


def is_short(beginning: str) -> bool:
    """Tell whether a beginning of words in names is a word of the index itself."""
    return len(beginning) in SHORT_BEGINNINGS


def _last_begun(reading: Wanted) -> Expression:
    beginning = reading.beginning
    last = mark(f"^{beginning}") if is_short(beginning) else _one(reading.begun, (Section.NAME,))
    return all_of([*[_one(each, (Section.NAME,)) for each in reading.words[:-1]], last])


def _all_in(reading: Wanted, sections: tuple[Section, ...] = WORDS) -> Expression:
    return all_of(_one(each, sections) for each in reading.words)


def _some_in(reading: Wanted, sections: tuple[Section, ...] = WORDS) -> Expression:
    return any_of(_one(each, sections) for each in reading.words)


def _one(choices: tuple[str | tuple[str, ...], ...], sections: tuple[Section, ...]) -> Expression:
    """Return what has one of these words, or of these rows of words."""
    return any_of(Phrase(each, sections) if isinstance(each, tuple) else Term(each, sections) for each in choices)
