"""Database errors of the jobs' operations."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy.exc import OperationalError


def database_error() -> OperationalError:
    return OperationalError("UPDATE", {}, Exception("database is locked"))


class FailingOperation:
    """An operation that raises a database error for its first calls, before or after it has done its work.

    Attributes:
        failures: How often it still fails.
    """

    def __init__(self, operation: Callable[..., Any], failures: int, *, does_work: bool = False) -> None:
        self._operation, self.failures, self._does_work = operation, failures, does_work

    def __call__(self, *args: Any, **options: Any) -> Any:
        if self.failures <= 0:
            return self._operation(*args, **options)
        self.failures -= 1
        if self._does_work:
            self._operation(*args, **options)
        raise database_error()
