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

from pkgsite.rules.search.expressions import (
    TEXT_SECTIONS,
    Expression,
    Phrase,
    Section,
    Term,
    conjunction,
    disjunction,
    keyword,
)
from pkgsite.rules.search.tokenizer import MIN_PREFIX_LENGTH, strip_prefix


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
    NAME_PREFIX = 3
    ALL_IN_NAME = 4
    SIMILAR_NAME = 5
    NAME_WORD_PREFIX = 6
    NAME_AND_TEXT = 7
    TEXT = 8
    ANYWHERE = 9
    SOME_WORDS = 10


TIER_EXPLANATIONS = {
    Tier.NAME: "Exact name match.",
    Tier.BARE_NAME: "Exact name match, ignoring the prefix {prefix}.",
    Tier.NAME_PREFIX: "The name starts with your search.",
    Tier.ALL_IN_NAME: "All words are in the name.",
    Tier.SIMILAR_NAME: "Close name match (one typo).",
    Tier.NAME_WORD_PREFIX: "All words are in the name; the last one matches the beginning of a word.",
    Tier.NAME_AND_TEXT: "Some words are in the name, the rest in the description or topics.",
    Tier.TEXT: "All words are in the description or topics.",
    Tier.ANYWHERE: "All words match, some of them in grid, category or contributor names.",
    Tier.SOME_WORDS: "Matches some of the words; no result has them all.",
}
SUBSET_TIERS = {Tier.ALL_IN_NAME, Tier.NAME_AND_TEXT, Tier.TEXT}  # what fits one of these fits ANYWHERE too
BROAD_MATCH_TIERS = {Tier.NAME_AND_TEXT, Tier.TEXT}  # of these only what is among the best known of ANYWHERE
FILTERS_ONLY_EXPLANATION = "Matches the filters."

MAX_POPULARITY = 1023
RECENT_PERIOD = timedelta(days=365)
_ITEM_BITS, _POPULARITY_BITS = 35, 10
INACTIVE = 1 << (_ITEM_BITS + _POPULARITY_BITS)  # a bit of the places of dead packages
_KIND_SHIFT = _ITEM_BITS + _POPULARITY_BITS + 1

INDEXED_PREFIX_LENGTHS = (2, 3, 4)  # letters: beginnings of names so short that they are words of the index themselves


@dataclass(frozen=True, slots=True)
class RankSignals:
    """What decides between things that fit the words alike; None in a fact means "not told" and earns nothing."""

    is_active: bool
    stars: int | None = None
    downloads: int | None = None  # of the last month
    usage_count: int = 0
    last_activity_at: datetime | None = None  # the last commit or release


def popularity(signals: RankSignals, now: datetime) -> int:
    """Return how well known and well kept a package is, from 0 to 1,023.

    Orders of magnitude count: ten times the stars are 130 points, ten times the downloads 40, ten times the people who
    say that they use it 40. A commit or release within a year is 60 points.
    """
    points = (
        130 * math.log10(1 + max(0, signals.stars or 0))
        + 40 * math.log10(1 + max(0, signals.downloads or 0))
        + 40 * math.log10(1 + signals.usage_count)
        + (60 if signals.last_activity_at is not None and now - signals.last_activity_at < RECENT_PERIOD else 0)
    )
    return min(MAX_POPULARITY, round(points))


def rank_key(kind: Kind, item_id: int, signals: RankSignals, now: datetime) -> int:
    """Return where a thing stands among those that fit the same words alike: a number of its own, lowest first."""
    inactive_bit = 0 if signals.is_active else INACTIVE
    return first_rank_key(kind) + inactive_bit + ((MAX_POPULARITY - popularity(signals, now)) << _ITEM_BITS) + item_id


def first_rank_key(kind: int) -> int:
    """Return a number below which no thing of this kind has its place, and above all of the kinds before it."""
    return kind << _KIND_SHIFT


def kind_from_rank_key(key: int) -> Kind:
    """Return the kind of the thing at a place."""
    return Kind(key >> _KIND_SHIFT)


def item_id_from_rank_key(at: int) -> int:
    """Return the id of the thing at a place, among its kind."""
    return at & ((1 << _ITEM_BITS) - 1)


@dataclass(frozen=True, slots=True)
class Interpretation:
    """One way to read the words.

    Attributes:
        words: For each of them what may stand in its place; a tuple of words stands for words that follow each other.
        name_keys: How all of them are typed as one name.
        similar_names: Names that are typed like that but for one slip.
        last_prefix: The last word, where it may be only begun.
        begun: The most used words that begin like it; of a short beginning all that do are found without them.
        is_incomplete: Whether it is only begun: no word is known that is written like this.
    """

    words: tuple[tuple[str | tuple[str, ...], ...], ...]
    name_keys: tuple[str, ...]
    similar_names: tuple[str, ...] = ()
    last_prefix: str = ""
    completions: tuple[str, ...] = ()
    is_incomplete: bool = False


