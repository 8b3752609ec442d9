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
from pkgsite.services.accounts.emails import Email, existing_account_email, registration_email
from pkgsite.services.accounts.signed_links import (
    RESET,
    RegistrationClaims,
    sign_account_link,
    sign_registration,
    verify_registration,
)
from pkgsite.services.accounts.users import SiteContext

USERNAME_TAKEN_MESSAGE = "This username is already taken. Choose another."
EMAIL_IN_USE_MESSAGE = "This email address is already used by another account."


def validate_username(session: Session, username: str, field: str = "username") -> None:
    """Refuse a name that nobody may have, or that somebody has.

    Raises:
        Invalid: with the words for the field.
    """
    problems = username_problems(username)
    if not problems and session.scalar(select(User.id).where(func.lower(User.username) == username.lower())):
        problems = [USERNAME_TAKEN_MESSAGE]
    if problems:
        raise Invalid({field: problems})


def validate_email(email: str, field: str = "email") -> None:
    """Refuse what is no e-mail address.

    Raises:
        Invalid: with the words for the field.
    """
    if problems := email_problems(email):
        raise Invalid({field: problems})


def validate_new_password(password: str, *personal_values: str, field: str = "password") -> None:
    """Refuse a password that is too easy to guess.

    Raises:
        Invalid: with the words for the field.
    """
    if problems := password_problems(password, *personal_values):
        raise Invalid({field: problems})


def prepare_registration(session: Session, site: SiteContext, *, username: str, email: str) -> Email:
    """Return the letter that answers somebody who registers: to whoever reads it, and to nobody else, it says whether
    the address has an account already. Nothing is kept of them until they open its link.

    Raises:
        Invalid: the name can't be theirs, or the address is none.
    """
    validate_email(email)
    validate_username(session, username)
    user = user_by_email(session, email)
    if user is None or user.email_confirmed_at is None or user.email is None:
        url = site.build_url("accounts.finish_registration", token=sign_registration(site.signing_key, username, email))
        return registration_email(site.title, email, username, url)
    url = site.build_url(
        "accounts.reset_password_form", token=sign_account_link(site.signing_key, RESET, user, user.email)
    )
    return existing_account_email(site.title, user.email, user.username, url)


def verify_pending_registration(session: Session, key: str, token: str) -> RegistrationClaims:
    """Return what a registration's link carries, as long as its address has no account.

    Raises:
        NotFound: the link is not one of ours, too old, or has done its work.
    """
    told = verify_registration(key, token)
    owner = user_by_email(session, told.email)
    if owner and owner.email_confirmed_at:
        raise NotFound("Link")
    return told


def create_confirmed_user(
    session: Session, registration: RegistrationClaims, password_hash: str, *, now: datetime
) -> int:
    """Make the account of somebody who has opened the link sent to their address, and return its id.

    Raises:
        Invalid: the name was taken in the meantime, or the address got an account.
    """
    begin_write(session)
    validate_username(session, registration.username)
    owner = user_by_email(session, registration.email)
    if owner and owner.email_confirmed_at:
        raise Invalid({"email": ["This email address already has an account. Log in instead."]})
    clear_unconfirmed_email(session, registration.email)
    return create_user(session, registration.username, registration.email, password_hash, confirmed_at=now, now=now)


def create_unconfirmed_user(
    session: Session, registration: RegistrationClaims, password_hash: str, *, now: datetime
) -> int:
    """Make an account at a site that sends no mail, and return its id.

    An address that another account has is left out: nobody can be asked whose it is, and nobody is told of it.

    Raises:
        Invalid: the name or the address can't be theirs.
    """
    begin_write(session)
    if registration.email:
        validate_email(registration.email)
    validate_username(session, registration.username)
    is_email_available = registration.email and not user_by_email(session, registration.email)
    return create_user(
        session,
        registration.username,
        registration.email if is_email_available else None,
        password_hash,
        confirmed_at=None,
        now=now,
    )


def create_user_as_operator(
    session: Session, username: str, email: str, password_hash: str | None, role: str, *, now: datetime
) -> int:
    """Make an account as the person at the machine says; an address that they give counts as confirmed.

    Raises:
        Invalid: the name, the address or the role can't be.
    """
    begin_write(session)
    validate_username(session, username)
    if role not in ROLES:
        raise Invalid({"role": [f"The role must be one of {', '.join(ROLES)}."]})
    if email:
        validate_email(email)
        if user_by_email(session, email):
            raise Invalid({"email": [EMAIL_IN_USE_MESSAGE]})
    confirmed_at = now if email else None
    return create_user(session, username, email or None, password_hash, confirmed_at=confirmed_at, now=now, role=role)


def create_user(
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
        raise Invalid({"username": [USERNAME_TAKEN_MESSAGE]}) from clash
    return user.id


def user_by_email(session: Session, email: str) -> User | None:
    return session.scalar(select(User).where(func.lower(User.email) == email.lower()))


def clear_unconfirmed_email(session: Session, email: str) -> None:
    """Take an address from an account that never confirmed it, for who has."""
    session.execute(
        update(User)
        .where(func.lower(User.email) == email.lower(), User.email_confirmed_at.is_(None))
        .values(email=None)
        .execution_options(synchronize_session=False)
    )
    session.expire_all()
