"""The Forgejo client: facts, requests and errors."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from pkgsite.clients.base import ActivityFacts, Fetched, ParticipantFacts, Quota, RepoFacts
from pkgsite.clients.forgejo import Forgejo
from pkgsite.clients.http import JsonClient, Timeouts
from pkgsite.errors import BadResponse, Gone, NotAllowed, RateLimited, Unavailable, UpstreamError
from pkgsite.rules.repo_urls import RepoRef
from tests.fakes.forgejo import FakeForgejo
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

HOST = "forge.example.org"
FAST_TIMEOUTS = Timeouts(read_timeout_s=5, attempts=2, backoff_s=0, jitter_s=0)
REF = RepoRef("forgejo", HOST, "ada/engine")
EMPTY_YEAR = ActivityFacts((0,) * 52)


@pytest.fixture
def fake() -> FakeForgejo:
    return FakeForgejo(FakeRepository("ada/engine", 42, make_commits(130)))


@pytest.fixture
def forgejo(serve_app: Serve, fake: FakeForgejo) -> Forgejo:
    address = serve_app(fake)
    client = JsonClient(user_agent="pkgsite", timeouts=FAST_TIMEOUTS)
    return Forgejo(client, api=lambda _host: f"{address}/api/v1", tokens={HOST: "secret"})


def test_default_api_url() -> None:
    assert Forgejo.default_api_url("codeberg.org") == "https://codeberg.org/api/v1"


def test_repository_facts(fake: FakeForgejo, forgejo: Forgejo) -> None:
    fake.repositories["ada/engine"].fields["licenses"] = ["MIT"]
    (fetched,) = forgejo.repo_facts(repo_requests("forgejo", HOST, "ada/engine"), now=NOW)
    last_commit_at = fake.repositories["ada/engine"].commits[0].committed_at.astimezone(UTC).replace(microsecond=0)
    assert fetched == Fetched(
        RepoFacts(
            node_id="42",
            web_url="https://forge.example.org/ada/engine",
            description="Does one thing.",
            stars=12,
            forks=3,
            open_issues=4,
            is_archived=False,
            default_branch="main",
            last_commit_at=last_commit_at,
            commit_count=130,
            licence="MIT",
            topics=("django", "admin"),
            has_issues=True,
            is_fork=False,
            is_mirror=False,
            homepage_url="",
        ),
        {"node_id": "42"},
    )
    assert len(fake.request_log) == 2
    assert {headers["HTTP_AUTHORIZATION"] for headers in fake.request_headers} == {"token secret"}


def test_several_licences_are_unknown(fake: FakeForgejo, forgejo: Forgejo) -> None:
    fake.repositories["ada/engine"].fields["licenses"] = ["MIT", "Apache-2.0"]
    assert single_facts(forgejo.repo_facts(repo_requests("forgejo", HOST, "ada/engine"), now=NOW)).licence is None


def test_archived_repository(fake: FakeForgejo, forgejo: Forgejo) -> None:
    fake.repositories["ada/engine"].fields["archived"] = True
    assert single_facts(forgejo.repo_facts(repo_requests("forgejo", HOST, "ada/engine"), now=NOW)).is_archived is True


def test_empty_repository_is_not_an_error(fake: FakeForgejo, forgejo: Forgejo) -> None:
    fake.repositories["ada/engine"].commits.clear()
    facts = single_facts(forgejo.repo_facts(repo_requests("forgejo", HOST, "ada/engine"), now=NOW))
    assert (facts.last_commit_at, facts.commit_count) == (None, 0)
    assert forgejo.activity_facts(REF, validators={}, now=NOW).facts == EMPTY_YEAR
    assert forgejo.participant_facts(REF, validators={}).facts == ParticipantFacts((), is_complete=True)


def test_repository_that_became_empty_between_two_requests(fake: FakeForgejo, forgejo: Forgejo) -> None:
    fake.repositories["ada/engine"].commits.clear()
    fake.repositories["ada/engine"].fields["empty"] = False
    facts = single_facts(forgejo.repo_facts(repo_requests("forgejo", HOST, "ada/engine"), now=NOW))
    assert (facts.last_commit_at, facts.commit_count) == (None, 0)


def test_repository_with_hidden_code_is_not_missing(fake: FakeForgejo, forgejo: Forgejo) -> None:
    fake.repositories["ada/engine"].hides_code = True
    facts = single_facts(forgejo.repo_facts(repo_requests("forgejo", HOST, "ada/engine"), now=NOW))
    assert (facts.stars, facts.last_commit_at, facts.commit_count) == (12, None, None)
    with pytest.raises(NotAllowed, match="ada/engine: the commits are not public"):
        forgejo.activity_facts(REF, validators={}, now=NOW)
    with pytest.raises(Gone):
        forgejo.activity_facts(replace(REF, path="ada/lost"), validators={}, now=NOW)


def test_renamed_repository_is_followed(fake: FakeForgejo, forgejo: Forgejo) -> None:
    fake.moved["ada/loom"] = fake.repositories["ada/engine"]
    facts = single_facts(forgejo.repo_facts(repo_requests("forgejo", HOST, "ada/loom", node_id="42"), now=NOW))
    assert facts.web_url == "https://forge.example.org/ada/engine"
    assert facts.commit_count == 130
    counted = forgejo.activity_facts(replace(REF, path="ada/loom"), validators={}, now=NOW).facts
    assert counted == ActivityFacts(expected_weekly_counts(fake.repositories["ada/engine"].commits))


def test_reused_name_is_rejected(forgejo: Forgejo) -> None:
    (failure,) = forgejo.repo_facts(repo_requests("forgejo", HOST, "ada/engine", node_id="7"), now=NOW)
    assert isinstance(failure, Gone)
    assert str(failure) == "forge.example.org/ada/engine: the name now belongs to a different repository"


def test_missing_repository_does_not_affect_others(fake: FakeForgejo, forgejo: Forgejo) -> None:
    fake.repositories["ada/loom"] = FakeRepository("ada/loom", 43, make_commits(1))
    outcomes = forgejo.repo_facts(repo_requests("forgejo", HOST, "ada/engine", "ada/lost", "ada/loom"), now=NOW)
    assert [type(outcome) for outcome in outcomes] == [Fetched, Gone, Fetched]


def test_rate_limit_stops_further_requests(fake: FakeForgejo, forgejo: Forgejo) -> None:
    fake.faults["engine"] = response("429 Too Many Requests", {}, Retry_After="600")
    outcomes = forgejo.repo_facts(repo_requests("forgejo", HOST, "ada/engine", "ada/loom"), now=NOW)
    assert [type(outcome) for outcome in outcomes] == [RateLimited, RateLimited]
    assert len(fake.request_log) == 1


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("knows_since", [True, False])
def test_weekly_counts_include_all_pages(fake: FakeForgejo, forgejo: Forgejo, seed: int, knows_since: bool) -> None:
    commits = make_commits(170, seed=seed, days=700)
    fake.repositories["ada/engine"].commits = commits
    fake.knows_since = knows_since
    fetched = forgejo.activity_facts(REF, validators={}, now=NOW)
    assert fetched.facts == ActivityFacts(expected_weekly_counts(commits))
    assert len(fake.request_log) <= 4
    assert "stat=false" in fake.request_log[0]


def test_commits_out_of_order_are_counted(fake: FakeForgejo, forgejo: Forgejo) -> None:
    fake.knows_since = False
    old = [FakeCommit("old", NOW - timedelta(days=900)), FakeCommit("older", NOW - timedelta(days=901))]
    fake.repositories["ada/engine"].commits = [*old, *make_commits(120, days=300)]
    counted = forgejo.activity_facts(REF, validators={}, now=NOW).facts
    assert counted
    assert sum(counted.commits_over_52) == 120


def test_unchanged_activity_costs_one_request(fake: FakeForgejo, forgejo: Forgejo) -> None:
    first = forgejo.activity_facts(REF, validators={}, now=NOW)
    fake.request_log.clear()
    again = forgejo.activity_facts(REF, validators=first.validators, now=NOW + timedelta(hours=3))
    assert (again.facts, again.validators, len(fake.request_log)) == (None, first.validators, 1)
    next_week = forgejo.activity_facts(REF, validators=again.validators, now=NOW + timedelta(weeks=1))
    assert next_week.facts == ActivityFacts(
        expected_weekly_counts(fake.repositories["ada/engine"].commits, now=NOW + timedelta(weeks=1))
    )
    fake.repositories["ada/engine"].commits.insert(0, FakeCommit("new", NOW))
    pushed = forgejo.activity_facts(REF, validators=first.validators, now=NOW)
    assert pushed.facts == ActivityFacts(expected_weekly_counts(fake.repositories["ada/engine"].commits))


def test_participants_are_the_authors_of_the_newest_commits(fake: FakeForgejo, forgejo: Forgejo) -> None:
    fetched = forgejo.participant_facts(REF, validators={})
    assert fetched.facts
    assert fetched.facts.participants[0] == "ada"
    assert set(fetched.facts.participants) == {"ada", "grace", "alan"}
    assert fetched.facts.is_complete
    assert forgejo.participant_facts(REF, validators=fetched.validators).facts is None


def test_participants_are_incomplete_if_authors_are_unknown(fake: FakeForgejo, forgejo: Forgejo) -> None:
    commit = fake.repositories["ada/engine"].commits[5]
    commit.login, commit.name = None, "ada@example.org"
    fetched = forgejo.participant_facts(REF, validators={})
    assert fetched.facts
    assert not fetched.facts.is_complete
    fake.repositories["ada/engine"].commits = make_commits(500)
    fake.request_log.clear()
    fetched = forgejo.participant_facts(REF, validators={})
    assert fetched.facts
    assert not fetched.facts.is_complete
    assert len(fake.request_log) == 4


def test_endless_list_is_rejected(fake: FakeForgejo, forgejo: Forgejo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pkgsite.clients.rest.MAX_PAGES", 2)
    with pytest.raises(BadResponse, match="has more than 2 pages"):
        forgejo.activity_facts(REF, validators={}, now=NOW)


@pytest.mark.parametrize(("fault", "kind"), FAULTS)
def test_each_fault_raises_its_error(
    fake: FakeForgejo, forgejo: Forgejo, fault: WsgiApp, kind: type[UpstreamError]
) -> None:
    fake.faults["engine"] = fault
    (failure,) = forgejo.repo_facts(repo_requests("forgejo", HOST, "ada/engine"), now=NOW)
    assert type(failure) is kind
    with pytest.raises(kind):
        forgejo.activity_facts(REF, validators={}, now=NOW)
    with pytest.raises(kind):
        forgejo.participant_facts(REF, validators={})


@pytest.mark.parametrize(("fault", "kind"), FAULTS)
def test_each_fault_raises_its_error_on_later_pages(
    fake: FakeForgejo, forgejo: Forgejo, fault: WsgiApp, kind: type[UpstreamError]
) -> None:
    fake.faults["page=2"] = fault
    with pytest.raises(kind):
        forgejo.activity_facts(REF, validators={}, now=NOW)


def test_host_that_does_not_respond_is_unavailable(serve_app: Serve) -> None:
    hanging = HangingResponse()
    address = serve_app(hanging)
    client = JsonClient(user_agent="pkgsite", timeouts=Timeouts(read_timeout_s=0.05, attempts=1))
    (failure,) = Forgejo(client, api=lambda _host: address).repo_facts(
        repo_requests("forgejo", HOST, "ada/engine"), now=NOW
    )
    assert isinstance(failure, Unavailable)
    hanging.released.set()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("id", None),
        ("id", "42"),
        ("stars_count", -1),
        ("stars_count", True),
        ("archived", "no"),
        ("topics", [1]),
        ("topics", "django"),
        ("description", 5),
    ],
)
def test_error_names_the_field_with_a_wrong_type(
    fake: FakeForgejo, forgejo: Forgejo, field: str, value: object
) -> None:
    fake.repositories["ada/engine"].fields[field] = value
    (failure,) = forgejo.repo_facts(repo_requests("forgejo", HOST, "ada/engine"), now=NOW)
    assert isinstance(failure, BadResponse)
    assert field in str(failure)


@pytest.mark.parametrize("date", ["yesterday", "2026-01-01T00:00:00", "0001-01-01T00:00:00+02:00", None])
def test_invalid_date_is_rejected(fake: FakeForgejo, forgejo: Forgejo, date: str | None) -> None:
    commit = {"sha": "a", "commit": {"committer": {"date": date}}, "author": None}
    fake.faults["/commits"] = response("200 OK", [commit])
    with pytest.raises(BadResponse, match="date"):
        forgejo.activity_facts(REF, validators={}, now=NOW)


def test_dates_and_relations(fake: FakeForgejo, forgejo: Forgejo) -> None:
    fake.repositories["ada/engine"].fields |= {
        "archived": True,
        "archived_at": "2025-03-04T05:06:07+02:00",
        "fork": True,
        "parent": {"full_name": "bea/engine", "html_url": "https://forge.example.org/bea/engine"},
        "mirror": True,
        "website": "engine.example.org",
        "licenses": ["GPL-3.0-only", "GPL-3.0-or-later"],
    }
    facts = single_facts(forgejo.repo_facts(repo_requests("forgejo", HOST, "ada/engine"), now=NOW))
    assert facts.archived_at == datetime(2025, 3, 4, 3, 6, 7, tzinfo=UTC)
    assert (facts.is_fork, facts.parent_url) == (True, "https://forge.example.org/bea/engine")
    assert (facts.is_mirror, facts.homepage_url) == (True, "https://engine.example.org")
    assert facts.licence == "GPL-3.0"


@pytest.mark.parametrize("fields", [{"has_issues": False}, {"external_tracker": {"external_tracker_url": "x"}}])
def test_a_repository_without_an_issue_tracker_has_no_open_issues(
    fake: FakeForgejo, forgejo: Forgejo, fields: dict[str, Any]
) -> None:
    fake.repositories["ada/engine"].fields |= fields | {"open_issues_count": 0}
    facts = single_facts(forgejo.repo_facts(repo_requests("forgejo", HOST, "ada/engine"), now=NOW))
    assert (facts.has_issues, facts.open_issues) == (False, None)


def test_null_is_not_an_issue_tracker_elsewhere_or_a_parent(fake: FakeForgejo, forgejo: Forgejo) -> None:
    fields = {"has_issues": True, "external_tracker": None, "open_issues_count": 3, "fork": True, "parent": None}
    fake.repositories["ada/engine"].fields |= fields
    facts = single_facts(forgejo.repo_facts(repo_requests("forgejo", HOST, "ada/engine"), now=NOW))
    assert (facts.has_issues, facts.open_issues, facts.is_fork) == (True, 3, True)
    assert "parent_url" in facts.empty  # the parent was deleted


def test_authors_without_an_account_count_by_name(fake: FakeForgejo, forgejo: Forgejo) -> None:
    def commit(sha: str, date: str) -> dict[str, Any]:
        signed = {"name": "Person One", "email": "one@example.org", "date": date}
        return {"sha": sha, "author": None, "committer": None, "commit": {"author": signed, "committer": signed}}

    commits = [commit("a" * 40, "2021-04-27T07:18:37Z"), commit("b" * 40, "2019-09-10T10:28:10Z")]
    fake.faults["/commits"] = response("200 OK", commits, X_Total_Count="2")
    assert forgejo.participant_facts(REF, validators={}).facts == ParticipantFacts(("Person One",), is_complete=True)


def test_unknown_facts_are_none(fake: FakeForgejo, forgejo: Forgejo) -> None:
    fake.faults["/commits"] = response("200 OK", [])
    fake.faults["/engine"] = response("200 OK", {"id": 42, "html_url": "javascript:alert(1)", "description": None})
    assert single_facts(forgejo.repo_facts(repo_requests("forgejo", HOST, "ada/engine"), now=NOW)) == RepoFacts(
        node_id="42", description=""
    )


def test_reported_quota_is_recorded(fake: FakeForgejo, forgejo: Forgejo) -> None:
    quota = {"X_RateLimit_Limit": "500", "X_RateLimit_Remaining": "499", "X_RateLimit_Reset": "1767830400"}
    fake.faults["/engine"] = response("200 OK", {"id": 42, "empty": True}, **quota)
    assert forgejo.quotas == {}
    forgejo.repo_facts(repo_requests("forgejo", HOST, "ada/engine"), now=NOW)
    assert forgejo.quotas == {HOST: Quota(500, 499, NOW.replace(day=8, hour=0, minute=0))}
