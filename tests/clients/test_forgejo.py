"""What a Forgejo host tells of its repositories, and how it fails."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, timedelta

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
from tests.fakes.v4_site import Answer, HangingResponse, response

HOST = "forge.example.org"
ODDLY = Timeouts(read_timeout_s=5, attempts=2, backoff_s=0, jitter_s=0)
REF = RepoRef("forgejo", HOST, "ada/engine")
EMPTY_YEAR = ActivityFacts((0,) * 52)


@pytest.fixture
def fake() -> FakeForgejo:
    return FakeForgejo(FakeRepository("ada/engine", 42, make_commits(130)))


@pytest.fixture
def forgejo(serve_app: Serve, fake: FakeForgejo) -> Forgejo:
    address = serve_app(fake)
    reader = JsonClient(user_agent="pkgsite", timeouts=ODDLY)
    return Forgejo(reader, api=lambda _host: f"{address}/api/v1", tokens={HOST: "secret"})


def test_where_an_api_is() -> None:
    assert Forgejo.default_api_url("codeberg.org") == "https://codeberg.org/api/v1"


def test_a_repository_is_told_of_and_stars_are_stars(fake: FakeForgejo, forgejo: Forgejo) -> None:
    fake.repositories["ada/engine"].fields["licenses"] = ["MIT"]
    (fetched,) = forgejo.repo_facts(repo_requests("forgejo", HOST, "ada/engine"), now=NOW)
    last = fake.repositories["ada/engine"].commits[0].at.astimezone(UTC).replace(microsecond=0)
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
            last_commit_at=last,
            commit_count=130,
            licence="MIT",
            topics=("django", "admin"),
        ),
        {"node_id": "42"},
    )
    assert len(fake.request_log) == 2
    assert {head["HTTP_AUTHORIZATION"] for head in fake.request_headers} == {"token secret"}


def test_of_several_licences_none_is_told(fake: FakeForgejo, forgejo: Forgejo) -> None:
    fake.repositories["ada/engine"].fields["licenses"] = ["MIT", "Apache-2.0"]
    assert single_facts(forgejo.repo_facts(repo_requests("forgejo", HOST, "ada/engine"), now=NOW)).licence is None


def test_an_archived_repository_says_so(fake: FakeForgejo, forgejo: Forgejo) -> None:
    fake.repositories["ada/engine"].fields["archived"] = True
    assert single_facts(forgejo.repo_facts(repo_requests("forgejo", HOST, "ada/engine"), now=NOW)).is_archived is True


def test_an_empty_repository_is_no_error(fake: FakeForgejo, forgejo: Forgejo) -> None:
    fake.repositories["ada/engine"].commits.clear()
    facts = single_facts(forgejo.repo_facts(repo_requests("forgejo", HOST, "ada/engine"), now=NOW))
    assert (facts.last_commit_at, facts.commit_count) == (None, 0)
    assert forgejo.activity_facts(REF, validators={}, now=NOW).facts == EMPTY_YEAR
    assert forgejo.participant_facts(REF, validators={}).facts == ParticipantFacts((), is_complete=True)


def test_one_that_grew_empty_between_two_requests_is_none_either(fake: FakeForgejo, forgejo: Forgejo) -> None:
    fake.repositories["ada/engine"].commits.clear()
    fake.repositories["ada/engine"].fields["empty"] = False
    facts = single_facts(forgejo.repo_facts(repo_requests("forgejo", HOST, "ada/engine"), now=NOW))
    assert (facts.last_commit_at, facts.commit_count) == (None, 0)


def test_hidden_code_is_not_a_lost_repository(fake: FakeForgejo, forgejo: Forgejo) -> None:
    fake.repositories["ada/engine"].hides_code = True
    facts = single_facts(forgejo.repo_facts(repo_requests("forgejo", HOST, "ada/engine"), now=NOW))
    assert (facts.stars, facts.last_commit_at, facts.commit_count) == (12, None, None)
    with pytest.raises(NotAllowed, match="ada/engine: the commits are not public"):
        forgejo.activity_facts(REF, validators={}, now=NOW)
    with pytest.raises(Gone):
        forgejo.activity_facts(replace(REF, path="ada/lost"), validators={}, now=NOW)


def test_a_renamed_repository_is_followed(fake: FakeForgejo, forgejo: Forgejo) -> None:
    fake.moved["ada/loom"] = fake.repositories["ada/engine"]
    facts = single_facts(forgejo.repo_facts(repo_requests("forgejo", HOST, "ada/loom", node_id="42"), now=NOW))
    assert facts.web_url == "https://forge.example.org/ada/engine"
    assert facts.commit_count == 130
    counted = forgejo.activity_facts(replace(REF, path="ada/loom"), validators={}, now=NOW).facts
    assert counted == ActivityFacts(expected_weekly_counts(fake.repositories["ada/engine"].commits))


def test_a_reused_name_is_another_repository(forgejo: Forgejo) -> None:
    (failure,) = forgejo.repo_facts(repo_requests("forgejo", HOST, "ada/engine", node_id="7"), now=NOW)
    assert isinstance(failure, Gone)
    assert str(failure) == "forge.example.org/ada/engine: the name now belongs to a different repository"


def test_one_that_is_missing_takes_no_other_with_it(fake: FakeForgejo, forgejo: Forgejo) -> None:
    fake.repositories["ada/loom"] = FakeRepository("ada/loom", 43, make_commits(1))
    found = forgejo.repo_facts(repo_requests("forgejo", HOST, "ada/engine", "ada/lost", "ada/loom"), now=NOW)
    assert [type(outcome) for outcome in found] == [Fetched, Gone, Fetched]


def test_a_host_that_is_busy_is_left_alone(fake: FakeForgejo, forgejo: Forgejo) -> None:
    fake.faults["engine"] = response("429 Too Many Requests", {}, Retry_After="600")
    found = forgejo.repo_facts(repo_requests("forgejo", HOST, "ada/engine", "ada/loom"), now=NOW)
    assert [type(outcome) for outcome in found] == [RateLimited, RateLimited]
    assert len(fake.request_log) == 1


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("knows_since", [True, False])
def test_weeks_are_counted_over_all_pages(fake: FakeForgejo, forgejo: Forgejo, seed: int, knows_since: bool) -> None:
    commits = make_commits(170, seed=seed, days=700)
    fake.repositories["ada/engine"].commits = commits
    fake.knows_since = knows_since
    fetched = forgejo.activity_facts(REF, validators={}, now=NOW)
    assert fetched.facts == ActivityFacts(expected_weekly_counts(commits))
    assert len(fake.request_log) <= 4
    assert "stat=false" in fake.request_log[0]


def test_commits_out_of_order_are_counted(fake: FakeForgejo, forgejo: Forgejo) -> None:
    fake.knows_since = False
    late = [FakeCommit("old", NOW - timedelta(days=900)), FakeCommit("older", NOW - timedelta(days=901))]
    fake.repositories["ada/engine"].commits = [*late, *make_commits(120, days=300)]
    counted = forgejo.activity_facts(REF, validators={}, now=NOW).facts
    assert counted
    assert sum(counted.commits_over_52) == 120


def test_nothing_new_costs_one_request(fake: FakeForgejo, forgejo: Forgejo) -> None:
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


def test_people_are_the_newest_commits_accounts(fake: FakeForgejo, forgejo: Forgejo) -> None:
    fetched = forgejo.participant_facts(REF, validators={})
    assert fetched.facts
    assert fetched.facts.participants[0] == "ada"
    assert set(fetched.facts.participants) == {"ada", "grace", "alan"}
    assert fetched.facts.is_complete
    assert forgejo.participant_facts(REF, validators=fetched.validators).facts is None


def test_people_are_not_complete_where_some_are_unknown(fake: FakeForgejo, forgejo: Forgejo) -> None:
    fake.repositories["ada/engine"].commits[5].login = None
    fetched = forgejo.participant_facts(REF, validators={})
    assert fetched.facts
    assert not fetched.facts.is_complete
    fake.repositories["ada/engine"].commits = make_commits(500)
    fake.request_log.clear()
    fetched = forgejo.participant_facts(REF, validators={})
    assert fetched.facts
    assert not fetched.facts.is_complete
    assert len(fake.request_log) == 4


def test_a_list_without_end_is_refused(fake: FakeForgejo, forgejo: Forgejo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pkgsite.clients.rest.MAX_PAGES", 2)
    with pytest.raises(BadResponse, match="has more than 2 pages"):
        forgejo.activity_facts(REF, validators={}, now=NOW)


@pytest.mark.parametrize(("fault", "kind"), FAULTS)
def test_every_fault_has_its_name(
    fake: FakeForgejo, forgejo: Forgejo, fault: Answer, kind: type[UpstreamError]
) -> None:
    fake.faults["engine"] = fault
    (failure,) = forgejo.repo_facts(repo_requests("forgejo", HOST, "ada/engine"), now=NOW)
    assert type(failure) is kind
    with pytest.raises(kind):
        forgejo.activity_facts(REF, validators={}, now=NOW)
    with pytest.raises(kind):
        forgejo.participant_facts(REF, validators={})


@pytest.mark.parametrize(("fault", "kind"), FAULTS)
def test_on_a_later_page_too(fake: FakeForgejo, forgejo: Forgejo, fault: Answer, kind: type[UpstreamError]) -> None:
    fake.faults["page=2"] = fault
    with pytest.raises(kind):
        forgejo.activity_facts(REF, validators={}, now=NOW)


def test_a_host_that_keeps_silent(serve_app: Serve) -> None:
    silence = HangingResponse()
    address = serve_app(silence)
    reader = JsonClient(user_agent="pkgsite", timeouts=Timeouts(read_timeout_s=0.05, attempts=1))
    (failure,) = Forgejo(reader, api=lambda _host: address).repo_facts(
        repo_requests("forgejo", HOST, "ada/engine"), now=NOW
    )
    assert isinstance(failure, Unavailable)
    silence.over.set()


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
def test_fields_of_another_type_are_refused_by_name(
    fake: FakeForgejo, forgejo: Forgejo, field: str, value: object
) -> None:
    fake.repositories["ada/engine"].fields[field] = value
    (failure,) = forgejo.repo_facts(repo_requests("forgejo", HOST, "ada/engine"), now=NOW)
    assert isinstance(failure, BadResponse)
    assert field in str(failure)


@pytest.mark.parametrize("date", ["yesterday", "2026-01-01T00:00:00", "0001-01-01T00:00:00+02:00", None])
def test_an_unreadable_date_is_refused(fake: FakeForgejo, forgejo: Forgejo, date: str | None) -> None:
    commit = {"sha": "a", "commit": {"committer": {"date": date}}, "author": None}
    fake.faults["/commits"] = response("200 OK", [commit])
    with pytest.raises(BadResponse, match="date"):
        forgejo.activity_facts(REF, validators={}, now=NOW)


def test_what_is_not_told_is_none(fake: FakeForgejo, forgejo: Forgejo) -> None:
    fake.faults["/commits"] = response("200 OK", [])
    fake.faults["/engine"] = response("200 OK", {"id": 42, "html_url": "javascript:alert(1)", "description": None})
    assert single_facts(forgejo.repo_facts(repo_requests("forgejo", HOST, "ada/engine"), now=NOW)) == RepoFacts(
        node_id="42", description=""
    )


def test_a_quota_is_noted_where_it_is_told(fake: FakeForgejo, forgejo: Forgejo) -> None:
    told = {"X_RateLimit_Limit": "500", "X_RateLimit_Remaining": "499", "X_RateLimit_Reset": "1767830400"}
    fake.faults["/engine"] = response("200 OK", {"id": 42, "empty": True}, **told)
    assert forgejo.quotas == {}
    forgejo.repo_facts(repo_requests("forgejo", HOST, "ada/engine"), now=NOW)
    assert forgejo.quotas == {HOST: Quota(500, 499, NOW.replace(day=8, hour=0, minute=0))}
