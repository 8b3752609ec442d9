"""What lets callers keep an answer: validators, and who may keep it."""

from __future__ import annotations

import hashlib
import re
from datetime import UTC, datetime

from flask import Response, request
from werkzeug.http import parse_etags

from pkgsite.api.authentication import current_principal

# A compressed answer is another representation, with the name of its coding behind the tag of the plain one.
_CONTENT_CODING = re.compile(r":[a-z]+$")


def make_etag(body: bytes) -> str:
    """Return the strong entity tag of a body, without quotes."""
    return hashlib.sha256(body).hexdigest()[:32]


def matches_etag(etag: str, header: str) -> bool:
    """Tell whether conditions, as a header has them, name an entity tag, in whatever coding it was sent."""
    if header.strip() == "*":
        return True
    return etag in {_CONTENT_CODING.sub("", known) for known in parse_etags(header).as_set() if known}


def make_conditional(response: Response, *, changed_at: datetime | None, is_single_record: bool) -> Response:
    """Give an answer its validators, and return 304 in its place if the caller has it already.

    Args:
        response: An answer to a GET, whole.
        changed_at: When what it tells was last changed; None: nobody knows.
        is_single_record: It tells of one record. A list may lose a record without any later date, so that for lists the entity
            tag alone counts.
    """
    tag = make_etag(response.get_data())
    response.set_etag(tag)
    if changed_at is not None:
        response.last_modified = changed_at.astimezone(UTC)
    response.headers["Cache-Control"] = (
        "private, no-cache" if current_principal().is_authenticated else "public, no-cache"
    )
    if "If-None-Match" in request.headers:
        is_not_modified = matches_etag(tag, request.headers["If-None-Match"])
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
