"""A GitLab host, as its API v4 speaks: paging by Link, moved projects by number, less told without a token."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from typing import Any
from urllib.parse import quote, unquote, urlencode

from tests.fakes.rest_host import FakeCommit, FakeHost, FakeRepository, paginate
from tests.fakes.v4_site import Answer, response

MAX_PER_PAGE = 100
ONLY_WITH_TOKEN = ("open_issues_count", "archived", "empty_repo", "issues_enabled")


class FakeGitLab(FakeHost):
    """Speaks as one GitLab does.

    Attributes:
        hidden_code_status: How it refuses code that it hides.
        empty_repository_status: How it answers for the commits of an empty repository; None: by an empty list.
        has_sequence: Whether it knows the sequence of a commit, as newer versions do.
    """

    hidden_code_status = "403 Forbidden"
    empty_repository_status: str | None = "404 Not Found"
    has_sequence = True
    probe_path = "/api/v4/version"

    def probe_response(self, environ: dict[str, Any]) -> Answer:
        if "HTTP_AUTHORIZATION" in environ:
            return response("200 OK", {"version": "18.7.0"})
        return response("401 Unauthorized", {"message": "401 Unauthorized"})

    def respond(self, root: str, path: str, query: dict[str, str]) -> Answer:
        project_id, *rest = path.removeprefix("/api/v4/projects/").split("/")
        moved = self.moved.get(unquote(project_id))
        if moved:
            location = "/".join([f"{root}/api/v4/projects/{moved.number}", *rest])
            return response("301 Moved Permanently", b"", Location=f"{location}?{urlencode(query)}".rstrip("?"))
        found = self.by_number(project_id) if project_id.isdecimal() else self.repositories.get(unquote(project_id))
        if not found:
            return error_response("404 Not Found", "Project")
        if not rest:
            return response("200 OK", self.project_body(found, query))
        if found.hides_code:
            return error_response(self.hidden_code_status, "Project")
        match rest:
            case ["repository", "commits"]:
                return self.commits(root, path, found, query)
            case ["repository", "commits", sha, "sequence"] if self.has_sequence:
                shas = [commit.sha for commit in reversed(found.commits)]
                return response("200 OK", {"count": shas.index(unquote(sha)) + 1})
            case ["repository", "contributors"]:
                return self.contributors(root, path, found, query)
        return error_response("404 Not Found", "")

    def by_number(self, project_id: str) -> FakeRepository | None:
        return next((found for found in self.repositories.values() if found.number == int(project_id)), None)

    def project_body(self, repository: FakeRepository, query: dict[str, str]) -> dict[str, Any]:
        body = project_record(repository)
        if query.get("license") == "true":
            body |= {"license_url": None, "license": {"key": "mit", "name": "MIT License", "nickname": None}}
        if "HTTP_AUTHORIZATION" not in self.request_headers[-1]:
            body = {name: value for name, value in body.items() if name not in ONLY_WITH_TOKEN}
        if repository.hides_code:
            del body["default_branch"], body["forks_count"]
        return body | repository.fields

    def commits(self, root: str, path: str, repository: FakeRepository, query: dict[str, str]) -> Answer:
        if not repository.commits and self.empty_repository_status:
            return error_response(self.empty_repository_status, "Repository")
        since = datetime.fromisoformat(query.get("since", "0001-01-01T00:00:00Z"))
        commits = [commit for commit in repository.commits if commit.at >= since]
        page, _ = paginate(commits, query, "per_page", 20, MAX_PER_PAGE)
        # It does not count the commits: a page that is full has a next one, and that may be empty.
        is_full = len(page) == min(int(query.get("per_page", 20)), MAX_PER_PAGE)
        return response(
            "200 OK", [commit_body(commit) for commit in page], **pagination_headers(root, path, query, is_full)
        )

    def contributors(self, root: str, path: str, repository: FakeRepository, query: dict[str, str]) -> Answer:
        assert (query.get("order_by"), query.get("sort")) == ("commits", "desc")
        counted = Counter((commit.name, email_of(commit)) for commit in repository.commits)
        page, pages = paginate(counted.most_common(), query, "per_page", 20, MAX_PER_PAGE)
        body = [
            {"name": name, "email": email, "commits": count, "additions": 0, "deletions": 0}
            for (name, email), count in page
        ]
        return response("200 OK", body, **pagination_headers(root, path, query, int(query.get("page", 1)) < pages))


def pagination_headers(root: str, path: str, query: dict[str, str], has_next: bool) -> dict[str, str]:
    """Return the heads that tell where a page stands; the addresses lead astray, as behind a proxy."""
    number = int(query.get("page", 1))
    links = [f'<{root}/astray{path}?{urlencode(query | {"page": "1"})}>; rel="first"']
    if has_next:
        links.insert(0, f'<{root}/astray{path}?{urlencode(query | {"page": str(number + 1)})}>; rel="next"')
    return {"Link": ", ".join(links), "X_Page": str(number), "X_Next_Page": str(number + 1) if has_next else ""}


def error_response(status: str, noun: str) -> Answer:
    return response(status, {"message": f"{status} {noun}".strip()})


def email_of(commit: FakeCommit) -> str:
    return f"{commit.login or 'someone'}@example.org"


def project_record(repository: FakeRepository) -> dict[str, Any]:
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


def commit_body(commit: FakeCommit) -> dict[str, Any]:
    at = commit.at.isoformat(timespec="milliseconds")
    return {
        "id": commit.sha,
        "short_id": commit.sha[:8],
        "created_at": at,
        "parent_ids": [],
        "title": "Change one thing",
        "message": "Change one thing\n",
        "author_name": commit.name,
        "author_email": email_of(commit),
        "authored_date": "2001-01-01T00:00:00.000Z",
        "committer_name": commit.name,
        "committer_email": email_of(commit),
        "committed_date": at,
    }
