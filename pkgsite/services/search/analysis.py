"""Planning of a search: looks up the words of the query in the index's list of words.

Words are interpreted independently of the filters, so adding a filter can only reduce the results.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import islice, pairwise, product

from sqlalchemy import ColumnElement, and_, desc, or_, select, union
from sqlalchemy.orm import InstrumentedAttribute, Session

from pkgsite.models import SearchWord
from pkgsite.rules.licences import canonical_licence
from pkgsite.rules.search.expressions import Expression, Phrase, Term, disjunction, keyword
from pkgsite.rules.search.query import SINGLE_VALUED_FIELDS, Filter, ParsedQuery, parse_stars_range, parse_updated_range
from pkgsite.rules.search.ranking import RECENT_PERIOD, Interpretation, is_indexed_prefix
from pkgsite.rules.search.spelling import MAX_SUGGESTIONS, IndexedWord, affix_pairs, closest_words, max_edits
from pkgsite.rules.search.tokenizer import MIN_PREFIX_LENGTH, fold, normalise_name, stem
from pkgsite.rules.search.vocabulary import Synonyms, content_words, load_synonyms, words_of_synonyms
from pkgsite.services.search.backend import MAX_SIMILAR_WORDS, RangeFilter
from pkgsite.services.search.backends import backend_for

MAX_FORMS = 6  # other forms of a word that are searched for
MAX_COMPLETIONS = 64  # completions of the last word, searched for in names
MAX_COMPLETIONS_OF_UNKNOWN = 8  # completions of an unknown word, searched for everywhere
MAX_FILTER_VALUES = 20  # values that a filter with an incomplete value stands for
MAX_NAME_KEYS = 9
MAX_SIMILAR_NAMES = 20  # corrections of a misspelt name
RARE_WORD_COUNT = 2  # items that contain a word which may be a typo
SUGGESTION_RATIO = 10  # how many times more common a word must be to be suggested
MAX_CODE_POINT = "\U0010ffff"

ALL_PACKAGES_KEYWORD = "kind:package"  # all packages have it

_WORD = re.compile(r"[^\W_]+")

Choice = str | tuple[str, ...]


@dataclass(frozen=True, slots=True)
class QueryPlan:
    """What to search for.

    Attributes:
        interpretations: The interpretations of the words and phrases, the main one first.
        required: Expressions that must match as well: phrases and filters.
        excluded: Expressions that must not match.
        ranges: The range filters.
        corrections: The likeliest correction of each word that is unknown and misspelt.
        suggestion: A query to suggest ("did you mean"); empty if there is none.
        unmatched_filters: Filters whose value no item has.
        weights: How much each word of the main interpretation counts: the rarer, the more; 0 if no item has it.
        package_count: Number of all packages.
        upper_bound: Maximum number of packages that contain all words and match the filters.
        loose_upper_bound: The same, including packages found by completions of the last word or by similar names.
    """

    interpretations: tuple[Interpretation, ...]
    required: tuple[Expression, ...]
    excluded: tuple[Expression, ...]
    ranges: tuple[RangeFilter, ...]
    corrections: dict[str, str]
    suggestion: str
    unmatched_filters: tuple[Filter, ...]
    weights: tuple[float, ...]
    package_count: int
    upper_bound: int
    loose_upper_bound: int


def plan_query(
    session: Session,
    query: ParsedQuery,
    *,
    ignored_prefixes: tuple[str, ...],
    now: datetime,
    synonyms: Synonyms | None = None,
) -> QueryPlan:
    """Return the plan of a search.

    Reads the list of words with one statement, one for the completions of the last word and up to two for similar
    names; if some words are unknown, with one more, and up to three for each of them.
    """
    filter_keywords = _filter_keywords(query.filters)
    query = replace(query, words=content_words(query.words))
    name_key = normalise_name(query.text) if not query.phrases else ""
    known = _look_up_query(
        session,
        query,
        [name_key, *(text for _, text in filter_keywords), ALL_PACKAGES_KEYWORD],
        load_synonyms(None) if synonyms is None else synonyms,
    )
    counts, corrections = known.document_counts, known.replacements.corrections
    similar_names = _similar_names(session, name_key, ignored_prefixes) if name_key not in counts else ()
    conditions = _filter_conditions(session, filter_keywords, counts)
    bounds = _UpperBounds(counts | known.replacements.document_counts, filter_keywords)
    return QueryPlan(
        interpretations=_interpretations(query, known, similar_names) if query.words or query.phrases else (),
        required=(*map(_words_expression, query.phrases), *conditions.required),
        excluded=(*map(_words_expression, query.excluded), *conditions.excluded),
        ranges=tuple(range_filter for one in query.filters if (range_filter := range_filter_of(one, now))),
        corrections=corrections,
        suggestion=_suggestion(session, query, counts) if not corrections else "",
        unmatched_filters=tuple(conditions.unmatched),
        weights=bounds.weights(known.combinations[0]) + (1.0,) * len(query.phrases),
        package_count=bounds.package_count,
        upper_bound=bounds.with_all_words(known.combinations),
        loose_upper_bound=bounds.with_similar_names(
            known.combinations, known.last_prefix, known.completions.get(known.last_prefix, {}), len(similar_names)
        ),
    )


@dataclass(frozen=True, slots=True)
class _KnownWords:
    """What the index knows of a query's words.

    Attributes:
        document_counts: Number of items that contain each known word, name or keyword of the query.
        completions: Longer words that start with an unknown word or with the last word, and their counts.
        replacements: What unknown words are replaced by.
        last_prefix: The last word, if it may be the beginning of a longer one; otherwise empty.
        is_incomplete: Whether the index has neither this word nor another form or synonym of it.
        combinations: The alternatives for each word; then the same with each pair of words that make up a known word
            replaced by it.
    """

    document_counts: dict[str, int]
    completions: dict[str, dict[str, int]]
    replacements: _Replacements
    last_prefix: str
    is_incomplete: bool
    combinations: list[tuple[tuple[Choice, ...], ...]]


def _look_up_query(
    session: Session, query: ParsedQuery, other_tokens: Collection[str], synonyms: Synonyms
) -> _KnownWords:
    """Return what the index knows of a query's words, their synonyms and other tokens."""
    joined_pairs = {first + second: index for index, (first, second) in enumerate(pairwise(query.words))}
    synonym_words = words_of_synonyms(query.words, synonyms)
    rows = _look_up(session, [*query.words, *joined_pairs, *synonym_words, *other_tokens], query.words)
    counts = {row.word: row.uses for row in rows}
    known_terms = {word: _known_terms(synonyms.get(word, ()), counts) for word in query.words}
    unknown = [word for word in query.words if word not in counts and not known_terms[word]]
    last_word = query.words[-1] if query.words and not query.phrases else ""
    completions = _load_completions(session, unknown, last_word)
    replacements = _replace_unknown(session, unknown, rows, completions)
    choices = tuple(
        replacements.choices.get(word) or (*_word_forms(word, rows), *known_terms[word]) for word in query.words
    )
    is_prefix = len(last_word) >= MIN_PREFIX_LENGTH and last_word not in replacements.corrections
    return _KnownWords(
        document_counts=counts,
        completions=completions,
        replacements=replacements,
        last_prefix=last_word if is_prefix else "",
        is_incomplete=is_prefix and not _has_known_form(last_word, rows, known_terms[last_word]),
        combinations=[choices, *_joined_combinations(choices, joined_pairs, counts)],
    )


