"""The GitLab client: facts, requests and errors."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest

from pkgsite.clients.base import ActivityFacts, Fetched, ParticipantFacts, Quota, RepoFacts
from pkgsite.clients.gitlab import GitLab
from pkgsite.clients.http import JsonClient, Timeouts
from pkgsite.errors import BadResponse, Gone, NotAllowed, RateLimited, Unavailable, UpstreamError
from pkgsite.rules.repo_urls import RepoRef, parse_repo_ref
from tests.fakes.gitlab import FakeGitLab
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

HOST = "git.example.org"
PATH = "ada/parts/engine"  # in a nested group
FAST_TIMEOUTS = Timeouts(read_timeout_s=5, attempts=2, backoff_s=0, jitter_s=0)
REF = RepoRef("gitlab", HOST, PATH)
EMPTY_YEAR = ActivityFacts((0,) * 52)
Make = Callable[..., GitLab]


@pytest.fixture
def fake() -> FakeGitLab:
    return FakeGitLab(FakeRepository(PATH, 42, make_commits(130)))


@pytest.fixture
def make(serve_app: Serve, fake: FakeGitLab) -> Make:
    """A function that creates a client of the fake host, which responds under any host name."""
    address = serve_app(fake)

    def create(**tokens: str) -> GitLab:
        client = JsonClient(user_agent="pkgsite", timeouts=FAST_TIMEOUTS)
        return GitLab(client, api=lambda _host: f"{address}/api/v4", tokens=tokens)

    return create


@pytest.fixture
def gitlab(make: Make) -> GitLab:
    return make(**{HOST: "secret"})


@pytest.mark.parametrize(
    ("host", "api"),
    [("gitlab.com", "https://gitlab.com/api/v4"), ("git.example.org:8443", "https://git.example.org:8443/api/v4")],
)
def test_default_api_url(host: str, api: str) -> None:
    assert GitLab.default_api_url(host) == api


def test_facts_of_a_repository_in_nested_groups(fake: FakeGitLab, gitlab: GitLab) -> None:
    (fetched,) = gitlab.repo_facts(repo_requests("gitlab", HOST, PATH), now=NOW)
    last = fake.repositories[PATH].commits[0].committed_at.astimezone(UTC)
    assert fetched == Fetched(
        RepoFacts(
            node_id="42",
            web_url="https://git.example.org/ada/parts/engine",
            description="Does one thing.",
            stars=12,
            forks=3,
            open_issues=4,
            is_archived=False,
            default_branch="main",
            last_commit_at=last.replace(microsecond=last.microsecond // 1000 * 1000),
            commit_count=130,
            licence="MIT",
            topics=("django", "admin"),
            has_issues=True,
            is_fork=False,
        ),
        {"node_id": "42"},
    )
    assert fake.request_log[0] == "/api/v4/projects/ada%2Fparts%2Fengine?license=true"
    assert len(fake.request_log) == 3
    assert {headers["HTTP_AUTHORIZATION"] for headers in fake.request_headers} == {"Bearer secret"}


def test_token_is_sent_to_its_host_only(fake: FakeGitLab, gitlab: GitLab) -> None:
    facts = single_facts(gitlab.repo_facts(repo_requests("gitlab", "other.example.org", PATH), now=NOW))
    gitlab.participant_facts(replace(REF, host="other.example.org"), validators={})
    assert not any("HTTP_AUTHORIZATION" in headers for headers in fake.request_headers)
    assert (facts.stars, facts.is_archived, facts.open_issues, facts.commit_count) == (12, None, None, 130)


def test_self_managed_instance_with_a_port(serve_app: Serve, fake: FakeGitLab) -> None:
    port = urlsplit(serve_app(fake)).port
    ref = parse_repo_ref(
        f"https://localhost.localdomain:{port}/{PATH}/-/issues", {f"localhost.localdomain:{port}": "gitlab"}
    )
    assert ref
    hosts: list[str] = []

    def api(host: str) -> str:
        hosts.append(host)
        return f"http://127.0.0.1:{host.rpartition(':')[2]}/api/v4"

    client = JsonClient(user_agent="pkgsite", timeouts=FAST_TIMEOUTS)
    gitlab = GitLab(client, api=api, tokens={ref.host: "secret"})
    assert single_facts(gitlab.repo_facts(repo_requests("gitlab", ref.host, ref.path), now=NOW)).is_archived is False
    assert set(hosts) == {f"localhost.localdomain:{port}"}


@pytest.mark.parametrize(
    ("licence", "expected"),
    [
        ({"key": "mit", "name": "MIT License"}, "MIT"),
        ({"key": "bsd-3-clause"}, "BSD-3-Clause"),
        ({"key": "mpl-2.0"}, "MPL-2.0"),
        ({"key": "gpl-3.0"}, "GPL-3.0"),  # as on GitHub: without "-only" or "-or-later", which the host can't know
        ({"key": "lgpl-2.1"}, "LGPL-2.1"),
        ({"key": "agpl-3.0"}, "AGPL-3.0"),
        ({"key": "ms-pl"}, "MS-PL"),
        ({"key": "other", "name": "Other"}, None),
        ({"key": None}, None),
        ({}, None),
        (None, None),
    ],
)
def test_licences_are_spdx_identifiers(fake: FakeGitLab, gitlab: GitLab, licence: object, expected: str | None) -> None:
    fake.repositories[PATH].fields["license"] = licence
    assert single_facts(gitlab.repo_facts(repo_requests("gitlab", HOST, PATH), now=NOW)).licence == expected


def test_topics_of_older_hosts(fake: FakeGitLab, gitlab: GitLab) -> None:
    record = {"id": 42, "web_url": "https://git.example.org/ada/engine", "tag_list": ["django", "python"]}
    fake.faults["engine?"] = response("200 OK", record)
    assert single_facts(gitlab.repo_facts(repo_requests("gitlab", HOST, PATH), now=NOW)).topics == ("django", "python")
    fake.faults["engine?"] = response("200 OK", record | {"tag_list": None})
    assert "topics" in single_facts(gitlab.repo_facts(repo_requests("gitlab", HOST, PATH), now=NOW)).empty
    fake.faults["engine?"] = response("200 OK", record | {"topics": []})
    assert single_facts(gitlab.repo_facts(repo_requests("gitlab", HOST, PATH), now=NOW)).topics == ()


@pytest.mark.parametrize("fields", [{"issues_enabled": False}, {"issues_access_level": "disabled"}])
def test_a_project_without_an_issue_tracker_has_no_open_issues(
    fake: FakeGitLab, gitlab: GitLab, fields: dict[str, Any]
) -> None:
    fake.repositories[PATH].fields |= fields | {"open_issues_count": 0}
    facts = single_facts(gitlab.repo_facts(repo_requests("gitlab", HOST, PATH), now=NOW))
    assert (facts.has_issues, facts.open_issues) == (False, None)


def test_fork_and_mirror(fake: FakeGitLab, gitlab: GitLab) -> None:
    fake.repositories[PATH].fields |= {
        "forked_from_project": {"id": 7, "web_url": "https://git.example.org/bea/engine"},
        "mirror": True,
    }
    facts = single_facts(gitlab.repo_facts(repo_requests("gitlab", HOST, PATH), now=NOW))
    assert (facts.is_fork, facts.parent_url, facts.is_mirror) == (True, "https://git.example.org/bea/engine", True)


def test_null_is_not_a_parent(fake: FakeGitLab, gitlab: GitLab) -> None:
    fake.repositories[PATH].fields["forked_from_project"] = None
    facts = single_facts(gitlab.repo_facts(repo_requests("gitlab", HOST, PATH), now=NOW))
    assert (facts.is_fork, facts.parent_url) == (False, None)


def test_archived_repository(fake: FakeGitLab, gitlab: GitLab) -> None:
    fake.repositories[PATH].fields["archived"] = True
    assert single_facts(gitlab.repo_facts(repo_requests("gitlab", HOST, PATH), now=NOW)).is_archived is True


def test_empty_repository_is_not_an_error(fake: FakeGitLab, gitlab: GitLab) -> None:
    fake.repositories[PATH].commits.clear()
    facts = single_facts(gitlab.repo_facts(repo_requests("gitlab", HOST, PATH), now=NOW))
    assert (facts.last_commit_at, facts.commit_count) == (None, 0)
    assert len(fake.request_log) == 1
    assert gitlab.activity_facts(REF, validators={}, now=NOW).facts == EMPTY_YEAR
    people = gitlab.participant_facts(REF, validators={})
    assert people.facts == ParticipantFacts((), is_complete=True)
    assert gitlab.participant_facts(REF, validators=people.validators).facts is None


def test_empty_list_of_commits_is_an_empty_repository(fake: FakeGitLab, make: Make) -> None:
    fake.repositories[PATH].commits.clear()
    fake.empty_repository_status = None
    anonymous = make()
    facts = single_facts(anonymous.repo_facts(repo_requests("gitlab", HOST, PATH), now=NOW))
    assert (facts.last_commit_at, facts.commit_count) == (None, 0)
    assert anonymous.activity_facts(REF, validators={}, now=NOW).facts == EMPTY_YEAR
    assert anonymous.participant_facts(REF, validators={}).facts == ParticipantFacts((), is_complete=True)


@pytest.mark.parametrize("status", ["403 Forbidden", "404 Not Found"])
def test_repository_with_hidden_code_is_not_missing(fake: FakeGitLab, gitlab: GitLab, status: str) -> None:
    fake.repositories[PATH].hides_code = True
    fake.hidden_code_status = status
    facts = single_facts(gitlab.repo_facts(repo_requests("gitlab", HOST, PATH), now=NOW))
    assert (facts.stars, facts.forks, facts.last_commit_at, facts.commit_count) == (12, None, None, None)
    fetches: list[Callable[[], object]] = [
        lambda: gitlab.activity_facts(REF, validators={}, now=NOW),
        lambda: gitlab.participant_facts(REF, validators={}),
    ]
    for fetch in fetches:
        with pytest.raises(NotAllowed):
            fetch()
    with pytest.raises(Gone):
        gitlab.activity_facts(replace(REF, path="ada/lost"), validators={}, now=NOW)
    with pytest.raises(Gone):
        gitlab.participant_facts(replace(REF, path="ada/lost"), validators={})


def test_commit_count_is_unknown_on_older_hosts(fake: FakeGitLab, gitlab: GitLab) -> None:
    fake.has_sequence = False
    facts = single_facts(gitlab.repo_facts(repo_requests("gitlab", HOST, PATH), now=NOW))
    assert facts.last_commit_at
    assert facts.commit_count is None


def test_failing_contributor_list_is_not_a_missing_repository(fake: FakeGitLab, gitlab: GitLab) -> None:
    fake.faults["/contributors"] = response("404 Not Found", {"message": "404 Not Found"})
    with pytest.raises(NotAllowed, match="ada/parts/engine: the contributor list is not available"):
        gitlab.participant_facts(REF, validators={})


def test_renamed_repository_is_followed(fake: FakeGitLab, gitlab: GitLab) -> None:
    fake.moved["ada/loom"] = fake.repositories[PATH]
    facts = single_facts(gitlab.repo_facts(repo_requests("gitlab", HOST, "ada/loom", node_id="42"), now=NOW))
    assert facts.web_url == "https://git.example.org/ada/parts/engine"
    assert (facts.licence, facts.commit_count) == ("MIT", 130)
    moved = replace(REF, path="ada/loom")
    counted = gitlab.activity_facts(moved, validators={}, now=NOW).facts
    assert counted == ActivityFacts(expected_weekly_counts(fake.repositories[PATH].commits))
    assert gitlab.participant_facts(moved, validators={}).facts == gitlab.participant_facts(REF, validators={}).facts


def test_reused_name_is_rejected(gitlab: GitLab) -> None:
    (failure,) = gitlab.repo_facts(repo_requests("gitlab", HOST, PATH, node_id="7"), now=NOW)
    assert isinstance(failure, Gone)
    assert str(failure) == "git.example.org/ada/parts/engine: the name now belongs to a different repository"


def test_missing_repository_does_not_affect_others(fake: FakeGitLab, gitlab: GitLab) -> None:
    fake.repositories["ada/loom"] = FakeRepository("ada/loom", 43, make_commits(1))
    outcomes = gitlab.repo_facts(repo_requests("gitlab", HOST, PATH, "ada/lost", "ada/loom"), now=NOW)
    assert [type(outcome) for outcome in outcomes] == [Fetched, Gone, Fetched]


def test_rate_limit_stops_requests_to_that_host_only(fake: FakeGitLab, gitlab: GitLab) -> None:
    fake.repositories["ada/loom"] = FakeRepository("ada/loom", 43, make_commits(1))
    fake.faults["engine"] = response("429 Too Many Requests", {}, Retry_After="600")
    limited, other = (
        repo_requests("gitlab", HOST, PATH, "ada/loom"),
        repo_requests("gitlab", "other.example.org", "ada/loom"),
    )
    outcomes = gitlab.repo_facts([*limited, *other], now=NOW)
    assert [type(outcome) for outcome in outcomes] == [RateLimited, RateLimited, Fetched]
    assert [url for url in fake.request_log if "loom?" in url] == ["/api/v4/projects/ada%2Floom?license=true"]


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("count", [170, 300])  # 300: usually more than two pages in a year
def test_weekly_counts_include_all_pages(fake: FakeGitLab, gitlab: GitLab, seed: int, count: int) -> None:
    commits = make_commits(count, seed=seed, days=500)
    fake.repositories[PATH].commits = commits
    fetched = gitlab.activity_facts(REF, validators={}, now=NOW)
    assert fetched.facts == ActivityFacts(expected_weekly_counts(commits))
    assert len(fake.request_log) <= 4
    assert "since=2025-01-13T00%3A00%3A00Z" in fake.request_log[0]
    assert not any("astray" in url for url in fake.request_log)


def test_full_last_page_is_followed_by_an_empty_one(fake: FakeGitLab, gitlab: GitLab) -> None:
    fake.repositories[PATH].commits = make_commits(200, days=300)
    counted = gitlab.activity_facts(REF, validators={}, now=NOW).facts
    assert counted
    assert sum(counted.commits_over_52) == 200
    assert len(fake.request_log) == 3


def test_unchanged_activity_costs_one_request(fake: FakeGitLab, gitlab: GitLab) -> None:
    first = gitlab.activity_facts(REF, validators={}, now=NOW)
    people = gitlab.participant_facts(REF, validators={})
    fake.request_log.clear()
    again = gitlab.activity_facts(REF, validators=first.validators, now=NOW + timedelta(hours=3))
    assert (again.facts, again.validators, len(fake.request_log)) == (None, first.validators, 1)
    same = gitlab.participant_facts(REF, validators=people.validators)
    assert (same.facts, same.validators, len(fake.request_log)) == (None, people.validators, 2)
    fake.repositories[PATH].commits.insert(0, FakeCommit("new", NOW, "mary", "Mary S."))
    pushed = gitlab.activity_facts(REF, validators=first.validators, now=NOW)
    assert pushed.facts == ActivityFacts(expected_weekly_counts(fake.repositories[PATH].commits))
    joined = gitlab.participant_facts(REF, validators=people.validators).facts
    assert joined
    assert "Mary S." in joined.participants


def test_participants_are_names_and_never_email_addresses(fake: FakeGitLab, gitlab: GitLab) -> None:
    fetched = gitlab.participant_facts(REF, validators={})
    assert fetched.facts
    assert fetched.facts.participants[0] == "Ada X."
    assert set(fetched.facts.participants) == {"Ada X.", "Grace X.", "Alan X."}
    assert fetched.facts.is_complete
    assert "@" not in repr(fetched)


def test_one_person_with_two_email_addresses_is_one_participant(fake: FakeGitLab, gitlab: GitLab) -> None:
    logins = ["grace"] * 5 + ["ada"] * 3 + ["ada.at.work"] * 4
    names = {"grace": "Grace", "ada": "Ada", "ada.at.work": " Ada "}
    fake.repositories[PATH].commits = [
        FakeCommit(f"{number}", NOW - timedelta(hours=number), login, names[login])
        for number, login in enumerate(logins)
    ]
    assert gitlab.participant_facts(REF, validators={}).facts == ParticipantFacts(("Ada", "Grace"), is_complete=True)


@pytest.mark.parametrize("name", ["ada@example.org", "Ada <ada@example.org>", "", "  "])
def test_participants_named_by_an_email_address_are_left_out(fake: FakeGitLab, gitlab: GitLab, name: str) -> None:
    fake.repositories[PATH].commits = [FakeCommit("b", NOW, "grace", "Grace"), FakeCommit("a", NOW, "ada", name)]
    assert gitlab.participant_facts(REF, validators={}).facts == ParticipantFacts(("Grace",), is_complete=False)


def test_participants_of_many_pages(fake: FakeGitLab, gitlab: GitLab, monkeypatch: pytest.MonkeyPatch) -> None:
    fake.repositories[PATH].commits = [
        FakeCommit(f"{number}", NOW - timedelta(hours=number), f"p{number}", f"P {number}") for number in range(250)
    ]
    contributors = gitlab.participant_facts(REF, validators={}).facts
    assert contributors
    assert (len(contributors.participants), contributors.is_complete) == (250, True)
    monkeypatch.setattr("pkgsite.clients.gitlab.CONTRIBUTOR_PAGES", 2)
    limited = gitlab.participant_facts(REF, validators={}).facts
    assert limited == ParticipantFacts(contributors.participants[:200], is_complete=False)


def test_endless_list_is_rejected(fake: FakeGitLab, gitlab: GitLab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pkgsite.clients.rest.MAX_PAGES", 2)
    fake.repositories[PATH].commits = make_commits(300, days=300)
    with pytest.raises(BadResponse, match="has more than 2 pages"):
        gitlab.activity_facts(REF, validators={}, now=NOW)


@pytest.mark.parametrize(("fault", "kind"), FAULTS)
def test_each_fault_raises_its_error(
    fake: FakeGitLab, gitlab: GitLab, fault: WsgiApp, kind: type[UpstreamError]
) -> None:
    fake.faults["engine"] = fault
    (failure,) = gitlab.repo_facts(repo_requests("gitlab", HOST, PATH), now=NOW)
    assert type(failure) is kind
    with pytest.raises(kind):
        gitlab.activity_facts(REF, validators={}, now=NOW)
    with pytest.raises(kind):
        gitlab.participant_facts(REF, validators={})


@pytest.mark.parametrize(("fault", "kind"), FAULTS)
def test_each_fault_raises_its_error_on_later_pages(
    fake: FakeGitLab, gitlab: GitLab, fault: WsgiApp, kind: type[UpstreamError]
) -> None:
    fake.repositories[PATH].commits = [
        FakeCommit(f"{number}", NOW - timedelta(hours=number), f"p{number}", f"P {number}") for number in range(130)
    ]
    fake.faults["&page=2"] = fault
    with pytest.raises(kind):
        gitlab.activity_facts(REF, validators={}, now=NOW)
    with pytest.raises(kind):
        gitlab.participant_facts(REF, validators={})


@pytest.mark.parametrize("part", ["/commits?", "/sequence"])
@pytest.mark.parametrize(("fault", "kind"), FAULTS)
def test_denied_access_to_a_part_leaves_only_that_part_unknown(
    fake: FakeGitLab, gitlab: GitLab, part: str, fault: WsgiApp, kind: type[UpstreamError]
) -> None:
    fake.faults[part] = fault
    (outcome,) = gitlab.repo_facts(repo_requests("gitlab", HOST, PATH), now=NOW)
    if kind is NotAllowed:
        facts = single_facts([outcome])
        assert (facts.stars, facts.commit_count) == (12, None)
    else:
        assert type(outcome) is kind


def test_host_that_does_not_respond_is_unavailable(serve_app: Serve) -> None:
    hanging = HangingResponse()
    address = serve_app(hanging)
    client = JsonClient(user_agent="pkgsite", timeouts=Timeouts(read_timeout_s=0.05, attempts=1))
    (failure,) = GitLab(client, api=lambda _host: address).repo_facts(repo_requests("gitlab", HOST, PATH), now=NOW)
    assert isinstance(failure, Unavailable)
    hanging.released.set()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("id", None),
        ("id", "42"),
        ("star_count", -1),
        ("star_count", True),
        ("archived", "no"),
        ("empty_repo", 0),
        ("topics", [1]),
        ("topics", "django"),
        ("description", 5),
        ("license", "mit"),
    ],
)
def test_error_names_the_field_with_a_wrong_type(fake: FakeGitLab, gitlab: GitLab, field: str, value: object) -> None:
    fake.repositories[PATH].fields[field] = value
    (failure,) = gitlab.repo_facts(repo_requests("gitlab", HOST, PATH), now=NOW)
    assert isinstance(failure, BadResponse)
    assert field in str(failure)


@pytest.mark.parametrize("date", ["yesterday", "2026-01-01T00:00:00", "0001-01-01T00:00:00+02:00", None])
def test_invalid_date_is_rejected(fake: FakeGitLab, gitlab: GitLab, date: str | None) -> None:
    fake.faults["/commits"] = response("200 OK", [{"id": "a", "committed_date": date}])
    with pytest.raises(BadResponse, match="committed_date"):
        gitlab.activity_facts(REF, validators={}, now=NOW)


@pytest.mark.parametrize("people", [[{"name": 5}], [{"name": "Ada", "commits": "5"}], ["Ada"], {"name": "Ada"}])
def test_malformed_contributors_are_rejected(fake: FakeGitLab, gitlab: GitLab, people: object) -> None:
    fake.faults["/contributors"] = response("200 OK", people)
    with pytest.raises(BadResponse):
        gitlab.participant_facts(REF, validators={})


def test_commit_sha_is_quoted_as_one_segment(fake: FakeGitLab, gitlab: GitLab) -> None:
    fake.faults["/commits?"] = response("200 OK", [{"id": "../../x?y#z", "committed_date": "2026-01-01T00:00:00Z"}])
    fake.faults["/sequence"] = response("200 OK", {"count": 1})
    gitlab.repo_facts(repo_requests("gitlab", HOST, PATH), now=NOW)
    assert fake.request_log[-1].endswith("/repository/commits/..%2F..%2Fx%3Fy%23z/sequence")


def test_unknown_facts_are_none(fake: FakeGitLab, gitlab: GitLab) -> None:
    fake.faults["/commits"] = response("403 Forbidden", {"message": "403 Forbidden"})
    fake.faults["engine?"] = response("200 OK", {"id": 42, "web_url": "javascript:alert(1)", "description": None})
    assert single_facts(gitlab.repo_facts(repo_requests("gitlab", HOST, PATH), now=NOW)) == RepoFacts(
        node_id="42", description="", is_fork=False
    )


def test_reported_quota_is_recorded(fake: FakeGitLab, gitlab: GitLab) -> None:
    quota = {"RateLimit_Limit": "500", "RateLimit_Remaining": "499", "RateLimit_Reset": "1767830400"}
    fake.faults["engine"] = response("200 OK", {"id": 42, "empty_repo": True}, **quota)
    assert gitlab.quotas == {}
    gitlab.repo_facts(repo_requests("gitlab", HOST, PATH), now=NOW)
    assert gitlab.quotas == {HOST: Quota(500, 499, NOW.replace(day=8, hour=0, minute=0))}
