"""How often a visitor may ask for what costs the site more than a page does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from flask import request

from pkgsite import limits
from pkgsite.views.viewer import viewer

View = TypeVar("View", bound=Callable[..., Any])


def limited(kind: str, *, methods: list[str] | None = None) -> Callable[[View], View]:
    """Return what counts the requests of a kind: see `pkgsite.limits.limited`."""
    counted: Callable[[View], View] = limits.limited(kind, _whose, methods=methods)
    return counted


def _whose() -> tuple[str, bool]:
    found = viewer()
    return (f"user {found.user_id}", True) if found.is_known else (f"address {request.remote_addr}", False)
