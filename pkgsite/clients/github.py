"""GitHub as a code host: GraphQL in batches for repositories, REST for weekly commits and contributors.

Quotas and limits: https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api and
https://docs.github.com/en/graphql/overview/rate-limits-and-query-limits-for-the-graphql-api
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from urllib.parse import quote

from requests.utils import parse_header_links

from pkgsite.clients.base import ActivityFacts, Fetched, PeopleFacts, Quota, RepoAsk, RepoFacts, RepoRef
from pkgsite.clients.github_responses import (
    Repo,
    Told,
    batch_told,
    logins,
    newest_commit,
    question,
    quota_of_graphql,
    quota_of_headers,
    rest_repo,
    weeks,
)
from pkgsite.clients.http import Answer, JsonReader, limited_for_s
from pkgsite.clients.liveness import Presence
from pkgsite.clock import utc_now
from pkgsite.errors import BadAnswer, Gone, NotAllowed, RateLimited, Unavailable, UpstreamError
from pkgsite.rules.activity import WEEKS

Outcome = Fetched[RepoFacts] | UpstreamError

MOST_IN_BATCH = 50  # a hundred and more are often answered 502, since GitHub gives a query ten seconds
GROWTH = 5  # repositories more, after a batch that went well
LANDMARK = "meta"  # a path that every API of the kind has (see `Presence`)
DOWN_AFTER = 3  # single repositories failing in a row: it is the host that fails
PEOPLE_PAGES = 5
PEOPLE_PER_PAGE = 100
SECONDARY_WAIT_S = 60.0  # GitHub: "wait for at least one minute", where it names no time


@dataclass(slots=True)
class BatchSize:
    """How many repositories one question asks for: half as many after a failure, slowly more when it goes well."""

    now: int = MOST_IN_BATCH

    def shrink(self, failed: int) -> None:
        self.now = max(1, failed // 2)

    def grow(self) -> None:
        self.now = min(MOST_IN_BATCH, self.now + GROWTH)


class GitHub:
    """A `CodeHost` on GitHub's two APIs.

    With a token, repositories are asked for by GraphQL, some fifty to a request. Without one that is not allowed, and
    each repository costs a REST request, two when it changed, of sixty an hour; less is told: neither issues nor
    commits are counted, and no release is named.

    Validators are the node id and the database id of the repository, by which a name that was given to another one is
    found out, and ETags. GitHub makes another ETag for each token, so that each is kept under a digest of token and
    address; a change of either asks afresh.

    Attributes:
        quotas: "core" is REST's, "graphql" is counted apart.
    """

    quotas: Mapping[str, Quota]

    def __init__(self, api: str, reader: JsonReader, token: str | None) -> None:
        """Know the API's address (https://api.github.com), how to read from it, and who asks."""
        self._api = api.rstrip("/")
        self._reader = reader
        self._token = token
        # GitHub Enterprise has its GraphQL beside its REST: /api/graphql and /api/v3.
        self._graphql = f"{self._api.removesuffix('/v3')}/graphql"
        self._presence = Presence(reader, LANDMARK)
        self._size = BatchSize()
        self.quotas = {}

    @staticmethod
    def usual_api(host: str) -> str:
        """Return where the API of a GitHub Enterprise is; that of github.com is in the settings."""
        return f"https://{host}/api/v3"

    @property
    def is_batched(self) -> bool:
        return self._token is not None

    def repos(self, asked: Sequence[RepoAsk], *, now: datetime) -> list[Outcome]:
        """Return what came of each repository, in their order; one that fails never takes others with it.

        A limit, or a refusal of the token, is the outcome of all that are left: they are not asked for.
        """
        return self._in_batches(asked, now) if self._token else self._one_by_one(asked, now)

    def activity(self, ref: RepoRef, *, validators: Mapping[str, str], now: datetime) -> Fetched[ActivityFacts]:
        """Return the commits of the last 52 weeks to the default branch, merges left out, as GitHub counts them.

        An empty repository has 52 zeros, whether GitHub answers these, an empty list or 204.

        Raises:
            UpstreamError: GitHub could not tell.
        """
        url = f"{self._address(ref)}/stats/participation"
        answer = self._get(url, now, validators)
        if answer.status == HTTPStatus.NOT_MODIFIED:
            return Fetched(None, validators)
        if answer.status == HTTPStatus.ACCEPTED:
            return Fetched(None, validators, is_later=True)
        return Fetched(ActivityFacts(weeks(answer.data, WEEKS)), self._etag(url, answer))

    def people(self, ref: RepoRef, *, validators: Mapping[str, str]) -> Fetched[PeopleFacts]:
        """Return the first 500 accounts that committed, most commits first; an empty repository has none.

        Whether anything changed is judged by the first page: it is where new commits move people.

        Raises:
            UpstreamError: GitHub could not tell.
        """
        url = f"{self._address(ref)}/contributors?per_page={PEOPLE_PER_PAGE}&page="
        first = answer = self._get(f"{url}1", utc_now(), validators)
        if first.status == HTTPStatus.NOT_MODIFIED:
            return Fetched(None, validators)
        found = dict.fromkeys(logins(first.data or []))
        for page in range(2, PEOPLE_PAGES + 1):
            if not _has_next(answer):
                break
            answer = self._get(f"{url}{page}", utc_now())
            found.update(dict.fromkeys(logins(answer.data or [])))
        return Fetched(PeopleFacts(tuple(found), is_complete=not _has_next(answer)), self._etag(f"{url}1", first))

    def _in_batches(self, asked: Sequence[RepoAsk], now: datetime) -> list[Outcome]:
        outcomes: dict[int, Outcome] = {}
        waiting, failed_alone = list(range(len(asked))), 0
        while waiting:
            batch, waiting = waiting[: self._size.now], waiting[self._size.now :]
            refs = [asked[number].ref for number in batch]
            try:
                told = self._batch(refs, now)
            except (Unavailable, BadAnswer) as failure:
                told = [Told(failure, is_sure=False)] * len(batch)
                failed_alone += len(batch) == 1
                if failed_alone == DOWN_AFTER:
                    return self._given_up(outcomes, asked, failure)
            except UpstreamError as failure:
                return self._given_up(outcomes, asked, failure)
            else:
                failed_alone = 0
            unsure = [number for number, one in zip(batch, told, strict=True) if not one.is_sure]
            if unsure:
                self._size.shrink(len(batch))
            else:
                self._size.grow()
            again = unsure if len(batch) > 1 else []
            waiting = again + waiting
            for number, one in zip(batch, told, strict=True):
                if number not in again:
                    outcomes[number] = _outcome(asked[number], one.of)
        return [outcomes[number] for number in range(len(asked))]

    @staticmethod
    def _given_up(outcomes: Mapping[int, Outcome], asked: Sequence[RepoAsk], failure: UpstreamError) -> list[Outcome]:
        return [outcomes.get(number, failure) for number in range(len(asked))]

    def _batch(self, refs: Sequence[RepoRef], now: datetime) -> list[Told]:
        """Return what one GraphQL request tells of some repositories; it is asked once, as halving is what may help."""
        self._check_quota("graphql", now)
        body = question(refs)
        try:
            answer = self._reader.ask(self._graphql, headers=self._headers(), body=body, attempts=1)
        except Gone as failure:  # of the address, which says nothing of the repositories
            raise NotAllowed(f"{self._graphql} is not a GraphQL endpoint") from failure
        self._record_quota(answer)
        if spare := quota_of_graphql(answer.data):
            self.quotas = {**self.quotas, "graphql": spare}
        try:
            return batch_told(answer.data, refs)
        except RateLimited as failure:
            wait_s = limited_for_s(answer.headers)
            raise RateLimited(str(failure), SECONDARY_WAIT_S if wait_s is None else wait_s) from failure

    def _one_by_one(self, asked: Sequence[RepoAsk], now: datetime) -> list[Outcome]:
        outcomes: list[Outcome] = []
        failed = 0
        for ask in asked:
            try:
                outcomes.append(self._by_rest(ask, now))
                failed = 0
            except UpstreamError as failure:
                outcomes.append(failure)
                failed = failed + 1 if isinstance(failure, Unavailable) else 0
                if isinstance(failure, RateLimited) or failed == DOWN_AFTER:
                    outcomes += [failure] * (len(asked) - len(outcomes))
                    break
        return outcomes

    def _by_rest(self, ask: RepoAsk, now: datetime) -> Outcome:
        url = self._address(ask.ref)
        answer = self._get(url, now, ask.validators)
        if answer.status == HTTPStatus.NOT_MODIFIED:  # nor was anything pushed, as the record tells when that was
            return Fetched(None, ask.validators)
        commits = self._get(f"{url}/commits?per_page=1", now, empty={HTTPStatus.CONFLICT})  # 409: it is empty
        repo = rest_repo(answer.data, None if commits.data is None else newest_commit(commits.data))
        return _outcome(ask, repo, self._etag(url, answer))

    def _get(
        self, url: str, now: datetime, validators: Mapping[str, str] | None = None, empty: Collection[int] = ()
    ) -> Answer:
        """Return REST's answer; 304 if the validators say that what we know is still so."""
        self._check_quota("core", now)
        etag = (validators or {}).get(self._etag_name(url))
        headers = self._headers() | ({"If-None-Match": etag} if etag else {})
        try:
            answer = self._reader.ask(url, headers=headers, empty=empty)
        except Gone:
            self._presence.check(self._api, self._headers())
            raise
        self._presence.note(self._api)
        self._record_quota(answer)
        return answer

    def _headers(self) -> dict[str, str]:
        headers = {
            "Accept": "application/vnd.github+json",
            "X-GitHub-Api-Version": "2022-11-28",
            "X-Github-Next-Global-ID": "1",  # GraphQL may write ids in the old way or the new: always the new one
        }
        return headers | ({"Authorization": f"Bearer {self._token}"} if self._token else {})

    def _address(self, ref: RepoRef) -> str:
        segments = ref.path.split("/")
        if len(segments) != 2 or not set(segments).isdisjoint({"", ".", ".."}):
            raise Gone(f"{ref.key}: not a valid GitHub repository name")
        return f"{self._api}/repos/{'/'.join(quote(segment, safe='') for segment in segments)}"

    def _etag_name(self, url: str) -> str:
        """Return the validator's name under which the ETag of this address is kept, for this token."""
        return f"etag:{hashlib.sha256(f'{self._token} {url}'.encode()).hexdigest()[:12]}"

    def _etag(self, url: str, answer: Answer) -> dict[str, str]:
        etag = answer.headers.get("ETag")
        return {self._etag_name(url): etag} if etag else {}

    def _check_quota(self, name: str, now: datetime) -> None:
        """Refuse to ask while the quota is known to be used up: asking on may get us banned."""
        quota = self.quotas.get(name)
        if quota and quota.left <= 0 and quota.resets_at > now:
            wait_s = (quota.resets_at - now).total_seconds()
            raise RateLimited(f"GitHub rate limit “{name}” exceeded until {quota.resets_at:%H:%M:%S} UTC", wait_s)

    def _record_quota(self, answer: Answer) -> None:
        if found := quota_of_headers(answer.headers):
            self.quotas = {**self.quotas, found[0]: found[1]}


def _outcome(ask: RepoAsk, told: Repo | UpstreamError, etags: Mapping[str, str] | None = None) -> Outcome:
    """Return the facts, unless they are another repository's that has been given the name."""
    if isinstance(told, UpstreamError):
        return told
    known, answered = ask.validators, told.validators
    # A node id may be written anew one day; the number in the database then still shows that it is the same one.
    same_number = known.get("database_id") is not None and known.get("database_id") == answered.get("database_id")
    if known.get("node_id", answered["node_id"]) != answered["node_id"] and not same_number:
        return Gone(f"{ask.ref.key}: the name now belongs to a different, newer repository, {told.name}")
    return Fetched(told.facts, {**answered, **(etags or {})})


def _has_next(answer: Answer) -> bool:
    links = parse_header_links(answer.headers.get("Link", ""))
    return any(link.get("rel") == "next" for link in links)
