"""What a search means, by the words that the index knows.

Each word is understood before anything is looked for, whatever the filters: so a filter that is added to a search only
ever narrows it.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice, product

from sqlalchemy import ColumnElement, and_, desc, or_, select, union
from sqlalchemy.orm import InstrumentedAttribute, Session

from pkgsite.models import SearchWord
from pkgsite.rules.licences import canonical_licence
from pkgsite.rules.search.expressions import Expression, Phrase, Term, disjunction, keyword
from pkgsite.rules.search.query import SINGLE_VALUED_FIELDS, Filter, ParsedQuery, parse_stars_range, parse_updated_range
from pkgsite.rules.search.ranking import RECENT_PERIOD, Interpretation, is_indexed_prefix
from pkgsite.rules.search.spelling import MAX_SUGGESTIONS, IndexedWord, affix_pairs, closest_words, max_edits
from pkgsite.rules.search.tokenizer import MIN_PREFIX_LENGTH, fold, normalise_name, stem
from pkgsite.services.search.backend import MAX_SIMILAR_WORDS, RangeFilter
from pkgsite.services.search.backends import backend_for

MAX_FORMS = 6  # of a word, beside itself
MAX_COMPLETIONS = 64  # words that begin like the last one, that it may stand for in names
MAX_COMPLETIONS_OF_UNKNOWN = 8  # of these, that any unknown word may stand for anywhere
MAX_FILTER_VALUES = 20  # of a filter, where what was typed only begins them
MAX_NAME_KEYS = 9
MAX_SIMILAR_NAMES = 20  # that a misspelt one may mean
RARE_WORD_COUNT = 2  # uses of a word that may be a slip
SUGGESTION_RATIO = 10  # times the uses: then that word may have been meant
MAX_CODE_POINT = "\U0010ffff"

ALL_PACKAGES_KEYWORD = "kind:package"  # a mark of them all

_PIECE = re.compile(r"[^\W_]+")

Choice = str | tuple[str, ...]


@dataclass(frozen=True, slots=True)
class QueryPlan:
    """What a search means.

    Attributes:
        interpretations: The ways to read its words, phrases among them.
        required: What must fit besides: phrases and filters.
        excluded: What must not.
        ranges: Of stars and of times.
        corrections: Words that the index does not know, and the likeliest that was meant.
        suggestion: What to type for what may have been meant; empty where all looks well.
        unmatched_filters: Filters whose value nothing here has.
        package_count: How many there are.
        most: How many of them can have all of the words and fit the filters, at most.
        loose_upper_bound: The same with those whose names only begin like the last word, or are near.
    """

    interpretations: tuple[Interpretation, ...]
    required: tuple[Expression, ...]
    excluded: tuple[Expression, ...]
    ranges: tuple[RangeFilter, ...]
    corrections: dict[str, str]
    suggestion: str
    unmatched_filters: tuple[Filter, ...]
    package_count: int
    upper_bound: int
    loose_upper_bound: int


def plan_query(session: Session, query: ParsedQuery, *, ignored_prefixes: tuple[str, ...], now: datetime) -> QueryPlan:
    """Return what a search means.

    One question to the list of words, one for those that begin like the last one, two for names that are near; where
    it does not know some words, one more, and three at most for each of these.
    """
    pairs = {first + second: at for at, (first, second) in enumerate(zip(query.words, query.words[1:], strict=False))}
    marks = _filter_keywords(query.filters)
    key = normalise_name(query.text) if not query.phrases else ""
    exact = [*query.words, *pairs, key, *(mark for _, mark in marks), ALL_PACKAGES_KEYWORD]
    rows = _look_up(session, exact, query.words)
    document_counts = {row.word: row.uses for row in rows}
    unknown_words = [word for word in query.words if word not in document_counts]
    last = query.words[-1] if query.words and not query.phrases else ""
    completions = {
        word: _completions(session, word)
        for word in {
            *unknown_words,
            *([last] if len(last) >= MIN_PREFIX_LENGTH and not is_indexed_prefix(last) else []),
        }
    }
    replacements, corrected, more = _replace_unknown(session, unknown_words, rows, completions)
    choices = [replacements.get(word) or _word_forms(word, rows) for word in query.words]
    phrases: list[tuple[Choice, ...]] = [(phrase,) for phrase in query.phrases]
    keys = _name_keys(query, choices, corrected)
    beginning = last if len(last) >= MIN_PREFIX_LENGTH and last not in corrected else ""
    similar_names = _similar_names(session, key, ignored_prefixes) if key not in document_counts else ()
    is_begun = bool(beginning) and last not in document_counts
    combinations = [tuple(choices)]
    combinations += [
        (*choices[:at], (joined,), *choices[at + 2 :]) for joined, at in pairs.items() if joined in document_counts
    ]
    main = Interpretation(
        (*choices, *phrases), keys, similar_names, beginning, tuple(completions.get(beginning, ())), is_begun
    )
    readings = (main, *(Interpretation((*way, *phrases), ()) for way in combinations[1:]))
    needed, bounds, excluded, unknown = _conditions(session, query.filters, marks, set(document_counts), now)
    most = _UpperBounds(document_counts | more, marks)
    return QueryPlan(
        interpretations=readings if query.words or query.phrases else (),
        required=(*(Phrase(phrase) if len(phrase) > 1 else Term(phrase[0]) for phrase in query.phrases), *needed),
        excluded=(
            *(
                Phrase(word_choices) if len(word_choices) > 1 else Term(word_choices[0])
                for word_choices in query.excluded
            ),
            *excluded,
        ),
        ranges=bounds,
        corrections=corrected,
        suggestion=_suggestion(session, query, document_counts) if not corrected else "",
        unmatched_filters=unknown,
        package_count=most.packages,
        upper_bound=most.with_all_words(combinations),
        loose_upper_bound=most.with_similar_names(
            combinations, beginning, completions.get(beginning, {}), len(similar_names)
        ),
    )


def apply_corrections(text: str, corrected: dict[str, str]) -> str:
    """Return the typed words with the corrected ones in their places."""
    return _PIECE.sub(lambda piece: corrected.get(fold(piece.group()), piece.group()), text)


@dataclass(frozen=True, slots=True)
class _WordRow:
    word: str
    uses: int
    stem: str


class _UpperBounds:
    """How many packages can fit, at most, by in how many things words and marks of filters stand."""

    def __init__(self, document_counts: dict[str, int], filter_keywords: Sequence[tuple[Filter, str]]) -> None:
        self._uses = document_counts
        self.packages = document_counts.get(ALL_PACKAGES_KEYWORD, 0)
        needed = [
            condition
            for condition in filter_keywords
            if not condition[0].is_negated and condition[0].field not in SINGLE_VALUED_FIELDS
        ]
        self._limit = min([self.packages, *(document_counts[text] for _, text in needed if text in document_counts)])

    def with_all_words(self, combinations: Sequence[tuple[tuple[Choice, ...], ...]]) -> int:
        return min(
            self._limit, sum(min(map(self._any_choice_count, way), default=self.packages) for way in combinations)
        )

    def with_similar_names(
        self,
        combinations: Sequence[tuple[tuple[Choice, ...], ...]],
        word_prefix: str,
        completions: dict[str, int],
        similar_names: int,
    ) -> int:
        """Add names that only begin like the last word, or are near. Short beginnings are not counted anywhere."""
        last = self.packages if is_indexed_prefix(word_prefix) else sum(completions.values())
        names = min([*map(self._any_choice_count, combinations[0][:-1]), last]) + similar_names
        return min(self._limit, self.with_all_words(combinations) + names)

    def _any_choice_count(self, choices: tuple[Choice, ...]) -> int:
        """Return in how many things one of these may stand, each of them a word or words that follow each other."""
        words = [[choice] if isinstance(choice, str) else choice for choice in choices]
        return sum(min(self._uses.get(word, 0) for word in condition) for condition in words)


def _look_up(session: Session, exact: Collection[str], words: Sequence[str]) -> list[_WordRow]:
    """Return what the index knows of these words and of the other forms of some of them."""
    stems = [stem(word) for word in words]
    rows = session.execute(
        select(SearchWord.word, SearchWord.uses, SearchWord.stem).where(
            or_(SearchWord.word.in_(exact), SearchWord.stem.in_(stems))
        )
    )
    return [_WordRow(*row) for row in rows]


def _word_forms(word: str, rows: Iterable[_WordRow]) -> tuple[Choice, ...]:
    """Return a word and its most used other forms."""
    same = [row for row in rows if row.stem == stem(word) and row.word != word]
    same.sort(key=lambda row: (-row.uses, row.word))
    return (word, *[row.word for row in same[:MAX_FORMS]])


def _replace_unknown(
    session: Session, words: Sequence[str], rows: Iterable[_WordRow], completions: dict[str, dict[str, int]]
) -> tuple[dict[str, tuple[Choice, ...]], dict[str, str], dict[str, int]]:
    """Return what stands for words that the index does not know, which of them are corrected, to what, and all uses.

    Other forms of the word, words that begin like it, two words that make it up; if there are none, the nearest ones.
    """
    replacements: dict[str, tuple[Choice, ...]] = {}
    corrected: dict[str, str] = {}
    if not words:
        return replacements, corrected, {}
    halves_of = {word: [(word[:at], word[at:]) for at in range(2, len(word) - 1)] for word in words}
    document_counts = _document_counts(
        session, {part for pairs in halves_of.values() for pair in pairs for part in pair}
    )
    for word in words:
        pairs = [pair for pair in halves_of[word] if pair[0] in document_counts and pair[1] in document_counts]
        best = max(
            pairs,
            key=lambda pair: (min(map(len, pair)), min(document_counts[part] for part in pair), pair),
            default=None,
        )
        found = [
            *_word_forms(word, rows)[1:],
            *islice(completions[word], MAX_COMPLETIONS_OF_UNKNOWN),
            *([best] if best else ()),
        ]
        if found:
            replacements[word] = tuple(dict.fromkeys(found))
        elif max_edits(word) and (suggestions := similar_words(session, word)):
            replacements[word] = tuple(other.word for other in suggestions)
            corrected[word] = suggestions[0].word
            document_counts |= {other.word: other.document_count for other in suggestions}
    return (
        replacements,
        corrected,
        document_counts | {other: many for word in words for other, many in completions[word].items()},
    )


def similar_words(session: Session, word: str) -> list[IndexedWord]:
    """Return the words that a misspelt one most likely means.

    Those that begin or end like it are enough for a single slip; if there are none, those that share pieces with it.
    """
    most = max_edits(word)
    found = closest_words(word, _one_edit_away(session, word), max_distance=most)
    if not found and most > 1:
        similar = backend_for(session).similar_words(session, word, (len(word) - 2, len(word) + 2))
        found = closest_words(word, [IndexedWord(*condition) for condition in similar], max_distance=most)
    return found


def _similar_names(session: Session, key: str, ignored_prefixes: Iterable[str]) -> tuple[str, ...]:
    """Return words, most of them names, that are what was typed as one name, or a prefix and that, but for one slip."""
    if not max_edits(key):
        return ()
    found: list[str] = []
    for prefix in ("", *(prefix for prefix in ignored_prefixes if not key.startswith(prefix))):
        similar_names = closest_words(
            prefix + key, _one_edit_away(session, key, prefix), max_distance=1, limit=MAX_SIMILAR_NAMES
        )
        found += [other.word for other in similar_names]
    return tuple(found)


def _one_edit_away(session: Session, word: str, prefix: str = "") -> list[IndexedWord]:
    """Return all words that are a prefix and this word, but for one slip in the word; and others that are like it."""
    sizes = SearchWord.size.in_(range(len(prefix + word) - 1, len(prefix + word) + 2))
    columns = select(SearchWord.word, SearchWord.uses).where(sizes, SearchWord.word != word)
    alike = union(*(columns.where(*_affix_conditions(prefix, beginning, end)) for beginning, end in affix_pairs(word)))
    rows = session.execute(alike.order_by(desc("uses"), "word").limit(MAX_SIMILAR_WORDS))
    return [IndexedWord(row.word, row.uses) for row in rows]


def _affix_conditions(prefix: str, word_prefix: str, end: str) -> list[ColumnElement[bool]]:
    """Return the conditions of words that begin and end like this; the index is asked for the longer of both."""
    begins, ends = prefix + word_prefix, end[::-1]
    if len(word_prefix) >= len(end):
        return [_starts_with(SearchWord.word, begins), SearchWord.word.endswith(end, autoescape=True)]
    return [_starts_with(SearchWord.backwards, ends), SearchWord.backwards.endswith(begins[::-1], autoescape=True)]


def _starts_with(column: InstrumentedAttribute[str], word_prefix: str) -> ColumnElement[bool]:
    """Return the condition of an index's stretch: what begins like this."""
    return and_(column >= word_prefix, column < word_prefix + MAX_CODE_POINT)


