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
from pkgsite.services.accounts.throttling import KEPT, TooManyTries, forgive, login_tries, network_of, take_try
from tests.factories import NOW


def test_no_more_get_through_however_many_come_at_once(app: Flask) -> None:
    outcomes: list[str] = []
    start = threading.Barrier(24)

    def one(number: int) -> None:
        with app.app_context():
            start.wait()
            try:
                take_try(db.session(), login_tries("id 1", f"192.0.2.{number}"), now=NOW)
                db.session.commit()
                outcomes.append("through")
            except TooManyTries:
                db.session.rollback()
                outcomes.append("stopped")

    threads = [threading.Thread(target=one, args=(number,)) for number in range(24)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["stopped"] * 14 + ["through"] * 10


def test_tries_are_forgotten_in_time(session: Session) -> None:
    tries = login_tries("id 1", "192.0.2.1")
    for minute in range(10):
        take_try(session, tries, now=NOW + timedelta(minutes=minute))
        session.commit()
    for seconds, is_stopped in ((599, True), (899, True), (901, False)):
        now = NOW + timedelta(seconds=seconds)
        if is_stopped:
            with pytest.raises(TooManyTries) as refusal:
                take_try(session, tries, now=now)
            assert 901 - seconds <= refusal.value.retry_after_s <= 902 - seconds
        else:
            assert len(take_try(session, tries, now=now)) == 2
        session.rollback()
    take_try(session, tries, now=NOW + KEPT + timedelta(hours=1))
    assert len(session.scalars(select(LoginAttempt.id)).all()) == 2, "and thrown away"


def test_a_success_leaves_what_others_did_from_the_address(session: Session) -> None:
    take_try(session, login_tries("id 1", "192.0.2.1"), now=NOW)
    session.commit()
    mine = login_tries("id 2", "192.0.2.1")
    taken = take_try(session, mine, now=NOW)
    forgive(session, mine, taken)
    session.commit()
    left = set(session.scalars(select(LoginAttempt.key)))
    assert left == {one.key for one in login_tries("id 1", "192.0.2.1")}


def test_a_household_is_one_address() -> None:
    assert network_of("2001:db8:1:2:3:4:5:6") == network_of("2001:db8:1:2::1")
    assert network_of("192.0.2.1") != network_of("192.0.2.2")
    assert network_of("fe80::1%eth0") == "fe80::/64"
    assert network_of("") == ""
