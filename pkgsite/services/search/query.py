"""Search over packages, grids, categories and people. The order is that of `rules.search_ranking`."""

from __future__ import annotations

from bisect import bisect
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby

from sqlalchemy.orm import Session

from pkgsite.rules.search.expressions import AndNot, Expression, conjunction, disjunction, keyword
from pkgsite.rules.search.query import Filter, ParsedQuery, parse_query
from pkgsite.rules.search.ranking import (
    BROAD_MATCH_TIERS,
    FILTERS_ONLY_EXPLANATION,
    SUBSET_TIERS,
    TIER_EXPLANATIONS,
    Kind,
    Tier,
    any_word,
    first_rank_key,
    is_indexed_prefix,
    item_id_from_rank_key,
    kind_from_rank_key,
    tier_expressions,
)
from pkgsite.rules.search.tokenizer import name_words, split_words
from pkgsite.services.search.analysis import QueryPlan, apply_corrections, plan_query
from pkgsite.services.search.backend import RankKeyRange, SubQuery
from pkgsite.services.search.backends import backend_for
from pkgsite.services.search.facets import Facet, ResultSet, build_facets
from pkgsite.services.search.hits import (
    CategoryHit,
    Hit,
    PersonHit,
    load_categories,
    load_grids,
    load_packages,
    load_people,
)

MAX_RESULTS = 1000  # results that are ranked and counted; more are "1,000+"
PAGE_SIZE = 20
SIDEBAR_SIZE = 6  # grids, categories and people each that are shown beside packages

# Things: so few are all looked at, rather than the best known of all things until enough fit. With bounds, of which the
# index knows nothing, that would go on for longer.
RARE_THRESHOLD, RARE_THRESHOLD_WITH_RANGES = 10_000, 40_000
RARE_TIERS = {Tier.NAME, Tier.BARE_NAME, Tier.ALL_IN_NAME, Tier.SIMILAR_NAME}  # names hold few words
STAGE_TIERS = (Tier.ALL_IN_NAME, Tier.SIMILAR_NAME, Tier.NAME_AND_TEXT)  # looked for once the tiers before leave room

_FILTERED = 0  # the number of what only filters ask for


@dataclass(frozen=True, slots=True)
class RankExplanation:
    """Why a hit is where it is.

    Attributes:
        tier_text: How it fits the words.
        matched_words: For each part of it that holds some of them, the part's name and these words.
    """

    tier_text: str
    matched_words: tuple[tuple[str, tuple[str, ...]], ...]


@dataclass(frozen=True, slots=True)
class SearchResults:
    """What a search found.

    Attributes:
        query: What was typed, understood.
        package_count: A page of them.
        count: How many packages there are; past a thousand, a thousand.
        is_exact: Whether there are not more.
        corrections: What was looked for instead of the typed words; empty where these are known.
        suggestion: What may have been meant; empty where all looks well.
        is_partial: Whether nothing had all words, so that things with some of them are shown.
        explanations: Why, for each package of the page.
    """

    query: ParsedQuery
    offset: int
    packages: tuple[Hit, ...] = ()
    count: int = 0
    is_exact: bool = True
    grids: tuple[Hit, ...] = ()
    categories: tuple[CategoryHit, ...] = ()
    people: tuple[PersonHit, ...] = ()
    facets: tuple[Facet, ...] = ()
    corrected: str = ""
    suggestion: str = ""
    is_partial: bool = False
    unmatched_filters: tuple[Filter, ...] = ()
    explanations: tuple[RankExplanation, ...] = ()

    @property
    def is_empty(self) -> bool:
        return not (self.count or self.grids or self.categories or self.people)

    @property
    def is_sampled(self) -> bool:
        """Whether facets are counted among the first results alone."""
        return any(not one.is_exact and one.count < self.count for facet in self.facets for one in facet.values)

    @property
    def previous_offset(self) -> int | None:
        """Where the page before begins; None where this is the first."""
        return max(0, self.offset - PAGE_SIZE) if self.offset else None

    @property
    def next_offset(self) -> int | None:
        """Where the next page begins; None where this is the last."""
        end = self.offset + PAGE_SIZE
        return end if end < self.count else None


@dataclass(frozen=True, slots=True)
class _RankedMatches:
    """What was found of some kinds, best first, with its tiers."""

    scope: ResultSet
    tiers: dict[int, int]

    @property
    def rank_keys(self) -> Sequence[int]:
        return self.scope.rank_keys