def _document_counts(session: Session, words: Collection[str]) -> dict[str, int]:
    rows = session.execute(select(SearchWord.word, SearchWord.uses).where(SearchWord.word.in_(words)))
    return {row.word: row.uses for row in rows}


def _completions(session: Session, word_prefix: str) -> dict[str, int]:
    """Return the most used words that begin like this, but for itself, with their uses."""
    rows = session.execute(
        select(SearchWord.word, SearchWord.uses)
        .where(_starts_with(SearchWord.word, word_prefix), SearchWord.word != word_prefix, SearchWord.size > 0)
        .order_by(SearchWord.uses.desc(), SearchWord.word)
        .limit(MAX_COMPLETIONS)
    )
    return {row.word: row.uses for row in rows}


def _name_keys(query: ParsedQuery, choices: Sequence[tuple[Choice, ...]], corrected: dict[str, str]) -> tuple[str, ...]:
    """Return the typed words as one name, as they may have been meant."""
    if not corrected:
        text = " ".join([query.text, *(" ".join(phrase) for phrase in query.phrases)])
        return (normalise_name(text),)
    combinations = [
        [one for one in word_choices if isinstance(one, str)][:MAX_SUGGESTIONS] if word in corrected else [word]
        for word, word_choices in zip(query.words, choices, strict=True)
    ]
    return tuple("".join(way) for way, _ in zip(product(*combinations), range(MAX_NAME_KEYS), strict=False))


