"""A GitLab host, as its API v4 speaks: paging by Link, moved projects by number, less told without a token."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from typing import Any
from urllib.parse import quote, unquote, urlencode

from tests.fakes.rest_host import FakeCommit, FakeHost, FakeRepository, page_of
from tests.fakes.v4_site import Answer, answer

MOST_PER_PAGE = 100
ONLY_WITH_TOKEN = ("open_issues_count", "archived", "empty_repo", "issues_enabled")


class FakeGitLab(FakeHost):
    """Speaks as one GitLab does.

    Attributes:
        hidden: How it refuses code that it hides.
        lost: How it answers for the commits of an empty repository; None: by an empty list.
        counts: Whether it knows the sequence of a commit, as newer versions do.
    """

    hidden = "403 Forbidden"
    lost: str | None = "404 Not Found"
    counts = True
    landmark = "/api/v4/version"

    def shows_itself(self, environ: dict[str, Any]) -> Answer:
        if "HTTP_AUTHORIZATION" in environ:
            return answer("200 OK", {"version": "18.7.0"})
        return answer("401 Unauthorized", {"message": "401 Unauthorized"})

    def answer(self, root: str, path: str, query: dict[str, str]) -> Answer:
        written, *rest = path.removeprefix("/api/v4/projects/").split("/")
        moved = self.moved.get(unquote(written))
        if moved:
            place = "/".join([f"{root}/api/v4/projects/{moved.number}", *rest])
            return answer("301 Moved Permanently", b"", Location=f"{place}?{urlencode(query)}".rstrip("?"))
        found = self.by_number(written) if written.isdecimal() else self.repositories.get(unquote(written))
        if not found:
            return refusal("404 Not Found", "Project")
        if not rest:
            return answer("200 OK", self.shown(found, query))
        if found.hides_code:
            return refusal(self.hidden, "Project")
        match rest:
            case ["repository", "commits"]:
                return self.commits(root, path, found, query)
            case ["repository", "commits", sha, "sequence"] if self.counts:
                shas = [commit.sha for commit in reversed(found.commits)]
                return answer("200 OK", {"count": shas.index(unquote(sha)) + 1})
            case ["repository", "contributors"]:
                return self.contributors(root, path, found, query)
        return refusal("404 Not Found", "")

    def by_number(self, written: str) -> FakeRepository | None:
        return next((found for found in self.repositories.values() if found.number == int(written)), None)

    def shown(self, repository: FakeRepository, query: dict[str, str]) -> dict[str, Any]:
        told = project(repository)
        if query.get("license") == "true":
            told |= {"license_url": None, "license": {"key": "mit", "name": "MIT License", "nickname": None}}
        if "HTTP_AUTHORIZATION" not in self.heads[-1]:
            told = {name: value for name, value in told.items() if name not in ONLY_WITH_TOKEN}
        if repository.hides_code:
            del told["default_branch"], told["forks_count"]
        return told | repository.fields

    def commits(self, root: str, path: str, repository: FakeRepository, query: dict[str, str]) -> Answer:
        if not repository.commits and self.lost:
            return refusal(self.lost, "Repository")
        since = datetime.fromisoformat(query.get("since", "0001-01-01T00:00:00Z"))
        commits = [commit for commit in repository.commits if commit.at >= since]
        page, _ = page_of(commits, query, "per_page", 20, MOST_PER_PAGE)
        # It does not count the commits: a page that is full has a next one, and that may be empty.
        is_full = len(page) == min(int(query.get("per_page", 20)), MOST_PER_PAGE)
        return answer("200 OK", [shown_commit(commit) for commit in page], **linked(root, path, query, is_full))

    def contributors(self, root: str, path: str, repository: FakeRepository, query: dict[str, str]) -> Answer:
        assert (query.get("order_by"), query.get("sort")) == ("commits", "desc")
        counted = Counter((commit.name, mail_of(commit)) for commit in repository.commits)
        page, pages = page_of(counted.most_common(), query, "per_page", 20, MOST_PER_PAGE)
        told = [
            {"name": name, "email": email, "commits": count, "additions": 0, "deletions": 0}
            for (name, email), count in page
        ]
        return answer("200 OK", told, **linked(root, path, query, int(query.get("page", 1)) < pages))


def linked(root: str, path: str, query: dict[str, str], has_next: bool) -> dict[str, str]:
    """Return the heads that tell where a page stands; the addresses lead astray, as behind a proxy."""
    number = int(query.get("page", 1))
    links = [f'<{root}/astray{path}?{urlencode(query | {"page": "1"})}>; rel="first"']
    if has_next:
        links.insert(0, f'<{root}/astray{path}?{urlencode(query | {"page": str(number + 1)})}>; rel="next"')
    return {"Link": ", ".join(links), "X_Page": str(number), "X_Next_Page": str(number + 1) if has_next else ""}


def refusal(status: str, noun: str) -> Answer:
    return answer(status, {"message": f"{status} {noun}".strip()})


def mail_of(commit: FakeCommit) -> str:
    return f"{commit.login or 'someone'}@example.org"


def project(repository: FakeRepository) -> dict[str, Any]:
    """Return all that a project's page tells to those who have a token."""
    return {
        "id": repository.number,
        "description": "Does one thing.",
        "name": repository.path.rpartition("/")[2],
        "path_with_namespace": repository.path,
        "created_at": "2020-01-02T03:04:05.678Z",
        "default_branch": "main",
        "tag_list": ["django", "admin"],
        "topics": ["django", "admin"],
        "web_url": f"https://git.example.org/{quote(repository.path)}",
        "readme_url": None,
        "forks_count": 3,
        "star_count": 12,
        "last_activity_at": "2026-01-02T03:04:05.678Z",
        "empty_repo": not repository.commits,
        "archived": False,
        "visibility": "public",
        "issues_enabled": True,
        "open_issues_count": 4,
    }


def shown_commit(commit: FakeCommit) -> dict[str, Any]:
    at = commit.at.isoformat(timespec="milliseconds")
    return {
        "id": commit.sha,
        "short_id": commit.sha[:8],
        "created_at": at,
        "parent_ids": [],
        "title": "Change one thing",
        "message": "Change one thing\n",
        "author_name": commit.name,
        "author_email": mail_of(commit),
        "authored_date": "2001-01-01T00:00:00.000Z",
        "committer_name": commit.name,
        "committer_email": mail_of(commit),
        "committed_date": at,
    }
