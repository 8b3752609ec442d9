"""Shared by all account pages: email, throttled attempts, and responses that are never cached."""

from __future__ import annotations

import logging
from typing import Any

from flask import Blueprint, Response, current_app, g, make_response, render_template, request
from flask_login import current_user

from pkgsite.clock import utc_now
from pkgsite.errors import Invalid, UpstreamError
from pkgsite.extensions import account_gateways, db
from pkgsite.services.accounts.emails import Email, store_in_outbox
from pkgsite.services.accounts.passwords import verify_password
from pkgsite.services.accounts.throttling import (
    ThrottleKey,
    TooManyAttempts,
    email_throttles,
    login_throttles,
    record_attempt,
    reset,
)
from pkgsite.services.accounts.users import Account, SiteContext, record_activity
from pkgsite.views.links import absolute_url
from pkgsite.views.submitted import current_fields

log = logging.getLogger(__name__)

pages = Blueprint("accounts", __name__)

EMAIL_FAILED_MESSAGE = "The email could not be sent. Try again in a few minutes."


@pages.after_request
def disable_caching(response: Response) -> Response:
    response.headers["Cache-Control"] = "no-store"
    return response


def record_session_activity() -> None:
    """Record that the current user's session is in use."""
    record_activity(fresh_session(), g._login_user.session_id, now=utc_now())
    db.session.commit()


@pages.errorhandler(TooManyAttempts)
def too_many_attempts(error: TooManyAttempts) -> Response:
    db.session.rollback()
    page = render_template(
        "accounts/too_many_attempts.html", minutes=error.retry_after_minutes, fields=current_fields()
    )
    response = make_response(page, 429)
    response.headers["Retry-After"] = str(error.retry_after_s)
    return response


def fresh_session() -> Any:
    """Return the database session with a new transaction."""
    db.session.rollback()
    return db.session()


def site_context() -> SiteContext:
    return SiteContext(current_app.config["SITE_TITLE"], str(current_app.secret_key), absolute_url)


def client_address() -> str:
    return request.remote_addr or ""


def is_email_enabled() -> bool:
    return bool(current_app.config["MAIL"] != "off")


def current_session_id() -> int:
    return int(getattr(current_user, "session_id", 0))


def check_password(account: Account, password: str, field: str, message: str) -> None:
    """Raise an error unless the password is right. Each attempt counts against the account and the IP address.

    Args:
        account: The account that the password should belong to.
        password: The submitted password.
        field: The form field that the error belongs to.
        message: The error message for a wrong password.

    Raises:
        TooManyAttempts: There were too many attempts.
        Invalid: The password is wrong.
    """
    throttle_keys, attempt_ids = _record_login_attempt(account)
    if not verify_password(account.password_hash, password):
        raise Invalid({field: [message]})
    reset(fresh_session(), throttle_keys, attempt_ids)
    db.session.commit()


def _record_login_attempt(account: Account) -> tuple[list[ThrottleKey], list[int]]:
    subject = f"id {account.user_id}" if account.user_id else f"name {account.username.lower()}"
    throttle_keys = login_throttles(subject, client_address())
    attempt_ids = record_attempt(fresh_session(), throttle_keys, now=utc_now())
    db.session.commit()
    return throttle_keys, attempt_ids


def send_throttled(email: Email, to: str) -> None:
    """Commit the attempt and send an email that a visitor requested, unless too many were requested.

    Args:
        email: The email to send.
        to: The email address as submitted, which the attempt counts against.

    Raises:
        TooManyAttempts: Too many emails to this address, or requested from this IP address.
        UpstreamError: The email could not be sent.
    """
    record_attempt(fresh_session(), email_throttles(to, client_address()), now=utc_now())
    db.session.commit()
    deliver(email)


def deliver(email: Email) -> None:
    """Send an email, or store it in the outbox if the site stores emails instead of sending them.

    Raises:
        UpstreamError: The email could not be sent.
    """
    mailer = account_gateways().mailer
    if mailer:
        try:
            mailer.send(to=email.to, subject=email.subject, body=email.body)
        except UpstreamError as error:
            log.warning("could not send email: %s", error)
            raise
    elif current_app.config["MAIL"] == "outbox":
        store_in_outbox(fresh_session(), email, now=utc_now())
        db.session.commit()


def send_notification(email: Email | None) -> None:
    """Send an email about a change that has already been made; a failure is logged and otherwise ignored."""
    try:
        if email:
            deliver(email)
    except UpstreamError:
        pass  # `deliver` has logged it


def invalid_link_page() -> tuple[str, int]:
    """Return the page for an account link that has expired, has been used or is not valid."""
    db.session.rollback()
    return render_template("accounts/invalid_link.html"), 410
