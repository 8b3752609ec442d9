"""Search over packages, grids, categories and people. The order is that of `rules.search_ranking`."""

from __future__ import annotations

from bisect import bisect
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby

from sqlalchemy.orm import Session

from pkgsite.rules.search_expressions import Expression, Without, all_of, any_of, mark
from pkgsite.rules.search_query import Filter, Query, read_query
from pkgsite.rules.search_ranking import (
    NARROW,
    NO_WORDS,
    REASONS,
    WITHIN,
    Kind,
    Tier,
    first_place,
    is_short,
    item_of,
    kind_of,
    some_words,
    tiers,
)
from pkgsite.rules.search_words import name_words, split_words
from pkgsite.services.search_engines import engine_of
from pkgsite.services.search_facets import Facet, Scope, facets
from pkgsite.services.search_hits import (
    CategoryHit,
    Hit,
    PersonHit,
    load_categories,
    load_grids,
    load_packages,
    load_people,
)
from pkgsite.services.search_promise import Sought, Span
from pkgsite.services.search_understanding import Understood, corrected_text, understand

COUNTED = 1000  # results that are ranked and counted; more are "1,000+"
PAGE = 20
BESIDE = 6  # grids, categories and people each that are shown beside packages

# Things: so few are all looked at, rather than the best known of all things until enough fit. With bounds, of which the
# index knows nothing, that would go on for longer.
RARE, RARE_WITHIN_BOUNDS = 10_000, 40_000
RARE_TIERS = {Tier.NAME, Tier.BARE_NAME, Tier.WORDS_IN_NAME, Tier.NEAR_NAME}  # names hold few words
STAGES = (Tier.WORDS_IN_NAME, Tier.NEAR_NAME, Tier.NAME_AND_TEXT)  # looked for once the tiers before leave room

_FILTERED = 0  # the number of what only filters ask for


@dataclass(frozen=True, slots=True)
class Why:
    """Why a hit is where it is.

    Attributes:
        tier: How it fits the words.
        found: For each part of it that holds some of them, the part's name and these words.
    """

    tier: str
    found: tuple[tuple[str, tuple[str, ...]], ...]


@dataclass(frozen=True, slots=True)
class Results:
    """What a search found.

    Attributes:
        query: What was typed, understood.
        packages: A page of them.
        count: How many packages there are; past a thousand, a thousand.
        is_exact: Whether there are not more.
        corrected: What was looked for instead of the typed words; empty where these are known.
        meant: What may have been meant; empty where all looks well.
        is_partial: Whether nothing had all words, so that things with some of them are shown.
        reasons: Why, for each package of the page.
    """

    query: Query
    offset: int
    packages: tuple[Hit, ...] = ()
    count: int = 0
    is_exact: bool = True
    grids: tuple[Hit, ...] = ()
    categories: tuple[CategoryHit, ...] = ()
    people: tuple[PersonHit, ...] = ()
    facets: tuple[Facet, ...] = ()
    corrected: str = ""
    meant: str = ""
    is_partial: bool = False
    unknown: tuple[Filter, ...] = ()
    reasons: tuple[Why, ...] = ()

    @property
    def is_nothing(self) -> bool:
        return not (self.count or self.grids or self.categories or self.people)

    @property
    def is_sampled(self) -> bool:
        """Whether facets are counted among the first results alone."""
        return any(not one.is_exact and one.count < self.count for facet in self.facets for one in facet.values)

    @property
    def less_offset(self) -> int | None:
        """Where the page before begins; None where this is the first."""
        return max(0, self.offset - PAGE) if self.offset else None

    @property
    def more_offset(self) -> int | None:
        """Where the next page begins; None where this is the last."""
        end = self.offset + PAGE
        return end if end < self.count else None


@dataclass(frozen=True, slots=True)
class _Found:
    """What was found of some kinds, best first, with its tiers."""

    scope: Scope
    tiers: dict[int, int]

    @property
    def places(self) -> Sequence[int]:
        return self.scope.places


