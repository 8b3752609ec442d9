"""Login with a password, logout, and password reset."""

from __future__ import annotations

from flask import flash, make_response, redirect, render_template, request
from flask import session as cookie
from flask_login import logout_user
from werkzeug.wrappers import Response

from pkgsite.errors import Invalid, NotFound, UpstreamError
from pkgsite.extensions import db
from pkgsite.forms import show_errors
from pkgsite.forms.accounts import ForgotPasswordForm, LoginForm, ResetPasswordForm
from pkgsite.rules.redirects import safe_redirect_path
from pkgsite.services.accounts.passwords import hash_password, needs_rehash
from pkgsite.services.accounts.registration import validate_new_password
from pkgsite.services.accounts.settings import prepare_password_reset, reset_password
from pkgsite.services.accounts.signed_links import RESET, verify_account_link
from pkgsite.services.accounts.submissions import claim_submission
from pkgsite.services.accounts.throttling import TooManyAttempts, login_throttles, reset
from pkgsite.services.accounts.users import delete_session, find_account, update_password_hash
from pkgsite.views.accounts.base import (
    EMAIL_FAILED_MESSAGE,
    check_password,
    current_session_id,
    fresh_session,
    invalid_link_page,
    is_email_enabled,
    pages,
    send_throttled,
    site_context,
)
from pkgsite.views.accounts.submissions import login_page, saved_submission_path
from pkgsite.views.limits import rate_limited
from pkgsite.views.links import link, query_string
from pkgsite.views.viewer import current_viewer, log_in_user

WRONG_CREDENTIALS_MESSAGE = "Incorrect username or password. Passwords are case-sensitive."


@pages.get("/login/")
def login_redirect() -> Response:
    """Redirect from the login URL of djangopackages.org."""
    return redirect(link("accounts.login") + query_string(), 301)


@pages.get("/account/login/")
def login() -> str | Response:
    next_path = safe_redirect_path(request.args.get("next"))
    if current_viewer().is_authenticated:
        return redirect(next_path or link("accounts.settings"), 303)
    return login_page(LoginForm(data={"next": next_path or ""}))


@pages.post("/account/login/")
@rate_limited("login")
def log_in_with_password() -> Response | tuple[str, int]:
    form = LoginForm()
    next_path = safe_redirect_path(form.next.data)
    form.next.data = next_path or ""
    if not form.validate_on_submit():
        return login_page(form), 422
    try:
        authenticate_with_password(form.login.data, form.password.data, next_path or "")
    except Invalid as error:
        show_errors(form, error)
        return login_page(form), 422
    except TooManyAttempts as error:
        if not form.resume.data:
            raise
        form.form_errors.append(f"There have been too many attempts. Try again in {error.retry_after_minutes} min.")
        response = make_response(login_page(form), 429)
        response.headers["Retry-After"] = str(error.retry_after_s)
        return response
    resume_path = saved_submission_path(form.resume.data, user_id=current_viewer().user_id)
    return redirect(resume_path or next_path or link("site.home"), 303)


def authenticate_with_password(identifier: str, password: str, next_path: str = "") -> None:
    """Log a user in by username or email address and password.

    Raises:
        TooManyAttempts: There were too many attempts.
        Invalid: The credentials are wrong, or the account is disabled.
    """
    account = find_account(fresh_session(), identifier)
    check_password(account, password, "login", WRONG_CREDENTIALS_MESSAGE)
    if account.user_id is None or not account.is_active:
        raise Invalid({"login": ["This account is disabled. Contact the site's administrators."]})
    if account.password_hash and needs_rehash(account.password_hash):
        new_hash = hash_password(password)
        update_password_hash(fresh_session(), account.user_id, new_hash)
    start_login(account.user_id, next_path)


def start_login(user_id: int, next_path: str = "") -> None:
    """Log a user in and end the previous session of this browser.

    Args:
        user_id: The user's id.
        next_path: Where the browser goes next. A saved form that it refers to now belongs to this user.
    """
    delete_session(db.session(), current_session_id())
    claim_submission(db.session(), next_path, user_id)
    log_in_user(user_id)


@pages.post("/account/logout/")
def log_out() -> Response:
    delete_session(fresh_session(), current_session_id())
    db.session.commit()
    logout_user()
    cookie.clear()
    flash("You have been logged out.")
    return redirect(link("site.home"), 303)


@pages.get("/account/reset/")
def forgot_password() -> str:
    return render_template(
        "accounts/forgot_password.html", form=ForgotPasswordForm(), is_email_enabled=is_email_enabled()
    )


@pages.post("/account/reset/")
def send_reset_email() -> Response | tuple[str, int]:
    form = ForgotPasswordForm()
    if not is_email_enabled():
        return render_template("accounts/forgot_password.html", form=form, is_email_enabled=False), 422
    if not form.validate_on_submit():
        return render_template("accounts/forgot_password.html", form=form, is_email_enabled=True), 422
    try:
        send_throttled(prepare_password_reset(fresh_session(), site_context(), form.email.data), form.email.data)
    except Invalid as error:
        show_errors(form, error)
        return render_template("accounts/forgot_password.html", form=form, is_email_enabled=True), 422
    except UpstreamError:
        form.form_errors.append(EMAIL_FAILED_MESSAGE)
        return render_template("accounts/forgot_password.html", form=form, is_email_enabled=True), 503
    return redirect(link("accounts.check_your_email"), 303)


@pages.get("/account/reset/<token>/")
def reset_password_form(token: str) -> str | tuple[str, int]:
    try:
        claims = verify_account_link(fresh_session(), site_context().signing_key, RESET, token)
    except NotFound:
        return invalid_link_page()
    return render_template("accounts/reset_password.html", form=ResetPasswordForm(), claims=claims, token=token)


@pages.post("/account/reset/<token>/")
def save_reset_password(token: str) -> Response | tuple[str, int]:
    key, form = site_context().signing_key, ResetPasswordForm()
    try:
        claims = verify_account_link(fresh_session(), key, RESET, token)
        if form.validate_on_submit():
            validate_new_password(form.password.data, claims.username, claims.email)
            password_hash = hash_password(form.password.data)
            user_id = reset_password(fresh_session(), key, token, password_hash)
            reset(db.session(), login_throttles(f"id {user_id}", ""), [])
            db.session.commit()
            flash(
                "Your password has been changed, and you have been logged out on all devices. Log in with the new "
                "password."
            )
            return redirect(link("accounts.login"), 303)
    except NotFound:
        return invalid_link_page()
    except Invalid as error:
        show_errors(form, error)
    return render_template("accounts/reset_password.html", form=form, claims=claims, token=token), 422
