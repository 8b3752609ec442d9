"""Search over packages, grids, categories and people. The ranking is defined in `rules.search.ranking`."""

from __future__ import annotations

import math
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
    Interpretation,
    Kind,
    Tier,
    first_rank_key,
    is_indexed_prefix,
    partial_expressions,
    tier_expressions,
)
from pkgsite.rules.search.tokenizer import name_words, split_words
from pkgsite.rules.search.vocabulary import Synonyms
from pkgsite.services.search.analysis import QueryPlan, apply_corrections, plan_query
from pkgsite.services.search.backend import RankKeyRange, SubQuery
from pkgsite.services.search.backends import backend_for
from pkgsite.services.search.facets import Facet, ResultSet, build_facets
from pkgsite.services.search.hits import (
    CategoryHit,
    Hit,
    Match,
    PersonHit,
    load_categories,
    load_grids,
    load_packages,
    load_people,
)

MAX_RESULTS = 1000  # packages that are ranked and counted; a larger count is shown as "1,000+"
PAGE_SIZE = 20
SIDEBAR_SIZE = 6  # grids, categories and people each that are shown with the packages

# With fewer matches than this, all of them are read, instead of all items in ranking order until enough match. With
# ranges, which the full-text index doesn't contain, the latter would have to read more items.
RARE_THRESHOLD, RARE_THRESHOLD_WITH_RANGES = 10_000, 40_000
RARE_TIERS = {Tier.NAME, Tier.BARE_NAME, Tier.ALL_IN_NAME, Tier.SIMILAR_NAME}  # names have few words
# Each of these tiers starts a stage, which is only searched if the stages before it have too few matches.
PARTIAL_STAGE_SIZE = 16  # subqueries of partial matches in one statement
STAGE_TIERS = (Tier.ALL_IN_NAME, Tier.SIMILAR_NAME, Tier.NAME_AND_TEXT)

_FILTERS_ONLY = 0  # key of the only subquery of a query without words, used instead of a tier


@dataclass(frozen=True, slots=True)
class RankExplanation:
    """Why a package is ranked where it is.

    Attributes:
        tier_text: Description of its tier.
        matched_words: Name and matched words of each part of the package that contains any.
    """

    tier_text: str
    matched_words: tuple[tuple[str, tuple[str, ...]], ...]