def search(
    session: Session,
    text: str,
    *,
    ignored_prefixes: tuple[str, ...],
    now: datetime,
    offset: int = 0,
    with_facets: bool = True,
) -> SearchResults:
    """Return what fits what was typed; nothing for what says nothing.

    The number of questions does not depend on what there is, only on how many words are unknown, which kinds fit,
    whether the best tiers alone are all that is ranked, and whether there is more than that.
    """
    query = parse_query(text)
    if query.is_empty:
        return SearchResults(query, offset)
    understood = plan_query(session, query, ignored_prefixes=ignored_prefixes, now=now)
    found = _rank(session, understood, ignored_prefixes, _rank_key_range(Kind.PACKAGE))
    others = [] if query.filters else _find_other_kinds(session, understood, ignored_prefixes)
    user_ids = [
        item_id_from_rank_key(rank_key) for rank_key, _ in others if kind_from_rank_key(rank_key) is Kind.PERSON
    ][:SIDEBAR_SIZE]
    people = () if query.filters else load_people(session, query, user_ids)
    is_partial = not found.rank_keys and not others and not people and len(query.words) + len(query.phrases) > 1
    if is_partial:
        found = _rank(session, understood, ignored_prefixes, _rank_key_range(Kind.PACKAGE), is_partial=True)
    page_keys = found.rank_keys[offset : offset + PAGE_SIZE]
    packages = load_packages(session, [(rank_key, found.tiers[rank_key]) for rank_key in page_keys], now=now)
    return SearchResults(
        query=query,
        offset=offset,
        packages=tuple(packages),
        count=len(found.rank_keys),
        is_exact=found.scope.is_complete,
        grids=tuple(
            load_grids(session, [match for match in others if kind_from_rank_key(match[0]) is Kind.GRID][:SIDEBAR_SIZE])
        ),
        categories=load_categories(
            session,
            [
                item_id_from_rank_key(rank_key)
                for rank_key, _ in others
                if kind_from_rank_key(rank_key) is Kind.CATEGORY
            ][:SIDEBAR_SIZE],
        ),
        people=people,
        facets=tuple(build_facets(session, query, found.scope, now=now)) if with_facets and found.rank_keys else (),
        corrected=apply_corrections(query.text, understood.corrections) if understood.corrections else "",
        suggestion=understood.suggestion,
        is_partial=is_partial and bool(found.rank_keys),
        unmatched_filters=understood.unmatched_filters,
        explanations=tuple(explain(hit, understood, ignored_prefixes) for hit in packages),
    )


def search_mixed(
    session: Session, text: str, *, ignored_prefixes: tuple[str, ...], now: datetime, limit: int
) -> list[Hit]:
    """Return packages and grids in one list, best first; of those that fit alike, grids come first."""
    query = parse_query(text)
    if query.is_empty:
        return []
    understood = plan_query(session, query, ignored_prefixes=ignored_prefixes, now=now)
    packages = _rank(session, understood, ignored_prefixes, _rank_key_range(Kind.PACKAGE))
    found = [(rank_key, packages.tiers[rank_key]) for rank_key in packages.rank_keys[:limit]]
    if not query.filters:
        found += [
            match
            for match in _find_other_kinds(session, understood, ignored_prefixes)
            if kind_from_rank_key(match[0]) is Kind.GRID
        ]
    found.sort(key=lambda match: (match[1], kind_from_rank_key(match[0]) is not Kind.GRID, match[0]))
    page_keys = found[:limit]
    hits = {
        (Kind.PACKAGE, hit.id): hit
        for hit in load_packages(
            session, [match for match in page_keys if kind_from_rank_key(match[0]) is Kind.PACKAGE], now=now
        )
    } | {
        (Kind.GRID, hit.id): hit
        for hit in load_grids(session, [match for match in page_keys if kind_from_rank_key(match[0]) is Kind.GRID])
    }
    return [
        hits[key]
        for rank_key, _ in page_keys
        if (key := (kind_from_rank_key(rank_key), item_id_from_rank_key(rank_key))) in hits
    ]


def _rank_key_range(kind: Kind, last: Kind | None = None, limit: int | None = None) -> RankKeyRange:
    return RankKeyRange(first_rank_key(kind), first_rank_key((last or kind) + 1), limit or MAX_RESULTS + 1)


