"""Logging in with an account at GitHub or GitLab, and linking such an account to one's own.

The start is a POST. It leads to the other site by a page, since browsers refuse forms that end elsewhere (the site's
own `form-action`). The way back is a GET, guarded by a state that this browser alone has and that works once.
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
from pkgsite.extensions import db, people
from pkgsite.forms import show_refusal
from pkgsite.forms.accounts import UsernameForm
from pkgsite.rules.redirects import own_path
from pkgsite.services.accounts.identities import (
    LoginProvider,
    Vouched,
    free_username,
    has_account,
    link_identity,
    person_of,
    register_vouched,
    unlink_identity,
)
from pkgsite.views.accounts.base import fresh, log, pages
from pkgsite.views.accounts.login import enter
from pkgsite.views.links import canonical_of, link
from pkgsite.views.viewer import login_needed, viewer

STARTED, NEWCOMER = "oauth", "oauth_newcomer"  # what the browser's session keeps meanwhile
LASTS_S = 600  # for the way there and back, and for choosing a name
LONGEST_CODE = 2000  # characters


@pages.post("/account/oauth/<provider>/")
def oauth_start(provider: str) -> str:
    """Lead to another site: to log in, or, for who is logged in, to link the account there."""
    there = _provider(provider)
    state, verifier = secrets.token_urlsafe(32), secrets.token_urlsafe(64)
    cookie[STARTED] = {
        "provider": provider,
        "state": state,
        "verifier": verifier,
        "next": own_path(request.form.get("next")) or "",
        "user_id": viewer().user_id,
        "at": int(utc_now().timestamp()),
    }
    url = there.authorize_url(state=state, verifier=verifier, callback=_callback(provider))
    return render_template("accounts/leaving.html", title=there.title, url=url)


@pages.get("/account/oauth/<provider>/callback/")
def oauth_callback(provider: str) -> Response | tuple[str, int]:
    there, started = _provider(provider), _kept(STARTED)
    state = request.args.get("state", "")
    if (
        not started
        or started["provider"] != provider
        or started["user_id"] != viewer().user_id
        or not hmac.compare_digest(started["state"].encode(), state.encode("utf-8", "replace"))
    ):
        return _failure(there, "state", 403)
    if "code" not in request.args:
        return _failure(there, "denied" if request.args.get("error") == "access_denied" else "refused", 403)
    try:
        vouched = there.vouched(
            code=request.args["code"][:LONGEST_CODE], verifier=started["verifier"], callback=_callback(provider)
        )
    except NotAllowed as refusal:
        log.warning("%s", refusal)
        return _failure(there, "refused", 403)
    except UpstreamError as failure:
        log.warning("%s", failure)
        return _failure(there, "down", 502)
    if started["user_id"]:
        return _link(there, vouched)
    return _log_in(there, vouched, started["next"])


def _log_in(there: LoginProvider, vouched: Vouched, wanted: str) -> Response | tuple[str, int]:
    try:
        user_id = person_of(fresh(), vouched)
    except Forbidden:
        return _failure(there, "closed", 403)
    if user_id:
        enter(user_id)
        return redirect(own_path(wanted) or link("site.home"), 303)
    if has_account(fresh(), vouched):
        return _failure(there, "known", 409)
    cookie[NEWCOMER] = {
        "vouched": [vouched.provider, vouched.subject, vouched.login, vouched.email],
        "next": wanted,
        "at": int(utc_now().timestamp()),
    }
    return redirect(link("accounts.oauth_newcomer"), 303)


def _link(there: LoginProvider, vouched: Vouched) -> Response | tuple[str, int]:
    by = viewer()
    try:
        link_identity(fresh(), by, vouched, now=utc_now())
    except Conflict:
        return _failure(there, "taken", 409)
    db.session.commit()
    flash(f"You can now log in with your {there.title} account {vouched.login}.")
    return redirect(link("accounts.settings"), 303)


@pages.get("/account/oauth/new/")
def oauth_newcomer() -> str | Response:
    vouched, _wanted = _newcomer()
    if vouched is None:
        return redirect(link("accounts.login"), 303)
    form = UsernameForm(data={"username": free_username(fresh(), vouched)})
    return _newcomer_page(form, vouched)


@pages.post("/account/oauth/new/")
def oauth_register() -> Response | tuple[str, int]:
    vouched, wanted = _newcomer()
    if vouched is None or viewer().is_known:
        flash("Your login has timed out. Try again.", "error")
        return redirect(link("accounts.login"), 303)
    form = UsernameForm()
    try:
        if not form.validate_on_submit():
            return _newcomer_page(form, vouched), 422
        user_id = register_vouched(fresh(), vouched, form.username.data, now=utc_now())
    except Invalid as refusal:
        show_refusal(form, refusal)
        return _newcomer_page(form, vouched), 422
    except Conflict:
        cookie.pop(NEWCOMER, None)
        return _failure(_provider(vouched.provider), "known", 409)
    enter(user_id)  # which also forgets the newcomer
    flash("Your account has been created, and you are logged in.")
    return redirect(own_path(wanted) or link("site.home"), 303)


@pages.post("/account/identities/<int:identity_id>/unlink/")
@login_needed
def unlink(identity_id: int) -> Response:
    by = viewer()
    try:
        name = unlink_identity(fresh(), by, identity_id)
    except Invalid as refusal:
        flash(" ".join(refusal.problems["identity"]), "error")
    else:
        db.session.commit()
        flash(f"You can no longer log in with {TITLES.get(name, name)}.")
    return redirect(link("accounts.settings"), 303)


TITLES = {"github": "GitHub", "gitlab": "GitLab"}


def _provider(name: str) -> LoginProvider:
    found = people().providers.get(name)
    if found is None:
        raise NotFound("Page")
    return found


def _callback(provider: str) -> str:
    return canonical_of("accounts.oauth_callback", provider=provider)


def _kept(name: str) -> dict[str, Any] | None:
    """Take from the browser's session what was begun in it, unless that was too long ago."""
    kept = cookie.pop(name, None)
    return kept if _is_recent(kept) else None


def _is_recent(kept: Any) -> bool:
    return isinstance(kept, dict) and 0 <= utc_now().timestamp() - kept["at"] + 1 <= LASTS_S


def _newcomer() -> tuple[Vouched | None, str]:
    """Return for whom another site has vouched in this browser, and where they want to go."""
    kept = cookie.get(NEWCOMER)
    return (Vouched(*kept["vouched"]), kept["next"]) if kept and _is_recent(kept) else (None, "")


def _newcomer_page(form: UsernameForm, vouched: Vouched) -> str:
    return render_template(
        "accounts/newcomer.html", form=form, vouched=vouched, title=_provider(vouched.provider).title
    )


def _failure(there: LoginProvider, why: str, status: int) -> tuple[str, int]:
    db.session.rollback()
    return render_template("accounts/oauth_failed.html", title=there.title, why=why), status
