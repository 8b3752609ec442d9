"""Login with GitHub or GitLab, and linking such an account to an existing one.

A POST starts the flow. It renders a page that redirects to the provider, because the site's content security policy
(`form-action`) doesn't allow a form to redirect to another site. The callback is a GET, protected by a state that only
this browser has and that works once.
"""

from __future__ import annotations

import hmac
import secrets
from typing import Any

from flask import flash, redirect, render_template, request
from flask import session as cookie
from werkzeug.wrappers import Response

from pkgsite.clock import utc_now
from pkgsite.errors import Conflict, Forbidden, Invalid, NotAllowed, NotFound, UpstreamError
from pkgsite.extensions import account_gateways, db
from pkgsite.forms import show_errors
from pkgsite.forms.accounts import UsernameForm
from pkgsite.rules.redirects import safe_redirect_path
from pkgsite.rules.submissions import RESUME_FIELD
from pkgsite.services.accounts.identities import (
    ExternalIdentity,
    LoginProvider,
    available_username,
    find_user_id,
    has_account_with_email,
    link_identity,
    register_with_identity,
    unlink_identity,
)
from pkgsite.views.accounts.base import fresh_session, log, pages
from pkgsite.views.accounts.login import start_login
from pkgsite.views.accounts.submissions import saved_submission_path
from pkgsite.views.links import absolute_url, link
from pkgsite.views.viewer import current_viewer, login_required

FLOW_KEY, NEW_USER_KEY = "oauth", "oauth_new_user"  # keys in the cookie session
FLOW_TTL_S = 600  # until the callback, and again for choosing a username
PROVIDER_TITLES = {"github": "GitHub", "gitlab": "GitLab"}
MAX_CODE_LENGTH = 2000  # characters


@pages.post("/account/oauth/<provider>/")
def oauth_start(provider: str) -> str:
    """Start a login, or for logged-in users, the linking of an account."""
    provider_client = _provider(provider)
    saved_path = saved_submission_path(request.form.get(RESUME_FIELD), user_id=current_viewer().user_id)
    next_path = saved_path or safe_redirect_path(request.form.get("next"))
    state, verifier = secrets.token_urlsafe(32), secrets.token_urlsafe(64)
    cookie[FLOW_KEY] = {
        "provider": provider,
        "state": state,
        "verifier": verifier,
        "next": next_path or "",
        "user_id": current_viewer().user_id,
        "at": int(utc_now().timestamp()),
    }
    url = provider_client.authorize_url(state=state, verifier=verifier, callback=_callback(provider))
    return render_template("accounts/oauth_redirect.html", title=provider_client.title, url=url)


@pages.get("/account/oauth/<provider>/callback/")
def oauth_callback(provider: str) -> Response | tuple[str, int]:
    provider_client, next_path = _provider(provider), _started_next_path(FLOW_KEY)
    flow, state = _pop_flow(), request.args.get("state", "")
    if (
        not flow
        or flow["provider"] != provider
        or flow["user_id"] != current_viewer().user_id
        or not hmac.compare_digest(flow["state"].encode(), state.encode("utf-8", "replace"))
    ):
        return _failure_page(provider_client, "invalid_state", 403, next_path)
    if "code" not in request.args:
        error_code = "denied" if request.args.get("error") == "access_denied" else "rejected"
        return _failure_page(provider_client, error_code, 403, next_path)
    try:
        identity = provider_client.fetch_identity(
            code=request.args["code"][:MAX_CODE_LENGTH], verifier=flow["verifier"], callback=_callback(provider)
        )
    except NotAllowed as error:
        log.warning("%s", error)
        return _failure_page(provider_client, "rejected", 403, next_path)
    except UpstreamError as error:
        log.warning("%s", error)
        return _failure_page(provider_client, "unavailable", 502, next_path)
    if flow["user_id"]:
        return _link_account(provider_client, identity)
    return _log_in(provider_client, identity, flow["next"])


def _log_in(provider_client: LoginProvider, identity: ExternalIdentity, next_path: str) -> Response | tuple[str, int]:
    try:
        user_id = find_user_id(fresh_session(), identity)
    except Forbidden:
        return _failure_page(provider_client, "account_disabled", 403, next_path)
    if user_id:
        start_login(user_id, next_path)
        return redirect(safe_redirect_path(next_path) or link("site.home"), 303)
    if has_account_with_email(fresh_session(), identity):
        return _failure_page(provider_client, "email_in_use", 409, next_path)
    cookie[NEW_USER_KEY] = {
        "identity": [identity.provider, identity.subject, identity.login, identity.email],
        "next": next_path,
        "at": int(utc_now().timestamp()),
    }
    return redirect(link("accounts.oauth_new_user"), 303)


