"""Which error an unsuccessful response means, by its status, its headers and what its body says.

Hosts state some limits and refusals only in the body, in wordings that change: GitHub's secondary rate limits are
status 403 with quota left, and a repository that was taken down is status 451, or 403 with a `block` record.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Any

from pkgsite.errors import (
    BadResponse,
    Gone,
    NotAllowed,
    RateLimited,
    Unavailable,
    UpstreamError,
)

MAX_MESSAGE_LENGTH = 200  # of a host's explanation in our error messages, in characters
MIN_LIMIT_WAIT_S = 60.0  # GitHub: "wait for at least one minute" without a Retry-After header
MAX_RESET_WAIT_S = 3600.0  # a later reset of the quota says nothing about a limit that leaves quota
ENHANCE_YOUR_CALM = 420  # used by some hosts before 429 was standardised
# A 403 or 503 with a time to wait is a rate limit.
TRANSIENT_CODES = {HTTPStatus.FORBIDDEN, HTTPStatus.SERVICE_UNAVAILABLE}
STATED_LIMIT_CODES = {HTTPStatus.BAD_REQUEST, HTTPStatus.FORBIDDEN, HTTPStatus.SERVICE_UNAVAILABLE}
TAKEN_DOWN_CODES = {HTTPStatus.FORBIDDEN, HTTPStatus.UNAVAILABLE_FOR_LEGAL_REASONS}

_RATE_LIMIT = re.compile(
    r"rate[\s_-]*limit|abuse[\s_-]+(detection|rate)|too many (requests|times)|throttl|too quickly", re.I
)
# Only of a 403, whose other reasons are permanent.
_TEMPORARY = re.compile(
    r"(request|api|call|usage|bandwidth)s?[\s_-]+(quota|limit)|retry later|slow down"
    r"|quota (has been |was |is )?exceeded|exceeded (your|the) [\w -]*(quota|(requests|calls)\b)"
    r"|(maximum|max) number of (\w+ )?(requests|calls)"
    r"|temporarily (blocked|banned|denied)|try again (later|in )|wait (a few|a while|some|\d+|for)|enhance your calm",
    re.I,
)
_REFUSED_CREDENTIALS = re.compile(
    r"bad credentials|(login|sign-?in|authentication) attempts?"
    r"|(invalid|incorrect|wrong|bad)[\s_-]+((access|api|private|authentication|job)[\s_-]+)*(token|credentials)"
    r"|credentials (are|were) (not valid|invalid|incorrect)|unable to verify your credentials"
    r"|invalid (username|user name|password)|token could not be decoded|jwt could not be decoded"
    r"|token (is |was |has been |has )?(\w+ )?(invalid|expired|revoked|rejected|disabled)|token is no longer valid"
    r"|(expired|revoked) (access |personal )*token|authentication failed|failed to authenticate"
    # The token does not allow to read any repository.
    r"|higher privileges than provided by the access token|token does not have at least one of required scope",
    re.I,
)
_REFUSED_SITE = re.compile(
    r"your (user )?account (was|is|has been) (\w+ )?(suspended|blocked|locked|disabled|flagged|deactivated)"
    r"|your ip( address)?( \[?[0-9a-f.:]+\]?)? (was|is|has been) (\w+ )?(blocked|banned|blacklisted)"
    r"|you have been (blocked|banned)|must accept the terms of service|forbidden by administrative rules"
    r"|must authenticate to access this api|your account is pending approval"
    r"|your password (has )?expired|only signed[\s-]in users? (is|are) allowed"
    r"|prohibited from signing in|(login|sign-?in) is prohibited|access to this site has been restricted"
    # Pages of proxies that let browsers through only.
    r"|just a moment\.\.\.|attention required!|enable javascript and cookies|checking your browser"
    r"|you('re| are) not a bot",
    re.I,
)
_TAKEN_DOWN = re.compile(
    r"(repository|project) access blocked|dmca|taken down|unavailable (for|due to) legal"
    r"|(repository|project) (\w+ )?(has been |was |is )?(disabled|blocked|removed) (by|due to|for|because)",
    re.I,
)
_TOO_MANY_TO_LIST = re.compile(
    r"too (large|many|big|long)|exceeds? the (maximum|limit)|more than [\d,.]+ contributors", re.I
)
_MARKUP = re.compile(r"<(script|style)\b.*?</\1\s*>|<[^>]*>", re.I | re.S)


@dataclass(frozen=True, slots=True)
class Refusal:
    """An unsuccessful response.

    Attributes:
        retry_after_s: The time that the headers ask to wait, if any (see `retry_after_s` in `http`).
        reset_after_s: Seconds until the quota in the headers is reset, even if it is not used up; None if unknown.
        body: The start of the body; it may be incomplete.
        sent_token: The token that was sent with the request; it is removed from messages.
    """

    url: str
    status: int
    retry_after_s: float | None = None
    reset_after_s: float | None = None
    body: bytes = b""
    sent_token: str = ""


def refusal_error(refusal: Refusal) -> UpstreamError:
    """Return the error that a response with a status of at least 400, or another unexpected one, means."""
    data = _parse(refusal.body)
    texts = list(_texts(data))
    said = " ".join(texts)
    message = _shorten(next(iter(texts), ""), refusal.sent_token)
    error = (
        _taken_down(refusal, data, said, message)
        or _host_refused(refusal, said, message)
        or _rate_limited(refusal, said, message)
    )
    return error or _error_by_status(refusal, message)


def states_rate_limit(message: str) -> bool:
    """Return whether a host's message says that a rate limit was exceeded."""
    return _RATE_LIMIT.search(message) is not None


