"""How often a visitor may search and try to log in."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from flask import Flask
from sqlalchemy.orm import Session

from pkgsite.limits import RATES
from tests.users import CsrfClient, make_user

Make = Callable[..., Flask]


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    for kind in ("search", "log in"):
        monkeypatch.setitem(RATES, kind, ("4/hour", "2/hour"))


@pytest.mark.usefixtures("few")
def test_who_searches_too_often_is_asked_to_wait(make_app: Make, session: Session) -> None:
    user = make_user(session)
    session.commit()
    app = make_app(LIMITS="on")
    stranger, ada = CsrfClient(app), CsrfClient(app, user)
    assert [stranger.get("/search/?q=x").status_code for _ in range(3)] == [200, 200, 429]
    refused = stranger.get("/search/?q=x")
    assert 0 < int(refused.headers["Retry-After"]) <= 3600
    assert refused.headers["RateLimit-Remaining"] == "0"
    assert "Too many requests" in refused.text
    assert stranger.get("/api/v4/search/?q=x").status_code == 429  # pages and programs are counted together
    assert stranger.get("/packages/").status_code == 200
    assert [ada.get("/search/?q=x").status_code for _ in range(5)] == [200] * 4 + [429]


@pytest.mark.usefixtures("few")
def test_who_tries_to_log_in_too_often_is_asked_to_wait(make_app: Make) -> None:
    stranger = CsrfClient(make_app(LIMITS="on"))
    form = {"login": "nobody", "password": "a guess"}
    assert [stranger.post("/account/login/", form).status_code for _ in range(3)] == [422, 422, 429]
    assert "Too many requests" in stranger.post("/account/login/", form).text
    assert stranger.get("/account/login/").status_code == 200


@pytest.mark.usefixtures("few")
def test_a_site_may_count_nothing(make_app: Make) -> None:
    stranger = CsrfClient(make_app(LIMITS="off"))
    assert {stranger.get("/search/?q=x").status_code for _ in range(6)} == {200}
