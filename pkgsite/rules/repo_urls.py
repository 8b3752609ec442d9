"""Repository URLs: normalised from all forms that users paste, and split into host and path."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import takewhile
from urllib.parse import unquote, urlsplit

from pkgsite.errors import Invalid

# Path segments that start a page within a repository.
_SUBPAGES = frozenset(
    {"-", "blob", "branches", "commit", "commits", "compare", "issues", "merge_requests", "milestone", "milestones"}
    | {"pull", "pulls", "raw", "releases", "settings", "src", "tags", "tree", "wiki"}
)
_SCP = re.compile(r"^(?:[\w.+-]+@)?([\w.-]+\.[\w-]+):(?!//)([^\s]+)$")
_SCHEMES = {"http", "https", "ssh", "git", "git+https", "git+http", "git+ssh"}
_WEB_PORTS = {None, 80, 443}
_SEGMENT = re.compile(r"^[\w.~+-]+$")
_NESTED_KINDS = {"gitlab"}  # hosts on which repositories can be in nested groups


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


def normalise_repo_url(url: str, host_kinds: Mapping[str, str]) -> str:
    """Return the URL of a repository's main page, from any form that users paste.

    Upper case is kept for display; `repo_key` ignores it.

    Args:
        url: HTTP, SSH, Git or SCP-style URL, with or without scheme, possibly of a page within the repository.
        host_kinds: Kinds of the known hosts, by host; on other hosts, repository paths have two segments.

    Raises:
        Invalid: This is not a repository URL; the field is "repo_url".
    """
    host, port, path = _split_url(url.strip())
    host_with_port = host if port is None else f"{host}:{port}"
    segments = _repo_segments(path, host_kinds.get(host_with_port, ""))
    if len(segments) < 2:
        raise _error("Enter a repository URL, such as https://github.com/owner/name.")
    return f"https://{host_with_port}/{'/'.join(segments)}"


def repo_key(url: str) -> str:
    """Return a key that is the same for all normalised URLs of a repository: no scheme, case or trailing slash."""
    return url.partition("://")[2].rstrip("/").removesuffix(".git").lower()


def parse_repo_ref(url: str, host_kinds: Mapping[str, str]) -> RepoRef | None:
    """Return the repository of a URL, or None if its host is not a known code host."""
    try:
        host, port, path = _split_url(url.strip())
        host_with_port = host if port is None else f"{host}:{port}"
        kind = host_kinds.get(host_with_port)
        segments = _repo_segments(path, kind) if kind else []
    except Invalid:
        return None
    return RepoRef(kind, host_with_port, "/".join(segments)) if kind and len(segments) >= 2 else None


def _split_url(url: str) -> tuple[str, int | None, str]:
    """Return the host, the port (if it is not a default one) and the path of a URL in any form."""
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
