"""The GitHub client: facts, number of requests, and errors."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from pkgsite.clients import github_responses
from pkgsite.clients.base import CodeHost, Fetched, RepoFacts, RepoRef, RepoRequest
from pkgsite.clients.github import CONTRIBUTOR_PAGES, MAX_BATCH_SIZE, MAX_CONSECUTIVE_FAILURES, GitHub
from pkgsite.clients.http import JsonClient, Timeouts
from pkgsite.clock import utc_now
from pkgsite.errors import BadResponse, Gone, NotAllowed, RateLimited, Unavailable, UpstreamError
from tests.databases import free_port
from tests.fakes.github import (
    ANONYMOUS_LIMIT,
    FakeGitHub,
    delayed_response,
    primary_limit_response,
    secondary_limit_response,
)
from tests.fakes.v4_site import WsgiApp, connection_reset, response, truncated_response

Serve = Callable[[Any], str]
Outcomes = list[Fetched[RepoFacts] | UpstreamError]

FAST_TIMEOUTS = Timeouts(read_timeout_s=5, attempts=2, backoff_s=0, jitter_s=0, max_wait_s=0)
TOKEN = "secret"


@pytest.fixture
def host() -> FakeGitHub:
    return FakeGitHub(TOKEN)


@pytest.fixture
def connect(serve_app: Serve, host: FakeGitHub) -> Callable[..., GitHub]:
    """A function that creates a client of the fake; all clients use the same URL."""
    address = serve_app(host)

    def create(token: str | None = TOKEN, timeouts: Timeouts = FAST_TIMEOUTS) -> GitHub:
        return GitHub(address, JsonClient(user_agent="pkgsite", timeouts=timeouts), token)

    return create


@pytest.fixture
def github(connect: Callable[..., GitHub]) -> GitHub:
    return connect()


def ref(path: str) -> RepoRef:
    return RepoRef("github", "github.com", path)


def make_repos(host: FakeGitHub, count: int) -> list[str]:
    return [host.add(f"owner/r{number}").name for number in range(count)]


def fetch_repos(
    client: CodeHost, names: Sequence[str], known: Mapping[str, Mapping[str, str]] | None = None
) -> Outcomes:
    return client.repo_facts([RepoRequest(ref(name), (known or {}).get(name, {})) for name in names], now=utc_now())


def facts(outcome: Fetched[RepoFacts] | UpstreamError) -> RepoFacts:
    assert isinstance(outcome, Fetched)
    assert outcome.facts is not None
    return outcome.facts


def outcome_types(outcomes: Outcomes) -> list[type[Any]]:
    return [type(outcome) for outcome in outcomes]


def test_repository_facts(host: FakeGitHub, github: GitHub) -> None:
    repo = host.add(
        "wagtail/wagtail", is_archived=True, archived_at="2025-03-04T05:06:07Z", homepage="https://wagtail.org"
    )
    (outcome,) = fetch_repos(github, ["Wagtail/wagtail"])
    assert facts(outcome) == RepoFacts(
        node_id=repo.node_id,
        web_url="https://github.com/wagtail/wagtail",
        description="Does one thing",
        stars=511,
        forks=70,
        open_issues=12,
        is_archived=True,
        default_branch="main",
        last_commit_at=datetime(2026, 1, 28, 13, 56, 56, tzinfo=UTC),
        commit_count=900,
        licence="BSD-3-Clause",
        latest_release="v6.4.1",
        topics=("django", "cms"),
        has_issues=True,
        archived_at=datetime(2025, 3, 4, 5, 6, 7, tzinfo=UTC),
        is_fork=False,
        is_mirror=False,
        homepage_url="https://wagtail.org",
    )
    assert isinstance(outcome, Fetched)
    assert outcome.validators == {"node_id": repo.node_id, "database_id": str(repo.id)}
    assert github.quotas["graphql"].remaining == 5000 - 1
    assert github.quotas["graphql"].resets_at.timestamp() == host.resets_at


@pytest.mark.parametrize("token", ["secret", None])
def test_relations(host: FakeGitHub, connect: Callable[..., GitHub], token: str | None) -> None:
    host.add("acme/fork", parent="acme/original", mirror_url="https://git.example.org/x", has_issues=False, issues=0)
    (outcome,) = fetch_repos(connect(token), ["acme/fork"])
    repo = facts(outcome)
    assert (repo.is_fork, repo.parent_url, repo.is_mirror) == (True, "https://github.com/acme/original", True)
    assert (repo.has_issues, repo.open_issues) == (False, None)


def test_missing_facts(host: FakeGitHub, github: GitHub) -> None:
    host.add("a/empty", is_empty=True, description=None, licence="NOASSERTION", release=None, topics=[])
    (outcome,) = fetch_repos(github, ["a/empty"])
    repo = facts(outcome)
    assert (repo.description, repo.licence, repo.latest_release, repo.topics) == ("", None, None, ())
    assert (repo.default_branch, repo.last_commit_at, repo.commit_count) == (None, None, 0)


def test_500_repositories_cost_few_requests_and_keep_their_order(host: FakeGitHub, github: GitHub) -> None:
    names = make_repos(host, 500)
    outcomes = fetch_repos(github, names)
    assert [facts(outcome).web_url for outcome in outcomes] == [f"https://github.com/{name}" for name in names]
    assert host.count_requests("POST /graphql") == 500 // MAX_BATCH_SIZE <= 12
    assert host.spent["core"] == 0
    assert host.spent["graphql"] <= 20


def test_no_repositories_cost_no_request(host: FakeGitHub, github: GitHub) -> None:
    assert fetch_repos(github, []) == []
    assert host.request_log == []


def test_names_are_never_part_of_the_query_text(host: FakeGitHub, github: GitHub) -> None:
    host.add("good/one")
    names = ['o/a"}){x', "o/a){id}#", "$o0/$n0", "o/\\", "one", "good/one"]
    outcomes = fetch_repos(github, names)
    assert outcome_types(outcomes) == [Gone] * 5 + [Fetched]
    (body,) = host.graphql_bodies
    assert body["variables"]["n0"] == 'a"}){x'
    assert '"' not in body["query"]


def test_missing_repository_does_not_affect_its_batch(host: FakeGitHub, github: GitHub) -> None:
    names = make_repos(host, 20)
    host.remove("owner/r7")
    host.graphql_errors["owner/r9"] = "FORBIDDEN"
    outcomes = fetch_repos(github, names)
    assert isinstance(outcomes[7], Gone)
    assert str(outcomes[7]) == "github.com/owner/r7: repository not found on GitHub"
    assert isinstance(outcomes[9], NotAllowed)
    assert outcome_types(outcomes).count(Fetched) == 18
    assert host.count_requests("POST") == 1


@pytest.mark.parametrize("token", [TOKEN, None])
def test_renamed_repository_is_recognised_by_its_id(
    host: FakeGitHub, connect: Callable[..., GitHub], token: str | None
) -> None:
    host.add("old/name")
    (first,) = fetch_repos(connect(token), ["old/name"])
    assert isinstance(first, Fetched)
    host.rename("old/name", "new/name")
    (second,) = fetch_repos(connect(token), ["old/name"], {"old/name": first.validators})
    assert facts(second).web_url == "https://github.com/new/name"
    assert facts(second).node_id == facts(first).node_id


@pytest.mark.parametrize("token", [TOKEN, None])
def test_name_that_belongs_to_another_repository_is_gone(
    host: FakeGitHub, connect: Callable[..., GitHub], token: str | None
) -> None:
    host.add("a/name")
    (first,) = fetch_repos(connect(token), ["a/name"])
    assert isinstance(first, Fetched)
    host.remove("a/name")
    host.add("a/name", stars=1)
    (second,) = fetch_repos(connect(token), ["a/name"], {"a/name": first.validators})
    assert isinstance(second, Gone)
    assert str(second) == "github.com/a/name: the name now belongs to a different repository"


def test_new_node_id_format_is_still_the_same_repository(host: FakeGitHub, github: GitHub) -> None:
    repo = host.add("a/name")
    known = {"node_id": "MDEwOlJlcG9zaXRvcnkxMDAx", "database_id": str(repo.id)}
    (outcome,) = fetch_repos(github, ["a/name"], {"a/name": known})
    assert isinstance(outcome, Fetched)
    assert outcome.validators["node_id"] == repo.node_id


def test_batches_that_are_too_large_are_halved_and_grow_again(host: FakeGitHub, github: GitHub) -> None:
    names = make_repos(host, 200)
    host.max_aliases = 15
    assert set(outcome_types(fetch_repos(github, names))) == {Fetched}
    sizes = [len(body["variables"]) // 2 for body in host.graphql_bodies]
    assert sizes[:4] == [50, 25, 12, 17]
    host.max_aliases = 1000
    assert set(outcome_types(fetch_repos(github, names))) == {Fetched}
    again = [len(body["variables"]) // 2 for body in host.graphql_bodies[len(sizes) :]]
    assert sum(again) == 200
    assert again[:-1] == sorted(again[:-1])
    assert again[1] == again[0] + 5


def test_rest_of_partial_data_is_requested_again(host: FakeGitHub, github: GitHub) -> None:
    names = make_repos(host, 100)
    host.failing_from_alias = 20
    assert set(outcome_types(fetch_repos(github, names))) == {Fetched}
    assert host.count_requests("POST") <= 10
    host.clear_faults()


@pytest.mark.parametrize("kind", [None, "INTERNAL"])
def test_repository_that_always_fails_does_not_affect_others(
    host: FakeGitHub, github: GitHub, kind: str | None
) -> None:
    names = make_repos(host, 100)
    host.graphql_errors["owner/r3"] = kind
    outcomes = fetch_repos(github, names)
    assert isinstance(outcomes[3], BadResponse)
    assert "Something went wrong while executing your query" in str(outcomes[3])
    assert outcome_types(outcomes).count(Fetched) == 99
    assert host.count_requests("POST") <= 15


def test_failed_field_is_retried_and_then_unknown() -> None:
    node = {"id": "R_1", "nameWithOwner": "a/b", "url": "https://github.com/a/b", "stargazerCount": 3}
    error = {"path": ["r0", "latestRelease"], "message": "timed out"}
    (result,) = github_responses.parse_batch({"data": {"r0": node}, "errors": [error]}, [ref("a/b")])
    assert not result.is_final
    assert isinstance(result.outcome, github_responses.GitHubRepo)
    repo = result.outcome.facts
    assert (repo.stars, repo.latest_release, repo.topics) == (3, None, None)


TRANSIENT_FAULTS: list[WsgiApp] = [
    response("502 Bad Gateway", {}),
    response("500 Internal Server Error", b"<html>", "text/html"),
    response("200 OK", b'{"data": {"r0": {"id": "R_'),
    response("200 OK", {"data": None, "errors": [{"message": "Something went wrong"}]}),
    response("200 OK", {"errors": [{"message": "A query attribute must be specified"}]}),
    response("200 OK", {"errors": ["?"]}),
    response("200 OK", ["?"]),
    response("200 OK", {"data": {"r0": "?", "r1": 3}}),
    response("200 OK", {"data": {"rateLimit": {"limit": "many"}}}),
    truncated_response,
    connection_reset,
]


@pytest.mark.parametrize("fault", TRANSIENT_FAULTS[:7] + TRANSIENT_FAULTS[8:])
def test_failed_batch_is_retried_in_halves(host: FakeGitHub, github: GitHub, fault: WsgiApp) -> None:
    names = make_repos(host, 20)
    host.add_fault(fault, times=1)
    assert set(outcome_types(fetch_repos(github, names))) == {Fetched}
    assert [len(body["variables"]) // 2 for body in host.graphql_bodies] == [10, 10]


@pytest.mark.parametrize("fault", TRANSIENT_FAULTS)
def test_persistent_fault_ends_soon(host: FakeGitHub, github: GitHub, fault: WsgiApp) -> None:
    names = make_repos(host, 60)
    host.add_fault(fault)
    assert set(outcome_types(fetch_repos(github, names))) <= {BadResponse, Unavailable}
    assert host.count_requests("POST") <= 70


def test_host_that_is_down_gets_few_requests(host: FakeGitHub, github: GitHub) -> None:
    host.add_fault(response("503 Service Unavailable", b""))
    assert set(outcome_types(fetch_repos(github, make_repos(host, 500)))) == {Unavailable}
    assert host.count_requests("POST") == len([50, 25, 12, 6, 3]) + MAX_CONSECUTIVE_FAILURES


def test_unreachable_host_is_unavailable() -> None:
    client = GitHub(f"http://127.0.0.1:{free_port()}", JsonClient(user_agent="pkgsite", timeouts=FAST_TIMEOUTS), TOKEN)
    assert set(outcome_types(fetch_repos(client, ["a/b", "a/c"]))) == {Unavailable}


def test_slow_batch_is_halved(host: FakeGitHub, connect: Callable[..., GitHub]) -> None:
    names = make_repos(host, 20)
    host.add_fault(delayed_response(0.5), times=1)
    client = connect(timeouts=Timeouts(read_timeout_s=0.25, attempts=1))
    assert set(outcome_types(fetch_repos(client, names))) == {Fetched}
    assert len(host.graphql_bodies) == 2


@pytest.mark.parametrize(
    ("fault", "wait_s"),
    [
        (None, 3600),  # the primary limit, whose hour starts with the test
        (secondary_limit_response("403 Forbidden", "90"), 90),
        (secondary_limit_response("429 Too Many Requests", "60"), 60),
        (response("200 OK", {"errors": [{"message": "You have exceeded a secondary rate limit."}]}), 60),
        (response("200 OK", {"errors": [{"type": "RATE_LIMITED", "message": "Enough."}]}, Retry_After="5"), 5),
    ],
)
def test_rate_limit_ends_all_remaining_requests(
    host: FakeGitHub, github: GitHub, fault: WsgiApp | None, wait_s: float
) -> None:
    names = make_repos(host, 150)
    first = fetch_repos(github, names[:50])
    host.add_fault(fault or primary_limit_response())
    outcomes = fetch_repos(github, names[50:])
    assert outcome_types(first) == [Fetched] * 50
    assert outcome_types(outcomes) == [RateLimited] * 100
    assert host.count_requests("POST") == 2
    assert isinstance(outcomes[0], RateLimited)
    assert outcomes[0].retry_after_s == pytest.approx(wait_s, abs=3)


def test_exhausted_quota_prevents_requests(host: FakeGitHub, github: GitHub) -> None:
    host.limits["graphql"] = 2
    outcomes = fetch_repos(github, make_repos(host, 150))
    assert outcome_types(outcomes) == [Fetched] * 100 + [RateLimited] * 50
    assert host.count_requests("POST") == 2
    late = utc_now() + timedelta(hours=2)
    (outcome,) = github.repo_facts([RepoRequest(ref("owner/r1"))], now=late)
    assert isinstance(outcome, RateLimited)  # from the host this time, whose hour has not ended
    assert host.count_requests("POST") == 3


def test_enterprise_api_urls(serve_app: Serve, host: FakeGitHub) -> None:
    def enterprise(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        environ["PATH_INFO"] = "/graphql" if path == "/api/graphql" else path.removeprefix("/api/v3")
        return host(environ, start_response)

    host.add("a/b")
    client = GitHub(f"{serve_app(enterprise)}/api/v3", JsonClient(user_agent="pkgsite", timeouts=FAST_TIMEOUTS), TOKEN)
    (outcome,) = fetch_repos(client, ["a/b"])
    assert facts(outcome).stars == 511
    assert client.participant_facts(ref("a/b"), validators={}).facts is not None
    assert GitHub.default_api_url("git.example.org") == "https://git.example.org/api/v3"


def test_rejected_token_is_used_once(host: FakeGitHub, connect: Callable[..., GitHub]) -> None:
    outcomes = fetch_repos(connect("stolen"), make_repos(host, 150))
    assert outcome_types(outcomes) == [NotAllowed] * 150
    assert host.count_requests("POST") == 1
    assert "stolen" not in str(outcomes[0])


def test_rest_facts_without_a_token(host: FakeGitHub, connect: Callable[..., GitHub]) -> None:
    repo = host.add("wagtail/wagtail")
    client = connect(None)
    (outcome,) = fetch_repos(client, ["wagtail/wagtail"])
    assert facts(outcome) == RepoFacts(
        node_id=repo.node_id,
        web_url="https://github.com/wagtail/wagtail",
        description="Does one thing",
        stars=511,
        forks=70,
        open_issues=None,
        is_archived=False,
        default_branch="main",
        last_commit_at=datetime(2026, 1, 28, 13, 56, 56, tzinfo=UTC),
        licence="BSD-3-Clause",
        topics=("django", "cms"),
        has_issues=True,
        is_fork=False,
        is_mirror=False,
        homepage_url="",
    )
    assert isinstance(outcome, Fetched)
    assert client.quotas["core"].remaining == ANONYMOUS_LIMIT - 2
    (again,) = fetch_repos(client, ["wagtail/wagtail"], {"wagtail/wagtail": outcome.validators})
    assert again == Fetched(None, outcome.validators)
    assert client.quotas["core"].remaining == ANONYMOUS_LIMIT - 3


def test_without_a_token_failures_do_not_affect_others(host: FakeGitHub, connect: Callable[..., GitHub]) -> None:
    host.add("a/empty", is_empty=True)
    host.add("a/last")
    outcomes = fetch_repos(connect(None), ["a/missing", "a/empty", "..", "a/..", 'a/x"}){', "a/last"])
    assert outcome_types(outcomes) == [Gone, Fetched, Gone, Gone, Gone, Fetched]
    assert facts(outcomes[1]).last_commit_at is None


def test_without_a_token_a_rate_limit_ends_the_requests(host: FakeGitHub, connect: Callable[..., GitHub]) -> None:
    outcomes = fetch_repos(connect(None), make_repos(host, 40))
    assert outcome_types(outcomes) == [Fetched] * 30 + [RateLimited] * 10
    assert len(host.request_log) == ANONYMOUS_LIMIT
    host.add_fault(response("502 Bad Gateway", b""))
    other = fetch_repos(connect(None), make_repos(host, 40))
    assert outcome_types(other) == [Unavailable] * 40
    assert len(host.request_log) == ANONYMOUS_LIMIT + MAX_CONSECUTIVE_FAILURES * FAST_TIMEOUTS.attempts


def test_weekly_commits_and_free_304_responses(host: FakeGitHub, github: GitHub) -> None:
    repo = host.add("a/b")
    first = github.activity_facts(ref("a/b"), validators={}, now=utc_now())
    assert first.facts is not None
    assert first.facts.commits_over_52 == tuple(range(52))
    again = github.activity_facts(ref("a/b"), validators=first.validators, now=utc_now())
    assert again == Fetched(None, first.validators)
    assert host.spent["core"] == 1
    repo.weeks = [1] * 52
    changed = github.activity_facts(ref("a/b"), validators=again.validators, now=utc_now())
    assert changed.facts is not None
    assert changed.facts.commits_over_52 == (1,) * 52
    assert changed.validators != first.validators


def test_weekly_commits_can_be_pending(host: FakeGitHub, github: GitHub) -> None:
    host.add("a/b", weeks=None)
    known = {"etag:of-old": '"x"'}
    assert github.activity_facts(ref("a/b"), validators=known, now=utc_now()) == Fetched(None, known, is_pending=True)


@pytest.mark.parametrize("fault", [response("204 No Content", b""), response("200 OK", {"all": [], "owner": []}), None])
def test_empty_repository_has_52_zeros(host: FakeGitHub, github: GitHub, fault: WsgiApp | None) -> None:
    host.add("a/b", is_empty=True)
    if fault:
        host.add_fault(fault)
    outcome = github.activity_facts(ref("a/b"), validators={}, now=utc_now())
    assert outcome.facts is not None
    assert outcome.facts.commits_over_52 == (0,) * 52


@pytest.mark.parametrize("weeks", [[1] * 51, [1] * 53, [-1] * 52, [True] * 52, [1.5] * 52, "x" * 52])
def test_invalid_weekly_commits_are_rejected(host: FakeGitHub, github: GitHub, weeks: Any) -> None:
    host.add("a/b", weeks=weeks)
    with pytest.raises(BadResponse):
        github.activity_facts(ref("a/b"), validators={}, now=utc_now())


def test_etags_depend_on_token_and_url(host: FakeGitHub, connect: Callable[..., GitHub]) -> None:
    host.tokens.add("other")
    host.add("a/b")
    host.add("a/c")
    first = connect().activity_facts(ref("a/b"), validators={}, now=utc_now())
    assert TOKEN not in str(first.validators)
    for client, name in ((connect("other"), "a/b"), (connect(None), "a/b"), (connect(), "a/c")):
        assert client.activity_facts(ref(name), validators=first.validators, now=utc_now()).facts is not None
    assert connect().activity_facts(ref("a/b"), validators=first.validators, now=utc_now()).facts is None


def test_participants_of_all_pages_keep_their_order(host: FakeGitHub, github: GitHub) -> None:
    people = [f"person{number}" for number in range(250)]
    host.add("a/b", people=[*people[:100], "", "person1", *people[100:]])
    first = github.participant_facts(ref("a/b"), validators={})
    assert first.facts is not None
    assert first.facts.participants == tuple(people)
    assert first.facts.is_complete
    assert host.count_requests("GET /repos/a/b/contributors?per_page=100&page=") == 3
    assert github.participant_facts(ref("a/b"), validators=first.validators) == Fetched(None, first.validators)
    assert host.spent["core"] == 3


@pytest.mark.parametrize(("count", "is_complete"), [(500, True), (501, False), (900, False)])
def test_number_of_participants_is_limited(host: FakeGitHub, github: GitHub, count: int, is_complete: bool) -> None:
    host.add("a/b", people=[f"person{number}" for number in range(count)])
    outcome = github.participant_facts(ref("a/b"), validators={})
    assert outcome.facts is not None
    assert len(outcome.facts.participants) == 500
    assert outcome.facts.is_complete is is_complete
    assert len(host.request_log) == CONTRIBUTOR_PAGES


def test_participants_of_empty_and_renamed_repositories(host: FakeGitHub, github: GitHub) -> None:
    host.add("a/empty", is_empty=True)
    empty = github.participant_facts(ref("a/empty"), validators={})
    assert empty.facts is not None
    assert (empty.facts.participants, empty.facts.is_complete) == ((), True)
    host.add("old/name", people=[f"person{number}" for number in range(150)])
    host.rename("old/name", "new/name")
    renamed = github.participant_facts(ref("old/name"), validators={})
    assert renamed.facts is not None
    assert len(renamed.facts.participants) == 150


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (response("500 Internal Server Error", b""), Unavailable),
        (truncated_response, Unavailable),
        (connection_reset, Unavailable),
        (delayed_response(0.5), Unavailable),
        (primary_limit_response(), RateLimited),
        (secondary_limit_response(), RateLimited),
        (secondary_limit_response("429 Too Many Requests"), RateLimited),
        (response("403 Forbidden", {"message": "Resource not accessible by personal access token"}), NotAllowed),
        (response("451 Unavailable For Legal Reasons", {}), Gone),
        (response("404 Not Found", {}), Gone),
        (response("200 OK", b'[{"login": "gas'), BadResponse),
        (response("200 OK", "?"), BadResponse),
        (response("200 OK", [{"login": 3}]), BadResponse),
        (response("422 Unprocessable Entity", {}), BadResponse),
    ],
)
def test_each_rest_fault_raises_its_error(
    host: FakeGitHub, connect: Callable[..., GitHub], fault: WsgiApp, kind: type[UpstreamError]
) -> None:
    host.add("a/b")
    host.add_fault(fault, path="/repos/")
    client = connect(timeouts=Timeouts(read_timeout_s=0.25, attempts=1, max_wait_s=0))
    with pytest.raises(kind):
        client.participant_facts(ref("a/b"), validators={})
    with pytest.raises(kind):
        client.activity_facts(ref("a/b"), validators={}, now=utc_now())
    (outcome,) = fetch_repos(connect(None, Timeouts(read_timeout_s=0.25, attempts=1, max_wait_s=0)), ["a/b"])
    assert type(outcome) is kind


def test_transient_rest_failure_is_retried(host: FakeGitHub, github: GitHub) -> None:
    host.add("a/b")
    host.add_fault(response("502 Bad Gateway", b""), times=1)
    assert github.activity_facts(ref("a/b"), validators={}, now=utc_now()).facts is not None


def test_second_day_costs_a_tenth_of_the_first(host: FakeGitHub, github: GitHub) -> None:
    names = make_repos(host, 100)
    known: dict[str, list[Mapping[str, str]]] = {name: [{}, {}, {}] for name in names}

    def day() -> tuple[int, int]:
        """Refresh all, and return the used GraphQL and REST quotas."""
        before = host.spent.copy()
        outcomes = fetch_repos(github, names, {name: known[name][0] for name in names})
        for name, outcome in zip(names, outcomes, strict=True):
            assert isinstance(outcome, Fetched)
            activity = github.activity_facts(ref(name), validators=known[name][1], now=utc_now())
            people = github.participant_facts(ref(name), validators=known[name][2])
            known[name] = [outcome.validators, activity.validators, people.validators]
        return host.spent["graphql"] - before["graphql"], host.spent["core"] - before["core"]

    cold = day()
    for name in names[:2]:
        repo = host._repo(name)
        assert repo is not None
        repo.weeks, repo.people = [2] * 52, [*repo.people, "newcomer"]
    warm = day()
    assert cold[1] == 200
    assert warm[1] == 4 <= cold[1] / 10
    assert host.count_requests("POST /graphql") == 4


@pytest.mark.parametrize(
    "damage",
    [
        {"id": None},
        {"url": 3},
        {"stargazerCount": True},
        {"issues": []},
        {"defaultBranchRef": {"target": "?"}},
        {"defaultBranchRef": {"target": {"committedDate": "soon"}}},
        {"repositoryTopics": {"nodes": ["?"]}},
    ],
)
def test_malformed_record_is_a_bad_response(damage: dict[str, Any]) -> None:
    node = FakeGitHub().add("a/b").graphql() | damage
    with pytest.raises(BadResponse, match=r"^GitHub (returned|did not return) "):
        github_responses.parse_graphql_repo(node)


@pytest.mark.parametrize("headers", [{}, {"X-RateLimit-Limit": "5000"}])
def test_headers_without_quota(headers: dict[str, str]) -> None:
    assert github_responses.parse_quota_headers(headers) is None


@pytest.mark.parametrize("failed", [True, False])
def test_null_field_of_graphql_is_empty_unless_it_failed(host: FakeGitHub, failed: bool) -> None:
    node = host.add("a/name", licence=None, description=None).graphql()
    node["issues"] = node["repositoryTopics"] = node["homepageUrl"] = None
    paths = [["r0", name] for name in ("licenseInfo", "description", "issues", "homepageUrl")]
    errors = [{"path": path, "message": "Something went wrong"} for path in paths] if failed else []
    (result,) = github_responses.parse_batch({"data": {"r0": node}, "errors": errors}, [ref("a/name")])
    assert isinstance(result.outcome, github_responses.GitHubRepo)
    facts = result.outcome.facts
    assert facts.empty == {"topics", "parent_url", *([] if failed else ["licence", "open_issues"])}
    assert (facts.description, facts.homepage_url) == ((None, None) if failed else ("", ""))


@pytest.mark.parametrize(
    ("licence", "expected"),
    [
        ({"key": "mit", "spdx_id": "MIT"}, "MIT"),
        ({"key": "lgpl-2.1"}, "LGPL-2.1"),
        ({"key": "mit", "spdx_id": None}, "MIT"),
        ({"key": "other", "spdx_id": "NOASSERTION"}, None),
        ({"key": "other"}, None),
        (None, None),
    ],
)
def test_licence_of_a_rest_record(host: FakeGitHub, licence: Any, expected: str | None) -> None:
    record = host.add("a/name").rest() | {"license": licence}
    assert github_responses.parse_rest_repo(record, None).facts.licence == expected
