"""GitLab: any number of groups, then the project; pages are after `/-/`."""

from __future__ import annotations

import re
from collections.abc import Mapping

from pkgsite.rules.code_hosts.paths import (
    REF,
    RepoPath,
    UrlPath,
    before_dash,
    before_page,
    before_revision,
    refusal,
    repository_names,
    words,
)

# Names that GitLab does not allow for projects and subgroups, since old URLs of pages have them:
# https://docs.gitlab.com/user/reserved_names/
GITLAB_RESERVED = words(
    "badges blame blob builds commits create create_dir edit files find_file new preview raw refs tree update wikis"
)
_GITLAB_PAGES: Mapping[str, str] = {
    "groups": "the page of a GitLab group",
    "users": "a page of a GitLab user",
    "snippets": "a GitLab snippet",
    "projects": "the address of a GitLab project by its number",
    "explore": "a list of projects on GitLab",
    **dict.fromkeys(
        words(
            "- .well-known admin api assets dashboard files health_check help import jwt login oauth profile public s "
            "search sitemap unsubscribes uploads v2"
        ),
        "a page of GitLab",
    ),
}
_GITLAB_TREE = re.compile(rf"^(?:-/)?tree/{REF}/(?P<directory>.+)$")


def gitlab(url: UrlPath) -> RepoPath:
    segments = _gitlab_project(url)
    example = f"Enter the project's URL, such as https://{url.host}/group/name."
    if segments and segments[0].lower() in _GITLAB_PAGES:
        raise refusal(_GITLAB_PAGES[segments[0].lower()], example)
    segments = before_revision(segments)
    path = before_page(before_dash(segments), GITLAB_RESERVED, start=2)
    names = repository_names(url.host, path)
    if not names:
        raise refusal(f"the address of {url.host}", example)
    if len(names) == 1:
        raise refusal(f"the page of a user or a group on {url.host}", example.replace("/group/", f"/{names[0]}/"))
    match = _GITLAB_TREE.match("/".join(segments[len(path) :]))
    return RepoPath(url.host, names, match["directory"] if match else "")


def _gitlab_project(url: UrlPath) -> list[str]:
    """Return the segments of a project's page, also for URLs of the API and the web editor."""
    segments = url.segments
    if segments[:2] == ["api", "v4"]:
        project = segments[3] if segments[2:3] == ["projects"] and len(segments) > 3 else ""
        if "/" not in project:
            example = f"Enter the project's URL, such as https://{url.host}/group/name."
            raise refusal(f"a URL of the API of {url.host}", example)
        return project.split("/")
    if segments[:3] == ["-", "ide", "project"]:
        return before_page(segments[3:], GITLAB_RESERVED | {"merge_requests"}, start=2)
    return segments
