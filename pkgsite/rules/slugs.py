"""What a slug may be, and how one is told from an id."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Collection

MAX_LENGTH = 50
MAX_ID = 2**31 - 1

_UNROUTABLE = re.compile(r"[\x00-\x20\x7f/\\]")


def slug_problem(slug: str) -> str | None:
    """Return what keeps a slug from having a page, or None.

    Slugs of other sites may hold `#`, upper case or double underscores: all that one segment of a URL can carry is
    taken.
    """
    if not slug:
        return "is empty"
    if len(slug) > MAX_LENGTH:
        return f"is longer than {MAX_LENGTH} characters"
    if _UNROUTABLE.search(slug) or slug in {".", ".."}:
        return "contains a character that is not allowed in URLs"
    return None


def slug_key(slug: str) -> str:
    """Return what two slugs share when only their case differs.

    Letters outside ASCII count as they are: so do both databases, whose indexes keep slugs apart.

    >>> slug_key("Django_Q#É")
    'django_q#É'
    """
    return "".join(char.lower() if char.isascii() else char for char in slug)


def parse_id(key: str) -> int | None:
    """Return the id that a key of the API names: all digits means an id, leading zeros and all; otherwise None.

    An id too large for any row becomes 0, which no row has.
    """
    if not (key.isascii() and key.isdigit()):
        return None
    digits = key.lstrip("0")
    return int(digits or "0") if len(digits) <= 10 and int(digits or "0") <= MAX_ID else 0


def unique_slug(title: str, *, noun: str, reserved: Collection[str], is_available: Callable[[str], bool]) -> str:
    """Return a slug made from a title, with a number behind it where the plain one is not free.

    >>> unique_slug("Rich Text!", noun="grid", reserved=(), is_free=lambda slug: slug != "rich-text")
    'rich-text-2'

    Args:
        title: Whatever people wrote.
        noun: What stands in where the title has no letters of an address.
        reserved: Words that have a meaning of their own in addresses.
        is_available: Tells whether nothing else has a slug.
    """
    ascii_title = unicodedata.normalize("NFKD", title).encode("ascii", "ignore").decode().lower()
    base = re.sub(r"[^a-z0-9_]+", "-", ascii_title).strip("-_")[:MAX_LENGTH].strip("-_") or noun
    if base.isdigit() or base in reserved:
        base = f"{noun}-{base}"[:MAX_LENGTH]
    slug, number = base, 1
    while not is_available(slug):
        number += 1
        end = f"-{number}"
        slug = base[: MAX_LENGTH - len(end)].rstrip("-_") + end
    return slug
