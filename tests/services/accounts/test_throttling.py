"""Throttling of attempts, concurrent ones included."""

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


def test_concurrent_attempts_cannot_exceed_the_limit(app: Flask) -> None:
    outcomes: list[str] = []
    start = threading.Barrier(24)

    def attempt(number: int) -> None:
        with app.app_context():
            start.wait()
            try:
                record_attempt(db.session(), login_throttles("id 1", f"192.0.2.{number}"), now=NOW)
                db.session.commit()
                outcomes.append("allowed")
            except TooManyAttempts:
                db.session.rollback()
                outcomes.append("throttled")

    threads = [threading.Thread(target=attempt, args=(number,)) for number in range(24)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["allowed"] * 10 + ["throttled"] * 14


def test_attempts_expire(session: Session) -> None:
    throttles = login_throttles("id 1", "192.0.2.1")
    for minute in range(10):
        record_attempt(session, throttles, now=NOW + timedelta(minutes=minute))
        session.commit()
    for seconds, is_throttled in ((599, True), (899, True), (901, False)):
        now = NOW + timedelta(seconds=seconds)
        if is_throttled:
            with pytest.raises(TooManyAttempts) as error:
                record_attempt(session, throttles, now=now)
            assert 901 - seconds <= error.value.retry_after_s <= 902 - seconds
        else:
            assert len(record_attempt(session, throttles, now=now)) == 2
        session.rollback()
    record_attempt(session, throttles, now=NOW + RETENTION + timedelta(hours=1))
    assert len(session.scalars(select(LoginAttempt.id)).all()) == 2, "expired attempts are deleted"


def test_a_success_does_not_reset_other_accounts_from_the_same_address(session: Session) -> None:
    record_attempt(session, login_throttles("id 1", "192.0.2.1"), now=NOW)
    session.commit()
    throttles = login_throttles("id 2", "192.0.2.1")
    attempt_ids = record_attempt(session, throttles, now=NOW)
    reset(session, throttles, attempt_ids)
    session.commit()
    remaining = set(session.scalars(select(LoginAttempt.key)))
    assert remaining == {throttle_key.key for throttle_key in login_throttles("id 1", "192.0.2.1")}


def test_an_ipv6_network_counts_as_one_address() -> None:
    assert network_of("2001:db8:1:2:3:4:5:6") == network_of("2001:db8:1:2::1")
    assert network_of("192.0.2.1") != network_of("192.0.2.2")
    assert network_of("fe80::1%eth0") == "fe80::/64"
    assert network_of("") == ""
