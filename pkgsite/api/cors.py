"""CORS: pages on other origins can read the API, without cookies."""

from __future__ import annotations

from flask import Response, request

ALLOWED_METHODS = "GET, HEAD, OPTIONS"
ALLOWED_HEADERS = "Accept, Authorization, If-Modified-Since, If-None-Match"
EXPOSED_HEADERS = "ETag, Last-Modified, RateLimit-Limit, RateLimit-Remaining, RateLimit-Reset, Retry-After"
PREFLIGHT_MAX_AGE = "86400"  # seconds


def add_cors_headers(response: Response) -> None:
    """Add the CORS headers to the API's response to a GET, HEAD or OPTIONS request, which may be a preflight request.

    The headers are the same for every origin, so responses need no `Vary: Origin`.
    """
    response.headers["Access-Control-Allow-Origin"] = "*"
    response.headers["Access-Control-Expose-Headers"] = EXPOSED_HEADERS
    if request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers:
        response.headers["Access-Control-Allow-Methods"] = ALLOWED_METHODS
        response.headers["Access-Control-Allow-Headers"] = ALLOWED_HEADERS
        response.headers["Access-Control-Max-Age"] = PREFLIGHT_MAX_AGE
