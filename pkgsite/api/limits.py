"""How often the API may be asked."""

from __future__ import annotations

from typing import Any

from pkgsite.api.callers import caller
from pkgsite.extensions import limiter
from pkgsite.limits import is_counted

# By kind of call: what a caller with an account has, and what an address without one.
RATES = {
    "read": ("20000/hour", "5000/hour"),
    "write": ("2000/hour", "2000/hour"),
    "bulk": ("200/hour", "60/hour"),
}


def limited(kind: str, *, methods: list[str] | None = None) -> Any:
    """Return what counts the calls of one of `RATES`, for each caller apart; it takes a blueprint or a view.

    Args:
        kind: What has the same one is counted together.
        methods: Calls by these methods only; without it, all.
    """
    return limiter.shared_limit(
        lambda: RATES[kind][0 if caller().is_known else 1],
        scope=kind,
        key_func=lambda: caller().key,
        deduct_when=is_counted,
        methods=methods,
    )
