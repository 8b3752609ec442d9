"""References to a single package that users paste into the search box: repository URLs and install commands."""

from __future__ import annotations

import re

_INSTALL = re.compile(
    r"^[$>%#!]?\s*(?:sudo\s+)?(?:python[\d.]*\s+-m\s+)?"
    r"(?:(?:uv\s+)?pip[\d.]*\s+install|(?:uv|poetry|pdm|hatch|rye)\s+add|(?:pipx|conda|mamba|pipenv)\s+install|easy_install)"
    r"\s+(?P<rest>\S.*)$",
    re.IGNORECASE,
)
_REPO_URL = re.compile(
    r"^(?:(?:git\+)?(?:https?|ssh|git)://\S+"
    r"|[\w.+-]+@[\w.-]+\.\w+:\S+"
    r"|(?:www\.)?[\w-]+(?:\.[\w-]+)*\.[a-z]{2,}/\S+/\S+)$",
    re.IGNORECASE,
)
# Options whose value is a file or a URL, not a project.
_WITH_VALUE = re.compile(
    r"(?:^|(?<=\s))(?:-[rcift]|--(?:requirement|constraint|index-url|extra-index-url|find-links|target))[\s=]\s*\S+"
)
_REVISION = re.compile(r"^((?:\w+://)?[^/]*/[^@]*)@.*$")  # group 1 is the URL without the revision
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def parse_pasted_reference(query: str) -> str:
    """Return the repository URL or project name in a pasted text; empty for other search queries.

    >>> parse_pasted_reference("pip install -U 'django-cacheops[redis]>=7'")
    'django-cacheops'
    >>> parse_pasted_reference("git+https://github.com/Suor/django-cacheops@master")
    'https://github.com/Suor/django-cacheops'
    >>> [parse_pasted_reference(text) for text in ("install caching", "pip install -r requirements.txt")]
    ['', '']
    """
    text = query.strip()
    command = _INSTALL.match(text)
    if command:
        arguments = _WITH_VALUE.sub("", command["rest"]).split()
        return next(filter(None, map(_parse_requirement, arguments)), "")
    return _parse_url(text)


def _parse_requirement(argument: str) -> str:
    """Return the URL or project name in one argument of an install command; empty for an option."""
    argument = argument.strip("\"'`")
    if argument.startswith("-"):
        return ""
    name = _NAME.match(argument)
    return _parse_url(argument) or (name.group().rstrip("._-") if name else "")


def _parse_url(text: str) -> str:
    if not _REPO_URL.match(text):
        return ""
    return _REVISION.sub(r"\1", text.removeprefix("git+").partition("#")[0])
