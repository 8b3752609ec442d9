"""The complete ranking formula of search.

Results are ordered by how well they match the words: their tier, best first. Within a tier, active packages come before
inactive ones, and popular, recently updated packages before others. Popularity thus never outranks a better match.

The order within a tier doesn't depend on the words. It is calculated when an item is indexed, as a single number: its
rank key. The index is stored in the order of rank keys, so the first thousand matches are always the most popular.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import IntEnum
from itertools import combinations

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
    """The kind of a searchable item."""

    PACKAGE = 0
    GRID = 1
    CATEGORY = 2
    PERSON = 3


class Tier(IntEnum):
    """How well an item matches the query, best first."""

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
    Tier.SOME_WORDS: "Matches some of the words; no package has them all.",
}
SUBSET_TIERS = {Tier.ALL_IN_NAME, Tier.NAME_AND_TEXT, Tier.TEXT}  # their matches are matches of ANYWHERE too
BROAD_MATCH_TIERS = {Tier.NAME_AND_TEXT, Tier.TEXT}  # ranked only among the most popular of ANYWHERE
FILTERS_ONLY_EXPLANATION = "Matches the filters."

MAX_POPULARITY = 1023
RECENT_PERIOD = timedelta(days=365)
_ITEM_BITS, _POPULARITY_BITS = 35, 10
INACTIVE = 1 << (_ITEM_BITS + _POPULARITY_BITS)  # the bit of a rank key that is set for inactive packages
_KIND_SHIFT = _ITEM_BITS + _POPULARITY_BITS + 1

MAX_PARTIAL_WORDS = 5  # words whose combinations are ranked if no item contains all words; the rarest ones

INDEXED_PREFIX_LENGTHS = (2, 3, 4)  # characters; name prefixes of these lengths are indexed as tokens


@dataclass(frozen=True, slots=True)
class RankSignals:
    """The facts that order equally good matches. An unknown fact (None) adds nothing."""

    is_active: bool
    stars: int | None = None
    downloads: int | None = None  # in the last month
    usage_count: int = 0
    last_activity_at: datetime | None = None  # latest commit or release


def popularity(signals: RankSignals, now: datetime) -> int:
    """Return how popular and recently updated a package is, from 0 to 1,023.

    Each order of magnitude adds points: 130 for stars, 40 for downloads, 40 for users. A commit or release within the
    last year adds 60.
    """
    points = (
        130 * math.log10(1 + max(0, signals.stars or 0))
        + 40 * math.log10(1 + max(0, signals.downloads or 0))
        + 40 * math.log10(1 + signals.usage_count)
        + (60 if signals.last_activity_at is not None and now - signals.last_activity_at < RECENT_PERIOD else 0)
    )
    return min(MAX_POPULARITY, round(points))


def rank_key(kind: Kind, item_id: int, signals: RankSignals, now: datetime) -> int:
    """Return an item's unique position among equally good matches, lowest first."""
    inactive_bit = 0 if signals.is_active else INACTIVE
    return first_rank_key(kind) + inactive_bit + ((MAX_POPULARITY - popularity(signals, now)) << _ITEM_BITS) + item_id


def first_rank_key(kind: int) -> int:
    """Return the lower bound of a kind's rank keys; all keys of preceding kinds are below it."""
    return kind << _KIND_SHIFT


def kind_from_rank_key(key: int) -> Kind:
    """Return the kind of the item with this rank key."""
    return Kind(key >> _KIND_SHIFT)


def item_id_from_rank_key(key: int) -> int:
    """Return the id, within its kind, of the item with this rank key."""
    return key & ((1 << _ITEM_BITS) - 1)


@dataclass(frozen=True, slots=True)
class Interpretation:
    """One interpretation of the query's words.

    Attributes:
        words: The alternatives for each word; a tuple is a phrase of consecutive words.
        name_keys: The words as one normalised name; several if a misspelt word has several corrections.
        similar_names: Names that differ from it by one typo.
        last_prefix: The last word, if it may be the beginning of a longer one; otherwise empty.
        completions: The most common words that start with `last_prefix`. Not needed where the prefix itself is indexed.
        is_incomplete: Whether the index has neither `last_prefix` nor another form or synonym of it.
    """

    words: tuple[tuple[str | tuple[str, ...], ...], ...]
    name_keys: tuple[str, ...]
    similar_names: tuple[str, ...] = ()
    last_prefix: str = ""
    completions: tuple[str, ...] = ()
    is_incomplete: bool = False


def tier_expressions(
    interpretations: Sequence[Interpretation], ignored_prefixes: tuple[str, ...]
) -> list[tuple[Tier, Expression]]:
    """Return the expression of each tier that can have matches, best tier first."""
    tiers = [
        *_name_tiers(interpretations, ignored_prefixes),
        *_name_word_tiers(interpretations),
        *_text_tiers(interpretations),
    ]
    return [(tier, disjunction(alternatives)) for tier, alternatives in tiers if alternatives]


def _name_tiers(
    interpretations: Sequence[Interpretation], ignored_prefixes: tuple[str, ...]
) -> list[tuple[Tier, list[Expression]]]:
    """Return the alternatives of the tiers that compare the query with entire names."""
    keys = list(dict.fromkeys(key for interpretation in interpretations for key in interpretation.name_keys if key))
    bare_keys = list(dict.fromkeys(strip_prefix(key, ignored_prefixes) for key in keys))
    return [
        (Tier.NAME, [keyword(f"={key}") for key in keys]),
        (Tier.BARE_NAME, [keyword(f"~{key}") for key in bare_keys]),
        (Tier.NAME_PREFIX, [_name_prefix(key) for key in keys if len(key) >= MIN_PREFIX_LENGTH]),
    ]


