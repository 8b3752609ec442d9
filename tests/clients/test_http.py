"""The JSON client: requests, retries, redirects, limits and errors."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from email.utils import formatdate
from typing import Any

import pytest

from pkgsite.clients import http
from pkgsite.clients.http import JsonClient, Timeouts
from pkgsite.errors import BadResponse, Gone, NotAllowed, RateLimited, Unavailable
from tests.databases import free_port
from tests.fakes.v4_site import HangingResponse, WsgiApp, connection_reset, html_response, response, truncated_response

Serve = Callable[[Any], str]

GOOD = response("200 OK", {"good": True})
FAST_TIMEOUTS = Timeouts(read_timeout_s=5, attempts=3, backoff_s=0, jitter_s=0)


class Host:
    """Returns these responses one after another, and then the last one repeatedly."""

    def __init__(self, *responses: WsgiApp) -> None:
        self.responses = list(responses)
        self.requests: list[dict[str, Any]] = []

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        self.requests.append(environ)
        respond = self.responses.pop(0) if len(self.responses) > 1 else self.responses[0]
        return respond(environ, start_response)


@pytest.fixture
def json_client() -> JsonClient:
    return JsonClient(user_agent="pkgsite (+https://packages.example.org)", timeouts=FAST_TIMEOUTS)


@pytest.fixture
def recorded_waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds that the client would have slept."""
    waits: list[float] = []
    monkeypatch.setattr(time, "sleep", waits.append)
    return waits


def test_request_headers(serve_app: Serve, json_client: JsonClient) -> None:
    host = Host(GOOD)
    assert json_client.get(serve_app(host) + "/list/") == {"good": True}
    (request,) = host.requests
    assert request["REQUEST_METHOD"] == "GET"
    assert request["HTTP_ACCEPT"] == "application/json"
    assert request["HTTP_USER_AGENT"] == "pkgsite (+https://packages.example.org)"


@pytest.mark.parametrize(
    "failure",
    [
        response("500 Internal Server Error", b""),
        response("502 Bad Gateway", b"<html>", "text/html"),
        response("429 Too Many Requests", {}, Retry_After="0"),
        response("503 Service Unavailable", {}, Retry_After="0"),
        response("429 Too Many Requests", {}, Retry_After="soon"),
        truncated_response,
        connection_reset,
    ],
)
def test_transient_failures_are_retried(serve_app: Serve, json_client: JsonClient, failure: WsgiApp) -> None:
    host = Host(failure, failure, GOOD)
    assert json_client.get(serve_app(host)) == {"good": True}
    assert len(host.requests) == 3


@pytest.mark.parametrize(
    ("failure", "kind", "message"),
    [
        (response("500 Internal Server Error", b""), Unavailable, "returned 500"),
        (response("429 Too Many Requests", {}), RateLimited, "returned 429: rate limit exceeded"),
        (truncated_response, Unavailable, ": IncompleteRead"),
        (connection_reset, Unavailable, ": Connection reset by peer"),
    ],
)
def test_persistent_failure_is_raised_after_the_last_attempt(
    serve_app: Serve, json_client: JsonClient, failure: WsgiApp, kind: type[Exception], message: str
) -> None:
    host = Host(failure)
    url = serve_app(host) + "/list/"
    with pytest.raises(kind) as raised:
        json_client.get(url)
    assert url in str(raised.value)
    assert message in str(raised.value)
    assert len(host.requests) == FAST_TIMEOUTS.attempts


@pytest.mark.parametrize(
    ("failure", "kind", "message"),
    [
        (response("404 Not Found", {}), Gone, "returned 404: not found"),
        (response("410 Gone", {}), Gone, "returned 410: not found"),
        (response("401 Unauthorized", {}), NotAllowed, "returned 401: access denied"),
        (response("403 Forbidden", {}), NotAllowed, "returned 403: access denied"),
        (response("400 Bad Request", {}), BadResponse, "returned 400"),
        (html_response(), BadResponse, "returned text/html instead of JSON"),
        (response("200 OK", b'{"count": 3, "res'), BadResponse, "returned invalid JSON"),
        (response("200 OK", b"[" * 100_000), BadResponse, "returned invalid JSON"),
        (response("200 OK", b'"\xff"'), BadResponse, "returned invalid JSON"),
        (response("200 OK", b"oops", Content_Encoding="gzip"), BadResponse, "Could not read"),
        (response("302 Found", b"", Location="https://elsewhere.example/"), BadResponse, "redirected to another host"),
        (response("302 Found", b"", Location="http://127.0.0.1:1/"), BadResponse, "redirected to another host"),
        (response("302 Found", b"", Location="http://127.0.0.1:x/"), BadResponse, "Could not read"),
        (response("302 Found", b""), BadResponse, "redirected without a Location header"),
    ],
)
def test_permanent_failure_is_raised_immediately(
    serve_app: Serve, json_client: JsonClient, failure: WsgiApp, kind: type[Exception], message: str
) -> None:
    host = Host(failure)
    url = serve_app(host) + "/list/"
    with pytest.raises(kind) as raised:
        json_client.get(url)
    assert url in str(raised.value)
    assert message in str(raised.value)
    assert len(host.requests) == 1


