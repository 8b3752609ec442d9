"""In what form an answer goes out: what the caller accepts, the format asked for, and the bytes."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import orjson
from flask import Response, request
from werkzeug.exceptions import NotAcceptable, NotFound
from werkzeug.http import parse_options_header

ALLOWED = "GET, HEAD, OPTIONS"
OURS = {"application/json", "text/html"}  # a browser gets JSON too, for as long as there is no page made for it
WIDEST_INDENT = 8


@dataclass(frozen=True, slots=True)
class Rendering:
    """How the JSON is written: compact, or indented by so many spaces."""

    indent: int | None = None


def negotiate(suffix: str | None) -> Rendering:
    """Return how to answer this request.

    Args:
        suffix: The format named by the URL's ending (`.json`); it wins over `?format=`.

    Raises:
        NotFound: a format is asked for that there isn't.
        NotAcceptable: the Accept header leaves nothing that we have.
    """
    wanted = suffix or (request.args.getlist("format") or [""])[-1]
    if wanted not in {"", "json"}:
        raise NotFound
    best = max(_accepted(), key=lambda offer: offer[0], default=None)
    if best is None:
        raise NotAcceptable("Could not satisfy the request Accept header.")
    return Rendering(_indent(best[1]))


def json_answer(body: Any, rendering: Rendering, status: int = 200) -> Response:
    """Return an answer with this body as JSON in raw UTF-8."""
    if rendering.indent is None:
        data = orjson.dumps(body)
    else:
        data = json.dumps(body, indent=rendering.indent, ensure_ascii=False).encode()
    # These two end a line in old JavaScript, so that JSON with them could not be pasted into a script.
    data = data.replace(b"\xe2\x80\xa8", rb"\u2028").replace(b"\xe2\x80\xa9", rb"\u2029")
    return Response(data, status, {"Vary": "Accept"}, content_type="application/json")


def _accepted() -> list[tuple[int, dict[str, str]]]:
    """Return the ranges of the Accept header that we can serve: how narrow each is, and its parameters."""
    offers = []
    for part in (request.headers.get("Accept") or "*/*").split(","):
        media, parameters = parse_options_header(part.strip())
        kind, _, subtype = media.partition("/")
        if media in OURS:
            offers.append((3 if set(parameters) - {"q"} else 2, parameters))
        elif subtype == "*" and kind in {"application", "text", "*"}:
            offers.append((0 if kind == "*" else 1, parameters))
    return offers


def _indent(parameters: dict[str, str]) -> int | None:
    try:
        width = int(parameters.get("indent", ""))
    except ValueError:
        return None
    return min(max(width, 0), WIDEST_INDENT) or None
