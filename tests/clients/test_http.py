"""How clients read other hosts: what they forgive, what they refuse, and how they say so."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from email.utils import formatdate
from typing import Any

import pytest

from pkgsite.clients import http
from pkgsite.clients.http import JsonReader, Patience
from pkgsite.errors import BadAnswer, Gone, NotAllowed, RateLimited, Unavailable
from tests.databases import free_port
from tests.fakes.v4_site import Answer, Silence, answer, broken_off, html, reset

Serve = Callable[[Any], str]

GOOD = answer("200 OK", {"good": True})
HURRIED = Patience(timeout_s=5, attempts=3, backoff_s=0, jitter_s=0)


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
def reader() -> JsonReader:
    return JsonReader(user_agent="pkgsite (+https://packages.example.org)", patience=HURRIED)


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds that the client would have waited."""
    found: list[float] = []
    monkeypatch.setattr(http.time, "sleep", found.append)
    return found


def test_it_asks_for_json_and_says_who_it_is(serve: Serve, reader: JsonReader) -> None:
    host = Host(GOOD)
    assert reader.get(serve(host) + "/list/") == {"good": True}
    (asked,) = host.asked
    assert asked["REQUEST_METHOD"] == "GET"
    assert asked["HTTP_ACCEPT"] == "application/json"
    assert asked["HTTP_USER_AGENT"] == "pkgsite (+https://packages.example.org)"


@pytest.mark.parametrize(
    "failure",
    [
        answer("500 Internal Server Error", b""),
        answer("502 Bad Gateway", b"<html>", "text/html"),
        answer("429 Too Many Requests", {}, Retry_After="0"),
        answer("503 Service Unavailable", {}, Retry_After="0"),
        answer("429 Too Many Requests", {}, Retry_After="soon"),
        broken_off,
        reset,
    ],
)
def test_a_failure_that_passes_is_forgiven(serve: Serve, reader: JsonReader, failure: Answer) -> None:
    host = Host(failure, failure, GOOD)
    assert reader.get(serve(host)) == {"good": True}
    assert len(host.asked) == 3


@pytest.mark.parametrize(
    ("failure", "kind", "words"),
    [
        (answer("500 Internal Server Error", b""), Unavailable, "returned 500"),
        (answer("429 Too Many Requests", {}), RateLimited, "returned 429: rate limit exceeded"),
        (broken_off, Unavailable, ": IncompleteRead"),
        (reset, Unavailable, ": Connection reset by peer"),
    ],
)
def test_one_that_stays_is_named_after_the_last_attempt(
    serve: Serve, reader: JsonReader, failure: Answer, kind: type[Exception], words: str
) -> None:
    host = Host(failure)
    url = serve(host) + "/list/"
    with pytest.raises(kind) as raised:
        reader.get(url)
    assert url in str(raised.value)
    assert words in str(raised.value)
    assert len(host.asked) == HURRIED.attempts


@pytest.mark.parametrize(
    ("failure", "kind", "words"),
    [
        (answer("404 Not Found", {}), Gone, "returned 404: not found"),
        (answer("410 Gone", {}), Gone, "returned 410: not found"),
        (answer("401 Unauthorized", {}), NotAllowed, "returned 401: access denied"),
        (answer("403 Forbidden", {}), NotAllowed, "returned 403: access denied"),
        (answer("400 Bad Request", {}), BadAnswer, "returned 400"),
        (html(), BadAnswer, "returned text/html instead of JSON"),
        (answer("200 OK", b'{"count": 3, "res'), BadAnswer, "returned invalid JSON"),
        (answer("200 OK", b"[" * 100_000), BadAnswer, "returned invalid JSON"),
        (answer("200 OK", b'"\xff"'), BadAnswer, "returned invalid JSON"),
        (answer("200 OK", b"oops", Content_Encoding="gzip"), BadAnswer, "Could not read"),
        (answer("302 Found", b"", Location="https://elsewhere.example/"), BadAnswer, "redirected to another host"),
        (answer("302 Found", b"", Location="http://127.0.0.1:1/"), BadAnswer, "redirected to another host"),
        (answer("302 Found", b"", Location="http://127.0.0.1:x/"), BadAnswer, "Could not read"),
        (answer("302 Found", b""), BadAnswer, "redirected without a Location header"),
    ],
)
def test_one_that_asking_again_would_not_help_is_named_at_once(
    serve: Serve, reader: JsonReader, failure: Answer, kind: type[Exception], words: str
) -> None:
    host = Host(failure)
    url = serve(host) + "/list/"
    with pytest.raises(kind) as raised:
        reader.get(url)
    assert url in str(raised.value)
    assert words in str(raised.value)
    assert len(host.asked) == 1


