"""What the fake code hosts share: repositories, requests counted, and faults switched on and off."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone
from random import Random
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from pkgsite.clients.base import Fetched, RepoFacts, RepoRequest
from pkgsite.errors import BadResponse, NotAllowed, RateLimited, Unavailable, UpstreamError
from pkgsite.rules.repo_urls import RepoRef
from tests.fakes.v4_site import Answer, connection_reset, html_response, response, truncated_response

NOW = datetime(2026, 1, 7, 23, 30, tzinfo=UTC)  # a Wednesday; the 52 weeks cross the end of a year

# Each with the outcome that it must end in, wherever it strikes.
FAULTS: list[Any] = [
    pytest.param(response("429 Too Many Requests", {"message": "slow down"}, Retry_After="600"), RateLimited, id="429"),
    pytest.param(response("500 Internal Server Error", {"message": ""}), Unavailable, id="500"),
    pytest.param(response("502 Bad Gateway", b"<html>", "text/html"), Unavailable, id="502"),
    pytest.param(truncated_response, Unavailable, id="broken off"),
    pytest.param(connection_reset, Unavailable, id="reset"),
    pytest.param(response("200 OK", b'{"id": 1, "na'), BadResponse, id="truncated"),
    pytest.param(response("200 OK", 7), BadResponse, id="another form"),
    pytest.param(html_response(), BadResponse, id="a page"),
    pytest.param(response("302 Found", b"", Location="https://elsewhere.example/"), BadResponse, id="led away"),
    pytest.param(response("401 Unauthorized", {"message": "401 Unauthorized"}), NotAllowed, id="401"),
]


@dataclass
class FakeCommit:
    """A commit, with its time as its committer's clock showed it."""

    sha: str
    at: datetime
    login: str | None = "ada"
    name: str = "Ada L."


@dataclass
class FakeRepository:
    """A repository; its commits stand newest first, as a log shows them."""

    path: str
    number: int = 1
    commits: list[FakeCommit] = field(default_factory=list)
    fields: dict[str, Any] = field(default_factory=dict)  # in place of, or besides, what the host would tell
    hides_code: bool = False


class FakeHost:
    """A WSGI application over repositories by path.

    Attributes:
        request_log: Path and query of every request so far, as they were written.
        request_headers: The request headers of each.
        faults: For a part of an address the answer that is given in place of the true one.
        moved: Old paths, and the repositories that they lead to.
        probe_path: The path that shows that there is an API.
    """

    probe_path: str

    def __init__(self, *repositories: FakeRepository) -> None:
        self.repositories = {repository.path: repository for repository in repositories}
        self.request_log: list[str] = []
        self.request_headers: list[dict[str, Any]] = []
        self.faults: dict[str, Answer] = {}
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

    def probe_response(self, environ: dict[str, Any]) -> Answer:  # noqa: ARG002 - some look at who asks
        """Return the answer that shows that there is an API."""
        return response("200 OK", {})

    def respond(self, root: str, path: str, query: dict[str, str]) -> Answer:
        """Return the host's own answer."""
        raise NotImplementedError


def make_commits(count: int, *, seed: int = 1, days: int = 400, now: datetime = NOW) -> list[FakeCommit]:
    """Return commits of about the last year, newest first, each with an offset of its own."""
    random = Random(seed)
    commits = []
    for number in range(count):
        zone = timezone(timedelta(minutes=random.choice([-720, -570, -210, 0, 60, 330, 345, 765, 840])))
        at = now - timedelta(seconds=random.randrange(days * 24 * 3600))
        login = random.choice(["ada", "ada", "ada", "grace", "alan"])
        commits.append(FakeCommit(f"{seed:08x}{number:032x}", at.astimezone(zone), login, f"{login.title()} X."))
    return sorted(commits, key=lambda commit: commit.at, reverse=True)


def expected_weekly_counts(commits: Iterable[FakeCommit], *, now: datetime = NOW) -> tuple[int, ...]:
    """Count commits week by week in the plainest way: for each week, all that fell between its two Mondays."""
    today = now.astimezone(UTC).date()
    monday = today - timedelta(days=today.weekday())
    starts = [datetime(monday.year, monday.month, monday.day, tzinfo=UTC) - timedelta(weeks=ago) for ago in range(52)]
    commits = list(commits)
    return tuple(
        sum(start <= commit.at < start + timedelta(weeks=1) for commit in commits) for start in reversed(starts)
    )


def single_facts(found: list[Fetched[RepoFacts] | UpstreamError]) -> RepoFacts:
    """Return the facts of the one repository that was asked for."""
    (fetched,) = found
    assert isinstance(fetched, Fetched), fetched
    assert fetched.facts is not None
    return fetched.facts


def repo_requests(kind: str, host: str, *paths: str, **validators: str) -> list[RepoRequest]:
    return [RepoRequest(RepoRef(kind, host, path), validators) for path in paths]


def paginate(
    found: list[Any], query: dict[str, str], size_name: str, default: int, max_per_page: int
) -> tuple[list[Any], int]:
    """Return the page that a query asks for, and the number of pages."""
    size = min(int(query.get(size_name, default)), max_per_page)
    page = int(query.get("page", 1))
    return found[(page - 1) * size : page * size], -(-len(found) // size)


Serve = Callable[[Any], str]