def _has_known_form(word: str, rows: Iterable[_WordRow], synonyms: tuple[Choice, ...]) -> bool:
    """Return whether the index has a word, another form of it or one of its known synonyms."""
    return bool(synonyms) or any(row.word == word or row.stem == stem(word) for row in rows)


def _known_terms(terms: Iterable[tuple[str, ...]], document_counts: Collection[str]) -> tuple[Choice, ...]:
    """Return the synonyms whose words are all known."""
    known = [term for term in terms if all(word in document_counts for word in term)]
    return tuple(term[0] if len(term) == 1 else term for term in known)


def _interpretations(
    query: ParsedQuery, known: _KnownWords, similar_names: tuple[str, ...]
) -> tuple[Interpretation, ...]:
    """Return the interpretations of a query; the main one comes first, then those with joined words."""
    phrases: list[tuple[Choice, ...]] = [(phrase,) for phrase in query.phrases]
    choices, *joined = known.combinations
    main = Interpretation(
        words=(*choices, *phrases),
        name_keys=_name_keys(query, choices, known.replacements.corrections),
        similar_names=similar_names,
        last_prefix=known.last_prefix,
        completions=tuple(known.completions.get(known.last_prefix, ())),
        is_incomplete=known.is_incomplete,
    )
    return (main, *(Interpretation((*combination, *phrases), ()) for combination in joined))