def test_a_redirect_within_the_host_is_followed(serve: Serve, reader: JsonReader) -> None:
    host = Host(answer("301 Moved Permanently", b"", Location="/list/"), GOOD)
    assert reader.get(serve(host) + "/list") == {"good": True}
    assert [asked["PATH_INFO"] for asked in host.asked] == ["/list", "/list/"]


def test_a_redirect_loop_ends(serve: Serve, reader: JsonReader) -> None:
    host = Host(answer("302 Found", b"", Location="/again/"))
    with pytest.raises(BadAnswer, match=r"/list/: too many redirects$"):
        reader.get(serve(host) + "/list/")
    assert len(host.asked) == http.MOST_REDIRECTS + 1


def test_a_host_that_is_not_there(reader: JsonReader) -> None:
    url = f"http://127.0.0.1:{free_port()}/"
    with pytest.raises(Unavailable, match=f"^Could not connect to {url}: Connection refused$"):
        reader.get(url)


def test_a_host_that_keeps_silent(serve: Serve) -> None:
    silence = Silence()
    impatient = JsonReader(user_agent="pkgsite", patience=Patience(timeout_s=0.05, attempts=1))
    url = serve(silence)
    with pytest.raises(Unavailable, match=r"Could not connect to .*: timed out$"):
        impatient.get(url)
    silence.over.set()


