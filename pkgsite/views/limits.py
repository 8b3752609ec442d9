"""How often a visitor may ask for what costs the site more than a page does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from flask import request

from pkgsite import limits
from pkgsite.views.viewer import current_viewer

View = TypeVar("View", bound=Callable[..., Any])


def rate_limited(kind: str, *, methods: list[str] | None = None) -> Callable[[View], View]:
    """Return what counts the requests of a kind: see `pkgsite.limits.rate_limited`."""
    counted: Callable[[View], View] = limits.rate_limited(kind, _identify, methods=methods)
    return counted


def _identify() -> tuple[str, bool]:
    found = current_viewer()
    return (f"user {found.user_id}", True) if found.is_authenticated else (f"address {request.remote_addr}", False)
