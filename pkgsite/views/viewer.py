"""Who looks: the person of this request, from the secret in their browser's cookie."""

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
from pkgsite.extensions import db, gateways, login_manager
from pkgsite.services.accounts.users import AuthenticatedSession, authenticate_session, start_session
from pkgsite.services.changeset import Changeset
from pkgsite.services.permissions import ANONYMOUS, Viewer
from pkgsite.views.links import link

P = ParamSpec("P")
R = TypeVar("R")


class SessionUser(UserMixin):  # type: ignore[misc]  # Flask-Login has no types
    """Who is logged in, as Flask-Login wants it: its id is the secret of this browser's session."""

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
    opened = authenticate_session(db.session(), secret, now=utc_now())
    return SessionUser(secret, opened) if opened else None


def current_viewer() -> Viewer:
    """Return who looks."""
    found: Viewer = getattr(current_user, "viewer", ANONYMOUS)
    return found


def log_in_user(user_id: int) -> None:
    """Log a person in, with a session that has nothing of the one before; commits."""
    secret = start_session(
        db.session(), user_id, now=utc_now(), address=request.remote_addr or "", user_agent=str(request.user_agent)
    )
    db.session.commit()
    opened = authenticate_session(db.session(), secret, now=utc_now())
    if opened is None:
        abort(403)
    cookie.clear()
    login_user(SessionUser(secret, opened))
    cookie.permanent = True


def login_required(view: Callable[P, R]) -> Callable[P, R | Response]:
    """Send who is not logged in to the page for it, and back again; what would change something is refused."""

    @wraps(view)
    def guarded(*args: P.args, **values: P.kwargs) -> R | Response:
        if current_viewer().is_authenticated:
            return view(*args, **values)
        if request.method not in {"GET", "HEAD"}:
            abort(403)
        current_path = request.full_path.rstrip("?")
        return redirect(link("accounts.login", next=current_path))

    return guarded


def moderator_required(view: Callable[P, R]) -> Callable[P, R | Response]:
    """Let only moderators in."""

    @wraps(view)
    def guarded(*args: P.args, **values: P.kwargs) -> R | Response:
        if not current_viewer().is_moderator:
            abort(403)
        return view(*args, **values)

    return login_required(guarded)


def begin_changeset(reason: str = "") -> Changeset:
    """Begin an act of the person who looks, in a transaction of its own."""
    by = current_viewer()
    db.session.rollback()  # who looks has been read; what follows sees the present
    return Changeset(db.session(), by=by, now=utc_now(), gateways=gateways(), reason=reason)
