"""Account settings, as users and operators change them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from pkgsite.errors import Forbidden, Invalid, NotFound
from pkgsite.models import ApiToken, Identity, LoginSession, User, begin_write
from pkgsite.models.user import ROLES
from pkgsite.services.accounts.emails import (
    Email,
    address_changed_email,
    address_in_use_email,
    confirmation_email,
    no_account_email,
    password_changed_email,
    password_reset_email,
)
from pkgsite.services.accounts.registration import (
    EMAIL_IN_USE_MESSAGE,
    clear_unconfirmed_email,
    user_by_email,
    validate_email,
)
from pkgsite.services.accounts.signed_links import CONFIRM, RESET, sign_account_link, verify_account_link
from pkgsite.services.accounts.users import SESSION_TTL, Account, SiteContext, get_own_account, get_user_by_login
from pkgsite.services.permissions import Viewer, require_login


@dataclass(frozen=True, slots=True)
class LinkedIdentity:
    """An external identity that the user can log in with."""

    id: int
    provider: str
    login: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class ActiveSession:
    """A browser in which the user is logged in."""

    id: int
    address: str
    user_agent: str
    created_at: datetime
    last_seen_at: datetime
    is_current: bool


@dataclass(frozen=True, slots=True)
class SettingsPage:
    account: Account
    identities: list[LinkedIdentity]
    sessions: list[ActiveSession]

    @property
    def login_method_count(self) -> int:
        return len(self.identities) + self.account.has_password


def settings_page(session: Session, viewer: Viewer, session_id: int, *, now: datetime) -> SettingsPage:
    """Return the content of the viewer's account settings page.

    Raises:
        Forbidden: The viewer is not logged in.
    """
    account = get_own_account(session, viewer)
    identities = session.scalars(select(Identity).where(Identity.user_id == viewer.user_id).order_by(Identity.id))
    login_sessions = session.scalars(
        select(LoginSession)
        .where(LoginSession.user_id == viewer.user_id, LoginSession.last_seen_at > now - SESSION_TTL)
        .order_by(LoginSession.last_seen_at.desc(), LoginSession.id.desc())
    )
    return SettingsPage(
        account,
        [LinkedIdentity(row.id, row.provider, row.login, row.created_at) for row in identities],
        [
            ActiveSession(row.id, row.address, row.agent, row.created_at, row.last_seen_at, row.id == session_id)
            for row in login_sessions
        ],
    )


def prepare_email_change(session: Session, site: SiteContext, viewer: Viewer, new_address: str) -> Email:
    """Return the email that asks to confirm a new address; nothing changes until its link is opened.

    Raises:
        Invalid: The address is invalid, or already the viewer's.
        Forbidden: The viewer is not logged in.
    """
    new_address = validate_email(new_address)
    user = _get_user(session, viewer)
    if user.email and user.email.lower() == new_address.lower() and user.email_confirmed_at:
        raise Invalid({"email": ["This is already your email address."]})
    owner = user_by_email(session, new_address)
    if owner and owner.id != user.id and owner.email_confirmed_at and owner.email:
        return address_in_use_email(site.title, owner.email, owner.username)
    url = site.build_url("accounts.confirm", token=sign_account_link(site.signing_key, CONFIRM, user, new_address))
    return confirmation_email(site.title, new_address, user.username, url)


def confirm_email(
    session: Session, site: SiteContext, viewer: Viewer, token: str, *, now: datetime
) -> tuple[str, Email | None]:
    """Set the address that a link confirms; return it, and a notification to the previous address, if any.

    Raises:
        NotFound: The link is invalid, expired or already used.
        Forbidden: The link belongs to another account.
        Invalid: Another account has confirmed the address in the meantime.
    """
    begin_write(session)
    link = verify_account_link(session, site.signing_key, CONFIRM, token)
    if link.user_id != viewer.user_id:
        raise Forbidden("This link belongs to another account.")
    owner = user_by_email(session, link.email)
    if owner and owner.id != link.user_id:
        if owner.email_confirmed_at:
            raise Invalid({"email": [EMAIL_IN_USE_MESSAGE]})
        clear_unconfirmed_email(session, link.email)
    user = session.get_one(User, link.user_id)
    old_address = user.email if user.email_confirmed_at else None
    user.email, user.email_confirmed_at = link.email, now
    _flush_email(session)
    if not old_address or old_address.lower() == link.email.lower():
        return link.email, None
    return link.email, address_changed_email(site.title, old_address, user.username, link.email)


def change_email_unconfirmed(session: Session, viewer: Viewer, new_address: str) -> None:
    """Set the viewer's email address on a site that sends no email; an empty one removes it.

    Raises:
        Invalid: The address is invalid, or another account has it.
    """
    begin_write(session)
    user = _get_user(session, viewer)
    if new_address:
        new_address = validate_email(new_address)
        owner = user_by_email(session, new_address)
        if owner and owner.id != user.id:
            raise Invalid({"email": [EMAIL_IN_USE_MESSAGE]})
    if (user.email or "") != new_address:
        user.email, user.email_confirmed_at = new_address or None, None
    _flush_email(session)


def prepare_password_reset(session: Session, site: SiteContext, email: str) -> Email:
    """Return the email that answers a password reset request.

    Send one whether or not the address has an account, so that only its recipient finds out.

    Raises:
        Invalid: The address is invalid.
    """
    email = validate_email(email)
    user = user_by_email(session, email)
    if user is None or user.email is None or user.email_confirmed_at is None or not user.is_active:
        return no_account_email(site.title, email, site.build_url("accounts.register"))
    return password_reset_email(site.title, user.email, user.username, reset_url(site, user))


def reset_url(site: SiteContext, user: User) -> str:
    """Return a single-use URL to reset the password of an account."""
    return site.build_url(
        "accounts.reset_password_form", token=sign_account_link(site.signing_key, RESET, user, user.email or "")
    )


def reset_password(session: Session, key: str, token: str, password_hash: str) -> int:
    """Set a new password after a reset link was opened, end all of the user's sessions, and return the user's id.

    Raises:
        NotFound: The link is invalid, expired or already used.
    """
    begin_write(session)
    link = verify_account_link(session, key, RESET, token)
    session.get_one(User, link.user_id).password_hash = password_hash
    end_sessions(session, link.user_id)
    session.flush()
    return link.user_id


def change_password(
    session: Session, site: SiteContext, viewer: Viewer, password_hash: str, session_id: int
) -> Email | None:
    """Set the viewer's password, end their other sessions, and return the notification email, if they have an address.

    Raises:
        Forbidden: The viewer is not logged in.
    """
    begin_write(session)
    user = _get_user(session, viewer)
    user.password_hash = password_hash
    end_sessions(session, user.id, except_id=session_id)
    session.flush()
    if not user.email or not user.email_confirmed_at:
        return None
    return password_changed_email(site.title, user.email, user.username, reset_url(site, user))


def end_session(session: Session, viewer: Viewer, session_id: int) -> None:
    """End one of the viewer's sessions.

    Raises:
        NotFound: The viewer has no such session.
    """
    user_id = require_login(viewer)
    begin_write(session)
    result = session.execute(delete(LoginSession).where(LoginSession.id == session_id, LoginSession.user_id == user_id))
    if not result.rowcount:  # type: ignore[attr-defined]
        raise NotFound("Session")


def end_other_sessions(session: Session, viewer: Viewer, session_id: int) -> None:
    """End the viewer's sessions, except the current one."""
    user_id = require_login(viewer)
    begin_write(session)
    end_sessions(session, user_id, except_id=session_id)