def test_redirect_within_the_host_is_followed(serve_app: Serve, json_client: JsonClient) -> None:
    host = Host(response("301 Moved Permanently", b"", Location="/list/"), GOOD)
    assert json_client.get(serve_app(host) + "/list") == {"good": True}
    assert [request["PATH_INFO"] for request in host.requests] == ["/list", "/list/"]


def test_redirect_loop_ends(serve_app: Serve, json_client: JsonClient) -> None:
    host = Host(response("302 Found", b"", Location="/again/"))
    with pytest.raises(BadResponse, match=r"/list/: too many redirects$"):
        json_client.get(serve_app(host) + "/list/")
    assert len(host.requests) == http.MAX_REDIRECTS + 1


def test_unreachable_host_is_unavailable(json_client: JsonClient) -> None:
    url = f"http://127.0.0.1:{free_port()}/"
    with pytest.raises(Unavailable, match=f"^Could not connect to {url}: Connection refused$"):
        json_client.get(url)


def test_host_that_does_not_respond_is_unavailable(serve_app: Serve) -> None:
    hanging = HangingResponse()
    json_client = JsonClient(user_agent="pkgsite", timeouts=Timeouts(read_timeout_s=0.05, attempts=1))
    url = serve_app(hanging)
    with pytest.raises(Unavailable, match=r"Could not connect to .*: timed out$"):
        json_client.get(url)
    hanging.released.set()


