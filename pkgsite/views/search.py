"""Search results, suggestions, and the OpenSearch description for browsers."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, current_app, jsonify, redirect, render_template

from pkgsite.clock import utc_now
from pkgsite.errors import Invalid
from pkgsite.extensions import db, gateways
from pkgsite.rules.references import Form, parse_reference
from pkgsite.rules.search.vocabulary import load_synonyms
from pkgsite.services.packages.drafts import draft_from_reference
from pkgsite.services.packages.resolver import resolve_one
from pkgsite.services.search.hits import CategoryHit, Hit
from pkgsite.services.search.query import MAX_RESULTS, SearchResults, search, search_mixed
from pkgsite.views.limits import rate_limited
from pkgsite.views.links import absolute_url, link
from pkgsite.views.query_params import param, search_param

MAX_SUGGESTIONS = 8  # in the list below a search box
MAX_COMPLETIONS = 15  # in the search box of a browser

pages = Blueprint("search", __name__)


@pages.get("/search/")
@rate_limited("search")
def results() -> Any:
    query_text = search_param()
    path = pasted_reference_path(query_text)
    if path:
        return redirect(path)
    page = run_search(query_text, offset=offset_param())
    return render_template("search/results.html", page=page, q=query_text, max_results=MAX_RESULTS)


@pages.get("/search/suggestions/")
@rate_limited("search")
def suggestions() -> Response:
    """Return suggestions for a partly entered query: the title, kind and URL of matching pages."""
    page = run_search(search_param(), offset=0, with_facets=False)
    others = [
        *[suggestion("grid", "grids.detail", hit) for hit in page.grids[:2]],
        *[suggestion("category", "categories.detail", hit) for hit in page.categories[:1]],
    ]
    packages = page.packages[: MAX_SUGGESTIONS - len(others)]
    return jsonify([*[suggestion("package", "packages.detail", hit) for hit in packages], *others])


def suggestion(kind: str, endpoint: str, hit: Hit | CategoryHit) -> dict[str, str]:
    return {"title": hit.title, "kind": kind, "url": link(endpoint, slug=hit.slug)}


@pages.get("/search/opensearch/suggestions/")
@rate_limited("search")
def completions() -> Response:
    """Return suggestions in the format of OpenSearch: the query, titles, no descriptions, and paths."""
    query_text = search_param()
    hits = search_mixed(
        db.session(),
        query_text,
        ignored_prefixes=ignored_prefixes(),
        now=utc_now(),
        limit=MAX_COMPLETIONS,
        synonyms=load_synonyms(current_app.config["SEARCH_SYNONYMS"]),
    )
    paths = [link(f"{hit.item_type}s.detail", slug=hit.slug) for hit in hits]
    response = jsonify([query_text, [hit.title for hit in hits], [], paths])
    response.content_type = "application/x-suggestions+json"
    return response


@pages.get("/search/opensearch/description/")
def opensearch() -> Response:
    """Return the OpenSearch description, from which browsers learn how to search the site."""
    urls = {name: absolute_url(f"search.{name}") for name in ("results", "completions")}
    xml = render_template("search/opensearch.xml", urls=urls, title=current_app.config["SITE_TITLE"])
    return Response(xml, content_type="application/opensearchdescription+xml")


def run_search(query_text: str, *, offset: int, with_facets: bool = True) -> SearchResults:
    return search(
        db.session(),
        query_text,
        ignored_prefixes=ignored_prefixes(),
        synonyms=load_synonyms(current_app.config["SEARCH_SYNONYMS"]),
        now=utc_now(),
        offset=offset,
        with_facets=with_facets,
    )


def ignored_prefixes() -> tuple[str, ...]:
    return tuple(current_app.config["SEARCH_PREFIX"])


def offset_param() -> int:
    """Return the number of results before the requested page."""
    value = param("from")
    return min(int(value), MAX_RESULTS) if value.isascii() and value.isdigit() else 0


def pasted_reference_path(query_text: str) -> str:
    """Return the path of the package that a URL, install command or requirement line refers to; otherwise empty.

    For the URL of an unknown repository and for a command, it is the path of the form to add the package.
    """
    reference = parse_reference(query_text)
    if reference.form is Form.WORDS:
        return ""
    package = resolve_one(db.session(), query_text, gateways())
    if package:
        return link("packages.detail", slug=package.slug)
    if reference.form is Form.REQUIREMENT:  # may as well be search words
        return ""
    try:
        draft_from_reference(query_text, gateways())
    except Invalid:  # not the URL of a repository: searched for as words
        return ""
    return link("package_edits.add", where=reference.repo_url or reference.project)
