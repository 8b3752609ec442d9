"""Letters to people about their accounts, and the outbox where they lie if no mail is sent."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from pkgsite.models import OutboxMessage, begin_write
from pkgsite.services.account_links import CONFIRM, LASTS, REGISTER, RESET

MOST_KEPT = 100  # messages in the outbox

NOT_YOU = "If that was not you, do nothing: without you nothing happens."


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
        f"Your account at {site}",
        f"Somebody, probably you, wants to be “{username}” at {site}, and gave this address.",
        f"Open this page to choose a password; then the account is yours:\n\n{url}",
        f"The link works once, for {_lasts(REGISTER)}. {NOT_YOU}",
    )


def known_address_letter(site: str, to: str, username: str, reset_url: str) -> Letter:
    return _letter(
        to,
        f"You have an account at {site}",
        f"Somebody, probably you, wants to register at {site} with this address. "
        f"It has an account already: yours is called “{username}”.",
        f"Log in with that name. If you have forgotten the password, choose a new one here:\n\n{reset_url}",
        NOT_YOU,
    )


def reset_letter(site: str, to: str, username: str, url: str) -> Letter:
    return _letter(
        to,
        f"A new password at {site}",
        f"Somebody, probably you, asked for a new password of your account “{username}” at {site}.",
        f"Open this page to choose one:\n\n{url}",
        f"The link works once, for {_lasts(RESET)}. {NOT_YOU}",
    )


def no_account_letter(site: str, to: str, register_url: str) -> Letter:
    return _letter(
        to,
        f"No account at {site}",
        f"Somebody, probably you, asked for a new password at {site}. But no account there has this address as its "
        "confirmed one.",
        f"Perhaps yours has another address. You can also register:\n\n{register_url}",
        NOT_YOU,
    )


def confirm_letter(site: str, to: str, username: str, url: str) -> Letter:
    return _letter(
        to,
        f"Confirm your address at {site}",
        f"“{username}” at {site} says that this is their address.",
        f"If that is you, open this page, logged in, and confirm it:\n\n{url}",
        f"The link works once, for {_lasts(CONFIRM)}. {NOT_YOU}",
    )


def taken_address_letter(site: str, to: str, username: str) -> Letter:
    return _letter(
        to,
        f"Your address at {site}",
        f"Somebody wants to use this address for another account at {site}. It belongs to your account “{username}”, "
        "so they can't.",
        "If that was you, and you want it there: change the address of this account first, or delete the account.",
        NOT_YOU,
    )


def moved_letter(site: str, to: str, username: str, new: str) -> Letter:
    return _letter(
        to,
        f"Your address at {site} has changed",
        f"Your account “{username}” at {site} now has another address: {new}. No more letters come here.",
        "If that was not you, write to the people who run the site.",
    )


def password_changed_letter(site: str, to: str, username: str, reset_url: str) -> Letter:
    return _letter(
        to,
        f"Your password at {site} has changed",
        f"The password of your account “{username}” at {site} has just been changed.",
        f"If that was not you, choose a new one at once:\n\n{reset_url}",
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
