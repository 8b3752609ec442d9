"""A fake GitHub: its GraphQL API, the REST endpoints that the site uses, its quotas, and faults.

Like the real one, it counts GraphQL points separately from REST requests, does not count 304 responses (with a token),
has different ETags for each token, redirects former names, and includes pull requests in REST's open issues.
"""

from __future__ import annotations

import hashlib
import json
import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

from tests.fakes.graphql import FieldError, InvalidQuery, QueryDocument, aliases, execute
from tests.fakes.v4_site import WsgiApp, response

HOUR_S = 3600
ANONYMOUS_LIMIT = 60
RestResponse = tuple[str, Any, dict[str, str]]  # status, body, headers
REPO = re.compile(r"^/(?:repos/([^/]+/[^/]+)|repositories/(\d+))(/.*)?$")


@dataclass
class FakeRepo:
    """A repository. With `weeks` None, its weekly commits are pending (202)."""

    id: int
    node_id: str
    name: str  # owner/name
    description: str | None = "Does one thing"
    stars: int = 511
    forks: int = 70
    issues: int = 12
    pulls: int = 3
    is_archived: bool = False
    is_empty: bool = False
    branch: str = "main"
    committed_at: str = "2026-01-28T13:56:56Z"
    commits: int = 900
    licence: str | None = "BSD-3-Clause"
    release: str | None = "v6.4.1"
    topics: list[str] = field(default_factory=lambda: ["django", "cms"])
    archived_at: str | None = None
    has_issues: bool = True
    parent: str | None = None  # owner/name of the repository that it was forked from
    mirror_url: str | None = None
    homepage: str | None = None
    weeks: list[int] | None = field(default_factory=lambda: [*range(52)])
    people: list[str] = field(default_factory=lambda: ["gasman", "kaedroho"])

    def graphql(self) -> dict[str, Any]:
        history = {"committedDate": self.committed_at, "history": {"totalCount": self.commits}}
        return {
            "id": self.node_id,
            "databaseId": self.id,
            "nameWithOwner": self.name,
            "url": f"https://github.com/{self.name}",
            "description": self.description,
            "stargazerCount": self.stars,
            "forkCount": self.forks,
            "isArchived": self.is_archived,
            "archivedAt": self.archived_at,
            "hasIssuesEnabled": self.has_issues,
            "isFork": self.parent is not None,
            "parent": self.parent and {"url": f"https://github.com/{self.parent}"},
            "isMirror": self.mirror_url is not None,
            "homepageUrl": self.homepage,
            "isEmpty": self.is_empty,
            "issues": {"totalCount": self.issues + 100},  # closed ones too
            "issues(states: OPEN)": {"totalCount": self.issues},
            "defaultBranchRef": None if self.is_empty else {"name": self.branch, "target": history},
            "licenseInfo": self.licence and {"spdxId": self.licence},
            "latestRelease": self.release and {"tagName": self.release},
            "repositoryTopics(first: 20)": {"nodes": [{"topic": {"name": topic}} for topic in self.topics]},
        }

    def rest(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "node_id": self.node_id,
            "full_name": self.name,
            "html_url": f"https://github.com/{self.name}",
            "description": self.description,
            "stargazers_count": self.stars,
            "watchers_count": self.stars,
            "forks_count": self.forks,
            "open_issues_count": self.issues + self.pulls,
            "archived": self.is_archived,
            "has_issues": self.has_issues,
            "fork": self.parent is not None,
            "mirror_url": self.mirror_url,
            "homepage": self.homepage,
            **({"parent": {"html_url": f"https://github.com/{self.parent}"}} if self.parent else {}),
            "default_branch": self.branch,
            "pushed_at": self.committed_at,
            "license": self.licence and {"spdx_id": self.licence},
            "topics": self.topics,
        }


@dataclass
class _Fault:
    response: WsgiApp
    path: str  # part of the path of the requests that fail
    remaining: int | None  # None for all requests


