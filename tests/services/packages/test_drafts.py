"""Drafts of new packages: parsing references, lookups on code hosts and the index, and their failures."""

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

HOST_KINDS = {"github.com": "github", "gitlab.com": "gitlab"}


def index_facts(name: str = "one", urls: Mapping[str, str] | None = None, **facts: Any) -> IndexFacts:
    """Return facts of a project of which the index knows only these."""
    unknown: dict[str, Any] = dict.fromkeys(IndexFacts.__dataclass_fields__)
    return IndexFacts(**{**unknown, "name": name, "releases": (), "project_urls": urls, **facts})


@dataclass
class FakeHost:
    """A code host and a package index with the given results."""

    repo: Callable[[], RepoFacts | UpstreamError] = RepoFacts
    project_facts: Callable[[], IndexFacts | UpstreamError] = lambda: Gone("no")
    quotas: Mapping[str, Quota] = field(default_factory=dict)
    is_batched: bool = False

    def repo_facts(self, _requests: Sequence[RepoRequest], *, now: datetime) -> list[Any]:
        assert now
        outcome = self.repo()
        return [Fetched(outcome) if isinstance(outcome, RepoFacts) else outcome]

    def index_facts(self, _name: str, *, validators: Mapping[str, str]) -> Fetched[IndexFacts]:
        assert validators == {}
        outcome = self.project_facts()
        if isinstance(outcome, UpstreamError):
            raise outcome
        return Fetched(outcome)


def gateways(host: FakeHost) -> Gateways:
    return Gateways(dict.fromkeys(HOST_KINDS, host), HOST_KINDS, host, "pypi.org", "")  # type: ignore[arg-type]


GITHUB = PackageDraft(title="one", repo_url="https://github.com/ada/one")


@pytest.mark.parametrize(
    ("reference", "repo_url", "pypi_url"),
    [
        ("https://github.com/Ada/One/issues/3", "https://github.com/Ada/One", ""),
        ("git@gitlab.com:group/sub/one.git", "https://gitlab.com/group/sub/one", ""),
        ("https://gitlab.com/project/one", "https://gitlab.com/project/one", ""),
        ("https://git.example.org:8443/a/b", "https://git.example.org:8443/a/b", ""),
        ("https://github.com/acme/mono/tree/main/packages/one", "https://github.com/acme/mono", ""),
        ("https://pagure.io/one", "https://pagure.io/one", ""),
        ("django-one", "", "django-one"),
        ("pypi.org/project/django-one/", "", "django-one"),
        ("python -m pip install django-one==1", "", "django-one"),
    ],
)
def test_a_reference_is_a_repository_or_a_project(reference: str, repo_url: str, pypi_url: str) -> None:
    draft = draft_from_reference(reference, gateways(FakeHost()))
    assert (draft.repo_url, draft.pypi_url) == (repo_url, pypi_url)
    assert draft.title


@pytest.mark.parametrize(
    "reference", ["", "javascript:alert(1)//a/b", "https://github.com/", "a b c", "x" * 9999, "\x00"]
)
def test_an_invalid_reference_is_an_error(reference: str) -> None:
    with pytest.raises(Invalid) as error:
        draft_from_reference(reference, gateways(FakeHost()))
    assert list(error.value.problems) == ["reference"]


def test_the_draft_of_a_directory_is_called_after_it() -> None:
    draft = draft_from_reference("https://github.com/acme/mono/tree/main/packages/one", gateways(FakeHost()))
    assert (draft.title, draft.repo_directory) == ("one", "packages/one")


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (Gone("x"), "The repository was not found on github.com"),
        (RateLimited("x"), "The rate limit of github.com has been reached"),
        (NotAllowed("x"), "github.com denied access"),
        (Unavailable("x"), "Could not connect to github.com"),
        (BadResponse("x"), "github.com returned an invalid response"),
    ],
)
def test_each_failure_has_a_message(error: UpstreamError, message: str) -> None:
    draft = complete_draft(GITHUB, gateways(FakeHost(repo=lambda: error)), now=NOW)
    assert message in draft.messages[0]
    assert (draft.title, draft.repo_url) == ("one", "https://github.com/ada/one")


def test_a_bug_in_a_lookup_does_not_prevent_filling_in_the_form(caplog: pytest.LogCaptureFixture) -> None:
    def failing_lookup() -> RepoFacts:
        raise ZeroDivisionError

    draft = complete_draft(GITHUB, gateways(FakeHost(repo=failing_lookup)), now=NOW)
    assert "returned an invalid response" in draft.messages[0]
    assert "ZeroDivisionError" in caplog.text


def test_a_lookup_has_a_timeout() -> None:
    is_finished = threading.Event()

    def slow_lookup() -> RepoFacts:
        is_finished.wait(30)
        return RepoFacts()

    draft = complete_draft(GITHUB, gateways(FakeHost(repo=slow_lookup)), now=NOW, timeout_s=0.05)
    is_finished.set()
    assert "github.com did not respond" in draft.messages[0]


def test_concurrent_lookups_are_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(package_drafts, "_LOOKUP_SLOTS", threading.BoundedSemaphore(1))
    package_drafts._LOOKUP_SLOTS.acquire()
    draft = complete_draft(GITHUB, gateways(FakeHost()), now=NOW)
    assert "Fill in the form manually" in draft.messages[0]


def test_a_moved_repository_is_added_with_its_new_url() -> None:
    moved = RepoFacts(web_url="https://github.com/Bob/Two", description="Does two\nthings")
    draft = complete_draft(GITHUB, gateways(FakeHost(repo=lambda: moved)), now=NOW)
    assert draft.repo_url == "https://github.com/Bob/Two"
    assert draft.description == "Does two things"
    assert "has moved" in draft.messages[0]


@pytest.mark.parametrize(
    ("urls", "repo_url"),
    [
        ({"Source Code": "https://github.com/a/b.git", "Homepage": "https://github.com/x/y"}, "https://github.com/a/b"),
        ({"Homepage": "https://b.example", "Issues": "https://gitlab.com/a/b/-/issues"}, "https://gitlab.com/a/b"),
        ({"Repository": "https://git.example.org/a/b"}, "https://git.example.org/a/b"),
        ({"Homepage": "https://b.example/a/b"}, ""),
        ({"Source": "javascript:alert(1)"}, ""),
        ({"Funding": "https://github.com/sponsors/ada", "Documentation": "https://one.readthedocs.io/"}, ""),
        ({"Sponsor us": "https://github.com/ada/fund", "Docs: RTD": "https://github.com/ada/manual"}, ""),
        ({"Documentation": "https://github.com/ada/One#readme"}, "https://github.com/ada/One"),
        ({"Homepage": "https://github.com/orgs/jazzband/repositories"}, ""),
        (None, ""),
    ],
)
def test_the_repository_is_found_among_a_projects_urls(urls: dict[str, str] | None, repo_url: str) -> None:
    assert repository_of_project(index_facts(urls=urls), gateways(FakeHost())) == repo_url


def test_no_transaction_is_open_during_a_lookup(app: Flask, session: Session) -> None:
    make_category(session, "apps")
    user = make_user(session)
    session.commit()
    in_transaction: list[bool] = []

    def repo() -> RepoFacts:
        in_transaction.append(session.in_transaction())
        return RepoFacts()

    app.extensions["gateways"] = gateways(FakeHost(repo=repo))
    response = CsrfClient(app, user).post("/packages/add/validate/", {"reference": "https://github.com/ada/one"})
    assert response.status_code == 200
    assert in_transaction == [False]