def _load_completions(session: Session, unknown: Sequence[str], last_word: str) -> dict[str, dict[str, int]]:
    """Return the completions of unknown words and of the last word, unless prefixes of its length are indexed."""
    words = dict.fromkeys(unknown)
    if len(last_word) >= MIN_PREFIX_LENGTH and not is_indexed_prefix(last_word):
        words[last_word] = None
    return {word: _completions(session, word) for word in words}


def _joined_combinations(
    choices: tuple[tuple[Choice, ...], ...], joined_pairs: dict[str, int], document_counts: Collection[str]
) -> list[tuple[tuple[Choice, ...], ...]]:
    """Return the choices with two neighbouring words replaced by the word they make up, for each such known word.

    Args:
        choices: The alternatives for each word of the query.
        joined_pairs: Each pair of words as one word, with the index of its first word.
        document_counts: The known words.
    """
    return [
        (*choices[:index], (joined,), *choices[index + 2 :])
        for joined, index in joined_pairs.items()
        if joined in document_counts
    ]


def _words_expression(words: tuple[str, ...]) -> Expression:
    return Phrase(words) if len(words) > 1 else Term(words[0])


def apply_corrections(text: str, corrections: dict[str, str]) -> str:
    """Return the text with misspelt words replaced by their corrections."""
    return _WORD.sub(lambda match: corrections.get(fold(match.group()), match.group()), text)


@dataclass(frozen=True, slots=True)
class _WordRow:
    word: str
    uses: int
    stem: str


class _UpperBounds:
    """Upper bounds for the number of matching packages, calculated from the number of items that contain each word."""

    def __init__(self, document_counts: dict[str, int], filter_keywords: Sequence[tuple[Filter, str]]) -> None:
        self._document_counts = document_counts
        self.package_count = document_counts.get(ALL_PACKAGES_KEYWORD, 0)
        required = [
            text
            for condition, text in filter_keywords
            if not condition.is_negated and condition.field not in SINGLE_VALUED_FIELDS
        ]
        self._limit = min(
            [self.package_count, *(document_counts[text] for text in required if text in document_counts)]
        )

    def with_all_words(self, combinations: Sequence[tuple[tuple[Choice, ...], ...]]) -> int:
        counts = [min(map(self._any_choice_count, words), default=self.package_count) for words in combinations]
        return min(self._limit, sum(counts))

    def weights(self, words: Sequence[tuple[Choice, ...]]) -> tuple[float, ...]:
        """Return how much each word counts, from the number of items that contain one of its alternatives."""
        counts = [self._any_choice_count(choices) for choices in words]
        return tuple(math.log(1 + self.package_count / count) if count else 0.0 for count in counts)

    def with_similar_names(
        self,
        combinations: Sequence[tuple[tuple[Choice, ...], ...]],
        last_prefix: str,
        completions: dict[str, int],
        similar_name_count: int,
    ) -> int:
        """Return the bound including completions of the last word and similar names."""
        # Matches of indexed prefixes are not counted anywhere.
        completed = self.package_count if is_indexed_prefix(last_prefix) else sum(completions.values())
        names = min([*map(self._any_choice_count, combinations[0][:-1]), completed]) + similar_name_count
        return min(self._limit, self.with_all_words(combinations) + names)

    def _any_choice_count(self, choices: tuple[Choice, ...]) -> int:
        """Return the maximum number of items that contain one of these words or phrases."""
        phrases = [(choice,) if isinstance(choice, str) else choice for choice in choices]
        return sum(min(self._document_counts.get(word, 0) for word in phrase) for phrase in phrases)


