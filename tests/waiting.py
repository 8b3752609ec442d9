"""Waiting for what other threads and processes do."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

INTERVAL_S = 0.02


def wait_until(condition: Callable[[], Any], timeout_s: float = 30) -> bool:
    """Wait until the condition holds or the time is up, and return whether it holds."""
    ends_at = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > ends_at:
            return False
        time.sleep(INTERVAL_S)
    return True
