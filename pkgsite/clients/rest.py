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

from pkgsite.clients.base import ActivityFacts, Fetched, PeopleFacts, Quota
from pkgsite.clients.http import Answer, JsonReader
from pkgsite.clients.liveness import Presence
from pkgsite.errors import BadAnswer, Gone
from pkgsite.rules.activity import weekly_counts, window_start
from pkgsite.rules.links import safe_url

# 10,000 commits a year at 50 a page; a list that is longer is not read in part, since its counts would be wrong.
MOST_PAGES = 200
AUTHOR_PAGES = 4  # of the newest commits, where a host lists no contributors
LONGEST_TIMESTAMP = 10  # digits: seconds since 1970 until the year 2286
MAIL_ADDRESS = re.compile(r"\S@\S")


class Told:
    """A JSON object as a host told it, read by type.

    A value that is absent or null is None; one of another type than asked for is a BadAnswer that names it.
    """

    def __init__(self, url: str, data: Any) -> None:
        if not isinstance(data, dict):
            raise BadAnswer(f"{url} returned JSON in an unexpected format")
        self.url = url
        self._data = data

    def __contains__(self, name: str) -> bool:
        return name in self._data

    def _of(self, kind: type, name: str) -> Any:
        value = self._data.get(name)
        if value is not None and type(value) is not kind:
            raise BadAnswer(f"{self.url}: invalid value for {name}: {value!r:.80}")
        return value

    def text(self, name: str) -> str | None:
        found: str | None = self._of(str, name)
        return found

    def needed_text(self, name: str) -> str:
        """Return a text without which the object is none."""
        found = self.text(name)
        if not found:
            raise BadAnswer(f"{self.url}: missing field {name}")
        return found

    def words(self, name: str) -> str | None:
        """Return a text that may be emptied: null means that there is none, and only absence is "not told"."""
        return (self.text(name) or "") if name in self else None

    def count(self, name: str) -> int | None:
        found: int | None = self._of(int, name)
        if found is not None and found < 0:
            raise BadAnswer(f"{self.url}: negative value for {name}: {found}")
        return found

    def needed_count(self, name: str) -> int:
        """Return a number without which the object is none."""
        found = self.count(name)
        if found is None:
            raise BadAnswer(f"{self.url}: missing field {name}")
        return found

    def flag(self, name: str) -> bool | None:
        found: bool | None = self._of(bool, name)
        return found

    def texts(self, name: str) -> tuple[str, ...] | None:
        found = self._of(list, name)
        if found is None:
            return None
        if not all(isinstance(text, str) for text in found):
            raise BadAnswer(f"{self.url}: invalid value for {name}: {found!r:.80}")
        return tuple(found)

    def inner(self, name: str) -> Told:
        """Return the object within; an empty one where there is none."""
        return Told(self.url, self._of(dict, name) or {})

    def objects(self, name: str) -> list[Told]:
        """Return a list of objects, which must be there."""
        return objects(self.url, self._of(list, name))

    def instant(self, name: str) -> datetime:
        """Return a time in UTC."""
        written = self.needed_text(name)
        try:
            found = datetime.fromisoformat(written)
            if found.tzinfo is None:
                raise ValueError("no UTC offset")
            return found.astimezone(UTC)
        except (ValueError, OverflowError) as error:
            raise BadAnswer(f"{self.url}: invalid timestamp for {name}: {written:.80} ({error})") from error

    def web_url(self, name: str) -> str | None:
        """Return an address that can be linked to; None for one that can't, or that is none."""
        return safe_url(self.text(name))


@dataclass(frozen=True, slots=True)
class Commit:
    """A commit as hosts list it."""

    sha: str
    at: datetime  # when it was committed, which is not when it was written
    author: str | None  # the author's account, where the host knows one


