"""Repository URLs: read in all forms that users paste, and reduced to the URL of the repository's main page.

The rules of each host about what is a repository and what is a page are in `code_hosts`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from pkgsite.errors import Invalid
from pkgsite.rules.code_hosts.hosts import layout_for
from pkgsite.rules.code_hosts.paths import UrlPath, decode

EXAMPLE = "Enter a repository URL, such as https://github.com/owner/name."

# git@host:path; without a user, the path must have a slash.
_SCP = re.compile(r"^(?:(?P<user>[\w.+-]+)@)?(?P<host>[\w-]+(?:\.[\w-]+)+):(?!//)(?P<path>/*[^\s/][^\s]*)$")
# ssh://git@host:path, a mixture of both forms
_SSH_WITH_COLON = re.compile(
    r"^(?:git\+|hg\+|bzr\+|svn\+)?ssh://(?:[^/@\s]*@)?(?P<host>[\w.-]+\.[\w-]+):(?!\d+(?:/|$))(?P<path>[^\s]+)$",
    re.IGNORECASE,
)
_COMMAND = re.compile(
    r"^(?:\$ *)?(?:(?:git|hg) +clone|bzr +branch|svn +(?:co|checkout)|gh +repo +clone) +(?P<arguments>\S.*)$"
)
_OPTIONS_WITH_VALUE = {"-b", "--branch", "-o", "--origin", "--depth", "-c", "--config", "-j", "--jobs", "-r", "--rev"}
_CODECOMMIT = re.compile(r"^codecommit::(?P<region>[a-z0-9-]+)://(?:[^/@]+@)?(?P<name>[^/]+)$")
_SCHEME = re.compile(r"^(?:(?:scm:)?git:(?=https?://|ssh://)|(?P<vcs>git|hg|bzr|svn)\+)?(?P<scheme>[a-z-]+)$")
_SHORTCUT = re.compile(r"^(?P<name>[a-z]+):(?!//)(?P<path>[\w~][^\s:]*)$", re.IGNORECASE)
_SHORTCUT_HOSTS = {
    "github": "github.com",
    "gh": "github.com",
    "gitlab": "gitlab.com",
    "gl": "gitlab.com",
    "bitbucket": "bitbucket.org",
    "bb": "bitbucket.org",
    "codeberg": "codeberg.org",
    "sourcehut": "git.sr.ht",
    "lp": "launchpad.net",
}
_OWNER_AND_NAME_HOSTS = {"github.com", "bitbucket.org", "codeberg.org"}
_WEB_SCHEMES = {"http", "https"}
_CLONE_SCHEMES = {"ssh", "git", "svn", "bzr", "static-http"}
_DEFAULT_PORTS = {None, 80, 443}
_HOST = re.compile(r"[a-z0-9_-]+(?:\.[a-z0-9_-]+)+")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\\]")
_SAFE = "~!$&'()*+,;=:@"


@dataclass(frozen=True, slots=True)
class RepoRef:
    """A repository on a code host; `host` includes the port if it is not the default."""

    kind: str  # "github", "gitlab", "bitbucket", "forgejo"
    host: str
    path: str  # "owner/name"; on GitLab possibly with subgroups

    @property
    def key(self) -> str:
        """A key that is the same for all URLs of the repository."""
        return f"{self.host}/{self.path}".lower()


@dataclass(frozen=True, slots=True)
class RepoAddress:
    """What a repository URL names.

    Attributes:
        url: The URL of the repository's main page. Upper case is kept for display; `repo_key` ignores it.
        host: Its host, with the port if it is not the default.
        path: Its path, without a slash at either end.
        directory: The directory within the repository that the URL names, such as "packages/core"; "" for the root.
    """

    url: str
    host: str
    path: str
    directory: str = ""


@dataclass(frozen=True, slots=True)
class _Parts:
    host: str
    path: str
    query: str = ""
    fragment: str = ""
    is_clone_url: bool = False  # its port and the case of its host say nothing about the page


def parse_repo_address(url: str, host_kinds: Mapping[str, str]) -> RepoAddress:
    """Return the repository and directory that a URL names.

    Args:
        url: HTTP, SSH, Git or SCP-style URL, with or without scheme, possibly of a page within the repository, of its
            API, or in a clone command.
        host_kinds: Kinds of the hosts in the settings, by host. The rules of other well-known hosts are built in; on
            an unknown host, the entire path is the repository's.

    Raises:
        Invalid: This is not a repository URL; the message under "repo_url" says what it is, and what to enter.
    """
    parts = _split(_clean(url))
    host = _host_in_settings(parts, host_kinds)
    page = UrlPath(host, decode(parts.path), _query(parts.query), parts.path.endswith("/"))
    _check_segments(page.segments)
    repo = layout_for(host, host_kinds.get(host))(page)
    _check_segments(repo.segments)
    path = "/".join(quote(segment, safe=_SAFE) for segment in repo.segments)
    directory = "/".join(part for part in repo.directory.split("/") if part) or _fragment_directory(parts.fragment)
    if repo.query:
        query = quote(repo.query, safe=f"{_SAFE}/")
        slash = "/" if path and "." not in repo.segments[-1] else ""  # not after a script such as gitweb.cgi
        return RepoAddress(f"https://{repo.host}/{path}{slash}?p={query}", repo.host, path, directory)
    return RepoAddress(f"https://{repo.host}/{path}", repo.host, path, directory)


def normalise_repo_url(url: str, host_kinds: Mapping[str, str]) -> str:
    """Return the URL of a repository's main page, from any form that users paste.

    Args:
        url, host_kinds: As for `parse_repo_address`.

    Raises:
        Invalid: As for `parse_repo_address`.
    """
    return parse_repo_address(url, host_kinds).url


def repo_key(url: str) -> str:
    """Return a key that is the same for all normalised URLs of a repository: no scheme, case or trailing slash."""
    return url.partition("://")[2].rstrip("/").removesuffix(".git").lower()


def parse_repo_ref(url: str, host_kinds: Mapping[str, str]) -> RepoRef | None:
    """Return the repository of a URL, or None if its host is not one of those in the settings."""
    try:
        address = parse_repo_address(url, host_kinds)
    except Invalid:
        return None
    kind = host_kinds.get(address.host)
    return RepoRef(kind, address.host, address.path) if kind else None


def _clean(text: str) -> str:
    """Return the URL in a text: without quotes or brackets around it, or the command that clones it."""
    text = text.strip().rstrip(",;").strip("<>\"'`").strip()
    command = _COMMAND.match(text)
    if not command:
        return text
    words = iter(command["arguments"].split())
    for word in words:
        if word in _OPTIONS_WITH_VALUE:
            next(words, None)
        elif not word.startswith("-"):
            is_github_name = text.removeprefix("$").lstrip().startswith("gh ") and word.count("/") == 1
            return f"https://github.com/{word}" if is_github_name else word.strip("<>\"'`")
    return ""


def _split(text: str) -> _Parts:
    """Return the parts of a URL in any form."""
    if not text:
        raise Invalid({"repo_url": [EXAMPLE]})
    mixed = _SSH_WITH_COLON.match(text)
    if mixed:
        return _clone_parts(mixed["host"], mixed["path"])
    if "://" in text:
        codecommit = _CODECOMMIT.match(text)
        if codecommit:
            host = f"git-codecommit.{codecommit['region']}.amazonaws.com"
            return _clone_parts(host, f"v1/repos/{codecommit['name']}")
        return _split_url(text)
    shortcut = _SHORTCUT.match(text)
    if shortcut and shortcut["name"].lower() in _SHORTCUT_HOSTS:
        return _clone_parts(_SHORTCUT_HOSTS[shortcut["name"].lower()], shortcut["path"])
    scp = _SCP.match(text)
    if scp and scp["host"].lower() in _OWNER_AND_NAME_HOSTS and re.fullmatch(r"\d+(?:/[^/]+){2}", scp["path"]):
        return _clone_parts(scp["host"], scp["path"].partition("/")[2])  # a port, since these paths have two segments
    if scp and (scp["user"] or ("/" in scp["path"] and not re.match(r"\d+/", scp["path"]))):
        return _clone_parts(scp["host"], scp["path"])
    return _split_url(f"https://{text.lstrip('/')}")


def _clone_parts(host: str, path: str) -> _Parts:
    path, _, fragment = path.partition("#")
    return _Parts(_normalise_host(host), _before_revision(path.partition("?")[0]), "", fragment, True)


def _split_url(url: str) -> _Parts:
    try:
        parts = urlsplit(re.sub(r"^(?:scm:)?git:(?=\w+://)", "", url, flags=re.IGNORECASE))
        port = parts.port
    except ValueError:
        raise _error("This is not a valid URL.") from None
    scheme = _SCHEME.match(parts.scheme.lower())
    name = scheme["scheme"] if scheme else ""
    if name not in _WEB_SCHEMES | _CLONE_SCHEMES:
        raise _error("The URL must start with https://, or be a Git clone URL.")
    host = _normalise_host(parts.hostname or "")
    is_pip_url = bool(scheme and scheme["vcs"])
    path = _before_revision(parts.path) if is_pip_url or ".git@" in parts.path.lower() else parts.path
    if name in _CLONE_SCHEMES:
        return _Parts(host, path, "", parts.fragment, True)
    return _Parts(host if port in _DEFAULT_PORTS else f"{host}:{port}", path, parts.query, parts.fragment)


def _before_revision(path: str) -> str:
    """Return the path of a clone URL without its revision, as in `owner/name.git@main`."""
    suffix = re.match(r"^(.*?\.git)@", path, re.IGNORECASE)
    if suffix:
        return suffix[1]
    before, at, _ = path.rpartition("@")
    return before if at and before and not before.endswith("/") else path


def _normalise_host(name: str) -> str:
    name = name.lower().rstrip(".")
    try:
        name = name if name.isascii() else name.encode("idna").decode()
    except UnicodeError:
        raise _error("The URL's host name is not valid.") from None
    if "." not in name:
        raise _error("The URL must include a host name.")
    if not _HOST.fullmatch(name):
        raise _error("The URL's host name is not valid.")
    while name.startswith("www.") and "." in name[4:]:
        name = name[4:]
    return name


def _host_in_settings(parts: _Parts, host_kinds: Mapping[str, str]) -> str:
    """Return the host, with the port of its pages if the URL is for cloning and the settings name this port."""
    if parts.is_clone_url and parts.host not in host_kinds:
        with_port = [host for host in host_kinds if host.partition(":")[0] == parts.host]
        if len(with_port) == 1:
            return with_port[0]
    return parts.host


def _query(query: str) -> dict[str, str]:
    return dict(parse_qsl(query.replace(";", "&"), max_num_fields=100)) if query.count("&") < 90 else {}


def _fragment_directory(fragment: str) -> str:
    """Return the directory in a fragment such as `egg=name&subdirectory=packages/core`."""
    match = re.search(r"(?:^|&)subdirectory=([^&]+)", fragment)
    return "/".join(part for part in unquote(match[1]).split("/") if part) if match else ""


def _check_segments(segments: list[str]) -> None:
    if any(segment in {".", ".."} or _CONTROL.search(segment) or not segment.strip() for segment in segments):
        raise _error("The URL contains characters that are not allowed in repository URLs.")


def _error(problem: str) -> Invalid:
    return Invalid({"repo_url": [f"{problem} {EXAMPLE}"]})
