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
from pkgsite.rules.search_expressions import Expression, Phrase, Term, any_of, mark
from pkgsite.rules.search_query import ONE_EACH, Filter, Query, stars_range, updated_range
from pkgsite.rules.search_ranking import RECENT, Wanted, is_short
from pkgsite.rules.search_words import SHORTEST_BEGINNING, fold, name_key, stem
from pkgsite.rules.spelling import MOST_MEANT, Known, kept, nearest, slips_forgiven
from pkgsite.services.search_engines import engine_of
from pkgsite.services.search_promise import NEAR_WORDS, Bound

MOST_FORMS = 6  # of a word, beside itself
MOST_BEGUN = 64  # words that begin like the last one, that it may stand for in names
MOST_COMPLETED = 8  # of these, that any unknown word may stand for anywhere
MOST_VALUES = 20  # of a filter, where what was typed only begins them
MOST_KEYS = 9
MOST_NAMES = 20  # that a misspelt one may mean
RARE = 2  # uses of a word that may be a slip
FAR_MORE = 10  # times the uses: then that word may have been meant
LAST = "\U0010ffff"

PACKAGES = "kind:package"  # a mark of them all

_PIECE = re.compile(r"[^\W_]+")

Choice = str | tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Understood:
    """What a search means.

    Attributes:
        readings: The ways to read its words, phrases among them.
        needed: What must fit besides: phrases and filters.
        unwanted: What must not.
        bounds: Of stars and of times.
        corrected: Words that the index does not know, and the likeliest that was meant.
        meant: What to type for what may have been meant; empty where all looks well.
        unknown: Filters whose value nothing here has.
        packages: How many there are.
        most: How many of them can have all of the words and fit the filters, at most.
        most_found: The same with those whose names only begin like the last word, or are near.
    """

    readings: tuple[Wanted, ...]
    needed: tuple[Expression, ...]
    unwanted: tuple[Expression, ...]
    bounds: tuple[Bound, ...]
    corrected: dict[str, str]
    meant: str
    unknown: tuple[Filter, ...]
    packages: int
    most: int
    most_found: int


def understand(session: Session, query: Query, *, prefixes: tuple[str, ...], now: datetime) -> Understood:
    """Return what a search means.

    One question to the list of words, one for those that begin like the last one, two for names that are near; where
    it does not know some words, one more, and three at most for each of these.
    """
    pairs = {first + second: at for at, (first, second) in enumerate(zip(query.words, query.words[1:], strict=False))}
    marks = _marks(query.filters)
    key = name_key(query.text) if not query.phrases else ""
    exact = [*query.words, *pairs, key, *(mark for _, mark in marks), PACKAGES]
    rows = _look_up(session, exact, query.words)
    uses = {row.word: row.uses for row in rows}
    unknown_words = [word for word in query.words if word not in uses]
    last = query.words[-1] if query.words and not query.phrases else ""
    begun = {
        word: _begun(session, word)
        for word in {*unknown_words, *([last] if len(last) >= SHORTEST_BEGINNING and not is_short(last) else [])}
    }
    instead, corrected, more = _instead(session, unknown_words, rows, begun)
    choices = [instead.get(word) or _forms(word, rows) for word in query.words]
    phrases: list[tuple[Choice, ...]] = [(phrase,) for phrase in query.phrases]
    keys = _keys(query, choices, corrected)
    beginning = last if len(last) >= SHORTEST_BEGINNING and last not in corrected else ""
    near = _near_names(session, key, prefixes) if key not in uses else ()
    is_begun = bool(beginning) and last not in uses
    ways = [tuple(choices)]
    ways += [(*choices[:at], (joined,), *choices[at + 2 :]) for joined, at in pairs.items() if joined in uses]
    main = Wanted((*choices, *phrases), keys, near, beginning, tuple(begun.get(beginning, ())), is_begun)
    readings = (main, *(Wanted((*way, *phrases), ()) for way in ways[1:]))
    needed, bounds, minus, unknown = _conditions(session, query.filters, marks, set(uses), now)
    most = _Most(uses | more, marks)
    return Understood(
        readings=readings if query.words or query.phrases else (),
        needed=(*(Phrase(phrase) if len(phrase) > 1 else Term(phrase[0]) for phrase in query.phrases), *needed),
        unwanted=(*(Phrase(some) if len(some) > 1 else Term(some[0]) for some in query.unwanted), *minus),
        bounds=bounds,
        corrected=corrected,
        meant=_meant(session, query, uses) if not corrected else "",
        unknown=unknown,
        packages=most.packages,
        most=most.with_all_words(ways),
        most_found=most.found(ways, beginning, begun.get(beginning, {}), len(near)),
    )


