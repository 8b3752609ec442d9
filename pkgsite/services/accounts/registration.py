"""Registration: validating and creating accounts."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import func, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from pkgsite.errors import Invalid, NotFound
from pkgsite.models import User, begin_write
from pkgsite.models.user import ROLES
from pkgsite.rules.emails import ascii_email, email_problems
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
    """Raise an error unless the username is valid and available.

    Raises:
        Invalid: The errors, under `field`.
    """
    problems = username_problems(username)
    if not problems and session.scalar(select(User.id).where(func.lower(User.username) == username.lower())):
        problems = [USERNAME_TAKEN_MESSAGE]
    if problems:
        raise Invalid({field: problems})


def validate_email(email: str, field: str = "email") -> str:
    """Return an email address in the form in which it is stored, with its domain in ASCII.

    Raises:
        Invalid: The errors, under `field`.
    """
    if problems := email_problems(email):
        raise Invalid({field: problems})
    return ascii_email(email)


def validate_new_password(password: str, *personal_values: str, field: str = "password") -> None:
    """Raise an error if the password is too easy to guess.

    Raises:
        Invalid: The errors, under `field`.
    """
    if problems := password_problems(password, *personal_values):
        raise Invalid({field: problems})


def prepare_registration(
    session: Session, site: SiteContext, *, username: str, email: str, next_path: str = ""
) -> Email:
    """Return the email that continues a registration; nothing is stored until its link is opened.

    Only the email says whether the address already has an account, so that others can't find out.

    Args:
        session: The database session.
        site: The site that sends the email.
        username: The requested username.
        email: The email address.
        next_path: The path of this site to go to after the registration.

    Raises:
        Invalid: The username is invalid or already taken, or the email address is invalid.
    """
    email = validate_email(email)
    validate_username(session, username)
    user = user_by_email(session, email)
    if user is None or user.email_confirmed_at is None or user.email is None:
        token = sign_registration(site.signing_key, username, email)
        url = site.build_url("accounts.finish_registration", token=token, next=next_path or None)
        return registration_email(site.title, email, username, url)
    url = site.build_url(
        "accounts.reset_password_form", token=sign_account_link(site.signing_key, RESET, user, user.email)
    )
    return existing_account_email(site.title, user.email, user.username, url)


def verify_pending_registration(session: Session, key: str, token: str) -> RegistrationClaims:
    """Return the claims of a registration link, as long as its address has no account.

    Raises:
        NotFound: The link is invalid, expired or already used.
    """
    claims = verify_registration(key, token)
    owner = user_by_email(session, claims.email)
    if owner and owner.email_confirmed_at:
        raise NotFound("Link")
    return claims


def create_confirmed_user(
    session: Session, registration: RegistrationClaims, password_hash: str, *, now: datetime
) -> int:
    """Create an account after its registration link was opened, and return the user's id.

    Raises:
        Invalid: The username has been taken since, or the email address has an account by now.
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
    """Create an account on a site that sends no email, and return the user's id.

    An email address that another account has is silently dropped: without email, ownership can't be verified, and an
    error would reveal that the account exists.

    Raises:
        Invalid: The username or the email address is invalid, or the username is already taken.
    """
    begin_write(session)
    email = validate_email(registration.email) if registration.email else ""
    validate_username(session, registration.username)
    is_email_available = email and not user_by_email(session, email)
    return create_user(
        session,
        registration.username,
        email if is_email_available else None,
        password_hash,
        confirmed_at=None,
        now=now,
    )


def create_user_as_operator(
    session: Session, username: str, email: str, password_hash: str | None, role: str, *, now: datetime
) -> int:
    """Create an account on behalf of the operator, with a confirmed email address, and return the user's id.

    Raises:
        Invalid: The username, the email address or the role is invalid, or one of the first two is already taken.
    """
    begin_write(session)
    validate_username(session, username)
    if role not in ROLES:
        raise Invalid({"role": [f"The role must be one of {', '.join(ROLES)}."]})
    if email:
        email = validate_email(email)
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
    """Create an account, and return the user's id.

    Raises:
        Invalid: A concurrent request has taken the username or the email address.
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
    except IntegrityError as error:
        session.rollback()
        raise Invalid({"username": [USERNAME_TAKEN_MESSAGE]}) from error
    return user.id


def user_by_email(session: Session, email: str) -> User | None:
    return session.scalar(select(User).where(func.lower(User.email) == ascii_email(email).lower()))


def clear_unconfirmed_email(session: Session, email: str) -> None:
    """Remove an email address from the account that never confirmed it."""
    session.execute(
        update(User)
        .where(func.lower(User.email) == ascii_email(email).lower(), User.email_confirmed_at.is_(None))
        .values(email=None)
        .execution_options(synchronize_session=False)
    )
    session.expire_all()
