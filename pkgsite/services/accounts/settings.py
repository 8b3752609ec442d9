"""What people change about their accounts, and what the operator does for them."""

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
    Letter,
    confirm_letter,
    moved_letter,
    no_account_letter,
    password_changed_letter,
    reset_letter,
    taken_address_letter,
)
from pkgsite.services.accounts.registration import ELSEWHERE, check_email, release_unconfirmed, user_by_email
from pkgsite.services.accounts.signed_links import CONFIRM, RESET, account_link, read_account_link
from pkgsite.services.accounts.users import SESSION_LASTS, Account, SiteAddress, named_or_refused, own_account
from pkgsite.services.permissions import Viewer, require_known


@dataclass(frozen=True, slots=True)
class OwnIdentity:
    """An account elsewhere by which a person can log in."""

    id: int
    provider: str
    login: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class OwnSession:
    """A browser in which a person is logged in."""

    id: int
    address: str
    agent: str
    created_at: datetime
    last_seen_at: datetime
    is_this: bool


@dataclass(frozen=True, slots=True)
class SettingsPage:
    account: Account
    identities: list[OwnIdentity]
    sessions: list[OwnSession]

    @property
    def ways_in(self) -> int:
        return len(self.identities) + self.account.has_password


def settings_page(session: Session, viewer: Viewer, session_id: int, *, now: datetime) -> SettingsPage:
    """Return all that a person sees of their own account.

    Raises:
        Forbidden: nobody is logged in.
    """
    account = own_account(session, viewer)
    identities = session.scalars(select(Identity).where(Identity.user_id == viewer.user_id).order_by(Identity.id))
    sessions = session.scalars(
        select(LoginSession)
        .where(LoginSession.user_id == viewer.user_id, LoginSession.last_seen_at > now - SESSION_LASTS)
        .order_by(LoginSession.last_seen_at.desc(), LoginSession.id.desc())
    )
    return SettingsPage(
        account,
        [OwnIdentity(one.id, one.provider, one.login, one.created_at) for one in identities],
        [
            OwnSession(one.id, one.address, one.agent, one.created_at, one.last_seen_at, one.id == session_id)
            for one in sessions
        ],
    )


def email_change_letter(session: Session, site: SiteAddress, viewer: Viewer, new: str) -> Letter:
    """Return the letter to an address that a person wants to use; nothing changes until they open its link.

    Raises:
        Invalid: it is no address, or theirs already.
        Forbidden: nobody is logged in.
    """
    check_email(new)
    user = _own(session, viewer)
    if user.email and user.email.lower() == new.lower() and user.email_confirmed_at:
        raise Invalid({"email": ["This is already your email address."]})
    holder = user_by_email(session, new)
    if holder and holder.id != user.id and holder.email_confirmed_at and holder.email:
        return taken_address_letter(site.title, holder.email, holder.username)
    url = site.url("accounts.confirm", token=account_link(site.key, CONFIRM, user, new))
    return confirm_letter(site.title, new, user.username, url)


def confirm_email(
    session: Session, site: SiteAddress, viewer: Viewer, token: str, *, now: datetime
) -> tuple[str, Letter | None]:
    """Give a person the address that their link confirms; return it, and a letter to the one that it replaces.

    Raises:
        NotFound: the link is dead.
        Forbidden: it is another's.
        Invalid: the address has got another account in the meantime.
    """
    begin_write(session)
    found = read_account_link(session, site.key, CONFIRM, token)
    if found.user_id != viewer.user_id:
        raise Forbidden("This link belongs to another account.")
    holder = user_by_email(session, found.email)
    if holder and holder.id != found.user_id:
        if holder.email_confirmed_at:
            raise Invalid({"email": [ELSEWHERE]})
        release_unconfirmed(session, found.email)
    user = session.get_one(User, found.user_id)
    old = user.email if user.email_confirmed_at else None
    user.email, user.email_confirmed_at = found.email, now
    _flush(session)
    is_moved = old and old.lower() != found.email.lower()
    return found.email, moved_letter(site.title, old, user.username, found.email) if is_moved and old else None


def change_email_unconfirmed(session: Session, viewer: Viewer, new: str) -> None:
    """Set a person's address at a site that can't ask whether it is theirs; empty: none.

    Raises:
        Invalid: it is no address, or another account has it.
    """
    begin_write(session)
    user = _own(session, viewer)
    if new:
        check_email(new)
        holder = user_by_email(session, new)
        if holder and holder.id != user.id:
            raise Invalid({"email": [ELSEWHERE]})
    if (user.email or "") != new:
        user.email, user.email_confirmed_at = new or None, None
    _flush(session)


