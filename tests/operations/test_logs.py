"""Logs: formats, request ids, accesses and slow statements."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import create_engine, text

from pkgsite.operations import error_reports, logs

STATEMENT = "SELECT 'a secret'\n  WHERE 1 = :value"


@pytest.fixture
def restored_logging() -> Iterator[None]:
    """Restore the configuration of the loggers."""
    root, ours = logging.getLogger(), logging.getLogger("pkgsite")
    handlers, levels = root.handlers[:], (root.level, ours.level)
    yield
    root.handlers[:] = handlers
    root.setLevel(levels[0])
    ours.setLevel(levels[1])


def test_every_response_has_a_request_id(make_app: Callable[..., Flask]) -> None:
    client = make_app().test_client()
    ids = [client.get(path).headers["X-Request-ID"] for path in ("/", "/no-such-page/", "/api/v4/", "/robots.txt")]
    assert len(set(ids)) == 4
    assert {len(id_) for id_ in ids} == {16}
    given = client.get("/about/", headers={"X-Request-ID": "abc-1"}).headers["X-Request-ID"]
    assert given != "abc-1", "only a trusted proxy can choose the id"


@pytest.mark.parametrize(("given", "is_kept"), [("abc-1", True), ("", False), ("x" * 101, False), ("a b", False)])
def test_the_request_id_of_a_trusted_proxy_is_kept(make_app: Callable[..., Flask], given: str, is_kept: bool) -> None:
    client = make_app(shared=False, PROXY_HOPS="1").test_client()
    response = client.get("/about/", headers={"X-Request-ID": given})
    assert (response.headers["X-Request-ID"] == given) == is_kept


def test_an_unexpected_error_is_logged_and_shown_with_its_request_id(
    make_app: Callable[..., Flask], capsys: pytest.CaptureFixture[str], restored_logging: None
) -> None:
    app = make_app(shared=False)
    logs.configure({"LOG_FORMAT": "json", "LOG_LEVEL": "info"})

    @app.get("/broken/")
    def broken() -> str:
        raise RuntimeError("unexpected")

    app.testing = False
    app.config["PROPAGATE_EXCEPTIONS"] = False
    response = app.test_client().get("/broken/")
    id_ = response.headers["X-Request-ID"]
    assert response.status_code == 500
    assert f"<code>{id_}</code>" in response.text
    line = json.loads(capsys.readouterr().err.splitlines()[-1])
    assert (line["request_id"], line["level"], line["message"]) == (id_, "error", "Exception on /broken/ [GET]")
    assert line["exception"].endswith("RuntimeError: unexpected")


def log_record(message: str, **extra: Any) -> logging.LogRecord:
    record = logging.getLogger("pkgsite.test").makeRecord(
        "pkgsite.test", logging.WARNING, "", 0, message, (), None, extra=extra
    )
    record.created = 1_700_000_000.5
    return record


def test_the_text_format_has_one_line_per_message() -> None:
    line = logs.TextFormatter().format(log_record("paused", request_id="abc"))
    assert line == "2023-11-14T22:13:20.500Z WARNING pkgsite.test: paused [abc]"
    assert logs.TextFormatter().format(log_record("paused", request_id=None)).endswith("pkgsite.test: paused")


def test_the_json_format_has_the_fields_of_a_message() -> None:
    line = json.loads(logs.JsonFormatter().format(log_record("paused", request_id="abc", fields={"status": 200})))
    assert line == {
        "time": "2023-11-14T22:13:20.500Z",
        "level": "warning",
        "logger": "pkgsite.test",
        "message": "paused",
        "request_id": "abc",
        "status": 200,
    }


def test_the_level_applies_to_the_site_and_not_to_libraries(
    capsys: pytest.CaptureFixture[str], restored_logging: None
) -> None:
    logs.configure({"LOG_FORMAT": "text", "LOG_LEVEL": "info"})
    for name in ("pkgsite.test", "alembic.runtime"):
        logging.getLogger(name).info("starting")
        logging.getLogger(name).warning("paused")
    written = [line.split(maxsplit=1)[1] for line in capsys.readouterr().err.splitlines()]
    assert written == [
        "INFO pkgsite.test: starting",
        "WARNING pkgsite.test: paused",
        "WARNING alembic.runtime: paused",
    ]


def test_the_access_log_has_each_request_without_secrets(
    make_app: Callable[..., Flask], caplog: pytest.LogCaptureFixture
) -> None:
    client = make_app(shared=False, ACCESS_LOG="on").test_client()
    caplog.set_level(logging.INFO, "pkgsite.access")
    client.get("/search/?q=%22a%0Ab&n=1", headers={"User-Agent": 'x"y'})
    client.get("/account/register/secret.token/?next=/secret/")
    client.get("/no%0Asuch/")
    records = [record for record in caplog.records if record.name == "pkgsite.access"]
    fields: list[dict[str, Any]] = [vars(record)["fields"] for record in records]
    assert [(each["path"], each["status"]) for each in fields] == [
        ("/search/?q=%22a%0Ab&n=1", 200),
        ("/account/register/…/", fields[1]["status"]),
        ("/no%0Asuch/", 404),
    ]
    assert fields[0].keys() == {
        "client", "method", "path", "status", "size_bytes", "duration_ms", "user_agent"
    }  # fmt: skip
    message = records[0].getMessage()
    assert message.startswith('127.0.0.1 "GET /search/?q=%22a%0Ab&n=1" 200 ')
    assert message.endswith(' ms "x%22y"')


@pytest.mark.parametrize(("threshold_ms", "is_logged"), [(0, True), (60_000, False)])
def test_slow_statements_are_logged_without_values(
    caplog: pytest.LogCaptureFixture, threshold_ms: int, is_logged: bool
) -> None:
    engine = create_engine("sqlite://")
    logs.log_slow_statements(engine, threshold_ms)
    with engine.connect() as connection:
        connection.execute(text(STATEMENT), {"value": 4711})
    engine.dispose()
    messages = [record.getMessage() for record in caplog.records]
    assert [message.partition(" ms: ")[2] for message in messages] == ["SELECT 'a secret' WHERE 1 = ?"] * is_logged


def test_errors_are_reported_to_sentry_only_if_it_is_configured(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[dict[str, Any]] = []
    monkeypatch.setitem(sys.modules, "sentry_sdk", SimpleNamespace(init=lambda **options: calls.append(options)))
    error_reports.configure({"SENTRY_DSN": ""}, "0.6.0")
    assert calls == []
    error_reports.configure({"SENTRY_DSN": "https://key@sentry.example/1"}, "0.6.0")
    assert [(call["dsn"], call["release"], call["send_default_pii"]) for call in calls] == [
        ("https://key@sentry.example/1", "pkgsite@0.6.0", False)
    ]
