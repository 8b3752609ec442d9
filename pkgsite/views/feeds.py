"""Atom responses with caching headers, so that feed readers download only what has changed."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from hashlib import sha256

from flask import Response, request

# Characters that are not valid in XML, even escaped.
_INVALID_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def atom_response(body: str, *, changed_at: datetime | None) -> Response:
    """Return an Atom feed, or 304 if the client already has this version."""
    text = _INVALID_XML.sub("�", body).encode()
    response = Response(text, content_type="application/atom+xml; charset=utf-8")
    response.headers["Cache-Control"] = "public, max-age=60"
    # Weak, because a strong ETag would have to differ for each content encoding.
    response.set_etag(sha256(text).hexdigest()[:32], weak=True)
    if changed_at is not None:
        response.last_modified = changed_at.astimezone(UTC)
    response.make_conditional(request)
    return response
