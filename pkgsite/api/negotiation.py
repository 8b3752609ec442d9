"""In what form an answer goes out: what the caller accepts, the format asked for, and the bytes."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import orjson
from flask import Response, request
from werkzeug.exceptions import NotAcceptable, NotFound
from werkzeug.http import parse_options_header

READ_METHODS = "GET, HEAD, OPTIONS"
JSON, HTML = "application/json", "text/html"
FORMATS = {"json": JSON, "api": HTML}  # as `?format=` and a URL's ending name them
MAX_INDENT = 8


@dataclass(frozen=True, slots=True)
class ResponseFormat:
    """How a body is written: as JSON, compact or indented by so many spaces, or as a page for people."""

    indent: int | None = None
    is_html: bool = False


def negotiate(suffix: str | None) -> ResponseFormat:
    """Return how to answer this request.

    Of what the caller accepts the most narrowly named goes first, and JSON where both are named alike.

    Args:
        suffix: The format named by the URL's ending (`.json`); it wins over `?format=`.

    Raises:
        NotFound: a format is asked for that there isn't.
        NotAcceptable: the Accept header leaves nothing that we have.
    """
    requested_format = suffix or (request.args.getlist("format") or [""])[-1]
    if requested_format not in {"", *FORMATS}:
        raise NotFound
    available_types = (FORMATS[requested_format],) if requested_format else (JSON, HTML)
    candidates = _acceptable_types((JSON, HTML) if requested_format else available_types)
    best = max(candidates, key=lambda offer: offer[0], default=None)
    if best is None:
        raise NotAcceptable("Could not satisfy the request Accept header.")
    _, media, parameters = best
    return ResponseFormat(
        _indent(parameters), is_html=(FORMATS[requested_format] if requested_format else media) == HTML
    )


def json_response(body: Any, rendering: ResponseFormat, status: int = 200) -> Response:
    """Return an answer with this body as JSON in raw UTF-8."""
    if rendering.indent is None:
        data = orjson.dumps(body)
    else:
        data = json.dumps(body, indent=rendering.indent, ensure_ascii=False).encode()
    # These two end a line in old JavaScript, so that JSON with them could not be pasted into a script.
    data = data.replace(b"\xe2\x80\xa8", rb"\u2028").replace(b"\xe2\x80\xa9", rb"\u2029")
    return Response(data, status, {"Vary": "Accept"}, content_type=JSON)


def _acceptable_types(available_types: tuple[str, ...]) -> list[tuple[tuple[int, int], str, dict[str, str]]]:
    """Return what of the Accept header we can serve: how narrow it is named, as which of ours, and its parameters."""
    candidates = []
    for part in (request.headers.get("Accept") or "*/*").split(","):
        media, parameters = parse_options_header(part.strip())
        kind, _, subtype = media.partition("/")
        for position, media_type in enumerate(available_types):
            if media == media_type:
                specificity = 3 if set(parameters) - {"q"} else 2
            elif subtype == "*" and kind in {media_type.partition("/")[0], "*"}:
                specificity = 0 if kind == "*" else 1
            else:
                continue
            candidates.append(((specificity, -position), media_type, parameters))
    return candidates


def _indent(parameters: dict[str, str]) -> int | None:
    try:
        width = int(parameters.get("indent", ""))
    except ValueError:
        return None
    return min(max(width, 0), MAX_INDENT) or None
