"""Conversion of errors to JSON responses."""

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

from pkgsite.api.negotiation import READ_METHODS, ResponseFormat, json_response
from pkgsite.errors import AlreadyExists, Conflict, Forbidden, Invalid, NotFound, SiteError, UpstreamError

MESSAGES = {
    400: "Bad request.",
    404: "Not found.",
    413: "Request body too large.",
    429: "Too many requests. Try again later.",
    503: "Temporarily unavailable. Try again later.",
    500: "Internal server error. The error has been logged.",
}
SAFE_TO_SHOW = (BadRequest, PreconditionFailed, PreconditionRequired, Unauthorized, UnsupportedMediaType)
STATUS_CODES: dict[type[SiteError], int] = {
    AlreadyExists: 409,
    Invalid: 400,
    Forbidden: 403,
    NotFound: 404,
    Conflict: 409,
    UpstreamError: 502,
}


def error_response(error: HTTPException | SiteError, response_format: ResponseFormat | None = None) -> Response:
    """Return the JSON response for an error: `{"detail": …}`, or the validation errors by field."""
    status, body = _http_error(error) if isinstance(error, HTTPException) else _site_error(error)
    response = json_response(body, response_format or ResponseFormat(), status)
    if isinstance(error, MethodNotAllowed):
        response.headers["Allow"] = READ_METHODS
    if isinstance(error, Unauthorized):
        response.headers.extend(
            ("WWW-Authenticate", challenge.to_header()) for challenge in error.www_authenticate or ()
        )
    return response


def _http_error(error: HTTPException) -> tuple[int, dict[str, str]]:
    status = error.code or 500
    if isinstance(error, MethodNotAllowed):
        return status, {"detail": f'Method "{request.method}" not allowed.'}
    # Other descriptions may reveal details of the server.
    message = error.description if type(error) in SAFE_TO_SHOW else MESSAGES.get(status)
    return status, {"detail": message or error.description or error.name}


def _site_error(error: SiteError) -> tuple[int, dict[str, str] | dict[str, list[str]]]:
    status = next((code for error_type, code in STATUS_CODES.items() if isinstance(error, error_type)), 500)
    if isinstance(error, Invalid):
        return status, error.problems
    if isinstance(error, NotFound):
        return status, {"detail": f"No {error.noun} matches the given query."}
    return status, {"detail": MESSAGES.get(status, str(error))}
