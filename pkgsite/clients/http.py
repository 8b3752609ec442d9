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

from pkgsite.clients.egress import EgressPolicy, restricted_session
from pkgsite.clock import utc_now
from pkgsite.errors import BadResponse, Gone, NotAllowed, RateLimited, Unavailable

log = logging.getLogger(__name__)

# A hundred packages with thousands of participants each stay far below this; more is not an answer but an attack.
MAX_RESPONSE_BYTES = 32 * 2**20
CONNECTION_ERRORS = (
    requests.ConnectionError,
    requests.Timeout,
    urllib3.exceptions.ProtocolError,
    urllib3.exceptions.TimeoutError,
)
CHUNK_BYTES = 64 * 2**10
MAX_REDIRECTS = 5
REDIRECT_CODES = {301, 302, 303, 307, 308}
# Good answers besides 200, whose body, if any, says nothing.
BODILESS_CODES = {HTTPStatus.ACCEPTED, HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED}
ObjectHook = Callable[[dict[str, Any]], Any]
MAX_TIMESTAMP_DIGITS = 12  # digits of seconds since 1970
MAX_RETRY_AFTER_S = 366 * 24 * 3600.0  # a host may name any number; what is longer can't be reckoned with
TRANSIENT_CODES = {HTTPStatus.FORBIDDEN, HTTPStatus.SERVICE_UNAVAILABLE}  # limits, where the head names a time


@dataclass(frozen=True, slots=True)
class Timeouts:
    """How long a client waits, and how often it asks again after a failure that may pass.

    Before the second attempt and each later one it waits about 0, 1, 2, 4 … times `backoff_s`, and up to `jitter_s`
    more, so that several clients do not come back at once. A host that names its own time (Retry-After) is given it,
    unless that is longer than `max_wait_s`: then the failure is final.
    """

    read_timeout_s: float = 30.0  # without a byte
    total_timeout_s: float = 120.0  # for a whole answer
    attempts: int = 5
    backoff_s: float = 1.0
    jitter_s: float = 0.5
    max_wait_s: int = 120
    max_bytes: int = MAX_RESPONSE_BYTES  # of one answer, unpacked


@dataclass(frozen=True, slots=True)
class JsonResponse:
    """A good answer: 200, 202 (come back later), 204 (nothing to say) or 304 (as you know it).

    Attributes:
        data: The body's JSON; None where there is no body.
        url: Where it came from, after redirects.
    """

    status: int
    headers: Mapping[str, str]  # names in any case
    data: Any
    url: str


class JsonClient:
    """Reads JSON from other hosts, following redirects within the host that was asked.

    Every failure is one of the five of `pkgsite.errors`, in words that name the address.
    """

    def __init__(
        self, *, user_agent: str, timeouts: Timeouts | None = None, egress: EgressPolicy | None = None
    ) -> None:
        """Know how long to wait, and whom to ask: without `egress` any host, for addresses that an operator typed."""
        self._timeouts = timeouts or Timeouts()
        self._session = restricted_session(egress) if egress else requests.Session()
        self._session.headers.update({"User-Agent": user_agent, "Accept": "application/json"})

    def get(self, url: str) -> Any:
        """Return the JSON that the host answers at `url`, as `request` does."""
        return self.request(url).data

    def request(
        self,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: Any = None,
        attempts: int | None = None,
        bodiless_codes: Collection[int] = (),
        object_hook: ObjectHook | None = None,
    ) -> JsonResponse:
        """Return what the host answers at `url`.

        Args:
            url: What to ask.
            headers: More headers, such as a token or the ETag of what is known.
            body: JSON to POST; without it the request is a GET.
            attempts: How often to ask at most, where that is not the reader's patience.
            bodiless_codes: Statuses that are an answer here, though a failure elsewhere; their bodies say nothing.
            object_hook: What each JSON object is made into as soon as it is read, so that of a large answer only what
                is of use is kept.

        Raises:
            RateLimited, Unavailable: it still failed at the last attempt.
            Gone, NotAllowed, BadAnswer: asking again would not help.
        """
        patience = self._timeouts
        retries = urllib3.Retry(
            total=(attempts or patience.attempts) - 1,
            backoff_factor=patience.backoff_s / 2,
            backoff_jitter=patience.jitter_s,
        )
        while True:
            try:
                return self._request_once(url, headers or {}, body, {*BODILESS_CODES, *bodiless_codes}, object_hook)
            except (RateLimited, Unavailable) as failure:
                retry_after_s = failure.retry_after_s if isinstance(failure, RateLimited) else None
                if not retries.total or (retry_after_s or 0) > patience.max_wait_s:
                    raise
                retries = retries.increment(url=url)
                wait_s = retries.get_backoff_time() if retry_after_s is None else retry_after_s
                log.warning("%s; retrying in %.1f s", failure, wait_s)
                time.sleep(wait_s)

    def _request_once(
        self,
        url: str,
        headers: Mapping[str, str],
        body: Any,
        bodiless_codes: Collection[int],
        object_hook: ObjectHook | None,
    ) -> JsonResponse:
        """Return a good answer, at one attempt."""
        original_url, method = url, "GET" if body is None else "POST"
        for _ in range(MAX_REDIRECTS + 1):
            try:
                with self._session.request(
                    method,
                    url,
                    headers=headers,
                    json=body,
                    timeout=self._timeouts.read_timeout_s,
                    stream=True,
                    allow_redirects=False,
                ) as response:
                    if response.status_code not in REDIRECT_CODES:
                        if response.status_code in bodiless_codes:
                            return JsonResponse(response.status_code, response.headers, None, url)
                        _raise_for_status(url, response)
                        data = _parse_json(url, self._read_body(url, response), object_hook)
                        return JsonResponse(response.status_code, response.headers, data, url)
                    if method != "GET":
                        raise BadResponse(f"{url} redirected a POST request")
                    url = _redirect_target(url, response.headers.get("Location", ""))
            except CONNECTION_ERRORS as error:
                raise Unavailable(f"Could not connect to {url}: {_root_cause(error)}") from error
            except (requests.RequestException, urllib3.exceptions.HTTPError, ValueError) as error:
                raise BadResponse(f"Could not read {url}: {_root_cause(error)}") from error
        raise BadResponse(f"{original_url}: too many redirects")

    def _read_body(self, url: str, response: requests.Response) -> bytearray:
        body, deadline = bytearray(), time.monotonic() + self._timeouts.total_timeout_s
        # What has come is read as it comes: a body that drips must not hold us until a whole chunk is full.
        while chunk := response.raw.read1(CHUNK_BYTES, decode_content=True):
            body += chunk
            if len(body) > self._timeouts.max_bytes:
                raise BadResponse(f"{url} returned more than {self._timeouts.max_bytes // 2**20} MiB")
            if time.monotonic() > deadline:
                raise Unavailable(f"{url} took longer than {self._timeouts.total_timeout_s:.0f} s to respond")
        return body


