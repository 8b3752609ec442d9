"""Slugs: validation, comparison and generation."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Collection

MAX_LENGTH = 50
MAX_ID = 2**31 - 1

_UNROUTABLE = re.compile(r"[\x00-\x20\x7f/\\]")


def slug_problem(slug: str) -> str | None:
    """Return the problem with a slug, or None.

    Imported slugs can contain `#`, upper case or double underscores: anything that fits in one URL segment is valid.
    """
    if not slug:
        return "is empty"
    if len(slug) > MAX_LENGTH:
        return f"is longer than {MAX_LENGTH} characters"
    if _UNROUTABLE.search(slug) or slug in {".", ".."}:
        return "contains a character that is not allowed in URLs"
    return None


def slug_key(slug: str) -> str:
    """Return a key that is the same for slugs that differ only in case.

    Only ASCII letters are lowercased, as in the unique indexes of both databases.

    >>> slug_key("Django_Q#É")
    'django_q#É'
    """
    return "".join(char.lower() if char.isascii() else char for char in slug)


def parse_id(key: str) -> int | None:
    """Return the id in a key of the API, or None if the key is a slug. Keys of only digits are ids.

    Ids that are too large for the database become 0, which no row has.
    """
    if not (key.isascii() and key.isdigit()):
        return None
    digits = key.lstrip("0")
    return int(digits or "0") if len(digits) <= 10 and int(digits or "0") <= MAX_ID else 0


def unique_slug(title: str, *, noun: str, reserved: Collection[str], is_available: Callable[[str], bool]) -> str:
    """Return a slug for a title, with a number appended if the slug is not available.

    >>> unique_slug("Rich Text!", noun="grid", reserved=(), is_available=lambda slug: slug != "rich-text")
    'rich-text-2'

    Args:
        title: The title of the record.
        noun: Replacement for a title without characters that are allowed in slugs, and prefix for invalid slugs.
        reserved: Slugs with a special meaning in URLs.
        is_available: Returns whether a slug is not yet used.
    """
    ascii_title = unicodedata.normalize("NFKD", title).encode("ascii", "ignore").decode().lower()
    base = re.sub(r"[^a-z0-9_]+", "-", ascii_title).strip("-_")[:MAX_LENGTH].strip("-_") or noun
    if base.isdigit() or base in reserved:
        base = f"{noun}-{base}"[:MAX_LENGTH]
    slug, number = base, 1
    while not is_available(slug):
        number += 1
        suffix = f"-{number}"
        slug = base[: MAX_LENGTH - len(suffix)].rstrip("-_") + suffix
    return slug
