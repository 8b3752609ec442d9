"""What a search's results can be narrowed by, with counts."""

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

MAX_COUNTED = 10_000  # results of a search that are all looked at to count those with a filter
MAX_VALUES = 8  # of a facet that are shown
MIN_COUNTS = {"by": 2}  # results that a value needs to be shown: most people took part in one package

FACET_TITLES = {"is": "Status", "category": "Category", "grid": "Grid", "licence": "Licence", "python": "Python",
          "stars": "Stars", "updated": "Last activity", "by": "Contributors"}  # fmt: skip
STAR_CHOICES = {">=10": "10 or more", ">=100": "100 or more", ">=1000": "1,000 or more"}
UPDATED_CHOICES = {"<90d": "In the last 90 days", "<1y": "In the last year", ">1y": "More than a year ago"}
OFFERED_STATES = ("maintained", "archived", "deprecated")


@dataclass(frozen=True, slots=True)
class FacetValue:
    """A filter that would narrow the results.

    Attributes:
        label: Its words.
        q: What to type for the search with it.
        count: How many results there are with it, at least; past the most that are counted, that number.
        is_exact: Whether there are not more.
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
    """The packages that a search found.

    Attributes:
        rank_keys: The first of them, in their order.
        is_complete: Whether these are all.
        upper_bound: How many there can be, at most.
        expression: What fits the search, as one expression.
        ranges: The search's own.
        key_range: Where it looked, and how far it counts.
    """

    rank_keys: Sequence[int]
    is_complete: bool
    upper_bound: int
    expression: Expression
    ranges: tuple[RangeFilter, ...]
    key_range: RankKeyRange

    @property
    def is_countable(self) -> bool:
        """Whether there are so few that each value can be counted among all of them."""
        return self.is_complete or self.upper_bound < MAX_COUNTED


def build_facets(session: Session, query: ParsedQuery, result_set: ResultSet, *, now: datetime) -> list[Facet]:
    """Return by what these results can be narrowed, the commonest first, in five questions at most.

    Where the search found more than it counts, all of it is read for the counts; but where there may be very many, only
    the first of them count.
    """
    counts = _count_filters(session, result_set.rank_keys, now)
    candidates = _candidates(query, counts) if len(query.filters) < MAX_FILTERS else []
    if result_set.is_countable and not result_set.is_complete:
        counts = _count_candidates(session, candidates, result_set, now)
    labels = _labels(session, candidates)
    found = []
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
            found.append(Facet(name, title, tuple(values)))
    return found


def _count_filters(session: Session, rank_keys: Sequence[int], now: datetime) -> Counter[str]:
    """Return how many of the things at these places each filter fits, by the filter as it is typed."""
    offered = [Filter("is", "maintained"), *(Filter("stars", text) for text in STAR_CHOICES)]
    offered += [Filter("updated", text) for text in UPDATED_CHOICES]
    ranges = {candidate.text: bound for candidate in offered if (bound := range_filter_of(candidate, now))}
    counts: Counter[str] = Counter()
    for start in range(0, len(rank_keys), BATCH_SIZE):
        rows = select(SearchEntry.place, SearchEntry.marks, SearchEntry.stars, SearchEntry.touched_at)
        for row in session.execute(rows.where(SearchEntry.place.in_(rank_keys[start : start + BATCH_SIZE]))):
            counts.update(row.marks.split(" "))
            counts.update(filter_text for filter_text, bound in ranges.items() if bound.matches(row))
    return counts


def _candidates(query: ParsedQuery, counts: Counter[str]) -> list[Filter]:
    """Return the filters that are offered: the commonest values of each facet, but none that is chosen."""
    chosen = {each.keyword for each in query.filters}
    narrowed = {
        each.field
        for each in query.filters
        if not each.is_negated and each.field in (*SINGLE_VALUED_FIELDS, "stars", "updated")
    }
    values: dict[str, list[str]] = {name: [] for name in FACET_TITLES}
    for text, _ in sorted(counts.items(), key=lambda pair: (-pair[1], pair[0])):
        name, _, value = text.partition(":")
        if (
            value
            and name in values
            and name not in {"is", "stars", "updated"}
            and counts[text] >= MIN_COUNTS.get(name, 1)
        ):
            values[name].append(value)
    values |= {"is": list(OFFERED_STATES), "stars": list(STAR_CHOICES), "updated": list(UPDATED_CHOICES)}
    values["python"].sort(key=lambda python: [int(part) for part in python.split(".")], reverse=True)
    return [
        candidate
        for name, facet_values in values.items()
        if name not in narrowed
        for value in facet_values[:MAX_VALUES]
        if (candidate := Filter(name, value)).keyword not in chosen and counts[candidate.text]
    ]


def _count_candidates(
    session: Session, candidates: Sequence[Filter], result_set: ResultSet, now: datetime
) -> Counter[str]:
    """Return of how many results each of these filters is, up to the limit."""
    ranges = {
        number: bound for number, candidate in enumerate(candidates) if (bound := range_filter_of(candidate, now))
    }
    keywords = {number: candidate.keyword for number, candidate in enumerate(candidates) if number not in ranges}
    subquery = SubQuery(0, result_set.expression, result_set.ranges)
    found = (
        backend_for(session).count_by_filter(session, subquery, keywords, ranges, result_set.key_range)
        if candidates
        else {}
    )
    return Counter({candidates[number].text: count for number, count in found.items()})


def _labels(session: Session, candidates: Sequence[Filter]) -> dict[str, str]:
    """Return the words of filters, by the filter as it is typed; the others are called by their value."""
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