class RestApi:
    """The APIs of one kind of code host.

    Attributes:
        quotas: By host, what it last told.
    """

    def __init__(
        self,
        reader: JsonReader,
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
        self._presence = Presence(reader, landmark)
        self._api = api
        self._heads = {host: {"Authorization": f"{scheme} {token}"} for host, token in tokens.items()}

    def url(self, host: str, path: str, query: Mapping[str, object] | None = None) -> str:
        """Return the address of a path that is quoted already."""
        return f"{self._api(host)}/{path}" + (f"?{urlencode(query)}" if query else "")

    def ask(self, host: str, url: str, *, empty: Collection[int] = ()) -> Answer:
        """Return the host's answer, and note what it says of our quota.

        Raises:
            Gone: there is no such page, on an API that is there.
        """
        head = self._heads.get(host)
        try:
            answer = self._reader.ask(url, headers=head, empty=empty)
        except Gone:
            self._presence.check(self._api(host), head)
            raise
        self._presence.note(self._api(host))
        quota = read_quota(answer.headers)
        if quota:
            self.quotas[host] = quota
        return answer

    def told(self, host: str, path: str, query: Mapping[str, object] | None = None) -> Told:
        """Return the object that the host answers."""
        answer = self.ask(host, self.url(host, path, query))
        return Told(answer.url, answer.data)

    def numbered(
        self, host: str, path: str, query: Mapping[str, object], *, empty: Collection[int] = ()
    ) -> Iterator[list[Told]]:
        """Yield the pages of a list that counts its pages, and names the next one in its Link header.

        The pages' own addresses are not followed: behind a proxy a host may write them wrongly.
        """
        for page in range(1, MOST_PAGES + 1):
            answer = self.ask(host, self.url(host, path, {**query, "page": page}), empty=empty)
            yield objects(answer.url, answer.data or [])
            if not has_next(answer.headers):
                return
        raise too_long(self.url(host, path, query))

    def linked(self, host: str, path: str, query: Mapping[str, object]) -> Iterator[list[Told]]:
        """Yield the pages of a list that tells its objects as "values", and where the "next" page is.

        Raises:
            BadAnswer: the next page is not of the same API; our token must not go there.
        """
        url = first = self.url(host, path, query)
        for _ in range(MOST_PAGES):
            answer = self.ask(host, url)
            page = Told(answer.url, answer.data)
            yield page.objects("values")
            url = page.text("next") or ""
            if not url:
                return
            if not url.startswith(f"{self._api(host)}/"):
                raise BadAnswer(f"{page.url} links to a next page outside this API: {url:.80}")
        raise too_long(first)


def objects(url: str, data: Any) -> list[Told]:
    """Return a list's objects."""
    if not isinstance(data, list):
        raise BadAnswer(f"{url} returned JSON that is not a list")
    return [Told(url, item) for item in data]


def too_long(url: str) -> BadAnswer:
    return BadAnswer(f"{url} has more than {MOST_PAGES} pages")


def has_next(headers: Mapping[str, str]) -> bool:
    return any(link.get("rel") == "next" for link in parse_header_links(headers.get("Link", "")))


def person_name(written: str | None) -> str | None:
    """Return somebody's name as it may be kept: None where it is blank, or has an e-mail address in it."""
    name = " ".join((written or "").split())
    return name if name and not MAIL_ADDRESS.search(name) else None


def read_quota(headers: Mapping[str, str]) -> Quota | None:
    """Return the quota that an answer's head tells of, where it tells all of it."""
    for prefix in ("X-RateLimit", "RateLimit"):
        told = [headers.get(f"{prefix}-{name}", "") for name in ("Limit", "Remaining", "Reset")]
        if all(number.isdecimal() and len(number) <= LONGEST_TIMESTAMP for number in told):
            whole, left, reset = map(int, told)
            return Quota(whole, left, datetime.fromtimestamp(reset, UTC))
    return None


def count_weeks(
    pages: Iterator[list[Commit]], *, validators: Mapping[str, str], now: datetime
) -> Fetched[ActivityFacts]:
    """Return the commits of the last 52 weeks from a host's list, newest first.

    If its newest commit is the one that was counted last time, in the same weeks, so are the ones before it: then
    nothing has changed, and no further page is read.
    """
    since = window_start(now)
    first = next(pages, [])
    marks = {"since": since.isoformat(), "newest": first[0].sha if first else ""}
    if all(validators.get(name) == mark for name, mark in marks.items()):
        return Fetched(None, marks)
    found: dict[str, datetime] = {}  # by name: a push between two pages moves commits to the next one
    for page in chain([first], pages):
        found.update((commit.sha, commit.at) for commit in page)
        # Not every list is cut at `since`, nor in the exact order of time; a page of old commits only is its end.
        if not any(commit.at >= since for commit in page):
            break
    return Fetched(ActivityFacts(tuple(weekly_counts(found.values(), now=now))), marks)


def count_authors(pages: Iterable[list[Commit]], *, validators: Mapping[str, str]) -> Fetched[PeopleFacts]:
    """Return the accounts that wrote the newest commits; complete if these are all and each has an account."""
    read = list(islice(pages, AUTHOR_PAGES))
    commits = {commit.sha: commit for page in read for commit in page}
    marks = {"newest": next(iter(commits), "")}
    if validators.get("newest") == marks["newest"]:
        return Fetched(None, marks)
    counted = Counter(commit.author for commit in commits.values() if commit.author)
    is_complete = len(read) < AUTHOR_PAGES and all(commit.author for commit in commits.values())
    return Fetched(PeopleFacts(tuple(name for name, _ in counted.most_common()), is_complete), marks)
