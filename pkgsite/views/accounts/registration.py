"""Sign-up and confirmation of email addresses. Links in emails open a page whose button makes the change."""

from __future__ import annotations

from flask import flash, redirect, render_template, request
from flask_wtf import FlaskForm
from werkzeug.wrappers import Response

from pkgsite.clock import utc_now
from pkgsite.errors import Forbidden, Invalid, NotFound, UpstreamError
from pkgsite.extensions import account_gateways, db
from pkgsite.forms import show_errors
from pkgsite.forms.accounts import CompleteRegistrationForm, ImmediateRegistrationForm, RegistrationForm
from pkgsite.rules.redirects import safe_redirect_path
from pkgsite.services.accounts.passwords import hash_password
from pkgsite.services.accounts.registration import (
    create_confirmed_user,
    create_unconfirmed_user,
    prepare_registration,
    validate_email,
    validate_new_password,
    validate_username,
    verify_pending_registration,
)
from pkgsite.services.accounts.settings import confirm_email
from pkgsite.services.accounts.signed_links import CONFIRM, AccountLinkClaims, RegistrationClaims, verify_account_link
from pkgsite.services.accounts.throttling import ACCOUNTS_FROM_ADDRESS, ThrottleKey, network_of, record_attempt
from pkgsite.views.accounts.base import (
    EMAIL_FAILED_MESSAGE,
    client_address,
    fresh_session,
    invalid_link_page,
    is_email_enabled,
    pages,
    send_notification,
    send_throttled,
    site_context,
)
from pkgsite.views.accounts.login import start_login
from pkgsite.views.links import link
from pkgsite.views.viewer import current_viewer, login_required


@pages.get("/account/register/")
def register() -> str | Response:
    if current_viewer().is_authenticated:
        return redirect(link("accounts.settings"), 303)
    form = _registration_form()
    form.next.data = safe_redirect_path(request.args.get("next")) or ""
    return _registration_page(form)


@pages.post("/account/register/")
def start_registration() -> Response | tuple[str, int]:
    form = _registration_form()
    next_path = form.next.data = safe_redirect_path(form.next.data) or ""
    if not form.validate_on_submit():
        return _registration_page(form), 422
    try:
        if is_email_enabled():
            registration = RegistrationClaims(form.username.data, form.email.data)
            email = prepare_registration(
                fresh_session(),
                site_context(),
                username=registration.username,
                email=registration.email,
                next_path=next_path,
            )
            send_throttled(email, registration.email)
            return redirect(link("accounts.check_your_email"), 303)
        registration = RegistrationClaims(form.username.data, form.email.data or "")
        _register_immediately(registration, form.password.data, next_path)
    except Invalid as error:
        show_errors(form, error)
        return _registration_page(form), 422
    except UpstreamError:
        form.form_errors.append(EMAIL_FAILED_MESSAGE)
        return _registration_page(form), 503
    return redirect(next_path or link("accounts.settings"), 303)


@pages.get("/account/check-your-email/")
def check_your_email() -> str:
    return render_template("accounts/check_your_email.html")


@pages.get("/account/look-into-your-mail/")
def redirect_check_your_email() -> Response:
    """Redirect from the page's former URL."""
    return redirect(link("accounts.check_your_email"), 301)


@pages.get("/account/register/<token>/")
def finish_registration(token: str) -> str | tuple[str, int]:
    try:
        registration = verify_pending_registration(fresh_session(), site_context().signing_key, token)
    except NotFound:
        return invalid_link_page()
    next_path = safe_redirect_path(request.args.get("next")) or ""
    form = CompleteRegistrationForm(formdata=None, data={"username": registration.username, "next": next_path})
    return render_template("accounts/complete_registration.html", form=form, registration=registration, token=token)


@pages.post("/account/register/<token>/")
def complete_registration(token: str) -> Response | tuple[str, int]:
    form = CompleteRegistrationForm()
    next_path = form.next.data = safe_redirect_path(form.next.data) or ""
    try:
        registration = verify_pending_registration(fresh_session(), site_context().signing_key, token)
        if form.validate_on_submit():
            final_claims = RegistrationClaims(form.username.data, registration.email)
            validate_username(db.session(), final_claims.username)
            validate_new_password(form.password.data, final_claims.username, final_claims.email)
            password_hash = hash_password(form.password.data)
            user_id = create_confirmed_user(fresh_session(), final_claims, password_hash, now=utc_now())
            start_login(user_id, next_path)
            flash("Your account has been created, and you are logged in.")
            return redirect(next_path or link("site.home"), 303)
    except NotFound:
        return invalid_link_page()
    except Invalid as error:
        show_errors(form, error)
    return render_template(
        "accounts/complete_registration.html", form=form, registration=registration, token=token
    ), 422


@pages.get("/account/confirm/<token>/")
@login_required
def confirm(token: str) -> str | tuple[str, int]:
    try:
        claims = _verify_own_link(token)
    except NotFound:
        return invalid_link_page()
    return render_template("accounts/confirm_email.html", claims=claims, token=token)


@pages.post("/account/confirm/<token>/")
@login_required
def confirm_address(token: str) -> Response | tuple[str, int]:
    by = current_viewer()
    try:
        address, notification = confirm_email(fresh_session(), site_context(), by, token, now=utc_now())
    except NotFound:
        return invalid_link_page()
    except Invalid as error:
        flash(" ".join(error.problems["email"]), "error")
        return redirect(link("accounts.settings"), 303)
    db.session.commit()
    send_notification(notification)
    flash(f"Your email address {address} has been confirmed.")
    return redirect(link("accounts.settings"), 303)


def _verify_own_link(token: str) -> AccountLinkClaims:
    by = current_viewer()
    claims = verify_account_link(fresh_session(), site_context().signing_key, CONFIRM, token)
    if claims.user_id != by.user_id:
        raise Forbidden("This link belongs to another account.")
    return claims


def _register_immediately(registration: RegistrationClaims, password: str, next_path: str) -> None:
    """Create an account without confirming its email address, and log the user in.

    Raises:
        Invalid: A value is not acceptable.
        TooManyAttempts: Too many accounts were created from this IP address.
    """
    if registration.email:
        validate_email(registration.email)
    validate_username(fresh_session(), registration.username)
    validate_new_password(password, registration.username, registration.email)
    record_attempt(fresh_session(), [ThrottleKey(ACCOUNTS_FROM_ADDRESS, network_of(client_address()))], now=utc_now())
    db.session.commit()
    password_hash = hash_password(password)
    user_id = create_unconfirmed_user(fresh_session(), registration, password_hash, now=utc_now())
    start_login(user_id, next_path)
    flash("Your account has been created, and you are logged in.")


def _registration_form() -> FlaskForm:
    return RegistrationForm() if is_email_enabled() else ImmediateRegistrationForm()


def _registration_page(form: FlaskForm) -> str:
    return render_template(
        "accounts/register.html", form=form, is_email_enabled=is_email_enabled(), providers=account_gateways().providers
    )