def _link_account(provider_client: LoginProvider, identity: ExternalIdentity) -> Response | tuple[str, int]:
    by = current_viewer()
    try:
        link_identity(fresh_session(), by, identity, now=utc_now())
    except Conflict:
        return _failure_page(provider_client, "already_linked", 409)
    db.session.commit()
    flash(f"You can now log in with your {provider_client.title} account {identity.login}.")
    return redirect(link("accounts.settings"), 303)


@pages.get("/account/oauth/new/")
def oauth_new_user() -> str | Response:
    identity, _ = _pending_identity()
    if identity is None:
        return redirect(link("accounts.login"), 303)
    form = UsernameForm(data={"username": available_username(fresh_session(), identity)})
    return _new_user_page(form, identity)


@pages.post("/account/oauth/new/")
def oauth_register() -> Response | tuple[str, int]:
    identity, next_path = _pending_identity()
    if identity is None or current_viewer().is_authenticated:
        flash("Your login has timed out. Try again.", "error")
        return redirect(link("accounts.login", next=_started_next_path(NEW_USER_KEY) or None), 303)
    form = UsernameForm()
    try:
        if not form.validate_on_submit():
            return _new_user_page(form, identity), 422
        user_id = register_with_identity(fresh_session(), identity, form.username.data, now=utc_now())
    except Invalid as error:
        show_errors(form, error)
        return _new_user_page(form, identity), 422
    except Conflict:
        cookie.pop(NEW_USER_KEY, None)
        return _failure_page(_provider(identity.provider), "email_in_use", 409, next_path)
    start_login(user_id, next_path)  # also clears the pending identity from the cookie
    flash("Your account has been created, and you are logged in.")
    return redirect(safe_redirect_path(next_path) or link("site.home"), 303)


@pages.post("/account/identities/<int:identity_id>/unlink/")
@login_required
def unlink_provider(identity_id: int) -> Response:
    by = current_viewer()
    try:
        provider = unlink_identity(fresh_session(), by, identity_id)
    except Invalid as error:
        flash(" ".join(error.problems["identity"]), "error")
    else:
        db.session.commit()
        flash(f"You can no longer log in with {PROVIDER_TITLES.get(provider, provider)}.")
    return redirect(link("accounts.settings"), 303)


def _provider(name: str) -> LoginProvider:
    provider = account_gateways().providers.get(name)
    if provider is None:
        raise NotFound("Page")
    return provider


def _callback(provider: str) -> str:
    return absolute_url("accounts.oauth_callback", provider=provider)


def _started_next_path(cookie_key: str) -> str:
    """Return the path to go to after a login that was started in this browser, even if the login has expired."""
    started = cookie.get(cookie_key)
    return str(started.get("next", "")) if isinstance(started, dict) else ""


def _pop_flow() -> dict[str, Any] | None:
    """Remove the started flow from the cookie session and return it, unless it has expired."""
    flow = cookie.pop(FLOW_KEY, None)
    return flow if _is_unexpired(flow) else None


def _is_unexpired(flow: Any) -> bool:
    return isinstance(flow, dict) and 0 <= utc_now().timestamp() - flow["at"] + 1 <= FLOW_TTL_S


def _pending_identity() -> tuple[ExternalIdentity | None, str]:
    """Return the identity that a new user has confirmed with a provider, and the path to go to after sign-up."""
    flow = cookie.get(NEW_USER_KEY)
    return (ExternalIdentity(*flow["identity"]), flow["next"]) if flow and _is_unexpired(flow) else (None, "")


def _new_user_page(form: UsernameForm, identity: ExternalIdentity) -> str:
    return render_template(
        "accounts/oauth_new_user.html", form=form, identity=identity, title=_provider(identity.provider).title
    )


def _failure_page(provider_client: LoginProvider, error_code: str, status: int, next_path: str = "") -> tuple[str, int]:
    db.session.rollback()
    page = {"title": provider_client.title, "error_code": error_code, "next_path": next_path}
    return render_template("accounts/oauth_failed.html", **page), status
