"""Stretches of a list by `limit` and `offset`, and the links to the stretches before and after."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlencode

from flask import request

DEFAULT_LIMIT = 20
MAX_LIMIT = 1000


@dataclass(frozen=True, slots=True)
class LimitOffset:
    """A part of a list: `limit` records from number `offset` on, counted from 0."""

    limit: int
    offset: int


def parse_limit_offset() -> LimitOffset:
    """Return the stretch that the request asks for; what is no number, or too small, means the default."""
    limit = _int_param("limit")
    offset = _int_param("offset")
    return LimitOffset(
        limit=min(limit, MAX_LIMIT) if limit is not None and limit > 0 else DEFAULT_LIMIT,
        offset=offset if offset is not None and offset >= 0 else 0,
    )


def envelope(window: LimitOffset, count: int, results: list[Any]) -> dict[str, Any]:
    """Return a list's body: how many there are, links to the next and previous stretch, and the records."""
    limit, offset = window.limit, window.offset
    return {
        "count": count,
        "next": _page_url(limit, offset + limit) if offset + limit < count else None,
        "previous": _page_url(limit, offset - limit) if offset > 0 else None,
        "results": results,
    }


def _int_param(name: str) -> int | None:
    try:
        return int(request.args.getlist(name)[-1])
    except (IndexError, ValueError):
        return None


def _page_url(limit: int, offset: int) -> str:
    """Return this request's URL at another offset; the names of its query in alphabetical order, offset 0 left out."""
    query = parse_qs(request.query_string.decode("latin-1"), keep_blank_values=True)
    query["limit"] = [str(limit)]
    query.pop("offset", None)
    if offset > 0:
        query["offset"] = [str(offset)]
    return f"{request.url_root}{request.path.lstrip('/')}?{urlencode(sorted(query.items()), doseq=True)}"
