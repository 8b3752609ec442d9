"""Letters to people about their accounts, and the outbox where they lie if no mail is sent."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from pkgsite.models import OutboxMessage, begin_write
from pkgsite.services.accounts.signed_links import CONFIRM, LINK_TTLS, REGISTER, RESET

MAX_OUTBOX_MESSAGES = 100  # messages in the outbox

IGNORE_NOTICE = "If this wasn't you, you can ignore this email."


@dataclass(frozen=True, slots=True)
class Email:
    """A message in plain text."""

    to: str
    subject: str
    body: str


@dataclass(frozen=True, slots=True)
class OutboxEmail:
    to: str
    subject: str
    body: str
    at: datetime


def registration_email(site_title: str, to: str, username: str, url: str) -> Email:
    return _email(
        to,
        f"Finish creating your {site_title} account",
        f"Someone (probably you) is registering as “{username}” on {site_title} with this email address.",
        f"To set a password and create the account, open this link:\n\n{url}",
        f"The link can be used once and expires in {_link_lifetime(REGISTER)}. {IGNORE_NOTICE}",
    )


def existing_account_email(site_title: str, to: str, username: str, reset_url: str) -> Email:
    return _email(
        to,
        f"You already have a {site_title} account",
        f"Someone (probably you) tried to register on {site_title} with this email address, but you already have an account: "
        f"“{username}”.",
        f"Log in with that username. If you forgot your password, reset it here:\n\n{reset_url}",
        IGNORE_NOTICE,
    )


def password_reset_email(site_title: str, to: str, username: str, url: str) -> Email:
    return _email(
        to,
        f"Reset your {site_title} password",
        f"Someone (probably you) asked to reset the password of your account “{username}” on {site_title}.",
        f"To choose a new password, open this link:\n\n{url}",
        f"The link can be used once and expires in {_link_lifetime(RESET)}. {IGNORE_NOTICE}",
    )


def no_account_email(site_title: str, to: str, register_url: str) -> Email:
    return _email(
        to,
        f"No {site_title} account for this email address",
        f"Someone (probably you) asked to reset a password on {site_title}, but no account has this as its confirmed email "
        "address.",
        f"Your account may use a different email address. To create a new account, open this link:\n\n{register_url}",
        IGNORE_NOTICE,
    )


def confirmation_email(site_title: str, to: str, username: str, url: str) -> Email:
    return _email(
        to,
        f"Confirm your email address for {site_title}",
        f"The {site_title} user “{username}” wants to use this email address.",
        f"If that's you, log in and open this link to confirm it:\n\n{url}",
        f"The link can be used once and expires in {_link_lifetime(CONFIRM)}. {IGNORE_NOTICE}",
    )


def address_in_use_email(site_title: str, to: str, username: str) -> Email:
    return _email(
        to,
        f"Your {site_title} email address is already in use",
        f"Someone tried to use this email address for another {site_title} account. It wasn't changed, because the address "
        f"belongs to your account “{username}”.",
        "If this was you and you want to use it for the other account, first change the email address of "
        f"“{username}” or delete that account.",
        IGNORE_NOTICE,
    )


def address_changed_email(site_title: str, to: str, username: str, new_address: str) -> Email:
    return _email(
        to,
        f"Your {site_title} email address has changed",
        f"The email address of your {site_title} account “{username}” is now {new_address}. You will no longer receive emails at "
        "this address.",
        "If you didn't make this change, contact the site's administrators.",
    )


def password_changed_email(site_title: str, to: str, username: str, reset_url: str) -> Email:
    return _email(
        to,
        f"Your {site_title} password has changed",
        f"The password of your {site_title} account “{username}” has been changed.",
        f"If you didn't make this change, reset your password now:\n\n{reset_url}",
    )


def _email(to: str, subject: str, *paragraphs: str) -> Email:
    return Email(to, subject, "\n\n".join(paragraphs) + "\n")


def _link_lifetime(purpose: str) -> str:
    hours = LINK_TTLS[purpose] // timedelta(hours=1)
    return f"{hours // 24} days" if hours >= 48 else f"{hours} hours"


def store_in_outbox(session: Session, email: Email, *, now: datetime) -> None:
    """Lay a letter in the outbox, and throw away what has lain there longest."""
    begin_write(session)
    session.add(OutboxMessage(to=email.to, subject=email.subject, body=email.body, at=now))
    session.flush()
    oldest_excess_id = session.scalars(
        select(OutboxMessage.id).order_by(OutboxMessage.id.desc()).offset(MAX_OUTBOX_MESSAGES).limit(1)
    ).one_or_none()
    if oldest_excess_id is not None:
        session.execute(delete(OutboxMessage).where(OutboxMessage.id <= oldest_excess_id))


def outbox_emails(session: Session) -> list[OutboxEmail]:
    """Return the letters of the outbox, newest first."""
    rows = session.scalars(select(OutboxMessage).order_by(OutboxMessage.id.desc()).limit(MAX_OUTBOX_MESSAGES))
    return [OutboxEmail(row.to, row.subject, row.body, row.at) for row in rows]
