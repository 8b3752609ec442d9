"""An answer as a page for people: what the address is for, the request, the answer's head, and its JSON with links."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode

from flask import Response, make_response, render_template, request
from markupsafe import Markup, escape

INDENT = 4
SHOWN = ("Allow", "Content-Type", "Vary")
_URL = re.compile(r'"(https?://[^"\\<>\s]+)"')


@dataclass(frozen=True, slots=True)
class Page:
    """What the page shows.

    Attributes:
        crumbs: Name and path of each page above, and of this one.
        status: As in "200 OK".
        headers: As sent with the JSON.
        body: The JSON, indented, with its addresses as links.
        formats: Name and path of the same in each format.
        before: The path of the stretch of the list before this one, where there is one.
        after: And after it.
    """

    name: str
    description: str
    method: str
    path: str
    crumbs: list[tuple[str, str]]
    status: str
    headers: list[tuple[str, str]]
    body: Markup
    formats: list[tuple[str, str]]
    before: str | None = None
    after: str | None = None


def page_answer(name: str, description: str, answer: Response, body: Any) -> Response:
    """Return a page that shows a JSON answer.

    Args:
        name: What the resource is called.
        description: What it is for.
        answer: The same as JSON, for its status and headers.
        body: What the JSON says.
    """
    status = HTTPStatus(answer.status_code)
    listed = body if isinstance(body, Mapping) and "results" in body else {}
    page = Page(
        name=name,
        description=description,
        method=request.method,
        path=request.full_path.rstrip("?"),
        crumbs=_crumbs(name),
        status=f"{status.value} {status.phrase}",
        headers=[(header, answer.headers[header]) for header in SHOWN if header in answer.headers],
        body=linked(json.dumps(body, indent=INDENT, ensure_ascii=False)),
        formats=[(format, _as(format)) for format in ("json", "api")],
        before=listed.get("previous"),
        after=listed.get("next"),
    )
    response = make_response(render_template("api/browse.html", page=page), status.value)
    response.headers["Vary"] = "Accept"
    return response


def linked(text: str) -> Markup:
    """Return JSON, escaped, with its addresses as links."""
    parts, end = [], 0
    for match in _URL.finditer(text):
        url = escape(match.group(1))
        parts += [escape(text[end : match.start(1)]), Markup('<a href="{0}" rel="nofollow">{0}</a>').format(url)]
        end = match.end(1)
    return Markup("").join([*parts, escape(text[end:])])


def _crumbs(name: str) -> list[tuple[str, str]]:
    """Return the pages above this one by the parts of its path."""
    root = f"{request.script_root}/api/v4/"
    path = request.path.removeprefix("/api/v4").strip("/")
    collection, _, key = path.partition("/")
    found = [("Api Root", root)]
    if key:
        found.append((f"{collection.removesuffix('s').title()} List", f"{root}{collection}/"))
    return [*found, (name, "")] if path else found


def _as(format: str) -> str:
    """Return this address with another format."""
    query = request.args.to_dict(flat=False) | {"format": [format]}
    return f"{request.script_root}{request.path}?{urlencode(query, doseq=True)}"