def _rank(
    session: Session,
    plan: QueryPlan,
    ignored_prefixes: tuple[str, ...],
    span: RankKeyRange,
    *,
    is_partial: bool = False,
    is_single_stage: bool = False,
) -> _RankedMatches:
    """Return what fits, best first; `is_single_stage` in a single question, where little is expected."""
    subqueries = _subqueries(plan, ignored_prefixes, is_partial=is_partial)
    best: dict[int, int] = {}
    is_complete = True
    for stage in [subqueries] if is_single_stage else _group_by_stage(subqueries):
        rows = backend_for(session).search(session, stage, span)
        for number, rank_key in rows:
            best[rank_key] = min(number, best.get(rank_key, number))
        sizes = Counter(number for number, _ in rows)
        is_complete = is_complete and all(size < span.limit for size in sizes.values())
        if len(best) >= span.limit:
            break
    rank_keys = sorted(best, key=lambda rank_key: (best[rank_key], rank_key))
    expression = disjunction([one.expression for one in subqueries if one.key not in SUBSET_TIERS])
    page_keys = rank_keys[: span.limit - 1]
    is_complete = is_complete and len(rank_keys) < span.limit
    upper_bound = plan.package_count if is_partial else plan.loose_upper_bound
    return _RankedMatches(ResultSet(page_keys, is_complete, upper_bound, expression, plan.ranges, span), best)


def _subqueries(plan: QueryPlan, ignored_prefixes: tuple[str, ...], *, is_partial: bool) -> list[SubQuery]:
    """Return what is looked for, best first."""
    if not plan.interpretations:
        match_all = _with_conditions(None, plan)
        return [SubQuery(_FILTERED, match_all, plan.ranges, is_rare=_is_rare(plan, _FILTERED))]
    if is_partial:
        return [SubQuery(Tier.SOME_WORDS, _with_conditions(any_word(plan.interpretations), plan), plan.ranges)]
    return [
        SubQuery(
            tier,
            _with_conditions(expression, plan),
            plan.ranges,
            is_subset=tier in BROAD_MATCH_TIERS,
            is_rare=_is_rare(plan, tier),
        )
        for tier, expression in tier_expressions(plan.interpretations, ignored_prefixes)
    ]


def _is_rare(plan: QueryPlan, tier: int) -> bool:
    """Tell whether few things fit a tier; otherwise the database finds out."""
    if tier is Tier.NAME_WORD_PREFIX:
        return not any(is_indexed_prefix(interpretation.last_prefix) for interpretation in plan.interpretations)
    if tier in (Tier.ANYWHERE, _FILTERED):
        return plan.upper_bound < min(plan.package_count, RARE_THRESHOLD_WITH_RANGES if plan.ranges else RARE_THRESHOLD)
    return tier in RARE_TIERS


def _group_by_stage(subqueries: list[SubQuery]) -> Iterator[list[SubQuery]]:
    """Return what is looked for, in parts: where the first fill all that is ranked, the rest need not be looked for."""
    for _, batch in groupby(subqueries, key=lambda one: bisect(STAGE_TIERS, one.key)):
        yield list(batch)


def _with_conditions(expression: Expression | None, plan: QueryPlan) -> Expression:
    """Return an expression with all that must fit besides, and without what must not."""
    parts = [*([expression] if expression else []), *plan.required]
    match_all = conjunction(parts) if parts else keyword("kind:", begins=True)
    return AndNot(match_all, plan.excluded) if plan.excluded else match_all


def _find_other_kinds(session: Session, plan: QueryPlan, ignored_prefixes: tuple[str, ...]) -> list[tuple[int, int]]:
    """Return places and tiers of grids, categories and people that fit, best first."""
    found = _rank(
        session, plan, ignored_prefixes, _rank_key_range(Kind.GRID, Kind.PERSON, limit=200), is_single_stage=True
    )
    return [(rank_key, found.tiers[rank_key]) for rank_key in found.rank_keys]


def explain(hit: Hit, plan: QueryPlan, ignored_prefixes: tuple[str, ...]) -> RankExplanation:
    """Return why a package is where it is."""
    query_words = {
        word
        for interpretation in plan.interpretations
        for choices in interpretation.words
        for choice in choices
        for word in ([choice] if isinstance(choice, str) else choice)
    }
    beginnings = tuple(
        interpretation.last_prefix for interpretation in plan.interpretations if interpretation.last_prefix
    )
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
        prefixes = beginnings if part == "name" else ()
        matched = dict.fromkeys(word for word in words if word in query_words or word.startswith(prefixes or ("\0",)))
        if matched:
            found.append((part, tuple(matched)))
    tier = (
        FILTERS_ONLY_EXPLANATION
        if hit.tier == _FILTERED
        else TIER_EXPLANATIONS[Tier(hit.tier)].format(prefix=" or ".join(ignored_prefixes))
    )
    return RankExplanation(tier, tuple(found))
