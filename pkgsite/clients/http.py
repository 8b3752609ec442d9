"""JSON over HTTP: one session with timeouts, a size limit, and retries after transient failures."""

from __future__ import annotations

import json
import logging
import random
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from urllib.parse import urljoin, urlsplit

import requests
import urllib3

from pkgsite.clients.egress import EgressPolicy, restricted_session
from pkgsite.clients.refusals import Refusal, refusal_error
from pkgsite.clock import utc_now
from pkgsite.errors import BadResponse, RateLimited, Unavailable

log = logging.getLogger(__name__)

# A hundred packages with thousands of participants each stay far below this.
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
# Successful statuses besides 200, whose body is ignored.
BODILESS_CODES = {HTTPStatus.ACCEPTED, HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED}
ObjectHook = Callable[[dict[str, Any]], Any]
MAX_TIMESTAMP_DIGITS = 12  # of a Unix timestamp
MAX_RETRY_AFTER_S = 366 * 24 * 3600.0  # hosts may send any number, even beyond timedelta's range
MAX_ERROR_BYTES = 64 * 2**10  # of the body of an unsuccessful response, which says why
MAX_ERROR_READ_S = 5.0


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Timeouts and retries after transient failures.

    Before each retry the client waits 1, 2, 4, … times `backoff_s` plus up to `jitter_s`, so that several clients do
    not retry at once. After a rate limit it waits at least as long as the host asks; if that is longer than
    `max_wait_s`, the failure is final.
    """

    read_timeout_s: float = 30.0  # without receiving a byte
    total_timeout_s: float = 120.0  # for an entire response
    attempts: int = 5
    backoff_s: float = 1.0
    jitter_s: float = 0.5
    max_wait_s: int = 120
    max_bytes: int = MAX_RESPONSE_BYTES  # of a response, decompressed


@dataclass(frozen=True, slots=True)
class JsonResponse:
    """A successful response: 200, 202 (not ready yet), 204 (no content) or 304 (not modified).

    Attributes:
        data: The parsed body; None without a body.
        url: The URL after redirects.
    """

    status: int
    headers: Mapping[str, str]  # case-insensitive
    data: Any
    url: str


class JsonClient:
    """Reads JSON from other hosts, following redirects within the same host.

    Every failure is one of the five of `pkgsite.errors`, with a message that names the URL.
    """

    def __init__(
        self,
        *,
        user_agent: str,
        timeouts: Timeouts | None = None,
        egress: EgressPolicy | None = None,
        retry_log_level: int = logging.DEBUG,
    ) -> None:
        """Create the client.

        Args:
            user_agent: The User-Agent header.
            timeouts: Timeouts and retries.
            egress: The hosts to which it may connect; any host without it, for URLs that an operator entered.
            retry_log_level: Level of the log line before each retry.
        """
        self._timeouts = timeouts or Timeouts()
        self._retry_log_level = retry_log_level
        self._session = restricted_session(egress) if egress else requests.Session()
        self._session.headers.update({"User-Agent": user_agent, "Accept": "application/json"})

    def get(self, url: str) -> Any:
        """Return the JSON at `url` (see `request`)."""
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
        """Return the response for `url`.

        Args:
            url: URL to request.
            headers: Additional headers, such as a token or an ETag.
            body: JSON to POST; without it, the request is a GET.
            attempts: Maximum number of attempts, instead of that of the timeouts.
            bodiless_codes: Additional statuses that count as successful; their bodies are ignored.
            object_hook: Converts each JSON object while parsing, so that unused parts of a large response are dropped.

        Raises:
            RateLimited, Unavailable: The last attempt failed.
            Gone, NotAllowed, BadResponse: A retry would not help.
        """
        attempt = 1
        while True:
            try:
                return self._request_once(url, headers or {}, body, {*BODILESS_CODES, *bodiless_codes}, object_hook)
            except (RateLimited, Unavailable) as failure:
                wait_s = self._retry_wait_s(failure, attempt)
                if attempt >= (attempts or self._timeouts.attempts) or wait_s is None:
                    raise
                attempt += 1
                log.log(self._retry_log_level, "%s; retrying in %.1f s", failure, wait_s)
                time.sleep(wait_s)

    def _retry_wait_s(self, failure: RateLimited | Unavailable, attempt: int) -> float | None:
        """Return the seconds to wait after a failed attempt (counted from 1); None if the failure is final."""
        timeouts = self._timeouts
        wait_s = timeouts.backoff_s * float(1 << (attempt - 1)) + random.random() * timeouts.jitter_s  # noqa: S311 - jitter
        if not isinstance(failure, RateLimited):
            return wait_s
        if failure.retry_after_s is None:
            return wait_s if timeouts.max_wait_s else None
        return max(wait_s, failure.retry_after_s) if failure.retry_after_s <= timeouts.max_wait_s else None

    def _request_once(
        self,
        url: str,
        headers: Mapping[str, str],
        body: Any,
        bodiless_codes: Collection[int],
        object_hook: ObjectHook | None,
    ) -> JsonResponse:
        """Return a successful response at the first attempt."""
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
                        self._raise_for_status(url, response)
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

    def _raise_for_status(self, url: str, response: requests.Response) -> None:
        """Raise the error that a response indicates by its status, headers, body or content type, if any."""
        if response.status_code != HTTPStatus.OK:
            raise refusal_error(
                Refusal(
                    url,
                    response.status_code,
                    retry_after_s(response.headers),
                    quota_reset_after_s(response.headers),
                    self._read_error_body(response),
                    response.request.headers.get("Authorization", "").rpartition(" ")[2],
                )
            )
        kind = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        if kind != "application/json" and not kind.endswith("+json"):
            raise BadResponse(f"{url} returned {kind or 'no content type'} instead of JSON")

    def _read_error_body(self, response: requests.Response) -> bytes:
        """Return the start of an unsuccessful response's body, as far as it can be read: the status counts anyway."""
        body, deadline = bytearray(), time.monotonic() + min(self._timeouts.total_timeout_s, MAX_ERROR_READ_S)
        try:
            while len(body) < MAX_ERROR_BYTES and time.monotonic() < deadline:
                chunk = response.raw.read1(CHUNK_BYTES, decode_content=True)
                if not chunk:
                    break
                body += chunk
        except (*CONNECTION_ERRORS, urllib3.exceptions.HTTPError, OSError, ValueError) as error:
            log.debug("incomplete body of status %s: %s", response.status_code, _root_cause(error))
        return bytes(body[:MAX_ERROR_BYTES])

    def _read_body(self, url: str, response: requests.Response) -> bytearray:
        body, deadline = bytearray(), time.monotonic() + self._timeouts.total_timeout_s
        # read1 returns what has arrived: a slow body must not delay the deadline check until a chunk is full.
        while chunk := response.raw.read1(CHUNK_BYTES, decode_content=True):
            body += chunk
            if len(body) > self._timeouts.max_bytes:
                raise BadResponse(f"{url} returned more than {self._timeouts.max_bytes // 2**20} MiB")
            if time.monotonic() > deadline:
                raise Unavailable(f"{url} took longer than {self._timeouts.total_timeout_s:.0f} s to respond")
        return body


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """Return the seconds to wait before the next request, from Retry-After or an exhausted quota.

    Quota headers are X-RateLimit-Remaining and X-RateLimit-Reset (Unix timestamp), as on GitHub, or the same names
    without the X, as on GitLab.
    """
    retry_after = headers.get("Retry-After")
    try:
        if retry_after is not None:
            return min(urllib3.Retry().parse_retry_after(retry_after), MAX_RETRY_AFTER_S)
    except (urllib3.exceptions.InvalidHeader, ValueError, OverflowError):
        log.debug("invalid Retry-After header: %.80s", retry_after)
    return next((reset_s for remaining, reset_s in _quota_resets(headers) if remaining == "0"), None)


