"""The results of a search, what is offered while one types, and what tells browsers that they can search here."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, current_app, jsonify, redirect, render_template

from pkgsite.clock import utc_now
from pkgsite.errors import Invalid
from pkgsite.extensions import db, gateways
from pkgsite.rules.pasted_references import pasted_place
from pkgsite.services.packages.drafts import already_here, read_place
from pkgsite.services.search.query import COUNTED, Results, search, search_mixed
from pkgsite.views.limits import limited
from pkgsite.views.links import canonical_of, link
from pkgsite.views.query_params import text, words

OFFERED = 8  # while one types
COMPLETED = 15  # in a browser's own box

pages = Blueprint("search", __name__)


@pages.get("/search/")
@limited("search")
def results() -> Any:
    typed = words()
    place = pasted_address(typed)
    if place:
        return redirect(place)
    return render_template("search/results.html", page=found(typed, offset=offset()), q=typed, most=COUNTED)


@pages.get("/search/suggestions/")
@limited("search")
def suggestions() -> Response:
    """Return what is offered while one types: pages of this site, each with its kind and its address."""
    page = found(words(), offset=0, with_facets=False)
    offers = [
        *[{"title": hit.title, "kind": "grid", "url": link("grids.detail", slug=hit.slug)} for hit in page.grids[:2]],
        *[
            {"title": hit.title, "kind": "category", "url": link("categories.detail", slug=hit.slug)}
            for hit in page.categories[:1]
        ],
    ]
    packages = [
        {"title": hit.title, "kind": "package", "url": link("packages.detail", slug=hit.slug)} for hit in page.packages
    ]
    return jsonify([*packages[: OFFERED - len(offers)], *offers])


@pages.get("/search/opensearch/suggestions/")
@limited("search")
def completions() -> Response:
    """Return what browsers offer in their own search box, as OpenSearch has it: the words, titles, no texts, paths."""
    typed = words()
    hits = search_mixed(db.session(), typed, prefixes=prefixes(), now=utc_now(), limit=COMPLETED)
    paths = [link(f"{hit.item_type}s.detail", slug=hit.slug) for hit in hits]
    answer = jsonify([typed, [hit.title for hit in hits], [], paths])
    answer.content_type = "application/x-suggestions+json"
    return answer


@pages.get("/search/opensearch/description/")
def opensearch() -> Response:
    """Tell browsers how to search here."""
    urls = {name: canonical_of(f"search.{name}") for name in ("results", "completions")}
    written = render_template("search/opensearch.xml", urls=urls, title=current_app.config["SITE_TITLE"])
    return Response(written, content_type="application/opensearchdescription+xml")


def found(typed: str, *, offset: int, with_facets: bool = True) -> Results:
    return search(db.session(), typed, prefixes=prefixes(), now=utc_now(), offset=offset, with_facets=with_facets)


def prefixes() -> tuple[str, ...]:
    return tuple(current_app.config["SEARCH_PREFIX"])


def offset() -> int:
    """Return how many results come before those that are asked for."""
    asked = text("from")
    return min(int(asked), COUNTED) if asked.isascii() and asked.isdigit() else 0


def pasted_address(typed: str) -> str:
    """Return where a pasted address or installing line leads: to its package, or to where it is added; else nothing."""
    place = pasted_place(typed)
    if not place:
        return ""
    try:
        draft = read_place(place, gateways())
    except Invalid:  # an address, but of no repository: it is searched for like any words
        return ""
    package = already_here(db.session(), draft, gateways())
    return link("packages.detail", slug=package.slug) if package else link("package_edits.add", where=place)
