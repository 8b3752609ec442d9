"""Which error an unsuccessful response means: what the body says counts as well as the status."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from pkgsite.clients.base import ParticipantFacts
from pkgsite.clients.bitbucket import Bitbucket
from pkgsite.clients.forgejo import Forgejo
from pkgsite.clients.github import GitHub
from pkgsite.clients.github_responses import parse_batch
from pkgsite.clients.gitlab import GitLab
from pkgsite.clients.http import JsonClient, Timeouts
from pkgsite.clients.refusals import MAX_MESSAGE_LENGTH, Refusal, refusal_error, states_too_many_to_list
from pkgsite.clock import utc_now
from pkgsite.errors import BadResponse, Gone, NotAllowed, RateLimited, Unavailable, UpstreamError
from pkgsite.rules.repo_urls import RepoRef
from tests.fakes.github import FakeGitHub
from tests.fakes.gitlab import FakeGitLab
from tests.fakes.rest_host import NOW, FakeRepository, Serve, make_commits, repo_requests
from tests.fakes.v4_site import WsgiApp, response

URL = "https://api.example.org/repos/ada/engine"
SINGLE_ATTEMPT = Timeouts(read_timeout_s=5, attempts=1, max_wait_s=0)
GITLAB_SCOPE = "The request requires higher privileges than provided by the access token."
TOO_LARGE = "The history or contributor list is too large to list contributors for this repository via the API."


def error_of(status: int, body: object = b"", **fields: Any) -> UpstreamError:
    encoded = body if isinstance(body, bytes) else json.dumps(body).encode()
    return refusal_error(Refusal(URL, status, body=encoded, **fields))


RATE_LIMITS = [
    (403, {"message": "You have exceeded a secondary rate limit. Please wait a few minutes before you try again."}),
    (403, {"message": "You have exceeded a secondary rate limit and have been temporarily blocked from access."}),
    (403, {"message": "You have triggered an abuse detection mechanism. Please retry your request again later."}),
    (403, {"message": "API rate limit exceeded for 192.0.2.1. (But here's the good news: …)"}),
    (403, {"message": "Forbidden", "documentation_url": "https://developer.github.com/v3/#abuse-rate-limits"}),
    (403, {"error": "Request limit reached"}),
    (403, {"type": "error", "error": {"message": "Rate limit for this resource has been exceeded"}}),
    (403, b"Retry later\n"),
    (403, b"<html><head><style>p {}</style></head><body><h1>Error 1015</h1>You are being rate limited</body></html>"),
    (400, {"errors": [{"message": "Too Many Requests"}]}),
    (403, {"message": {"error": "This endpoint has been requested too many times. Try again later."}}),
    (503, {"message": "You are being throttled."}),
    (403, {"message": "Quota exceeded."}),
    (403, {"message": "You have exceeded your hourly quota of requests"}),
    (403, {"message": "Exceeded maximum number of requests per hour"}),
    (403, {"message": "You have exceeded the maximum number of API calls"}),
]


@pytest.mark.parametrize(("status", "body"), RATE_LIMITS)
def test_rate_limit_that_only_the_body_states(status: int, body: object) -> None:
    failure = error_of(status, body)
    assert isinstance(failure, RateLimited)
    assert (failure.retry_after_s, failure.is_minimum, failure.stops_host) == (60, True, True)


@pytest.mark.parametrize(("reset_s", "wait_s"), [(None, 60), (0, 60), (20, 60), (1800, 1800), (3600, 3600), (7200, 60)])
def test_stated_limit_lasts_until_a_near_reset_of_the_quota(reset_s: float | None, wait_s: float) -> None:
    failure = error_of(403, {"message": "You have exceeded a secondary rate limit."}, reset_after_s=reset_s)
    assert isinstance(failure, RateLimited)
    assert failure.retry_after_s == wait_s


@pytest.mark.parametrize("status", [403, 420, 429, 503])
def test_time_from_the_host_is_exact(status: int) -> None:
    failure = error_of(status, {"message": "secondary rate limit"}, retry_after_s=5.0, reset_after_s=900.0)
    assert isinstance(failure, RateLimited)
    assert (failure.retry_after_s, failure.is_minimum) == (5, False)


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (401, {"message": "Bad credentials", "documentation_url": "https://docs.github.com/rest"}),
        (403, {"message": "Max number of login attempts exceeded"}),
        (403, {"message": "Maximum number of login attempts exceeded. Please try again later."}),
        (401, {"message": "401 Unauthorized"}),
        (401, {"error": "invalid_token", "error_description": "Token was revoked. You have to re-authorize."}),
        (401, {"error": "invalid_token", "error_description": "Token is expired. You can either do re-authorization"}),
        (401, {"message": "invalid username, password or token"}),
        (401, {"type": "error", "error": {"message": "Token is invalid, expired, or not supported."}}),
        (401, b""),
        (403, {"message": "Sorry. Your account was suspended."}),
        (403, {"message": "403 Forbidden - Your account has been blocked."}),
        (403, {"message": "403 Forbidden - You (@ada) must accept the Terms of Service in order to perform this."}),
        (403, b"Request forbidden by administrative rules. Please make sure your request has a User-Agent header"),
        (403, b"<h1>Sorry, you have been blocked</h1>"),
        (403, {"message": "Blocked because of too many failed authentication attempts. Please try again later"}),
        (403, {"message": "Invalid PRIVATE-TOKEN"}),
        (403, {"message": "Authentication credentials are invalid"}),
        (403, {"message": "JWT could not be decoded"}),
        (403, {"message": "The access token is no longer valid"}),
        (403, {"error": "insufficient_scope", "error_description": GITLAB_SCOPE}),
        (403, {"message": "token does not have at least one of required scope(s): [read:repository]"}),
        (403, {"message": "Only signed in user is allowed to call APIs."}),
        (401, {"message": "Must authenticate to access this API."}),
        (403, {"message": "This account is prohibited from signing in, please contact your site administrator."}),
        (403, {"message": "403 Forbidden - Your password expired. Please access GitLab from a web browser"}),
        (403, {"message": "403 Forbidden - Your account is pending approval from your GitLab administrator"}),
        (403, b"<title>Just a moment...</title>Enable JavaScript and cookies to continue"),
        (403, b"<title>Making sure you&#39;re not a bot!</title>"),
        (403, b"Access denied. Your IP address [192.0.2.1] is blacklisted."),
        (403, b"<h1>Access to this site has been restricted.</h1>"),
    ],
)
def test_refused_token_or_site_is_about_the_whole_host(status: int, body: object) -> None:
    failure = error_of(status, body, sent_token="ghp_secret")
    assert isinstance(failure, NotAllowed)
    assert failure.is_host_wide
    assert failure.stops_host


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (401, {"message": "401 Unauthorized"}),  # without a token
        (403, {"message": "Resource not accessible by personal access token"}),
        (403, {"message": "Must have admin rights to Repository."}),
        (403, {"message": "Resource protected by organization SAML enforcement. You must grant your token access."}),
        (403, {"message": "Your credentials lack one or more required privilege scopes."}),
        (403, {"message": "the `acme` organization has an IP allow list, and your IP address is not permitted"}),
        (403, {"message": "403 Forbidden"}),
        (403, {"message": TOO_LARGE}),
        (403, b""),
        (403, b"\xff\xfe{"),
        (403, [[[[[[["deep"]]]]]]]),
    ],
)
def test_denied_resource_is_not_about_the_whole_host(status: int, body: object) -> None:
    failure = error_of(status, body)
    assert isinstance(failure, NotAllowed)
    assert not failure.stops_host


@pytest.mark.parametrize(
    ("status", "body", "reason"),
    [
        (
            451,
            {
                "message": "Repository access blocked",
                "block": {
                    "reason": "dmca",
                    "created_at": "2021-04-22T17:53:56Z",
                    "html_url": "https://github.com/github/dmca/blob/master/2021/04/example.md",
                },
            },
            "dmca, 2021-04-22, https://github.com/github/dmca/blob/master/2021/04/example.md",
        ),
        (
            403,
            {
                "message": "Repository access blocked",
                "block": {"reason": "tos", "created_at": "2021-06-08T01:02:15Z", "html_url": "https://github.com/tos"},
            },
            "tos, 2021-06-08, https://github.com/tos",
        ),
        (
            403,
            {"message": "Repository access blocked", "block": {"reason": "unavailable", "created_at": 7}},
            "unavailable",
        ),
        (451, {"message": "This project is unavailable in your country"}, "unavailable in your country"),
        (403, {"message": "This repository has been disabled due to a DMCA notice."}, "disabled due to a DMCA notice"),
        (451, b"", "taken down by the host"),
    ],
)
def test_repository_that_was_taken_down_is_gone(status: int, body: object, reason: str) -> None:
    failure = error_of(status, body)
    assert isinstance(failure, Gone)
    assert failure.is_taken_down
    assert reason in str(failure)


@pytest.mark.parametrize(
    ("status", "kind"), [(404, Gone), (410, Gone), (400, BadResponse), (422, BadResponse), (500, Unavailable)]
)
def test_other_statuses_count_whatever_the_body_says(status: int, kind: type[UpstreamError]) -> None:
    for body in (b"", {"message": "Not a rate limiting problem" if status in {404, 410} else "No"}):
        assert type(error_of(status, body)) is kind


@pytest.mark.parametrize(
    "message", [TOO_LARGE, "The contributor list exceeds the maximum size", "It has more than 10,000 contributors"]
)
def test_too_many_contributors_in_other_words(message: str) -> None:
    assert states_too_many_to_list(error_of(403, {"message": message}))


def test_too_many_attempts_to_log_in_are_not_too_many_contributors() -> None:
    assert not states_too_many_to_list(error_of(403, {"message": "Too many failed login attempts"}))
    assert not states_too_many_to_list(error_of(429, {"message": "Too many requests"}))


def test_messages_are_short_and_without_the_token() -> None:
    failure = error_of(401, {"message": "Bad credentials: ghp_secret " + "x" * 500}, sent_token="ghp_secret")
    assert "ghp_secret" not in str(failure)
    assert len(failure.host_message) == MAX_MESSAGE_LENGTH + 1
    assert len(str(failure)) < MAX_MESSAGE_LENGTH * 2


def test_graphql_states_limits_and_refusals_per_repository() -> None:
    refs = [RepoRef("github", "github.com", "ada/one")]
    blocked = {"type": "FORBIDDEN", "path": ["r0"], "message": "Repository access blocked (dmca)"}
    (result,) = parse_batch({"data": {"r0": None}, "errors": [blocked]}, refs)
    assert isinstance(result.outcome, Gone)
    assert "dmca" in str(result.outcome)
    for message in ("You have triggered an abuse detection mechanism.", "was submitted too quickly"):
        with pytest.raises(RateLimited):
            parse_batch({"errors": [{"message": message}]}, refs)


CLIENTS: dict[str, Callable[[JsonClient, str], Any]] = {
    "github": lambda client, api: GitHub(api, client, "secret"),
    "gitlab": lambda client, api: GitLab(client, api=lambda _host: api, tokens={"git.example.org": "secret"}),
    "forgejo": lambda client, api: Forgejo(client, api=lambda _host: api, tokens={"git.example.org": "secret"}),
    "bitbucket": lambda client, api: Bitbucket(client, api=lambda _host: api, tokens={"git.example.org": "secret"}),
}


@pytest.mark.parametrize("kind", CLIENTS)
@pytest.mark.parametrize(
    ("fault", "check"),
    [
        (
            response("403 Forbidden", {"message": "secondary rate limit"}, X_RateLimit_Remaining="14"),
            lambda failure: isinstance(failure, RateLimited) and failure.retry_after_s == 60,
        ),
        (response("401 Unauthorized", {"message": "Bad credentials"}), lambda failure: failure.is_host_wide),
        (response("403 Forbidden", b"Bad credentials", "text/plain"), lambda failure: failure.is_host_wide),
    ],
)
def test_every_client_asks_a_refusing_host_once(
    serve_app: Serve, kind: str, fault: WsgiApp, check: Callable[[Any], bool]
) -> None:
    requested: list[str] = []

    def host(environ: dict[str, Any], start_response: Any) -> Any:
        requested.append(environ["PATH_INFO"])
        return fault(environ, start_response)

    client = CLIENTS[kind](JsonClient(user_agent="pkgsite", timeouts=SINGLE_ATTEMPT), serve_app(host))
    outcomes = client.repo_facts(repo_requests(kind, "git.example.org", "ada/one", "ada/two", "ada/three"), now=NOW)
    assert [check(outcome) for outcome in outcomes] == [True] * 3
    assert len(requested) == 1


def test_blocked_repository_is_gone_without_a_probe(serve_app: Serve) -> None:
    """Only the API itself says so: no other request has to confirm that it is reachable."""
    host = FakeGitHub()
    host.add_fault(response("451 Unavailable For Legal Reasons", {"block": {"reason": "dmca"}}))
    github = GitHub(serve_app(host), JsonClient(user_agent="pkgsite", timeouts=SINGLE_ATTEMPT), None)
    (outcome,) = github.repo_facts(repo_requests("github", "github.com", "ada/one"), now=NOW)
    assert isinstance(outcome, Gone)
    assert len(host.request_log) == 1


@pytest.mark.parametrize("status", ["403 Forbidden", "422 Unprocessable Entity"])
def test_contributor_list_that_is_too_large_is_an_answer(serve_app: Serve, status: str) -> None:
    expected = ParticipantFacts((), is_complete=False, is_too_large=True)
    client = JsonClient(user_agent="pkgsite", timeouts=SINGLE_ATTEMPT)
    github_host = FakeGitHub()
    github_host.add("torvalds/linux")
    github_host.add_fault(response(status, {"message": TOO_LARGE}), path="/contributors")
    github = GitHub(serve_app(github_host), client, None)
    assert github.participant_facts(RepoRef("github", "github.com", "torvalds/linux"), validators={}).facts == expected
    gitlab_host = FakeGitLab(FakeRepository("ada/engine", 1, make_commits(3, now=utc_now())))
    gitlab_host.faults["/contributors"] = response(status, {"message": "Too many contributors"})
    api = f"{serve_app(gitlab_host)}/api/v4"
    gitlab = GitLab(client, api=lambda _host: api)
    assert gitlab.participant_facts(RepoRef("gitlab", "gitlab.com", "ada/engine"), validators={}).facts == expected
