"""Pagination by `limit` and `offset`, with links to the previous and next page."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlencode

from flask import request

DEFAULT_LIMIT = 20
MAX_LIMIT = 1000


@dataclass(frozen=True, slots=True)
class LimitOffset:
    """A page of a list: at most `limit` records, after skipping `offset` records."""

    limit: int
    offset: int


def parse_limit_offset() -> LimitOffset:
    """Return the requested page; parameters that are invalid or too small fall back to their defaults."""
    limit = _int_param("limit")
    offset = _int_param("offset")
    return LimitOffset(
        limit=min(limit, MAX_LIMIT) if limit is not None and limit > 0 else DEFAULT_LIMIT,
        offset=offset if offset is not None and offset >= 0 else 0,
    )


def envelope(window: LimitOffset, count: int, results: list[Any]) -> dict[str, Any]:
    """Return the body of a list: the total count, links to the next and previous page, and the records."""
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
    """Return this request's URL with another offset; parameters are sorted by name, and offset 0 is omitted."""
    query = parse_qs(request.query_string.decode("latin-1"), keep_blank_values=True)
    query["limit"] = [str(limit)]
    query.pop("offset", None)
    if offset > 0:
        query["offset"] = [str(offset)]
    return f"{request.url_root}{request.path.lstrip('/')}?{urlencode(sorted(query.items()), doseq=True)}"
