"""Who calls: the person of a program's token, or of a browser's session; and what that lets them do."""

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
from pkgsite.services.accounts.tokens import bearer_of, note_used
from pkgsite.services.permissions import ANONYMOUS, Viewer

SCHEMES = ("token", "bearer")


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls, and how they have shown it.

    Attributes:
        token_id: Of the token; None: by a session, or not at all.
        may_write: Whether the token may; a session may, where its CSRF token comes along.
    """

    viewer: Viewer = ANONYMOUS
    token_id: int | None = None
    may_write: bool = False

    @property
    def is_known(self) -> bool:
        return self.viewer.is_known

    @property
    def key(self) -> str:
        """Under what name the caller is counted."""
        if self.token_id is not None:
            return f"token {self.token_id}"
        return f"user {self.viewer.user_id}" if self.is_known else f"address {request.remote_addr}"


NOBODY = Caller()


def caller() -> Caller:
    """Return who calls.

    A session is looked for only where a cookie came: an answer to a program without one does not vary by it.

    Raises:
        Unauthorized: there is a token, and it opens nothing.
    """
    if "caller" not in g:
        g.caller = _caller()
    found: Caller = g.caller
    return found


def _caller() -> Caller:
    scheme, _, secret = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() in SCHEMES:
        return _bearer(secret.strip())
    if current_app.config["SESSION_COOKIE_NAME"] not in request.cookies:
        return NOBODY
    viewer: Viewer = getattr(current_user, "viewer", ANONYMOUS)
    return Caller(viewer, may_write=True) if viewer.is_known else NOBODY


def _bearer(secret: str) -> Caller:
    session, now = db.session(), utc_now()
    bearer = bearer_of(session, secret, now=now)
    session.rollback()
    if bearer is None:
        raise Unauthorized("Invalid, expired or revoked token.", www_authenticate=challenge())
    if bearer.is_note_due:
        note_used(session, bearer.token_id, now=now)
        session.commit()
    return Caller(bearer.viewer, bearer.token_id, bearer.may_write)


def challenge() -> WWWAuthenticate:
    return WWWAuthenticate("Token", {"realm": "api"})


def writer() -> Caller:
    """Return who calls, if they may change something.

    Raises:
        Forbidden: the token only reads, or a session came without its CSRF token.
        Unauthorized: there is a token, and it opens nothing.
    """
    found = caller()
    if not found.may_write:
        raise Forbidden("This token is read-only.")
    if found.token_id is None:
        try:
            validate_csrf(request.headers.get("X-CSRFToken") or request.form.get("csrf_token"))
        except ValidationError:
            raise Forbidden("Session requests must include a CSRF token in the X-CSRFToken header.") from None
    return found
