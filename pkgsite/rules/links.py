"""URLs from untrusted sources: which ones are safe to link to, how hosts are shown, and URLs of user profiles."""

from __future__ import annotations

import re
from urllib.parse import quote, urlsplit

# Titles of the code hosts that have user profiles at /<name>.
CODE_HOSTS = {"github.com": "GitHub", "gitlab.com": "GitLab", "bitbucket.org": "Bitbucket", "codeberg.org": "Codeberg"}
# Titles of well-known sites, by host.
SITE_TITLES = {**CODE_HOSTS, "pypi.org": "PyPI"}

_BLANK_OR_CONTROL = re.compile(r"[\x00-\x20\x7f-\xa0\u2028\u2029\\]")
_LOGIN = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9._-]*[A-Za-z0-9_-])?")


def safe_url(url: str | None) -> str | None:
    """Return the URL if it is an HTTP(S) URL with a host, otherwise None.

    >>> safe_url("https://example.org/a")
    'https://example.org/a'
    >>> safe_url("javascript:alert(1)") is None
    True
    """
    url = (url or "").strip()
    if not url or _BLANK_OR_CONTROL.search(url):
        return None
    try:
        parts = urlsplit(url)
        host = parts.hostname
    except ValueError:  # such as an invalid IPv6 address
        return None
    return url if parts.scheme in {"http", "https"} and host else None


def host_of(url: str | None) -> str:
    """Return the host of an HTTP(S) URL in lower case, without `www.`; empty for other values."""
    url = safe_url(url)
    return (urlsplit(url).hostname or "").removeprefix("www.") if url else ""


def host_title(url: str | None) -> str:
    """Return the title of a URL's site if it is well known, otherwise its host.

    >>> host_title("https://github.com/django/django")
    'GitHub'
    >>> host_title("https://git.example.org/a/b")
    'git.example.org'
    """
    host = host_of(url)
    return SITE_TITLES.get(host, host)


def without_scheme(url: str) -> str:
    """Return a URL without its scheme and trailing slash, for display."""
    return re.sub(r"^https?://", "", url).rstrip("/")


def profile_url(repo_url: str, name: str) -> str | None:
    """Return the URL of a participant's profile on the repository's host.

    None if the host is not one of `CODE_HOSTS`, or if the name is not a username (some hosts list full names, and bots
    have no profile).
    """
    host = host_of(repo_url)
    if host not in CODE_HOSTS or not _LOGIN.fullmatch(name):
        return None
    return f"https://{host}/{quote(name)}"
