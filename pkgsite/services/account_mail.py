"""Letters to people about their accounts, and the outbox where they lie if no mail is sent."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from pkgsite.models import OutboxMessage, begin_write
from pkgsite.services.account_links import CONFIRM, LASTS, REGISTER, RESET

MOST_KEPT = 100  # messages in the outbox

NOT_YOU = "If this wasn't you, you can ignore this email."


@dataclass(frozen=True, slots=True)
class Letter:
    """A message in plain text."""

    to: str
    subject: str
    body: str


@dataclass(frozen=True, slots=True)
class KeptLetter:
    to: str
    subject: str
    body: str
    at: datetime


def registration_letter(site: str, to: str, username: str, url: str) -> Letter:
    return _letter(
        to,
        f"Finish creating your {site} account",
        f"Someone (probably you) is registering as “{username}” on {site} with this email address.",
        f"To set a password and create the account, open this link:\n\n{url}",
        f"The link can be used once and expires in {_lasts(REGISTER)}. {NOT_YOU}",
    )


def known_address_letter(site: str, to: str, username: str, reset_url: str) -> Letter:
    return _letter(
        to,
        f"You already have a {site} account",
        f"Someone (probably you) tried to register on {site} with this email address, but you already have an account: "
        f"“{username}”.",
        f"Log in with that username. If you forgot your password, reset it here:\n\n{reset_url}",
        NOT_YOU,
    )


def reset_letter(site: str, to: str, username: str, url: str) -> Letter:
    return _letter(
        to,
        f"Reset your {site} password",
        f"Someone (probably you) asked to reset the password of your account “{username}” on {site}.",
        f"To choose a new password, open this link:\n\n{url}",
        f"The link can be used once and expires in {_lasts(RESET)}. {NOT_YOU}",
    )


def no_account_letter(site: str, to: str, register_url: str) -> Letter:
    return _letter(
        to,
        f"No {site} account for this email address",
        f"Someone (probably you) asked to reset a password on {site}, but no account has this as its confirmed email "
        "address.",
        f"Your account may use a different email address. To create a new account, open this link:\n\n{register_url}",
        NOT_YOU,
    )


def confirm_letter(site: str, to: str, username: str, url: str) -> Letter:
    return _letter(
        to,
        f"Confirm your email address for {site}",
        f"The {site} user “{username}” wants to use this email address.",
        f"If that's you, log in and open this link to confirm it:\n\n{url}",
        f"The link can be used once and expires in {_lasts(CONFIRM)}. {NOT_YOU}",
    )


def taken_address_letter(site: str, to: str, username: str) -> Letter:
    return _letter(
        to,
        f"Your {site} email address is already in use",
        f"Someone tried to use this email address for another {site} account. It wasn't changed, because the address "
        f"belongs to your account “{username}”.",
        "If this was you and you want to use it for the other account, first change the email address of "
        f"“{username}” or delete that account.",
        NOT_YOU,
    )


def moved_letter(site: str, to: str, username: str, new: str) -> Letter:
    return _letter(
        to,
        f"Your {site} email address has changed",
        f"The email address of your {site} account “{username}” is now {new}. You will no longer receive emails at "
        "this address.",
        "If you didn't make this change, contact the site's administrators.",
    )


def password_changed_letter(site: str, to: str, username: str, reset_url: str) -> Letter:
    return _letter(
        to,
        f"Your {site} password has changed",
        f"The password of your {site} account “{username}” has been changed.",
        f"If you didn't make this change, reset your password now:\n\n{reset_url}",
    )


def _letter(to: str, subject: str, *paragraphs: str) -> Letter:
    return Letter(to, subject, "\n\n".join(paragraphs) + "\n")


def _lasts(purpose: str) -> str:
    hours = LASTS[purpose] // timedelta(hours=1)
    return f"{hours // 24} days" if hours >= 48 else f"{hours} hours"


def keep_letter(session: Session, letter: Letter, *, now: datetime) -> None:
    """Lay a letter in the outbox, and throw away what has lain there longest."""
    begin_write(session)
    session.add(OutboxMessage(to=letter.to, subject=letter.subject, body=letter.body, at=now))
    session.flush()
    last = session.scalars(
        select(OutboxMessage.id).order_by(OutboxMessage.id.desc()).offset(MOST_KEPT).limit(1)
    ).one_or_none()
    if last is not None:
        session.execute(delete(OutboxMessage).where(OutboxMessage.id <= last))


def outbox(session: Session) -> list[KeptLetter]:
    """Return the letters of the outbox, newest first."""
    rows = session.scalars(select(OutboxMessage).order_by(OutboxMessage.id.desc()).limit(MOST_KEPT))
    return [KeptLetter(row.to, row.subject, row.body, row.at) for row in rows]
