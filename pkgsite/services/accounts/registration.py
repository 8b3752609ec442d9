"""Making accounts."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import func, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from pkgsite.errors import Invalid, NotFound
from pkgsite.models import User, begin_write
from pkgsite.models.user import ROLES
from pkgsite.rules.emails import email_problems
from pkgsite.rules.passwords import password_problems
from pkgsite.rules.usernames import username_problems
from pkgsite.services.accounts.emails import Letter, known_address_letter, registration_letter
from pkgsite.services.accounts.signed_links import (
    RESET,
    Registration,
    account_link,
    read_registration,
    registration_link,
)
from pkgsite.services.accounts.users import SiteAddress

TAKEN = "This username is already taken. Choose another."
ELSEWHERE = "This email address is already used by another account."


def check_username(session: Session, username: str, field: str = "username") -> None:
    """Refuse a name that nobody may have, or that somebody has.

    Raises:
        Invalid: with the words for the field.
    """
    problems = username_problems(username)
    if not problems and session.scalar(select(User.id).where(func.lower(User.username) == username.lower())):
        problems = [TAKEN]
    if problems:
        raise Invalid({field: problems})


def check_email(email: str, field: str = "email") -> None:
    """Refuse what is no e-mail address.

    Raises:
        Invalid: with the words for the field.
    """
    if problems := email_problems(email):
        raise Invalid({field: problems})


def check_new_password(password: str, *own: str, field: str = "password") -> None:
    """Refuse a password that is too easy to guess.

    Raises:
        Invalid: with the words for the field.
    """
    if problems := password_problems(password, *own):
        raise Invalid({field: problems})


def registration_letter_for(session: Session, site: SiteAddress, *, username: str, email: str) -> Letter:
    """Return the letter that answers somebody who registers: to whoever reads it, and to nobody else, it says whether
    the address has an account already. Nothing is kept of them until they open its link.

    Raises:
        Invalid: the name can't be theirs, or the address is none.
    """
    check_email(email)
    check_username(session, username)
    user = user_by_email(session, email)
    if user is None or user.email_confirmed_at is None or user.email is None:
        url = site.url("accounts.finish_registration", token=registration_link(site.key, username, email))
        return registration_letter(site.title, email, username, url)
    url = site.url("accounts.choose_password", token=account_link(site.key, RESET, user, user.email))
    return known_address_letter(site.title, user.email, user.username, url)


def open_registration(session: Session, key: str, token: str) -> Registration:
    """Return what a registration's link carries, as long as its address has no account.

    Raises:
        NotFound: the link is not one of ours, too old, or has done its work.
    """
    told = read_registration(key, token)
    holder = user_by_email(session, told.email)
    if holder and holder.email_confirmed_at:
        raise NotFound("Link")
    return told


def make_registered(session: Session, told: Registration, password_hash: str, *, now: datetime) -> int:
    """Make the account of somebody who has opened the link sent to their address, and return its id.

    Raises:
        Invalid: the name was taken in the meantime, or the address got an account.
    """
    begin_write(session)
    check_username(session, told.username)
    holder = user_by_email(session, told.email)
    if holder and holder.email_confirmed_at:
        raise Invalid({"email": ["This email address already has an account. Log in instead."]})
    release_unconfirmed(session, told.email)
    return make_user(session, told.username, told.email, password_hash, confirmed_at=now, now=now)


def make_unconfirmed(session: Session, told: Registration, password_hash: str, *, now: datetime) -> int:
    """Make an account at a site that sends no mail, and return its id.

    An address that another account has is left out: nobody can be asked whose it is, and nobody is told of it.

    Raises:
        Invalid: the name or the address can't be theirs.
    """
    begin_write(session)
    if told.email:
        check_email(told.email)
    check_username(session, told.username)
    is_free = told.email and not user_by_email(session, told.email)
    return make_user(session, told.username, told.email if is_free else None, password_hash, confirmed_at=None, now=now)


def make_by_operator(
    session: Session, username: str, email: str, password_hash: str | None, role: str, *, now: datetime
) -> int:
    """Make an account as the person at the machine says; an address that they give counts as confirmed.

    Raises:
        Invalid: the name, the address or the role can't be.
    """
    begin_write(session)
    check_username(session, username)
    if role not in ROLES:
        raise Invalid({"role": [f"The role must be one of {', '.join(ROLES)}."]})
    if email:
        check_email(email)
        if user_by_email(session, email):
            raise Invalid({"email": [ELSEWHERE]})
    confirmed_at = now if email else None
    return make_user(session, username, email or None, password_hash, confirmed_at=confirmed_at, now=now, role=role)


def make_user(
    session: Session,
    username: str,
    email: str | None,
    password_hash: str | None,
    *,
    confirmed_at: datetime | None,
    now: datetime,
    role: str = "user",
) -> int:
    """Add an account; who was faster by a moment has the name.

    Raises:
        Invalid: name or address were taken by somebody else in this moment.
    """
    user = User(
        username=username,
        email=email,
        email_confirmed_at=confirmed_at,
        password_hash=password_hash,
        role=role,
        created_at=now,
    )
    session.add(user)
    try:
        session.flush()
    except IntegrityError as clash:
        session.rollback()
        raise Invalid({"username": [TAKEN]}) from clash
    return user.id


def user_by_email(session: Session, email: str) -> User | None:
    return session.scalar(select(User).where(func.lower(User.email) == email.lower()))


def release_unconfirmed(session: Session, email: str) -> None:
    """Take an address from an account that never confirmed it, for who has."""
    session.execute(
        update(User)
        .where(func.lower(User.email) == email.lower(), User.email_confirmed_at.is_(None))
        .values(email=None)
        .execution_options(synchronize_session=False)
    )
    session.expire_all()
