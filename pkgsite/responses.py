"""What pages and API responses have in common: error responses, security headers, compression."""

from __future__ import annotations

from urllib.parse import urlsplit

from flask import Flask, Response, abort, current_app, g, request
from flask.sessions import SecureCookieSessionInterface
from flask.typing import ResponseReturnValue
from sqlalchemy.exc import DBAPIError
from werkzeug.exceptions import HTTPException, ServiceUnavailable
from werkzeug.middleware.proxy_fix import ProxyFix

from pkgsite import content_encoding
from pkgsite.api import errors as api_errors
from pkgsite.api.cors import add_cors_headers
from pkgsite.errors import SiteError
from pkgsite.extensions import compress, db
from pkgsite.limits import strip_uncounted_headers
from pkgsite.outages import RETRY_AFTER_S, is_outage, lost_race, report_outage
from pkgsite.views import errors as page_errors
from pkgsite.views import webhooks
from pkgsite.views.accounts.base import record_session_activity
from pkgsite.views.static_files import finalise_static_response

SECURITY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    # Pages load everything from this site, without inline scripts and styles.
    "Content-Security-Policy": (
        "default-src 'none'; base-uri 'none'; connect-src 'self'; font-src 'self'; form-action 'self'; "
        "frame-ancestors 'none'; img-src 'self' data:; manifest-src 'self'; script-src 'self'; style-src 'self'"
    ),
}
READ_METHODS = {"GET", "HEAD", "OPTIONS"}
BODY_TIMED_OUT = "pkgsite.body_timed_out"  # key of the WSGI environment, set by the server
MAX_FORM_FIELDS = 1_000  # as for multipart forms
HSTS = "max-age=31536000"


class SecureSessionInterface(SecureCookieSessionInterface):
    """A session cookie that is Secure whenever the request uses HTTPS."""

    def get_cookie_secure(self, app: Flask) -> bool:
        return super().get_cookie_secure(app) or request.is_secure


def init_app(app: Flask) -> None:
    hops = app.config["PROXY_HOPS"]
    if hops:
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=hops, x_proto=hops, x_host=hops)  # type: ignore[method-assign]
    app.session_interface = SecureSessionInterface()
    app.register_error_handler(HTTPException, error_response)
    app.register_error_handler(SiteError, error_response)
    app.register_error_handler(DBAPIError, handle_database_error)
    app.before_request(prepare_body)
    app.after_request(finalise_response)


def error_response(error: HTTPException | SiteError) -> Response:
    """Return the response to an error: JSON for the API and webhooks, otherwise a page.

    The path decides, because a blueprint's error handlers are not called for unknown URLs below its prefix.
    """
    if request.path == "/api" or request.path.startswith("/api/"):
        return api_errors.error_response(error)
    return webhooks.error_response(error) if request.path in webhooks.PATHS else page_errors.error_response(error)


def handle_database_error(error: DBAPIError) -> ResponseReturnValue:
    """Run a request again whose transaction lost a race; respond 503 if the database is not available.

    After a race, such as with a request that adds the same grid, the second run sees what the other transaction has
    saved, and reports it like any other invalid input.
    """
    if is_outage(error):
        report_outage(error)
        g.retry_after_s = RETRY_AFTER_S
        return error_response(ServiceUnavailable())
    if g.get("has_lost_race") or not lost_race(error):
        raise error
    g.has_lost_race = True
    db.session.rollback()
    try:
        return current_app.dispatch_request()
    except Exception as second_error:
        return current_app.handle_user_exception(second_error)


def prepare_body() -> None:
    """Decompress the body, and reject it if it is too large, has not arrived in time or has too many form fields."""
    if request.environ.get(BODY_TIMED_OUT):
        abort(408)
    if (request.content_length or 0) > current_app.config["MAX_CONTENT_LENGTH"]:
        abort(413)
    if "Content-Encoding" in request.headers:
        content_encoding.decode_request_body()
    if request.mimetype == "application/x-www-form-urlencoded" and request.get_data().count(b"&") >= MAX_FORM_FIELDS:
        abort(413)


def finalise_response(response: Response) -> Response:
    """Add what all responses have: security headers, relative redirects and compression; and those of some kinds."""
    if current_app.config["RATELIMIT_ENABLED"]:
        strip_uncounted_headers(response)
    if "retry_after_s" in g:
        response.headers["Retry-After"] = str(g.retry_after_s)
    if response.status_code == 415 and "Content-Encoding" in request.headers:
        response.headers["Accept-Encoding"] = content_encoding.ACCEPTED
    if request.path.startswith("/api/") and request.method in READ_METHODS:
        add_cors_headers(response)
    if request.method == "GET" and getattr(g.get("_login_user"), "is_activity_due", False):
        record_session_activity()
    if response.status_code == 308:
        _make_redirect_relative(response)
    _add_security_headers(response)
    if request.endpoint == "static":
        finalise_static_response(response)
    if _should_compress(response):
        compress.after_request(response)
    return response


def _add_security_headers(response: Response) -> None:
    for name, value in SECURITY_HEADERS.items():
        response.headers.setdefault(name, value)
    if g.get("allows_inline_styles"):  # set by a page with a third-party tool
        response.headers["Content-Security-Policy"] += " 'unsafe-inline'"  # style-src is the last directive
    if request.is_secure or current_app.config["PUBLIC_URL"].startswith("https://"):
        response.headers["Strict-Transport-Security"] = HSTS


def _make_redirect_relative(response: Response) -> None:
    """Make the router's redirect for a missing slash relative to this site, with status 301 for GET and HEAD."""
    target = urlsplit(response.headers["Location"])
    if request.method in {"GET", "HEAD"}:
        response.status_code = 301
    response.set_data(b"")
    response.autocorrect_location_header = False
    response.headers["Location"] = "/" + target.path.lstrip("/") + (f"?{target.query}" if target.query else "")


def _should_compress(response: Response) -> bool:
    """Return whether a response is compressed for clients that accept it; others get no Vary: Accept-Encoding."""
    return (
        200 <= response.status_code < 300
        and response.status_code != 206  # a range refers to the uncompressed body
        and response.mimetype in compress.compress_mimetypes_set
        and (response.content_length is None or response.content_length >= current_app.config["COMPRESS_MIN_SIZE"])
    )
