"""How often the API may be asked."""

from __future__ import annotations

from typing import Any

from pkgsite import limits
from pkgsite.api.authentication import caller


def limited(kind: str, *, methods: list[str] | None = None) -> Any:
    """Return what counts the calls of a kind: see `pkgsite.limits.limited`."""
    return limits.limited(kind, lambda: (caller().key, caller().is_known), methods=methods)
