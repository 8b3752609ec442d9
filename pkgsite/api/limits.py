"""How often the API may be asked."""

from __future__ import annotations

from typing import Any

from pkgsite import limits
from pkgsite.api.authentication import current_principal


def rate_limited(kind: str, *, methods: list[str] | None = None) -> Any:
    """Return what counts the calls of a kind: see `pkgsite.limits.rate_limited`."""
    return limits.rate_limited(
        kind, lambda: (current_principal().rate_limit_key, current_principal().is_authenticated), methods=methods
    )
