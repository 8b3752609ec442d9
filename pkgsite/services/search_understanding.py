"""What a search means, by the words that the index knows.

Each word is understood before anything is looked for, whatever the filters: so a filter that is added to a search only
ever narrows it.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import product

from sqlalchemy import and_, or_, select
from sqlalchemy.orm import Session

from pkgsite.models import SearchWord
from pkgsite.rules.licences import canonical_licence
from pkgsite.rules.search_expressions import Expression, Phrase, Term, any_of, mark
from pkgsite.rules.search_query import ONE_EACH, Filter, Query, stars_range, updated_range
from pkgsite.rules.search_ranking import RECENT, Wanted
from pkgsite.rules.search_words import SHORTEST_BEGINNING, fold, mark_value, name_key, stem
from pkgsite.rules.spelling import MOST_MEANT, Known, halves, nearest, slips_forgiven
from pkgsite.services.search_engines import engine_of
from pkgsite.services.search_promise import NEAR_WORDS, Bound

MOST_FORMS = 6  # of a word, beside itself
MOST_BEGUN = 8  # words that a begun one may stand for
MOST_VALUES = 20  # of a filter, where what was typed only begins them
MOST_KEYS = 9
MOST_NAMES = 20  # that a misspelt one may mean
RARE = 2  # uses of a word that may be a slip
FAR_MORE = 10  # times the uses: then that word may have been meant
LAST = "\U0010ffff"

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
        most: How many things can have all of the words, at most; None where that is not known.
    """

    readings: tuple[Wanted, ...]
    needed: tuple[Expression, ...]
    unwanted: tuple[Expression, ...]
    bounds: tuple[Bound, ...]
    corrected: dict[str, str]
    meant: str
    unknown: tuple[Filter, ...]
    most: int | None


def understand(session: Session, query: Query, *, prefixes: tuple[str, ...], now: datetime) -> Understood:
    """Return what a search means.

    One question to the list of words; where it does not know some, two more, and three at most for each of these;
    and one or two for names that are near.
    """
    pairs = {first + second: at for at, (first, second) in enumerate(zip(query.words, query.words[1:], strict=False))}
    marks = _marks(query.filters)
    key = name_key(query.text) if not query.phrases else ""
    rows = _look_up(session, [*query.words, *pairs, key, *(mark for _, mark in marks)], query.words)
    uses = {row.word: row.uses for row in rows}
    unknown_words = [word for word in query.words if word not in uses]
    instead, corrected, more = _instead(session, unknown_words, rows)
    choices = [instead.get(word) or _forms(word, rows) for word in query.words]
    phrases: list[tuple[Choice, ...]] = [(phrase,) for phrase in query.phrases]
    keys = _keys(query, choices, corrected)
    last = query.words[-1] if query.words and not query.phrases and query.words[-1] not in corrected else ""
    beginning = last if len(last) >= SHORTEST_BEGINNING else ""
    near = _near_names(session, key, prefixes) if key not in uses else ()
    is_begun = bool(beginning) and last not in uses
    readings = [Wanted((*choices, *phrases), keys, near, beginning, is_begun)]
    for joined, at in pairs.items():
        if joined in uses:
            words = (*choices[:at], (joined,), *choices[at + 2 :], *phrases)
            readings.append(Wanted(words, ()))
    needed, bounds, minus, unknown = _conditions(session, query.filters, marks, set(uses), now)
    return Understood(
        readings=tuple(readings) if query.words or query.phrases else (),
        needed=(*(Phrase(phrase) if len(phrase) > 1 else Term(phrase[0]) for phrase in query.phrases), *needed),
        unwanted=(*(Phrase(some) if len(some) > 1 else Term(some[0]) for some in query.unwanted), *minus),
        bounds=bounds,
        corrected=corrected,
        meant=_meant(session, query, uses) if not corrected else "",
        unknown=unknown,
        most=_most(choices, marks, uses | more),
    )


