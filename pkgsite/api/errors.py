"""The one place where a failure becomes JSON."""

from __future__ import annotations

from flask import Response, request
from werkzeug.exceptions import (
    BadRequest,
    HTTPException,
    MethodNotAllowed,
    PreconditionFailed,
    PreconditionRequired,
    Unauthorized,
    UnsupportedMediaType,
)

from pkgsite.api.negotiation import ALLOWED, Rendering, json_answer
from pkgsite.errors import Conflict, Forbidden, Invalid, NotFound, SiteError, Taken, UpstreamError

WORDS = {
    400: "Bad request.",
    404: "Not found.",
    413: "Request body too large.",
    429: "Too many requests. Try again later.",
    500: "Internal server error. The error has been logged.",
}
SAID_BY_US = (BadRequest, PreconditionFailed, PreconditionRequired, Unauthorized, UnsupportedMediaType)
STATUS: dict[type[SiteError], int] = {
    Taken: 409,
    Invalid: 400,
    Forbidden: 403,
    NotFound: 404,
    Conflict: 409,
    UpstreamError: 502,
}


def answer(error: HTTPException | SiteError, rendering: Rendering | None = None) -> Response:
    """Return the JSON answer for a failure: `{"detail": …}`, or the problems by field where the input was refused."""
    status, body = _http_failure(error) if isinstance(error, HTTPException) else _site_failure(error)
    response = json_answer(body, rendering or Rendering(), status)
    if isinstance(error, MethodNotAllowed):
        response.headers["Allow"] = ALLOWED
    if isinstance(error, Unauthorized):
        response.headers.extend(("WWW-Authenticate", way.to_header()) for way in error.www_authenticate or ())
    return response


def _http_failure(error: HTTPException) -> tuple[int, dict[str, str]]:
    status = error.code or 500
    if isinstance(error, MethodNotAllowed):
        return status, {"detail": f'Method "{request.method}" not allowed.'}
    # What a body or its type should have been is said by who refused it; other words may tell of the machine.
    words = error.description if type(error) in SAID_BY_US else WORDS.get(status)
    return status, {"detail": words or error.description or error.name}


def _site_failure(error: SiteError) -> tuple[int, dict[str, str] | dict[str, list[str]]]:
    status = next((code for kind, code in STATUS.items() if isinstance(error, kind)), 500)
    if isinstance(error, Invalid):
        return status, error.problems
    if isinstance(error, NotFound):
        return status, {"detail": f"No {error.noun} matches the given query."}
    return status, {"detail": WORDS.get(status, str(error))}
