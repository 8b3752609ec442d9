"""Paths of URLs, and what layouts have in common: layouts return the repository that a path names."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from urllib.parse import unquote

from pkgsite.errors import Invalid


@dataclass(frozen=True, slots=True)
class UrlPath:
    """The parts of a URL that a layout reads.

    Attributes:
        host: The host, with its port if it is not the default one.
        segments: The segments of the path, decoded, without empty ones.
        query: The query's parameters.
        is_directory: Whether the path ends with a slash.
    """

    host: str
    segments: list[str]
    query: Mapping[str, str] = field(default_factory=dict)
    is_directory: bool = False


@dataclass(frozen=True, slots=True)
class RepoPath:
    """A repository on a host.

    Attributes:
        host: The host of the repository's main page.
        segments: The segments of its path.
        directory: The directory within the repository that the URL names; "" for the root.
        query: The query that names the repository, on hosts without a path for it.
    """

    host: str
    segments: list[str]
    directory: str = ""
    query: str = ""


Layout = Callable[[UrlPath], RepoPath]

# A branch or tag. URLs do not tell the slashes in its name from those of the path; the usual prefixes are known.
REF = (
    r"(?:refs/(?:heads|tags)/)?(?:(?:branch|bugfix|debian|dependabot|dev|feat|feature|fix|hotfix|maint|release|releases|"
    r"renovate|stable|support|topic|users|wip)/)?+[^/]+"
)
_NAME = re.compile(r"[A-Za-z0-9_.~+-]+")


def words(text: str) -> frozenset[str]:
    return frozenset(text.split())


def refusal(what: str, instead: str) -> Invalid:
    """Return the error for a URL that is not a repository's: what it is, and what to enter instead."""
    return Invalid({"repo_url": [f"This is {what}, not a repository. {instead}"]})


def unknown_host(url: UrlPath) -> RepoPath:
    """Return the whole path: only `/-/` starts a page, and a segment that ends with `.git` ends the repository."""
    project = url.query.get("p", "").strip("/")
    if project:  # gitweb names the repository in the query
        return RepoPath(url.host, list(url.segments), query=project)
    segments = before_dash(end_at_git_suffix(url.segments))
    if not segments:
        raise refusal("the address of a whole site", f"Enter a repository URL, such as https://{url.host}/name.")
    return RepoPath(url.host, segments)


def end_at_git_suffix(segments: Sequence[str]) -> list[str]:
    """Return the segments to the first one that ends with `.git`, without this suffix."""
    names: list[str] = []
    for segment in segments:
        name = strip_git_suffix(segment)
        if name:
            names.append(name)
        if name != segment:
            break
    return names


def strip_git_suffix(name: str) -> str:
    while name.lower().endswith(".git"):
        name = name[:-4]
    return name


def before_dash(segments: Sequence[str]) -> list[str]:
    return list(takewhile(lambda segment: segment != "-", segments))


def before_page(segments: Sequence[str], pages: frozenset[str], *, start: int) -> list[str]:
    """Return the segments before the first page word; the first `start` segments are never one."""
    return [*segments[:start], *takewhile(lambda segment: segment.lower() not in pages, segments[start:])]


def repository_names(host: str, segments: Sequence[str]) -> list[str]:
    """Return an owner and a name (or a path of groups) without suffixes, if they consist of allowed characters."""
    names = end_at_git_suffix(segments)
    if len(names) < len(segments) or (names and names[-1] != segments[len(names) - 1]):
        names[-1:] = [name.removesuffix(".wiki") or name for name in names[-1:]]  # the repository of a wiki
    if not all(_NAME.fullmatch(name) and name not in {".", ".."} for name in names):
        message = f"The URL contains characters that are not allowed in the names of repositories on {host}."
        raise Invalid({"repo_url": [message]})
    return names


def before_revision(segments: Sequence[str]) -> list[str]:
    """Return the segments before the revision in `owner/name@revision`."""
    names = list(segments)
    for index, segment in enumerate(names):
        if index and "@" in segment[1:]:
            return [*names[:index], segment.partition("@")[0]]
    return names


def example_for(host: str) -> str:
    return f"Enter the repository's URL, such as https://{host}/owner/name."


def same_path_on(host: str, layout: Layout, *, skip: int = 0) -> Layout:
    """Return a layout for a host that serves the files or clones of another host's repositories."""
    return lambda url: layout(UrlPath(host, url.segments[skip:], url.query, url.is_directory))


def api_of(host: str, prefixes: Sequence[tuple[str, ...]], layout: Layout) -> Layout:
    """Return a layout for the host of an API; `prefixes` are the segments before the owner in its URLs."""

    def read(url: UrlPath) -> RepoPath:
        for prefix in prefixes:
            if tuple(url.segments[: len(prefix)]) == prefix and len(url.segments) >= len(prefix) + 2:
                return layout(UrlPath(host, url.segments[len(prefix) : len(prefix) + 2]))
        raise refusal(f"a URL of the API of {host}", example_for(host))

    return read


def never(what: str, example: str = "https://github.com/owner/name") -> Layout:
    """Return a layout for a host without repositories."""

    def read(_url: UrlPath) -> RepoPath:
        raise refusal(what, f"Enter the repository's URL, such as {example}.")

    return read


def decode(path: str) -> list[str]:
    """Return the segments of a path; an encoded slash does not separate segments."""
    return [unquote(segment) for segment in path.split("/") if segment]