def corrected_text(text: str, corrected: dict[str, str]) -> str:
    """Return the typed words with the corrected ones in their places."""
    return _PIECE.sub(lambda piece: corrected.get(fold(piece.group()), piece.group()), text)


@dataclass(frozen=True, slots=True)
class _Row:
    word: str
    uses: int
    stem: str


def _most(
    choices: Sequence[tuple[Choice, ...]], marks: Sequence[tuple[Filter, str]], uses: dict[str, int]
) -> int | None:
    """Return how many things can have a choice for each word and fit each filter, at most; None where none is."""

    def most(choice: Choice) -> int:
        return min(uses.get(word, 0) for word in ([choice] if isinstance(choice, str) else choice))

    needed = [uses[text] for each, text in marks if text in uses and not each.is_minus and each.field not in ONE_EACH]
    return min([*(sum(map(most, some)) for some in choices), *needed], default=None)


def _look_up(session: Session, exact: Collection[str], words: Sequence[str]) -> list[_Row]:
    """Return what the index knows of these words and of the other forms of some of them."""
    if not exact:
        return []
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
    session: Session, words: Sequence[str], rows: Iterable[_Row]
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
    begun = _begun(session, words)
    for word in words:
        pairs = [pair for pair in halves_of[word] if pair[0] in uses and pair[1] in uses]
        best = max(pairs, key=lambda pair: (min(map(len, pair)), min(uses[part] for part in pair), pair), default=None)
        found = [*_forms(word, rows)[1:], *begun.get(word, ()), *([best] if best else ())]
        if found:
            instead[word] = tuple(dict.fromkeys(found))
        elif slips_forgiven(word) and (likely := near_words(session, word)):
            instead[word] = tuple(other.word for other in likely)
            corrected[word] = likely[0].word
            uses |= {other.word: other.uses for other in likely}
    return instead, corrected, uses | {other: many for some in begun.values() for other, many in some.items()}


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
    """Return what begins like a prefix and this word, or ends like the word: all that is one slip away, and more."""
    beginning, end = halves(word)
    backwards = end[::-1]
    sizes = range(len(prefix + word) - 1, len(prefix + word) + 2)
    close = [
        and_(SearchWord.size == size, column >= piece, column < piece + LAST)
        for size in sizes
        for column, piece in ((SearchWord.word, prefix + beginning), (SearchWord.backwards, backwards))
    ]
    rows = session.execute(
        select(SearchWord.word, SearchWord.uses)
        .where(or_(*close), SearchWord.word != word)
        .order_by(SearchWord.uses.desc(), SearchWord.word)
        .limit(NEAR_WORDS)
    )
    return [Known(row.word, row.uses) for row in rows]


def _uses(session: Session, words: Collection[str]) -> dict[str, int]:
    rows = session.execute(select(SearchWord.word, SearchWord.uses).where(SearchWord.word.in_(words)))
    return {row.word: row.uses for row in rows}


def _begun(session: Session, words: Sequence[str]) -> dict[str, dict[str, int]]:
    """Return, of these words, those that begin others, with the most used of these and their uses."""
    found: dict[str, dict[str, int]] = {}
    for word in words:
        rows = session.execute(
            select(SearchWord.word, SearchWord.uses)
            .where(SearchWord.word >= word, SearchWord.word < word + LAST, SearchWord.size > 0)
            .order_by(SearchWord.uses.desc(), SearchWord.word)
            .limit(MOST_BEGUN)
        ).all()
        if rows:
            found[word] = {row.word: row.uses for row in rows}
    return found


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
    likely = [other for other in near_words(session, rarest) if other.uses >= FAR_MORE * uses[rarest]]
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
        found.append((each, f"{each.field}:{mark_value(value)}"))
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
            .where(SearchWord.word >= text, SearchWord.word < text + LAST)
            .order_by(SearchWord.uses.desc(), SearchWord.word)
            .limit(MOST_VALUES)
        ).all()
        if rows:
            found[text] = list(rows)
    return found
