"""How clients read other hosts: what they forgive, what they refuse, and how they say so."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from email.utils import formatdate
from typing import Any

import pytest

from pkgsite.clients import http
from pkgsite.clients.http import JsonClient, Timeouts
from pkgsite.errors import BadResponse, Gone, NotAllowed, RateLimited, Unavailable
from tests.databases import free_port
from tests.fakes.v4_site import Answer, HangingResponse, connection_reset, html_response, response, truncated_response

Serve = Callable[[Any], str]

GOOD = response("200 OK", {"good": True})
FAST_TIMEOUTS = Timeouts(read_timeout_s=5, attempts=3, backoff_s=0, jitter_s=0)


class Host:
    """Gives these answers one after the other, the last one again and again."""

    def __init__(self, *answers: Answer) -> None:
        self.answers = list(answers)
        self.asked: list[dict[str, Any]] = []

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        self.asked.append(environ)
        order = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return order(environ, start_response)


@pytest.fixture
def reader() -> JsonClient:
    return JsonClient(user_agent="pkgsite (+https://packages.example.org)", timeouts=FAST_TIMEOUTS)


@pytest.fixture
def recorded_waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds that the client would have waited."""
    found: list[float] = []
    monkeypatch.setattr(http.time, "sleep", found.append)
    return found


def test_it_asks_for_json_and_says_who_it_is(serve_app: Serve, reader: JsonClient) -> None:
    host = Host(GOOD)
    assert reader.get(serve_app(host) + "/list/") == {"good": True}
    (asked,) = host.asked
    assert asked["REQUEST_METHOD"] == "GET"
    assert asked["HTTP_ACCEPT"] == "application/json"
    assert asked["HTTP_USER_AGENT"] == "pkgsite (+https://packages.example.org)"


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
def test_a_failure_that_passes_is_forgiven(serve_app: Serve, reader: JsonClient, failure: Answer) -> None:
    host = Host(failure, failure, GOOD)
    assert reader.get(serve_app(host)) == {"good": True}
    assert len(host.asked) == 3


@pytest.mark.parametrize(
    ("failure", "kind", "words"),
    [
        (response("500 Internal Server Error", b""), Unavailable, "returned 500"),
        (response("429 Too Many Requests", {}), RateLimited, "returned 429: rate limit exceeded"),
        (truncated_response, Unavailable, ": IncompleteRead"),
        (connection_reset, Unavailable, ": Connection reset by peer"),
    ],
)
def test_one_that_stays_is_named_after_the_last_attempt(
    serve_app: Serve, reader: JsonClient, failure: Answer, kind: type[Exception], words: str
) -> None:
    host = Host(failure)
    url = serve_app(host) + "/list/"
    with pytest.raises(kind) as raised:
        reader.get(url)
    assert url in str(raised.value)
    assert words in str(raised.value)
    assert len(host.asked) == FAST_TIMEOUTS.attempts


