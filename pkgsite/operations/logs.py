"""Logs: their format, request ids, and what is logged about requests and slow statements.

A request id connects what a user reports, the response header `X-Request-ID` and the lines of the log. An id that a
trusted proxy has set is kept.
"""

from __future__ import annotations

import logging
import re
import secrets
import sys
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import orjson
from flask import Flask, Response, current_app, g, has_request_context, request
from sqlalchemy import Engine

from pkgsite.extensions import db
from pkgsite.operations.statements import observe_statements

access_log = logging.getLogger("pkgsite.access")
slow_log = logging.getLogger("pkgsite.slow_queries")

HEADER = "X-Request-ID"
ACCEPTED_ID = re.compile(r"[A-Za-z0-9_.:=+/-]{1,100}")
MAX_STATEMENT_LENGTH = 1_000
SAFE_IN_QUERY = "%/:@!$&'()*+,;=~-._?[]{}|^`<>"
PRIVATE_PREFIX = "/account/"  # its query strings and tokens give access to accounts


class TextFormatter(logging.Formatter):
    """A line such as "2026-11-28T12:00:00.000Z WARNING pkgsite.outages: message [request id]"."""

    def formatMessage(self, record: logging.LogRecord) -> str:
        request_id = getattr(record, "request_id", None)
        suffix = f" [{request_id}]" if request_id else ""
        return f"{_time_of(record)} {record.levelname} {record.name}: {record.message}{suffix}"


class JsonFormatter(logging.Formatter):
    """A JSON object on one line."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": _time_of(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if request_id := getattr(record, "request_id", None):
            line["request_id"] = request_id
        line |= getattr(record, "fields", {})
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return orjson.dumps(line, default=str).decode()


def _time_of(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def add_request_id(record: logging.LogRecord) -> bool:
    """Add the request's id to a record of the log; a filter that accepts every record."""
    record.request_id = g.get("request_id") if has_request_context() else None
    return True


def configure(settings: Mapping[str, Any]) -> None:
    """Write the log of this process to standard error. Other libraries log only warnings and errors."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if settings["LOG_FORMAT"] == "json" else TextFormatter())
    handler.addFilter(add_request_id)
    level = logging.getLevelNamesMapping()[settings["LOG_LEVEL"].upper()]
    logging.basicConfig(handlers=[handler], level=max(level, logging.WARNING), force=True)
    logging.getLogger("pkgsite").setLevel(level)


def init_app(app: Flask) -> None:
    app.before_request(start_request)
    if app.config["ACCESS_LOG"]:
        app.after_request(log_access)
    app.after_request(add_header)
    if app.config["SLOW_QUERY_MS"]:
        with app.app_context():
            log_slow_statements(db.engine, app.config["SLOW_QUERY_MS"])


def start_request() -> None:
    g.request_started = time.perf_counter()
    given = request.headers.get(HEADER, "") if current_app.config["PROXY_HOPS"] else ""
    g.request_id = given if ACCEPTED_ID.fullmatch(given) else secrets.token_hex(8)


def add_header(response: Response) -> Response:
    if "request_id" in g:
        response.headers[HEADER] = g.request_id
    return response


def log_access(response: Response) -> Response:
    duration_ms = round(1000 * (time.perf_counter() - g.get("request_started", time.perf_counter())), 1)
    fields = {
        "client": request.remote_addr,
        "method": request.method,
        "path": _logged_path(),
        "status": response.status_code,
        "size_bytes": None if response.is_streamed else response.content_length,
        "duration_ms": duration_ms,
        "user_agent": request.user_agent.string,
    }
    size = "-" if fields["size_bytes"] is None else fields["size_bytes"]
    agent = quote(request.user_agent.string, safe=" /;:()[],.+=@")
    access_log.info(
        '%s "%s %s" %s %s %s ms "%s"',
        fields["client"], fields["method"], fields["path"], fields["status"], size, duration_ms, agent,
        extra={"fields": fields},
    )  # fmt: skip
    return response


def _logged_path() -> str:
    """Return the path and query of the request, without secrets."""
    path = quote(request.path, safe="/:@!$&'()*+,;=~-._")
    if request.path.startswith(PRIVATE_PREFIX):
        for value in (request.view_args or {}).values():
            path = path.replace(quote(str(value), safe=""), "…")
        return path
    query = request.query_string.decode("latin-1")
    return f"{path}?{quote(query, safe=SAFE_IN_QUERY)}" if query else path


def log_slow_statements(engine: Engine, threshold_ms: int) -> None:
    """Log the text of statements that take longer, without their values."""

    def observe(statement: str, seconds: float) -> None:
        if 1000 * seconds >= threshold_ms:
            text = " ".join(statement.split())[:MAX_STATEMENT_LENGTH]
            fields = {"duration_ms": round(1000 * seconds, 1), "statement": text}
            slow_log.warning("%.0f ms: %s", 1000 * seconds, text, extra={"fields": fields})

    observe_statements(engine, observe)
