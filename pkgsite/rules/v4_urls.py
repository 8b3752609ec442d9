"""URLs of the API v4 of other sites."""

from __future__ import annotations

from urllib.parse import urlsplit, urlunsplit

from pkgsite.errors import Invalid

ROOT = "/api/v4"
MAX_LENGTH = 500


def api_root(url: str) -> str:
    """Return the root URL of a site's API v4, with a trailing slash, from that URL or the site's URL.

    Raises:
        Invalid: This is not a site URL; the field is "url".

    >>> api_root("https://packages.example.org")
    'https://packages.example.org/api/v4/'
    >>> api_root("http://127.0.0.1:8044/API-of-ours/api/v4")
    'http://127.0.0.1:8044/API-of-ours/api/v4/'
    """
    try:
        parts = urlsplit(url.strip())
        _ = parts.port  # raises where it is not a number
    except ValueError:
        raise _error(url) from None
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.username or parts.query or parts.fragment:
        raise _error(url)
    path = parts.path.rstrip("/")
    root = urlunsplit((parts.scheme, parts.netloc.lower(), path.removesuffix(ROOT) + ROOT + "/", "", ""))
    if len(root) > MAX_LENGTH:
        raise _error(url)
    return root


def _error(url: str) -> Invalid:
    return Invalid({"url": [f"“{url}” is not a valid site URL, such as https://packages.example.org/api/v4/"]})
