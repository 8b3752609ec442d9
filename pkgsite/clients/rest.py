"""Shared code for code hosts with a REST API: requests, type-checked JSON, and commit statistics."""

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

# 10,000 commits a year at 50 per page. Longer lists are an error, because partial counts would be wrong.
MAX_PAGES = 200
AUTHOR_PAGES = 4  # of the newest commits, if a host lists no contributors
MAX_TIMESTAMP_DIGITS = 10  # of a Unix timestamp, up to the year 2286
HOST_PATTERN = re.compile(r"(?:[\w-]+\.)+[^\W\d][\w-]+(?::\d+)?(?=[/?#]|$)")  # a URL without its scheme
EMAIL_PATTERN = re.compile(r"\S@\S")


class JsonObject:
    """Type-checked access to a JSON object from a host.

    A missing or null value is None; a value of another type raises `BadResponse` with the name of the field.
    """

    def __init__(self, url: str, data: Any) -> None:
        if not isinstance(data, dict):
            raise BadResponse(f"{url} returned JSON in an unexpected format")
        self.url = url
        self._data = data

    def __contains__(self, name: str) -> bool:
        return name in self._data

    def __bool__(self) -> bool:
        """Return whether there are any fields."""
        return bool(self._data)

    def stated(self, fields: Mapping[str, str]) -> list[str]:
        """Return the names whose fields are in this object, whatever their values.

        Args:
            fields: The field of each name.
        """
        return [name for name, field in fields.items() if field in self._data]

    def _get(self, kind: type, name: str) -> Any:
        value = self._data.get(name)
        if value is not None and type(value) is not kind:
            raise BadResponse(f"{self.url}: invalid value for {name}: {value!r:.80}")
        return value

    def text(self, name: str) -> str | None:
        value: str | None = self._get(str, name)
        return value

    def required_text(self, name: str) -> str:
        """Return a text; raise `BadResponse` if it is missing or empty."""
        value = self.text(name)
        if not value:
            raise BadResponse(f"{self.url}: missing field {name}")
        return value

    def clearable_text(self, name: str) -> str | None:
        """Return an optional text: empty if it is null, None if the field is missing."""
        return (self.text(name) or "") if name in self else None

    def count(self, name: str) -> int | None:
        value: int | None = self._get(int, name)
        if value is not None and value < 0:
            raise BadResponse(f"{self.url}: negative value for {name}: {value}")
        return value

    def required_count(self, name: str) -> int:
        """Return a count; raise `BadResponse` if it is missing."""
        value = self.count(name)
        if value is None:
            raise BadResponse(f"{self.url}: missing field {name}")
        return value

    def flag(self, name: str) -> bool | None:
        value: bool | None = self._get(bool, name)
        return value

    def text_list(self, name: str) -> tuple[str, ...] | None:
        values = self._get(list, name)
        if values is None:
            return None
        if not all(isinstance(value, str) for value in values):
            raise BadResponse(f"{self.url}: invalid value for {name}: {values!r:.80}")
        return tuple(values)

    def child(self, name: str) -> JsonObject:
        """Return a nested object, empty if missing."""
        return JsonObject(self.url, self._get(dict, name) or {})

    def objects(self, name: str) -> list[JsonObject]:
        """Return a list of objects; raise `BadResponse` if it is missing."""
        return parse_objects(self.url, self._get(list, name))

    def timestamp(self, name: str) -> datetime:
        """Return a time in UTC."""
        text = self.required_text(name)
        try:
            timestamp = datetime.fromisoformat(text)
            if timestamp.tzinfo is None:
                raise ValueError("no UTC offset")
            return timestamp.astimezone(UTC)
        except (ValueError, OverflowError) as error:
            raise BadResponse(f"{self.url}: invalid timestamp for {name}: {text:.80} ({error})") from error

    def web_url(self, name: str) -> str | None:
        """Return a URL that is safe to link to, None otherwise."""
        return safe_url(self.text(name))

    def homepage_url(self, name: str) -> str | None:
        """Return the URL of a website, empty if there is none, or None if the field is missing."""
        return website_url(self.text(name)) if name in self else None


@dataclass(frozen=True, slots=True)
class Commit:
    """A commit in a host's list."""

    sha: str
    committed_at: datetime  # the committer's date, not the author's
    author: str | None  # the author's account, if known