def _look_up(session: Session, exact: Collection[str], words: Sequence[str]) -> list[_WordRow]:
    """Return the rows of these words and keywords, and of all forms of `words`."""
    stems = [stem(word) for word in words]
    rows = session.execute(
        select(SearchWord.word, SearchWord.uses, SearchWord.stem).where(
            or_(SearchWord.word.in_(exact), SearchWord.stem.in_(stems))
        )
    )
    return [_WordRow(*row) for row in rows]


def _word_forms(word: str, rows: Iterable[_WordRow]) -> tuple[Choice, ...]:
    """Return a word, followed by its most common other forms."""
    same = [row for row in rows if row.stem == stem(word) and row.word != word]
    same.sort(key=lambda row: (-row.uses, row.word))
    return (word, *[row.word for row in same[:MAX_FORMS]])


@dataclass(frozen=True, slots=True)
class _Replacements:
    """What unknown words of a query are replaced by.

    Attributes:
        choices: The alternatives for each replaced word.
        corrections: The likeliest correction of each misspelt word.
        document_counts: Number of items that contain each alternative; has other words too.
    """

    choices: dict[str, tuple[Choice, ...]]
    corrections: dict[str, str]
    document_counts: dict[str, int]


def _replace_unknown(
    session: Session, words: Sequence[str], rows: Iterable[_WordRow], completions: dict[str, dict[str, int]]
) -> _Replacements:
    """Return the replacements of words that the index doesn't contain.

    These are other forms of the word, words that start with it and two words that make it up; if there are none, the
    most similar words.
    """
    replacements = _Replacements({}, {}, {})
    if not words:
        return replacements
    splits = {word: [(word[:index], word[index:]) for index in range(2, len(word) - 1)] for word in words}
    document_counts = _document_counts(session, {part for pairs in splits.values() for pair in pairs for part in pair})
    replacements.document_counts.update(document_counts)
    for word in words:
        alternatives: list[Choice] = [
            *_word_forms(word, rows)[1:],
            *islice(completions[word], MAX_COMPLETIONS_OF_UNKNOWN),
            *_best_split(splits[word], document_counts),
        ]
        if alternatives:
            replacements.choices[word] = tuple(dict.fromkeys(alternatives))
        elif suggestions := similar_words(session, word):
            replacements.choices[word] = tuple(other.word for other in suggestions)
            replacements.corrections[word] = suggestions[0].word
            replacements.document_counts.update({other.word: other.document_count for other in suggestions})
    for word in words:
        replacements.document_counts.update(completions[word])
    return replacements


def _best_split(pairs: Iterable[tuple[str, str]], document_counts: dict[str, int]) -> list[tuple[str, str]]:
    """Return the pair of known words with the longest shorter word, then the most common rarer one; empty if none."""
    known = [pair for pair in pairs if pair[0] in document_counts and pair[1] in document_counts]
    if not known:
        return []
    return [max(known, key=lambda pair: (min(map(len, pair)), min(document_counts[part] for part in pair), pair))]


