"""How often one may try: counted in the database, so that all processes count together.

A try is written down before it is made, and taken back if it succeeds: however many come at once, no more get through.
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
    """At most so many tries of a kind within a time."""

    kind: str
    max_attempts: int
    window: timedelta


LOGIN_OF_ACCOUNT = Throttle("account", 10, timedelta(minutes=15))
LOGIN_FROM_ADDRESS = Throttle("address", 50, timedelta(minutes=15))
EMAILS_TO_ADDRESS = Throttle("letters to", 5, timedelta(hours=1))
EMAILS_FROM_ADDRESS = Throttle("letters from", 20, timedelta(hours=1))
ACCOUNTS_FROM_ADDRESS = Throttle("accounts from", 20, timedelta(hours=1))


class TooManyAttempts(SiteError):
    """It was tried too often.

    Attributes:
        retry_after_s: Seconds until it may be tried again.
    """

    def __init__(self, retry_after_s: int) -> None:
        super().__init__(f"too many attempts; try again in {retry_after_s} s")
        self.retry_after_s = retry_after_s


@dataclass(frozen=True, slots=True)
class ThrottleKey:
    """What is counted: a limit, and whose tries."""

    limit: Throttle
    subject: str

    @property
    def key(self) -> str:
        """As it is kept: nobody can read from it who tried what."""
        return f"{self.limit.kind} {hashlib.sha256(self.subject.encode('utf-8', 'replace')).hexdigest()}"[:80]


def login_throttles(account: str, address: str) -> list[ThrottleKey]:
    """Return what a try to log in counts against; `account` is a known one's id, or a name as it was typed."""
    return [ThrottleKey(LOGIN_OF_ACCOUNT, account), ThrottleKey(LOGIN_FROM_ADDRESS, network_of(address))]


def email_throttles(to: str, address: str) -> list[ThrottleKey]:
    """Return what a letter that a stranger asks for counts against."""
    return [ThrottleKey(EMAILS_TO_ADDRESS, to.lower()), ThrottleKey(EMAILS_FROM_ADDRESS, network_of(address))]


def network_of(address: str) -> str:
    """Return an address; of IPv6 the network, since each household has a great many of them."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    return str(ipaddress.ip_network((found, 64), strict=False)) if found.version == 6 else str(found)


def record_attempt(session: Session, throttle_keys: Sequence[ThrottleKey], *, now: datetime) -> list[int]:
    """Count a try, in a transaction of its own that the caller commits before the try; return the rows' ids.

    Raises:
        TooManyTries: one of the limits is reached. This try is not counted, so that trying on does not prolong it.
    """
    begin_write(session)
    if session.get_bind().dialect.name == "postgresql":  # elsewhere there is one writer at a time
        for key in sorted(one.key for one in throttle_keys):
            session.execute(select(func.pg_advisory_xact_lock(func.hashtext(key))))
    session.execute(delete(LoginAttempt).where(LoginAttempt.at < now - RETENTION))
    wait_times_s = [wait for one in throttle_keys if (wait := _wait_s(session, one, now))]
    if wait_times_s:
        raise TooManyAttempts(max(wait_times_s))
    rows = [LoginAttempt(key=one.key, at=now) for one in throttle_keys]
    session.add_all(rows)
    session.flush()
    return [row.id for row in rows]


def reset(session: Session, throttle_keys: Sequence[ThrottleKey], attempt_ids: Sequence[int]) -> None:
    """Note that a try succeeded: it does not count, and what counted against its account is forgotten."""
    accounts = [one.key for one in throttle_keys if one.limit is LOGIN_OF_ACCOUNT]
    session.execute(delete(LoginAttempt).where(LoginAttempt.id.in_(attempt_ids) | LoginAttempt.key.in_(accounts)))


def _wait_s(session: Session, throttle_keys: ThrottleKey, now: datetime) -> int:
    """Return for how many seconds no more may be tried; 0: now."""
    limit = throttle_keys.limit
    times = session.scalars(
        select(LoginAttempt.at)
        .where(LoginAttempt.key == throttle_keys.key, LoginAttempt.at > now - limit.window)
        .order_by(LoginAttempt.at.desc())
        .limit(limit.max_attempts)
    ).all()
    if len(times) < limit.max_attempts:
        return 0
    return max(1, int((times[-1] + limit.window - now).total_seconds()) + 1)
