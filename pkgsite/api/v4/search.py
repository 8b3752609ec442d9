"""Search over packages and grids: a bare list, best first."""

from __future__ import annotations

from typing import Any, ClassVar

from flask import current_app, request, url_for
from marshmallow import Schema, fields

from pkgsite.api.limits import limited
from pkgsite.api.v4.fields import Count, SiteTime, made, told
from pkgsite.api.v4.resource import Resource
from pkgsite.clock import utc_now
from pkgsite.extensions import db
from pkgsite.services import search

MOST = 20
TEXT = {"type": "string"}


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


class Search(Resource):
    decorators: ClassVar = [limited("search")]
    name = "Search V3 List"
    description = "Packages and grids in which every word of `q` is found, best first, twenty at most."

    def get(self) -> Any:
        query = (request.args.getlist("q") or [""])[-1]
        prefixes = tuple(current_app.config["SEARCH_PREFIX"])
        hits = search.search_mixed(db.session(), query, prefixes=prefixes, now=utc_now(), limit=MOST)
        return SCHEMA.dump(hits, many=True)


SCHEMA = HitSchema()
