"""Search: a list of packages and grids, best first, or everything on the search page."""

from __future__ import annotations

from typing import Any, ClassVar
from urllib.parse import urlencode

from flask import current_app, request, url_for
from marshmallow import Schema, fields

from pkgsite.api.fields import Count, Timestamp, computed_field, raw_field
from pkgsite.api.limits import rate_limited
from pkgsite.api.paging import parse_limit_offset
from pkgsite.api.query_params import list_param
from pkgsite.api.resource import Resource
from pkgsite.clock import utc_now
from pkgsite.extensions import db
from pkgsite.rules.search.vocabulary import load_synonyms
from pkgsite.services.search import query as search
from pkgsite.services.search.hits import Hit, PersonHit

MAX_HITS = 20
STRING_SCHEMA = {"type": "string"}
STRING_ARRAY = {"type": "array", "items": STRING_SCHEMA}


class HitSchema(Schema):
    """A package or a grid."""

    description = raw_field("string")
    title = raw_field("string")
    # The next three fields repeat others. They are kept for old clients.
    title_no_prefix = fields.Raw(attribute="title", dump_only=True, metadata=STRING_SCHEMA)
    slug_no_prefix = fields.Raw(attribute="slug", dump_only=True, metadata=STRING_SCHEMA)
    clean_title = fields.Raw(attribute="title", dump_only=True, metadata=STRING_SCHEMA)
    absolute_url = computed_field("string", lambda hit: url_for(f"{hit.item_type}s.detail", slug=hit.slug))
    created = Timestamp(attribute="created_at")
    modified = Timestamp(attribute="modified_at")
    weight = raw_field(["number", "null"])
    item_type = raw_field("string")
    slug = raw_field("string")
    category = raw_field(["string", "null"])
    repo_watchers = Count(attribute="stars")
    repo_forks = Count(attribute="forks")
    pypi_downloads = Count(attribute="downloads")
    score = Count()
    usage = Count(attribute="usage_count")
    participants = computed_field("string", lambda hit: ",".join(hit.participants))
    last_committed = Timestamp(attribute="last_commit_at")
    last_released = Timestamp(attribute="released_at")


class OtherHitSchema(Schema):
    """A category or a person."""

    title = raw_field("string")
    absolute_url = raw_field("string")
    packages = raw_field("integer", "Number of packages in the category, or that the person contributed to.")


class FacetValueSchema(Schema):
    """A filter that narrows down the results."""

    label = raw_field("string")
    q = raw_field("string", "Search query with this filter applied.")
    count = raw_field(
        "integer", "Number of results with this filter, at most 1,000. If `is_exact` is false, there may be more."
    )
    is_exact = raw_field("boolean", "Whether the count is exact.")


class FacetSchema(Schema):
    name = raw_field("string")
    title = raw_field("string")
    values = fields.List(fields.Nested(FacetValueSchema))


class ExplanationSchema(Schema):
    """Why a package is ranked where it is."""

    tier = raw_field("integer", "Match quality: 1 is best; 0 if the query has no words.")
    words = raw_field("string")
    found = raw_field("object", "Matched words by field.", additionalProperties=STRING_ARRAY)
    popularity = raw_field("integer", "Popularity from 0 to 1,023; ranks packages within a tier.")
    is_living = raw_field(
        "boolean", "Whether the package is active (not archived or deprecated). Active packages are ranked first."
    )


class PackageHitSchema(HitSchema):
    why = fields.Nested(ExplanationSchema)


class SearchResultsSchema(Schema):
    """The response with `?expand=results`."""

    q = raw_field("string")
    corrected = raw_field("string", "Corrected query, if a word is unknown; otherwise empty.")
    meant = raw_field("string", 'Suggested query ("did you mean"); otherwise empty.')
    is_partial = raw_field("boolean", "Whether no result matches all words, so results match only some of them.")
    count = raw_field("integer", "Number of packages, at most 1,000.")
    is_exact = raw_field("boolean", "Whether the count is exact.")
    next = raw_field(["string", "null"])
    previous = raw_field(["string", "null"])
    packages = fields.List(fields.Nested(PackageHitSchema))
    grids = fields.List(fields.Nested(HitSchema))
    categories = fields.List(fields.Nested(OtherHitSchema))
    people = fields.List(fields.Nested(OtherHitSchema))
    facets = fields.List(fields.Nested(FacetSchema))


class Search(Resource):
    decorators: ClassVar = [rate_limited("search")]
    name = "Search V3 List"
    description = (
        "Packages and grids that match `q`, best first, at most 20. With `?expand=results`: everything on the search "
        "page, including why each package is ranked where it is, grids, categories, people and filter counts."
    )

    def get(self) -> Any:
        query = (request.args.getlist("q") or [""])[-1]
        ignored_prefixes, now = tuple(current_app.config["SEARCH_PREFIX"]), utc_now()
        synonyms = load_synonyms(current_app.config["SEARCH_SYNONYMS"])
        if {"results", "all"}.intersection(list_param("expand")):
            offset = parse_limit_offset().offset
            results = search.search(
                db.session(),
                query,
                ignored_prefixes=ignored_prefixes,
                now=now,
                offset=min(offset, search.MAX_RESULTS),
                synonyms=synonyms,
            )
            return serialize_results(results)
        hits = search.search_mixed(
            db.session(), query, ignored_prefixes=ignored_prefixes, now=now, limit=MAX_HITS, synonyms=synonyms
        )
        return HIT_SCHEMA.dump(hits, many=True)


def serialize_results(results: search.SearchResults) -> dict[str, Any]:
    """Return search results as JSON data."""
    packages = [
        HIT_SCHEMA.dump(hit) | {"why": explanation_body(hit, explanation)}
        for hit, explanation in zip(results.packages, results.explanations, strict=True)
    ]
    data = {
        "q": results.query.raw_text,
        "corrected": results.corrected,
        "meant": results.suggestion,
        "is_partial": results.is_partial,
        "count": results.count,
        "is_exact": results.is_exact,
        "next": page_url(results.next_offset),
        "previous": page_url(results.previous_offset),
        "packages": (),
        "grids": list(results.grids),
        "categories": [
            other_hit_body(hit.title, url_for("categories.detail", slug=hit.slug), hit.package_count)
            for hit in results.categories
        ],
        "people": [
            other_hit_body(hit.username or hit.name, person_url(hit), hit.package_count) for hit in results.people
        ],
        "facets": results.facets,
    }
    body: dict[str, Any] = RESULTS_SCHEMA.dump(data)
    return body | {"packages": packages}


def explanation_body(hit: Hit, explanation: search.RankExplanation) -> dict[str, Any]:
    return {
        "tier": hit.tier,
        "words": explanation.tier_text,
        "found": {part: list(words) for part, words in explanation.matched_words},
        "popularity": hit.popularity,
        "is_living": hit.is_active,
    }


def other_hit_body(title: str, url: str, package_count: int) -> dict[str, Any]:
    return {"title": title, "absolute_url": url, "packages": package_count}


def person_url(hit: PersonHit) -> str:
    """Return the URL of a person's profile, or of their packages if they have no account."""
    if hit.username:
        return url_for("profiles.detail", username=hit.username)
    return url_for("search.results", q=f"by:{hit.name}")


def page_url(offset: int | None) -> str | None:
    """Return this request's URL at another offset."""
    if offset is None:
        return None
    query = {name: values[-1] for name, values in request.args.lists() if name != "offset"}
    return f"{request.base_url}?{urlencode(query | ({'offset': offset} if offset else {}))}"


HIT_SCHEMA = HitSchema()
RESULTS_SCHEMA = SearchResultsSchema()
