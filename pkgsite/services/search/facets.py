"""Facets: filters that narrow down the results of a search, with the number of results of each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from pkgsite.models import Category, Grid, SearchEntry
from pkgsite.rules.licences import canonical_licence
from pkgsite.rules.search.expressions import Expression
from pkgsite.rules.search.query import MAX_FILTERS, SINGLE_VALUED_FIELDS, Filter, ParsedQuery
from pkgsite.rules.search.tokenizer import MAX_TEXT_LENGTH
from pkgsite.services.search.analysis import range_filter_of
from pkgsite.services.search.backend import BATCH_SIZE, RangeFilter, RankKeyRange, SubQuery
from pkgsite.services.search.backends import backend_for

MAX_COUNTED = 10_000  # with more results, filters are counted only over the ranked ones
MAX_VALUES = 8  # values of a facet that are shown
MIN_COUNTS = {"by": 2}  # minimum number of results for a value to be shown; most people contributed to one package only

FACET_TITLES = {"is": "Status", "category": "Category", "grid": "Grid", "licence": "Licence", "python": "Python",
          "stars": "Stars", "updated": "Last activity", "by": "Contributors"}  # fmt: skip
STAR_CHOICES = {">=10": "10 or more", ">=100": "100 or more", ">=1000": "1,000 or more"}
UPDATED_CHOICES = {"<90d": "In the last 90 days", "<1y": "In the last year", ">1y": "More than a year ago"}
OFFERED_STATES = ("maintained", "archived", "deprecated")


@dataclass(frozen=True, slots=True)
class FacetValue:
    """A filter that narrows down the results.

    Attributes:
        label: Label of the filter.
        q: Query with this filter applied.
        count: Number of results with this filter, capped at the number of results that are counted.
        is_exact: Whether the count is exact; otherwise it is a minimum.
    """

    label: str
    q: str
    count: int
    is_exact: bool


@dataclass(frozen=True, slots=True)
class Facet:
    name: str
    title: str
    values: tuple[FacetValue, ...]


@dataclass(frozen=True, slots=True)
class ResultSet:
    """The items that match a search.

    Attributes:
        rank_keys: The rank keys of the first matches, best first.
        is_complete: Whether these are all matches.
        upper_bound: Maximum number of matches.
        expression: A single expression that finds all matches.
        ranges: The range filters of the search.
        key_range: The searched rank keys. The limit is one more than the results shown, to detect that there are more.
    """

    rank_keys: Sequence[int]
    is_complete: bool
    upper_bound: int
    expression: Expression
    ranges: tuple[RangeFilter, ...]
    key_range: RankKeyRange

    @property
    def is_countable(self) -> bool:
        """Whether there are few enough matches to count each filter over all of them."""
        return self.is_complete or self.upper_bound < MAX_COUNTED


def build_facets(session: Session, query: ParsedQuery, result_set: ResultSet, *, now: datetime) -> list[Facet]:
    """Return the facets of a search, each with its most common values, in at most five statements.

    If the search has more matches than are ranked, all of them are read and counted; if it may have very many, only the
    ranked ones are counted.
    """
    counts = _count_filters(session, result_set.rank_keys, now)
    candidates = _candidates(query, counts) if len(query.filters) < MAX_FILTERS else []
    if result_set.is_countable and not result_set.is_complete:
        counts = _count_candidates(session, candidates, result_set, now)
    labels = _labels(session, candidates)
    facets = []
    for name, title in FACET_TITLES.items():
        values = [
            FacetValue(
                label=labels.get(candidate.text) or candidate.value,
                q=query.with_filter(candidate),
                count=min(count, result_set.key_range.limit - 1),
                is_exact=result_set.is_countable and count < result_set.key_range.limit,
            )
            for candidate in candidates
            if candidate.field == name
            and (count := counts.get(candidate.text, 0))
            and len(query.with_filter(candidate)) <= MAX_TEXT_LENGTH
        ]
        if values:
            facets.append(Facet(name, title, tuple(values)))
    return facets


def _count_filters(session: Session, rank_keys: Sequence[int], now: datetime) -> Counter[str]:
    """Return the number of items with these rank keys that each filter matches, by the filter's text."""
    offered = [Filter("is", "maintained"), *(Filter("stars", text) for text in STAR_CHOICES)]
    offered += [Filter("updated", text) for text in UPDATED_CHOICES]
    ranges = {one.text: range_filter for one in offered if (range_filter := range_filter_of(one, now))}
    counts: Counter[str] = Counter()
    for start in range(0, len(rank_keys), BATCH_SIZE):
        rows = select(SearchEntry.place, SearchEntry.marks, SearchEntry.stars, SearchEntry.touched_at)
        for row in session.execute(rows.where(SearchEntry.place.in_(rank_keys[start : start + BATCH_SIZE]))):
            counts.update(row.marks.split(" "))
            counts.update(filter_text for filter_text, range_filter in ranges.items() if range_filter.matches(row))
    return counts


