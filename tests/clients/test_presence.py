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
from pkgsite.clients.http import JsonReader, Patience
from pkgsite.errors import BadAnswer, Gone, Unavailable, UpstreamError
from pkgsite.rules.repo_urls import RepoRef
from tests.fakes.bitbucket import FakeBitbucket
from tests.fakes.forgejo import FakeForgejo
from tests.fakes.github import FakeGitHub
from tests.fakes.gitlab import FakeGitLab
from tests.fakes.rest_host import NOW, FakeRepository, Serve, asks, history
from tests.fakes.v4_site import Answer, answer

HURRIED = Patience(timeout_s=5, attempts=1)
HOST = "git.example.org"
Outcome = Fetched[RepoFacts] | UpstreamError
LANDMARKS = {"github": "/meta", "gitlab": "/version", "bitbucket": "/hook_events", "forgejo": "/version"}
ROOTS = {"github": "", "gitlab": "/api/v4", "bitbucket": "/2.0", "forgejo": "/api/v1"}


def fake_host(kind: str) -> Any:
    """Return a host that keeps the repository "ada/engine"."""
    if kind == "github":
        host = FakeGitHub()
        host.add("ada/engine")
        return host
    fakes = {"gitlab": FakeGitLab, "bitbucket": FakeBitbucket, "forgejo": FakeForgejo}
    return fakes[kind](FakeRepository("ada/engine", 42, history(1)))


def client_of(kind: str, api: str) -> CodeHost:
    reader = JsonReader(user_agent="pkgsite", patience=HURRIED)
    if kind == "github":
        return GitHub(api, reader, None)
    clients = {"gitlab": GitLab, "bitbucket": Bitbucket, "forgejo": Forgejo}
    return clients[kind](reader, api=lambda _host: api)


def break_landmark(host: Any, kind: str, fault: Answer) -> None:
    if isinstance(host, FakeGitHub):
        host.fail(fault, path=LANDMARKS[kind])
    else:
        host.faults[LANDMARKS[kind]] = fault


def asked_for_landmark(host: Any, kind: str) -> int:
    return sum(LANDMARKS[kind] in asked for asked in host.asked)


def outcome(client: CodeHost, kind: str, path: str) -> Outcome:
    (found,) = client.repos(asks(kind, HOST, path), now=NOW)
    return found


@pytest.fixture(params=LANDMARKS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_behind_a_wrong_address_nothing_is_gone(serve: Serve, kind: str) -> None:
    host = fake_host(kind)
    client = client_of(kind, f"{serve(host)}{ROOTS[kind]}")
    nowhere = answer("404 Not Found", b"404 page not found", "text/plain")
    if isinstance(host, FakeGitHub):
        host.fail(nowhere)
    else:
        host.faults[""] = nowhere
    found = outcome(client, kind, "ada/engine")
    assert isinstance(found, BadAnswer)
    assert "is not this host's API: " in str(found)
    ref = RepoRef(kind, HOST, "ada/engine")
    attempts: list[Callable[[], object]] = [
        lambda: client.activity(ref, validators={}, now=NOW),
        lambda: client.people(ref, validators={}),
    ]
    for attempt in attempts:
        with pytest.raises(BadAnswer):
            attempt()


def test_a_page_for_people_is_no_api(serve: Serve, kind: str) -> None:
    host = fake_host(kind)
    client = client_of(kind, f"{serve(host)}{ROOTS[kind]}")
    break_landmark(host, kind, answer("200 OK", b"<h1>Sign in</h1>", "text/html"))
    assert isinstance(outcome(client, kind, "ada/lost"), BadAnswer)


def test_one_that_is_there_is_believed_and_asked_once(serve: Serve, kind: str) -> None:
    host = fake_host(kind)
    client = client_of(kind, f"{serve(host)}{ROOTS[kind]}")
    assert isinstance(outcome(client, kind, "ada/lost"), Gone)
    assert isinstance(outcome(client, kind, "ada/gone"), Gone)
    assert asked_for_landmark(host, kind) == 1


def test_one_that_has_just_answered_need_not_show_itself(serve: Serve, kind: str) -> None:
    host = fake_host(kind)
    client = client_of(kind, f"{serve(host)}{ROOTS[kind]}")
    assert isinstance(outcome(client, kind, "ada/engine"), Fetched)
    assert isinstance(outcome(client, kind, "ada/lost"), Gone)
    assert asked_for_landmark(host, kind) == 0


def test_an_answer_is_good_for_a_while_only(serve: Serve, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    host = fake_host(kind)
    client = client_of(kind, f"{serve(host)}{ROOTS[kind]}")
    assert isinstance(outcome(client, kind, "ada/engine"), Fetched)
    monkeypatch.setattr("pkgsite.clients.presence.SURE_FOR_S", 0.0)
    assert isinstance(outcome(client, kind, "ada/lost"), Gone)
    assert asked_for_landmark(host, kind) == 1


def test_one_that_can_not_tell_now_is_not_believed_yet(serve: Serve, kind: str) -> None:
    host = fake_host(kind)
    client = client_of(kind, f"{serve(host)}{ROOTS[kind]}")
    break_landmark(host, kind, answer("503 Service Unavailable", {}))
    assert isinstance(outcome(client, kind, "ada/lost"), Unavailable)
