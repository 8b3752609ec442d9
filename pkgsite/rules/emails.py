"""E-mail addresses as people type them."""

from __future__ import annotations

import re

MAX_LENGTH = 254  # characters: what a mail server has to take
MAX_LOCAL_LENGTH = 64
_ADDRESS = re.compile(
    r"([A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+)@([A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)+)"
)


def email_problems(address: str) -> list[str]:
    """Return what is wrong with an address; whether it is anybody's only a letter can tell.

    >>> email_problems("ada@example.org")
    []
    >>> email_problems("ada@example.org\\nBcc: all")
    ['Enter a valid email address, such as ada@example.org.']
    """
    match = _ADDRESS.fullmatch(address) if len(address) <= MAX_LENGTH else None
    local = match[1] if match else ""
    is_invalid = (
        not match or len(local) > MAX_LOCAL_LENGTH or local.startswith(".") or local.endswith(".") or ".." in local
    )
    return ["Enter a valid email address, such as ada@example.org."] if is_invalid else []
