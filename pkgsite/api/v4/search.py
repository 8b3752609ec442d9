"""Search over packages and grids: a bare list, best first."""

from __future__ import annotations

from typing import Any, ClassVar
from urllib.parse import urlencode

from flask import current_app, request, url_for
from marshmallow import Schema, fields

from pkgsite.api.limits import limited
from pkgsite.api.v4.asking import names
from pkgsite.api.v4.fields import Count, SiteTime, made, told
from pkgsite.api.v4.paging import asked_stretch
from pkgsite.api.v4.resource import Resource
from pkgsite.clock import utc_now
from pkgsite.extensions import db
from pkgsite.services import search
from pkgsite.services.search_hits import CategoryHit

MOST = 20
TEXT = {"type": "string"}
WORDS = {"type": "array", "items": TEXT}


class HitSchema(Schema):
    """One hit as it goes over the wire, in wire order."""

    description = told("string")
    title = told("string")
    title_no_prefix = fields.Raw(
        attribute="title", dump_only=True, metadata={"type": "string"}
    )  # these three names are a promise to old clients
    slug_no_prefix = fields.Raw(attribute="slug", dump_only=True, metadata=TEXT)
    clean_title = fields.Raw(attribute="title", dump_only=True, metadata=TEXT)
    absolute_url = made("string", lambda hit: url_for(f"{hit.item_type}s.detail", slug=hit.slug))
    created = SiteTime(attribute="created_at")
    modified = SiteTime(attribute="modified_at")
    weight = told(["number", "null"])
    item_type = told("string")
    slug = told("string")
    category = told(["string", "null"])
    repo_watchers = Count(attribute="stars")
    repo_forks = Count(attribute="forks")
    pypi_downloads = Count(attribute="downloads")
    score = Count()
    usage = Count(attribute="usage_count")
    participants = made("string", lambda hit: ",".join(hit.participants))
    last_committed = SiteTime(attribute="last_commit_at")
    last_released = SiteTime(attribute="released_at")


class PlaceSchema(Schema):
    """A category or a person that was found."""

    title = told("string")
    absolute_url = told("string")
    packages = told("integer", "Number of packages in the category, or that the person contributed to.")


class FacetValueSchema(Schema):
    """A filter that narrows the results."""

    label = told("string")
    q = told("string", "Search query with this filter applied.")
    count = told(
        "integer", "Number of results with this filter, at most 1,000. If `is_exact` is false there may be more."
    )
    is_exact = told("boolean", "Whether the count is exact.")


class FacetSchema(Schema):
    name = told("string")
    title = told("string")
    values = fields.List(fields.Nested(FacetValueSchema))


class WhySchema(Schema):
    """Why a package is where it is among the results."""

    tier = told("integer", "Match quality: 1 is best; 0 if the query has no words.")
    words = told("string")
    found = told("object", "Matched words by field.", additionalProperties=WORDS)
    popularity = told("integer", "Popularity from 0 to 1,023; ranks packages within a tier.")
    is_living = told(
        "boolean", "Whether the package is active (not archived or deprecated). Active packages are ranked first."
    )


class FoundPackageSchema(HitSchema):
    why = fields.Nested(WhySchema)


class FoundSchema(Schema):
    """All that a search finds, with `?expand=results`."""

    q = told("string")
    corrected = told("string", "Corrected query, if a word is unknown; otherwise empty.")
    meant = told("string", 'Suggested query ("did you mean"); otherwise empty.')
    is_partial = told("boolean", "Whether no result matches all words, so results match only some of them.")
    count = told("integer", "Number of packages, at most 1,000.")
    is_exact = told("boolean", "Whether the count is exact.")
    next = told(["string", "null"])
    previous = told(["string", "null"])
    packages = fields.List(fields.Nested(FoundPackageSchema))
    grids = fields.List(fields.Nested(HitSchema))
    categories = fields.List(fields.Nested(PlaceSchema))
    people = fields.List(fields.Nested(PlaceSchema))
    facets = fields.List(fields.Nested(FacetSchema))


class Search(Resource):
    decorators: ClassVar = [limited("search")]
    name = "Search V3 List"
    description = (
        "Packages and grids that match `q`, best first, at most 20. With `?expand=results`: everything on the search "
        "page, including why each package is ranked where it is, grids, categories, people and filter counts."
    )

    def get(self) -> Any:
        query = (request.args.getlist("q") or [""])[-1]
        prefixes, now = tuple(current_app.config["SEARCH_PREFIX"]), utc_now()
        if {"results", "all"}.intersection(names("expand")):
            start = asked_stretch().offset
            found = search.search(db.session(), query, prefixes=prefixes, now=now, offset=min(start, search.COUNTED))
            return everything(found)
        hits = search.search_mixed(db.session(), query, prefixes=prefixes, now=now, limit=MOST)
        return SCHEMA.dump(hits, many=True)


def everything(found: search.Results) -> dict[str, Any]:
    """Return results as they go over the wire."""
    whys = [
        {
            "tier": hit.tier,
            "words": why.tier,
            "found": {part: list(words) for part, words in why.found},
            "popularity": hit.popularity,
            "is_living": hit.is_living,
        }
        for hit, why in zip(found.packages, found.reasons, strict=True)
    ]
    packages = [SCHEMA.dump(hit) | {"why": why} for hit, why in zip(found.packages, whys, strict=True)]
    whole = {
        "q": found.query.typed,
        "corrected": found.corrected,
        "meant": found.meant,
        "is_partial": found.is_partial,
        "count": found.count,
        "is_exact": found.is_exact,
        "next": page_link(found.more_offset),
        "previous": page_link(found.less_offset),
        "packages": (),
        "grids": list(found.grids),
        "categories": [place(url_for("categories.detail", slug=hit.slug), hit) for hit in found.categories],
        "people": [
            {
                "title": hit.username or hit.name,
                "absolute_url": url_for("profiles.detail", username=hit.username)
                if hit.username
                else url_for("search.results", q=f"by:{hit.name}"),
                "packages": hit.package_count,
            }
            for hit in found.people
        ],
        "facets": found.facets,
    }
    body: dict[str, Any] = FOUND.dump(whole)
    return body | {"packages": packages}


def place(url: str, hit: CategoryHit) -> dict[str, Any]:
    return {"title": hit.title, "absolute_url": url, "packages": hit.package_count}


def page_link(offset: int | None) -> str | None:
    """Return this request's URL at another offset."""
    if offset is None:
        return None
    query = {name: values[-1] for name, values in request.args.lists() if name != "offset"}
    return f"{request.base_url}?{urlencode(query | ({'offset': offset} if offset else {}))}"


SCHEMA = HitSchema()
FOUND = FoundSchema()
