"""What the code hosts with a REST API share: asking them, reading their JSON by type, and counting their commits."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain, islice
from typing import Any
from urllib.parse import urlencode

from requests.utils import parse_header_links

from pkgsite.clients.base import ActivityFacts, Fetched, ParticipantFacts, Quota
from pkgsite.clients.http import JsonClient, JsonResponse
from pkgsite.clients.liveness import Liveness
from pkgsite.errors import BadResponse, Gone
from pkgsite.rules.activity import weekly_counts, window_start
from pkgsite.rules.links import safe_url

# 10,000 commits a year at 50 a page; a list that is longer is not read in part, since its counts would be wrong.
MAX_PAGES = 200
AUTHOR_PAGES = 4  # of the newest commits, where a host lists no contributors
MAX_TIMESTAMP_DIGITS = 10  # digits: seconds since 1970 until the year 2286
EMAIL_PATTERN = re.compile(r"\S@\S")


class JsonObject:
    """A JSON object as a host told it, read by type.

    A value that is absent or null is None; one of another type than asked for is a BadAnswer that names it.
    """

    def __init__(self, url: str, data: Any) -> None:
        if not isinstance(data, dict):
            raise BadResponse(f"{url} returned JSON in an unexpected format")
        self.url = url
        self._data = data

    def __contains__(self, name: str) -> bool:
        return name in self._data

    def _get(self, kind: type, name: str) -> Any:
        value = self._data.get(name)
        if value is not None and type(value) is not kind:
            raise BadResponse(f"{self.url}: invalid value for {name}: {value!r:.80}")
        return value

    def text(self, name: str) -> str | None:
        found: str | None = self._get(str, name)
        return found

    def required_text(self, name: str) -> str:
        """Return a text without which the object is none."""
        found = self.text(name)
        if not found:
            raise BadResponse(f"{self.url}: missing field {name}")
        return found

    def clearable_text(self, name: str) -> str | None:
        """Return a text that may be emptied: null means that there is none, and only absence is "not told"."""
        return (self.text(name) or "") if name in self else None

    def count(self, name: str) -> int | None:
        found: int | None = self._get(int, name)
        if found is not None and found < 0:
            raise BadResponse(f"{self.url}: negative value for {name}: {found}")
        return found

    def required_count(self, name: str) -> int:
        """Return a number without which the object is none."""
        found = self.count(name)
        if found is None:
            raise BadResponse(f"{self.url}: missing field {name}")
        return found

    def flag(self, name: str) -> bool | None:
        found: bool | None = self._get(bool, name)
        return found

    def text_list(self, name: str) -> tuple[str, ...] | None:
        found = self._get(list, name)
        if found is None:
            return None
        if not all(isinstance(text, str) for text in found):
            raise BadResponse(f"{self.url}: invalid value for {name}: {found!r:.80}")
        return tuple(found)

    def child(self, name: str) -> JsonObject:
        """Return the object within; an empty one where there is none."""
        return JsonObject(self.url, self._get(dict, name) or {})

    def objects(self, name: str) -> list[JsonObject]:
        """Return a list of objects, which must be there."""
        return parse_objects(self.url, self._get(list, name))

    def timestamp(self, name: str) -> datetime:
        """Return a time in UTC."""
        text = self.required_text(name)
        try:
            found = datetime.fromisoformat(text)
            if found.tzinfo is None:
                raise ValueError("no UTC offset")
            return found.astimezone(UTC)
        except (ValueError, OverflowError) as error:
            raise BadResponse(f"{self.url}: invalid timestamp for {name}: {text:.80} ({error})") from error

    def web_url(self, name: str) -> str | None:
        """Return an address that can be linked to; None for one that can't, or that is none."""
        return safe_url(self.text(name))


@dataclass(frozen=True, slots=True)
class Commit:
    """A commit as hosts list it."""

    sha: str
    committed_at: datetime  # when it was committed, which is not when it was written
    author: str | None  # the author's account, where the host knows one


