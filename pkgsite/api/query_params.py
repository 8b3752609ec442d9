"""Query parameters of lists. An invalid number or name falls back to the default; an invalid time or id is an error."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from flask import request

from pkgsite.errors import Invalid
from pkgsite.rules.search.tokenizer import clean_query
from pkgsite.rules.slugs import MAX_ID
from pkgsite.services.api_queries import RecordFilter

MAX_IDS = 100
MAX_WORDS = 10
TRUE_VALUES = {"1", "true", "yes", "on"}
_NUMBER = re.compile(r"[0-9]{1,10}")


def parse_record_filter() -> RecordFilter:
    """Return the filter and ordering that the request specifies.

    Raises:
        Invalid: A timestamp or an id is invalid; the errors are by parameter name.
    """
    return RecordFilter(
        terms=tuple(param("q").split())[:MAX_WORDS],
        category=param("category"),
        grid=param("grid"),
        ids=_parse_ids(),
        updated_since=_parse_timestamp("updated_since"),
        include_deleted=param("deleted").lower() in TRUE_VALUES,
        ordering=param("ordering"),
    )


def param(name: str) -> str:
    """Return the last value of a parameter, cleaned and truncated like a search query."""
    return clean_query((request.args.getlist(name) or [""])[-1])


def list_param(name: str) -> tuple[str, ...]:
    """Return the comma-separated values of a parameter."""
    return tuple(part.strip() for part in ",".join(request.args.getlist(name)).split(",") if part.strip())


def select_fields(body: Mapping[str, Any], fields: tuple[str, ...]) -> dict[str, Any]:
    """Return a record with only the named fields, in the record's order, or all fields if no name is known."""
    selected = {name: value for name, value in body.items() if name in fields}
    return selected or dict(body)


def _parse_ids() -> tuple[int, ...]:
    ids = list_param("ids")
    if len(ids) > MAX_IDS:
        raise Invalid({"ids": [f"You can request at most {MAX_IDS} IDs at once."]})
    if not all(_NUMBER.fullmatch(text) and int(text) <= MAX_ID for text in ids):
        raise Invalid({"ids": ["IDs must be integers separated by commas, such as 1,2,3."]})
    return tuple(int(text) for text in ids)


def _parse_timestamp(name: str) -> datetime | None:
    text = (request.args.getlist(name) or [""])[-1].strip()
    if not text:
        return None
    try:
        # A plus sign that is not percent-encoded arrives as a space.
        timestamp = datetime.fromisoformat(re.sub(r" (?=\d\d:?\d\d$)", "+", text))
        return (timestamp if timestamp.tzinfo else timestamp.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        message = "Use an ISO 8601 timestamp such as 2026-03-01T12:30:00Z. Without a time zone, UTC is assumed."
        raise Invalid({name: [message]}) from None