def _raise_for_status(url: str, response: requests.Response) -> None:
    """Raise the failure that the answer's head tells of, if any."""
    status = response.status_code
    wait_s = retry_after_s(response.headers)
    # Some hosts refuse with 403 what is too much; a refusal that will not pass names no time and leaves quota.
    if status == HTTPStatus.TOO_MANY_REQUESTS or (wait_s is not None and status in TRANSIENT_CODES):
        when = "" if wait_s is None else f", retry in {wait_s:.0f} s"
        raise RateLimited(f"{url} returned {status}: rate limit exceeded{when}", wait_s)
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        raise Unavailable(f"{url} returned {status}")
    if status in {HTTPStatus.NOT_FOUND, HTTPStatus.GONE}:
        raise Gone(f"{url} returned {status}: not found")
    if status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.UNAVAILABLE_FOR_LEGAL_REASONS}:
        raise NotAllowed(f"{url} returned {status}: access denied")
    if status != HTTPStatus.OK:
        raise BadResponse(f"{url} returned {status}")
    kind = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if kind != "application/json" and not kind.endswith("+json"):
        raise BadResponse(f"{url} returned {kind or 'no content type'} instead of JSON")


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """Return how many seconds the host asks us to stay away, by Retry-After or by a quota that is used up.

    A quota is told of as GitHub does (X-RateLimit-Remaining, X-RateLimit-Reset in seconds since 1970) or, as GitLab
    does, by the same names without the X.
    """
    retry_after = headers.get("Retry-After")
    try:
        if retry_after is not None:
            return min(urllib3.Retry().parse_retry_after(retry_after), MAX_RETRY_AFTER_S)
    except (urllib3.exceptions.InvalidHeader, ValueError, OverflowError):
        log.info("invalid Retry-After header: %.80s", retry_after)
    for prefix in ("X-RateLimit", "RateLimit"):
        reset = headers.get(f"{prefix}-Reset", "")
        if headers.get(f"{prefix}-Remaining") == "0" and reset.isdecimal():
            is_valid_timestamp = len(reset) <= MAX_TIMESTAMP_DIGITS
            return (
                min(max(0.0, int(reset) - utc_now().timestamp()), MAX_RETRY_AFTER_S)
                if is_valid_timestamp
                else MAX_RETRY_AFTER_S
            )
    return None


def _redirect_target(url: str, location: str) -> str:
    """Return where a redirect leads, if that is the same host (or its https side).

    Raises:
        BadAnswer: it leads elsewhere or nowhere.
    """
    target = urljoin(url, location)
    source, target_parts = urlsplit(url), urlsplit(target)
    same_port = (target_parts.scheme, target_parts.port) in {
        (source.scheme, source.port),
        ("https", None),
        ("https", 443),
    }
    if not location or target_parts.hostname != source.hostname or not same_port:
        raise BadResponse(
            f"{url} redirected to another host: {target}" if location else f"{url} redirected without a Location header"
        )
    return target


def _parse_json(url: str, body: bytearray, object_hook: ObjectHook | None) -> Any:
    try:
        return json.loads(body, object_hook=object_hook)
    except (ValueError, RecursionError) as error:
        raise BadResponse(f"{url} returned invalid JSON: {error}") from error


def _root_cause(error: BaseException) -> str:
    """Return the words of the failure at the bottom of a chain: "Connection refused", "timed out"."""
    while error.__cause__ or error.__context__:
        error = error.__cause__ or error.__context__ or error
    return (isinstance(error, OSError) and error.strerror) or str(error) or type(error).__name__
