"""Feeds: XML that readers fetch again and again, and are told when nothing is new."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from hashlib import sha256

from flask import Response, request

# What XML can't hold, even escaped.
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def atom_response(body: str, *, changed_at: datetime | None) -> Response:
    """Return an Atom feed, or 304 to who has it already."""
    text = _NOT_XML.sub("�", body).encode()
    response = Response(text, content_type="application/atom+xml; charset=utf-8")
    response.headers["Cache-Control"] = "public, max-age=60"
    # Weak: a strong one would have to be another for each compression.
    response.set_etag(sha256(text).hexdigest()[:32], weak=True)
    if changed_at is not None:
        response.last_modified = changed_at.astimezone(UTC)
    response.make_conditional(request)
    return response
