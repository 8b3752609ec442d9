"""What people paste into a search box that names a single package: an address, or a line that installs it."""

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
# Options after which a file's name or an address comes, which is no project's.
_WITH_VALUE = re.compile(
    r"(?:^|(?<=\s))(?:-[rcift]|--(?:requirement|constraint|index-url|extra-index-url|find-links|target))[\s=]\s*\S+"
)
_REVISION = re.compile(r"^((?:\w+://)?[^/]*/[^@]*)@.*$")  # what comes before it is kept
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def parse_pasted_reference(typed: str) -> str:
    """Return the address or the project's name that a pasted text is about; empty where it is words.

    >>> parse_pasted_reference("pip install -U 'django-cacheops[redis]>=7'")
    'django-cacheops'
    >>> parse_pasted_reference("git+https://github.com/Suor/django-cacheops@master")
    'https://github.com/Suor/django-cacheops'
    >>> parse_pasted_reference("install caching"), parse_pasted_reference("conda recipes"), parse_pasted_reference("pip install -r requirements.txt")
    ('', '', '')
    """
    text = typed.strip()
    line = _INSTALL.match(text)
    if line:
        parts = _WITH_VALUE.sub("", line["rest"]).split()
        return next(filter(None, map(_parse_requirement, parts)), "")
    return _parse_url(text)


def _parse_requirement(part: str) -> str:
    """Return what one word of a line that installs something names; empty for an option."""
    part = part.strip("\"'`")
    if part.startswith("-"):
        return ""
    name = _NAME.match(part)
    return _parse_url(part) or (name.group().rstrip("._-") if name else "")


def _parse_url(text: str) -> str:
    if not _REPO_URL.match(text):
        return ""
    return _REVISION.sub(r"\1", text.removeprefix("git+").partition("#")[0])
