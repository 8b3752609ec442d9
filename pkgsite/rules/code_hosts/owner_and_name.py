"""Hosts whose repositories have an owner and a name: GitHub, Bitbucket, Forgejo and others."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pkgsite.rules.code_hosts.paths import (
    REF,
    RepoPath,
    UrlPath,
    before_revision,
    example_for,
    refusal,
    repository_names,
    words,
)

_GITHUB_PAGES: Mapping[str, str] = {
    "enterprises": "the page of a GitHub enterprise",
    "gist": "a GitHub gist",
    "orgs": "a page of a GitHub organization",
    "organizations": "a page of a GitHub organization",
    "sponsors": "a GitHub Sponsors page",
    "stars": "a list of starred repositories on GitHub",
    "topics": "a list of repositories on GitHub",
    "trending": "a list of repositories on GitHub",
    "users": "a page of a GitHub user",
    **dict.fromkeys(
        words(
            "about account advisories apps codespaces collections contact copilot customer-stories dashboard "
            "discussions enterprise events explore features issues join login logout marketplace mobile new "
            "notifications pricing pulls readme repos repositories resources search security sessions settings "
            "signup site solutions team watching"
        ),
        "a page of GitHub",
    ),
}
_BITBUCKET_PAGES: Mapping[str, str] = {
    "snippets": "a Bitbucket snippet",
    **dict.fromkeys(words("account api blog dashboard product repo repositories site socialauth support"),
                    "a page of Bitbucket"),
}  # fmt: skip
_FORGEJO_PAGES: Mapping[str, str] = {
    "org": "a page of an organization",
    "explore": "a list of repositories",
    **dict.fromkeys(
        words(
            "-admin admin api assets attachments avatars captcha ghost issues login metrics milestones notifications "
            "pulls repo repo-avatars search stars swagger user v2 .well-known"
        ),
        "a page of the site",
    ),
}
_GITEE_PAGES: Mapping[str, str] = {
    "organizations": "a page of a Gitee organization",
    **dict.fromkeys(
        words(
            "api dashboard education enterprises explore gists help login notifications profile search signup topics"
        ),
        "a page of Gitee",
    ),
}
_TREE = re.compile(rf"^tree/{REF}/(?P<directory>.+)$")
_BITBUCKET_TREE = re.compile(rf"^src/{REF}/(?P<directory>.+)$")
_SOURCEHUT_TREE = re.compile(rf"^tree/{REF}/item/(?P<directory>(?:[^/]+/)*[^/.]+)$")
# Files have the same URLs as directories; names with a dot, in upper case or ending with "file" are taken for files.
_FORGEJO_TREE = re.compile(
    rf"^src/(?:branch|tag|commit)/{REF}/(?P<directory>(?:[^/]+/)*(?![^/]*file$)[^/.]*[a-z][^/.]*)$"
)


@dataclass(frozen=True, slots=True)
class _OwnerAndName:
    """A host whose repositories have an owner and a name; everything after that is a page.

    Attributes:
        title: What the host is called in messages; "" for its host name.
        pages: What pages are, by the first segment of their paths; no owner can have these names.
        api: The segments before "repos" in URLs of the host's API on the same host.
        tree: Matches the path of a directory after owner and name.
    """

    title: str = ""
    pages: Mapping[str, str] = field(default_factory=dict)
    api: tuple[str, ...] = ()
    tree: re.Pattern[str] = _TREE

    def __call__(self, url: UrlPath) -> RepoPath:
        segments = url.segments
        if self.api and tuple(segments[: len(self.api)]) == self.api:
            segments = segments[len(self.api) :]
            if segments[:1] not in (["repos"], ["repositories"]):
                raise refusal(f"a URL of the API of {self.title or url.host}", example_for(url.host))
            segments = segments[1:]
        segments = before_revision(segments)
        if segments and segments[0].lower() in self.pages:
            raise refusal(self.pages[segments[0].lower()], example_for(url.host))
        if segments[1:2] == ["-"] and len(segments) > 2:
            segments = segments[:1]
        names = repository_names(url.host, segments[:2])
        self._require_two(url.host, names)
        match = self.tree.match("/".join(segments[2:]))
        is_file = self.tree is _BITBUCKET_TREE and not url.is_directory
        return RepoPath(url.host, names, match["directory"] if match and not is_file else "")

    def _require_two(self, host: str, names: Sequence[str]) -> None:
        title = self.title or host
        if not names:
            raise refusal(f"the address of {title}", example_for(host))
        if len(names) == 1:
            instead = f"Enter the URL of one of its repositories, such as https://{host}/{names[0]}/name."
            raise refusal(f"the page of a user or an organization on {title}", instead)


github = _OwnerAndName("GitHub", _GITHUB_PAGES, ("api", "v3"))
_bitbucket = _OwnerAndName("Bitbucket", _BITBUCKET_PAGES, ("!api", "2.0"), _BITBUCKET_TREE)
forgejo = _OwnerAndName("", _FORGEJO_PAGES, ("api", "v1"), _FORGEJO_TREE)
gitee = _OwnerAndName("Gitee", _GITEE_PAGES, ("api", "v5"))
sourcehut_repositories = _OwnerAndName(tree=_SOURCEHUT_TREE)
owner_and_name = _OwnerAndName()


def github_files(url: UrlPath) -> RepoPath:
    """raw.githubusercontent.com: files of repositories, and those of their wikis below `/wiki`."""
    segments = url.segments[1:] if url.segments[:1] == ["wiki"] else url.segments
    return github(UrlPath("github.com", segments, url.query, url.is_directory))


def bitbucket_cloud(url: UrlPath) -> RepoPath:
    if len(url.segments) > 2 and url.segments[1] in {"workspace", "profile"}:
        raise refusal("a page of a Bitbucket workspace", example_for(url.host))
    return _bitbucket(url)
