"""What a request asks of a list. A bad number or name means the default; a bad instant or id is refused by name."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from flask import request

from pkgsite.errors import Invalid
from pkgsite.rules.search.tokenizer import clean
from pkgsite.rules.slugs import LARGEST_ID
from pkgsite.services.api_queries import Find

MOST_IDS = 100
MOST_WORDS = 10
YES = {"1", "true", "yes", "on"}
_NUMBER = re.compile(r"[0-9]{1,10}")


def asked_find() -> Find:
    """Return what the request looks for.

    Raises:
        Invalid: an instant or an id can't be read; the words are under the parameter's name.
    """
    return Find(
        words=tuple(word("q").split())[:MOST_WORDS],
        category=word("category"),
        grid=word("grid"),
        ids=_ids(),
        updated_since=_instant("updated_since"),
        with_deleted=word("deleted").lower() in YES,
        order=word("ordering"),
    )


def word(name: str) -> str:
    """Return the last value of a parameter, cleaned and cut to what a person would type."""
    return clean((request.args.getlist(name) or [""])[-1])


def names(name: str) -> tuple[str, ...]:
    """Return a parameter's comma-separated names."""
    return tuple(part.strip() for part in ",".join(request.args.getlist(name)).split(",") if part.strip())


def only(body: Mapping[str, Any], fields: tuple[str, ...]) -> dict[str, Any]:
    """Return a record with the named fields alone, in their own order; without names, or with none known, whole."""
    found = {name: value for name, value in body.items() if name in fields}
    return found or dict(body)


def _ids() -> tuple[int, ...]:
    written = names("ids")
    if len(written) > MOST_IDS:
        raise Invalid({"ids": [f"You can request at most {MOST_IDS} IDs at once."]})
    if not all(_NUMBER.fullmatch(part) and int(part) <= LARGEST_ID for part in written):
        raise Invalid({"ids": ["IDs must be integers separated by commas, such as 1,2,3."]})
    return tuple(int(part) for part in written)


def _instant(name: str) -> datetime | None:
    written = (request.args.getlist(name) or [""])[-1].strip()
    if not written:
        return None
    try:
        # A plus sign in an address that was not encoded arrives as a blank.
        found = datetime.fromisoformat(re.sub(r" (?=\d\d:?\d\d$)", "+", written))
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        refusal = "Use an ISO 8601 timestamp such as 2026-03-01T12:30:00Z. UTC if no time zone is given."
        raise Invalid({name: [refusal]}) from None