def _candidates(query: ParsedQuery, counts: Counter[str]) -> list[Filter]:
    """Return the filters to offer: the most common values of each facet that the query doesn't filter by yet."""
    used_keywords = {used.keyword for used in query.filters}
    used_fields = {
        used.field
        for used in query.filters
        if not used.is_negated and used.field in (*SINGLE_VALUED_FIELDS, "stars", "updated")
    }
    candidates = [
        Filter(name, value)
        for name, values in _values_by_facet(counts).items()
        if name not in used_fields
        for value in values[:MAX_VALUES]
    ]
    return [candidate for candidate in candidates if candidate.keyword not in used_keywords and counts[candidate.text]]


def _values_by_facet(counts: Counter[str]) -> dict[str, list[str]]:
    """Return the values of each facet, most common first; Python versions newest first, ranges in a fixed order."""
    values: dict[str, list[str]] = {name: [] for name in FACET_TITLES}
    for text, count in sorted(counts.items(), key=lambda pair: (-pair[1], pair[0])):
        name, _, value = text.partition(":")
        if value and name in values and count >= MIN_COUNTS.get(name, 1):
            values[name].append(value)
    values["python"].sort(key=lambda python: [int(part) for part in python.split(".")], reverse=True)
    return values | {"is": list(OFFERED_STATES), "stars": list(STAR_CHOICES), "updated": list(UPDATED_CHOICES)}


def _count_candidates(
    session: Session, candidates: Sequence[Filter], result_set: ResultSet, now: datetime
) -> Counter[str]:
    """Return the number of all results that each of these filters matches, up to the limit, by the filter's text."""
    if not candidates:
        return Counter()
    filters = {number: range_filter_of(candidate, now) for number, candidate in enumerate(candidates)}
    ranges = {number: range_filter for number, range_filter in filters.items() if range_filter}
    keywords = {number: candidate.keyword for number, candidate in enumerate(candidates) if number not in ranges}
    subquery = SubQuery(0, result_set.expression, result_set.ranges)
    counts = backend_for(session).count_by_filter(session, subquery, keywords, ranges, result_set.key_range)
    return Counter({candidates[number].text: count for number, count in counts.items()})


def _labels(session: Session, candidates: Sequence[Filter]) -> dict[str, str]:
    """Return the labels of filters that are not labelled by their value, by the filter's text."""
    labels = {f"stars:{value}": label for value, label in STAR_CHOICES.items()}
    labels |= {f"updated:{value}": label for value, label in UPDATED_CHOICES.items()}
    for name, model in (("category", Category), ("grid", Grid)):
        slugs = [candidate.value for candidate in candidates if candidate.field == name]
        rows = session.execute(select(model.slug, model.title).where(model.slug.in_(slugs))) if slugs else ()
        labels |= {f"{name}:{row.slug}": row.title for row in rows}
    for one in candidates:
        if one.field == "licence":
            labels[one.text] = canonical_licence(one.value) or one.value
    return labels
