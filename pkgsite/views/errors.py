"""A failure as a page in the site's own look, with words that help.

Such a page asks no database, and needs neither a route nor a trusted host: it may be shown because one of these failed.
"""

from __future__ import annotations

from flask import Response, make_response, render_template
from werkzeug.exceptions import HTTPException

from pkgsite.errors import Conflict, Forbidden, Invalid, NotFound, SiteError, UpstreamError
from pkgsite.services.permissions import ANONYMOUS

STATUS_CODES: dict[type[SiteError], int] = {
    NotFound: 404,
    Forbidden: 403,
    Conflict: 409,
    Invalid: 422,
    UpstreamError: 502,
}
DROPPED_HEADERS = {"content-type", "content-length", "location"}


def error_response(error: SiteError | HTTPException) -> Response:
    """Return the page that tells a visitor of this failure, with its own status and headers."""
    if isinstance(error, HTTPException) and error.response is not None:
        return make_response(error.response)
    status = _status(error)
    subject = error.noun.lower() if isinstance(error, NotFound) else None
    # Who looks is not asked of a database that may just have failed.
    context = {"viewer": ANONYMOUS} if status >= 500 else {}
    response = make_response(render_template("errors/error.html", status=status, noun=subject, **context), status)
    if isinstance(error, HTTPException):  # such as the methods that a 405 allows
        for name, value in error.get_headers():
            if name.lower() not in DROPPED_HEADERS:
                response.headers[name] = value
    return response


def _status(error: SiteError | HTTPException) -> int:
    if isinstance(error, HTTPException):
        return error.code or 500
    return next((status for kind, status in STATUS_CODES.items() if isinstance(error, kind)), 500)
