"""Where a person is led after logging in: only to a path of our own."""

from __future__ import annotations

from urllib.parse import urlsplit

LONGEST = 2000  # characters


def own_path(wanted: str | None) -> str | None:
    r"""Return the wanted place if it is a path of this site, however a browser reads it; otherwise None.

    >>> own_path("/grids/?q=http://a.example")
    '/grids/?q=http://a.example'
    >>> [own_path(one) for one in ("//evil.example", "/\\evil.example", "https://evil.example", "/a\tb", "grids/")]
    [None, None, None, None, None]
    """
    wanted = wanted or ""
    if not wanted.startswith("/") or wanted.startswith("//") or len(wanted) > LONGEST or "\\" in wanted:
        return None
    # Browsers drop tabs and line ends from addresses, and take blanks off their ends.
    if not wanted.isprintable() or any(letter.isspace() for letter in wanted):
        return None
    try:
        parts = urlsplit(wanted)
    except ValueError:
        return None
    return wanted if not parts.scheme and not parts.netloc and "//" not in parts.path else None
