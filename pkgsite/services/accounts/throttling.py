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

KEPT = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Limit:
    """At most so many tries of a kind within a time."""

    kind: str
    most: int
    within: timedelta


LOGIN_OF_ACCOUNT = Limit("account", 10, timedelta(minutes=15))
LOGIN_FROM_ADDRESS = Limit("address", 50, timedelta(minutes=15))
LETTERS_TO_ADDRESS = Limit("letters to", 5, timedelta(hours=1))
LETTERS_FROM_ADDRESS = Limit("letters from", 20, timedelta(hours=1))
ACCOUNTS_FROM_ADDRESS = Limit("accounts from", 20, timedelta(hours=1))


class TooManyTries(SiteError):
    """It was tried too often.

    Attributes:
        retry_after_s: Seconds until it may be tried again.
    """

    def __init__(self, retry_after_s: int) -> None:
        super().__init__(f"too many attempts; try again in {retry_after_s} s")
        self.retry_after_s = retry_after_s


@dataclass(frozen=True, slots=True)
class Counted:
    """What is counted: a limit, and whose tries."""

    limit: Limit
    whose: str

    @property
    def key(self) -> str:
        """As it is kept: nobody can read from it who tried what."""
        return f"{self.limit.kind} {hashlib.sha256(self.whose.encode('utf-8', 'replace')).hexdigest()}"[:80]


def login_tries(account: str, address: str) -> list[Counted]:
    """Return what a try to log in counts against; `account` is a known one's id, or a name as it was typed."""
    return [Counted(LOGIN_OF_ACCOUNT, account), Counted(LOGIN_FROM_ADDRESS, network_of(address))]


def letter_tries(to: str, address: str) -> list[Counted]:
    """Return what a letter that a stranger asks for counts against."""
    return [Counted(LETTERS_TO_ADDRESS, to.lower()), Counted(LETTERS_FROM_ADDRESS, network_of(address))]


def network_of(address: str) -> str:
    """Return an address; of IPv6 the network, since each household has a great many of them."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    return str(ipaddress.ip_network((found, 64), strict=False)) if found.version == 6 else str(found)


def take_try(session: Session, counted: Sequence[Counted], *, now: datetime) -> list[int]:
    """Count a try, in a transaction of its own that the caller commits before the try; return the rows' ids.

    Raises:
        TooManyTries: one of the limits is reached. This try is not counted, so that trying on does not prolong it.
    """
    begin_write(session)
    if session.get_bind().dialect.name == "postgresql":  # elsewhere there is one writer at a time
        for key in sorted(one.key for one in counted):
            session.execute(select(func.pg_advisory_xact_lock(func.hashtext(key))))
    session.execute(delete(LoginAttempt).where(LoginAttempt.at < now - KEPT))
    waits = [wait for one in counted if (wait := _wait_s(session, one, now))]
    if waits:
        raise TooManyTries(max(waits))
    rows = [LoginAttempt(key=one.key, at=now) for one in counted]
    session.add_all(rows)
    session.flush()
    return [row.id for row in rows]


def forgive(session: Session, counted: Sequence[Counted], taken: Sequence[int]) -> None:
    """Note that a try succeeded: it does not count, and what counted against its account is forgotten."""
    accounts = [one.key for one in counted if one.limit is LOGIN_OF_ACCOUNT]
    session.execute(delete(LoginAttempt).where(LoginAttempt.id.in_(taken) | LoginAttempt.key.in_(accounts)))


def _wait_s(session: Session, counted: Counted, now: datetime) -> int:
    """Return for how many seconds no more may be tried; 0: now."""
    limit = counted.limit
    times = session.scalars(
        select(LoginAttempt.at)
        .where(LoginAttempt.key == counted.key, LoginAttempt.at > now - limit.within)
        .order_by(LoginAttempt.at.desc())
        .limit(limit.most)
    ).all()
    if len(times) < limit.most:
        return 0
    return max(1, int((times[-1] + limit.within - now).total_seconds()) + 1)
