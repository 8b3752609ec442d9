"""HTTP caching: entity tags, conditional requests and `Cache-Control`."""

from __future__ import annotations

import hashlib
import re
from datetime import UTC, datetime

from flask import Response, request
from werkzeug.http import parse_etags

from pkgsite.api.authentication import current_principal

# The ETag of a compressed response is that of the plain response, followed by a colon and the name of the encoding.
_CONTENT_ENCODING = re.compile(r":[a-z]+$")


def make_etag(body: bytes) -> str:
    """Return the strong entity tag of a response body, without quotes."""
    return hashlib.sha256(body).hexdigest()[:32]


def matches_etag(etag: str, header: str, *, weak: bool = False) -> bool:
    """Return whether an `If-Match` or `If-None-Match` header includes an entity tag, in any content encoding.

    Args:
        etag: The entity tag, without quotes.
        header: The value of the header.
        weak: Whether weak tags (`W/"x"`) match too. They do in `If-None-Match`, but not in `If-Match` (RFC 9110,
            sections 13.1.1 and 13.1.2). Proxies that compress responses make their tags weak.
    """
    if header.strip() == "*":
        return True
    tags = parse_etags(header).as_set(include_weak=weak)
    return etag in {_CONTENT_ENCODING.sub("", tag) for tag in tags if tag}


def make_conditional(response: Response, *, changed_at: datetime | None, is_single_record: bool) -> Response:
    """Add the validators to a response, and turn it into a 304 if the client's copy is current.

    Args:
        response: A complete response to a GET request.
        changed_at: The time of the last change to its data; None if unknown.
        is_single_record: Whether it contains a single record. Only then is `If-Modified-Since` used: removing a record
            changes a list, but not the list's latest change date.
    """
    tag = make_etag(response.get_data())
    response.set_etag(tag)
    if changed_at is not None:
        response.last_modified = changed_at.astimezone(UTC)
    response.headers["Cache-Control"] = (
        "private, no-cache" if current_principal().is_authenticated else "public, no-cache"
    )
    if "If-None-Match" in request.headers:
        is_not_modified = matches_etag(tag, request.headers["If-None-Match"], weak=True)
    else:
        since = request.if_modified_since
        is_not_modified = (
            is_single_record
            and since is not None
            and changed_at is not None
            and changed_at.replace(microsecond=0) <= since
        )
    if is_not_modified:
        response.status_code = 304
        response.set_data(b"")
        response.headers.pop("Content-Length", None)
        response.headers.pop("Content-Type", None)
    return response
