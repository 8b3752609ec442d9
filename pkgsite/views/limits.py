"""Rate limits for views that cost more than an ordinary page."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from flask import request

from pkgsite import limits
from pkgsite.views.viewer import current_viewer

View = TypeVar("View", bound=Callable[..., Any])


def rate_limited(kind: str, *, methods: list[str] | None = None) -> Callable[[View], View]:
    """Return a decorator that limits requests of a kind by user or IP address (see `pkgsite.limits.rate_limited`)."""
    decorator: Callable[[View], View] = limits.rate_limited(kind, _identify, methods=methods)
    return decorator


def _identify() -> tuple[str, bool]:
    viewer = current_viewer()
    return (f"user {viewer.user_id}", True) if viewer.is_authenticated else (f"address {request.remote_addr}", False)
