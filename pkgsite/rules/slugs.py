"""What a slug may be, and how one is told from an id."""

from __future__ import annotations

import re

LONGEST = 50
LARGEST_ID = 2**31 - 1

_UNROUTABLE = re.compile(r"[\x00-\x20\x7f/\\]")


def slug_problem(slug: str) -> str | None:
    """Return what keeps a slug from having a page, or None.

    Slugs of other sites may hold `#`, upper case or double underscores: all that one segment of a URL can carry is
    taken.
    """
    if not slug:
        return "is empty"
    if len(slug) > LONGEST:
        return f"is longer than {LONGEST} characters"
    if _UNROUTABLE.search(slug) or slug in {".", ".."}:
        return "has a character that an address can't carry"
    return None


def slug_key(slug: str) -> str:
    """Return what two slugs share when only their case differs.

    Letters outside ASCII count as they are: so do both databases, whose indexes keep slugs apart.

    >>> slug_key("Django_Q#É")
    'django_q#É'
    """
    return "".join(letter.lower() if letter.isascii() else letter for letter in slug)


def id_in(key: str) -> int | None:
    """Return the id that a key of the API names: all digits means an id, leading zeros and all; otherwise None.

    An id too large for any row becomes 0, which no row has.
    """
    if not (key.isascii() and key.isdigit()):
        return None
    digits = key.lstrip("0")
    return int(digits or "0") if len(digits) <= 10 and int(digits or "0") <= LARGEST_ID else 0