def _name_word_tiers(interpretations: Sequence[Interpretation]) -> list[tuple[Tier, list[Expression]]]:
    """Return the alternatives of the tiers that look for all words in the name, or for a similar name."""
    # For an incomplete last word, NAME_WORD_PREFIX finds the names.
    complete = [interpretation for interpretation in interpretations if not interpretation.is_incomplete]
    similar_names = [name for interpretation in interpretations for name in interpretation.similar_names]
    completed = [
        _last_word_completed(interpretation)
        for interpretation in interpretations
        if interpretation.completions or is_indexed_prefix(interpretation.last_prefix)
    ]
    return [
        (Tier.ALL_IN_NAME, [_all_words(interpretation, (Section.NAME,)) for interpretation in complete]),
        (Tier.SIMILAR_NAME, [keyword(f"={name}") for name in similar_names]),
        (Tier.NAME_WORD_PREFIX, completed),
    ]


def _text_tiers(interpretations: Sequence[Interpretation]) -> list[tuple[Tier, list[Expression]]]:
    """Return the alternatives of the tiers that look for all words in the name and other sections."""
    name_and_text = (Section.NAME, Section.TEXT)
    some_in_name = [
        conjunction([_all_words(interpretation, name_and_text), _any_word(interpretation, (Section.NAME,))])
        for interpretation in interpretations
        if len(interpretation.words) > 1
    ]
    return [
        (Tier.NAME_AND_TEXT, some_in_name),
        (Tier.TEXT, [_all_words(interpretation, name_and_text) for interpretation in interpretations]),
        (Tier.ANYWHERE, [_all_words(interpretation) for interpretation in interpretations]),
    ]


def partial_expressions(
    interpretations: Sequence[Interpretation], weights: Sequence[float]
) -> list[tuple[Expression, float]]:
    """Return the expressions of partial matches, best first, each with the total weight of its words.

    More and rarer matches come first: each combination of the words is an expression, in the order of their total
    weight. Of the same combination, items with one of the words in their name come first.

    Args:
        interpretations: The interpretations of the query, the main one first.
        weights: The weights of the words of the main interpretation; 0 for those without matches.
    """
    weighted = sorted(
        ((weight, choices) for weight, choices in zip(weights, interpretations[0].words, strict=True) if weight),
        key=lambda pair: -pair[0],
    )[:MAX_PARTIAL_WORDS]
    subsets = [subset for size in range(len(weighted), 0, -1) for subset in combinations(weighted, size)]
    subsets.sort(key=lambda subset: -sum(weight for weight, _ in subset))
    expressions: list[tuple[Expression, float]] = []
    for subset in subsets:
        total = sum(weight for weight, _ in subset)
        all_of_them = conjunction(_any_choice(choices, TEXT_SECTIONS) for _, choices in subset)
        in_name = disjunction(_any_choice(choices, (Section.NAME,)) for _, choices in subset)
        expressions += [(conjunction([all_of_them, in_name]), total), (all_of_them, total)]
    return [*expressions, (any_word(interpretations), 0.0)]


def any_word(interpretations: Sequence[Interpretation]) -> Expression:
    """Return an expression that matches where at least one of the words occurs."""
    return disjunction([_any_word(interpretation) for interpretation in interpretations])


def name_keywords(keys: Sequence[str], words: Sequence[str], ignored_prefixes: tuple[str, ...]) -> list[str]:
    """Return the tokens by which an item is found by its entire name or a prefix of it.

    Args:
        keys: The item's normalised names.
        words: The words of its names.
        ignored_prefixes: Name prefixes that a query may omit, such as "django".
    """
    bare_keys = dict.fromkeys(strip_prefix(key, ignored_prefixes) for key in keys)
    return [
        *[f"={key}" for key in dict.fromkeys(keys)],
        *[f"~{key}" for key in bare_keys],
        *_prefix_keywords("<", [*keys, *bare_keys]),
        *_prefix_keywords("^", words),
    ]


def _prefix_keywords(sign: str, words: Sequence[str]) -> list[str]:
    return list(
        dict.fromkeys(sign + word[:size] for word in words for size in INDEXED_PREFIX_LENGTHS if len(word) >= size)
    )


def _name_prefix(key: str) -> Expression:
    if is_indexed_prefix(key):
        return keyword(f"<{key}")
    return disjunction([keyword(f"={key}", is_prefix=True), keyword(f"~{key}", is_prefix=True)])


def is_indexed_prefix(word_prefix: str) -> bool:
    """Return whether prefixes of this length are indexed as tokens."""
    return len(word_prefix) in INDEXED_PREFIX_LENGTHS


def _last_word_completed(interpretation: Interpretation) -> Expression:
    word_prefix = interpretation.last_prefix
    last = (
        keyword(f"^{word_prefix}")
        if is_indexed_prefix(word_prefix)
        else _any_choice(interpretation.completions, (Section.NAME,))
    )
    return conjunction([*[_any_choice(choices, (Section.NAME,)) for choices in interpretation.words[:-1]], last])


def _all_words(interpretation: Interpretation, sections: tuple[Section, ...] = TEXT_SECTIONS) -> Expression:
    return conjunction(_any_choice(choices, sections) for choices in interpretation.words)


def _any_word(interpretation: Interpretation, sections: tuple[Section, ...] = TEXT_SECTIONS) -> Expression:
    return disjunction(_any_choice(choices, sections) for choices in interpretation.words)


def _any_choice(choices: tuple[str | tuple[str, ...], ...], sections: tuple[Section, ...]) -> Expression:
    """Return an expression that matches where one of these words or phrases occurs."""
    return disjunction(
        Phrase(choices, sections) if isinstance(choices, tuple) else Term(choices, sections) for choices in choices
    )
