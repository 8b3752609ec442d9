"""What every answer of the site has, whichever edge made it: failures in the right form, headers, compression."""

from __future__ import annotations

from urllib.parse import urlsplit

from flask import Flask, Response, abort, current_app, g, request
from flask.sessions import SecureCookieSessionInterface
from flask_wtf.csrf import CSRFError
from werkzeug.exceptions import HTTPException
from werkzeug.middleware.proxy_fix import ProxyFix

from pkgsite.api import errors as api_errors
from pkgsite.errors import Forbidden, SiteError
from pkgsite.extensions import compress
from pkgsite.views import errors as page_errors
from pkgsite.views import webhooks

SECURITY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    # Everything that a page loads is the site's own; nothing runs or styles from within the page itself.
    "Content-Security-Policy": (
        "default-src 'none'; base-uri 'none'; connect-src 'self'; font-src 'self'; form-action 'self'; "
        "frame-ancestors 'none'; img-src 'self' data:; manifest-src 'self'; script-src 'self'; style-src 'self'"
    ),
}
HSTS = "max-age=31536000"


class SecureSessionInterface(SecureCookieSessionInterface):
    """The session's cookie, kept to https wherever the visitor came by https."""

    def get_cookie_secure(self, app: Flask) -> bool:
        return super().get_cookie_secure(app) or request.is_secure


def init_app(app: Flask) -> None:
    hops = app.config["PROXY_HOPS"]
    if hops:
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=hops, x_proto=hops, x_host=hops)  # type: ignore[method-assign]
    app.session_interface = SecureSessionInterface()
    app.register_error_handler(HTTPException, error_response)
    app.register_error_handler(SiteError, error_response)
    app.register_error_handler(
        CSRFError, lambda _error: error_response(Forbidden("The CSRF token is missing or invalid."))
    )
    app.before_request(reject_large_body)
    app.after_request(finalise_response)


def error_response(error: HTTPException | SiteError) -> Response:
    """Answer a failure in JSON to programs and with a page to people.

    The path decides: a blueprint's own handlers would never see an unknown URL below its prefix.
    """
    if request.path == "/api" or request.path.startswith("/api/"):
        return api_errors.error_response(error)
    return webhooks.error_response(error) if request.path in webhooks.PATHS else page_errors.error_response(error)


def reject_large_body() -> None:
    """Refuse a body that is too large by what it says of itself, before anything reads it."""
    if (request.content_length or 0) > current_app.config["MAX_CONTENT_LENGTH"]:
        abort(413)


def finalise_response(response: Response) -> Response:
    """Give an answer what all answers have."""
    if response.status_code == 308:
        _make_redirect_relative(response)
    for name, value in SECURITY_HEADERS.items():
        response.headers.setdefault(name, value)
    if g.get("allows_inline_styles"):  # a page that carries another's tool, with styles in its elements, says so
        response.headers["Content-Security-Policy"] += " 'unsafe-inline'"  # the list of styles is the policy's last
    if request.is_secure or current_app.config["PUBLIC_URL"].startswith("https://"):
        response.headers["Strict-Transport-Security"] = HSTS
    if request.endpoint == "static":  # small files: a whole body compresses better than a stream
        response.direct_passthrough = False
        response.make_sequence()
    if _should_compress(response):
        compress.after_request(response)
    return response


def _make_redirect_relative(response: Response) -> None:
    """Make the router's redirect for a missing slash lead to a path of this site, with the 301 that readers know."""
    target = urlsplit(response.headers["Location"])
    if request.method in {"GET", "HEAD"}:
        response.status_code = 301
    response.set_data(b"")
    response.autocorrect_location_header = False
    response.headers["Location"] = "/" + target.path.lstrip("/") + (f"?{target.query}" if target.query else "")


def _should_compress(response: Response) -> bool:
    """Tell whether an answer of this kind and size is compressed for those who ask; only such answers vary by it."""
    return (
        200 <= response.status_code < 300
        and response.status_code != 206  # a range counts the bytes of the plain body
        and response.mimetype in compress.compress_mimetypes_set
        and (response.content_length is None or response.content_length >= current_app.config["COMPRESS_MIN_SIZE"])
    )
