"""Base class of the fake code hosts: repositories, a request log, and faults."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone
from random import Random
from typing import Any, TypeVar
from urllib.parse import parse_qs, urlsplit

import pytest

from pkgsite.clients.base import Fetched, RepoFacts, RepoRequest
from pkgsite.errors import BadResponse, NotAllowed, RateLimited, Unavailable, UpstreamError
from pkgsite.rules.repo_urls import RepoRef
from tests.fakes.v4_site import WsgiApp, connection_reset, html_response, response, truncated_response

T = TypeVar("T")

NOW = datetime(2026, 1, 7, 23, 30, tzinfo=UTC)  # a Wednesday; the 52 weeks cross the end of a year

# Faults, each with the error that it must raise on any request.
FAULTS: list[Any] = [
    pytest.param(response("429 Too Many Requests", {"message": "slow down"}, Retry_After="600"), RateLimited, id="429"),
    pytest.param(response("500 Internal Server Error", {"message": ""}), Unavailable, id="500"),
    pytest.param(response("502 Bad Gateway", b"<html>", "text/html"), Unavailable, id="502"),
    pytest.param(truncated_response, Unavailable, id="incomplete body"),
    pytest.param(connection_reset, Unavailable, id="reset"),
    pytest.param(response("200 OK", b'{"id": 1, "na'), BadResponse, id="truncated JSON"),
    pytest.param(response("200 OK", 7), BadResponse, id="unexpected JSON"),
    pytest.param(html_response(), BadResponse, id="HTML"),
    pytest.param(response("302 Found", b"", Location="https://elsewhere.example/"), BadResponse, id="redirect"),
    pytest.param(response("401 Unauthorized", {"message": "401 Unauthorized"}), NotAllowed, id="401"),
]


@dataclass
class FakeCommit:
    """A commit, with its time in the committer's timezone."""

    sha: str
    committed_at: datetime
    login: str | None = "ada"
    name: str = "Ada L."


@dataclass
class FakeRepository:
    """A repository, with its commits newest first."""

    path: str
    id: int = 1
    commits: list[FakeCommit] = field(default_factory=list)
    fields: dict[str, Any] = field(default_factory=dict)  # override the fields of the host's response
    hides_code: bool = False


class FakeHost:
    """A WSGI application over repositories by path.

    Attributes:
        request_log: Path and query of every request, without decoding.
        request_headers: The WSGI environment of each request.
        faults: Responses by part of a URL, which replace the real ones.
        moved: Repositories by their former paths.
        probe_path: The path that clients probe (see `Liveness`).
    """

    probe_path: str

    def __init__(self, *repositories: FakeRepository) -> None:
        self.repositories = {repository.path: repository for repository in repositories}
        self.request_log: list[str] = []
        self.request_headers: list[dict[str, Any]] = []
        self.faults: dict[str, WsgiApp] = {}
        self.moved: dict[str, FakeRepository] = {}

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        url = environ["REQUEST_URI"]
        self.request_log.append(url)
        self.request_headers.append(environ)
        for part, fault in self.faults.items():
            if part in url:
                return fault(environ, start_response)
        parts = urlsplit(url)
        if parts.path == self.probe_path:
            return self.probe_response(environ)(environ, start_response)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        root = f"http://{environ['HTTP_HOST']}"
        return self.respond(root, parts.path, query)(environ, start_response)

    def by_id(self, repository_id: int) -> FakeRepository | None:
        return next((repo for repo in self.repositories.values() if repo.id == repository_id), None)

    def probe_response(self, environ: dict[str, Any]) -> WsgiApp:  # noqa: ARG002 - GitLab's depends on the token
        """Return the response for `probe_path`."""
        return response("200 OK", {})

    def respond(self, root: str, path: str, query: dict[str, str]) -> WsgiApp:
        """Return the host's real response."""
        raise NotImplementedError


def make_commits(count: int, *, seed: int = 1, days: int = 400, now: datetime = NOW) -> list[FakeCommit]:
    """Return commits of about the last year, newest first, in various timezones."""
    random = Random(seed)
    commits = []
    for number in range(count):
        zone = timezone(timedelta(minutes=random.choice([-720, -570, -210, 0, 60, 330, 345, 765, 840])))
        committed_at = now - timedelta(seconds=random.randrange(days * 24 * 3600))
        login = random.choice(["ada", "ada", "ada", "grace", "alan"])
        commits.append(
            FakeCommit(f"{seed:08x}{number:032x}", committed_at.astimezone(zone), login, f"{login.title()} X.")
        )
    return sorted(commits, key=lambda commit: commit.committed_at, reverse=True)


def expected_weekly_counts(commits: Iterable[FakeCommit], *, now: datetime = NOW) -> tuple[int, ...]:
    """Count commits by week with a simple reference implementation: from Monday to Monday."""
    today = now.astimezone(UTC).date()
    monday = today - timedelta(days=today.weekday())
    starts = [datetime(monday.year, monday.month, monday.day, tzinfo=UTC) - timedelta(weeks=ago) for ago in range(52)]
    commits = list(commits)
    return tuple(
        sum(start <= commit.committed_at < start + timedelta(weeks=1) for commit in commits)
        for start in reversed(starts)
    )


def single_facts(outcomes: list[Fetched[RepoFacts] | UpstreamError]) -> RepoFacts:
    """Return the facts of the only repository that was requested."""
    (fetched,) = outcomes
    assert isinstance(fetched, Fetched), fetched
    assert fetched.facts is not None
    return fetched.facts


def repo_requests(kind: str, host: str, *paths: str, **validators: str) -> list[RepoRequest]:
    return [RepoRequest(RepoRef(kind, host, path), validators) for path in paths]


def paginate(
    records: list[T], query: dict[str, str], size_name: str, default: int, max_per_page: int
) -> tuple[list[T], int]:
    """Return the requested page and the number of pages."""
    size = min(int(query.get(size_name, default)), max_per_page)
    page = int(query.get("page", 1))
    return records[(page - 1) * size : page * size], -(-len(records) // size)


Serve = Callable[[Any], str]