def test_a_host_that_answers_for_ever(serve: Serve, waits: list[float]) -> None:
    def drip(_environ: dict[str, Any], start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", [("Content-Type", "application/json")])
        yield b"[1"
        while True:
            yield b", 1" * 50_000

    impatient = JsonReader(user_agent="pkgsite", patience=Patience(whole_s=0, attempts=1))
    with pytest.raises(Unavailable, match="took longer than 0 s to respond"):
        impatient.get(serve(drip))
    with pytest.raises(BadAnswer, match="returned more than 32 MiB"):
        JsonReader(user_agent="pkgsite").get(serve(drip))
    assert not waits


def test_a_reader_can_have_a_limit_and_a_question_a_media_type_of_its_own(serve: Serve) -> None:
    kind = "application/vnd.pypi.simple.v1+json"
    host = Host(answer("200 OK", b"[" + b" " * 2**20 + b"]", kind))
    url = serve(host)
    for largest in (2**20, 2**21):
        reader = JsonReader(user_agent="pkgsite", patience=Patience(attempts=1, largest_bytes=largest))
        if largest > 2**20:
            assert reader.ask(url, headers={"Accept": kind}).data == []
            assert host.asked[-1]["HTTP_ACCEPT"] == kind
        else:
            with pytest.raises(BadAnswer, match="returned more than 1 MiB"):
                reader.ask(url)


def test_waits_grow_and_are_spread(serve: Serve, waits: list[float]) -> None:
    patient = JsonReader(user_agent="pkgsite", patience=Patience(attempts=5, backoff_s=1, jitter_s=0.5))
    with pytest.raises(Unavailable):
        patient.get(serve(Host(answer("500 Internal Server Error", b""))))
    assert len(waits) == 4
    assert waits[0] == 0
    for wait, least in zip(waits[1:], (1, 2, 4), strict=True):
        assert least <= wait <= least + 0.5


def test_a_host_that_names_its_time_is_given_it(serve: Serve, waits: list[float]) -> None:
    host = Host(answer("429 Too Many Requests", {}, Retry_After="7"), GOOD)
    assert JsonReader(user_agent="pkgsite").get(serve(host)) == {"good": True}
    assert waits == [7]


@pytest.mark.parametrize("later", ["121", formatdate(4_000_000_000, usegmt=True)])
def test_but_not_without_end(serve: Serve, waits: list[float], later: str) -> None:
    host = Host(answer("429 Too Many Requests", {}, Retry_After=later))
    with pytest.raises(RateLimited) as failure:
        JsonReader(user_agent="pkgsite", patience=Patience(longest_wait_s=120)).get(serve(host))
    assert failure.value.retry_after_s is not None
    assert failure.value.retry_after_s > 120
    assert len(host.asked) == 1
    assert not waits


@pytest.mark.parametrize("status", ["202 Accepted", "204 No Content", "304 Not Modified"])
def test_good_answers_that_say_nothing(serve: Serve, reader: JsonReader, status: str) -> None:
    def host(_environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        start_response(status, [("ETag", '"abc"')])
        return []

    answered = reader.ask(serve(host), headers={"If-None-Match": '"abc"'})
    assert (answered.status, answered.data) == (int(status[:3]), None)
    assert answered.headers["etag"] == '"abc"'


def test_a_body_is_posted_and_never_redirected(serve: Serve, reader: JsonReader) -> None:
    posted = Host(GOOD)
    assert reader.ask(serve(posted), headers={"Authorization": "bearer x"}, body={"query": "…"}).data == {"good": True}
    (asked,) = posted.asked
    assert (asked["REQUEST_METHOD"], asked["CONTENT_TYPE"]) == ("POST", "application/json")
    assert asked["HTTP_AUTHORIZATION"] == "bearer x"
    with pytest.raises(BadAnswer, match="redirected a POST request"):
        reader.ask(serve(Host(answer("307 Temporary Redirect", {}, Location="/other/"))), body={})


@pytest.mark.parametrize(
    "headers",
    [
        {"X_RateLimit_Remaining": "0", "X_RateLimit_Reset": "4000000000"},
        {"RateLimit_Remaining": "0", "RateLimit_Reset": "4000000000"},
        {"Retry_After": "600", "X_RateLimit_Remaining": "12", "X_RateLimit_Reset": "4000000000"},
    ],
)
def test_a_403_that_names_a_time_is_a_limit(serve: Serve, reader: JsonReader, headers: dict[str, str]) -> None:
    with pytest.raises(RateLimited, match="returned 403: rate limit exceeded, retry in") as failure:
        reader.get(serve(Host(answer("403 Forbidden", {}, **headers))))
    assert failure.value.retry_after_s is not None
    assert failure.value.retry_after_s >= 600


@pytest.mark.parametrize("reset", ["", "soon"])
def test_a_403_that_names_no_time_is_a_refusal(serve: Serve, reader: JsonReader, reset: str) -> None:
    with pytest.raises(NotAllowed):
        reader.get(serve(Host(answer("403 Forbidden", {}, X_RateLimit_Remaining="0", X_RateLimit_Reset=reset))))


def test_one_question_can_have_its_own_attempts_and_empty_answers(serve: Serve, reader: JsonReader) -> None:
    host = Host(answer("502 Bad Gateway", b""), answer("409 Conflict", {"message": "empty"}))
    url = serve(host)
    with pytest.raises(Unavailable):
        reader.ask(url, attempts=1)
    assert len(host.asked) == 1
    told = reader.ask(url, empty={409})
    assert (told.status, told.data) == (409, None)


@pytest.mark.parametrize("number", ["9" * 14, "9" * 400, "9" * 5000])
def test_no_host_can_ask_for_longer_than_can_be_reckoned_with(number: str) -> None:
    for headers in (
        {"Retry-After": number},
        {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": number},
    ):
        seconds = http.limited_for_s(headers)
        assert seconds is None or 0 <= seconds <= http.LONGEST_LIMIT_S


def test_a_body_that_drips_is_given_up_in_time(serve: Serve) -> None:
    dropped = threading.Event()

    def dripping(_environ: dict[str, Any], start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", [("Content-Type", "application/json")])
        try:
            while True:
                yield b" "
                dropped.wait(0.05)
        finally:
            dropped.set()

    hurried = replace(HURRIED, whole_s=0.3, attempts=1)
    with pytest.raises(Unavailable, match="took longer than"):
        JsonReader(user_agent="tests", patience=hurried).get(serve(dripping))
    assert dropped.wait(5)  # we hung up: the host notices when it drips the next time
