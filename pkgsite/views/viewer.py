"""The current user of a request, loaded from the session secret in the browser's cookie."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

from flask import Flask, abort, redirect, request
from flask import session as cookie
from flask_login import UserMixin, current_user, login_user
from werkzeug.local import LocalProxy
from werkzeug.wrappers import Response

from pkgsite.clock import utc_now
from pkgsite.errors import LoginRequired
from pkgsite.extensions import db, gateways, login_manager
from pkgsite.services.accounts.users import AuthenticatedSession, authenticate_session, start_session
from pkgsite.services.changeset import Changeset
from pkgsite.services.permissions import ANONYMOUS, Viewer
from pkgsite.views.links import link
from pkgsite.views.submitted import current_url

P = ParamSpec("P")
R = TypeVar("R")


class SessionUser(UserMixin):  # type: ignore[misc]  # Flask-Login has no types
    """The logged-in user for Flask-Login. Its id is the secret of the browser's session."""

    def __init__(self, secret: str, auth_session: AuthenticatedSession) -> None:
        self.secret = secret
        self.session_id = auth_session.id
        self.is_activity_due = auth_session.is_activity_due
        self.viewer = auth_session.viewer

    def get_id(self) -> str:
        return self.secret


def init_app(app: Flask) -> None:
    app.context_processor(lambda: {"viewer": LocalProxy(current_viewer)})


@login_manager.user_loader  # type: ignore[untyped-decorator]
def load_session_user(secret: str) -> SessionUser | None:
    auth_session = authenticate_session(db.session(), secret, now=utc_now())
    return SessionUser(secret, auth_session) if auth_session else None


def current_viewer() -> Viewer:
    """Return the current user, or the anonymous viewer."""
    viewer: Viewer = getattr(current_user, "viewer", ANONYMOUS)
    return viewer


def log_in_user(user_id: int) -> None:
    """Log a user in with a new session and an empty cookie, and commit."""
    secret = start_session(
        db.session(), user_id, now=utc_now(), address=request.remote_addr or "", user_agent=str(request.user_agent)
    )
    db.session.commit()
    auth_session = authenticate_session(db.session(), secret, now=utc_now())
    if auth_session is None:
        abort(403)
    cookie.clear()
    login_user(SessionUser(secret, auth_session))
    cookie.permanent = True


def login_required(view: Callable[P, R]) -> Callable[P, R | Response]:
    """Redirect anonymous visitors to the login page, and then back.

    Raises:
        LoginRequired: An anonymous visitor has sent a form.
    """

    @wraps(view)
    def guarded(*args: P.args, **values: P.kwargs) -> R | Response:
        if current_viewer().is_authenticated:
            return view(*args, **values)
        if request.method not in {"GET", "HEAD"}:
            raise LoginRequired("Log in to continue.")
        return redirect(link("accounts.login", next=current_url()))

    guarded.requires_login = True  # type: ignore[attr-defined]  # for requests without a valid CSRF token
    return guarded


def moderator_required(view: Callable[P, R]) -> Callable[P, R | Response]:
    """Respond 403 to users who are not moderators."""

    @wraps(view)
    def guarded(*args: P.args, **values: P.kwargs) -> R | Response:
        if not current_viewer().is_moderator:
            abort(403)
        return view(*args, **values)

    return login_required(guarded)


def begin_changeset(reason: str = "") -> Changeset:
    """Return a changeset by the current user, in a new transaction."""
    viewer = current_viewer()
    db.session.rollback()  # ends the transaction that loaded the user, so that the changeset sees current data
    return Changeset(db.session(), by=viewer, now=utc_now(), gateways=gateways(), reason=reason)