def corrected_text(text: str, corrected: dict[str, str]) -> str:
    """Return the typed words with the corrected ones in their places."""
    return _PIECE.sub(lambda piece: corrected.get(fold(piece.group()), piece.group()), text)


@dataclass(frozen=True, slots=True)
class _Row:
    word: str
    uses: int
    stem: str


class _Most:
    """How many packages can fit, at most, by in how many things words and marks of filters stand."""

    def __init__(self, uses: dict[str, int], marks: Sequence[tuple[Filter, str]]) -> None:
        self._uses = uses
        self.packages = uses.get(PACKAGES, 0)
        needed = [each for each in marks if not each[0].is_minus and each[0].field not in ONE_EACH]
        self._limit = min([self.packages, *(uses[text] for _, text in needed if text in uses)])

    def with_all_words(self, ways: Sequence[tuple[tuple[Choice, ...], ...]]) -> int:
        return min(self._limit, sum(min(map(self._any, way), default=self.packages) for way in ways))

    def found(
        self, ways: Sequence[tuple[tuple[Choice, ...], ...]], beginning: str, begun: dict[str, int], near: int
    ) -> int:
        """Add names that only begin like the last word, or are near. Short beginnings are not counted anywhere."""
        last = self.packages if is_short(beginning) else sum(begun.values())
        names = min([*map(self._any, ways[0][:-1]), last]) + near
        return min(self._limit, self.with_all_words(ways) + names)

    def _any(self, choices: tuple[Choice, ...]) -> int:
        """Return in how many things one of these may stand, each of them a word or words that follow each other."""
        words = [[choice] if isinstance(choice, str) else choice for choice in choices]
        return sum(min(self._uses.get(word, 0) for word in each) for each in words)


def _look_up(session: Session, exact: Collection[str], words: Sequence[str]) -> list[_Row]:
    """Return what the index knows of these words and of the other forms of some of them."""
    stems = [stem(word) for word in words]
    rows = session.execute(
        select(SearchWord.word, SearchWord.uses, SearchWord.stem).where(
            or_(SearchWord.word.in_(exact), SearchWord.stem.in_(stems))
        )
    )
    return [_Row(*row) for row in rows]


def _forms(word: str, rows: Iterable[_Row]) -> tuple[Choice, ...]:
    """Return a word and its most used other forms."""
    same = [row for row in rows if row.stem == stem(word) and row.word != word]
    same.sort(key=lambda row: (-row.uses, row.word))
    return (word, *[row.word for row in same[:MOST_FORMS]])


