"""The Bitbucket client: facts, requests and errors."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, timedelta
from typing import Any

import pytest

from pkgsite.clients.base import ActivityFacts, Fetched, ParticipantFacts, RepoFacts
from pkgsite.clients.bitbucket import Bitbucket
from pkgsite.clients.http import JsonClient, Timeouts
from pkgsite.errors import BadResponse, Gone, NotAllowed, RateLimited, Unavailable, UpstreamError
from pkgsite.rules.repo_urls import RepoRef
from tests.fakes.bitbucket import MAIN_BRANCH, FakeBitbucket, uuid
from tests.fakes.rest_host import (
    FAULTS,
    NOW,
    FakeCommit,
    FakeRepository,
    Serve,
    expected_weekly_counts,
    make_commits,
    repo_requests,
    single_facts,
)
from tests.fakes.v4_site import HangingResponse, WsgiApp, response

HOST = "bitbucket.org"
PATH = "ada/engine"
FAST_TIMEOUTS = Timeouts(read_timeout_s=5, attempts=2, backoff_s=0, jitter_s=0)
REF = RepoRef("bitbucket", HOST, PATH)
EMPTY_YEAR = ActivityFacts((0,) * 52)


@pytest.fixture
def fake() -> FakeBitbucket:
    return FakeBitbucket(FakeRepository(PATH, 42, make_commits(230)))


@pytest.fixture
def bitbucket(serve_app: Serve, fake: FakeBitbucket) -> Bitbucket:
    address = serve_app(fake)
    client = JsonClient(user_agent="pkgsite", timeouts=FAST_TIMEOUTS)
    return Bitbucket(client, api=lambda _host: f"{address}/2.0", tokens={HOST: "secret"})


def test_default_api_url() -> None:
    assert Bitbucket.default_api_url("bitbucket.org") == "https://api.bitbucket.org/2.0"


def test_repository_facts_without_stars(fake: FakeBitbucket, bitbucket: Bitbucket) -> None:
    (fetched,) = bitbucket.repo_facts(repo_requests("bitbucket", HOST, PATH), now=NOW)
    assert fetched == Fetched(
        RepoFacts(
            node_id=uuid(42),
            web_url="https://bitbucket.org/ada/engine",
            description="Does one thing.",
            forks=3,
            open_issues=4,
            default_branch=MAIN_BRANCH,
            last_commit_at=fake.repositories[PATH].commits[0].committed_at.astimezone(UTC),
            has_issues=True,
            is_fork=False,
            homepage_url="",
        ),
        {"node_id": uuid(42)},
    )
    assert len(fake.request_log) == 4
    assert {headers["HTTP_AUTHORIZATION"] for headers in fake.request_headers} == {"Bearer secret"}


def test_token_is_sent_to_its_host_only(fake: FakeBitbucket, bitbucket: Bitbucket) -> None:
    single_facts(bitbucket.repo_facts(repo_requests("bitbucket", "other.example.org", PATH), now=NOW))
    bitbucket.activity_facts(replace(REF, host="other.example.org"), validators={}, now=NOW)
    assert not any("HTTP_AUTHORIZATION" in headers for headers in fake.request_headers)


def test_issues_are_not_requested_if_disabled(fake: FakeBitbucket, bitbucket: Bitbucket) -> None:
    fake.repositories[PATH].fields["has_issues"] = False
    assert single_facts(bitbucket.repo_facts(repo_requests("bitbucket", HOST, PATH), now=NOW)).open_issues is None
    assert not any("/issues" in url for url in fake.request_log)


@pytest.mark.parametrize("part", ["/forks", "/issues", "/commits"])
@pytest.mark.parametrize(("fault", "kind"), FAULTS)
def test_denied_access_to_a_part_leaves_only_that_part_unknown(
    fake: FakeBitbucket, bitbucket: Bitbucket, part: str, fault: WsgiApp, kind: type[UpstreamError]
) -> None:
    complete = single_facts(bitbucket.repo_facts(repo_requests("bitbucket", HOST, PATH), now=NOW))
    fake.faults[part] = fault
    (outcome,) = bitbucket.repo_facts(repo_requests("bitbucket", HOST, PATH), now=NOW)
    if kind is NotAllowed:
        unknown: dict[str, Any] = {
            {"/forks": "forks", "/issues": "open_issues", "/commits": "last_commit_at"}[part]: None
        }
        assert single_facts([outcome]) == replace(complete, **unknown)
    else:
        assert type(outcome) is kind


def test_missing_size_is_none(fake: FakeBitbucket, bitbucket: Bitbucket) -> None:
    fake.faults["/forks"] = response("200 OK", {"values": [], "pagelen": 1})
    assert single_facts(bitbucket.repo_facts(repo_requests("bitbucket", HOST, PATH), now=NOW)).forks is None


def test_empty_repository_is_not_an_error(fake: FakeBitbucket, bitbucket: Bitbucket) -> None:
    fake.repositories[PATH].commits.clear()
    facts = single_facts(bitbucket.repo_facts(repo_requests("bitbucket", HOST, PATH), now=NOW))
    assert (facts.default_branch, facts.last_commit_at, facts.commit_count) == (None, None, 0)
    assert bitbucket.activity_facts(REF, validators={}, now=NOW).facts == EMPTY_YEAR
    assert bitbucket.participant_facts(REF, validators={}).facts == ParticipantFacts((), is_complete=True)
    assert not any("/commits" in url for url in fake.request_log)


def test_repository_with_hidden_code_is_not_missing(fake: FakeBitbucket, bitbucket: Bitbucket) -> None:
    fake.repositories[PATH].hides_code = True
    facts = single_facts(bitbucket.repo_facts(repo_requests("bitbucket", HOST, PATH), now=NOW))
    assert (facts.forks, facts.last_commit_at, facts.commit_count) == (3, None, None)
    with pytest.raises(NotAllowed, match="ada/engine: the commits are not public"):
        bitbucket.activity_facts(REF, validators={}, now=NOW)
    with pytest.raises(NotAllowed, match="ada/engine: the commits are not public"):
        bitbucket.participant_facts(REF, validators={})
    with pytest.raises(Gone):
        bitbucket.activity_facts(replace(REF, path="ada/lost"), validators={}, now=NOW)


def test_renamed_repository_is_followed(fake: FakeBitbucket, bitbucket: Bitbucket) -> None:
    fake.moved["ada/loom"] = fake.repositories[PATH]
    facts = single_facts(bitbucket.repo_facts(repo_requests("bitbucket", HOST, "ada/loom", node_id=uuid(42)), now=NOW))
    assert facts.web_url == "https://bitbucket.org/ada/engine"
    assert (facts.forks, facts.open_issues) == (3, 4)
    counted = bitbucket.activity_facts(replace(REF, path="ada/loom"), validators={}, now=NOW).facts
    assert counted == ActivityFacts(expected_weekly_counts(fake.repositories[PATH].commits))


def test_reused_name_is_rejected(bitbucket: Bitbucket) -> None:
    (failure,) = bitbucket.repo_facts(repo_requests("bitbucket", HOST, PATH, node_id=uuid(7)), now=NOW)
    assert isinstance(failure, Gone)
    assert str(failure) == "bitbucket.org/ada/engine: the name now belongs to a different repository"


def test_missing_repository_does_not_affect_others(fake: FakeBitbucket, bitbucket: Bitbucket) -> None:
    fake.repositories["ada/loom"] = FakeRepository("ada/loom", 43, make_commits(1))
    outcomes = bitbucket.repo_facts(repo_requests("bitbucket", HOST, PATH, "ada/lost", "ada/loom"), now=NOW)
    assert [type(outcome) for outcome in outcomes] == [Fetched, Gone, Fetched]


def test_rate_limit_stops_requests_to_that_host_only(fake: FakeBitbucket, bitbucket: Bitbucket) -> None:
    fake.repositories["ada/loom"] = FakeRepository("ada/loom", 43, make_commits(1))
    fake.faults["engine/forks"] = response("429 Too Many Requests", {}, Retry_After="600")
    limited, other = (
        repo_requests("bitbucket", HOST, PATH, "ada/loom"),
        repo_requests("bitbucket", "other.example.org", "ada/loom"),
    )
    outcomes = bitbucket.repo_facts([*limited, *other], now=NOW)
    assert [type(outcome) for outcome in outcomes] == [RateLimited, RateLimited, Fetched]
    assert sum(url.endswith("/loom") for url in fake.request_log) == 1


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("knows_fields", [True, False])
def test_weekly_counts_include_all_pages(
    fake: FakeBitbucket, bitbucket: Bitbucket, seed: int, knows_fields: bool
) -> None:
    commits = make_commits(450, seed=seed, days=600)
    fake.repositories[PATH].commits = commits
    fake.knows_fields = knows_fields
    fetched = bitbucket.activity_facts(REF, validators={}, now=NOW)
    assert fetched.facts == ActivityFacts(expected_weekly_counts(commits))
    assert len(fake.request_log) == 5  # the repository, the pages of the year, and an older page


def test_older_commits_are_not_requested(fake: FakeBitbucket, bitbucket: Bitbucket) -> None:
    old = [FakeCommit(f"old {ago}", NOW - timedelta(days=400 + ago)) for ago in range(500)]
    fake.repositories[PATH].commits = [*make_commits(150, days=300), *old]
    counted = bitbucket.activity_facts(REF, validators={}, now=NOW).facts
    assert counted
    assert sum(counted.commits_over_52) == 150
    assert len(fake.request_log) == 4


def test_unchanged_activity_requests_one_page(fake: FakeBitbucket, bitbucket: Bitbucket) -> None:
    first = bitbucket.activity_facts(REF, validators={}, now=NOW)
    fake.request_log.clear()
    again = bitbucket.activity_facts(REF, validators=first.validators, now=NOW + timedelta(hours=3))
    assert (again.facts, again.validators, len(fake.request_log)) == (None, first.validators, 2)
    fake.repositories[PATH].commits.insert(0, FakeCommit("new", NOW))
    pushed = bitbucket.activity_facts(REF, validators=first.validators, now=NOW)
    assert pushed.facts == ActivityFacts(expected_weekly_counts(fake.repositories[PATH].commits))


@pytest.mark.parametrize("knows_fields", [True, False])
def test_participants_are_accounts_and_never_email_addresses(
    fake: FakeBitbucket, bitbucket: Bitbucket, knows_fields: bool
) -> None:
    fake.knows_fields = knows_fields
    fetched = bitbucket.participant_facts(REF, validators={})
    assert fetched.facts
    assert fetched.facts.participants[0] == "ada"
    assert set(fetched.facts.participants) == {"ada", "grace", "alan"}
    assert fetched.facts.is_complete
    assert "@" not in repr(fetched)
    assert bitbucket.participant_facts(REF, validators=fetched.validators).facts is None


def test_participants_are_incomplete_if_authors_are_unknown(fake: FakeBitbucket, bitbucket: Bitbucket) -> None:
    fake.repositories[PATH].commits[5].login = None
    fetched = bitbucket.participant_facts(REF, validators={})
    assert fetched.facts
    assert not fetched.facts.is_complete
    fake.repositories[PATH].commits = make_commits(600)
    fake.request_log.clear()
    fetched = bitbucket.participant_facts(REF, validators={})
    assert fetched.facts
    assert not fetched.facts.is_complete
    assert len(fake.request_log) == 5


@pytest.mark.parametrize(
    ("user", "participants"),
    [
        ({"nickname": "ada", "display_name": "Ada L."}, ("ada",)),
        ({"display_name": "Ada L."}, ("Ada L.",)),
        ({"nickname": "ada@example.org", "display_name": "Ada L."}, ("Ada L.",)),
        ({"nickname": "ada@example.org", "display_name": "ada@example.org"}, ()),
        ({"nickname": "", "display_name": " "}, ()),
        ({}, ()),
        (None, ()),
    ],
)
def test_participants_are_named_by_nickname(
    fake: FakeBitbucket, bitbucket: Bitbucket, user: object, participants: tuple[str, ...]
) -> None:
    author = {"raw": "Ada <ada@example.org>", "user": user}
    commit = {"hash": "a", "date": "2026-01-01T00:00:00+00:00", "author": author}
    fake.faults["/commits"] = response("200 OK", {"values": [commit]})
    assert bitbucket.participant_facts(REF, validators={}).facts == ParticipantFacts(
        participants, is_complete=bool(participants)
    )


def test_endless_list_is_rejected(fake: FakeBitbucket, bitbucket: Bitbucket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pkgsite.clients.rest.MAX_PAGES", 2)
    fake.repositories[PATH].commits = make_commits(300, days=300)
    with pytest.raises(BadResponse, match="has more than 2 pages"):
        bitbucket.activity_facts(REF, validators={}, now=NOW)


@pytest.mark.parametrize(
    "next_url",
    [
        "https://elsewhere.example/2.0/repositories/ada/engine/commits?page=2",
        "{address}.elsewhere.example/2.0/x",
        "{address}@elsewhere.example/2.0/x",
        "{address}/3.0/repositories/ada/engine/commits?page=2",
        "/2.0/repositories/ada/engine/commits?page=2",
        "javascript:alert(1)",
    ],
)
def test_next_page_outside_the_api_is_not_requested(fake: FakeBitbucket, bitbucket: Bitbucket, next_url: str) -> None:
    bitbucket.repo_facts(repo_requests("bitbucket", HOST, PATH), now=NOW)
    next_url = next_url.format(address=f"http://{fake.request_headers[0]['HTTP_HOST']}")
    commit = {"hash": "a", "date": NOW.isoformat(), "author": {}}
    fake.faults["/commits"] = response("200 OK", {"values": [commit], "next": next_url})
    fake.request_log.clear()
    with pytest.raises(BadResponse, match="links to a next page outside this API"):
        bitbucket.activity_facts(REF, validators={}, now=NOW)
    assert len(fake.request_log) == 2


@pytest.mark.parametrize(("fault", "kind"), FAULTS)
def test_each_fault_raises_its_error(
    fake: FakeBitbucket, bitbucket: Bitbucket, fault: WsgiApp, kind: type[UpstreamError]
) -> None:
    fake.faults["engine"] = fault
    (failure,) = bitbucket.repo_facts(repo_requests("bitbucket", HOST, PATH), now=NOW)
    assert type(failure) is kind
    with pytest.raises(kind):
        bitbucket.activity_facts(REF, validators={}, now=NOW)
    with pytest.raises(kind):
        bitbucket.participant_facts(REF, validators={})


@pytest.mark.parametrize("part", ["/commits", "page=2"])
@pytest.mark.parametrize(("fault", "kind"), FAULTS)
def test_each_fault_raises_its_error_on_later_pages(
    fake: FakeBitbucket, bitbucket: Bitbucket, part: str, fault: WsgiApp, kind: type[UpstreamError]
) -> None:
    fake.faults[part] = fault
    with pytest.raises(kind):
        bitbucket.activity_facts(REF, validators={}, now=NOW)
    with pytest.raises(kind):
        bitbucket.participant_facts(REF, validators={})


def test_host_that_does_not_respond_is_unavailable(serve_app: Serve) -> None:
    hanging = HangingResponse()
    address = serve_app(hanging)
    client = JsonClient(user_agent="pkgsite", timeouts=Timeouts(read_timeout_s=0.05, attempts=1))
    (failure,) = Bitbucket(client, api=lambda _host: address).repo_facts(
        repo_requests("bitbucket", HOST, PATH), now=NOW
    )
    assert isinstance(failure, Unavailable)
    hanging.released.set()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("uuid", None),
        ("uuid", 42),
        ("links", []),
        ("has_issues", "no"),
        ("mainbranch", "main"),
        ("description", 5),
    ],
)
def test_error_names_the_field_with_a_wrong_type(
    fake: FakeBitbucket, bitbucket: Bitbucket, field: str, value: object
) -> None:
    fake.repositories[PATH].fields[field] = value
    (failure,) = bitbucket.repo_facts(repo_requests("bitbucket", HOST, PATH), now=NOW)
    assert isinstance(failure, BadResponse)
    assert field in str(failure)


def test_missing_main_branch_is_an_error(fake: FakeBitbucket, bitbucket: Bitbucket) -> None:
    fake.faults["/engine"] = response("200 OK", {"uuid": uuid(42)})
    with pytest.raises(BadResponse, match="missing field mainbranch"):
        bitbucket.activity_facts(REF, validators={}, now=NOW)


@pytest.mark.parametrize(
    "page",
    [
        {},
        {"values": None},
        {"values": {}},
        {"values": [1]},
        {"values": [{"hash": "a", "date": "2026-01-01T00:00:00Z"}], "next": 2},
        [],
    ],
)
def test_malformed_page_is_rejected(fake: FakeBitbucket, bitbucket: Bitbucket, page: object) -> None:
    fake.faults["/commits"] = response("200 OK", page)
    with pytest.raises(BadResponse):
        bitbucket.activity_facts(REF, validators={}, now=NOW)


@pytest.mark.parametrize("size", [-1, True, "3"])
def test_invalid_size_is_rejected(fake: FakeBitbucket, bitbucket: Bitbucket, size: object) -> None:
    fake.faults["/forks"] = response("200 OK", {"size": size})
    (failure,) = bitbucket.repo_facts(repo_requests("bitbucket", HOST, PATH), now=NOW)
    assert isinstance(failure, BadResponse)


@pytest.mark.parametrize("date", ["yesterday", "2026-01-01T00:00:00", "0001-01-01T00:00:00+02:00", None])
def test_invalid_date_is_rejected(fake: FakeBitbucket, bitbucket: Bitbucket, date: str | None) -> None:
    fake.faults["/commits"] = response("200 OK", {"values": [{"hash": "a", "date": date, "author": {}}]})
    with pytest.raises(BadResponse, match="date"):
        bitbucket.activity_facts(REF, validators={}, now=NOW)


def test_unknown_facts_are_none(fake: FakeBitbucket, bitbucket: Bitbucket) -> None:
    fake.faults["/forks"] = response("403 Forbidden", {"type": "error"})
    links = {"html": {"href": "javascript:alert(1)"}}
    fake.faults["/engine"] = response(
        "200 OK", {"uuid": uuid(42), "links": links, "description": None, "mainbranch": None}
    )
    facts = single_facts(bitbucket.repo_facts(repo_requests("bitbucket", HOST, PATH), now=NOW))
    assert facts == RepoFacts(node_id=uuid(42), description="", commit_count=0, is_fork=False)
