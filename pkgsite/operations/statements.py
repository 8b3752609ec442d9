"""Measures how long database statements take."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from sqlalchemy import Engine, event


def observe_statements(engine: Engine, observe: Callable[[str, float], None]) -> None:
    """Call `observe` after each statement with its text and the seconds that it took."""
    started = object()  # the key of the start in the info of a connection; each observer has its own

    @event.listens_for(engine, "before_cursor_execute")
    def start(connection: Any, *_: Any) -> None:
        connection.info[started] = time.perf_counter()

    @event.listens_for(engine, "after_cursor_execute")
    def finish(connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        observe(statement, time.perf_counter() - connection.info.pop(started, time.perf_counter()))