def _instead(
    session: Session, words: Sequence[str], rows: Iterable[_Row], begun: dict[str, dict[str, int]]
) -> tuple[dict[str, tuple[Choice, ...]], dict[str, str], dict[str, int]]:
    """Return what stands for words that the index does not know, which of them are corrected, to what, and all uses.

    Other forms of the word, words that begin like it, two words that make it up; if there are none, the nearest ones.
    """
    instead: dict[str, tuple[Choice, ...]] = {}
    corrected: dict[str, str] = {}
    if not words:
        return instead, corrected, {}
    halves_of = {word: [(word[:at], word[at:]) for at in range(2, len(word) - 1)] for word in words}
    uses = _uses(session, {part for pairs in halves_of.values() for pair in pairs for part in pair})
    for word in words:
        pairs = [pair for pair in halves_of[word] if pair[0] in uses and pair[1] in uses]
        best = max(pairs, key=lambda pair: (min(map(len, pair)), min(uses[part] for part in pair), pair), default=None)
        found = [*_forms(word, rows)[1:], *islice(begun[word], MOST_COMPLETED), *([best] if best else ())]
        if found:
            instead[word] = tuple(dict.fromkeys(found))
        elif slips_forgiven(word) and (likely := near_words(session, word)):
            instead[word] = tuple(other.word for other in likely)
            corrected[word] = likely[0].word
            uses |= {other.word: other.uses for other in likely}
    return instead, corrected, uses | {other: many for word in words for other, many in begun[word].items()}


def near_words(session: Session, word: str) -> list[Known]:
    """Return the words that a misspelt one most likely means.

    Those that begin or end like it are enough for a single slip; if there are none, those that share pieces with it.
    """
    most = slips_forgiven(word)
    found = nearest(word, _one_slip_away(session, word), most=most)
    if not found and most > 1:
        similar = engine_of(session).similar_words(session, word, (len(word) - 2, len(word) + 2))
        found = nearest(word, [Known(*each) for each in similar], most=most)
    return found


def _near_names(session: Session, key: str, prefixes: Iterable[str]) -> tuple[str, ...]:
    """Return words, most of them names, that are what was typed as one name, or a prefix and that, but for one slip."""
    if not slips_forgiven(key):
        return ()
    found: list[str] = []
    for prefix in ("", *(prefix for prefix in prefixes if not key.startswith(prefix))):
        near = nearest(prefix + key, _one_slip_away(session, key, prefix), most=1, limit=MOST_NAMES)
        found += [other.word for other in near]
    return tuple(found)


def _one_slip_away(session: Session, word: str, prefix: str = "") -> list[Known]:
    """Return all words that are a prefix and this word, but for one slip in the word; and others that are like it."""
    sizes = SearchWord.size.in_(range(len(prefix + word) - 1, len(prefix + word) + 2))
    columns = select(SearchWord.word, SearchWord.uses).where(sizes, SearchWord.word != word)
    alike = union(*(columns.where(*_alike(prefix, beginning, end)) for beginning, end in kept(word)))
    rows = session.execute(alike.order_by(desc("uses"), "word").limit(NEAR_WORDS))
    return [Known(row.word, row.uses) for row in rows]


def _alike(prefix: str, beginning: str, end: str) -> list[ColumnElement[bool]]:
    """Return the conditions of words that begin and end like this; the index is asked for the longer of both."""
    begins, ends = prefix + beginning, end[::-1]
    if len(beginning) >= len(end):
        return [_between(SearchWord.word, begins), SearchWord.word.endswith(end, autoescape=True)]
    return [_between(SearchWord.backwards, ends), SearchWord.backwards.endswith(begins[::-1], autoescape=True)]


def _between(column: InstrumentedAttribute[str], beginning: str) -> ColumnElement[bool]:
    """Return the condition of an index's stretch: what begins like this."""
    return and_(column >= beginning, column < beginning + LAST)


def _uses(session: Session, words: Collection[str]) -> dict[str, int]:
    rows = session.execute(select(SearchWord.word, SearchWord.uses).where(SearchWord.word.in_(words)))
    return {row.word: row.uses for row in rows}


def _begun(session: Session, beginning: str) -> dict[str, int]:
    """Return the most used words that begin like this, but for itself, with their uses."""
    rows = session.execute(
        select(SearchWord.word, SearchWord.uses)
        .where(_between(SearchWord.word, beginning), SearchWord.word != beginning, SearchWord.size > 0)
        .order_by(SearchWord.uses.desc(), SearchWord.word)
        .limit(MOST_BEGUN)
    )
    return {row.word: row.uses for row in rows}


