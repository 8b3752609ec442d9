"""How clients read other hosts: one session, a time limit, a size limit, and patience with passing failures."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from urllib.parse import urljoin, urlsplit

import requests
import urllib3

from pkgsite.clients.outside import Outside, guarded_session
from pkgsite.clock import utc_now
from pkgsite.errors import BadAnswer, Gone, NotAllowed, RateLimited, Unavailable

log = logging.getLogger(__name__)

# A hundred packages with thousands of participants each stay far below this; more is not an answer but an attack.
LARGEST_ANSWER_BYTES = 32 * 2**20
UNREACHED = (
    requests.ConnectionError,
    requests.Timeout,
    urllib3.exceptions.ProtocolError,
    urllib3.exceptions.TimeoutError,
)
CHUNK_BYTES = 64 * 2**10
MOST_REDIRECTS = 5
REDIRECTS = {301, 302, 303, 307, 308}
# Good answers besides 200, whose body, if any, says nothing.
EMPTY = {HTTPStatus.ACCEPTED, HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED}
Shape = Callable[[dict[str, Any]], Any]
LONGEST_TIMESTAMP = 12  # digits of seconds since 1970
LONGEST_LIMIT_S = 366 * 24 * 3600.0  # a host may name any number; what is longer can't be reckoned with
MAY_PASS = {HTTPStatus.FORBIDDEN, HTTPStatus.SERVICE_UNAVAILABLE}  # limits, where the head names a time


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a client waits, and how often it asks again after a failure that may pass.

    Before the second attempt and each later one it waits about 0, 1, 2, 4 … times `backoff_s`, and up to `jitter_s`
    more, so that several clients do not come back at once. A host that names its own time (Retry-After) is given it,
    unless that is longer than `longest_wait_s`: then the failure is final.
    """

    timeout_s: float = 30.0  # without a byte
    whole_s: float = 120.0  # for a whole answer
    attempts: int = 5
    backoff_s: float = 1.0
    jitter_s: float = 0.5
    longest_wait_s: int = 120
    largest_bytes: int = LARGEST_ANSWER_BYTES  # of one answer, unpacked


@dataclass(frozen=True, slots=True)
class Answer:
    """A good answer: 200, 202 (come back later), 204 (nothing to say) or 304 (as you know it).

    Attributes:
        data: The body's JSON; None where there is no body.
        url: Where it came from, after redirects.
    """

    status: int
    headers: Mapping[str, str]  # names in any case
    data: Any
    url: str


class JsonReader:
    """Reads JSON from other hosts, following redirects within the host that was asked.

    Every failure is one of the five of `pkgsite.errors`, in words that name the address.
    """

    def __init__(self, *, user_agent: str, patience: Patience | None = None, outside: Outside | None = None) -> None:
        """Know how long to wait, and whom to ask: without `outside` any host, for addresses that an operator typed."""
        self._patience = patience or Patience()
        self._session = guarded_session(outside) if outside else requests.Session()
        self._session.headers.update({"User-Agent": user_agent, "Accept": "application/json"})

    def get(self, url: str) -> Any:
        """Return the JSON that the host answers at `url`, as `ask` does."""
        return self.ask(url).data

    def ask(
        self,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: Any = None,
        attempts: int | None = None,
        empty: Collection[int] = (),
        shape: Shape | None = None,
    ) -> Answer:
        """Return what the host answers at `url`.

        Args:
            url: What to ask.
            headers: More headers, such as a token or the ETag of what is known.
            body: JSON to POST; without it the request is a GET.
            attempts: How often to ask at most, where that is not the reader's patience.
            empty: Statuses that are an answer here, though a failure elsewhere; their bodies say nothing.
            shape: What each JSON object is made into as soon as it is read, so that of a large answer only what
                is of use is kept.

        Raises:
            RateLimited, Unavailable: it still failed at the last attempt.
            Gone, NotAllowed, BadAnswer: asking again would not help.
        """
        patience = self._patience
        retries = urllib3.Retry(
            total=(attempts or patience.attempts) - 1,
            backoff_factor=patience.backoff_s / 2,
            backoff_jitter=patience.jitter_s,
        )
        while True:
            try:
                return self._once(url, headers or {}, body, {*EMPTY, *empty}, shape)
            except (RateLimited, Unavailable) as failure:
                wanted = failure.retry_after_s if isinstance(failure, RateLimited) else None
                if not retries.total or (wanted or 0) > patience.longest_wait_s:
                    raise
                retries = retries.increment(url=url)
                wait_s = retries.get_backoff_time() if wanted is None else wanted
                log.warning("%s; retrying in %.1f s", failure, wait_s)
                time.sleep(wait_s)

    def _once(
        self, url: str, headers: Mapping[str, str], body: Any, empty: Collection[int], shape: Shape | None
    ) -> Answer:
        """Return a good answer, at one attempt."""
        asked, method = url, "GET" if body is None else "POST"
        for _ in range(MOST_REDIRECTS + 1):
            try:
                with self._session.request(
                    method,
                    url,
                    headers=headers,
                    json=body,
                    timeout=self._patience.timeout_s,
                    stream=True,
                    allow_redirects=False,
                ) as answer:
                    if answer.status_code not in REDIRECTS:
                        if answer.status_code in empty:
                            return Answer(answer.status_code, answer.headers, None, url)
                        _refuse_failure(url, answer)
                        data = _parsed(url, self._read(url, answer), shape)
                        return Answer(answer.status_code, answer.headers, data, url)
                    if method != "GET":
                        raise BadAnswer(f"{url} redirected a POST request")
                    url = _redirected(url, answer.headers.get("Location", ""))
            except UNREACHED as error:
                raise Unavailable(f"Could not connect to {url}: {_reason(error)}") from error
            except (requests.RequestException, urllib3.exceptions.HTTPError, ValueError) as error:
                raise BadAnswer(f"Could not read {url}: {_reason(error)}") from error
        raise BadAnswer(f"{asked}: too many redirects")

    def _read(self, url: str, answer: requests.Response) -> bytearray:
        body, deadline = bytearray(), time.monotonic() + self._patience.whole_s
        # What has come is read as it comes: a body that drips must not hold us until a whole chunk is full.
        while chunk := answer.raw.read1(CHUNK_BYTES, decode_content=True):
            body += chunk
            if len(body) > self._patience.largest_bytes:
                raise BadAnswer(f"{url} returned more than {self._patience.largest_bytes // 2**20} MiB")
            if time.monotonic() > deadline:
                raise Unavailable(f"{url} took longer than {self._patience.whole_s:.0f} s to respond")
        return body


