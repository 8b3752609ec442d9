"""Making an account, and confirming its address: the links of letters show a page, whose button acts."""

from __future__ import annotations

from flask import flash, redirect, render_template
from flask_wtf import FlaskForm
from werkzeug.wrappers import Response

from pkgsite.clock import utc_now
from pkgsite.errors import Forbidden, Invalid, NotFound, UpstreamError
from pkgsite.extensions import db, people
from pkgsite.forms import show_refusal
from pkgsite.forms.accounts import FinishForm, RegisterAtOnceForm, RegisterForm
from pkgsite.services.account_links import CONFIRM, AccountLink, Registration, read_account_link
from pkgsite.services.account_settings import confirm_email
from pkgsite.services.passwords import hash_password
from pkgsite.services.registering import (
    check_email,
    check_new_password,
    check_username,
    make_registered,
    make_unconfirmed,
    open_registration,
    registration_letter_for,
)
from pkgsite.services.throttling import ACCOUNTS_FROM_ADDRESS, Counted, network_of, take_try
from pkgsite.views.account_parts import (
    NOT_SENT,
    address,
    dead_link,
    fresh,
    pages,
    send_asked,
    sends_mail,
    site_address,
    tell,
)
from pkgsite.views.links import link
from pkgsite.views.logging_in import enter
from pkgsite.views.viewer import login_needed, viewer


@pages.get("/account/register/")
def register() -> str | Response:
    if viewer().is_known:
        return redirect(link("accounts.settings"), 303)
    return _register_page(_register_form())


@pages.post("/account/register/")
def begin_registration() -> Response | tuple[str, int]:
    form = _register_form()
    if not form.validate_on_submit():
        return _register_page(form), 422
    try:
        if sends_mail():
            told = Registration(form.username.data, form.email.data)
            letter = registration_letter_for(fresh(), site_address(), username=told.username, email=told.email)
            send_asked(letter, told.email)
            return redirect(link("accounts.look_into_mail"), 303)
        _register_at_once(Registration(form.username.data, form.email.data or ""), form.password.data)
    except Invalid as refusal:
        show_refusal(form, refusal)
        return _register_page(form), 422
    except UpstreamError:
        form.form_errors.append(NOT_SENT)
        return _register_page(form), 503
    return redirect(link("accounts.settings"), 303)


@pages.get("/account/check-your-email/")
def look_into_mail() -> str:
    return render_template("accounts/look_into_mail.html")


@pages.get("/account/look-into-your-mail/")
def former_look_into_mail() -> Response:
    return redirect(link("accounts.look_into_mail"), 301)


@pages.get("/account/register/<token>/")
def finish_registration(token: str) -> str | tuple[str, int]:
    try:
        told = open_registration(fresh(), site_address().key, token)
    except NotFound:
        return dead_link()
    form = FinishForm(formdata=None, data={"username": told.username})
    return render_template("accounts/finish.html", form=form, told=told, token=token)


@pages.post("/account/register/<token>/")
def make_account(token: str) -> Response | tuple[str, int]:
    form = FinishForm()
    try:
        told = open_registration(fresh(), site_address().key, token)
        if form.validate_on_submit():
            chosen = Registration(form.username.data, told.email)
            check_username(db.session(), chosen.username)
            check_new_password(form.password.data, chosen.username, chosen.email)
            password_hash = hash_password(form.password.data)
            user_id = make_registered(fresh(), chosen, password_hash, now=utc_now())
            enter(user_id)
            flash("Your account has been created, and you are logged in.")
            return redirect(link("site.home"), 303)
    except NotFound:
        return dead_link()
    except Invalid as refusal:
        show_refusal(form, refusal)
    return render_template("accounts/finish.html", form=form, told=told, token=token), 422


@pages.get("/account/confirm/<token>/")
@login_needed
def confirm(token: str) -> str | tuple[str, int]:
    try:
        found = _own_link(token)
    except NotFound:
        return dead_link()
    return render_template("accounts/confirm.html", found=found, token=token)


@pages.post("/account/confirm/<token>/")
@login_needed
def save_confirmed(token: str) -> Response | tuple[str, int]:
    by = viewer()
    try:
        email, letter = confirm_email(fresh(), site_address(), by, token, now=utc_now())
    except NotFound:
        return dead_link()
    except Invalid as refusal:
        flash(" ".join(refusal.problems["email"]), "error")
        return redirect(link("accounts.settings"), 303)
    db.session.commit()
    tell(letter)
    flash(f"Your email address {email} has been confirmed.")
    return redirect(link("accounts.settings"), 303)


def _own_link(token: str) -> AccountLink:
    by = viewer()
    found = read_account_link(fresh(), site_address().key, CONFIRM, token)
    if found.user_id != by.user_id:
        raise Forbidden("This link belongs to another account.")
    return found


def _register_at_once(told: Registration, password: str) -> None:
    """Make an account without a letter, and log its person in.

    Raises:
        Invalid: something of it can't be.
        TooManyTries: too many accounts were made from this address.
    """
    if told.email:
        check_email(told.email)
    check_username(fresh(), told.username)
    check_new_password(password, told.username, told.email)
    take_try(fresh(), [Counted(ACCOUNTS_FROM_ADDRESS, network_of(address()))], now=utc_now())
    db.session.commit()
    password_hash = hash_password(password)
    user_id = make_unconfirmed(fresh(), told, password_hash, now=utc_now())
    enter(user_id)
    flash("Your account has been created, and you are logged in.")


def _register_form() -> FlaskForm:
    return RegisterForm() if sends_mail() else RegisterAtOnceForm()


def _register_page(form: FlaskForm) -> str:
    return render_template("accounts/register.html", form=form, mail=sends_mail(), providers=people().providers)
