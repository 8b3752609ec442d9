"""Error pages in the site's layout.

They need no database, route or trusted host, because any of these may be what failed.
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
    """Return the error page for an exception, with its status and headers."""
    if isinstance(error, HTTPException) and error.response is not None:
        return make_response(error.response)
    status = _status(error)
    noun = error.noun if isinstance(error, NotFound) else ""
    message = str(error) if isinstance(error, Forbidden) else ""
    # Loading the current user needs the database, which may be what failed.
    context = {"viewer": ANONYMOUS} if status >= 500 else {}
    page = render_template("errors/error.html", status=status, noun=noun, message=message, **context)
    response = make_response(page, status)
    if isinstance(error, HTTPException):  # for example, a 405 lists the allowed methods
        for name, value in error.get_headers():
            if name.lower() not in DROPPED_HEADERS:
                response.headers[name] = value
    return response


def _status(error: SiteError | HTTPException) -> int:
    if isinstance(error, HTTPException):
        return error.code or 500
    return next((status for kind, status in STATUS_CODES.items() if isinstance(error, kind)), 500)
