"""Rate limits on searches and login attempts."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from flask import Flask
from sqlalchemy.orm import Session

from pkgsite.limits import RATES
from tests.users import CsrfClient, make_user

MakeApp = Callable[..., Flask]


@pytest.fixture
def low_rates(monkeypatch: pytest.MonkeyPatch) -> None:
    for kind in ("search", "login"):
        monkeypatch.setitem(RATES, kind, ("4/hour", "2/hour"))


@pytest.mark.usefixtures("low_rates")
def test_searches_are_rate_limited(make_app: MakeApp, session: Session) -> None:
    user = make_user(session)
    session.commit()
    app = make_app(LIMITS="on")
    anonymous, ada = CsrfClient(app), CsrfClient(app, user)
    assert [anonymous.get("/search/?q=x").status_code for _ in range(3)] == [200, 200, 429]
    limited = anonymous.get("/search/?q=x")
    assert 0 < int(limited.headers["Retry-After"]) <= 3600
    assert limited.headers["RateLimit-Remaining"] == "0"
    assert "Too many requests" in limited.text
    assert anonymous.get("/api/v4/search/?q=x").status_code == 429  # pages and the API share one limit
    assert anonymous.get("/packages/").status_code == 200
    assert [ada.get("/search/?q=x").status_code for _ in range(5)] == [200] * 4 + [429]


@pytest.mark.usefixtures("low_rates")
def test_login_attempts_are_rate_limited(make_app: MakeApp) -> None:
    anonymous = CsrfClient(make_app(LIMITS="on"))
    form = {"login": "nobody", "password": "a guess"}
    assert [anonymous.post("/account/login/", form).status_code for _ in range(3)] == [422, 422, 429]
    assert "Too many requests" in anonymous.post("/account/login/", form).text
    assert anonymous.get("/account/login/").status_code == 200


@pytest.mark.usefixtures("low_rates")
def test_rate_limits_can_be_turned_off(make_app: MakeApp) -> None:
    anonymous = CsrfClient(make_app(LIMITS="off"))
    assert {anonymous.get("/search/?q=x").status_code for _ in range(6)} == {200}
