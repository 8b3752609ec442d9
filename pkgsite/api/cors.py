"""Pages of other sites may read the API, as nobody in particular: no cookie is ever taken from there."""

from __future__ import annotations

from flask import Flask, Response, request

ALLOWED_METHODS = "GET, HEAD, OPTIONS"
ALLOWED_HEADERS = "Accept, Authorization, If-Modified-Since, If-None-Match"
EXPOSED_HEADERS = "ETag, Last-Modified, RateLimit-Limit, RateLimit-Remaining, RateLimit-Reset, Retry-After"
PREFLIGHT_MAX_AGE = "86400"  # seconds for which a browser need not ask again


def init_app(app: Flask) -> None:
    app.after_request(add_cors_headers)


def add_cors_headers(response: Response) -> Response:
    """Let pages from anywhere read what the API answers; asked beforehand, say so.

    The headers are the same for every origin, so that no cache has to tell them apart.
    """
    if not request.path.startswith("/api/") or request.method not in {"GET", "HEAD", "OPTIONS"}:
        return response
    response.headers["Access-Control-Allow-Origin"] = "*"
    response.headers["Access-Control-Expose-Headers"] = EXPOSED_HEADERS
    if request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers:
        response.headers["Access-Control-Allow-Methods"] = ALLOWED_METHODS
        response.headers["Access-Control-Allow-Headers"] = ALLOWED_HEADERS
        response.headers["Access-Control-Max-Age"] = PREFLIGHT_MAX_AGE
    return response
