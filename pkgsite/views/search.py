"""The results of a search, what is offered while one types, and what tells browsers that they can search here."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, current_app, jsonify, redirect, render_template

from pkgsite.clock import utc_now
from pkgsite.errors import Invalid
from pkgsite.extensions import db, gateways
from pkgsite.rules.pasted_references import parse_pasted_reference
from pkgsite.services.packages.drafts import draft_from_reference, find_existing_package
from pkgsite.services.search.query import MAX_RESULTS, SearchResults, search, search_mixed
from pkgsite.views.limits import rate_limited
from pkgsite.views.links import absolute_url, link
from pkgsite.views.query_params import param, search_param

MAX_SUGGESTIONS = 8  # while one types
MAX_COMPLETIONS = 15  # in a browser's own box

pages = Blueprint("search", __name__)


@pages.get("/search/")
@rate_limited("search")
def results() -> Any:
    typed = search_param()
    target = pasted_reference_path(typed)
    if target:
        return redirect(target)
    return render_template(
        "search/results.html", page=run_search(typed, offset=offset_param()), q=typed, max_results=MAX_RESULTS
    )


@pages.get("/search/suggestions/")
@rate_limited("search")
def suggestions() -> Response:
    """Return what is offered while one types: pages of this site, each with its kind and its address."""
    page = run_search(search_param(), offset=0, with_facets=False)
    suggestions_found = [
        *[{"title": hit.title, "kind": "grid", "url": link("grids.detail", slug=hit.slug)} for hit in page.grids[:2]],
        *[
            {"title": hit.title, "kind": "category", "url": link("categories.detail", slug=hit.slug)}
            for hit in page.categories[:1]
        ],
    ]
    packages = [
        {"title": hit.title, "kind": "package", "url": link("packages.detail", slug=hit.slug)} for hit in page.packages
    ]
    return jsonify([*packages[: MAX_SUGGESTIONS - len(suggestions_found)], *suggestions_found])


@pages.get("/search/opensearch/suggestions/")
@rate_limited("search")
def completions() -> Response:
    """Return what browsers offer in their own search box, as OpenSearch has it: the words, titles, no texts, paths."""
    typed = search_param()
    hits = search_mixed(db.session(), typed, ignored_prefixes=ignored_prefixes(), now=utc_now(), limit=MAX_COMPLETIONS)
    paths = [link(f"{hit.item_type}s.detail", slug=hit.slug) for hit in hits]
    answer = jsonify([typed, [hit.title for hit in hits], [], paths])
    answer.content_type = "application/x-suggestions+json"
    return answer


@pages.get("/search/opensearch/description/")
def opensearch() -> Response:
    """Tell browsers how to search here."""
    urls = {name: absolute_url(f"search.{name}") for name in ("results", "completions")}
    xml = render_template("search/opensearch.xml", urls=urls, title=current_app.config["SITE_TITLE"])
    return Response(xml, content_type="application/opensearchdescription+xml")


def run_search(query_text: str, *, offset: int, with_facets: bool = True) -> SearchResults:
    return search(
        db.session(),
        query_text,
        ignored_prefixes=ignored_prefixes(),
        now=utc_now(),
        offset=offset,
        with_facets=with_facets,
    )


def ignored_prefixes() -> tuple[str, ...]:
    return tuple(current_app.config["SEARCH_PREFIX"])


def offset_param() -> int:
    """Return how many results come before those that are asked for."""
    value = param("from")
    return min(int(value), MAX_RESULTS) if value.isascii() and value.isdigit() else 0


def pasted_reference_path(query_text: str) -> str:
    """Return where a pasted address or installing line leads: to its package, or to where it is added; else nothing."""
    target = parse_pasted_reference(query_text)
    if not target:
        return ""
    try:
        draft = draft_from_reference(target, gateways())
    except Invalid:  # an address, but of no repository: it is searched for like any words
        return ""
    package = find_existing_package(db.session(), draft, gateways())
    return link("packages.detail", slug=package.slug) if package else link("package_edits.add", where=target)