def _suggestion(session: Session, query: ParsedQuery, document_counts: dict[str, int]) -> str:
    """Return the typed words with a rare one replaced by one that is used far more; empty where there is none."""
    rarest = min(
        (word for word in query.words if max_edits(word)), key=lambda word: document_counts.get(word, 0), default=""
    )
    if not rarest or not 0 < document_counts.get(rarest, 0) <= RARE_WORD_COUNT:
        return ""
    similar_names = closest_words(rarest, _one_edit_away(session, rarest), max_distance=1)
    suggestions = [
        other for other in similar_names if other.document_count >= SUGGESTION_RATIO * document_counts[rarest]
    ]
    if not suggestions or stem(suggestions[0].word) == stem(rarest):
        return ""
    return apply_corrections(query.text, {rarest: suggestions[0].word})


def _filter_keywords(filters: Iterable[Filter]) -> list[tuple[Filter, str]]:
    """Return the filters that are marks of the index, each with the mark that its value makes."""
    found = []
    for condition in filters:
        if condition.field in {"stars", "updated"} or condition.keyword == "is:maintained":
            continue
        value = (
            (canonical_licence(condition.value) or condition.value) if condition.field == "licence" else condition.value
        )
        found.append((condition, Filter(condition.field, value).keyword))
    return found