def test_endless_response_is_aborted(serve_app: Serve, recorded_waits: list[float]) -> None:
    def slow_body(_environ: dict[str, Any], start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", [("Content-Type", "application/json")])
        yield b"[1"
        while True:
            yield b", 1" * 50_000

    json_client = JsonClient(user_agent="pkgsite", timeouts=Timeouts(total_timeout_s=0, attempts=1))
    with pytest.raises(Unavailable, match="took longer than 0 s to respond"):
        json_client.get(serve_app(slow_body))
    with pytest.raises(BadResponse, match="returned more than 32 MiB"):
        JsonClient(user_agent="pkgsite").get(serve_app(slow_body))
    assert not recorded_waits


def test_size_limit_and_media_type_can_be_set(serve_app: Serve) -> None:
    kind = "application/vnd.pypi.simple.v1+json"
    host = Host(response("200 OK", b"[" + b" " * 2**20 + b"]", kind))
    url = serve_app(host)
    for max_bytes in (2**20, 2**21):
        json_client = JsonClient(user_agent="pkgsite", timeouts=Timeouts(attempts=1, max_bytes=max_bytes))
        if max_bytes > 2**20:
            assert json_client.request(url, headers={"Accept": kind}).data == []
            assert host.requests[-1]["HTTP_ACCEPT"] == kind
        else:
            with pytest.raises(BadResponse, match="returned more than 1 MiB"):
                json_client.request(url)


def test_waits_grow_and_have_jitter(serve_app: Serve, recorded_waits: list[float]) -> None:
    json_client = JsonClient(user_agent="pkgsite", timeouts=Timeouts(attempts=5, backoff_s=1, jitter_s=0.5))
    with pytest.raises(Unavailable):
        json_client.get(serve_app(Host(response("500 Internal Server Error", b""))))
    assert len(recorded_waits) == 4
    for wait, min_wait in zip(recorded_waits, (1, 2, 4, 8), strict=True):
        assert min_wait <= wait <= min_wait + 0.5


def test_retry_after_is_respected(serve_app: Serve, recorded_waits: list[float]) -> None:
    host = Host(response("429 Too Many Requests", {}, Retry_After="7"), GOOD)
    assert JsonClient(user_agent="pkgsite").get(serve_app(host)) == {"good": True}
    assert recorded_waits == [7]


@pytest.mark.parametrize("later", ["121", formatdate(4_000_000_000, usegmt=True)])
def test_retry_after_has_a_limit(serve_app: Serve, recorded_waits: list[float], later: str) -> None:
    host = Host(response("429 Too Many Requests", {}, Retry_After=later))
    with pytest.raises(RateLimited) as failure:
        JsonClient(user_agent="pkgsite", timeouts=Timeouts(max_wait_s=120)).get(serve_app(host))
    assert failure.value.retry_after_s is not None
    assert failure.value.retry_after_s > 120
    assert len(host.requests) == 1
    assert not recorded_waits


@pytest.mark.parametrize("status", ["202 Accepted", "204 No Content", "304 Not Modified"])
def test_successful_responses_without_a_body(serve_app: Serve, json_client: JsonClient, status: str) -> None:
    def host(_environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        start_response(status, [("ETag", '"abc"')])
        return []

    result = json_client.request(serve_app(host), headers={"If-None-Match": '"abc"'})
    assert (result.status, result.data) == (int(status[:3]), None)
    assert result.headers["etag"] == '"abc"'


def test_body_is_posted_and_never_redirected(serve_app: Serve, json_client: JsonClient) -> None:
    posted = Host(GOOD)
    assert json_client.request(serve_app(posted), headers={"Authorization": "bearer x"}, body={"query": "…"}).data == {
        "good": True
    }
    (request,) = posted.requests
    assert (request["REQUEST_METHOD"], request["CONTENT_TYPE"]) == ("POST", "application/json")
    assert request["HTTP_AUTHORIZATION"] == "bearer x"
    with pytest.raises(BadResponse, match="redirected a POST request"):
        json_client.request(serve_app(Host(response("307 Temporary Redirect", {}, Location="/other/"))), body={})


@pytest.mark.parametrize(
    "headers",
    [
        {"X_RateLimit_Remaining": "0", "X_RateLimit_Reset": "4000000000"},
        {"RateLimit_Remaining": "0", "RateLimit_Reset": "4000000000"},
        {"Retry_After": "600", "X_RateLimit_Remaining": "12", "X_RateLimit_Reset": "4000000000"},
    ],
)
def test_403_with_a_time_is_a_rate_limit(serve_app: Serve, json_client: JsonClient, headers: dict[str, str]) -> None:
    with pytest.raises(RateLimited, match="returned 403: rate limit exceeded, retry in") as failure:
        json_client.get(serve_app(Host(response("403 Forbidden", {}, **headers))))
    assert failure.value.retry_after_s is not None
    assert failure.value.retry_after_s >= 600


@pytest.mark.parametrize("reset", ["", "soon"])
def test_403_without_a_time_denies_access(serve_app: Serve, json_client: JsonClient, reset: str) -> None:
    with pytest.raises(NotAllowed):
        json_client.get(
            serve_app(Host(response("403 Forbidden", {}, X_RateLimit_Remaining="0", X_RateLimit_Reset=reset)))
        )


def test_request_can_set_attempts_and_bodiless_codes(serve_app: Serve, json_client: JsonClient) -> None:
    host = Host(response("502 Bad Gateway", b""), response("409 Conflict", {"message": "empty"}))
    url = serve_app(host)
    with pytest.raises(Unavailable):
        json_client.request(url, attempts=1)
    assert len(host.requests) == 1
    result = json_client.request(url, bodiless_codes={409})
    assert (result.status, result.data) == (409, None)


@pytest.mark.parametrize("value", ["9" * 14, "9" * 400, "9" * 5000])
def test_huge_retry_times_are_capped(value: str) -> None:
    for headers in (
        {"Retry-After": value},
        {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": value},
    ):
        seconds = http.retry_after_s(headers)
        assert seconds is None or 0 <= seconds <= http.MAX_RETRY_AFTER_S


def test_slow_body_is_aborted_after_the_timeout(serve_app: Serve) -> None:
    disconnected = threading.Event()

    def slow_response(_environ: dict[str, Any], start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", [("Content-Type", "application/json")])
        try:
            while True:
                yield b" "
                disconnected.wait(0.05)
        finally:
            disconnected.set()

    timeouts = replace(FAST_TIMEOUTS, total_timeout_s=0.3, attempts=1)
    with pytest.raises(Unavailable, match="took longer than"):
        JsonClient(user_agent="tests", timeouts=timeouts).get(serve_app(slow_response))
    assert disconnected.wait(5)  # the host notices when it sends the next byte
