"""Account emails, and the outbox that stores them if the site sends no email."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from pkgsite.models import OutboxMessage, begin_write
from pkgsite.services.accounts.signed_links import CONFIRM, LINK_TTLS, REGISTER, RESET

MAX_OUTBOX_MESSAGES = 100
IGNORE_NOTICE = "If this wasn't you, you can ignore this email."


@dataclass(frozen=True, slots=True)
class Email:
    """A plain-text email."""

    to: str
    subject: str
    body: str


@dataclass(frozen=True, slots=True)
class OutboxEmail(Email):
    at: datetime


def registration_email(site_title: str, to: str, username: str, url: str) -> Email:
    return _email(
        to,
        f"Finish creating your {site_title} account",
        f"Someone (probably you) is registering as “{username}” on {site_title} with this email address.",
        f"To set a password and create the account, open this link:\n\n{url}",
        _expiry_notice(REGISTER),
    )


def existing_account_email(site_title: str, to: str, username: str, reset_url: str) -> Email:
    return _email(
        to,
        f"You already have a {site_title} account",
        f"Someone (probably you) tried to register on {site_title} with this email address, but you already have an "
        f"account: “{username}”.",
        f"Log in with that username. If you forgot your password, reset it here:\n\n{reset_url}",
        IGNORE_NOTICE,
    )


def password_reset_email(site_title: str, to: str, username: str, url: str) -> Email:
    return _email(
        to,
        f"Reset your {site_title} password",
        f"Someone (probably you) asked to reset the password of your account “{username}” on {site_title}.",
        f"To choose a new password, open this link:\n\n{url}",
        _expiry_notice(RESET),
    )


def no_account_email(site_title: str, to: str, register_url: str) -> Email:
    return _email(
        to,
        f"No {site_title} account for this email address",
        f"Someone (probably you) asked to reset a password on {site_title}, but no account has this as its confirmed "
        "email address.",
        f"Your account may use a different email address. To create a new account, open this link:\n\n{register_url}",
        IGNORE_NOTICE,
    )


def confirmation_email(site_title: str, to: str, username: str, url: str) -> Email:
    return _email(
        to,
        f"Confirm your email address for {site_title}",
        f"The {site_title} user “{username}” wants to use this email address.",
        f"If that's you, log in and open this link to confirm it:\n\n{url}",
        _expiry_notice(CONFIRM),
    )


def address_in_use_email(site_title: str, to: str, username: str) -> Email:
    return _email(
        to,
        f"Someone tried to use your email address on {site_title}",
        f"Someone tried to use this email address for another {site_title} account. That account was not changed, "
        f"because the address belongs to your account “{username}”.",
        "If this was you and you want to use it for the other account, first change the email address of "
        f"“{username}” or delete that account.",
        IGNORE_NOTICE,
    )


def address_changed_email(site_title: str, to: str, username: str, new_address: str) -> Email:
    return _email(
        to,
        f"Your {site_title} email address has changed",
        f"The email address of your {site_title} account “{username}” is now {new_address}. You will no longer receive "
        "emails at this address.",
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


def _expiry_notice(purpose: str) -> str:
    hours = LINK_TTLS[purpose] // timedelta(hours=1)
    lifetime = f"{hours // 24} days" if hours >= 48 else f"{hours} hours"
    return f"The link can be used once and expires in {lifetime}. {IGNORE_NOTICE}"


def store_in_outbox(session: Session, email: Email, *, now: datetime) -> None:
    """Add an email to the outbox, and delete the oldest ones above `MAX_OUTBOX_MESSAGES`."""
    begin_write(session)
    session.add(OutboxMessage(to=email.to, subject=email.subject, body=email.body, at=now))
    session.flush()
    oldest_excess_id = session.scalars(
        select(OutboxMessage.id).order_by(OutboxMessage.id.desc()).offset(MAX_OUTBOX_MESSAGES).limit(1)
    ).one_or_none()
    if oldest_excess_id is not None:
        session.execute(delete(OutboxMessage).where(OutboxMessage.id <= oldest_excess_id))


def outbox_emails(session: Session) -> list[OutboxEmail]:
    """Return the emails in the outbox, newest first."""
    rows = session.scalars(select(OutboxMessage).order_by(OutboxMessage.id.desc()).limit(MAX_OUTBOX_MESSAGES))
    return [OutboxEmail(row.to, row.subject, row.body, row.at) for row in rows]
