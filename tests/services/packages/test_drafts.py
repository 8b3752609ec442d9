"""The form for a new package: what is asked of others, how, and what is told when they don't answer."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import pytest
from flask import Flask
from sqlalchemy.orm import Session

from pkgsite.clients.base import Fetched, Gateways, IndexFacts, Quota, RepoFacts, RepoRequest
from pkgsite.errors import BadResponse, Gone, Invalid, NotAllowed, RateLimited, Unavailable, UpstreamError
from pkgsite.services.packages import drafts as package_drafts
from pkgsite.services.packages.drafts import PackageDraft, complete_draft, draft_from_reference, repository_of_project
from tests.factories import NOW, make_category
from tests.users import CsrfClient, make_user

KINDS = {"github.com": "github", "gitlab.com": "gitlab"}


def index_facts(name: str = "one", urls: Mapping[str, str] | None = None, **facts: Any) -> IndexFacts:
    """Return what an index tells of a project of which it knows little."""
    nothing = dict.fromkeys(IndexFacts.__dataclass_fields__)
    return IndexFacts(**{**nothing, "name": name, "releases": (), "project_urls": urls, **facts})


@dataclass
class Host:
    """A code host and an index that answer, or fail, as a test says."""

    repo: Callable[[], RepoFacts | UpstreamError] = RepoFacts
    project_facts: Callable[[], IndexFacts | UpstreamError] = lambda: Gone("no")
    quotas: Mapping[str, Quota] = field(default_factory=dict)
    is_batched: bool = False

    def repo_facts(self, _asked: Sequence[RepoRequest], *, now: datetime) -> list[Any]:
        assert now
        outcome = self.repo()
        return [Fetched(outcome) if isinstance(outcome, RepoFacts) else outcome]

    def index_facts(self, _name: str, *, validators: Mapping[str, str]) -> Fetched[IndexFacts]:
        assert validators == {}
        outcome = self.project_facts()
        if isinstance(outcome, UpstreamError):
            raise outcome
        return Fetched(outcome)


def gateways(host: Host) -> Gateways:
    return Gateways(dict.fromkeys(KINDS, host), KINDS, host, "pypi.org", "")  # type: ignore[arg-type]


GITHUB = PackageDraft(title="one", repo_url="https://github.com/ada/one")


@pytest.mark.parametrize(
    ("written", "repo_url", "pypi_url"),
    [
        ("https://github.com/Ada/One/issues/3", "https://github.com/Ada/One", ""),
        ("git@gitlab.com:group/sub/one.git", "https://gitlab.com/group/sub/one", ""),
        ("https://gitlab.com/project/one", "https://gitlab.com/project/one", ""),
        ("https://git.example.org:8443/a/b", "https://git.example.org:8443/a/b", ""),
        ("django-one", "", "django-one"),
        ("pypi.org/project/django-one/", "", "django-one"),
        ("python -m pip install django-one==1", "", "django-one"),
    ],
)
def test_what_people_paste(written: str, repo_url: str, pypi_url: str) -> None:
    draft = draft_from_reference(written, gateways(Host()))
    assert (draft.repo_url, draft.pypi_url) == (repo_url, pypi_url)
    assert draft.title


@pytest.mark.parametrize(
    "written", ["", "javascript:alert(1)//a/b", "https://github.com/", "a b c", "x" * 9999, "\x00"]
)
def test_what_is_no_place(written: str) -> None:
    with pytest.raises(Invalid) as error:
        draft_from_reference(written, gateways(Host()))
    assert list(error.value.problems) == ["reference"]


@pytest.mark.parametrize(
    ("failure", "words"),
    [
        (Gone("x"), "The repository was not found on github.com"),
        (RateLimited("x"), "The rate limit of github.com has been reached"),
        (NotAllowed("x"), "github.com denied access"),
        (Unavailable("x"), "Could not connect to github.com"),
        (BadResponse("x"), "github.com returned an invalid response"),
    ],
)
def test_each_failure_is_told_in_plain_words(failure: UpstreamError, words: str) -> None:
    draft = complete_draft(GITHUB, gateways(Host(repo=lambda: failure)), now=NOW)
    assert words in draft.messages[0]
    assert (draft.title, draft.repo_url) == ("one", "https://github.com/ada/one")


def test_a_mistake_of_ours_is_no_failure_of_the_form(caplog: pytest.LogCaptureFixture) -> None:
    def failing_host() -> RepoFacts:
        raise ZeroDivisionError

    assert (
        "returned an invalid response" in complete_draft(GITHUB, gateways(Host(repo=failing_host)), now=NOW).messages[0]
    )
    assert "ZeroDivisionError" in caplog.text


def test_a_host_that_does_not_answer_is_not_waited_for() -> None:
    answered = threading.Event()

    def slow_host() -> RepoFacts:
        answered.wait(30)
        return RepoFacts()

    draft = complete_draft(GITHUB, gateways(Host(repo=slow_host)), now=NOW, timeout_s=0.05)
    answered.set()
    assert "github.com did not respond" in draft.messages[0]


def test_too_many_lookups_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(package_drafts, "_LOOKUP_SLOTS", threading.BoundedSemaphore(1))
    package_drafts._LOOKUP_SLOTS.acquire()
    draft = complete_draft(GITHUB, gateways(Host()), now=NOW)
    assert "Fill in the form manually" in draft.messages[0]


def test_a_repository_that_has_moved() -> None:
    moved = RepoFacts(web_url="https://github.com/Bob/Two", description="Does two\nthings")
    draft = complete_draft(GITHUB, gateways(Host(repo=lambda: moved)), now=NOW)
    assert draft.repo_url == "https://github.com/Bob/Two"
    assert draft.description == "Does two things"
    assert "has moved" in draft.messages[0]


@pytest.mark.parametrize(
    ("urls", "address"),
    [
        ({"Source Code": "https://github.com/a/b.git", "Homepage": "https://github.com/x/y"}, "https://github.com/a/b"),
        ({"Homepage": "https://b.example", "Issues": "https://gitlab.com/a/b/-/issues"}, "https://gitlab.com/a/b"),
        ({"Repository": "https://git.example.org/a/b"}, "https://git.example.org/a/b"),
        ({"Homepage": "https://b.example/a/b"}, ""),
        ({"Source": "javascript:alert(1)"}, ""),
        (None, ""),
    ],
)
def test_where_a_project_says_its_code_is(urls: dict[str, str] | None, address: str) -> None:
    assert repository_of_project(index_facts(urls=urls), gateways(Host())) == address


def test_no_transaction_is_open_while_others_are_asked(app: Flask, session: Session) -> None:
    make_category(session, "apps")
    user = make_user(session)
    session.commit()
    seen: list[bool] = []

    def repo() -> RepoFacts:
        seen.append(session.in_transaction())
        return RepoFacts()

    app.extensions["gateways"] = gateways(Host(repo=repo))
    answer = CsrfClient(app, user).post("/packages/add/validate/", {"reference": "https://github.com/ada/one"})
    assert answer.status_code == 200
    assert seen == [False]
