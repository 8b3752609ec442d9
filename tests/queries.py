"""Records the database queries of requests."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from flask import Flask
from sqlalchemy import event

from pkgsite.extensions import db


@contextmanager
def recorded_queries(app: Flask) -> Iterator[list[str]]:
    """Yield a list to which every statement sent to the application's database is added, except BEGIN."""
    statements: list[str] = []

    def record_statement(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        if not statement.startswith("BEGIN"):
            statements.append(statement)

    with app.app_context():
        engine = db.engine
    event.listen(engine, "before_cursor_execute", record_statement)
    try:
        yield statements
    finally:
        event.remove(engine, "before_cursor_execute", record_statement)