def reset_letter_for(session: Session, site: SiteAddress, email: str) -> Letter:
    """Return the letter that answers who has forgotten a password. There always is one, so that only its reader learns
    whether the address has an account.

    Raises:
        Invalid: it is no address.
    """
    check_email(email)
    user = user_by_email(session, email)
    if user is None or user.email is None or user.email_confirmed_at is None or not user.is_active:
        return no_account_letter(site.title, email, site.url("accounts.register"))
    return reset_letter(site.title, user.email, user.username, reset_url(site, user))


def reset_url(site: SiteAddress, user: User) -> str:
    """Return the address of the page where the password of an account can be chosen anew, once."""
    return site.url("accounts.choose_password", token=account_link(site.key, RESET, user, user.email or ""))


def reset_password(session: Session, key: str, token: str, password_hash: str) -> int:
    """Set the password that a link's reader chose, end every session of the account, and return its id.

    Raises:
        NotFound: the link is dead.
    """
    begin_write(session)
    found = read_account_link(session, key, RESET, token)
    session.get_one(User, found.user_id).password_hash = password_hash
    end_sessions(session, found.user_id)
    session.flush()
    return found.user_id


def change_password(
    session: Session, site: SiteAddress, viewer: Viewer, password_hash: str, session_id: int
) -> Letter | None:
    """Set a person's password, and end their sessions but this one; return the letter that tells them.

    Raises:
        Forbidden: nobody is logged in.
    """
    begin_write(session)
    user = _own(session, viewer)
    user.password_hash = password_hash
    end_sessions(session, user.id, but=session_id)
    session.flush()
    if not user.email or not user.email_confirmed_at:
        return None
    return password_changed_letter(site.title, user.email, user.username, reset_url(site, user))


def end_session(session: Session, viewer: Viewer, session_id: int) -> None:
    """Log a person out of one browser.

    Raises:
        NotFound: they have no such session.
    """
    user_id = require_known(viewer)
    begin_write(session)
    gone = session.execute(delete(LoginSession).where(LoginSession.id == session_id, LoginSession.user_id == user_id))
    if not gone.rowcount:  # type: ignore[attr-defined]
        raise NotFound("Session")


def end_other_sessions(session: Session, viewer: Viewer, session_id: int) -> None:
    """Log a person out of every browser but this one."""
    user_id = require_known(viewer)
    begin_write(session)
    end_sessions(session, user_id, but=session_id)


def end_sessions(session: Session, user_id: int, *, but: int = 0) -> None:
    session.execute(delete(LoginSession).where(LoginSession.user_id == user_id, LoginSession.id != but))


def delete_account(session: Session, viewer: Viewer) -> None:
    """Delete a person's account with all that is theirs alone; what they wrote for everybody stays, without a name.

    Raises:
        Forbidden: nobody is logged in.
    """
    user_id = require_known(viewer)
    begin_write(session)
    session.execute(delete(User).where(User.id == user_id))
    session.expire_all()


def set_role(session: Session, typed: str, role: str) -> str:
    """Give an account a role, and return its name.

    Raises:
        NotFound: there is no such account.
        Invalid: there is no such role.
    """
    begin_write(session)
    if role not in ROLES:
        raise Invalid({"role": [f"The role must be one of {', '.join(ROLES)}."]})
    user = named_or_refused(session, typed)
    user.role = role
    session.flush()
    return user.username


def set_active(session: Session, typed: str, *, is_active: bool, now: datetime) -> str:
    """Close an account, ending its sessions and its programs' tokens, or open it again; return its name.

    Raises:
        NotFound: there is no such account.
    """
    begin_write(session)
    user = named_or_refused(session, typed)
    user.is_active = is_active
    if not is_active:
        end_sessions(session, user.id)
        session.execute(
            update(ApiToken).where(ApiToken.user_id == user.id, ApiToken.revoked_at.is_(None)).values(revoked_at=now)
        )
    session.flush()
    return user.username


def _own(session: Session, viewer: Viewer) -> User:
    return session.get_one(User, require_known(viewer))


def _flush(session: Session) -> None:
    try:
        session.flush()
    except IntegrityError as clash:
        session.rollback()
        raise Invalid({"email": [ELSEWHERE]}) from clash