def search(
    session: Session, typed: str, *, prefixes: tuple[str, ...], now: datetime, offset: int = 0, with_facets: bool = True
) -> Results:
    """Return what fits what was typed; nothing for what says nothing.

    The number of questions does not depend on what there is, only on how many words are unknown, which kinds fit,
    whether the best tiers alone are all that is ranked, and whether there is more than that.
    """
    query = read_query(typed)
    if query.is_empty:
        return Results(query, offset)
    understood = understand(session, query, prefixes=prefixes, now=now)
    found = _find(session, understood, prefixes, _span(Kind.PACKAGE))
    others = [] if query.filters else _beside(session, understood, prefixes)
    accounts = [item_of(at) for at, _ in others if kind_of(at) is Kind.PERSON][:BESIDE]
    people = () if query.filters else load_people(session, query, accounts)
    is_partial = not found.places and not others and not people and len(query.words) + len(query.phrases) > 1
    if is_partial:
        found = _find(session, understood, prefixes, _span(Kind.PACKAGE), is_partial=True)
    shown = found.places[offset : offset + PAGE]
    packages = load_packages(session, [(at, found.tiers[at]) for at in shown], now=now)
    return Results(
        query=query,
        offset=offset,
        packages=tuple(packages),
        count=len(found.places),
        is_exact=found.scope.is_whole,
        grids=tuple(load_grids(session, [each for each in others if kind_of(each[0]) is Kind.GRID][:BESIDE])),
        categories=load_categories(session, [item_of(at) for at, _ in others if kind_of(at) is Kind.CATEGORY][:BESIDE]),
        people=people,
        facets=tuple(facets(session, query, found.scope, now=now)) if with_facets and found.places else (),
        corrected=corrected_text(query.text, understood.corrected) if understood.corrected else "",
        meant=understood.meant,
        is_partial=is_partial and bool(found.places),
        unknown=understood.unknown,
        reasons=tuple(why(hit, understood, prefixes) for hit in packages),
    )


def search_mixed(session: Session, typed: str, *, prefixes: tuple[str, ...], now: datetime, limit: int) -> list[Hit]:
    """Return packages and grids in one list, best first; of those that fit alike, grids come first."""
    query = read_query(typed)
    if query.is_empty:
        return []
    understood = understand(session, query, prefixes=prefixes, now=now)
    packages = _find(session, understood, prefixes, _span(Kind.PACKAGE))
    found = [(at, packages.tiers[at]) for at in packages.places[:limit]]
    if not query.filters:
        found += [each for each in _beside(session, understood, prefixes) if kind_of(each[0]) is Kind.GRID]
    found.sort(key=lambda each: (each[1], kind_of(each[0]) is not Kind.GRID, each[0]))
    shown = found[:limit]
    hits = {
        (Kind.PACKAGE, hit.id): hit
        for hit in load_packages(session, [each for each in shown if kind_of(each[0]) is Kind.PACKAGE], now=now)
    } | {
        (Kind.GRID, hit.id): hit
        for hit in load_grids(session, [each for each in shown if kind_of(each[0]) is Kind.GRID])
    }
    return [hits[key] for at, _ in shown if (key := (kind_of(at), item_of(at))) in hits]


def _span(kind: Kind, last: Kind | None = None, limit: int | None = None) -> Span:
    return Span(first_place(kind), first_place((last or kind) + 1), limit or COUNTED + 1)