def similar_words(session: Session, word: str) -> list[IndexedWord]:
    """Return the likeliest corrections of a misspelt word; empty if the word is too short to be corrected.

    Words with one typo are found by their start and end; if there are none, words with two by the trigrams they share.
    """
    max_distance = max_edits(word)
    if not max_distance:
        return []
    corrections = closest_words(word, _one_edit_away(session, word), max_distance=max_distance)
    if not corrections and max_distance > 1:
        rows = backend_for(session).similar_words(session, word, (len(word) - 2, len(word) + 2))
        corrections = closest_words(word, [IndexedWord(*row) for row in rows], max_distance=max_distance)
    return corrections


def _similar_names(session: Session, key: str, ignored_prefixes: Iterable[str]) -> tuple[str, ...]:
    """Return words that differ by one typo from this normalised name, with or without an ignored prefix."""
    if not max_edits(key):
        return ()
    names: list[str] = []
    for prefix in ("", *(prefix for prefix in ignored_prefixes if not key.startswith(prefix))):
        similar = closest_words(
            prefix + key, _one_edit_away(session, key, prefix), max_distance=1, limit=MAX_SIMILAR_NAMES
        )
        names += [other.word for other in similar]
    return tuple(names)


def _one_edit_away(session: Session, word: str, prefix: str = "") -> list[IndexedWord]:
    """Return candidates for one typo in a word after a prefix: all such words, and some that differ more."""
    sizes = SearchWord.size.in_(range(len(prefix + word) - 1, len(prefix + word) + 2))
    columns = select(SearchWord.word, SearchWord.uses).where(sizes, SearchWord.word != word)
    candidates = union(*(columns.where(*_affix_conditions(prefix, start, end)) for start, end in affix_pairs(word)))
    rows = session.execute(candidates.order_by(desc("uses"), "word").limit(MAX_SIMILAR_WORDS))
    return [IndexedWord(row.word, row.uses) for row in rows]


def _affix_conditions(prefix: str, start: str, end: str) -> list[ColumnElement[bool]]:
    """Return the conditions of words with this start, after the prefix, and this end. The longer one uses an index."""
    full_start = prefix + start
    if len(start) >= len(end):
        return [starts_with(SearchWord.word, full_start), SearchWord.word.endswith(end, autoescape=True)]
    return [
        starts_with(SearchWord.backwards, end[::-1]),
        SearchWord.backwards.endswith(full_start[::-1], autoescape=True),
    ]


def starts_with(column: InstrumentedAttribute[str], prefix: str) -> ColumnElement[bool]:
    """Return a condition that an ordinary index can serve: the column starts with this text."""
    return and_(column >= prefix, column < prefix + MAX_CODE_POINT)


def _document_counts(session: Session, words: Collection[str]) -> dict[str, int]:
    rows = session.execute(select(SearchWord.word, SearchWord.uses).where(SearchWord.word.in_(words)))
    return {row.word: row.uses for row in rows}


def _completions(session: Session, word_prefix: str) -> dict[str, int]:
    """Return the most common longer words that start like this, with the number of items that contain them."""
    rows = session.execute(
        select(SearchWord.word, SearchWord.uses)
        .where(starts_with(SearchWord.word, word_prefix), SearchWord.word != word_prefix, SearchWord.size > 0)
        .order_by(SearchWord.uses.desc(), SearchWord.word)
        .limit(MAX_COMPLETIONS)
    )
    return {row.word: row.uses for row in rows}


def _name_keys(
    query: ParsedQuery, choices: Sequence[tuple[Choice, ...]], corrections: dict[str, str]
) -> tuple[str, ...]:
    """Return the words as one normalised name; if words are corrected, one for each combination of corrections."""
    if not corrections:
        phrases = [" ".join(phrase) for phrase in query.phrases]
        texts = (" ".join([query.text, *phrases]), " ".join([*query.words, *phrases]))
        return tuple(dict.fromkeys(map(normalise_name, texts)))
    combinations = [
        [one for one in word_choices if isinstance(one, str)][:MAX_SUGGESTIONS] if word in corrections else [word]
        for word, word_choices in zip(query.words, choices, strict=True)
    ]
    return tuple("".join(words) for words in islice(product(*combinations), MAX_NAME_KEYS))


