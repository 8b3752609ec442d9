"""Addresses that strangers wrote: which may become links, whose they are, and where people's profiles are."""

from __future__ import annotations

import re
from urllib.parse import quote, urlsplit

# The code hosts whose people have a page at /<name>, with the name that readers know.
CODE_HOSTS = {"github.com": "GitHub", "gitlab.com": "GitLab", "bitbucket.org": "Bitbucket", "codeberg.org": "Codeberg"}
# Sites whose name says more than their host.
SITE_TITLES = {**CODE_HOSTS, "pypi.org": "PyPI"}

_BLANK_OR_CONTROL = re.compile(r"[\x00-\x20\x7f-\xa0\u2028\u2029\\]")
_LOGIN = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9._-]*[A-Za-z0-9_-])?")


def safe_url(url: str | None) -> str | None:
    """Return the address if it is one of the web (http or https, with a host), otherwise None.

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
    except ValueError:  # such as a broken IPv6 host
        return None
    return url if parts.scheme in {"http", "https"} and host else None


def host_of(url: str | None) -> str:
    """Return the host of a web address in lower case, without `www.`; empty where there is none."""
    url = safe_url(url)
    return (urlsplit(url).hostname or "").removeprefix("www.") if url else ""


def host_title(url: str | None) -> str:
    """Return the name that readers know a site by: its own where it is well known, otherwise its host.

    >>> host_title("https://github.com/django/django")
    'GitHub'
    >>> host_title("https://git.example.org/a/b")
    'git.example.org'
    """
    host = host_of(url)
    return SITE_TITLES.get(host, host)


def without_scheme(url: str) -> str:
    """Return a web address as people say it, without https:// and a closing slash."""
    return re.sub(r"^https?://", "", url).rstrip("/")


def profile_url(repo_url: str, name: str) -> str | None:
    """Return the profile, on the repository's own host, of somebody who takes part in it.

    None where the host is not a known one, or where the name is no login (some hosts tell people's full names,
    and robots have no profile).
    """
    host = host_of(repo_url)
    if host not in CODE_HOSTS or not _LOGIN.fullmatch(name):
        return None
    return f"https://{host}/{quote(name)}"