class RestApi:
    """The APIs of one kind of code host.

    Attributes:
        quotas: By host, what it last told.
    """

    def __init__(
        self,
        reader: JsonClient,
        api: Callable[[str], str],
        tokens: Mapping[str, str],
        *,
        landmark: str,
        scheme: str = "Bearer",
    ) -> None:
        """Know where each host's API is, and with which token to ask it.

        Args:
            reader: Asks.
            api: From a host's name to its API's address, without a closing slash.
            tokens: By host; one without is asked as anybody.
            landmark: A path that every API of the kind has.
            scheme: How a token is announced.
        """
        self.quotas: dict[str, Quota] = {}
        self._reader = reader
        self._liveness = Liveness(reader, landmark)
        self._api = api
        self._auth_headers = {host: {"Authorization": f"{scheme} {token}"} for host, token in tokens.items()}

    def url(self, host: str, path: str, query: Mapping[str, object] | None = None) -> str:
        """Return the address of a path that is quoted already."""
        return f"{self._api(host)}/{path}" + (f"?{urlencode(query)}" if query else "")

    def request(self, host: str, url: str, *, empty: Collection[int] = ()) -> JsonResponse:
        """Return the host's answer, and note what it says of our quota.

        Raises:
            Gone: there is no such page, on an API that is there.
        """
        headers = self._auth_headers.get(host)
        try:
            answer = self._reader.request(url, headers=headers, bodiless_codes=empty)
        except Gone:
            self._liveness.ensure_alive(self._api(host), headers)
            raise
        self._liveness.record_response(self._api(host))
        quota = parse_quota_headers(answer.headers)
        if quota:
            self.quotas[host] = quota
        return answer

    def get_object(self, host: str, path: str, query: Mapping[str, object] | None = None) -> JsonObject:
        """Return the object that the host answers."""
        answer = self.request(host, self.url(host, path, query))
        return JsonObject(answer.url, answer.data)

    def numbered_pages(
        self, host: str, path: str, query: Mapping[str, object], *, empty: Collection[int] = ()
    ) -> Iterator[list[JsonObject]]:
        """Yield the pages of a list that counts its pages, and names the next one in its Link header.

        The pages' own addresses are not followed: behind a proxy a host may write them wrongly.
        """
        for page in range(1, MAX_PAGES + 1):
            answer = self.request(host, self.url(host, path, {**query, "page": page}), empty=empty)
            yield parse_objects(answer.url, answer.data or [])
            if not has_next(answer.headers):
                return
        raise too_many_pages_error(self.url(host, path, query))

    def linked_pages(self, host: str, path: str, query: Mapping[str, object]) -> Iterator[list[JsonObject]]:
        """Yield the pages of a list that tells its objects as "values", and where the "next" page is.

        Raises:
            BadAnswer: the next page is not of the same API; our token must not go there.
        """
        url = first = self.url(host, path, query)
        for _ in range(MAX_PAGES):
            answer = self.request(host, url)
            page = JsonObject(answer.url, answer.data)
            yield page.objects("values")
            url = page.text("next") or ""
            if not url:
                return
            if not url.startswith(f"{self._api(host)}/"):
                raise BadResponse(f"{page.url} links to a next page outside this API: {url:.80}")
        raise too_many_pages_error(first)


def parse_objects(url: str, data: Any) -> list[JsonObject]:
    """Return a list's objects."""
    if not isinstance(data, list):
        raise BadResponse(f"{url} returned JSON that is not a list")
    return [JsonObject(url, item) for item in data]


def too_many_pages_error(url: str) -> BadResponse:
    return BadResponse(f"{url} has more than {MAX_PAGES} pages")


def has_next(headers: Mapping[str, str]) -> bool:
    return any(link.get("rel") == "next" for link in parse_header_links(headers.get("Link", "")))


def clean_person_name(text: str | None) -> str | None:
    """Return somebody's name as it may be kept: None where it is blank, or has an e-mail address in it."""
    name = " ".join((text or "").split())
    return name if name and not EMAIL_PATTERN.search(name) else None


def parse_quota_headers(headers: Mapping[str, str]) -> Quota | None:
    """Return the quota that an answer's head tells of, where it tells all of it."""
    for prefix in ("X-RateLimit", "RateLimit"):
        values = [headers.get(f"{prefix}-{name}", "") for name in ("Limit", "Remaining", "Reset")]
        if all(number.isdecimal() and len(number) <= MAX_TIMESTAMP_DIGITS for number in values):
            limit, remaining, reset = map(int, values)
            return Quota(limit, remaining, datetime.fromtimestamp(reset, UTC))
    return None


def weekly_activity(
    pages: Iterator[list[Commit]], *, validators: Mapping[str, str], now: datetime
) -> Fetched[ActivityFacts]:
    """Return the commits of the last 52 weeks from a host's list, newest first.

    If its newest commit is the one that was counted last time, in the same weeks, so are the ones before it: then
    nothing has changed, and no further page is read.
    """
    since = window_start(now)
    first = next(pages, [])
    new_validators = {"since": since.isoformat(), "newest": first[0].sha if first else ""}
    if all(validators.get(name) == mark for name, mark in new_validators.items()):
        return Fetched(None, new_validators)
    found: dict[str, datetime] = {}  # by name: a push between two pages moves commits to the next one
    for page in chain([first], pages):
        found.update((commit.sha, commit.committed_at) for commit in page)
        # Not every list is cut at `since`, nor in the exact order of time; a page of old commits only is its end.
        if not any(commit.committed_at >= since for commit in page):
            break
    return Fetched(ActivityFacts(tuple(weekly_counts(found.values(), now=now))), new_validators)


def commit_authors(pages: Iterable[list[Commit]], *, validators: Mapping[str, str]) -> Fetched[ParticipantFacts]:
    """Return the accounts that wrote the newest commits; complete if these are all and each has an account."""
    commit_pages = list(islice(pages, AUTHOR_PAGES))
    commits = {commit.sha: commit for page in commit_pages for commit in page}
    new_validators = {"newest": next(iter(commits), "")}
    if validators.get("newest") == new_validators["newest"]:
        return Fetched(None, new_validators)
    commit_counts = Counter(commit.author for commit in commits.values() if commit.author)
    is_complete = len(commit_pages) < AUTHOR_PAGES and all(commit.author for commit in commits.values())
    return Fetched(
        ParticipantFacts(tuple(name for name, _ in commit_counts.most_common()), is_complete), new_validators
    )
