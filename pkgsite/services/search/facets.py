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
from pkgsite.rules.search.query import MOST_FILTERS, ONE_EACH, Filter, Query
from pkgsite.rules.search.tokenizer import LONGEST
from pkgsite.services.search.analysis import bound_of
from pkgsite.services.search.backend import ROWS, Bound, Sought, Span
from pkgsite.services.search.backends import engine_of

MOST_COUNTED = 10_000  # results of a search that are all looked at to count those with a filter
MOST_VALUES = 8  # of a facet that are shown
LEAST = {"by": 2}  # results that a value needs to be shown: most people took part in one package

TITLES = {"is": "Status", "category": "Category", "grid": "Grid", "licence": "Licence", "python": "Python",
          "stars": "Stars", "updated": "Last activity", "by": "Contributors"}  # fmt: skip
STARS = {">=10": "10 or more", ">=100": "100 or more", ">=1000": "1,000 or more"}
UPDATED = {"<90d": "In the last 90 days", "<1y": "In the last year", ">1y": "More than a year ago"}
SHOWN_STATES = ("maintained", "archived", "deprecated")


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
class Scope:
    """The packages that a search found.

    Attributes:
        places: The first of them, in their order.
        is_whole: Whether these are all.
        most: How many there can be, at most.
        everything: What fits the search, as one expression.
        bounds: The search's own.
        span: Where it looked, and how far it counts.
    """

    places: Sequence[int]
    is_whole: bool
    most: int
    everything: Expression
    bounds: tuple[Bound, ...]
    span: Span

    @property
    def is_countable(self) -> bool:
        """Whether there are so few that each value can be counted among all of them."""
        return self.is_whole or self.most < MOST_COUNTED


def facets(session: Session, query: Query, scope: Scope, *, now: datetime) -> list[Facet]:
    """Return by what these results can be narrowed, the commonest first, in five questions at most.

    Where the search found more than it counts, all of it is read for the counts; but where there may be very many, only
    the first of them count.
    """
    counts = _tally(session, scope.places, now)
    candidates = _candidates(query, counts) if len(query.filters) < MOST_FILTERS else []
    if scope.is_countable and not scope.is_whole:
        counts = _recount(session, candidates, scope, now)
    labels = _labels(session, candidates)
    found = []
    for name, title in TITLES.items():
        values = [
            FacetValue(
                label=labels.get(one.typed) or one.value,
                q=query.narrowed(one),
                count=min(count, scope.span.limit - 1),
                is_exact=scope.is_countable and count < scope.span.limit,
            )
            for one in candidates
            if one.field == name and (count := counts.get(one.typed, 0)) and len(query.narrowed(one)) <= LONGEST
        ]
        if values:
            found.append(Facet(name, title, tuple(values)))
    return found


def _tally(session: Session, places: Sequence[int], now: datetime) -> Counter[str]:
    """Return how many of the things at these places each filter fits, by the filter as it is typed."""
    offered = [Filter("is", "maintained"), *(Filter("stars", text) for text in STARS)]
    offered += [Filter("updated", text) for text in UPDATED]
    bounds = {one.typed: bound for one in offered if (bound := bound_of(one, now))}
    counts: Counter[str] = Counter()
    for start in range(0, len(places), ROWS):
        rows = select(SearchEntry.place, SearchEntry.marks, SearchEntry.stars, SearchEntry.touched_at)
        for row in session.execute(rows.where(SearchEntry.place.in_(places[start : start + ROWS]))):
            counts.update(row.marks.split(" "))
            counts.update(typed for typed, bound in bounds.items() if bound.fits(row))
    return counts


def _candidates(query: Query, counts: Counter[str]) -> list[Filter]:
    """Return the filters that are offered: the commonest values of each facet, but none that is chosen."""
    chosen = {each.mark for each in query.filters}
    narrowed = {
        each.field for each in query.filters if not each.is_minus and each.field in (*ONE_EACH, "stars", "updated")
    }
    values: dict[str, list[str]] = {name: [] for name in TITLES}
    for text, _ in sorted(counts.items(), key=lambda pair: (-pair[1], pair[0])):
        name, _, value = text.partition(":")
        if value and name in values and name not in {"is", "stars", "updated"} and counts[text] >= LEAST.get(name, 1):
            values[name].append(value)
    values |= {"is": list(SHOWN_STATES), "stars": list(STARS), "updated": list(UPDATED)}
    values["python"].sort(key=lambda python: [int(part) for part in python.split(".")], reverse=True)
    return [
        one
        for name, several in values.items()
        if name not in narrowed
        for value in several[:MOST_VALUES]
        if (one := Filter(name, value)).mark not in chosen and counts[one.typed]
    ]


def _recount(session: Session, candidates: Sequence[Filter], scope: Scope, now: datetime) -> Counter[str]:
    """Return of how many results each of these filters is, up to the limit."""
    bounds = {number: bound for number, one in enumerate(candidates) if (bound := bound_of(one, now))}
    marks = {number: one.mark for number, one in enumerate(candidates) if number not in bounds}
    sought = Sought(0, scope.everything, scope.bounds)
    found = engine_of(session).count_each(session, sought, marks, bounds, scope.span) if candidates else {}
    return Counter({candidates[number].typed: count for number, count in found.items()})


def _labels(session: Session, candidates: Sequence[Filter]) -> dict[str, str]:
    """Return the words of filters, by the filter as it is typed; the others are called by their value."""
    labels = {f"stars:{value}": label for value, label in STARS.items()}
    labels |= {f"updated:{value}": label for value, label in UPDATED.items()}
    for name, model in (("category", Category), ("grid", Grid)):
        slugs = [one.value for one in candidates if one.field == name]
        rows = session.execute(select(model.slug, model.title).where(model.slug.in_(slugs))) if slugs else ()
        labels |= {f"{name}:{row.slug}": row.title for row in rows}
    for one in candidates:
        if one.field == "licence":
            labels[one.typed] = canonical_licence(one.value) or one.value
    return labels
