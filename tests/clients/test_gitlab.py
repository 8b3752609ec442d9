"""What a GitLab host tells of its repositories, and how it fails."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, timedelta
from urllib.parse import urlsplit

import pytest
from packaging.licenses import canonicalize_license_expression

from pkgsite.clients.base import ActivityFacts, Fetched, ParticipantFacts, Quota, RepoFacts
from pkgsite.clients.gitlab import LICENCES, GitLab
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
from tests.fakes.v4_site import Answer, HangingResponse, response

HOST = "git.example.org"
PATH = "ada/parts/engine"  # a repository in a group within a group
ODDLY = Timeouts(read_timeout_s=5, attempts=2, backoff_s=0, jitter_s=0)
REF = RepoRef("gitlab", HOST, PATH)
EMPTY_YEAR = ActivityFacts((0,) * 52)
Make = Callable[..., GitLab]


@pytest.fixture
def fake() -> FakeGitLab:
    return FakeGitLab(FakeRepository(PATH, 42, make_commits(130)))


@pytest.fixture
def make(serve_app: Serve, fake: FakeGitLab) -> Make:
    """Make clients of the fake host, which answers by whatever name it is asked."""
    address = serve_app(fake)

    def made(**tokens: str) -> GitLab:
        reader = JsonClient(user_agent="pkgsite", timeouts=ODDLY)
        return GitLab(reader, api=lambda _host: f"{address}/api/v4", tokens=tokens)

    return made


@pytest.fixture
def gitlab(make: Make) -> GitLab:
    return make(**{HOST: "secret"})


@pytest.mark.parametrize(
    ("host", "api"),
    [("gitlab.com", "https://gitlab.com/api/v4"), ("git.example.org:8443", "https://git.example.org:8443/api/v4")],
)
def test_where_an_api_is(host: str, api: str) -> None:
    assert GitLab.default_api_url(host) == api


def test_a_repository_is_told_of_with_all_of_its_groups(fake: FakeGitLab, gitlab: GitLab) -> None:
    (fetched,) = gitlab.repo_facts(repo_requests("gitlab", HOST, PATH), now=NOW)
    last = fake.repositories[PATH].commits[0].at.astimezone(UTC)
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
        ),
        {"node_id": "42"},
    )
    assert fake.request_log[0] == "/api/v4/projects/ada%2Fparts%2Fengine?license=true"
    assert len(fake.request_log) == 3
    assert {head["HTTP_AUTHORIZATION"] for head in fake.request_headers} == {"Bearer secret"}


def test_a_token_is_for_its_host_only(fake: FakeGitLab, gitlab: GitLab) -> None:
    facts = single_facts(gitlab.repo_facts(repo_requests("gitlab", "other.example.org", PATH), now=NOW))
    gitlab.participant_facts(replace(REF, host="other.example.org"), validators={})
    assert not any("HTTP_AUTHORIZATION" in head for head in fake.request_headers)
    assert (facts.stars, facts.is_archived, facts.open_issues, facts.commit_count) == (12, None, None, 130)


def test_an_instance_of_ones_own_with_a_port(serve_app: Serve, fake: FakeGitLab) -> None:
    port = urlsplit(serve_app(fake)).port
    ref = parse_repo_ref(
        f"https://localhost.localdomain:{port}/{PATH}/-/issues", {f"localhost.localdomain:{port}": "gitlab"}
    )
    assert ref
    hosts: list[str] = []

    def api(host: str) -> str:
        hosts.append(host)
        return f"http://127.0.0.1:{host.rpartition(':')[2]}/api/v4"

    reader = JsonClient(user_agent="pkgsite", timeouts=ODDLY)
    gitlab = GitLab(reader, api=api, tokens={ref.host: "secret"})
    assert single_facts(gitlab.repo_facts(repo_requests("gitlab", ref.host, ref.path), now=NOW)).is_archived is False
    assert set(hosts) == {f"localhost.localdomain:{port}"}


@pytest.mark.parametrize(
    ("licence", "told"),
    [
        ({"key": "mit", "name": "MIT License"}, "MIT"),
        ({"key": "bsd-3-clause"}, "BSD-3-Clause"),
        ({"key": "mpl-2.0"}, "MPL-2.0"),
        ({"key": "gpl-3.0"}, None),
        ({"key": "lgpl-2.1"}, None),
        ({"key": "agpl-3.0"}, None),
        ({"key": "other", "name": "Other"}, None),
        ({"key": None}, None),
        ({}, None),
        (None, None),
    ],
)
def test_only_a_licence_without_doubt_is_told(
    fake: FakeGitLab, gitlab: GitLab, licence: object, told: str | None
) -> None:
    fake.repositories[PATH].fields["license"] = licence
    assert single_facts(gitlab.repo_facts(repo_requests("gitlab", HOST, PATH), now=NOW)).licence == told


def test_licences_are_spelt_as_spdx_spells_them() -> None:
    assert all(canonicalize_license_expression(key) == name for key, name in LICENCES.items())


def test_an_archived_repository_says_so(fake: FakeGitLab, gitlab: GitLab) -> None:
    fake.repositories[PATH].fields["archived"] = True
    assert single_facts(gitlab.repo_facts(repo_requests("gitlab", HOST, PATH), now=NOW)).is_archived is True


def test_an_empty_repository_is_no_error(fake: FakeGitLab, gitlab: GitLab) -> None:
    fake.repositories[PATH].commits.clear()
    facts = single_facts(gitlab.repo_facts(repo_requests("gitlab", HOST, PATH), now=NOW))
    assert (facts.last_commit_at, facts.commit_count) == (None, 0)
    assert len(fake.request_log) == 1
    assert gitlab.activity_facts(REF, validators={}, now=NOW).facts == EMPTY_YEAR
    people = gitlab.participant_facts(REF, validators={})
    assert people.facts == ParticipantFacts((), is_complete=True)
    assert gitlab.participant_facts(REF, validators=people.validators).facts is None


def test_an_empty_list_of_commits_is_an_empty_repository_too(fake: FakeGitLab, make: Make) -> None:
    fake.repositories[PATH].commits.clear()
    fake.empty_repository_status = None
    anybody = make()
    facts = single_facts(anybody.repo_facts(repo_requests("gitlab", HOST, PATH), now=NOW))
    assert (facts.last_commit_at, facts.commit_count) == (None, 0)
    assert anybody.activity_facts(REF, validators={}, now=NOW).facts == EMPTY_YEAR
    assert anybody.participant_facts(REF, validators={}).facts == ParticipantFacts((), is_complete=True)


@pytest.mark.parametrize("status", ["403 Forbidden", "404 Not Found"])
def test_hidden_code_is_not_a_lost_repository(fake: FakeGitLab, gitlab: GitLab, status: str) -> None:
    fake.repositories[PATH].hides_code = True
    fake.hidden_code_status = status
    facts = single_facts(gitlab.repo_facts(repo_requests("gitlab", HOST, PATH), now=NOW))
    assert (facts.stars, facts.forks, facts.last_commit_at, facts.commit_count) == (12, None, None, None)
    for ask in (
        lambda: gitlab.activity_facts(REF, validators={}, now=NOW),
        lambda: gitlab.participant_facts(REF, validators={}),
    ):
        with pytest.raises(NotAllowed):
            ask()
    with pytest.raises(Gone):
        gitlab.activity_facts(replace(REF, path="ada/lost"), validators={}, now=NOW)
    with pytest.raises(Gone):
        gitlab.participant_facts(replace(REF, path="ada/lost"), validators={})


def test_older_hosts_do_not_number_their_commits(fake: FakeGitLab, gitlab: GitLab) -> None:
    fake.has_sequence = False
    facts = single_facts(gitlab.repo_facts(repo_requests("gitlab", HOST, PATH), now=NOW))
    assert facts.last_commit_at
    assert facts.commit_count is None


def test_a_list_of_people_that_fails_is_not_a_lost_repository(fake: FakeGitLab, gitlab: GitLab) -> None:
    fake.faults["/contributors"] = response("404 Not Found", {"message": "404 Not Found"})
    with pytest.raises(NotAllowed, match="ada/parts/engine: the contributor list is not available"):
        gitlab.participant_facts(REF, validators={})


def test_a_renamed_repository_is_followed(fake: FakeGitLab, gitlab: GitLab) -> None:
    fake.moved["ada/loom"] = fake.repositories[PATH]
    facts = single_facts(gitlab.repo_facts(repo_requests("gitlab", HOST, "ada/loom", node_id="42"), now=NOW))
    assert facts.web_url == "https://git.example.org/ada/parts/engine"
    assert (facts.licence, facts.commit_count) == ("MIT", 130)
    moved = replace(REF, path="ada/loom")
    counted = gitlab.activity_facts(moved, validators={}, now=NOW).facts
    assert counted == ActivityFacts(expected_weekly_counts(fake.repositories[PATH].commits))
    assert gitlab.participant_facts(moved, validators={}).facts == gitlab.participant_facts(REF, validators={}).facts


def test_a_reused_name_is_another_repository(gitlab: GitLab) -> None:
    (failure,) = gitlab.repo_facts(repo_requests("gitlab", HOST, PATH, node_id="7"), now=NOW)
    assert isinstance(failure, Gone)
    assert str(failure) == "git.example.org/ada/parts/engine: the name now belongs to a different repository"


def test_one_that_is_missing_takes_no_other_with_it(fake: FakeGitLab, gitlab: GitLab) -> None:
    fake.repositories["ada/loom"] = FakeRepository("ada/loom", 43, make_commits(1))
    found = gitlab.repo_facts(repo_requests("gitlab", HOST, PATH, "ada/lost", "ada/loom"), now=NOW)
    assert [type(outcome) for outcome in found] == [Fetched, Gone, Fetched]


def test_only_the_host_that_is_busy_is_left_alone(fake: FakeGitLab, gitlab: GitLab) -> None:
    fake.repositories["ada/loom"] = FakeRepository("ada/loom", 43, make_commits(1))
    fake.faults["engine"] = response("429 Too Many Requests", {}, Retry_After="600")
    busy, other = (
        repo_requests("gitlab", HOST, PATH, "ada/loom"),
        repo_requests("gitlab", "other.example.org", "ada/loom"),
    )
    found = gitlab.repo_facts([*busy, *other], now=NOW)
    assert [type(outcome) for outcome in found] == [RateLimited, RateLimited, Fetched]
    assert [written for written in fake.request_log if "loom?" in written] == [
        "/api/v4/projects/ada%2Floom?license=true"
    ]


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("count", [170, 300])  # 300: mostly more than two pages of a year
def test_weeks_are_counted_over_all_pages(fake: FakeGitLab, gitlab: GitLab, seed: int, count: int) -> None:
    commits = make_commits(count, seed=seed, days=500)
    fake.repositories[PATH].commits = commits
    fetched = gitlab.activity_facts(REF, validators={}, now=NOW)
    assert fetched.facts == ActivityFacts(expected_weekly_counts(commits))
    assert len(fake.request_log) <= 4
    assert "since=2025-01-13T00%3A00%3A00Z" in fake.request_log[0]
    assert not any("astray" in written for written in fake.request_log)


def test_a_full_last_page_is_followed_by_an_empty_one(fake: FakeGitLab, gitlab: GitLab) -> None:
    fake.repositories[PATH].commits = make_commits(200, days=300)
    counted = gitlab.activity_facts(REF, validators={}, now=NOW).facts
    assert counted
    assert sum(counted.commits_over_52) == 200
    assert len(fake.request_log) == 3


def test_nothing_new_costs_one_request(fake: FakeGitLab, gitlab: GitLab) -> None:
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


def test_people_are_named_most_commits_first_and_never_by_their_mail(fake: FakeGitLab, gitlab: GitLab) -> None:
    fetched = gitlab.participant_facts(REF, validators={})
    assert fetched.facts
    assert fetched.facts.participants[0] == "Ada X."
    assert set(fetched.facts.participants) == {"Ada X.", "Grace X.", "Alan X."}
    assert fetched.facts.is_complete
    assert "@" not in repr(fetched)


def test_one_person_with_two_addresses_is_one(fake: FakeGitLab, gitlab: GitLab) -> None:
    logins = ["grace"] * 5 + ["ada"] * 3 + ["ada.at.work"] * 4
    names = {"grace": "Grace", "ada": "Ada", "ada.at.work": " Ada "}
    fake.repositories[PATH].commits = [
        FakeCommit(f"{number}", NOW - timedelta(hours=number), login, names[login])
        for number, login in enumerate(logins)
    ]
    assert gitlab.participant_facts(REF, validators={}).facts == ParticipantFacts(("Ada", "Grace"), is_complete=True)


@pytest.mark.parametrize("name", ["ada@example.org", "Ada <ada@example.org>", "", "  "])
def test_who_is_named_by_an_address_is_among_others(fake: FakeGitLab, gitlab: GitLab, name: str) -> None:
    fake.repositories[PATH].commits = [FakeCommit("b", NOW, "grace", "Grace"), FakeCommit("a", NOW, "ada", name)]
    assert gitlab.participant_facts(REF, validators={}).facts == ParticipantFacts(("Grace",), is_complete=False)


def test_people_of_many_pages(fake: FakeGitLab, gitlab: GitLab, monkeypatch: pytest.MonkeyPatch) -> None:
    fake.repositories[PATH].commits = [
        FakeCommit(f"{number}", NOW - timedelta(hours=number), f"p{number}", f"P {number}") for number in range(250)
    ]
    everybody = gitlab.participant_facts(REF, validators={}).facts
    assert everybody
    assert (len(everybody.participants), everybody.is_complete) == (250, True)
    monkeypatch.setattr("pkgsite.clients.gitlab.CONTRIBUTOR_PAGES", 2)
    batch = gitlab.participant_facts(REF, validators={}).facts
    assert batch == ParticipantFacts(everybody.participants[:200], is_complete=False)


def test_a_list_without_end_is_refused(fake: FakeGitLab, gitlab: GitLab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pkgsite.clients.rest.MAX_PAGES", 2)
    fake.repositories[PATH].commits = make_commits(300, days=300)
    with pytest.raises(BadResponse, match="has more than 2 pages"):
        gitlab.activity_facts(REF, validators={}, now=NOW)


@pytest.mark.parametrize(("fault", "kind"), FAULTS)
def test_every_fault_has_its_name(fake: FakeGitLab, gitlab: GitLab, fault: Answer, kind: type[UpstreamError]) -> None:
    fake.faults["engine"] = fault
    (failure,) = gitlab.repo_facts(repo_requests("gitlab", HOST, PATH), now=NOW)
    assert type(failure) is kind
    with pytest.raises(kind):
        gitlab.activity_facts(REF, validators={}, now=NOW)
    with pytest.raises(kind):
        gitlab.participant_facts(REF, validators={})


@pytest.mark.parametrize(("fault", "kind"), FAULTS)
def test_on_a_later_page_too(fake: FakeGitLab, gitlab: GitLab, fault: Answer, kind: type[UpstreamError]) -> None:
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
def test_only_a_refusal_leaves_the_rest_of_a_repository_told(
    fake: FakeGitLab, gitlab: GitLab, part: str, fault: Answer, kind: type[UpstreamError]
) -> None:
    fake.faults[part] = fault
    (outcome,) = gitlab.repo_facts(repo_requests("gitlab", HOST, PATH), now=NOW)
    if kind is NotAllowed:
        facts = single_facts([outcome])
        assert (facts.stars, facts.commit_count) == (12, None)
    else:
        assert type(outcome) is kind


def test_a_host_that_keeps_silent(serve_app: Serve) -> None:
    silence = HangingResponse()
    address = serve_app(silence)
    reader = JsonClient(user_agent="pkgsite", timeouts=Timeouts(read_timeout_s=0.05, attempts=1))
    (failure,) = GitLab(reader, api=lambda _host: address).repo_facts(repo_requests("gitlab", HOST, PATH), now=NOW)
    assert isinstance(failure, Unavailable)
    silence.over.set()


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
def test_fields_of_another_type_are_refused_by_name(
    fake: FakeGitLab, gitlab: GitLab, field: str, value: object
) -> None:
    fake.repositories[PATH].fields[field] = value
    (failure,) = gitlab.repo_facts(repo_requests("gitlab", HOST, PATH), now=NOW)
    assert isinstance(failure, BadResponse)
    assert field in str(failure)


@pytest.mark.parametrize("date", ["yesterday", "2026-01-01T00:00:00", "0001-01-01T00:00:00+02:00", None])
def test_an_unreadable_date_is_refused(fake: FakeGitLab, gitlab: GitLab, date: str | None) -> None:
    fake.faults["/commits"] = response("200 OK", [{"id": "a", "committed_date": date}])
    with pytest.raises(BadResponse, match="committed_date"):
        gitlab.activity_facts(REF, validators={}, now=NOW)


@pytest.mark.parametrize("people", [[{"name": 5}], [{"name": "Ada", "commits": "5"}], ["Ada"], {"name": "Ada"}])
def test_people_of_another_form_are_refused(fake: FakeGitLab, gitlab: GitLab, people: object) -> None:
    fake.faults["/contributors"] = response("200 OK", people)
    with pytest.raises(BadResponse):
        gitlab.participant_facts(REF, validators={})


def test_a_commits_name_stays_one_segment(fake: FakeGitLab, gitlab: GitLab) -> None:
    fake.faults["/commits?"] = response("200 OK", [{"id": "../../x?y#z", "committed_date": "2026-01-01T00:00:00Z"}])
    fake.faults["/sequence"] = response("200 OK", {"count": 1})
    gitlab.repo_facts(repo_requests("gitlab", HOST, PATH), now=NOW)
    assert fake.request_log[-1].endswith("/repository/commits/..%2F..%2Fx%3Fy%23z/sequence")


def test_what_is_not_told_is_none(fake: FakeGitLab, gitlab: GitLab) -> None:
    fake.faults["/commits"] = response("403 Forbidden", {"message": "403 Forbidden"})
    fake.faults["engine?"] = response("200 OK", {"id": 42, "web_url": "javascript:alert(1)", "description": None})
    assert single_facts(gitlab.repo_facts(repo_requests("gitlab", HOST, PATH), now=NOW)) == RepoFacts(
        node_id="42", description=""
    )


def test_a_quota_is_noted_where_it_is_told(fake: FakeGitLab, gitlab: GitLab) -> None:
    told = {"RateLimit_Limit": "500", "RateLimit_Remaining": "499", "RateLimit_Reset": "1767830400"}
    fake.faults["engine"] = response("200 OK", {"id": 42, "empty_repo": True}, **told)
    assert gitlab.quotas == {}
    gitlab.repo_facts(repo_requests("gitlab", HOST, PATH), now=NOW)
    assert gitlab.quotas == {HOST: Quota(500, 499, NOW.replace(day=8, hour=0, minute=0))}