def end_sessions(session: Session, user_id: int, *, except_id: int = 0) -> None:
    session.execute(delete(LoginSession).where(LoginSession.user_id == user_id, LoginSession.id != except_id))


def delete_account(session: Session, viewer: Viewer) -> None:
    """Delete the viewer's account and private data; their public contributions remain, without a name.

    Raises:
        Forbidden: The viewer is not logged in.
    """
    user_id = require_login(viewer)
    begin_write(session)
    session.execute(delete(User).where(User.id == user_id))
    session.expire_all()


def set_role(session: Session, identifier: str, role: str) -> str:
    """Set the role of an account, and return the username.

    Raises:
        NotFound: No such account exists.
        Invalid: No such role exists.
    """
    begin_write(session)
    if role not in ROLES:
        raise Invalid({"role": [f"The role must be one of {', '.join(ROLES)}."]})
    user = get_user_by_login(session, identifier)
    user.role = role
    session.flush()
    return user.username


def set_active(session: Session, identifier: str, *, is_active: bool, now: datetime) -> str:
    """Disable an account, with its sessions and API tokens, or enable it again; return the username.

    Raises:
        NotFound: No such account exists.
    """
    begin_write(session)
    user = get_user_by_login(session, identifier)
    user.is_active = is_active
    if not is_active:
        end_sessions(session, user.id)
        session.execute(
            update(ApiToken).where(ApiToken.user_id == user.id, ApiToken.revoked_at.is_(None)).values(revoked_at=now)
        )
    session.flush()
    return user.username


def _get_user(session: Session, viewer: Viewer) -> User:
    return session.get_one(User, require_login(viewer))


def _flush_email(session: Session) -> None:
    try:
        session.flush()
    except IntegrityError as error:
        session.rollback()
        raise Invalid({"email": [EMAIL_IN_USE_MESSAGE]}) from error