class FakeGitHub:
    """A WSGI application over a few repositories.

    Attributes:
        tokens: Valid tokens, which GraphQL requires and which raise the limits.
        limits: Limits of the quotas "core" and "graphql" until `resets_at`.
        spent: Used amounts of these quotas.
        request_log: Method, path and query of every request.
        graphql_bodies: The bodies of the GraphQL requests.
        max_aliases: Maximum batch size; larger batches fail with 502.
        failing_from_alias: Index of the first repository of a batch that fails with a resource limit.
        graphql_errors: Types of the errors of repositories that always fail, by name; None for no type.
    """

    def __init__(self, *tokens: str) -> None:
        self.tokens = set(tokens)
        self.limits = {"core": 5000, "graphql": 5000}
        self.resets_at = int(time.time()) + HOUR_S
        self.spent: Counter[str] = Counter()
        self.request_log: list[str] = []
        self.graphql_bodies: list[Any] = []
        self.max_aliases = self.failing_from_alias = 1000
        self.graphql_errors: dict[str, str | None] = {}
        self._faults: list[_Fault] = []
        self._repos: dict[str, FakeRepo] = {}
        self._repos_by_id: dict[int, FakeRepo] = {}
        self._moved: dict[str, int] = {}
        self._last_id = 1000
        self._lock = threading.Lock()

    def add(self, name: str, **fields: Any) -> FakeRepo:
        self._last_id += 1
        repo = FakeRepo(self._last_id, f"R_kgDO{self._last_id}", name, **fields)
        self._repos[name.lower()] = self._repos_by_id[repo.id] = repo
        return repo

    def rename(self, old: str, new: str) -> None:
        repo = self._repos.pop(old.lower())
        repo.name, self._repos[new.lower()], self._moved[old.lower()] = new, repo, repo.id

    def remove(self, name: str) -> None:
        del self._repos_by_id[self._repos.pop(name.lower()).id]

    def add_fault(self, fault: WsgiApp, *, path: str = "", times: int | None = None) -> None:
        """Respond with a fault to the next requests whose path contains `path`: `times` requests, or all."""
        self._faults.append(_Fault(fault, path, times))

    def clear_faults(self) -> None:
        self._faults.clear()
        self.graphql_errors.clear()
        self.max_aliases = self.failing_from_alias = 1000

    def count_requests(self, start: str) -> int:
        """Return the number of requests that start with a text such as "POST /graphql"."""
        return sum(request.startswith(start) for request in self.request_log)

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        with self._lock:
            respond = self._respond(environ)
        return respond(environ, start_response)

    def _respond(self, environ: dict[str, Any]) -> WsgiApp:
        path, query = environ["PATH_INFO"], environ["QUERY_STRING"]
        self.request_log.append(f"{environ['REQUEST_METHOD']} {path}" + (f"?{query}" if query else ""))
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        fault = self._fault(path)
        if fault:
            return fault
        token = environ.get("HTTP_AUTHORIZATION", "").removeprefix("Bearer ")
        if token not in {"", *self.tokens}:
            return response("401 Unauthorized", {"message": "Bad credentials"})
        if path == "/graphql":
            return self._graphql(token, json.loads(body))
        limit = self.limits["core"] if token else ANONYMOUS_LIMIT
        if self.spent["core"] >= limit:
            return primary_limit_response(limit, self.resets_at)
        return self._rest(environ, token, limit)

    def _fault(self, path: str) -> WsgiApp | None:
        for fault in self._faults:
            if fault.path in path and fault.remaining != 0:
                if fault.remaining is not None:
                    fault.remaining -= 1
                return fault.response
        return None

    def _graphql(self, token: str, body: dict[str, Any]) -> WsgiApp:
        self.graphql_bodies.append(body)
        if not token:
            return response("401 Unauthorized", {"message": "This endpoint requires you to be authenticated."})
        if self.spent["graphql"] >= self.limits["graphql"]:
            error = {"type": "RATE_LIMITED", "message": "API rate limit exceeded for user ID 1."}
            return response("200 OK", {"errors": [error]}, **self._quota("graphql", self.limits["graphql"]))
        try:
            document = QueryDocument(body["query"], body["variables"])
            requested = aliases(document, "repository")
            if len(requested) > self.max_aliases:
                return response("502 Bad Gateway", {"message": "We couldn't respond to your request in time."})
            cost = max(1, 3 * len(requested) // 100)  # three connections per repository, one point per hundred
            self.spent["graphql"] += cost
            result = execute(
                document, {"rateLimit": lambda _: self._rate(cost), "repository": self._repository_resolver(requested)}
            )
        except InvalidQuery as error:
            result = {"errors": [{"message": str(error)}]}
        return response("200 OK", result, **self._quota("graphql", self.limits["graphql"]))

    def _repository_resolver(self, requested: list[str]) -> Any:
        def repository(alias: str, owner: str, name: str) -> dict[str, Any]:
            if requested.index(alias) >= self.failing_from_alias:
                raise FieldError("Resource limits for this query exceeded.", "RESOURCE_LIMITS_EXCEEDED")
            full = f"{owner}/{name}"
            if full in self.graphql_errors:
                raise FieldError("Something went wrong while executing your query.", self.graphql_errors[full])
            repo = self._repo(full)
            if repo is None:
                raise FieldError(f"Could not resolve to a Repository with the name '{full}'.", "NOT_FOUND")
            return repo.graphql()

        return repository

    def _repo(self, name: str) -> FakeRepo | None:
        """Return the repository with this current or former name; a current name takes precedence."""
        current = self._repos.get(name.lower())
        return current or self._by_id(self._moved.get(name.lower()))

    def _by_id(self, repo_id: int | None) -> FakeRepo | None:
        return None if repo_id is None else self._repos_by_id.get(repo_id)

    def _rate(self, cost: int) -> dict[str, Any]:
        remaining = max(0, self.limits["graphql"] - self.spent["graphql"])
        resets_at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(self.resets_at))
        return {"limit": self.limits["graphql"], "remaining": remaining, "resetAt": resets_at, "cost": cost}

    def _quota(self, name: str, limit: int) -> dict[str, str]:
        return quota_headers(name, limit, max(0, limit - self.spent[name]), self.resets_at)

    def _rest(self, environ: dict[str, Any], token: str, limit: int) -> WsgiApp:
        status, body, headers = self._rest_response(environ)
        data = b"" if body is None else json.dumps(body).encode()
        if status == "200 OK":
            headers["ETag"] = f'W/"{hashlib.sha256(token.encode() + data).hexdigest()}"'
            if environ.get("HTTP_IF_NONE_MATCH") == headers["ETag"]:
                status, data = "304 Not Modified", b""
        self.spent["core"] += not (status.startswith("304") and token)
        return response(status, data, "application/json; charset=utf-8", **headers, **self._quota("core", limit))

    def _rest_response(self, environ: dict[str, Any]) -> RestResponse:
        """Return the status, body and headers of a REST response."""
        if environ["PATH_INFO"] == "/meta":
            return "200 OK", {"verifiable_password_authentication": False}, {}
        match = REPO.match(environ["PATH_INFO"])
        missing: RestResponse = ("404 Not Found", {"message": "Not Found"}, {})
        if match is None or environ["REQUEST_METHOD"] != "GET":
            return missing
        name, repo_id, rest = match.groups()
        repo = self._repo(name) if name else self._by_id(int(repo_id))
        if repo is None:
            return missing
        if name and repo.name.lower() != name.lower():
            query = f"?{environ['QUERY_STRING']}" if environ["QUERY_STRING"] else ""
            location = f"http://{environ['HTTP_HOST']}/repositories/{repo.id}{rest or ''}{query}"
            return "301 Moved Permanently", {"message": "Moved Permanently", "url": location}, {"Location": location}
        handlers: dict[str, Callable[[FakeRepo, dict[str, Any]], RestResponse]] = {
            "": self._repository,
            "/commits": self._commits,
            "/stats/participation": self._participation,
            "/contributors": self._contributors,
        }
        handler = handlers.get(rest or "")
        return handler(repo, environ) if handler else missing

    def _repository(self, repo: FakeRepo, _environ: dict[str, Any]) -> RestResponse:
        return "200 OK", repo.rest(), {}

    def _commits(self, repo: FakeRepo, _environ: dict[str, Any]) -> RestResponse:
        if repo.is_empty:
            return "409 Conflict", {"message": "Git Repository is empty."}, {}
        author = {"date": "2001-01-01T00:00:00Z"}  # earlier than the committer's date
        return "200 OK", [{"sha": "0" * 40, "commit": {"author": author, "committer": {"date": repo.committed_at}}}], {}

    def _participation(self, repo: FakeRepo, _environ: dict[str, Any]) -> RestResponse:
        if repo.weeks is None:
            return "202 Accepted", {}, {}
        weeks = [0] * 52 if repo.is_empty else repo.weeks
        return "200 OK", {"all": weeks, "owner": [0] * len(weeks)}, {}

    def _contributors(self, repo: FakeRepo, environ: dict[str, Any]) -> RestResponse:
        if repo.is_empty:
            return "204 No Content", None, {}
        query = {name: int(values[0]) for name, values in parse_qs(environ["QUERY_STRING"]).items()}
        page, size = query.get("page", 1), min(query.get("per_page", 30), 100)
        people = repo.people[(page - 1) * size : page * size]
        url = f"<http://{environ['HTTP_HOST']}/repositories/{repo.id}/contributors?per_page={size}&page="
        links = [f'{url}{page - 1}>; rel="prev"'] if page > 1 else []
        links += [f'{url}{page + 1}>; rel="next"'] if page * size < len(repo.people) else []
        body = [{"login": login, "type": "User"} if login else {"type": "Anonymous"} for login in people]
        return "200 OK", body, {"Link": ", ".join(links)} if links else {}


