"""Validation of email addresses."""

from __future__ import annotations

import re

import idna

MAX_LENGTH = 254  # characters, by RFC 5321
MAX_LOCAL_LENGTH = 64
_ADDRESS = re.compile(
    r"([A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+)@([A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)+)"
)


def ascii_email(address: str) -> str:
    """Return an email address with its domain in ASCII form (IDNA 2008); an invalid address is returned unchanged.

    >>> ascii_email("ada@bücher.example")
    'ada@xn--bcher-kva.example'
    """
    local, at, domain = address.rpartition("@")
    if not at or domain.isascii():
        return address
    try:
        return f"{local}@{idna.encode(domain, uts46=True).decode()}"
    except idna.IDNAError:
        return address


def email_problems(address: str) -> list[str]:
    """Return the problems with an email address; only an email can show whether it exists.

    >>> email_problems("ada@example.org")
    []
    >>> email_problems("ada@example.org\\nBcc: all")
    ['Enter a valid email address, such as ada@example.org.']
    """
    address = ascii_email(address) if len(address) <= MAX_LENGTH else address
    match = _ADDRESS.fullmatch(address) if len(address) <= MAX_LENGTH else None
    local = match[1] if match else ""
    is_invalid = (
        not match or len(local) > MAX_LOCAL_LENGTH or local.startswith(".") or local.endswith(".") or ".." in local
    )
    return ["Enter a valid email address, such as ada@example.org."] if is_invalid else []
