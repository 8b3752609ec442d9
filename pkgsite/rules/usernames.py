"""The names by which people are known on the site."""

from __future__ import annotations

import re

MIN_LENGTH, MAX_LENGTH = 2, 39  # characters
FORMAT_MESSAGE = f"Use {MIN_LENGTH} to {MAX_LENGTH} letters (a–z), digits, dots, underscores or hyphens. Start and end with a letter or digit."
# Paths below /profiles/, and names that speak for the site.
_RESERVED = (
    "account accounts add admin administrator all anonymous api contributed delete deleted edit extra-field favorites "
    "favourites help host info login logout mail me mod moderation moderator moderators nobody none null official "
    "owner packages pkgsite postmaster profile profiles register root security settings signup site staff status "
    "support system team undefined user users webmaster www"
)
RESERVED = frozenset(_RESERVED.split())
_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?")


def username_problems(name: str) -> list[str]:
    """Return what is wrong with a name that somebody wants, whoever else may have it.

    >>> username_problems("ada.l-2")
    []
    >>> username_problems("Admin")
    ['This username is reserved. Choose another.']
    """
    if not MIN_LENGTH <= len(name) <= MAX_LENGTH or not _NAME.fullmatch(name):
        return [FORMAT_MESSAGE]
    if name.lower() in RESERVED:
        return ["This username is reserved. Choose another."]
    return []


def suggest_username(login: str) -> str:
    """Return the name that is nearest to a login elsewhere; empty where none is near."""
    candidate = re.sub(r"[^A-Za-z0-9._-]+", "-", login).strip("._-")[:MAX_LENGTH].strip("._-")
    return candidate if not username_problems(candidate) else ""
