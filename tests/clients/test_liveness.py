"""Liveness: a 404 is trusted only if the API is reachable."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from pkgsite.clients.base import CodeHost, Fetched, RepoFacts
from pkgsite.clients.bitbucket import Bitbucket
from pkgsite.clients.forgejo import Forgejo
from pkgsite.clients.github import GitHub
from pkgsite.clients.gitlab import GitLab
from pkgsite.clients.http import JsonClient, Timeouts
from pkgsite.clients.rest_host import RestHost
from pkgsite.errors import BadResponse, Gone, Unavailable, UpstreamError
from pkgsite.rules.repo_urls import RepoRef
from tests.fakes.bitbucket import FakeBitbucket
from tests.fakes.forgejo import FakeForgejo
from tests.fakes.github import FakeGitHub
from tests.fakes.gitlab import FakeGitLab
from tests.fakes.rest_host import NOW, FakeHost, FakeRepository, Serve, make_commits, repo_requests
from tests.fakes.v4_site import WsgiApp, response

FAST_TIMEOUTS = Timeouts(read_timeout_s=5, attempts=1)
HOST = "git.example.org"
Outcome = Fetched[RepoFacts] | UpstreamError
PROBE_PATHS = {"github": "/meta", "gitlab": "/version", "bitbucket": "/hook_events", "forgejo": "/version"}
ROOTS = {"github": "", "gitlab": "/api/v4", "bitbucket": "/2.0", "forgejo": "/api/v1"}


def fake_host(kind: str) -> Any:
    """Return a host with the repository "ada/engine"."""
    if kind == "github":
        github = FakeGitHub()
        github.add("ada/engine")
        return github
    fakes: dict[str, type[FakeHost]] = {"gitlab": FakeGitLab, "bitbucket": FakeBitbucket, "forgejo": FakeForgejo}
    return fakes[kind](FakeRepository("ada/engine", 42, make_commits(1)))


def client_of(kind: str, api: str) -> CodeHost:
    client = JsonClient(user_agent="pkgsite", timeouts=FAST_TIMEOUTS)
    if kind == "github":
        return GitHub(api, client, None)
    clients: dict[str, type[RestHost]] = {"gitlab": GitLab, "bitbucket": Bitbucket, "forgejo": Forgejo}
    return clients[kind](client, api=lambda _host: api)


def break_probe(host: Any, kind: str, fault: WsgiApp) -> None:
    if isinstance(host, FakeGitHub):
        host.add_fault(fault, path=PROBE_PATHS[kind])
    else:
        host.faults[PROBE_PATHS[kind]] = fault


def count_probes(host: Any, kind: str) -> int:
    return sum(PROBE_PATHS[kind] in request for request in host.request_log)


def outcome(client: CodeHost, kind: str, path: str) -> Outcome:
    (result,) = client.repo_facts(repo_requests(kind, HOST, path), now=NOW)
    return result


@pytest.fixture(params=PROBE_PATHS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_nothing_is_gone_behind_a_wrong_api_url(serve_app: Serve, kind: str) -> None:
    host = fake_host(kind)
    client = client_of(kind, f"{serve_app(host)}{ROOTS[kind]}")
    not_found = response("404 Not Found", b"404 page not found", "text/plain")
    if isinstance(host, FakeGitHub):
        host.add_fault(not_found)
    else:
        host.faults[""] = not_found
    failure = outcome(client, kind, "ada/engine")
    assert isinstance(failure, BadResponse)
    assert "is not this host's API: " in str(failure)
    ref = RepoRef(kind, HOST, "ada/engine")
    fetches: list[Callable[[], object]] = [
        lambda: client.activity_facts(ref, validators={}, now=NOW),
        lambda: client.participant_facts(ref, validators={}),
    ]
    for fetch in fetches:
        with pytest.raises(BadResponse):
            fetch()


def test_html_page_is_not_an_api(serve_app: Serve, kind: str) -> None:
    host = fake_host(kind)
    client = client_of(kind, f"{serve_app(host)}{ROOTS[kind]}")
    break_probe(host, kind, response("200 OK", b"<h1>Sign in</h1>", "text/html"))
    assert isinstance(outcome(client, kind, "ada/lost"), BadResponse)


def test_reachable_api_is_trusted_and_probed_once(serve_app: Serve, kind: str) -> None:
    host = fake_host(kind)
    client = client_of(kind, f"{serve_app(host)}{ROOTS[kind]}")
    assert isinstance(outcome(client, kind, "ada/lost"), Gone)
    assert isinstance(outcome(client, kind, "ada/gone"), Gone)
    assert count_probes(host, kind) == 1


def test_api_that_has_just_responded_is_not_probed(serve_app: Serve, kind: str) -> None:
    host = fake_host(kind)
    client = client_of(kind, f"{serve_app(host)}{ROOTS[kind]}")
    assert isinstance(outcome(client, kind, "ada/engine"), Fetched)
    assert isinstance(outcome(client, kind, "ada/lost"), Gone)
    assert count_probes(host, kind) == 0


def test_liveness_expires(serve_app: Serve, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    host = fake_host(kind)
    client = client_of(kind, f"{serve_app(host)}{ROOTS[kind]}")
    assert isinstance(outcome(client, kind, "ada/engine"), Fetched)
    monkeypatch.setattr("pkgsite.clients.liveness.ALIVE_FOR_S", 0.0)
    assert isinstance(outcome(client, kind, "ada/lost"), Gone)
    assert count_probes(host, kind) == 1


def test_failing_probe_is_raised(serve_app: Serve, kind: str) -> None:
    host = fake_host(kind)
    client = client_of(kind, f"{serve_app(host)}{ROOTS[kind]}")
    break_probe(host, kind, response("503 Service Unavailable", {}))
    assert isinstance(outcome(client, kind, "ada/lost"), Unavailable)
