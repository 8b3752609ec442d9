"""Project names on the package index."""

from __future__ import annotations

import re

_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?")
_PAGE = re.compile(r"^https?://(?:www\.)?[^/]+/(?:pypi|project|simple)/([^/?#]+)", re.IGNORECASE)


def parse_pypi_name(text: str) -> str:
    """Return the project name from a name or the URL of a project page; empty for other values.

    >>> parse_pypi_name("http://pypi.python.org/pypi/django-q")
    'django-q'
    >>> parse_pypi_name(" wagtail-whoosh/ ")
    'wagtail-whoosh'
    """
    text = text.strip()
    page = _PAGE.match(text)
    if page:
        return page.group(1)
    return "" if "://" in text else text.strip("/")


def project_url(index_url: str, name: str) -> str | None:
    """Return the URL of a project's page on the package index, or None if the name is not a valid project name.

    >>> project_url("https://pypi.org", "django-q")
    'https://pypi.org/project/django-q/'
    """
    return f"{index_url}/project/{name}/" if is_pypi_name(name) else None


def is_pypi_name(name: str) -> bool:
    """Return whether a name is a valid project name, and therefore safe to show in a command."""
    return bool(_NAME.fullmatch(name))
