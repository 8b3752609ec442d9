"""An API that is not there says nothing of its repositories; one that is may say that they are gone."""

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
from pkgsite.errors import BadResponse, Gone, Unavailable, UpstreamError
from pkgsite.rules.repo_urls import RepoRef
from tests.fakes.bitbucket import FakeBitbucket
from tests.fakes.forgejo import FakeForgejo
from tests.fakes.github import FakeGitHub
from tests.fakes.gitlab import FakeGitLab
from tests.fakes.rest_host import NOW, FakeRepository, Serve, make_commits, repo_requests
from tests.fakes.v4_site import Answer, response

FAST_TIMEOUTS = Timeouts(read_timeout_s=5, attempts=1)
HOST = "git.example.org"
Outcome = Fetched[RepoFacts] | UpstreamError
PROBE_PATHS = {"github": "/meta", "gitlab": "/version", "bitbucket": "/hook_events", "forgejo": "/version"}
ROOTS = {"github": "", "gitlab": "/api/v4", "bitbucket": "/2.0", "forgejo": "/api/v1"}


def fake_host(kind: str) -> Any:
    """Return a host that keeps the repository "ada/engine"."""
    if kind == "github":
        host = FakeGitHub()
        host.add("ada/engine")
        return host
    fakes = {"gitlab": FakeGitLab, "bitbucket": FakeBitbucket, "forgejo": FakeForgejo}
    return fakes[kind](FakeRepository("ada/engine", 42, make_commits(1)))


def client_of(kind: str, api: str) -> CodeHost:
    reader = JsonClient(user_agent="pkgsite", timeouts=FAST_TIMEOUTS)
    if kind == "github":
        return GitHub(api, reader, None)
    clients = {"gitlab": GitLab, "bitbucket": Bitbucket, "forgejo": Forgejo}
    return clients[kind](reader, api=lambda _host: api)


def break_probe(host: Any, kind: str, fault: Answer) -> None:
    if isinstance(host, FakeGitHub):
        host.add_fault(fault, path=PROBE_PATHS[kind])
    else:
        host.faults[PROBE_PATHS[kind]] = fault


def count_probes(host: Any, kind: str) -> int:
    return sum(PROBE_PATHS[kind] in request for request in host.request_log)


def outcome(client: CodeHost, kind: str, path: str) -> Outcome:
    (found,) = client.repo_facts(repo_requests(kind, HOST, path), now=NOW)
    return found


@pytest.fixture(params=PROBE_PATHS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_behind_a_wrong_address_nothing_is_gone(serve_app: Serve, kind: str) -> None:
    host = fake_host(kind)
    client = client_of(kind, f"{serve_app(host)}{ROOTS[kind]}")
    nowhere = response("404 Not Found", b"404 page not found", "text/plain")
    if isinstance(host, FakeGitHub):
        host.add_fault(nowhere)
    else:
        host.faults[""] = nowhere
    found = outcome(client, kind, "ada/engine")
    assert isinstance(found, BadResponse)
    assert "is not this host's API: " in str(found)
    ref = RepoRef(kind, HOST, "ada/engine")
    attempts: list[Callable[[], object]] = [
        lambda: client.activity_facts(ref, validators={}, now=NOW),
        lambda: client.participant_facts(ref, validators={}),
    ]
    for attempt in attempts:
        with pytest.raises(BadResponse):
            attempt()


def test_a_page_for_people_is_no_api(serve_app: Serve, kind: str) -> None:
    host = fake_host(kind)
    client = client_of(kind, f"{serve_app(host)}{ROOTS[kind]}")
    break_probe(host, kind, response("200 OK", b"<h1>Sign in</h1>", "text/html"))
    assert isinstance(outcome(client, kind, "ada/lost"), BadResponse)


def test_one_that_is_there_is_believed_and_asked_once(serve_app: Serve, kind: str) -> None:
    host = fake_host(kind)
    client = client_of(kind, f"{serve_app(host)}{ROOTS[kind]}")
    assert isinstance(outcome(client, kind, "ada/lost"), Gone)
    assert isinstance(outcome(client, kind, "ada/gone"), Gone)
    assert count_probes(host, kind) == 1


def test_one_that_has_just_answered_need_not_show_itself(serve_app: Serve, kind: str) -> None:
    host = fake_host(kind)
    client = client_of(kind, f"{serve_app(host)}{ROOTS[kind]}")
    assert isinstance(outcome(client, kind, "ada/engine"), Fetched)
    assert isinstance(outcome(client, kind, "ada/lost"), Gone)
    assert count_probes(host, kind) == 0


def test_an_answer_is_good_for_a_while_only(serve_app: Serve, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    host = fake_host(kind)
    client = client_of(kind, f"{serve_app(host)}{ROOTS[kind]}")
    assert isinstance(outcome(client, kind, "ada/engine"), Fetched)
    monkeypatch.setattr("pkgsite.clients.liveness.ALIVE_FOR_S", 0.0)
    assert isinstance(outcome(client, kind, "ada/lost"), Gone)
    assert count_probes(host, kind) == 1


def test_one_that_can_not_tell_now_is_not_believed_yet(serve_app: Serve, kind: str) -> None:
    host = fake_host(kind)
    client = client_of(kind, f"{serve_app(host)}{ROOTS[kind]}")
    break_probe(host, kind, response("503 Service Unavailable", {}))
    assert isinstance(outcome(client, kind, "ada/lost"), Unavailable)
