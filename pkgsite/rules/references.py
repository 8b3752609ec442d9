"""References to a single package: names, repository URLs, install commands, and lines of requirement and lock files.

Requirement lines follow PEP 508 and pip's format; TOML lines those of Poetry, PDM, uv and Pipenv; JSON and YAML lines
those of Pipfile.lock and Conda.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from enum import Enum, auto
from urllib.parse import unquote, urlsplit

from pkgsite.rules.pypi_names import is_pypi_name, parse_pypi_name

INDEX_HOSTS = frozenset({"pypi.org", "pypi.python.org", "test.pypi.org", "files.pythonhosted.org"})

_NAME = r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?"
_CHANNEL = re.compile(r"^[\w.-]+(?:/[\w.-]+)?::(?=\w)")  # of Conda
_EXTRAS = r"\s*\[[^\[\]]*\]"
_VERSION = r"v?(?:\d[\w.*+!-]*|\*)"
_SPECIFIER = rf"(?:===|~=|==|!=|<=|>=|<|>|=)\s*{_VERSION}(?:=\w+)?"  # Conda appends the build
_SPECIFIERS = rf"\(?\s*{_SPECIFIER}(?:\s*,\s*{_SPECIFIER})*\s*,?\s*\)?"

_INSTALL = re.compile(
    r"^(?:\([\w.-]+\)\s*)?(?:(?:PS[^>]*>|-?\s*run:|RUN\s|&&|[$>%#!])\s*)?(?:sudo\s+)?(?:(?:python[\d.]*|py)\s+-m\s+)?"
    r"(?:(?:uv\s+)?pip[\d.]*\s+install|(?:uv|poetry|pdm|hatch|rye|pipx|pip)\s+add"
    r"|(?:pipx|conda|mamba|micromamba|pipenv|uv\s+tool)\s+install|easy_install)"
    r"\s+(?P<rest>\S.*)$",
    re.IGNORECASE,
)
# Options whose value is not a project, but a file, a URL, a group of dependencies or an environment.
_WITH_VALUE = re.compile(
    r"(?:^|(?<=\s))(?:-[rciftnG]|--(?:requirement|constraint|index-url|extra-index-url|find-links|target|channel|name|"
    r"group|optional|extra|extras|source|platform|python))"
    r"[\s=]\s*\S+"
)
_EDITABLE = re.compile(r"^(?:-e|--editable)(?:\s+|=)(?=\S)")
_URL = re.compile(r"^(?:[\w.]+\+)?(?:https?|ssh|git)://\S+$", re.IGNORECASE)
_SCP = re.compile(r"^[\w.+-]+@[\w.-]+\.\w+:(?!//)\S+$")
_BARE_URL = re.compile(r"^(?:www\.)?[\w-]+(?:\.[\w-]+)*\.[a-z]{2,}(?::\d+)?/\S+$", re.IGNORECASE)
_REVISION = re.compile(r"^((?:\w+://|(?!\w+://))[^/]*/[^@]*)@.*$")  # group 1 is the URL without the revision
_EGG = re.compile(rf"[#&]egg=({_NAME})", re.IGNORECASE)
_PAGE = re.compile(r"/packages/p/([^/]+)/?$")
_ARCHIVE = re.compile(
    rf"^({_NAME})-v?\d[\w.!+]*(?:-[\w.]+-[\w.]+-[\w.]+\.whl|\.tar\.(?:gz|bz2|xz)|\.tgz|\.zip|\.egg)$", re.IGNORECASE
)
_PACKAGE_URL = re.compile(rf"^pkg:pypi/({_NAME})(?:[@?#].*)?$", re.IGNORECASE)

_DIRECT = re.compile(rf"^({_NAME})(?:{_EXTRAS})?\s*@\s*(?P<url>(?:[\w.]+\+)?[\w.]+:/\S+)")
_REQUIREMENTS = (
    # With versions; anything may follow a separator: a marker, a hash, a comment, the end of the line's list.
    re.compile(rf"^({_NAME})(?:{_EXTRAS})?\s*{_SPECIFIERS}(?:\s*(?:[;#\\\]'\",]|--?[a-z]).*)?$"),
    re.compile(rf"^({_NAME}){_EXTRAS}\s*(?:[;#\\'\",]|--?[a-z]).*$"),  # with extras, and a marker or a hash
    re.compile(rf"^({_NAME}){_EXTRAS}$"),
    re.compile(rf"^({_NAME})\s*;\s*\(*\s*['\"]?[a-z_]+['\"]?\s*(?:[<>=!~]|in\b|not\b).*$"),  # with a marker only
    re.compile(rf"^({_NAME})\s+--hash[=:].*$"),
    re.compile(rf"^({_NAME})\s+\(?v?\d+(?:\.\d+)+[\w.+!-]*\)?$"),  # as `pip list` prints it
    re.compile(rf"^({_NAME})@(?:[\^~]?v?\d[\w.*+-]*|latest)$"),  # as Poetry and uvx take it
)
_ITEM = re.compile(rf"""^["']({_NAME})["']\s*,$""")  # of a list
_NAMED = re.compile(rf"""^\{{?\s*["']?name["']?\s*[=:]\s*["']({_NAME})["']""")  # of lock files
_TOML = re.compile(
    rf"""^["']?({_NAME})["']?\s*=\s*(?:["']\s*(?:[\^~=<>!]+\s*)?{_VERSION}[^"']*["'].*|(?P<table>\[?\s*\{{.*))$"""
)
# A file or the source of a package in a lock file: a line of its own, or the beginning of a table.
_SOURCE = re.compile(
    r"""^(?:(?:sdist|source|wheels)\s*=\s*)?\[?\s*\{?\s*["']?(?:file|url|git)["']?\s*[=:]\s*["']([^"']+)["']"""
)
_TABLE_URL = re.compile(r"""\b(?:git|url)\s*=\s*["']([^"']+)["']""")
_TABLE_KEY = re.compile(r"\b(?:version|git|url|path|extras|optional|markers|python|workspace|index|source|file)\s*=")
_JSON = re.compile(rf"""^["']({_NAME})["']\s*:\s*(?:\{{.*|["']\s*(?:[\^~=<>!]+\s*)?{_VERSION}.*)$""")
_LIST = re.compile(r"^[\w.-]+\s*=\s*\[\s*(?P<first>[\"'].*)$")
_HEADER = re.compile(r"^(?:name|requires-dist|requires|provides-dist)\s*:\s*(?=\S)", re.IGNORECASE)
_BULLET = re.compile(r"^(?:[-+*•]\s+|[+-](?=[A-Za-z0-9][\w.-]*\s*(?:\[|[=<>~!]=)))")


class Form(Enum):
    """The form of a reference."""

    WORDS = auto()  # a name, or search words
    REQUIREMENT = auto()  # a line of a requirement or lock file
    COMMAND = auto()  # an install command
    URL = auto()  # a repository's, a project's or a package page's URL


@dataclass(frozen=True, slots=True)
class Reference:
    """What a text refers to.

    Attributes:
        form: The form of the text.
        project: The name of a project on the package index; empty if the text doesn't contain one.
        repo_url: A repository's URL, not normalised, without a revision; empty if the text doesn't contain one.
        slug: The slug in the URL of a package's page; empty for anything else.
    """

    form: Form
    project: str = ""
    repo_url: str = ""
    slug: str = ""

    def __bool__(self) -> bool:
        """Whether the text refers to anything."""
        return bool(self.project or self.repo_url or self.slug)


NO_REFERENCE = Reference(Form.WORDS)


def parse_reference(text: str, index_hosts: Collection[str] = INDEX_HOSTS) -> Reference:
    """Return what a text refers to.

    >>> parse_reference("pip install -U 'django-cacheops[redis]>=7'").project
    'django-cacheops'
    >>> parse_reference("git+https://github.com/Suor/django-cacheops@master").repo_url
    'https://github.com/Suor/django-cacheops'
    >>> parse_reference('django-q = {version = "^1.3", extras = ["sentry"]}').project
    'django-q'
    >>> [bool(parse_reference(text)) for text in ("install caching", "pip install -r requirements.txt")]
    [False, False]

    Args:
        text: One line.
        index_hosts: The hosts of the package index.
    """
    text = " ".join(text.split()).strip("`")
    command = _INSTALL.match(text)
    if command:
        arguments = _WITH_VALUE.sub("", command["rest"]).split()
        found = (_parse_argument(argument, index_hosts) for argument in arguments)
        reference = next(filter(None, found), NO_REFERENCE)
        return Reference(Form.COMMAND, reference.project, reference.repo_url) if reference else NO_REFERENCE
    return _parse_url(text, index_hosts) or _parse_line(text, index_hosts) or _parse_name(text)


def _parse_argument(argument: str, index_hosts: Collection[str]) -> Reference:
    """Return what an argument of an install command refers to; nothing for an option."""
    argument = _CHANNEL.sub("", argument.strip("\"'`"))
    if argument.startswith("-"):
        return NO_REFERENCE
    reference = _parse_url(argument, index_hosts) or _parse_line(argument, index_hosts)
    name = re.match(_NAME, argument)
    return reference or (Reference(Form.REQUIREMENT, project=name.group()) if name else NO_REFERENCE)


def _parse_name(text: str) -> Reference:
    name = text.strip("\"' /")
    return Reference(Form.WORDS, project=name) if is_pypi_name(name) else NO_REFERENCE


def _parse_url(text: str, index_hosts: Collection[str]) -> Reference:
    """Return what a URL refers to; nothing for other texts."""
    text = text.strip("\"'`<>,;")
    page, package_url, egg = _PAGE.match(text), _PACKAGE_URL.match(text), _EGG.search(text)
    if page:
        return Reference(Form.URL, slug=_page_slug(page))
    if package_url:
        return Reference(Form.URL, project=package_url[1])
    if _SCP.match(re.sub(r"^\w+\+", "", text)):
        return Reference(Form.URL, project=egg[1] if egg else "", repo_url=_without_revision(text))
    is_bare = not _URL.match(text)
    if is_bare and not _BARE_URL.match(text):
        return NO_REFERENCE
    url = f"https://{text}" if is_bare else text
    try:
        parts = urlsplit(url)
        host = (parts.hostname or "").removeprefix("www.")
    except ValueError:  # an unbalanced bracket
        return NO_REFERENCE
    archive = _ARCHIVE.match(unquote(parts.path).rpartition("/")[2])
    project = archive[1] if archive else ""
    if host in index_hosts:
        path = re.sub(r"^/p/", "/project/", parts.path)  # PyPI's short URLs
        name = project or parse_pypi_name(f"https://{host}{path}")
        return Reference(Form.URL, project=name) if is_pypi_name(name) else NO_REFERENCE
    return Reference(
        Form.URL,
        project=egg[1] if egg else project,
        repo_url=_without_revision(text),
        slug=_page_slug(_PAGE.search(parts.path)),
    )


def _page_slug(match: re.Match[str] | None) -> str:
    """Return the slug in a match of `_PAGE`; empty without a match."""
    return unquote(match[1]).replace("\0", "") if match else ""


def _without_revision(url: str) -> str:
    """Return a URL without `git+`, the revision after an `@`, and the fragment.

    >>> _without_revision("git+ssh://git@github.com/Suor/django-cacheops.git@master#egg=x")
    'ssh://git@github.com/Suor/django-cacheops.git'
    """
    url = re.sub(r"^\w+\+", "", url.partition("#")[0])
    return _REVISION.sub(r"\1", url)


def _parse_line(line: str, index_hosts: Collection[str]) -> Reference:
    """Return what a line of a requirement or lock file refers to; nothing for other texts."""
    unmarked = _EDITABLE.sub("", _HEADER.sub("", _BULLET.sub("", line)))
    unmarked = _CHANNEL.sub("", unmarked)
    for parse in (_parse_named, _parse_source, _parse_toml, _parse_json, _parse_list, _parse_requirement):
        reference = parse(unmarked, index_hosts)
        if reference:
            return reference
    return _parse_marked_name(line, unmarked, index_hosts)


def _parse_marked_name(line: str, unmarked: str, index_hosts: Collection[str]) -> Reference:
    """Parse a bare name or URL whose line marks it as a requirement: `- name`, `-e URL` or `name  # comment`."""
    bare = re.sub(r"\s+#.*$", "", unmarked)
    if bare == line:
        return NO_REFERENCE
    first = bare.partition(",")[0]
    return _as_requirement(_parse_url(bare, index_hosts) or _parse_name(first))


def _parse_named(line: str, _index_hosts: Collection[str]) -> Reference:
    """Parse `name = "django-q"`, the first line of a package in a lock file."""
    match = _NAMED.match(line)
    return Reference(Form.REQUIREMENT, project=match[1]) if match and not match[1][0].isdigit() else NO_REFERENCE


def _parse_source(line: str, index_hosts: Collection[str]) -> Reference:
    """Parse `{file = "name-1.0.tar.gz"`, `git = "URL"` and other lines of lock files without the project's name."""
    match = _SOURCE.match(line)
    archive = _ARCHIVE.match(match[1]) if match else None
    if archive:
        return Reference(Form.REQUIREMENT, project=archive[1])
    return _as_requirement(_parse_url(match[1].partition("?")[0], index_hosts)) if match else NO_REFERENCE


def _parse_toml(line: str, index_hosts: Collection[str]) -> Reference:
    match = _TOML.match(line)
    if match is None or (match["table"] and not _TABLE_KEY.search(match["table"])):
        return NO_REFERENCE
    url = _TABLE_URL.search(match["table"] or "")
    source = _parse_url(url[1], index_hosts) if url else NO_REFERENCE
    return Reference(Form.REQUIREMENT, project=match[1], repo_url=source.repo_url)


def _parse_json(line: str, _index_hosts: Collection[str]) -> Reference:
    match = _JSON.match(line)
    return Reference(Form.REQUIREMENT, project=match[1]) if match else NO_REFERENCE


def _parse_list(line: str, index_hosts: Collection[str]) -> Reference:
    """Parse `dependencies = ["django-q>=1"]`: the first item counts."""
    match = _LIST.match(line)
    if match is None:
        return NO_REFERENCE
    quote = match["first"][0]
    first = match["first"][1:].partition(quote)[0]
    return _parse_requirement(first, index_hosts) or _as_requirement(_parse_name(first))


def _parse_requirement(line: str, index_hosts: Collection[str]) -> Reference:
    line = re.sub(r"\s+#.*$", "", line)
    item = _ITEM.match(line)
    if item:
        return Reference(Form.REQUIREMENT, project=item[1])
    quoted = re.match(r"""^(["'])(.*?)\1\s*[,\]]*$""", line)
    line = quoted[2] if quoted else line.strip("\"',")
    direct = _DIRECT.match(line)
    if direct:
        source = _parse_url(direct["url"], index_hosts)
        return Reference(Form.REQUIREMENT, project=direct[1], repo_url=source.repo_url)
    url_part = re.split(r"\s+(?=;|--)", line)[0]
    parsers: tuple[Callable[[str], re.Match[str] | None], ...] = (
        _ARCHIVE.match,
        *(pattern.match for pattern in _REQUIREMENTS),
    )
    match = next(filter(None, (parse(line) for parse in parsers)), None)
    if match:
        return Reference(Form.REQUIREMENT, project=match[1])
    return _as_requirement(_parse_url(url_part, index_hosts)) if quoted or url_part != line else NO_REFERENCE


def _as_requirement(reference: Reference) -> Reference:
    if not reference:
        return NO_REFERENCE
    return Reference(Form.REQUIREMENT, reference.project, reference.repo_url, reference.slug)
