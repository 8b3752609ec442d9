"""URLs of the site's own pages, for views and templates. They also work on error pages, where routing failed."""

from __future__ import annotations

from dataclasses import fields
from typing import Any
from urllib.parse import quote

from flask import Flask, current_app, request

PRINTABLE = "".join(map(chr, range(0x21, 0x7F)))
# Query parameters that are named differently from the fields of the query classes.
PARAM_NAMES = {
    "include_inactive": "all",
    "stable_only": "stable",
    "exclude_moderators": "not_moderators",
    "list_name": "list",
}


def init_app(app: Flask) -> None:
    app.jinja_env.globals.update(
        link=link, here=current_path, query_values=query_values, canonical=canonical_url, canonical_of=absolute_url
    )


def link(endpoint: str, **values: Any) -> str:
    """Return the path of one of the site's pages; values that are not part of the path become the query string.

    Unlike Flask's `url_for`, this works without a trusted host, which error pages need.
    """
    # Only paths are built, so the server name is not used.
    adapter = current_app.url_map.bind("unused", script_name=request.script_root or "/")
    return adapter.build(endpoint, {name: value for name, value in values.items() if value is not None})


def current_path(query: Any, **changes: Any) -> str:
    """Return the path of this page with some query values changed. Without `page`, it is the first page."""
    values = query_values(query, *([] if "page" in changes else ["page"]), **changes)
    return link(str(request.endpoint), **values | (request.view_args or {}))


def query_values(query: Any, *excluded: str, **changes: Any) -> dict[str, str]:
    """Return a page's query as URL parameters, without values that equal the default.

    Args:
        query: An instance of one of the services' query classes.
        excluded: Names of fields to leave out.
        changes: Values that replace those of the query, by field name.
    """
    values: dict[str, str] = {}
    for field in fields(query):
        value = changes.get(field.name, getattr(query, field.name))
        if str(value) != str(field.default) and field.name not in excluded:
            values[PARAM_NAMES.get(field.name, field.name)] = "1" if value is True else str(value)
    if "slug" in (request.view_args or {}) and request.blueprint == "categories":
        values.pop("category", None)  # it is in the path
    return values


def canonical_url(**values: Any) -> str:
    """Return the canonical URL of this page, for search engines."""
    return absolute_url(str(request.endpoint), **values | (request.view_args or {}))


def absolute_url(endpoint: str, **values: Any) -> str:
    """Return the full public URL of one of the site's pages."""
    path = link(endpoint, **values)
    public = current_app.config["PUBLIC_URL"]
    return public + path.removeprefix(request.script_root) if public else request.host_url.rstrip("/") + path


def query_string() -> str:
    """Return the query string of this request unchanged, with its question mark, or an empty string."""
    return "?" + quote(request.query_string, safe=PRINTABLE) if request.query_string else ""
