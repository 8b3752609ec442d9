"""Where a site's API v4 is."""

from __future__ import annotations

from urllib.parse import urlsplit, urlunsplit

from pkgsite.errors import Invalid

ROOT = "/api/v4"
MAX_LENGTH = 500


def api_root(address: str) -> str:
    """Return the address of a site's API v4, with a closing slash, from that address or the site's own.

    Raises:
        Invalid: this can't be a site's address; the words are under "url".

    >>> api_root("https://packages.example.org")
    'https://packages.example.org/api/v4/'
    >>> api_root("http://127.0.0.1:8044/API-of-ours/api/v4")
    'http://127.0.0.1:8044/API-of-ours/api/v4/'
    """
    try:
        parts = urlsplit(address.strip())
        _ = parts.port  # raises where it is not a number
    except ValueError:
        raise _error(address) from None
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.username or parts.query or parts.fragment:
        raise _error(address)
    path = parts.path.rstrip("/")
    root = urlunsplit((parts.scheme, parts.netloc.lower(), path.removesuffix(ROOT) + ROOT + "/", "", ""))
    if len(root) > MAX_LENGTH:
        raise _error(address)
    return root


def _error(address: str) -> Invalid:
    return Invalid({"url": [f"“{address}” is not a valid site URL, such as https://packages.example.org/api/v4/"]})
