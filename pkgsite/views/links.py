"""Addresses of the site's own pages. Templates use these; they work on every page, also where routing failed."""

from __future__ import annotations

from dataclasses import fields
from typing import Any
from urllib.parse import quote

from flask import Flask, current_app, request

PRINTABLE = "".join(map(chr, range(0x21, 0x7F)))


def init_app(app: Flask) -> None:
    app.jinja_env.globals.update(
        link=link, here=current_path, asked=query_values, canonical=canonical_url, canonical_of=absolute_url
    )


def link(endpoint: str, **values: Any) -> str:
    """Return the path of a page of ours, with what is no part of its path as the query.

    Flask's `url_for` needs a host that the site trusts; an error page has to do without.
    """
    adapter = current_app.url_map.bind("site", script_name=request.script_root or "/")
    return adapter.build(endpoint, {name: value for name, value in values.items() if value is not None})


def current_path(query: Any, **changes: Any) -> str:
    """Return the path of this page with its query kept but for these changes; another filter begins at page 1."""
    values = query_values(query, *([] if "page" in changes else ["page"]), **changes)
    return link(str(request.endpoint), **values | (request.view_args or {}))


def query_values(query: Any, *excluded: str, **changes: Any) -> dict[str, str]:
    """Return a page's query under the names that it has in an address; what is as by default is left out.

    Args:
        query: One of the services' query classes.
        excluded: Names to leave out.
        changes: Values to put in place of the query's own.
    """
    values: dict[str, str] = {}
    for field in fields(query):
        value = changes.get(field.name, getattr(query, field.name))
        if str(value) != str(field.default) and field.name not in excluded:
            values[field.name] = "1" if value is True else str(value)
    if "slug" in (request.view_args or {}) and request.blueprint == "categories":
        values.pop("category", None)  # the path says it
    return values


def canonical_url(**values: Any) -> str:
    """Return the address under which search engines should know this page."""
    return absolute_url(str(request.endpoint), **values | (request.view_args or {}))


def absolute_url(endpoint: str, **values: Any) -> str:
    """Return the full address of a page of ours, as the public knows it."""
    path = link(endpoint, **values)
    public = current_app.config["PUBLIC_URL"]
    return public + path.removeprefix(request.script_root) if public else request.host_url.rstrip("/") + path


def query_string() -> str:
    """Return the query of this request as it came, with its question mark; empty where there is none."""
    return "?" + quote(request.query_string, safe=PRINTABLE) if request.query_string else ""
