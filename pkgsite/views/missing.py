"""Requests for a package or grid that doesn't exist: a redirect if its name is only spelled differently, else a 404.

The page of the 404 lists the nearest names.
"""

from __future__ import annotations

from flask import Response, redirect, request

from pkgsite.errors import NotFound
from pkgsite.extensions import db, gateways
from pkgsite.services.grids.records import find_grid_slug
from pkgsite.services.packages.resolver import resolve_name
from pkgsite.views.errors import error_response
from pkgsite.views.links import link, query_string
from pkgsite.views.search import run_search

MAX_NAMES = 6
WORD_SEPARATORS = str.maketrans("-_.", "   ")


def missing_page(error: NotFound) -> Response:
    """Return the response for a URL with a slug that no package or grid has."""
    slug = str((request.view_args or {}).get("slug", ""))
    if not slug or error.noun not in {"Package", "Grid"} or request.method not in {"GET", "HEAD"}:
        return error_response(error)
    current_slug = _find_slug(error.noun, slug)
    if current_slug and current_slug != slug:
        path = link(str(request.endpoint), **(request.view_args or {}) | {"slug": current_slug})
        return redirect(path + query_string(), 301)  # type: ignore[return-value]
    words = " ".join(slug.translate(WORD_SEPARATORS).split())
    return error_response(error, query_text=slug, nearest=_nearest_names(error.noun, words))


def _find_slug(noun: str, slug: str) -> str | None:
    """Return the slug of the package or grid that has this name in another spelling."""
    if noun == "Grid":
        return find_grid_slug(db.session(), slug)
    package = resolve_name(db.session(), slug, gateways())
    return package.slug if package else None


def _nearest_names(noun: str, words: str) -> list[tuple[str, str]]:
    """Return the title and path of the packages or grids that match a name best."""
    found = run_search(words, offset=0, with_facets=False)
    hits, endpoint = (found.packages, "packages.detail") if noun == "Package" else (found.grids, "grids.detail")
    return [(hit.title, link(endpoint, slug=hit.slug)) for hit in hits[:MAX_NAMES]]
