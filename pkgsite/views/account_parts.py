"""What all pages of accounts share: letters, tries that are counted, and answers that nobody keeps."""

from __future__ import annotations

import logging
from typing import Any

from flask import Blueprint, Response, current_app, g, make_response, render_template, request
from flask_login import current_user

from pkgsite.clock import utc_now
from pkgsite.errors import Invalid, NotFound, UpstreamError
from pkgsite.extensions import db, people
from pkgsite.services.account_mail import Letter, keep_letter
from pkgsite.services.accounts import Account, SiteAddress, note_seen
from pkgsite.services.passwords import is_password
from pkgsite.services.throttling import Counted, TooManyTries, forgive, letter_tries, login_tries, take_try
from pkgsite.views.links import canonical_of

log = logging.getLogger(__name__)

pages = Blueprint("accounts", __name__)

NOT_SENT = "The email could not be sent. Try again in a few minutes."


@pages.after_request
def keep_to_oneself(response: Response) -> Response:
    response.headers["Cache-Control"] = "no-store"
    return response


@pages.after_app_request
def note_use(response: Response) -> Response:
    """Note, every few minutes, that a logged-in browser is in use."""
    if request.method == "GET" and getattr(g.get("_login_user"), "is_note_due", False):
        note_seen(fresh(), g._login_user.session_id, now=utc_now())
        db.session.commit()
    return response


@pages.errorhandler(TooManyTries)
def slower(refusal: TooManyTries) -> Response:
    db.session.rollback()
    minutes = -(-refusal.retry_after_s // 60)
    response = make_response(render_template("accounts/slower.html", minutes=minutes), 429)
    response.headers["Retry-After"] = str(refusal.retry_after_s)
    return response


def fresh() -> Any:
    """Return the database session, in which nothing has been read or written yet."""
    db.session.rollback()
    return db.session()


def site_address() -> SiteAddress:
    return SiteAddress(current_app.config["SITE_TITLE"], str(current_app.secret_key), canonical_of)


def address() -> str:
    return request.remote_addr or ""


def sends_mail() -> bool:
    return bool(current_app.config["MAIL"] != "off")


def this_session_id() -> int:
    return int(getattr(current_user, "session_id", 0))


def check_password(account: Account, password: str, field: str, refusal: str) -> None:
    """Check a password, as one try that counts against its account and the visitor's address.

    Raises:
        TooManyTries: it was tried too often.
        Invalid: it is not theirs, in the words of `refusal`.
    """
    counted, taken = _count_login(account)
    if not is_password(account.password_hash, password):
        raise Invalid({field: [refusal]})
    forgive(fresh(), counted, taken)
    db.session.commit()


def _count_login(account: Account) -> tuple[list[Counted], list[int]]:
    whose = f"id {account.user_id}" if account.user_id else f"name {account.username.lower()}"
    counted = login_tries(whose, address())
    taken = take_try(fresh(), counted, now=utc_now())
    db.session.commit()
    return counted, taken


def send_asked(letter: Letter, to: str) -> None:
    """Send a letter that somebody asks for, if not too many have been asked for; what was to be kept is committed.

    Args:
        letter: What to send.
        to: The address as it was typed.

    Raises:
        TooManyTries: too many letters to this address, or from this visitor.
        UpstreamError: it could not be sent.
    """
    take_try(fresh(), letter_tries(to, address()), now=utc_now())
    db.session.commit()
    send(letter)


def send(letter: Letter) -> None:
    """Send a letter, or lay it in the outbox.

    Raises:
        UpstreamError: it could not be sent.
    """
    mailer = people().mailer
    if mailer:
        try:
            mailer.send(to=letter.to, subject=letter.subject, body=letter.body)
        except UpstreamError as failure:
            log.warning("could not send email: %s", failure)
            raise
    elif current_app.config["MAIL"] == "outbox":
        keep_letter(fresh(), letter, now=utc_now())
        db.session.commit()


def tell(letter: Letter | None) -> None:
    """Send a letter that only informs: what it tells of has been done, whether or not it arrives."""
    try:
        if letter:
            send(letter)
    except UpstreamError:
        pass  # it has been logged


def dead_link(_gone: NotFound | None = None) -> tuple[str, int]:
    """Return the page for a link that was used, is too old, or is none of ours."""
    db.session.rollback()
    return render_template("accounts/dead_link.html", mail=sends_mail()), 410
