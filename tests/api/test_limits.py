"""Rate limits, counted together for all workers of a machine."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy.orm import Session

from pkgsite.limits import RATES, SqliteStorage
from tests.factories import make_package

AppFactory = Callable[..., Flask]


@pytest.fixture
def _low_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Allow three requests an hour without an account."""
    monkeypatch.setitem(RATES, "read", ("5/hour", "3/hour"))


@pytest.mark.usefixtures("_low_limit")
def test_requests_over_the_limit_are_rejected_with_retry_after(make_app: AppFactory, session: Session) -> None:
    make_package(session, id=1)
    session.commit()
    client = make_app(LIMITS="on").test_client()
    for remaining in (2, 1, 0):
        response = client.get("/api/v4/packages/1/")
        assert response.status_code == 200
        assert (response.headers["RateLimit-Limit"], response.headers["RateLimit-Remaining"]) == ("3", str(remaining))
        assert int(response.headers["RateLimit-Reset"]) > 0
    rejected = client.get("/api/v4/packages/1/")
    assert (rejected.status_code, list(rejected.get_json())) == (429, ["detail"])
    assert 0 < int(rejected.headers["Retry-After"]) <= 3600
    other_client = client.get("/api/v4/packages/1/", environ_base={"REMOTE_ADDR": "192.0.2.7"})
    assert other_client.status_code == 200


@pytest.mark.usefixtures("_low_limit")
def test_304_responses_are_not_counted(make_app: AppFactory, session: Session) -> None:
    make_package(session, id=1)
    session.commit()
    client = make_app(LIMITS="on").test_client()
    etag = client.get("/api/v4/packages/1/").headers["ETag"]
    for _ in range(10):
        response = client.get("/api/v4/packages/1/", headers={"If-None-Match": etag})
        assert response.status_code == 304
        assert not [name for name, _ in response.headers if name.startswith("RateLimit")]
    assert client.get("/api/v4/packages/1/").headers["RateLimit-Remaining"] == "1"


def count_requests(path: str, times: int) -> None:
    storage = SqliteStorage(f"shared://{path}")
    for _ in range(times):
        storage.incr("user 1", 3600)


@pytest.mark.long
def test_workers_share_their_counters(tmp_path: Path) -> None:
    path = str(tmp_path / "limits.db")
    spawn = multiprocessing.get_context("spawn")
    workers = [spawn.Process(target=count_requests, args=(path, 200)) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
        assert worker.exitcode == 0
    storage = SqliteStorage(f"shared://{path}")
    assert storage.get("user 1") == 400
    storage.clear("user 1")
    assert storage.get("user 1") == 0


def test_a_counter_restarts_when_its_time_has_passed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    storage, now = SqliteStorage(f"shared://{tmp_path}/limits.db"), 1_000_000.0
    monkeypatch.setattr("pkgsite.limits.time.time", lambda: now)
    assert [storage.incr("user 1", 60) for _ in range(3)] == [1, 2, 3]
    assert storage.get_expiry("user 1") == now + 60
    now += 61
    assert storage.get("user 1") == 0
    assert storage.incr("user 1", 60) == 1


def test_with_limits_off_nothing_is_counted(make_app: AppFactory) -> None:
    response = make_app(LIMITS="off").test_client().get("/api/v4/")
    assert "RateLimit-Limit" not in response.headers