@dataclass(frozen=True, slots=True)
class SearchResults:
    """A page of search results.

    Attributes:
        query: The parsed query.
        offset: Number of packages before this page.
        packages: The packages of this page.
        count: Number of matching packages, at most `MAX_RESULTS`.
        is_exact: Whether `count` is exact.
        corrected: The corrected words that were searched for; empty if nothing was corrected.
        suggestion: A query to suggest ("did you mean"); empty if there is none.
        is_partial: Whether no item contains all words, so that these packages contain only some of them.
        unmatched_filters: Filters whose value no item has.
        explanations: Why each package of this page is ranked where it is.
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
        """Whether facets are counted over the ranked packages only, not over all matches."""
        return any(not one.is_exact and one.count < self.count for facet in self.facets for one in facet.values)

    @property
    def previous_offset(self) -> int | None:
        """The offset of the previous page; None on the first page."""
        return max(0, self.offset - PAGE_SIZE) if self.offset else None

    @property
    def next_offset(self) -> int | None:
        """The offset of the next page; None on the last page."""
        end = self.offset + PAGE_SIZE
        return end if end < self.count else None


@dataclass(frozen=True, slots=True)
class _RankedMatches:
    """The matches of a search, best first, and the best tier of each by its rank key."""

    result_set: ResultSet
    tiers: dict[int, int]

    @property
    def count(self) -> int:
        return len(self.result_set.rank_keys)

    def slice(self, start: int, end: int) -> list[Match]:
        return [Match(key, min(self.tiers[key], int(Tier.SOME_WORDS))) for key in self.result_set.rank_keys[start:end]]


def search(
    session: Session,
    text: str,
    *,
    ignored_prefixes: tuple[str, ...],
    now: datetime,
    offset: int = 0,
    with_facets: bool = True,
    synonyms: Synonyms | None = None,
) -> SearchResults:
    """Return a page of results; an empty query has none.

    The number of statements doesn't depend on the amount of data, only on how many words are unknown, which kinds
    match, whether the best tiers alone reach the limit, and whether there are more matches than that.
    """
    query = parse_query(text)
    if query.is_empty:
        return SearchResults(query, offset)
    plan = plan_query(session, query, ignored_prefixes=ignored_prefixes, now=now, synonyms=synonyms)
    matches = _rank(session, plan, ignored_prefixes, _rank_key_range(Kind.PACKAGE))
    others = [] if query.filters else _rank_other_kinds(session, plan, ignored_prefixes)
    people = () if query.filters else load_people(session, query, _first_item_ids(others, Kind.PERSON))
    is_partial = not matches.count and not people and _word_count(plan) > 1
    if is_partial:
        matches = _rank(session, plan, ignored_prefixes, _rank_key_range(Kind.PACKAGE), is_partial=True)
    packages = load_packages(session, matches.slice(offset, offset + PAGE_SIZE), now=now)
    return SearchResults(
        query=query,
        offset=offset,
        packages=tuple(packages),
        count=matches.count,
        is_exact=matches.result_set.is_complete,
        grids=tuple(load_grids(session, _of_kind(others, Kind.GRID)[:SIDEBAR_SIZE])),
        categories=load_categories(session, _first_item_ids(others, Kind.CATEGORY)),
        people=people,
        facets=tuple(build_facets(session, query, matches.result_set, now=now))
        if with_facets and matches.count
        else (),
        corrected=apply_corrections(query.text, plan.corrections) if plan.corrections else "",
        suggestion=plan.suggestion,
        is_partial=is_partial and matches.count > 0,
        unmatched_filters=plan.unmatched_filters,
        explanations=tuple(explain(hit, plan, ignored_prefixes) for hit in packages),
    )


def search_mixed(
    session: Session,
    text: str,
    *,
    ignored_prefixes: tuple[str, ...],
    now: datetime,
    limit: int,
    synonyms: Synonyms | None = None,
) -> list[Hit]:
    """Return packages and grids in one list, best first; in the same tier, grids come before packages."""
    query = parse_query(text)
    if query.is_empty:
        return []
    plan = plan_query(session, query, ignored_prefixes=ignored_prefixes, now=now, synonyms=synonyms)
    matches = _rank(session, plan, ignored_prefixes, _rank_key_range(Kind.PACKAGE)).slice(0, limit)
    if not query.filters:
        matches += _of_kind(_rank_other_kinds(session, plan, ignored_prefixes), Kind.GRID)
    matches.sort(key=lambda match: (match.tier, match.kind is not Kind.GRID, match.rank_key))
    matches = matches[:limit]
    packages = load_packages(session, _of_kind(matches, Kind.PACKAGE), now=now)
    grids = load_grids(session, _of_kind(matches, Kind.GRID))
    hits = {(Kind.PACKAGE, hit.id): hit for hit in packages} | {(Kind.GRID, hit.id): hit for hit in grids}
    return [hits[key] for match in matches if (key := (match.kind, match.item_id)) in hits]


def _of_kind(matches: list[Match], kind: Kind) -> list[Match]:
    return [match for match in matches if match.kind is kind]


def _first_item_ids(matches: list[Match], kind: Kind) -> list[int]:
    """Return the ids of the items of a kind that fit into the sidebar."""
    return [match.item_id for match in _of_kind(matches, kind)[:SIDEBAR_SIZE]]


def _word_count(plan: QueryPlan) -> int:
    return len(plan.interpretations[0].words) if plan.interpretations else 0


def _rank_key_range(kind: Kind, last: Kind | None = None, limit: int | None = None) -> RankKeyRange:
    return RankKeyRange(first_rank_key(kind), first_rank_key((last or kind) + 1), limit or MAX_RESULTS + 1)


def _rank(
    session: Session,
    plan: QueryPlan,
    ignored_prefixes: tuple[str, ...],
    key_range: RankKeyRange,
    *,
    is_partial: bool = False,
    is_single_stage: bool = False,
) -> _RankedMatches:
    """Return the matches, best first; `is_single_stage` uses a single statement, for when few matches are expected."""
    subqueries = _subqueries(plan, ignored_prefixes, is_partial=is_partial)
    tiers: dict[int, int] = {}
    is_complete = True
    for stage in [subqueries] if is_single_stage else _group_by_stage(subqueries):
        rows = backend_for(session).search(session, stage, key_range)
        for tier, rank_key in rows:
            tiers[rank_key] = min(tier, tiers.get(rank_key, tier))
        counts = Counter(tier for tier, _ in rows)
        is_complete = is_complete and all(count < key_range.limit for count in counts.values())
        if len(tiers) >= key_range.limit:
            break
    rank_keys = sorted(tiers, key=lambda rank_key: (tiers[rank_key], rank_key))
    result_set = ResultSet(
        rank_keys=rank_keys[: key_range.limit - 1],
        is_complete=is_complete and len(rank_keys) < key_range.limit,
        upper_bound=plan.package_count if is_partial else plan.loose_upper_bound,
        expression=subqueries[-1].expression
        if is_partial
        else disjunction([one.expression for one in subqueries if one.key not in SUBSET_TIERS]),
        ranges=plan.ranges,
        key_range=key_range,
    )
    return _RankedMatches(result_set, tiers)


def _subqueries(plan: QueryPlan, ignored_prefixes: tuple[str, ...], *, is_partial: bool) -> list[SubQuery]:
    """Return the subqueries of a search, best tier first."""
    if not plan.interpretations:
        is_rare = _is_rare(plan, _FILTERS_ONLY)
        return [SubQuery(_FILTERS_ONLY, _with_conditions(None, plan), plan.ranges, is_rare=is_rare)]
    if is_partial:
        # About `package_count / exp(weight)` packages have all words of a combination, if the words are independent.
        rare = math.log(1 + plan.package_count / RARE_THRESHOLD)
        return [
            SubQuery(Tier.SOME_WORDS + index, _with_conditions(expression, plan), plan.ranges, is_rare=weight > rare)
            for index, (expression, weight) in enumerate(partial_expressions(plan.interpretations, plan.weights))
        ]
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
    """Return whether a tier is known to have few matches; if not, the database decides how to search."""
    if tier is Tier.NAME_WORD_PREFIX:
        return not any(is_indexed_prefix(interpretation.last_prefix) for interpretation in plan.interpretations)
    if tier in (Tier.ANYWHERE, _FILTERS_ONLY):
        threshold = RARE_THRESHOLD_WITH_RANGES if plan.ranges else RARE_THRESHOLD
        return plan.upper_bound < min(plan.package_count, threshold)
    return tier in RARE_TIERS


def _group_by_stage(subqueries: list[SubQuery]) -> Iterator[list[SubQuery]]:
    """Return the subqueries in stages; once a stage reaches the limit, later ones need not be searched."""
    for _, stage in groupby(subqueries, key=_stage):
        yield list(stage)


def _stage(subquery: SubQuery) -> int:
    if subquery.key > Tier.SOME_WORDS:
        return len(STAGE_TIERS) + (subquery.key - Tier.SOME_WORDS) // PARTIAL_STAGE_SIZE
    return bisect(STAGE_TIERS, subquery.key)


def _with_conditions(expression: Expression | None, plan: QueryPlan) -> Expression:
    """Return an expression combined with the required and excluded expressions of a plan; None matches everything."""
    parts = [*([expression] if expression else []), *plan.required]
    match_all = conjunction(parts) if parts else keyword("kind:", is_prefix=True)
    return AndNot(match_all, plan.excluded) if plan.excluded else match_all


def _rank_other_kinds(session: Session, plan: QueryPlan, ignored_prefixes: tuple[str, ...]) -> list[Match]:
    """Return the matching grids, categories and people, best first."""
    key_range = _rank_key_range(Kind.GRID, Kind.PERSON, limit=200)
    ranked = _rank(session, plan, ignored_prefixes, key_range, is_single_stage=True)
    return ranked.slice(0, ranked.count)


def explain(hit: Hit, plan: QueryPlan, ignored_prefixes: tuple[str, ...]) -> RankExplanation:
    """Return why a package is ranked where it is."""
    query_words = _query_words(plan.interpretations)
    prefixes = tuple(one.last_prefix for one in plan.interpretations if one.last_prefix)
    matched_words = []
    for part, words in _words_by_part(hit):
        part_prefixes = prefixes if part == "name" else ()
        matched = dict.fromkeys(word for word in words if word in query_words or word.startswith(part_prefixes))
        if matched:
            matched_words.append((part, tuple(matched)))
    tier_text = (
        FILTERS_ONLY_EXPLANATION
        if hit.tier == _FILTERS_ONLY
        else TIER_EXPLANATIONS[Tier(hit.tier)].format(prefix=" or ".join(ignored_prefixes))
    )
    return RankExplanation(tier_text, tuple(matched_words))


def _query_words(interpretations: Sequence[Interpretation]) -> set[str]:
    """Return all words that any interpretation of a query searches for."""
    choices = [choice for one in interpretations for alternatives in one.words for choice in alternatives]
    return {word for choice in choices for word in ([choice] if isinstance(choice, str) else choice)}


def _words_by_part(hit: Hit) -> tuple[tuple[str, list[str]], ...]:
    """Return the words of each part of a package."""
    return (
        ("name", [*split_words(hit.title), *name_words(hit.title), *split_words(hit.slug)]),
        ("description", split_words(hit.description)),
        ("topics", _words_of_all(hit.topics)),
        ("category", split_words(hit.category)),
        ("grids", _words_of_all(hit.grids)),
        ("people", _words_of_all(hit.participants)),
    )


def _words_of_all(texts: Sequence[str]) -> list[str]:
    return [word for text in texts for word in split_words(text)]
