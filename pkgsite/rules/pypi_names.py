"""Names on the package index, as people write them."""

from __future__ import annotations

import re

_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?")
_PAGE = re.compile(r"^https?://(?:www\.)?[^/]+/(?:pypi|project|simple)/([^/?#]+)", re.IGNORECASE)


def parse_pypi_name(text: str) -> str:
    """Return the project's name from a bare name or a project page's address; empty where there is none.

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


def is_pypi_name(name: str) -> bool:
    """Tell whether the package index can have a project of this name, so that it may stand in a command."""
    return bool(_NAME.fullmatch(name))