def _find(
    session: Session,
    understood: Understood,
    prefixes: tuple[str, ...],
    span: Span,
    *,
    is_partial: bool = False,
    at_once: bool = False,
) -> _Found:
    """Return what fits, best first; `at_once` in a single question, where little is expected."""
    sought = _sought(understood, prefixes, is_partial=is_partial)
    best: dict[int, int] = {}
    is_whole = True
    for stage in [sought] if at_once else _stages(sought):
        rows = engine_of(session).find(session, stage, span)
        for number, at in rows:
            best[at] = min(number, best.get(at, number))
        sizes = Counter(number for number, _ in rows)
        is_whole = is_whole and all(size < span.limit for size in sizes.values())
        if len(best) >= span.limit:
            break
    places = sorted(best, key=lambda at: (best[at], at))
    everything = any_of([one.expression for one in sought if one.number not in NARROW])
    shown = places[: span.limit - 1]
    is_whole = is_whole and len(places) < span.limit
    most = understood.packages if is_partial else understood.most_found
    return _Found(Scope(shown, is_whole, most, everything, understood.bounds, span), best)


def _sought(understood: Understood, prefixes: tuple[str, ...], *, is_partial: bool) -> list[Sought]:
    """Return what is looked for, best first."""
    if not understood.readings:
        whole = _limited(None, understood)
        return [Sought(_FILTERED, whole, understood.bounds, is_rare=_is_rare(understood, _FILTERED))]
    if is_partial:
        return [Sought(Tier.SOME_WORDS, _limited(some_words(understood.readings), understood), understood.bounds)]
    return [
        Sought(
            tier,
            _limited(expression, understood),
            understood.bounds,
            is_within=tier in WITHIN,
            is_rare=_is_rare(understood, tier),
        )
        for tier, expression in tiers(understood.readings, prefixes)
    ]


def _is_rare(understood: Understood, tier: int) -> bool:
    """Tell whether few things fit a tier; otherwise the database finds out."""
    if tier is Tier.NAME_WORD_BEGINS:
        return not any(is_short(reading.beginning) for reading in understood.readings)
    if tier in (Tier.ANYWHERE, _FILTERED):
        return understood.most < min(understood.packages, RARE_WITHIN_BOUNDS if understood.bounds else RARE)
    return tier in RARE_TIERS


def _stages(sought: list[Sought]) -> Iterator[list[Sought]]:
    """Return what is looked for, in parts: where the first fill all that is ranked, the rest need not be looked for."""
    for _, some in groupby(sought, key=lambda one: bisect(STAGES, one.number)):
        yield list(some)


def _limited(expression: Expression | None, understood: Understood) -> Expression:
    """Return an expression with all that must fit besides, and without what must not."""
    parts = [*([expression] if expression else []), *understood.needed]
    whole = all_of(parts) if parts else mark("kind:", begins=True)
    return Without(whole, understood.unwanted) if understood.unwanted else whole


def _beside(session: Session, understood: Understood, prefixes: tuple[str, ...]) -> list[tuple[int, int]]:
    """Return places and tiers of grids, categories and people that fit, best first."""
    found = _find(session, understood, prefixes, _span(Kind.GRID, Kind.PERSON, limit=200), at_once=True)
    return [(at, found.tiers[at]) for at in found.places]


def why(hit: Hit, understood: Understood, prefixes: tuple[str, ...]) -> Why:
    """Return why a package is where it is."""
    wanted = {
        word
        for reading in understood.readings
        for choices in reading.words
        for choice in choices
        for word in ([choice] if isinstance(choice, str) else choice)
    }
    beginnings = tuple(reading.beginning for reading in understood.readings if reading.beginning)
    parts = (
        ("name", [*split_words(hit.title), *name_words(hit.title), *split_words(hit.slug)]),
        ("description", split_words(hit.description)),
        ("topics", [word for topic in hit.topics for word in split_words(topic)]),
        ("category", split_words(hit.category)),
        ("grids", [word for title in hit.grids for word in split_words(title)]),
        ("people", [word for person in hit.participants for word in split_words(person)]),
    )
    found = []
    for part, words in parts:
        begun = beginnings if part == "name" else ()
        held = dict.fromkeys(word for word in words if word in wanted or word.startswith(begun or ("\0",)))
        if held:
            found.append((part, tuple(held)))
    tier = NO_WORDS if hit.tier == _FILTERED else REASONS[Tier(hit.tier)].format(prefix=" or ".join(prefixes))
    return Why(tier, tuple(found))