def quota_headers(name: str, limit: int, remaining: int, resets_at: int) -> dict[str, str]:
    values = {"Limit": limit, "Remaining": remaining, "Used": limit - remaining, "Reset": resets_at}
    return {f"X_RateLimit_{key}": str(value) for key, value in values.items()} | {"X_RateLimit_Resource": name}


def primary_limit_response(limit: int = 5000, resets_at: int | None = None) -> WsgiApp:
    """Return the response to requests after the hourly quota is used up."""
    resets_at = resets_at or int(time.time()) + HOUR_S
    message = {"message": "API rate limit exceeded for 127.0.0.1."}
    return response("403 rate limit exceeded", message, **quota_headers("core", limit, 0, resets_at))


def secondary_limit_response(status: str = "403 Forbidden", after: str = "60") -> WsgiApp:
    """Return the response to too many requests in a short time; the hourly quota is not affected."""
    message = {"message": "You have exceeded a secondary rate limit. Please wait a few minutes before you try again."}
    quota = quota_headers("core", 5000, 4000, int(time.time()) + HOUR_S)
    return response(status, message, Retry_After=after, **quota)


def delayed_response(seconds: float) -> WsgiApp:
    """Return a response that is sent after a delay."""

    def respond(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        time.sleep(seconds)
        return response("200 OK", {})(environ, start_response)

    return respond
