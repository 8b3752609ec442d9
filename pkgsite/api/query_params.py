"""What a request asks of a list. A bad number or name means the default; a bad instant or id is refused by name."""

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
    """Return what the request looks for.

    Raises:
        Invalid: an instant or an id can't be read; the words are under the parameter's name.
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
    """Return the last value of a parameter, cleaned and cut to what a person would type."""
    return clean_query((request.args.getlist(name) or [""])[-1])


def list_param(name: str) -> tuple[str, ...]:
    """Return a parameter's comma-separated names."""
    return tuple(part.strip() for part in ",".join(request.args.getlist(name)).split(",") if part.strip())


def select_fields(body: Mapping[str, Any], fields: tuple[str, ...]) -> dict[str, Any]:
    """Return a record with the named fields alone, in their own order; without names, or with none known, whole."""
    moment = {name: value for name, value in body.items() if name in fields}
    return moment or dict(body)


def _parse_ids() -> tuple[int, ...]:
    raw_value = list_param("ids")
    if len(raw_value) > MAX_IDS:
        raise Invalid({"ids": [f"You can request at most {MAX_IDS} IDs at once."]})
    if not all(_NUMBER.fullmatch(part) and int(part) <= MAX_ID for part in raw_value):
        raise Invalid({"ids": ["IDs must be integers separated by commas, such as 1,2,3."]})
    return tuple(int(part) for part in raw_value)


def _parse_timestamp(name: str) -> datetime | None:
    raw_value = (request.args.getlist(name) or [""])[-1].strip()
    if not raw_value:
        return None
    try:
        # A plus sign in an address that was not encoded arrives as a blank.
        moment = datetime.fromisoformat(re.sub(r" (?=\d\d:?\d\d$)", "+", raw_value))
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        message = "Use an ISO 8601 timestamp such as 2026-03-01T12:30:00Z. UTC if no time zone is given."
        raise Invalid({name: [message]}) from None
