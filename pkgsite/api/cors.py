"""Pages of other sites may read the API, as nobody in particular: no cookie is ever taken from there."""

from __future__ import annotations

from flask import Flask, Response, request

READS = "GET, HEAD, OPTIONS"
SENT = "Accept, Authorization, If-Modified-Since, If-None-Match"
TOLD = "ETag, Last-Modified, RateLimit-Limit, RateLimit-Remaining, RateLimit-Reset, Retry-After"
DAY = "86400"  # seconds for which a browser need not ask again


def init_app(app: Flask) -> None:
    app.after_request(open_to_pages)


def open_to_pages(response: Response) -> Response:
    """Let pages from anywhere read what the API answers; asked beforehand, say so.

    The headers are the same for every origin, so that no cache has to tell them apart.
    """
    if not request.path.startswith("/api/") or request.method not in {"GET", "HEAD", "OPTIONS"}:
        return response
    response.headers["Access-Control-Allow-Origin"] = "*"
    response.headers["Access-Control-Expose-Headers"] = TOLD
    if request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers:
        response.headers["Access-Control-Allow-Methods"] = READS
        response.headers["Access-Control-Allow-Headers"] = SENT
        response.headers["Access-Control-Max-Age"] = DAY
    return response
