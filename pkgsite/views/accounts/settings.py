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
from pkgsite.extensions import db, people
from pkgsite.forms import show_refusal
from pkgsite.forms.accounts import DeleteForm, EmailForm, PasswordForm
from pkgsite.services.accounts import settings as services
from pkgsite.services.accounts.data_export import account_data
from pkgsite.services.accounts.passwords import hash_password
from pkgsite.services.accounts.registration import check_email, check_new_password
from pkgsite.services.accounts.users import Account, own_account
from pkgsite.views.accounts.base import (
    NOT_SENT,
    check_password,
    fresh,
    pages,
    send_asked,
    sends_mail,
    site_address,
    tell,
    this_session_id,
)
from pkgsite.views.links import link
from pkgsite.views.viewer import login_needed, viewer

WRONG = "Incorrect password."


@pages.get("/account/")
@login_needed
def settings() -> str:
    page = services.settings_page(db.session(), viewer(), this_session_id(), now=utc_now())
    return render_template("accounts/settings.html", page=page, mail=sends_mail(), providers=people().providers)


@pages.get("/account/email/")
@login_needed
def email() -> str:
    return _page("email", EmailForm())


@pages.post("/account/email/")
@login_needed
def save_email() -> Response | tuple[str, int]:
    form, by = EmailForm(), viewer()
    account = own_account(fresh(), by)
    new = form.email.data or ""
    try:
        form.validate_on_submit()
        if new or sends_mail():
            check_email(new)
        _check_present(account, form.present.data)
        if sends_mail():
            send_asked(services.email_change_letter(fresh(), site_address(), by, new), new)
            flash(f"We have sent an email to {new}. Open the link in it to confirm the address.")
        else:
            services.change_email_unconfirmed(fresh(), by, new)
            db.session.commit()
            flash("Your email address has been changed." if new else "Your email address has been removed.")
    except Invalid as refusal:
        show_refusal(form, refusal)
        return _page("email", form), 422
    except UpstreamError:
        form.form_errors.append(NOT_SENT)
        return _page("email", form), 503
    return redirect(link("accounts.settings"), 303)


@pages.post("/account/email/confirm/")
@login_needed
def ask_to_confirm() -> Response:
    """Send the letter that confirms the address once more."""
    by = viewer()
    account = own_account(fresh(), by)
    try:
        if not account.email or not sends_mail():
            raise Invalid({"email": ["Your account has no email address."]})
        send_asked(services.email_change_letter(fresh(), site_address(), by, account.email), account.email)
        flash(f"We have sent an email to {account.email}.")
    except Invalid as refusal:
        flash(" ".join(refusal.problems["email"]), "error")
    except UpstreamError:
        flash(NOT_SENT, "error")
    return redirect(link("accounts.settings"), 303)


@pages.get("/account/password/")
@login_needed
def password() -> str:
    return _page("password", PasswordForm())


@pages.post("/account/password/")
@login_needed
def change_password() -> Response | tuple[str, int]:
    form, by = PasswordForm(), viewer()
    account = own_account(fresh(), by)
    try:
        if not form.validate_on_submit():
            return _page("password", form), 422
        check_new_password(form.password.data, account.username, account.email or "")
        _check_present(account, form.present.data)
        chosen = hash_password(form.password.data)
        letter = services.change_password(fresh(), site_address(), by, chosen, this_session_id())
        db.session.commit()
    except Invalid as refusal:
        show_refusal(form, refusal)
        return _page("password", form), 422
    tell(letter)
    flash("Your password has been changed, and you have been logged out on all other devices.")
    return redirect(link("accounts.settings"), 303)


@pages.post("/account/sessions/<int:session_id>/end/")
@login_needed
def end_session(session_id: int) -> Response:
    by = viewer()
    services.end_session(fresh(), by, session_id)
    db.session.commit()
    flash("Session ended.")
    return redirect(link("accounts.settings"), 303)


@pages.post("/account/sessions/end-others/")
@login_needed
def end_other_sessions() -> Response:
    by = viewer()
    services.end_other_sessions(fresh(), by, this_session_id())
    db.session.commit()
    flash("You have been logged out on all other devices.")
    return redirect(link("accounts.settings"), 303)


@pages.get("/account/export/")
@login_needed
def export() -> Response:
    by = viewer()
    told = account_data(fresh(), by, now=utc_now())
    body = orjson.dumps(told, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
    headers = {"Content-Disposition": f'attachment; filename="{by.username}.json"'}
    return Response(body, mimetype="application/json", headers=headers)


@pages.get("/account/delete/")
@login_needed
def ask_to_delete() -> str:
    return _page("delete", DeleteForm())


@pages.post("/account/delete/")
@login_needed
def delete() -> Response | tuple[str, int]:
    form, by = DeleteForm(), viewer()
    account = own_account(fresh(), by)
    try:
        form.validate_on_submit()
        _check_present(account, form.present.data)
        if not account.has_password and (form.username.data or "").lower() != account.username.lower():
            raise Invalid({"username": ["The username does not match."]})
    except Invalid as refusal:
        show_refusal(form, refusal)
        return _page("delete", form), 422
    services.delete_account(fresh(), by)
    db.session.commit()
    logout_user()
    cookie.clear()
    flash("Your account has been deleted.")
    return redirect(link("site.home"), 303)


def _check_present(account: Account, given: str | None) -> None:
    """Check that who asks knows the account's password, where it has one.

    Raises:
        Invalid: they don't.
        TooManyTries: it was tried too often.
    """
    if account.has_password:
        check_password(account, given or "", "present", WRONG)


def _page(name: str, form: Any) -> str:
    account = own_account(db.session(), viewer())
    needed = {"present": account.has_password, "username": not account.has_password, "email": sends_mail()}
    for field in form:  # the page says which may be left empty
        if needed.get(field.name):
            field.flags.required = True
    return render_template(f"accounts/{name}.html", form=form, account=account, mail=sends_mail())