class RestApi:
    """The APIs of one kind of code host.

    Attributes:
        quotas: The last quota that each host reported.
    """

    def __init__(
        self,
        client: JsonClient,
        api: Callable[[str], str],
        tokens: Mapping[str, str],
        *,
        probe_path: str,
        auth_scheme: str = "Bearer",
    ) -> None:
        """Create the client.

        Args:
            client: Sends the requests.
            api: Returns the API URL of a host, without a trailing slash.
            tokens: Tokens by host; other hosts are accessed anonymously.
            probe_path: A path that every API of the kind has (see `Liveness`).
            auth_scheme: Scheme of the Authorization header.
        """
        self.quotas: dict[str, Quota] = {}
        self._client = client
        self._liveness = Liveness(client, probe_path)
        self._api = api
        self._auth_headers = {host: {"Authorization": f"{auth_scheme} {token}"} for host, token in tokens.items()}

    def url(self, host: str, path: str, query: Mapping[str, object] | None = None) -> str:
        """Return the URL of a path, which is already quoted."""
        return f"{self._api(host)}/{path}" + (f"?{urlencode(query)}" if query else "")

    def request(self, host: str, url: str, *, empty_statuses: Collection[int] = ()) -> JsonResponse:
        """Return the host's response, and record the reported quota.

        Raises:
            Gone: The path does not exist, although the API is reachable.
        """
        headers = self._auth_headers.get(host)
        try:
            response = self._client.request(url, headers=headers, bodiless_codes=empty_statuses)
        except Gone as failure:
            if not failure.is_taken_down:
                self._liveness.ensure_alive(self._api(host), headers)
            raise
        self._liveness.record_response(self._api(host))
        quota = parse_quota_headers(response.headers)
        if quota:
            self.quotas[host] = quota
        return response

    def get_object(self, host: str, path: str, query: Mapping[str, object] | None = None) -> JsonObject:
        """Return the JSON object at a path."""
        response = self.request(host, self.url(host, path, query))
        return JsonObject(response.url, response.data)

    def numbered_pages(
        self, host: str, path: str, query: Mapping[str, object], *, empty_statuses: Collection[int] = ()
    ) -> Iterator[list[JsonObject]]:
        """Yield the pages of a list with numbered pages, until the Link header has no next page.

        The linked URLs are not followed, because hosts behind a proxy may write them wrongly.
        """
        for page in range(1, MAX_PAGES + 1):
            response = self.request(host, self.url(host, path, {**query, "page": page}), empty_statuses=empty_statuses)
            yield parse_objects(response.url, response.data or [])
            if not has_next(response.headers):
                return
        raise too_many_pages_error(self.url(host, path, query))

    def linked_pages(self, host: str, path: str, query: Mapping[str, object]) -> Iterator[list[JsonObject]]:
        """Yield the pages of a list that has its objects in "values" and the next page's URL in "next".

        Raises:
            BadResponse: The next page is outside the API, where our token must not be sent.
        """
        url = first = self.url(host, path, query)
        for _ in range(MAX_PAGES):
            response = self.request(host, url)
            page = JsonObject(response.url, response.data)
            yield page.objects("values")
            url = page.text("next") or ""
            if not url:
                return
            if not url.startswith(f"{self._api(host)}/"):
                raise BadResponse(f"{page.url} links to a next page outside this API: {url:.80}")
        raise too_many_pages_error(first)


def parse_objects(url: str, data: Any) -> list[JsonObject]:
    """Return the objects of a JSON list."""
    if not isinstance(data, list):
        raise BadResponse(f"{url} returned JSON that is not a list")
    return [JsonObject(url, value) for value in data]


def too_many_pages_error(url: str) -> BadResponse:
    return BadResponse(f"{url} has more than {MAX_PAGES} pages")


def has_next(headers: Mapping[str, str]) -> bool:
    return any(link.get("rel") == "next" for link in parse_header_links(headers.get("Link", "")))


def website_url(text: str | None) -> str:
    """Return the URL of a website, which people also type without a scheme; empty if it is not safe to link to."""
    text = (text or "").strip()
    return safe_url(f"https://{text}" if HOST_PATTERN.match(text) else text) or ""


def clean_person_name(text: str | None) -> str | None:
    """Return a person's name, or None if it is blank or contains an email address, which must not be stored."""
    name = " ".join((text or "").split())
    return name if name and not EMAIL_PATTERN.search(name) else None


def parse_quota_headers(headers: Mapping[str, str]) -> Quota | None:
    """Return the quota in the response headers, or None if it is incomplete."""
    for prefix in ("X-RateLimit", "RateLimit"):
        values = [headers.get(f"{prefix}-{name}", "") for name in ("Limit", "Remaining", "Reset")]
        if all(value.isdecimal() and len(value) <= MAX_TIMESTAMP_DIGITS for value in values):
            limit, remaining, reset = map(int, values)
            return Quota(limit, remaining, datetime.fromtimestamp(reset, UTC))
    return None


def weekly_activity(
    pages: Iterator[list[Commit]], *, validators: Mapping[str, str], now: datetime
) -> Fetched[ActivityFacts]:
    """Return the commits of the last 52 weeks from a host's list, newest first.

    If the newest commit and the period are those of the last time, nothing has changed, and no further page is read.
    """
    since = window_start(now)
    first = next(pages, [])
    new_validators = {"since": since.isoformat(), "newest": first[0].sha if first else ""}
    if all(validators.get(name) == value for name, value in new_validators.items()):
        return Fetched(None, new_validators)
    committed_at: dict[str, datetime] = {}  # by SHA, because a push between two requests repeats commits
    for page in chain([first], pages):
        committed_at.update((commit.sha, commit.committed_at) for commit in page)
        # Some hosts ignore `since`, and the order by time is not exact: stop at a page of old commits only.
        if not any(commit.committed_at >= since for commit in page):
            break
    return Fetched(ActivityFacts(tuple(weekly_counts(committed_at.values(), now=now))), new_validators)


def commit_authors(pages: Iterable[list[Commit]], *, validators: Mapping[str, str]) -> Fetched[ParticipantFacts]:
    """Return the authors of the newest commits; complete if these are all commits and each author has an account."""
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
