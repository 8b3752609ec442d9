"""A fake Forgejo API v1: pagination by Link and X-Total-Count headers, 409 for an empty repository."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from urllib.parse import unquote, urlencode

from tests.fakes.rest_host import FakeCommit, FakeHost, FakeRepository, paginate
from tests.fakes.v4_site import WsgiApp, response

MAX_PER_PAGE = 50


class FakeForgejo(FakeHost):
    """Implements the API of a Forgejo host.

    Attributes:
        knows_since: Whether it supports the `since` parameter, like newer versions.
    """

    knows_since = True
    probe_path = "/api/v1/version"

    def respond(self, root: str, path: str, query: dict[str, str]) -> WsgiApp:
        if path.startswith("/api/v1/repositories/"):
            repository = self.by_id(int(path.rpartition("/")[2]))
            return response("200 OK", repository_body(repository)) if repository else self.missing(root)
        owner, name, *rest = unquote(path).removeprefix("/api/v1/repos/").split("/")
        moved = self.moved.get(f"{owner}/{name}")
        if moved:
            location = f"/api/v1/repos/{moved.path}/{'/'.join(rest)}".rstrip("/")
            return response("307 Temporary Redirect", b"", Location=f"{location}?{urlencode(query)}".rstrip("?"))
        repository = self.repositories.get(f"{owner}/{name}")
        if not repository or (rest and repository.hides_code):
            return self.missing(root)
        return (
            self.commits(root, path, repository, query)
            if rest == ["commits"]
            else response("200 OK", repository_body(repository))
        )

    def missing(self, root: str) -> WsgiApp:
        body = {"errors": None, "message": "The target couldn't be found.", "url": f"{root}/api/swagger"}
        return response("404 Not Found", body)

    def commits(self, root: str, path: str, repository: FakeRepository, query: dict[str, str]) -> WsgiApp:
        if not repository.commits:
            return response("409 Conflict", {"message": "Git Repository is empty.", "url": f"{root}/api/swagger"})
        commits = repository.commits
        if self.knows_since and "since" in query:
            since = datetime.fromisoformat(query["since"])
            commits = [commit for commit in commits if commit.committed_at >= since]
        page, pages = paginate(commits, query, "limit", 30, MAX_PER_PAGE)
        page_number = int(query.get("page", 1))
        links = []
        if page_number < pages:
            links += [f'<{root}{path}?page={page_number + 1}>; rel="next"', f'<{root}{path}?page={pages}>; rel="last"']
        if page_number > 1:
            links += [f'<{root}{path}?page=1>; rel="first"', f'<{root}{path}?page={page_number - 1}>; rel="prev"']
        headers = {"X_Total_Count": str(len(commits)), "X_HasMore": str(page_number < pages).lower()}
        if links:
            headers["Link"] = ",".join(links)
        return response("200 OK", [commit_body(commit) for commit in page], **headers)


def repository_body(repository: FakeRepository) -> dict[str, Any]:
    owner, name = repository.path.split("/")
    body = {
        "id": repository.id,
        "owner": {"id": 9, "login": owner, "username": owner},
        "name": name,
        "full_name": repository.path,
        "description": "Does one thing.",
        "empty": not repository.commits,
        "private": False,
        "fork": False,
        "mirror": False,
        "has_issues": True,
        "website": "",
        "html_url": f"https://forge.example.org/{repository.path}",
        "stars_count": 12,
        "forks_count": 3,
        "watchers_count": 99,
        "open_issues_count": 4,
        "open_pr_counter": 2,
        "release_counter": 1,
        "default_branch": "main",
        "archived": False,
        "archived_at": "1970-01-01T00:00:00Z",
        "updated_at": "2026-01-02T03:04:05Z",
        "topics": ["django", "admin"],
    }
    return body | repository.fields


def commit_body(commit: FakeCommit) -> dict[str, Any]:
    committed_at = commit.committed_at.isoformat().replace("+00:00", "Z")
    signed = {"name": commit.name, "email": "someone@example.org"}
    user = {"id": 5, "login": commit.login, "full_name": commit.name} if commit.login else None
    return {
        "url": f"https://forge.example.org/api/v1/repos/x/y/git/commits/{commit.sha}",
        "sha": commit.sha,
        "created": committed_at,
        "commit": {
            "author": {**signed, "date": "2001-01-01T00:00:00Z"},
            "committer": {**signed, "date": committed_at},
            "message": "Change one thing\n",
        },
        "author": user,
        "committer": user,
        "parents": [],
    }