def states_taken_down(message: str) -> bool:
    """Return whether a host's message says that it has removed a repository for everyone."""
    return _TAKEN_DOWN.search(message) is not None


def states_too_many_to_list(failure: UpstreamError) -> bool:
    """Return whether the host can't list the contributors because there are too many, which is a final answer."""
    return not failure.stops_host and _TOO_MANY_TO_LIST.search(failure.host_message) is not None


def _taken_down(refusal: Refusal, data: Any, said: str, message: str) -> UpstreamError | None:
    if refusal.status not in TAKEN_DOWN_CODES:
        return None
    block = data.get("block") if isinstance(data, dict) else None
    is_legal = refusal.status == HTTPStatus.UNAVAILABLE_FOR_LEGAL_REASONS
    if not (is_legal or isinstance(block, dict) or states_taken_down(said)):
        return None
    reason = _block_reason(block) if isinstance(block, dict) else message
    details = f" ({reason})" if reason else ""
    text = f"{refusal.url} returned {refusal.status}: taken down by the host{details}"
    return Gone(text, is_taken_down=True, host_message=message)


def _block_reason(block: Mapping[str, Any]) -> str:
    """Return a host's reason, date and notice, as in "dmca, 2021-04-22, https://…"."""
    parts = [block.get(name) for name in ("reason", "created_at", "html_url")]
    reason, created_at, notice = (part[:MAX_MESSAGE_LENGTH] if isinstance(part, str) else "" for part in parts)
    try:
        created_at = datetime.fromisoformat(created_at).date().isoformat()
    except ValueError:
        created_at = ""
    return ", ".join(part for part in (reason, created_at, notice) if part)


def _host_refused(refusal: Refusal, said: str, message: str) -> UpstreamError | None:
    if refusal.status not in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
        return None
    is_rejected_token = refusal.status == HTTPStatus.UNAUTHORIZED and bool(refusal.sent_token)
    details = f": {message}" if message else ""
    if is_rejected_token or _REFUSED_CREDENTIALS.search(said):
        text = f"{refusal.url} returned {refusal.status}: the host rejects this site's token{details}"
        hint = "see the setting CODE_HOST_TOKENS"
        return NotAllowed(text, is_host_wide=True, log_detail=hint, host_message=message)
    if _REFUSED_SITE.search(said):
        text = f"{refusal.url} returned {refusal.status}: the host refuses this site's requests{details}"
        return NotAllowed(text, is_host_wide=True, host_message=message)
    return None


def _rate_limited(refusal: Refusal, said: str, message: str) -> UpstreamError | None:
    status, wait_s = refusal.status, refusal.retry_after_s
    is_limit_code = status in {HTTPStatus.TOO_MANY_REQUESTS, ENHANCE_YOUR_CALM}
    if is_limit_code or (wait_s is not None and status in TRANSIENT_CODES):
        when = f", retry in {wait_s:.0f} s" if wait_s is not None and wait_s >= 1 else ""
        text = f"{refusal.url} returned {status}: rate limit exceeded{when}"
        return RateLimited(text, wait_s, host_message=message)
    is_stated = status in STATED_LIMIT_CODES and states_rate_limit(said)
    if not is_stated and not (status == HTTPStatus.FORBIDDEN and _TEMPORARY.search(said)):
        return None
    text = f"{refusal.url} returned {status}: rate limit exceeded ({message})"
    return RateLimited(text, stated_limit_wait_s(refusal.reset_after_s), is_minimum=True, host_message=message)


def stated_limit_wait_s(reset_after_s: float | None) -> float:
    """Return the shortest wait after a limit that only the body states, in seconds."""
    is_near = reset_after_s is not None and MIN_LIMIT_WAIT_S < reset_after_s <= MAX_RESET_WAIT_S
    return reset_after_s if reset_after_s is not None and is_near else MIN_LIMIT_WAIT_S


def _error_by_status(refusal: Refusal, message: str) -> UpstreamError:
    url, status = refusal.url, refusal.status
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return Unavailable(f"{url} returned {status}", host_message=message)
    if status in {HTTPStatus.NOT_FOUND, HTTPStatus.GONE}:
        return Gone(f"{url} returned {status}: not found", host_message=message)
    if status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
        return NotAllowed(f"{url} returned {status}: access denied", host_message=message)
    return BadResponse(f"{url} returned {status}", host_message=message)


def _parse(body: bytes) -> Any:
    """Return the JSON of a body, or its text without markup."""
    text = body.decode("utf-8", "replace")
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return html.unescape(_MARKUP.sub(" ", text))


def _texts(data: Any, depth: int = 0) -> Iterator[str]:
    """Yield the texts of a parsed body: messages first, then the others, such as the URL of the documentation."""
    if isinstance(data, str):
        if text := " ".join(data.split()):
            yield text
    elif depth < 4 and isinstance(data, list):
        for value in data:
            yield from _texts(value, depth + 1)
    elif depth < 4 and isinstance(data, dict):
        for name in sorted(data, key=lambda name: (name != "message", "description" not in str(name))):
            yield from _texts(data[name], depth + 1)


def _shorten(text: str, secret: str) -> str:
    text = text.replace(secret, "…") if secret else text
    return text if len(text) <= MAX_MESSAGE_LENGTH else f"{text[:MAX_MESSAGE_LENGTH]}…"
