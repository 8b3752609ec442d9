"""Where a person is led after logging in: only to a path of our own."""

from __future__ import annotations

from urllib.parse import urlsplit

MAX_LENGTH = 2000  # characters


def safe_redirect_path(target: str | None) -> str | None:
    r"""Return the wanted place if it is a path of this site, however a browser reads it; otherwise None.

    >>> safe_redirect_path("/grids/?q=http://a.example")
    '/grids/?q=http://a.example'
    >>> [safe_redirect_path(one) for one in ("//evil.example", "/\\evil.example", "https://evil.example", "/a\tb", "grids/")]
    [None, None, None, None, None]
    """
    target = target or ""
    if not target.startswith("/") or target.startswith("//") or len(target) > MAX_LENGTH or "\\" in target:
        return None
    # Browsers drop tabs and line ends from addresses, and take blanks off their ends.
    if not target.isprintable() or any(char.isspace() for char in target):
        return None
    try:
        parts = urlsplit(target)
    except ValueError:
        return None
    return target if not parts.scheme and not parts.netloc and "//" not in parts.path else None
