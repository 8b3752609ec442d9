"""Error pages in the site's layout.

They need no database, route or trusted host, because any of these may be what failed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from flask import Response, make_response, render_template
from werkzeug.exceptions import HTTPException

from pkgsite.errors import Conflict, Forbidden, Invalid, NotFound, SiteError, UpstreamError
from pkgsite.services.permissions import ANONYMOUS
from pkgsite.views.submitted import current_fields, current_url

STATUS_CODES: dict[type[SiteError], int] = {
    NotFound: 404,
    Forbidden: 403,
    Conflict: 409,
    Invalid: 422,
    UpstreamError: 502,
}
RETRYABLE = {429, 500, 502, 503}  # the same form may be accepted later
DROPPED_HEADERS = {"content-type", "content-length", "location"}


def error_response(
    error: SiteError | HTTPException, *, query_text: str = "", nearest: Sequence[tuple[str, str]] = ()
) -> Response:
    """Return the error page for an exception, with its status and headers.

    Args:
        error: The exception.
        query_text: The text of the page's search box.
        nearest: The titles and paths of pages that the user may have meant.
    """
    if isinstance(error, HTTPException) and error.response is not None:
        return make_response(error.response)
    status = _status(error)
    noun = error.noun if isinstance(error, NotFound) else ""
    message = str(error) if isinstance(error, Forbidden) else ""
    # Loading the current user needs the database, which may be what failed.
    context: dict[str, Any] = {"viewer": ANONYMOUS} if status >= 500 else {}
    context |= {"fields": current_fields(), "action": current_url(), "can_retry": status in RETRYABLE}
    context |= {"status": status, "noun": noun, "message": message, "query_text": query_text, "nearest": nearest}
    response = make_response(render_template("errors/error.html", **context), status)
    if isinstance(error, HTTPException):  # for example, a 405 lists the allowed methods
        for name, value in error.get_headers():
            if name.lower() not in DROPPED_HEADERS:
                response.headers[name] = value
    return response


def _status(error: SiteError | HTTPException) -> int:
    if isinstance(error, HTTPException):
        return error.code or 500
    return next((status for kind, status in STATUS_CODES.items() if isinstance(error, kind)), 500)