def _refuse_failure(url: str, answer: requests.Response) -> None:
    """Raise the failure that the answer's head tells of, if any."""
    status = answer.status_code
    after_s = limited_for_s(answer.headers)
    # Some hosts refuse with 403 what is too much; a refusal that will not pass names no time and leaves quota.
    if status == HTTPStatus.TOO_MANY_REQUESTS or (after_s is not None and status in MAY_PASS):
        later = "" if after_s is None else f", retry in {after_s:.0f} s"
        raise RateLimited(f"{url} returned {status}: rate limit exceeded{later}", after_s)
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        raise Unavailable(f"{url} returned {status}")
    if status in {HTTPStatus.NOT_FOUND, HTTPStatus.GONE}:
        raise Gone(f"{url} returned {status}: not found")
    if status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.UNAVAILABLE_FOR_LEGAL_REASONS}:
        raise NotAllowed(f"{url} returned {status}: access denied")
    if status != HTTPStatus.OK:
        raise BadAnswer(f"{url} returned {status}")
    kind = answer.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if kind != "application/json" and not kind.endswith("+json"):
        raise BadAnswer(f"{url} returned {kind or 'no content type'} instead of JSON")


def limited_for_s(headers: Mapping[str, str]) -> float | None:
    """Return how many seconds the host asks us to stay away, by Retry-After or by a quota that is used up.

    A quota is told of as GitHub does (X-RateLimit-Remaining, X-RateLimit-Reset in seconds since 1970) or, as GitLab
    does, by the same names without the X.
    """
    written = headers.get("Retry-After")
    try:
        if written is not None:
            return min(urllib3.Retry().parse_retry_after(written), LONGEST_LIMIT_S)
    except (urllib3.exceptions.InvalidHeader, ValueError, OverflowError):
        log.info("invalid Retry-After header: %.80s", written)
    for prefix in ("X-RateLimit", "RateLimit"):
        reset = headers.get(f"{prefix}-Reset", "")
        if headers.get(f"{prefix}-Remaining") == "0" and reset.isdecimal():
            is_a_date = len(reset) <= LONGEST_TIMESTAMP
            return min(max(0.0, int(reset) - utc_now().timestamp()), LONGEST_LIMIT_S) if is_a_date else LONGEST_LIMIT_S
    return None


def _redirected(url: str, location: str) -> str:
    """Return where a redirect leads, if that is the same host (or its https side).

    Raises:
        BadAnswer: it leads elsewhere or nowhere.
    """
    target = urljoin(url, location)
    here, there = urlsplit(url), urlsplit(target)
    same_port = (there.scheme, there.port) in {(here.scheme, here.port), ("https", None), ("https", 443)}
    if not location or there.hostname != here.hostname or not same_port:
        raise BadAnswer(
            f"{url} redirected to another host: {target}" if location else f"{url} redirected without a Location header"
        )
    return target


def _parsed(url: str, body: bytearray, shape: Shape | None) -> Any:
    try:
        return json.loads(body, object_hook=shape)
    except (ValueError, RecursionError) as error:
        raise BadAnswer(f"{url} returned invalid JSON: {error}") from error


def _reason(error: BaseException) -> str:
    """Return the words of the failure at the bottom of a chain: "Connection refused", "timed out"."""
    while error.__cause__ or error.__context__:
        error = error.__cause__ or error.__context__ or error
    return (isinstance(error, OSError) and error.strerror) or str(error) or type(error).__name__
