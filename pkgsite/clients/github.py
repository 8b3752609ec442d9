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

from pkgsite.clients.base import ActivityFacts, Fetched, ParticipantFacts, Quota, RepoFacts, RepoRef, RepoRequest
from pkgsite.clients.github_responses import (
    BatchResult,
    GitHubRepo,
    build_query,
    parse_batch,
    parse_graphql_quota,
    parse_last_commit_at,
    parse_logins,
    parse_quota_headers,
    parse_rest_repo,
    parse_weekly_commits,
)
from pkgsite.clients.http import JsonClient, JsonResponse, retry_after_s
from pkgsite.clients.liveness import Liveness
from pkgsite.clock import utc_now
from pkgsite.errors import BadResponse, Gone, NotAllowed, RateLimited, Unavailable, UpstreamError
from pkgsite.rules.activity import WEEKS

Outcome = Fetched[RepoFacts] | UpstreamError

MAX_BATCH_SIZE = 50  # a hundred and more are often answered 502, since GitHub gives a query ten seconds
BATCH_SIZE_STEP = 5  # repositories more, after a batch that went well
PROBE_PATH = "meta"  # a path that every API of the kind has (see `Liveness`)
MAX_CONSECUTIVE_FAILURES = 3  # single repositories failing in a row: it is the host that fails
CONTRIBUTOR_PAGES = 5
CONTRIBUTORS_PER_PAGE = 100
DEFAULT_SECONDARY_WAIT_S = 60.0  # GitHub: "wait for at least one minute", where it names no time


