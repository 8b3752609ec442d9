"""The settings of one's own account."""

from __future__ import annotations

from typing import Any

import orjson
from flask import flash, redirect, render_template
from flask import session as cookie
from flask_login import logout_user
from werkzeug.wrappers import Response

from pkgsite.clock import utc_now
from pkgsite.errors import Invalid, UpstreamError
from pkgsite.extensions import account_gateways, db
from pkgsite.forms import show_errors
from pkgsite.forms.accounts import ChangePasswordForm, DeleteAccountForm, EmailForm
from pkgsite.services.accounts import settings as services
from pkgsite.services.accounts.data_export import export_account_data
from pkgsite.services.accounts.passwords import hash_password
from pkgsite.services.accounts.registration import validate_email, validate_new_password
from pkgsite.services.accounts.users import Account, get_own_account
from pkgsite.views.accounts.base import (
    EMAIL_FAILED_MESSAGE,
    check_password,
    current_session_id,
    fresh_session,
    is_email_enabled,
    pages,
    send_notification,
    send_throttled,
    site_context,
)
from pkgsite.views.links import link
from pkgsite.views.viewer import current_viewer, login_required

WRONG_PASSWORD_MESSAGE = "Incorrect password."


@pages.get("/account/")
@login_required
def settings() -> str:
    page = services.settings_page(db.session(), current_viewer(), current_session_id(), now=utc_now())
    return render_template(
        "accounts/settings.html", page=page, is_email_enabled=is_email_enabled(), providers=account_gateways().providers
    )


@pages.get("/account/email/")
@login_required
def email() -> str:
    return _page("email", EmailForm())


@pages.post("/account/email/")
@login_required
def update_email() -> Response | tuple[str, int]:
    form, by = EmailForm(), current_viewer()
    account = get_own_account(fresh_session(), by)
    new = form.email.data or ""
    try:
        form.validate_on_submit()
        if new or is_email_enabled():
            validate_email(new)
        _check_current_password(account, form.current_password.data)
        if is_email_enabled():
            send_throttled(services.prepare_email_change(fresh_session(), site_context(), by, new), new)
            flash(f"We have sent an email to {new}. Open the link in it to confirm the address.")
        else:
            services.change_email_unconfirmed(fresh_session(), by, new)
            db.session.commit()
            flash("Your email address has been changed." if new else "Your email address has been removed.")
    except Invalid as refusal:
        show_errors(form, refusal)
        return _page("email", form), 422
    except UpstreamError:
        form.form_errors.append(EMAIL_FAILED_MESSAGE)
        return _page("email", form), 503
    return redirect(link("accounts.settings"), 303)


@pages.post("/account/email/confirm/")
@login_required
def resend_confirmation() -> Response:
    """Send the letter that confirms the address once more."""
    by = current_viewer()
    account = get_own_account(fresh_session(), by)
    try:
        if not account.email or not is_email_enabled():
            raise Invalid({"email": ["Your account has no email address."]})
        send_throttled(services.prepare_email_change(fresh_session(), site_context(), by, account.email), account.email)
        flash(f"We have sent an email to {account.email}.")
    except Invalid as refusal:
        flash(" ".join(refusal.problems["email"]), "error")
    except UpstreamError:
        flash(EMAIL_FAILED_MESSAGE, "error")
    return redirect(link("accounts.settings"), 303)


@pages.get("/account/password/")
@login_required
def password() -> str:
    return _page("password", ChangePasswordForm())


@pages.post("/account/password/")
@login_required
def change_password() -> Response | tuple[str, int]:
    form, by = ChangePasswordForm(), current_viewer()
    account = get_own_account(fresh_session(), by)
    try:
        if not form.validate_on_submit():
            return _page("password", form), 422
        validate_new_password(form.password.data, account.username, account.email or "")
        _check_current_password(account, form.current_password.data)
        password_hash = hash_password(form.password.data)
        notification = services.change_password(
            fresh_session(), site_context(), by, password_hash, current_session_id()
        )
        db.session.commit()
    except Invalid as refusal:
        show_errors(form, refusal)
        return _page("password", form), 422
    send_notification(notification)
    flash("Your password has been changed, and you have been logged out on all other devices.")
    return redirect(link("accounts.settings"), 303)


@pages.post("/account/sessions/<int:session_id>/end/")
@login_required
def revoke_session(session_id: int) -> Response:
    by = current_viewer()
    services.end_session(fresh_session(), by, session_id)
    db.session.commit()
    flash("Session ended.")
    return redirect(link("accounts.settings"), 303)


@pages.post("/account/sessions/end-others/")
@login_required
def revoke_other_sessions() -> Response:
    by = current_viewer()
    services.end_other_sessions(fresh_session(), by, current_session_id())
    db.session.commit()
    flash("You have been logged out on all other devices.")
    return redirect(link("accounts.settings"), 303)


@pages.get("/account/export/")
@login_required
def export_data() -> Response:
    by = current_viewer()
    data = export_account_data(fresh_session(), by, now=utc_now())
    body = orjson.dumps(data, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
    headers = {"Content-Disposition": f'attachment; filename="{by.username}.json"'}
    return Response(body, mimetype="application/json", headers=headers)


@pages.get("/account/delete/")
@login_required
def confirm_delete() -> str:
    return _page("delete", DeleteAccountForm())


@pages.post("/account/delete/")
@login_required
def delete() -> Response | tuple[str, int]:
    form, by = DeleteAccountForm(), current_viewer()
    account = get_own_account(fresh_session(), by)
    try:
        form.validate_on_submit()
        _check_current_password(account, form.current_password.data)
        if not account.has_password and (form.username.data or "").lower() != account.username.lower():
            raise Invalid({"username": ["The username does not match."]})
    except Invalid as refusal:
        show_errors(form, refusal)
        return _page("delete", form), 422
    services.delete_account(fresh_session(), by)
    db.session.commit()
    logout_user()
    cookie.clear()
    flash("Your account has been deleted.")
    return redirect(link("site.home"), 303)


def _check_current_password(account: Account, submitted_password: str | None) -> None:
    """Check that who asks knows the account's password, where it has one.

    Raises:
        Invalid: they don't.
        TooManyTries: it was tried too often.
    """
    if account.has_password:
        check_password(account, submitted_password or "", "current_password", WRONG_PASSWORD_MESSAGE)


def _page(name: str, form: Any) -> str:
    account = get_own_account(db.session(), current_viewer())
    required_fields = {
        "current_password": account.has_password,
        "username": not account.has_password,
        "email": is_email_enabled(),
    }
    for field in form:  # the page says which may be left empty
        if required_fields.get(field.name):
            field.flags.required = True
    return render_template(f"accounts/{name}.html", form=form, account=account, is_email_enabled=is_email_enabled())