def _keys(query: Query, choices: Sequence[tuple[Choice, ...]], corrected: dict[str, str]) -> tuple[str, ...]:
    """Return the typed words as one name, as they may have been meant."""
    if not corrected:
        text = " ".join([query.text, *(" ".join(phrase) for phrase in query.phrases)])
        return (name_key(text),)
    ways = [
        [one for one in some if isinstance(one, str)][:MOST_MEANT] if word in corrected else [word]
        for word, some in zip(query.words, choices, strict=True)
    ]
    return tuple("".join(way) for way, _ in zip(product(*ways), range(MOST_KEYS), strict=False))


def _meant(session: Session, query: Query, uses: dict[str, int]) -> str:
    """Return the typed words with a rare one replaced by one that is used far more; empty where there is none."""
    rarest = min((word for word in query.words if slips_forgiven(word)), key=lambda word: uses.get(word, 0), default="")
    if not rarest or not 0 < uses.get(rarest, 0) <= RARE:
        return ""
    near = nearest(rarest, _one_slip_away(session, rarest), most=1)
    likely = [other for other in near if other.uses >= FAR_MORE * uses[rarest]]
    if not likely or stem(likely[0].word) == stem(rarest):
        return ""
    return corrected_text(query.text, {rarest: likely[0].word})


def _marks(filters: Iterable[Filter]) -> list[tuple[Filter, str]]:
    """Return the filters that are marks of the index, each with the mark that its value makes."""
    found = []
    for each in filters:
        if each.field in {"stars", "updated"} or each.mark == "is:maintained":
            continue
        value = (canonical_licence(each.value) or each.value) if each.field == "licence" else each.value
        found.append((each, Filter(each.field, value).mark))
    return found


def _conditions(
    session: Session, filters: Iterable[Filter], marks: list[tuple[Filter, str]], known: set[str], now: datetime
) -> tuple[list[Expression], tuple[Bound, ...], list[Expression], tuple[Filter, ...]]:
    """Return what filters need, what bounds they set, what they don't want, and those that nothing here fits."""
    needed: list[Expression] = []
    minus: list[Expression] = []
    either: dict[str, list[Expression]] = {}
    unknown = []
    begun = _begun_marks(session, [text for _, text in marks if text not in known])
    for each, text in marks:
        values = [text] if text in known else begun.get(text, [])
        if not values:
            unknown.append(each)
        wanted = any_of([mark(value) for value in values or [text]])
        if each.is_minus:
            minus.append(wanted)
        elif each.field in ONE_EACH:
            either.setdefault(each.field, []).append(wanted)
        else:
            needed.append(wanted)
    needed += [any_of(several) for several in either.values()]
    bounds = tuple(bound for each in filters if (bound := bound_of(each, now)))
    return needed, bounds, minus, tuple(unknown)


def bound_of(condition: Filter, now: datetime) -> Bound | None:
    """Return the bound that a filter sets; None where it sets none."""
    if condition.field == "stars":
        stars = stars_range(condition.value)
        return Bound("stars", stars.least, stars.most, is_minus=condition.is_minus) if stars else None
    if condition.field == "updated":
        times = updated_range(condition.value, now)
        return Bound("touched_at", times.least, times.most, is_minus=condition.is_minus) if times else None
    if condition.mark == "is:maintained":
        since = int((now - RECENT).timestamp())
        return Bound("touched_at", since, is_living=True, is_minus=condition.is_minus)
    return None


def _begun_marks(session: Session, marks: Sequence[str]) -> dict[str, list[str]]:
    """Return, of these marks, those that begin others, with the most used of these."""
    found: dict[str, list[str]] = {}
    for text in marks:
        rows = session.scalars(
            select(SearchWord.word)
            .where(_between(SearchWord.word, text))
            .order_by(SearchWord.uses.desc(), SearchWord.word)
            .limit(MOST_VALUES)
        ).all()
        if rows:
            found[text] = list(rows)
    return found
