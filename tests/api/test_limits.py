"""How often one caller may ask: counted together for all workers of a machine."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy.orm import Session

from pkgsite.limits import RATES, SqliteStorage
from tests.factories import make_package

Make = Callable[..., Flask]


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let an unknown caller ask three times an hour."""
    monkeypatch.setitem(RATES, "read", ("5/hour", "3/hour"))


@pytest.mark.usefixtures("few")
def test_who_asks_too_often_is_told_when_to_come_back(make_app: Make, session: Session) -> None:
    make_package(session, id=1)
    session.commit()
    client = make_app(LIMITS="on").test_client()
    for left in (2, 1, 0):
        answer = client.get("/api/v4/packages/1/")
        assert answer.status_code == 200
        assert (answer.headers["RateLimit-Limit"], answer.headers["RateLimit-Remaining"]) == ("3", str(left))
        assert int(answer.headers["RateLimit-Reset"]) > 0
    refused = client.get("/api/v4/packages/1/")
    assert (refused.status_code, list(refused.json)) == (429, ["detail"])
    assert 0 < int(refused.headers["Retry-After"]) <= 3600
    elsewhere = client.get("/api/v4/packages/1/", environ_base={"REMOTE_ADDR": "192.0.2.7"})
    assert elsewhere.status_code == 200


@pytest.mark.usefixtures("few")
def test_what_the_caller_has_already_is_not_counted(make_app: Make, session: Session) -> None:
    make_package(session, id=1)
    session.commit()
    client = make_app(LIMITS="on").test_client()
    tag = client.get("/api/v4/packages/1/").headers["ETag"]
    for _ in range(10):
        answer = client.get("/api/v4/packages/1/", headers={"If-None-Match": tag})
        assert answer.status_code == 304
        assert not [name for name, _ in answer.headers if name.startswith("RateLimit")]
    assert client.get("/api/v4/packages/1/").headers["RateLimit-Remaining"] == "1"


def count(path: str, times: int) -> None:
    storage = SqliteStorage(f"shared://{path}")
    for _ in range(times):
        storage.incr("somebody", 3600)


@pytest.mark.long
def test_workers_count_together(tmp_path: Path) -> None:
    path = str(tmp_path / "limits.db")
    spawn = multiprocessing.get_context("spawn")
    workers = [spawn.Process(target=count, args=(path, 200)) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
        assert worker.exitcode == 0
    storage = SqliteStorage(f"shared://{path}")
    assert storage.get("somebody") == 400
    storage.clear("somebody")
    assert storage.get("somebody") == 0


def test_a_count_ends_with_its_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    storage, now = SqliteStorage(f"shared://{tmp_path}/limits.db"), 1_000_000.0
    monkeypatch.setattr("pkgsite.limits.time.time", lambda: now)
    assert [storage.incr("somebody", 60) for _ in range(3)] == [1, 2, 3]
    assert storage.get_expiry("somebody") == now + 60
    now += 61
    assert storage.get("somebody") == 0
    assert storage.incr("somebody", 60) == 1


def test_without_limits_nothing_is_counted(make_app: Make) -> None:
    answer = make_app(LIMITS="off").test_client().get("/api/v4/")
    assert "RateLimit-Limit" not in answer.headers
