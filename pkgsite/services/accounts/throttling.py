"""Throttling of logins, emails and registrations, counted in the database to be shared by all processes.

An attempt is recorded before it is made, and removed if it succeeds, so that concurrent requests can't exceed a limit.
"""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from pkgsite.errors import SiteError
from pkgsite.models import LoginAttempt, begin_write

RETENTION = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Throttle:
    """A limit on the attempts of one kind within a period."""

    kind: str
    max_attempts: int
    window: timedelta


LOGIN_OF_ACCOUNT = Throttle("account", 10, timedelta(minutes=15))
LOGIN_FROM_ADDRESS = Throttle("address", 50, timedelta(minutes=15))
EMAILS_TO_ADDRESS = Throttle("letters to", 5, timedelta(hours=1))
EMAILS_FROM_ADDRESS = Throttle("letters from", 20, timedelta(hours=1))
ACCOUNTS_FROM_ADDRESS = Throttle("accounts from", 20, timedelta(hours=1))
SUBMISSIONS_FROM_ADDRESS = Throttle("submissions from", 40, timedelta(hours=1))


class TooManyAttempts(SiteError):
    """A throttle's limit is reached.

    Attributes:
        retry_after_s: Seconds until the next attempt is allowed.
    """

    def __init__(self, retry_after_s: int) -> None:
        super().__init__(f"too many attempts; try again in {retry_after_s} s")
        self.retry_after_s = retry_after_s

    @property
    def retry_after_minutes(self) -> int:
        """The wait in minutes, rounded up."""
        return -(-self.retry_after_s // 60)


@dataclass(frozen=True, slots=True)
class ThrottleKey:
    """A throttle together with the account, email address or network whose attempts it counts."""

    limit: Throttle
    subject: str

    @property
    def key(self) -> str:
        """The stored key, hashed so that it does not reveal who attempted what."""
        return f"{self.limit.kind} {hashlib.sha256(self.subject.encode('utf-8', 'replace')).hexdigest()}"[:80]


def login_throttles(account: str, address: str) -> list[ThrottleKey]:
    """Return the throttles of a login attempt; `account` is the id of an account, or the text entered if unknown."""
    return [ThrottleKey(LOGIN_OF_ACCOUNT, account), ThrottleKey(LOGIN_FROM_ADDRESS, network_of(address))]


def email_throttles(to: str, address: str) -> list[ThrottleKey]:
    """Return the throttles of an email that a logged-out visitor requests."""
    return [ThrottleKey(EMAILS_TO_ADDRESS, to.lower()), ThrottleKey(EMAILS_FROM_ADDRESS, network_of(address))]


def network_of(address: str) -> str:
    """Return an IPv4 address as it is, and the /64 network of an IPv6 address, since a household has a whole one."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    return str(ipaddress.ip_network((parsed, 64), strict=False)) if parsed.version == 6 else str(parsed)


def record_attempt(session: Session, throttle_keys: Sequence[ThrottleKey], *, now: datetime) -> list[int]:
    """Record an attempt, and return the ids of its rows; the caller commits before it makes the attempt.

    Raises:
        TooManyAttempts: A limit is reached. The attempt is not counted, so that retrying does not prolong the wait.
    """
    begin_write(session)
    if session.get_bind().dialect.name == "postgresql":  # SQLite has only one writer at a time
        for key in sorted(throttle_key.key for throttle_key in throttle_keys):
            session.execute(select(func.pg_advisory_xact_lock(func.hashtext(key))))
    session.execute(delete(LoginAttempt).where(LoginAttempt.at < now - RETENTION))
    wait_s = max((_wait_s(session, throttle_key, now) for throttle_key in throttle_keys), default=0)
    if wait_s:
        raise TooManyAttempts(wait_s)
    rows = [LoginAttempt(key=throttle_key.key, at=now) for throttle_key in throttle_keys]
    session.add_all(rows)
    session.flush()
    return [row.id for row in rows]


def reset(session: Session, throttle_keys: Sequence[ThrottleKey], attempt_ids: Sequence[int]) -> None:
    """Remove the rows of a successful attempt, and all failed logins of its account."""
    accounts = [throttle_key.key for throttle_key in throttle_keys if throttle_key.limit is LOGIN_OF_ACCOUNT]
    session.execute(delete(LoginAttempt).where(LoginAttempt.id.in_(attempt_ids) | LoginAttempt.key.in_(accounts)))


def _wait_s(session: Session, throttle_key: ThrottleKey, now: datetime) -> int:
    """Return the seconds until the next attempt is allowed."""
    limit = throttle_key.limit
    times = session.scalars(
        select(LoginAttempt.at)
        .where(LoginAttempt.key == throttle_key.key, LoginAttempt.at > now - limit.window)
        .order_by(LoginAttempt.at.desc())
        .limit(limit.max_attempts)
    ).all()
    if len(times) < limit.max_attempts:
        return 0
    return max(1, int((times[-1] + limit.window - now).total_seconds()) + 1)
