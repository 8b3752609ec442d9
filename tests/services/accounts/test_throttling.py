"""How often one may try, when many try at once."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import select
from sqlalchemy.orm import Session

from pkgsite.extensions import db
from pkgsite.models import LoginAttempt
from pkgsite.services.accounts.throttling import (
    RETENTION,
    TooManyAttempts,
    login_throttles,
    network_of,
    record_attempt,
    reset,
)
from tests.factories import NOW


def test_no_more_get_through_however_many_come_at_once(app: Flask) -> None:
    outcomes: list[str] = []
    start = threading.Barrier(24)

    def throttle_key(number: int) -> None:
        with app.app_context():
            start.wait()
            try:
                record_attempt(db.session(), login_throttles("id 1", f"192.0.2.{number}"), now=NOW)
                db.session.commit()
                outcomes.append("through")
            except TooManyAttempts:
                db.session.rollback()
                outcomes.append("stopped")

    threads = [threading.Thread(target=throttle_key, args=(number,)) for number in range(24)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["stopped"] * 14 + ["through"] * 10


def test_tries_are_forgotten_in_time(session: Session) -> None:
    tries = login_throttles("id 1", "192.0.2.1")
    for minute in range(10):
        record_attempt(session, tries, now=NOW + timedelta(minutes=minute))
        session.commit()
    for seconds, is_stopped in ((599, True), (899, True), (901, False)):
        now = NOW + timedelta(seconds=seconds)
        if is_stopped:
            with pytest.raises(TooManyAttempts) as error:
                record_attempt(session, tries, now=now)
            assert 901 - seconds <= error.value.retry_after_s <= 902 - seconds
        else:
            assert len(record_attempt(session, tries, now=now)) == 2
        session.rollback()
    record_attempt(session, tries, now=NOW + RETENTION + timedelta(hours=1))
    assert len(session.scalars(select(LoginAttempt.id)).all()) == 2, "and thrown away"


def test_a_success_leaves_what_others_did_from_the_address(session: Session) -> None:
    record_attempt(session, login_throttles("id 1", "192.0.2.1"), now=NOW)
    session.commit()
    mine = login_throttles("id 2", "192.0.2.1")
    taken = record_attempt(session, mine, now=NOW)
    reset(session, mine, taken)
    session.commit()
    left = set(session.scalars(select(LoginAttempt.key)))
    assert left == {one.key for one in login_throttles("id 1", "192.0.2.1")}


def test_a_household_is_one_address() -> None:
    assert network_of("2001:db8:1:2:3:4:5:6") == network_of("2001:db8:1:2::1")
    assert network_of("192.0.2.1") != network_of("192.0.2.2")
    assert network_of("fe80::1%eth0") == "fe80::/64"
    assert network_of("") == ""
