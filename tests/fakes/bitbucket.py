"""A fake Bitbucket Cloud API 2.0: the next page's URL is in the body, and `fields` selects parts of a response."""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote, urlencode

from tests.fakes.rest_host import FakeCommit, FakeHost, FakeRepository, paginate
from tests.fakes.v4_site import WsgiApp, response

MAX_PER_PAGE = 100
MAIN_BRANCH = "release/1.x"  # a branch whose name has a slash


class FakeBitbucket(FakeHost):
    """Implements the API of Bitbucket Cloud.

    Attributes:
        knows_fields: Whether it supports the `fields` parameter.
    """

    knows_fields = True
    probe_path = "/2.0/hook_events"

    def respond(self, root: str, path: str, query: dict[str, str]) -> WsgiApp:
        workspace, slug, *rest = unquote(path).removeprefix("/2.0/repositories/").split("/")
        moved = self.moved.get(f"{workspace}/{slug}")
        if moved:
            location = "/".join([f"/2.0/repositories/{moved.path}", *rest])
            return response("301 Moved Permanently", b"", Location=f"{location}?{urlencode(query)}".rstrip("?"))
        by_uuid = {uuid(repository.id): repository for repository in self.repositories.values()}
        repository = by_uuid.get(slug) if workspace == "{}" else self.repositories.get(f"{workspace}/{slug}")
        if not repository or (rest == ["commits"] and repository.hides_code):
            return error_response(f"Repository {workspace}/{slug} not found")
        body = repository_body(repository) | repository.fields
        match rest:
            case []:
                return response("200 OK", body)
            case ["forks"]:
                return response("200 OK", {"values": [], "pagelen": 1, "size": 3, "page": 1})
            case ["issues"] if body["has_issues"]:
                assert query["q"] == 'state="new" OR state="open"'
                return response("200 OK", {"values": [], "pagelen": 1, "size": 4, "page": 1})
            case ["commits"]:
                return self.commits(root, path, repository, query)
        return error_response("Resource not found")

    def commits(self, root: str, path: str, repository: FakeRepository, query: dict[str, str]) -> WsgiApp:
        if query.get("include") != MAIN_BRANCH or not repository.commits:
            return error_response("Commit not found")
        page, pages = paginate(repository.commits, query, "pagelen", 30, MAX_PER_PAGE)
        page_number = int(query.get("page", 1))
        body: dict[str, Any] = {"values": [commit_body(commit) for commit in page], "pagelen": len(page)}
        if page_number < pages:
            body["next"] = f"{root}{path}?{urlencode(query | {'page': str(page_number + 1)})}"
        if self.knows_fields and "fields" in query:
            body = select_fields(body, [field.split(".") for field in query["fields"].split(",")])
        return response("200 OK", body)


def select_fields(value: Any, fields: list[list[str]]) -> Any:
    """Return a response reduced to the requested fields."""
    if isinstance(value, list):
        return [select_fields(element, fields) for element in value]
    if not isinstance(value, dict) or [] in fields:
        return value
    return {
        name: select_fields(inner, [rest for first, *rest in fields if first == name])
        for name, inner in value.items()
        if any(first == name for first, *_ in fields)
    }


def error_response(message: str) -> WsgiApp:
    return response("404 Not Found", {"type": "error", "error": {"message": message}})


def uuid(repository_id: int) -> str:
    return f"{{{repository_id:08x}-0000-4000-8000-000000000000}}"


def repository_body(repository: FakeRepository) -> dict[str, Any]:
    return {
        "type": "repository",
        "uuid": uuid(repository.id),
        "full_name": repository.path,
        "name": repository.path.partition("/")[2],
        "description": "Does one thing.",
        "is_private": False,
        "scm": "git",
        "has_issues": True,
        "website": None,
        "has_wiki": False,
        "fork_policy": "allow_forks",
        "mainbranch": {"type": "branch", "name": MAIN_BRANCH} if repository.commits else None,
        "created_on": "2020-01-02T03:04:05.678901+00:00",
        "updated_on": "2026-01-02T03:04:05.678901+00:00",
        "links": {
            "self": {"href": f"https://api.bitbucket.org/2.0/repositories/{repository.path}"},
            "html": {"href": f"https://bitbucket.org/{repository.path}"},
        },
    }


def commit_body(commit: FakeCommit) -> dict[str, Any]:
    author: dict[str, Any] = {"type": "author", "raw": f"{commit.name} <someone@example.org>"}
    if commit.login:
        author["user"] = {"type": "user", "display_name": commit.name, "nickname": commit.login, "uuid": uuid(9)}
    return {
        "type": "commit",
        "hash": commit.sha,
        "date": commit.committed_at.isoformat(),
        "author": author,
        "message": "Change one thing\n",
        "summary": {"raw": "Change one thing\n", "html": "<p>Change one thing</p>"},
        "parents": [],
    }