def _suggestion(session: Session, query: ParsedQuery, document_counts: dict[str, int]) -> str:
    """Return the query's words with a rare one replaced by a similar, far more common word; empty if there is none."""
    rarest = min(
        (word for word in query.words if max_edits(word)), key=lambda word: document_counts.get(word, 0), default=""
    )
    if not rarest or not 0 < document_counts.get(rarest, 0) <= RARE_WORD_COUNT:
        return ""
    min_count = SUGGESTION_RATIO * document_counts[rarest]
    similar = closest_words(rarest, _one_edit_away(session, rarest), max_distance=1)
    suggestions = [other for other in similar if other.document_count >= min_count]
    if not suggestions or stem(suggestions[0].word) == stem(rarest):
        return ""
    return apply_corrections(query.text, {rarest: suggestions[0].word})


def _filter_keywords(filters: Iterable[Filter]) -> list[tuple[Filter, str]]:
    """Return the filters that are looked up as keywords, each with its keyword; range filters are left out."""
    keywords = []
    for condition in filters:
        if condition.field in {"stars", "updated"} or condition.keyword == "is:maintained":
            continue
        licence = canonical_licence(condition.value) if condition.field == "licence" else None
        keywords.append((condition, Filter(condition.field, licence or condition.value).keyword))
    return keywords


@dataclass(frozen=True, slots=True)
class _FilterConditions:
    """The conditions of the filters that are looked up as keywords.

    Attributes:
        required: Expressions that must match.
        excluded: Expressions that must not match.
        unmatched: Filters whose value no item has.
    """

    required: list[Expression]
    excluded: list[Expression]
    unmatched: list[Filter]


def _filter_conditions(
    session: Session, filter_keywords: list[tuple[Filter, str]], known: Collection[str]
) -> _FilterConditions:
    conditions = _FilterConditions([], [], [])
    alternatives: dict[str, list[Expression]] = {}
    completions = _complete_keywords(session, [text for _, text in filter_keywords if text not in known])
    for condition, text in filter_keywords:
        values = [text] if text in known else completions.get(text, [])
        if not values:
            conditions.unmatched.append(condition)
        expression = disjunction([keyword(value) for value in values or [text]])
        if condition.is_negated:
            conditions.excluded.append(expression)
        elif condition.field in SINGLE_VALUED_FIELDS:
            alternatives.setdefault(condition.field, []).append(expression)
        else:
            conditions.required.append(expression)
    conditions.required.extend(map(disjunction, alternatives.values()))
    return conditions


def range_filter_of(condition: Filter, now: datetime) -> RangeFilter | None:
    """Return the range that a filter stands for; None if it is a keyword filter."""
    if condition.field == "stars":
        stars = parse_stars_range(condition.value)
        return RangeFilter("stars", stars.minimum, stars.maximum, is_negated=condition.is_negated) if stars else None
    if condition.field == "updated":
        times = parse_updated_range(condition.value, now)
        if times is None:
            return None
        return RangeFilter("touched_at", times.minimum, times.maximum, is_negated=condition.is_negated)
    if condition.keyword == "is:maintained":
        since = int((now - RECENT_PERIOD).timestamp())
        return RangeFilter("touched_at", since, active_only=True, is_negated=condition.is_negated)
    return None


def _complete_keywords(session: Session, filter_keywords: Sequence[str]) -> dict[str, list[str]]:
    """Return the most common keywords that start with each of these, for those that have any."""
    completions: dict[str, list[str]] = {}
    for text in filter_keywords:
        rows = session.scalars(
            select(SearchWord.word)
            .where(starts_with(SearchWord.word, text))
            .order_by(SearchWord.uses.desc(), SearchWord.word)
            .limit(MAX_FILTER_VALUES)
        ).all()
        if rows:
            completions[text] = list(rows)
    return completions
