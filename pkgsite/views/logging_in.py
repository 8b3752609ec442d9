"""Logging in with a password, logging out, and choosing a forgotten password anew."""

from __future__ import annotations

from flask import flash, redirect, render_template, request
from flask import session as cookie
from flask_login import logout_user
from werkzeug.wrappers import Response

from pkgsite.errors import Invalid, NotFound, UpstreamError
from pkgsite.extensions import db, people
from pkgsite.forms import show_refusal
from pkgsite.forms.accounts import ForgottenForm, LoginForm, NewPasswordForm
from pkgsite.rules.next_paths import own_path
from pkgsite.services.account_links import RESET, read_account_link
from pkgsite.services.account_settings import reset_letter_for, reset_password
from pkgsite.services.accounts import account_named, forget_session, store_hash
from pkgsite.services.passwords import hash_password, is_outdated
from pkgsite.services.registering import check_new_password
from pkgsite.services.throttling import forgive, login_tries
from pkgsite.views.account_parts import (
    NOT_SENT,
    check_password,
    dead_link,
    fresh,
    pages,
    send_asked,
    sends_mail,
    site_address,
    this_session_id,
)
from pkgsite.views.limits import limited
from pkgsite.views.links import link, query_string
from pkgsite.views.viewer import log_in, viewer

WRONG = "Incorrect username or password. Passwords are case-sensitive."


@pages.get("/login/")
def reference_login() -> Response:
    """The address that the login page has elsewhere."""
    return redirect(link("accounts.login") + query_string(), 301)


@pages.get("/account/login/")
def login() -> str | Response:
    wanted = own_path(request.args.get("next"))
    if viewer().is_known:
        return redirect(wanted or link("accounts.settings"), 303)
    return _login_page(LoginForm(data={"next": wanted or ""}))


@pages.post("/account/login/")
@limited("log in")
def log_in_by_password() -> Response | tuple[str, int]:
    form = LoginForm()
    wanted = own_path(form.next.data)
    form.next.data = wanted or ""
    if not form.validate_on_submit():
        return _login_page(form), 422
    try:
        enter_by_password(form.login.data, form.password.data)
    except Invalid as refusal:
        show_refusal(form, refusal)
        return _login_page(form), 422
    return redirect(wanted or link("site.home"), 303)


def enter_by_password(typed: str, password: str) -> None:
    """Log somebody in by what they typed.

    Raises:
        TooManyTries: it was tried too often.
        Invalid: it is not right, or the account is closed.
    """
    account = account_named(fresh(), typed)
    check_password(account, password, "login", WRONG)
    if account.user_id is None or not account.is_active:
        raise Invalid({"login": ["This account is disabled. Contact the site's administrators."]})
    if account.password_hash and is_outdated(account.password_hash):
        again = hash_password(password)
        store_hash(fresh(), account.user_id, again)
    enter(account.user_id)


def enter(user_id: int) -> None:
    """Log a person in; who was logged in here before is not any more."""
    forget_session(db.session(), this_session_id())
    log_in(user_id)


@pages.post("/account/logout/")
def log_out() -> Response:
    forget_session(fresh(), this_session_id())
    db.session.commit()
    logout_user()
    cookie.clear()
    flash("You have been logged out.")
    return redirect(link("site.home"), 303)


@pages.get("/account/reset/")
def forgotten() -> str:
    return render_template("accounts/forgotten.html", form=ForgottenForm(), mail=sends_mail())


@pages.post("/account/reset/")
def send_reset() -> Response | tuple[str, int]:
    form = ForgottenForm()
    if not sends_mail():
        return render_template("accounts/forgotten.html", form=form, mail=False), 422
    if not form.validate_on_submit():
        return render_template("accounts/forgotten.html", form=form, mail=True), 422
    try:
        send_asked(reset_letter_for(fresh(), site_address(), form.email.data), form.email.data)
    except Invalid as refusal:
        show_refusal(form, refusal)
        return render_template("accounts/forgotten.html", form=form, mail=True), 422
    except UpstreamError:
        form.form_errors.append(NOT_SENT)
        return render_template("accounts/forgotten.html", form=form, mail=True), 503
    return redirect(link("accounts.look_into_mail"), 303)


@pages.get("/account/reset/<token>/")
def choose_password(token: str) -> str | tuple[str, int]:
    try:
        found = read_account_link(fresh(), site_address().key, RESET, token)
    except NotFound:
        return dead_link()
    return render_template("accounts/choose_password.html", form=NewPasswordForm(), found=found, token=token)


@pages.post("/account/reset/<token>/")
def save_password(token: str) -> Response | tuple[str, int]:
    key, form = site_address().key, NewPasswordForm()
    try:
        found = read_account_link(fresh(), key, RESET, token)
        if form.validate_on_submit():
            check_new_password(form.password.data, found.username, found.email)
            chosen = hash_password(form.password.data)
            user_id = reset_password(fresh(), key, token, chosen)
            forgive(db.session(), login_tries(f"id {user_id}", ""), [])
            db.session.commit()
            flash(
                "Your password has been changed, and you have been logged out on all devices. Log in with the new "
                "password."
            )
            return redirect(link("accounts.login"), 303)
    except NotFound:
        return dead_link()
    except Invalid as refusal:
        show_refusal(form, refusal)
    return render_template("accounts/choose_password.html", form=form, found=found, token=token), 422


def _login_page(form: LoginForm) -> str:
    return render_template("accounts/login.html", form=form, providers=people().providers)