def tier_expressions(
    interpretations: Sequence[Interpretation], prefixes: tuple[str, ...]
) -> list[tuple[Tier, Expression]]:
    """Return what fits each tier, for any of the ways to read the words."""
    found: list[tuple[Tier, Expression]] = []

    def add(tier: Tier, parts: list[Expression]) -> None:
        if parts:
            found.append((tier, disjunction(parts)))

    keys = list(dict.fromkeys(key for reading in interpretations for key in reading.name_keys if key))
    bare_keys = list(dict.fromkeys(strip_prefix(key, prefixes) for key in keys))
    prefix_keys = [key for key in keys if len(key) >= MIN_PREFIX_LENGTH]
    add(Tier.NAME, [keyword(f"={key}") for key in keys])
    add(Tier.BARE_NAME, [keyword(f"~{key}") for key in bare_keys])
    add(Tier.NAME_PREFIX, [_name_prefix(key) for key in prefix_keys])
    complete = [
        reading for reading in interpretations if not reading.is_incomplete
    ]  # of others NAME_WORD_BEGINS finds the names
    add(Tier.ALL_IN_NAME, [_all_words(reading, (Section.NAME,)) for reading in complete])
    add(Tier.SIMILAR_NAME, [keyword(f"={key}") for reading in interpretations for key in reading.similar_names])
    add(
        Tier.NAME_WORD_PREFIX,
        [_last_word_completed(one) for one in interpretations if one.completions or is_indexed_prefix(one.last_prefix)],
    )
    name_and_text = (Section.NAME, Section.TEXT)
    multi_word = [reading for reading in interpretations if len(reading.words) > 1]
    add(
        Tier.NAME_AND_TEXT,
        [conjunction([_all_words(one, name_and_text), _any_word(one, (Section.NAME,))]) for one in multi_word],
    )
    add(Tier.TEXT, [_all_words(reading, name_and_text) for reading in interpretations])
    add(Tier.ANYWHERE, [_all_words(reading) for reading in interpretations])
    return found


def any_word(interpretations: Sequence[Interpretation]) -> Expression:
    """Return what has one of the words at least."""
    return disjunction([_any_word(reading) for reading in interpretations])


def name_keywords(keys: Sequence[str], words: Sequence[str], prefixes: tuple[str, ...]) -> list[str]:
    """Return the words of the index's own by which a thing is found by its whole name, or by the beginning of it."""
    bare_keys = dict.fromkeys(strip_prefix(key, prefixes) for key in keys)
    starts = dict.fromkeys([*keys, *bare_keys])
    return [
        *[f"={key}" for key in dict.fromkeys(keys)],
        *[f"~{key}" for key in bare_keys],
        *_prefix_keywords("<", starts),
        *_prefix_keywords("^", words),
    ]


def _prefix_keywords(sign: str, words: Sequence[str] | dict[str, None]) -> list[str]:
    return list(
        dict.fromkeys(sign + word[:size] for word in words for size in INDEXED_PREFIX_LENGTHS if len(word) >= size)
    )


def _name_prefix(key: str) -> Expression:
    if is_indexed_prefix(key):
        return keyword(f"<{key}")
    return disjunction([keyword(f"={key}", begins=True), keyword(f"~{key}", begins=True)])


def is_indexed_prefix(beginning: str) -> bool:
    """Tell whether a beginning of words in names is a word of the index itself."""
    return len(beginning) in INDEXED_PREFIX_LENGTHS


def _last_word_completed(interpretation: Interpretation) -> Expression:
    beginning = interpretation.last_prefix
    last = (
        keyword(f"^{beginning}")
        if is_indexed_prefix(beginning)
        else _any_choice(interpretation.completions, (Section.NAME,))
    )
    return conjunction([*[_any_choice(choices, (Section.NAME,)) for choices in interpretation.words[:-1]], last])


def _all_words(interpretation: Interpretation, sections: tuple[Section, ...] = TEXT_SECTIONS) -> Expression:
    return conjunction(_any_choice(choices, sections) for choices in interpretation.words)


def _any_word(interpretation: Interpretation, sections: tuple[Section, ...] = TEXT_SECTIONS) -> Expression:
    return disjunction(_any_choice(choices, sections) for choices in interpretation.words)


def _any_choice(choices: tuple[str | tuple[str, ...], ...], sections: tuple[Section, ...]) -> Expression:
    """Return what has one of these words, or of these rows of words."""
    return disjunction(
        Phrase(choices, sections) if isinstance(choices, tuple) else Term(choices, sections) for choices in choices
    )