@pytest.mark.parametrize(
    ("failure", "kind", "words"),
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
def test_one_that_asking_again_would_not_help_is_named_at_once(
    serve_app: Serve, reader: JsonClient, failure: Answer, kind: type[Exception], words: str
) -> None:
    host = Host(failure)
    url = serve_app(host) + "/list/"
    with pytest.raises(kind) as raised:
        reader.get(url)
    assert url in str(raised.value)
    assert words in str(raised.value)
    assert len(host.asked) == 1


def test_a_redirect_within_the_host_is_followed(serve_app: Serve, reader: JsonClient) -> None:
    host = Host(response("301 Moved Permanently", b"", Location="/list/"), GOOD)
    assert reader.get(serve_app(host) + "/list") == {"good": True}
    assert [asked["PATH_INFO"] for asked in host.asked] == ["/list", "/list/"]


def test_a_redirect_loop_ends(serve_app: Serve, reader: JsonClient) -> None:
    host = Host(response("302 Found", b"", Location="/again/"))
    with pytest.raises(BadResponse, match=r"/list/: too many redirects$"):
        reader.get(serve_app(host) + "/list/")
    assert len(host.asked) == http.MAX_REDIRECTS + 1


def test_a_host_that_is_not_there(reader: JsonClient) -> None:
    url = f"http://127.0.0.1:{free_port()}/"
    with pytest.raises(Unavailable, match=f"^Could not connect to {url}: Connection refused$"):
        reader.get(url)


def test_a_host_that_keeps_silent(serve_app: Serve) -> None:
    silence = HangingResponse()
    impatient = JsonClient(user_agent="pkgsite", timeouts=Timeouts(read_timeout_s=0.05, attempts=1))
    url = serve_app(silence)
    with pytest.raises(Unavailable, match=r"Could not connect to .*: timed out$"):
        impatient.get(url)
    silence.over.set()


def test_a_host_that_answers_for_ever(serve_app: Serve, recorded_waits: list[float]) -> None:
    def slow_body(_environ: dict[str, Any], start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", [("Content-Type", "application/json")])
        yield b"[1"
        while True:
            yield b", 1" * 50_000

    impatient = JsonClient(user_agent="pkgsite", timeouts=Timeouts(total_timeout_s=0, attempts=1))
    with pytest.raises(Unavailable, match="took longer than 0 s to respond"):
        impatient.get(serve_app(slow_body))
    with pytest.raises(BadResponse, match="returned more than 32 MiB"):
        JsonClient(user_agent="pkgsite").get(serve_app(slow_body))
    assert not recorded_waits


def test_a_reader_can_have_a_limit_and_a_question_a_media_type_of_its_own(serve_app: Serve) -> None:
    kind = "application/vnd.pypi.simple.v1+json"
    host = Host(response("200 OK", b"[" + b" " * 2**20 + b"]", kind))
    url = serve_app(host)
    for largest in (2**20, 2**21):
        reader = JsonClient(user_agent="pkgsite", timeouts=Timeouts(attempts=1, max_bytes=largest))
        if largest > 2**20:
            assert reader.request(url, headers={"Accept": kind}).data == []
            assert host.asked[-1]["HTTP_ACCEPT"] == kind
        else:
            with pytest.raises(BadResponse, match="returned more than 1 MiB"):
                reader.request(url)


def test_waits_grow_and_are_spread(serve_app: Serve, recorded_waits: list[float]) -> None:
    patient = JsonClient(user_agent="pkgsite", timeouts=Timeouts(attempts=5, backoff_s=1, jitter_s=0.5))
    with pytest.raises(Unavailable):
        patient.get(serve_app(Host(response("500 Internal Server Error", b""))))
    assert len(recorded_waits) == 4
    assert recorded_waits[0] == 0
    for wait, least in zip(recorded_waits[1:], (1, 2, 4), strict=True):
        assert least <= wait <= least + 0.5


def test_a_host_that_names_its_time_is_given_it(serve_app: Serve, recorded_waits: list[float]) -> None:
    host = Host(response("429 Too Many Requests", {}, Retry_After="7"), GOOD)
    assert JsonClient(user_agent="pkgsite").get(serve_app(host)) == {"good": True}
    assert recorded_waits == [7]


@pytest.mark.parametrize("later", ["121", formatdate(4_000_000_000, usegmt=True)])
def test_but_not_without_end(serve_app: Serve, recorded_waits: list[float], later: str) -> None:
    host = Host(response("429 Too Many Requests", {}, Retry_After=later))
    with pytest.raises(RateLimited) as failure:
        JsonClient(user_agent="pkgsite", timeouts=Timeouts(max_wait_s=120)).get(serve_app(host))
    assert failure.value.retry_after_s is not None
    assert failure.value.retry_after_s > 120
    assert len(host.asked) == 1
    assert not recorded_waits


@pytest.mark.parametrize("status", ["202 Accepted", "204 No Content", "304 Not Modified"])
def test_good_answers_that_say_nothing(serve_app: Serve, reader: JsonClient, status: str) -> None:
    def host(_environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        start_response(status, [("ETag", '"abc"')])
        return []

    answered = reader.request(serve_app(host), headers={"If-None-Match": '"abc"'})
    assert (answered.status, answered.data) == (int(status[:3]), None)
    assert answered.headers["etag"] == '"abc"'


def test_a_body_is_posted_and_never_redirected(serve_app: Serve, reader: JsonClient) -> None:
    posted = Host(GOOD)
    assert reader.request(serve_app(posted), headers={"Authorization": "bearer x"}, body={"query": "…"}).data == {
        "good": True
    }
    (asked,) = posted.asked
    assert (asked["REQUEST_METHOD"], asked["CONTENT_TYPE"]) == ("POST", "application/json")
    assert asked["HTTP_AUTHORIZATION"] == "bearer x"
    with pytest.raises(BadResponse, match="redirected a POST request"):
        reader.request(serve_app(Host(response("307 Temporary Redirect", {}, Location="/other/"))), body={})


@pytest.mark.parametrize(
    "headers",
    [
        {"X_RateLimit_Remaining": "0", "X_RateLimit_Reset": "4000000000"},
        {"RateLimit_Remaining": "0", "RateLimit_Reset": "4000000000"},
        {"Retry_After": "600", "X_RateLimit_Remaining": "12", "X_RateLimit_Reset": "4000000000"},
    ],
)
def test_a_403_that_names_a_time_is_a_limit(serve_app: Serve, reader: JsonClient, headers: dict[str, str]) -> None:
    with pytest.raises(RateLimited, match="returned 403: rate limit exceeded, retry in") as failure:
        reader.get(serve_app(Host(response("403 Forbidden", {}, **headers))))
    assert failure.value.retry_after_s is not None
    assert failure.value.retry_after_s >= 600


@pytest.mark.parametrize("reset", ["", "soon"])
def test_a_403_that_names_no_time_is_a_refusal(serve_app: Serve, reader: JsonClient, reset: str) -> None:
    with pytest.raises(NotAllowed):
        reader.get(serve_app(Host(response("403 Forbidden", {}, X_RateLimit_Remaining="0", X_RateLimit_Reset=reset))))


def test_one_question_can_have_its_own_attempts_and_empty_answers(serve_app: Serve, reader: JsonClient) -> None:
    host = Host(response("502 Bad Gateway", b""), response("409 Conflict", {"message": "empty"}))
    url = serve_app(host)
    with pytest.raises(Unavailable):
        reader.request(url, attempts=1)
    assert len(host.asked) == 1
    told = reader.request(url, bodiless_codes={409})
    assert (told.status, told.data) == (409, None)


@pytest.mark.parametrize("number", ["9" * 14, "9" * 400, "9" * 5000])
def test_no_host_can_ask_for_longer_than_can_be_reckoned_with(number: str) -> None:
    for headers in (
        {"Retry-After": number},
        {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": number},
    ):
        seconds = http.retry_after_s(headers)
        assert seconds is None or 0 <= seconds <= http.MAX_RETRY_AFTER_S


def test_a_body_that_drips_is_given_up_in_time(serve_app: Serve) -> None:
    dropped = threading.Event()

    def slow_response(_environ: dict[str, Any], start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", [("Content-Type", "application/json")])
        try:
            while True:
                yield b" "
                dropped.wait(0.05)
        finally:
            dropped.set()

    hurried = replace(FAST_TIMEOUTS, total_timeout_s=0.3, attempts=1)
    with pytest.raises(Unavailable, match="took longer than"):
        JsonClient(user_agent="tests", timeouts=hurried).get(serve_app(slow_response))
    assert dropped.wait(5)  # we hung up: the host notices when it drips the next time
