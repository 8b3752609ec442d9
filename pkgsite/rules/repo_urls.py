"""Repositories' addresses: what people paste, brought into one form, and read into host and path."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import takewhile
from urllib.parse import unquote, urlsplit

from pkgsite.errors import Invalid

# Segments that begin a page within a repository rather than belong to its path.
_SUBPAGES = frozenset(
    {"-", "blob", "branches", "commit", "commits", "compare", "issues", "merge_requests", "milestone", "milestones"}
    | {"pull", "pulls", "raw", "releases", "settings", "src", "tags", "tree", "wiki"}
)
_SCP = re.compile(r"^(?:[\w.+-]+@)?([\w.-]+\.[\w-]+):(?!//)([^\s]+)$")
_SCHEMES = {"http", "https", "ssh", "git", "git+https", "git+http", "git+ssh"}
_WEB_PORTS = {None, 80, 443}
_SEGMENT = re.compile(r"^[\w.~+-]+$")
_NESTED_KINDS = {"gitlab"}  # hosts whose repositories may lie several groups deep


@dataclass(frozen=True, slots=True)
class RepoRef:
    """A repository on a code host: the kind of host, its name (with a port, where it has its own), and the path."""

    kind: str  # "github", "gitlab", "bitbucket", "forgejo"
    host: str
    path: str  # "owner/name"; on GitLab with groups in between

    @property
    def key(self) -> str:
        """What two addresses of one repository have in common."""
        return f"{self.host}/{self.path}".lower()


def normalise_repo_url(url: str, host_kinds: Mapping[str, str]) -> str:
    """Return the address of a repository's page, from any form in which people paste it.

    The case is kept for showing; `repo_key` compares without it.

    Args:
        url: A web, ssh, git or scp address, with or without scheme, possibly of a page within the repository.
        host_kinds: For each known host's name its kind; on other hosts a repository is two segments deep.

    Raises:
        Invalid: it is no repository's address; the words are under "repo_url".
    """
    host, port, path = _split_url(url.strip())
    host_with_port = host if port is None else f"{host}:{port}"
    segments = _repo_segments(path, host_kinds.get(host_with_port, ""))
    if len(segments) < 2:
        raise _error("Enter a repository URL, such as https://github.com/owner/name.")
    return f"https://{host_with_port}/{'/'.join(segments)}"


def repo_key(url: str) -> str:
    """Return what all addresses of one repository share: the part behind the scheme, without case or closing slash."""
    return url.partition("://")[2].rstrip("/").removesuffix(".git").lower()


def parse_repo_ref(url: str, host_kinds: Mapping[str, str]) -> RepoRef | None:
    """Return the repository that an address names, or None where its host is not one that we can ask."""
    try:
        host, port, path = _split_url(url.strip())
        host_with_port = host if port is None else f"{host}:{port}"
        kind = host_kinds.get(host_with_port)
        segments = _repo_segments(path, kind) if kind else []
    except Invalid:
        return None
    return RepoRef(kind, host_with_port, "/".join(segments)) if kind and len(segments) >= 2 else None


def _split_url(url: str) -> tuple[str, int | None, str]:
    """Return host, unusual port and path of an address in any form."""
    scp = _SCP.match(url)
    if scp and "://" not in url:
        return _normalise_host(scp.group(1)), None, scp.group(2)
    if "://" not in url:
        url = f"https://{url}"
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise _error("Enter a valid URL.") from None
    if parts.scheme.lower() not in _SCHEMES:
        raise _error("Enter a URL that starts with https://, or a Git clone URL.")
    is_web = parts.scheme.lower().endswith(("http", "https"))
    return _normalise_host(parts.hostname or ""), port if is_web and port not in _WEB_PORTS else None, parts.path


def _normalise_host(name: str) -> str:
    name = name.lower().rstrip(".")
    if "." not in name and not name.startswith("["):
        raise _error("The URL must include a host name, as in https://github.com/owner/name.")
    return name.removeprefix("www.")


def _repo_segments(path: str, kind: str) -> list[str]:
    segments = [segment for segment in unquote(path).split("/") if segment]
    if kind:
        segments = list(takewhile(lambda segment: segment not in _SUBPAGES, segments))
    if kind not in _NESTED_KINDS:
        segments = segments[:2]
    if segments:
        segments[-1] = segments[-1].removesuffix(".git")
    if not all(_SEGMENT.match(segment) and segment not in {".", ".."} for segment in segments):
        raise _error("The URL contains characters that are not allowed in repository names.")
    return segments


def _error(message: str) -> Invalid:
    return Invalid({"repo_url": [message]})
