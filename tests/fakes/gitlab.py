"""A fake GitLab API v4: pagination by Link header, moved projects by id, fewer fields without a token."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from typing import Any
from urllib.parse import quote, unquote, urlencode

from tests.fakes.rest_host import FakeCommit, FakeHost, FakeRepository, paginate
from tests.fakes.v4_site import WsgiApp, response

MAX_PER_PAGE = 100
ONLY_WITH_TOKEN = ("open_issues_count", "archived", "empty_repo", "issues_enabled")


class FakeGitLab(FakeHost):
    """Implements the API of a GitLab host.

    Attributes:
        hidden_code_status: Status for hidden code.
        empty_repository_status: Status for the commits of an empty repository; None for an empty list.
        has_sequence: Whether it supports sequence numbers of commits, like newer versions.
    """

    hidden_code_status = "403 Forbidden"
    empty_repository_status: str | None = "404 Not Found"
    has_sequence = True
    probe_path = "/api/v4/version"

    def probe_response(self, environ: dict[str, Any]) -> WsgiApp:
        if "HTTP_AUTHORIZATION" in environ:
            return response("200 OK", {"version": "18.7.0"})
        return response("401 Unauthorized", {"message": "401 Unauthorized"})

    def respond(self, root: str, path: str, query: dict[str, str]) -> WsgiApp:
        project_id, *rest = path.removeprefix("/api/v4/projects/").split("/")
        moved = self.moved.get(unquote(project_id))
        if moved:
            location = "/".join([f"{root}/api/v4/projects/{moved.id}", *rest])
            return response("301 Moved Permanently", b"", Location=f"{location}?{urlencode(query)}".rstrip("?"))
        repository = (
            self.by_id(int(project_id)) if project_id.isdecimal() else self.repositories.get(unquote(project_id))
        )
        if not repository:
            return error_response("404 Not Found", "Project")
        if not rest:
            return response("200 OK", self.project_body(repository, query))
        if repository.hides_code:
            return error_response(self.hidden_code_status, "Project")
        match rest:
            case ["repository", "commits"]:
                return self.commits(root, path, repository, query)
            case ["repository", "commits", sha, "sequence"] if self.has_sequence:
                shas = [commit.sha for commit in reversed(repository.commits)]
                return response("200 OK", {"count": shas.index(unquote(sha)) + 1})
            case ["repository", "contributors"]:
                return self.contributors(root, path, repository, query)
        return error_response("404 Not Found", "")

    def project_body(self, repository: FakeRepository, query: dict[str, str]) -> dict[str, Any]:
        body = project_record(repository)
        if query.get("license") == "true":
            body |= {"license_url": None, "license": {"key": "mit", "name": "MIT License", "nickname": None}}
        if "HTTP_AUTHORIZATION" not in self.request_headers[-1]:
            body = {name: value for name, value in body.items() if name not in ONLY_WITH_TOKEN}
        if repository.hides_code:
            del body["default_branch"], body["forks_count"]
        return body | repository.fields

    def commits(self, root: str, path: str, repository: FakeRepository, query: dict[str, str]) -> WsgiApp:
        if not repository.commits and self.empty_repository_status:
            return error_response(self.empty_repository_status, "Repository")
        since = datetime.fromisoformat(query.get("since", "0001-01-01T00:00:00Z"))
        commits = [commit for commit in repository.commits if commit.committed_at >= since]
        page, _ = paginate(commits, query, "per_page", 20, MAX_PER_PAGE)
        # GitLab does not count the commits: a full page always has a next one, which may be empty.
        is_full = len(page) == min(int(query.get("per_page", 20)), MAX_PER_PAGE)
        return response(
            "200 OK", [commit_body(commit) for commit in page], **pagination_headers(root, path, query, is_full)
        )

    def contributors(self, root: str, path: str, repository: FakeRepository, query: dict[str, str]) -> WsgiApp:
        assert (query.get("order_by"), query.get("sort")) == ("commits", "desc")
        counts = Counter((commit.name, email_of(commit)) for commit in repository.commits)
        page, pages = paginate(counts.most_common(), query, "per_page", 20, MAX_PER_PAGE)
        body = [
            {"name": name, "email": email, "commits": count, "additions": 0, "deletions": 0}
            for (name, email), count in page
        ]
        return response("200 OK", body, **pagination_headers(root, path, query, int(query.get("page", 1)) < pages))


def pagination_headers(root: str, path: str, query: dict[str, str], has_next: bool) -> dict[str, str]:
    """Return the pagination headers of a page; the linked URLs are wrong, as they may be behind a proxy."""
    page_number = int(query.get("page", 1))
    links = [f'<{root}/astray{path}?{urlencode(query | {"page": "1"})}>; rel="first"']
    if has_next:
        links.insert(0, f'<{root}/astray{path}?{urlencode(query | {"page": str(page_number + 1)})}>; rel="next"')
    return {
        "Link": ", ".join(links),
        "X_Page": str(page_number),
        "X_Next_Page": str(page_number + 1) if has_next else "",
    }


def error_response(status: str, noun: str) -> WsgiApp:
    return response(status, {"message": f"{status} {noun}".strip()})


def email_of(commit: FakeCommit) -> str:
    return f"{commit.login or 'someone'}@example.org"


def project_record(repository: FakeRepository) -> dict[str, Any]:
    """Return a project as returned with a token."""
    return {
        "id": repository.id,
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


def commit_body(commit: FakeCommit) -> dict[str, Any]:
    committed_at = commit.committed_at.isoformat(timespec="milliseconds")
    return {
        "id": commit.sha,
        "short_id": commit.sha[:8],
        "created_at": committed_at,
        "parent_ids": [],
        "title": "Change one thing",
        "message": "Change one thing\n",
        "author_name": commit.name,
        "author_email": email_of(commit),
        "authored_date": "2001-01-01T00:00:00.000Z",
        "committer_name": commit.name,
        "committer_email": email_of(commit),
        "committed_date": committed_at,
    }