def _conditions(
    session: Session,
    filters: Iterable[Filter],
    filter_keywords: list[tuple[Filter, str]],
    known: set[str],
    now: datetime,
) -> tuple[list[Expression], tuple[RangeFilter, ...], list[Expression], tuple[Filter, ...]]:
    """Return what filters need, what bounds they set, what they don't want, and those that nothing here fits."""
    needed: list[Expression] = []
    excluded: list[Expression] = []
    alternatives: dict[str, list[Expression]] = {}
    unknown = []
    completions = _complete_keywords(session, [text for _, text in filter_keywords if text not in known])
    for condition, text in filter_keywords:
        values = [text] if text in known else completions.get(text, [])
        if not values:
            unknown.append(condition)
        condition_expression = disjunction([keyword(value) for value in values or [text]])
        if condition.is_negated:
            excluded.append(condition_expression)
        elif condition.field in SINGLE_VALUED_FIELDS:
            alternatives.setdefault(condition.field, []).append(condition_expression)
        else:
            needed.append(condition_expression)
    needed += [disjunction(alternatives_of_field) for alternatives_of_field in alternatives.values()]
    bounds = tuple(bound for condition in filters if (bound := range_filter_of(condition, now)))
    return needed, bounds, excluded, tuple(unknown)


def range_filter_of(condition: Filter, now: datetime) -> RangeFilter | None:
    """Return the bound that a filter sets; None where it sets none."""
    if condition.field == "stars":
        stars = parse_stars_range(condition.value)
        return RangeFilter("stars", stars.minimum, stars.maximum, is_negated=condition.is_negated) if stars else None
    if condition.field == "updated":
        times = parse_updated_range(condition.value, now)
        return (
            RangeFilter("touched_at", times.minimum, times.maximum, is_negated=condition.is_negated) if times else None
        )
    if condition.keyword == "is:maintained":
        since = int((now - RECENT_PERIOD).timestamp())
        return RangeFilter("touched_at", since, active_only=True, is_negated=condition.is_negated)
    return None


def _complete_keywords(session: Session, filter_keywords: Sequence[str]) -> dict[str, list[str]]:
    """Return, of these marks, those that begin others, with the most used of these."""
    found: dict[str, list[str]] = {}
    for text in filter_keywords:
        rows = session.scalars(
            select(SearchWord.word)
            .where(_starts_with(SearchWord.word, text))
            .order_by(SearchWord.uses.desc(), SearchWord.word)
            .limit(MAX_FILTER_VALUES)
        ).all()
        if rows:
            found[text] = list(rows)
    return found
