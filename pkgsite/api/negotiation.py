"""Content negotiation and JSON responses."""

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
FORMATS = {"json": JSON, "api": HTML}  # by the value of `?format=` or the suffix of the URL
MAX_INDENT = 8


@dataclass(frozen=True, slots=True)
class ResponseFormat:
    """The format of a response body: JSON, compact or indented by some number of spaces, or an HTML page."""

    indent: int | None = None
    is_html: bool = False


def negotiate(suffix: str | None) -> ResponseFormat:
    """Return the response format for this request.

    The most specific media range of the `Accept` header wins, and JSON wins if both formats match equally well.

    Args:
        suffix: The format in the URL's suffix (`.json`), which takes precedence over `?format=`.

    Raises:
        NotFound: The requested format does not exist.
        NotAcceptable: The `Accept` header excludes every available format.
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


def json_response(body: Any, response_format: ResponseFormat, status: int = 200) -> Response:
    """Return a JSON response; characters outside ASCII are not escaped."""
    if response_format.indent is None:
        data = orjson.dumps(body)
    else:
        data = json.dumps(body, indent=response_format.indent, ensure_ascii=False).encode()
    # Before ES2019, U+2028 and U+2029 are line terminators in JavaScript strings, although JSON allows them.
    data = data.replace(b"\xe2\x80\xa8", rb"\u2028").replace(b"\xe2\x80\xa9", rb"\u2029")
    return Response(data, status, {"Vary": "Accept"}, content_type=JSON)


def _acceptable_types(available_types: tuple[str, ...]) -> list[tuple[tuple[int, int], str, dict[str, str]]]:
    """Return the matches of the `Accept` header: their precedence, media type and parameters."""
    candidates = []
    for part in (request.headers.get("Accept") or "*/*").split(","):
        media, parameters = parse_options_header(part.strip())
        media = media.lower()
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
