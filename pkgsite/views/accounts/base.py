"""What all pages of accounts share: letters, tries that are counted, and answers that nobody keeps."""

from __future__ import annotations

import logging
from typing import Any

from flask import Blueprint, Response, current_app, g, make_response, render_template, request
from flask_login import current_user

from pkgsite.clock import utc_now
from pkgsite.errors import Invalid, NotFound, UpstreamError
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

log = logging.getLogger(__name__)

pages = Blueprint("accounts", __name__)

EMAIL_FAILED_MESSAGE = "The email could not be sent. Try again in a few minutes."


@pages.after_request
def disable_caching(response: Response) -> Response:
    response.headers["Cache-Control"] = "no-store"
    return response


@pages.after_app_request
def record_session_activity(response: Response) -> Response:
    """Note, every few minutes, that a logged-in browser is in use."""
    if request.method == "GET" and getattr(g.get("_login_user"), "is_activity_due", False):
        record_activity(fresh_session(), g._login_user.session_id, now=utc_now())
        db.session.commit()
    return response


@pages.errorhandler(TooManyAttempts)
def too_many_attempts(error: TooManyAttempts) -> Response:
    db.session.rollback()
    minutes = -(-error.retry_after_s // 60)
    response = make_response(render_template("accounts/too_many_attempts.html", minutes=minutes), 429)
    response.headers["Retry-After"] = str(error.retry_after_s)
    return response


def fresh_session() -> Any:
    """Return the database session, in which nothing has been read or written yet."""
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
    """Check a password, as one try that counts against its account and the visitor's address.

    Raises:
        TooManyTries: it was tried too often.
        Invalid: it is not theirs, in the words of `refusal`.
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
    """Send a letter that somebody asks for, if not too many have been asked for; what was to be kept is committed.

    Args:
        email: What to send.
        to: The address as it was typed.

    Raises:
        TooManyTries: too many letters to this address, or from this visitor.
        UpstreamError: it could not be sent.
    """
    record_attempt(fresh_session(), email_throttles(to, client_address()), now=utc_now())
    db.session.commit()
    deliver(email)


def deliver(email: Email) -> None:
    """Send a letter, or lay it in the outbox.

    Raises:
        UpstreamError: it could not be sent.
    """
    mailer = account_gateways().mailer
    if mailer:
        try:
            mailer.send(to=email.to, subject=email.subject, body=email.body)
        except UpstreamError as failure:
            log.warning("could not send email: %s", failure)
            raise
    elif current_app.config["MAIL"] == "outbox":
        store_in_outbox(fresh_session(), email, now=utc_now())
        db.session.commit()


def send_notification(email: Email | None) -> None:
    """Send a letter that only informs: what it tells of has been done, whether or not it arrives."""
    try:
        if email:
            deliver(email)
    except UpstreamError:
        pass  # it has been logged


def invalid_link_page(_gone: NotFound | None = None) -> tuple[str, int]:
    """Return the page for a link that was used, is too old, or is none of ours."""
    db.session.rollback()
    return render_template("accounts/invalid_link.html", is_email_enabled=is_email_enabled()), 410