def quota_reset_after_s(headers: Mapping[str, str]) -> float | None:
    """Return the seconds until the quota in the headers is reset, even if it is not used up; None without a quota."""
    return next((reset_s for _, reset_s in _quota_resets(headers)), None)


def _quota_resets(headers: Mapping[str, str]) -> Iterator[tuple[str | None, float]]:
    """Yield what remains of each quota in the headers, and the seconds until its reset."""
    for prefix in ("X-RateLimit", "RateLimit"):
        reset = headers.get(f"{prefix}-Reset", "")
        if reset.isdecimal():
            is_valid_timestamp = len(reset) <= MAX_TIMESTAMP_DIGITS
            reset_s = max(0.0, int(reset) - utc_now().timestamp()) if is_valid_timestamp else MAX_RETRY_AFTER_S
            yield headers.get(f"{prefix}-Remaining"), min(reset_s, MAX_RETRY_AFTER_S)


def _redirect_target(url: str, location: str) -> str:
    """Return the target of a redirect within the same host, which may switch to HTTPS.

    Raises:
        BadResponse: The target is another host or missing.
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
    """Return the message of the root cause of an exception, such as "Connection refused" or "timed out"."""
    while error.__cause__ or error.__context__:
        error = error.__cause__ or error.__context__ or error
    return (isinstance(error, OSError) and error.strerror) or str(error) or type(error).__name__