@dataclass(slots=True)
class BatchSize:
    """How many repositories one question asks for: half as many after a failure, slowly more when it goes well."""

    current: int = MAX_BATCH_SIZE

    def shrink(self, failed: int) -> None:
        self.current = max(1, failed // 2)

    def grow(self) -> None:
        self.current = min(MAX_BATCH_SIZE, self.current + BATCH_SIZE_STEP)


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

    def __init__(self, api: str, reader: JsonClient, token: str | None) -> None:
        """Know the API's address (https://api.github.com), how to read from it, and who asks."""
        self._api = api.rstrip("/")
        self._reader = reader
        self._token = token
        # GitHub Enterprise has its GraphQL beside its REST: /api/graphql and /api/v3.
        self._graphql_url = f"{self._api.removesuffix('/v3')}/graphql"
        self._liveness = Liveness(reader, PROBE_PATH)
        self._size = BatchSize()
        self.quotas = {}

    @staticmethod
    def default_api_url(host: str) -> str:
        """Return where the API of a GitHub Enterprise is; that of github.com is in the settings."""
        return f"https://{host}/api/v3"

    @property
    def is_batched(self) -> bool:
        return self._token is not None

    def repo_facts(self, repo_requests: Sequence[RepoRequest], *, now: datetime) -> list[Outcome]:
        """Return what came of each repository, in their order; one that fails never takes others with it.

        A limit, or a refusal of the token, is the outcome of all that are left: they are not asked for.
        """
        return self._fetch_in_batches(repo_requests, now) if self._token else self._fetch_one_by_one(repo_requests, now)

    def activity_facts(self, ref: RepoRef, *, validators: Mapping[str, str], now: datetime) -> Fetched[ActivityFacts]:
        """Return the commits of the last 52 weeks to the default branch, merges left out, as GitHub counts them.

        An empty repository has 52 zeros, whether GitHub answers these, an empty list or 204.

        Raises:
            UpstreamError: GitHub could not tell.
        """
        url = f"{self._repo_url(ref)}/stats/participation"
        response = self._get(url, now, validators)
        if response.status == HTTPStatus.NOT_MODIFIED:
            return Fetched(None, validators)
        if response.status == HTTPStatus.ACCEPTED:
            return Fetched(None, validators, is_pending=True)
        return Fetched(ActivityFacts(parse_weekly_commits(response.data, WEEKS)), self._etag(url, response))

    def participant_facts(self, ref: RepoRef, *, validators: Mapping[str, str]) -> Fetched[ParticipantFacts]:
        """Return the first 500 accounts that committed, most commits first; an empty repository has none.

        Whether anything changed is judged by the first page: it is where new commits move people.

        Raises:
            UpstreamError: GitHub could not tell.
        """
        url = f"{self._repo_url(ref)}/contributors?per_page={CONTRIBUTORS_PER_PAGE}&page="
        first = response = self._get(f"{url}1", utc_now(), validators)
        if first.status == HTTPStatus.NOT_MODIFIED:
            return Fetched(None, validators)
        found = dict.fromkeys(parse_logins(first.data or []))
        for page in range(2, CONTRIBUTOR_PAGES + 1):
            if not _has_next(response):
                break
            response = self._get(f"{url}{page}", utc_now())
            found.update(dict.fromkeys(parse_logins(response.data or [])))
        return Fetched(
            ParticipantFacts(tuple(found), is_complete=not _has_next(response)), self._etag(f"{url}1", first)
        )

    def _fetch_in_batches(self, repo_requests: Sequence[RepoRequest], now: datetime) -> list[Outcome]:
        outcomes: dict[int, Outcome] = {}
        pending, single_failures = list(range(len(repo_requests))), 0
        while pending:
            batch, pending = pending[: self._size.current], pending[self._size.current :]
            refs = [repo_requests[number].ref for number in batch]
            try:
                results = self._fetch_batch(refs, now)
            except (Unavailable, BadResponse) as failure:
                results = [BatchResult(failure, is_final=False)] * len(batch)
                single_failures += len(batch) == 1
                if single_failures == MAX_CONSECUTIVE_FAILURES:
                    return self._fail_remaining(outcomes, repo_requests, failure)
            except UpstreamError as failure:
                return self._fail_remaining(outcomes, repo_requests, failure)
            else:
                single_failures = 0
            uncertain = [number for number, result in zip(batch, results, strict=True) if not result.is_final]
            if uncertain:
                self._size.shrink(len(batch))
            else:
                self._size.grow()
            retries = uncertain if len(batch) > 1 else []
            pending = retries + pending
            for number, one in zip(batch, results, strict=True):
                if number not in retries:
                    outcomes[number] = _check_identity(repo_requests[number], one.outcome)
        return [outcomes[number] for number in range(len(repo_requests))]

    @staticmethod
    def _fail_remaining(
        outcomes: Mapping[int, Outcome], repo_requests: Sequence[RepoRequest], failure: UpstreamError
    ) -> list[Outcome]:
        return [outcomes.get(number, failure) for number in range(len(repo_requests))]

    def _fetch_batch(self, refs: Sequence[RepoRef], now: datetime) -> list[BatchResult]:
        """Return what one GraphQL request tells of some repositories; it is asked once, as halving is what may help."""
        self._check_quota("graphql", now)
        body = build_query(refs)
        try:
            response = self._reader.request(self._graphql_url, headers=self._headers(), body=body, attempts=1)
        except Gone as failure:  # of the address, which says nothing of the repositories
            raise NotAllowed(f"{self._graphql_url} is not a GraphQL endpoint") from failure
        self._record_quota(response)
        if quota := parse_graphql_quota(response.data):
            self.quotas = {**self.quotas, "graphql": quota}
        try:
            return parse_batch(response.data, refs)
        except RateLimited as failure:
            wait_s = retry_after_s(response.headers)
            raise RateLimited(str(failure), DEFAULT_SECONDARY_WAIT_S if wait_s is None else wait_s) from failure

    def _fetch_one_by_one(self, repo_requests: Sequence[RepoRequest], now: datetime) -> list[Outcome]:
        outcomes: list[Outcome] = []
        failed = 0
        for ask in repo_requests:
            try:
                outcomes.append(self._fetch_by_rest(ask, now))
                failed = 0
            except UpstreamError as failure:
                outcomes.append(failure)
                failed = failed + 1 if isinstance(failure, Unavailable) else 0
                if isinstance(failure, RateLimited) or failed == MAX_CONSECUTIVE_FAILURES:
                    outcomes += [failure] * (len(repo_requests) - len(outcomes))
                    break
        return outcomes

    def _fetch_by_rest(self, repo_request: RepoRequest, now: datetime) -> Outcome:
        url = self._repo_url(repo_request.ref)
        response = self._get(url, now, repo_request.validators)
        if response.status == HTTPStatus.NOT_MODIFIED:  # nor was anything pushed, as the record tells when that was
            return Fetched(None, repo_request.validators)
        commits = self._get(f"{url}/commits?per_page=1", now, empty={HTTPStatus.CONFLICT})  # 409: it is empty
        repo = parse_rest_repo(response.data, None if commits.data is None else parse_last_commit_at(commits.data))
        return _check_identity(repo_request, repo, self._etag(url, response))

    def _get(
        self, url: str, now: datetime, validators: Mapping[str, str] | None = None, empty: Collection[int] = ()
    ) -> JsonResponse:
        """Return REST's answer; 304 if the validators say that what we know is still so."""
        self._check_quota("core", now)
        etag = (validators or {}).get(self._etag_name(url))
        headers = self._headers() | ({"If-None-Match": etag} if etag else {})
        try:
            response = self._reader.request(url, headers=headers, bodiless_codes=empty)
        except Gone:
            self._liveness.ensure_alive(self._api, self._headers())
            raise
        self._liveness.record_response(self._api)
        self._record_quota(response)
        return response

    def _headers(self) -> dict[str, str]:
        headers = {
            "Accept": "application/vnd.github+json",
            "X-GitHub-Api-Version": "2022-11-28",
            "X-Github-Next-Global-ID": "1",  # GraphQL may write ids in the old way or the new: always the new one
        }
        return headers | ({"Authorization": f"Bearer {self._token}"} if self._token else {})

    def _repo_url(self, ref: RepoRef) -> str:
        segments = ref.path.split("/")
        if len(segments) != 2 or not set(segments).isdisjoint({"", ".", ".."}):
            raise Gone(f"{ref.key}: not a valid GitHub repository name")
        return f"{self._api}/repos/{'/'.join(quote(segment, safe='') for segment in segments)}"

    def _etag_name(self, url: str) -> str:
        """Return the validator's name under which the ETag of this address is kept, for this token."""
        return f"etag:{hashlib.sha256(f'{self._token} {url}'.encode()).hexdigest()[:12]}"

    def _etag(self, url: str, response: JsonResponse) -> dict[str, str]:
        etag = response.headers.get("ETag")
        return {self._etag_name(url): etag} if etag else {}

    def _check_quota(self, name: str, now: datetime) -> None:
        """Refuse to ask while the quota is known to be used up: asking on may get us banned."""
        quota = self.quotas.get(name)
        if quota and quota.remaining <= 0 and quota.resets_at > now:
            wait_s = (quota.resets_at - now).total_seconds()
            raise RateLimited(f"GitHub rate limit “{name}” exceeded until {quota.resets_at:%H:%M:%S} UTC", wait_s)

    def _record_quota(self, response: JsonResponse) -> None:
        if found := parse_quota_headers(response.headers):
            self.quotas = {**self.quotas, found[0]: found[1]}


def _check_identity(
    repo_request: RepoRequest, results: GitHubRepo | UpstreamError, etags: Mapping[str, str] | None = None
) -> Outcome:
    """Return the facts, unless they are another repository's that has been given the name."""
    if isinstance(results, UpstreamError):
        return results
    known, validators = repo_request.validators, results.validators
    # A node id may be written anew one day; the number in the database then still shows that it is the same one.
    same_number = known.get("database_id") is not None and known.get("database_id") == validators.get("database_id")
    if known.get("node_id", validators["node_id"]) != validators["node_id"] and not same_number:
        return Gone(f"{repo_request.ref.key}: the name now belongs to a different, newer repository, {results.name}")
    return Fetched(results.facts, {**validators, **(etags or {})})


def _has_next(response: JsonResponse) -> bool:
    links = parse_header_links(response.headers.get("Link", ""))
    return any(link.get("rel") == "next" for link in links)
