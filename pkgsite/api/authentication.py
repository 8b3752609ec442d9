"""Authentication of API requests by a personal token or a browser session."""

from __future__ import annotations

from dataclasses import dataclass

from flask import current_app, g, request
from flask_login import current_user
from flask_wtf.csrf import ValidationError, validate_csrf
from werkzeug.datastructures import WWWAuthenticate
from werkzeug.exceptions import Unauthorized

from pkgsite.clock import utc_now
from pkgsite.errors import Forbidden
from pkgsite.extensions import db
from pkgsite.services.accounts.tokens import authenticate_token, record_token_use
from pkgsite.services.permissions import ANONYMOUS, Viewer

SCHEMES = ("token", "bearer")


@dataclass(frozen=True, slots=True)
class Principal:
    """The client that sent a request.

    Attributes:
        token_id: The token's id; None if the client uses a session or no credentials.
        can_write: Whether the token has the scope for writing; always true for a session, whose CSRF token is checked
            later, by `require_write_scope`.
    """

    viewer: Viewer = ANONYMOUS
    token_id: int | None = None
    can_write: bool = False

    @property
    def is_authenticated(self) -> bool:
        return self.viewer.user_id is not None

    @property
    def rate_limit_key(self) -> str:
        """The key under which the requests of this client are counted."""
        if self.token_id is not None:
            return f"token {self.token_id}"
        return f"user {self.viewer.user_id}" if self.is_authenticated else f"address {request.remote_addr}"


ANONYMOUS_PRINCIPAL = Principal()


def current_principal() -> Principal:
    """Return the client that sent this request.

    The session is read only if the request has its cookie, so that other responses do not vary by cookie.

    Raises:
        Unauthorized: The token is unknown, expired or revoked.
    """
    if "principal" not in g:
        g.principal = _authenticate()
    principal: Principal = g.principal
    return principal


def _authenticate() -> Principal:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() in SCHEMES:
        return _authenticate_token(token.strip())
    if current_app.config["SESSION_COOKIE_NAME"] not in request.cookies:
        return ANONYMOUS_PRINCIPAL
    viewer: Viewer = getattr(current_user, "viewer", ANONYMOUS)
    return Principal(viewer, can_write=True) if viewer.is_authenticated else ANONYMOUS_PRINCIPAL


def _authenticate_token(token: str) -> Principal:
    session, now = db.session(), utc_now()
    token_principal = authenticate_token(session, token, now=now)
    session.rollback()
    if token_principal is None:
        raise Unauthorized("Invalid, expired or revoked token.", www_authenticate=token_challenge())
    if token_principal.is_activity_due:
        record_token_use(session, token_principal.token_id, now=now)
        session.commit()
    return Principal(token_principal.viewer, token_principal.token_id, token_principal.can_write)


def token_challenge() -> WWWAuthenticate:
    return WWWAuthenticate("Token", {"realm": "api"})


def require_write_scope() -> Principal:
    """Return the client that sent this request, which must be allowed to write.

    Raises:
        Forbidden: The token is read-only, or the CSRF token of the session is missing.
        Unauthorized: The token is unknown, expired or revoked.
    """
    principal = current_principal()
    if not principal.can_write:
        raise Forbidden("This token is read-only.")
    if principal.token_id is None:
        try:
            validate_csrf(request.headers.get("X-CSRFToken") or request.form.get("csrf_token"))
        except ValidationError:
            raise Forbidden("Session requests must include a CSRF token in the X-CSRFToken header.") from None
    return principal
