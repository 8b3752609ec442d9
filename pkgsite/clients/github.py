"""Client for GitHub: GraphQL in batches for repositories, REST for weekly commits and contributors.

Quotas and rate limits: https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api and
https://docs.github.com/en/graphql/overview/rate-limits-and-query-limits-for-the-graphql-api
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from http import HTTPStatus
from urllib.parse import quote

from requests.utils import parse_header_links

from pkgsite.clients.base import (
    ActivityFacts,
    DifferentRepository,
    FactsT,
    Fetched,
    ParticipantFacts,
    Quota,
    RepoFacts,
    RepoRef,
    RepoRequest,
    check_identity,
    identity_of,
)
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
from pkgsite.clients.http import JsonClient, JsonResponse, quota_reset_after_s, retry_after_s
from pkgsite.clients.liveness import Liveness
from pkgsite.clients.refusals import stated_limit_wait_s, states_too_many_to_list
from pkgsite.clock import utc_now
from pkgsite.errors import BadResponse, Gone, NotAllowed, RateLimited, Unavailable, UpstreamError
from pkgsite.rules.activity import WEEKS

Outcome = Fetched[RepoFacts] | UpstreamError

MAX_BATCH_SIZE = 50  # 100 or more often fail with 502, because GitHub limits queries to ten seconds
BATCH_SIZE_STEP = 5  # repositories added after each successful batch
PROBE_PATH = "meta"  # a path that every GitHub API has (see `Liveness`)
MAX_CONSECUTIVE_FAILURES = 3  # of single repositories; after these, the host itself is assumed to be down
CONTRIBUTOR_PAGES = 5
CONTRIBUTORS_PER_PAGE = 100


@dataclass(slots=True)
class BatchSize:
    """The number of repositories per request: halved after a failure, then slowly increased."""

    current: int = MAX_BATCH_SIZE

    def shrink(self, failed: int) -> None:
        self.current = max(1, failed // 2)

    def grow(self) -> None:
        self.current = min(MAX_BATCH_SIZE, self.current + BATCH_SIZE_STEP)


class GitHub:
    """A `CodeHost` on GitHub's two APIs.

    With a token, repositories are fetched by GraphQL, about fifty per request. GraphQL requires a token; without one,
    each repository costs one REST request (two if it changed) of sixty an hour, and the open issues, the commit count
    and the latest release stay unknown.

    Validators are ETags, and the node id and database id of the repository, which reveal that its name now belongs to
    another repository. ETags differ between tokens, so each is stored under a digest of the token and the URL.

    Attributes:
        quotas: "core" (REST) and "graphql".
    """

    quotas: Mapping[str, Quota]

    def __init__(self, api: str, client: JsonClient, token: str | None) -> None:
        """Create the client for an API URL such as https://api.github.com."""
        self._api = api.rstrip("/")
        self._client = client
        self._token = token
        # GitHub Enterprise has /api/graphql next to /api/v3.
        self._graphql_url = f"{self._api.removesuffix('/v3')}/graphql"
        self._liveness = Liveness(client, PROBE_PATH)
        self._size = BatchSize()
        self.quotas = {}

    @staticmethod
    def default_api_url(host: str) -> str:
        """Return the API URL of a GitHub Enterprise server; that of github.com is in the settings."""
        return f"https://{host}/api/v3"

    @property
    def is_batched(self) -> bool:
        return self._token is not None

    def repo_facts(self, repo_requests: Sequence[RepoRequest], *, now: datetime) -> list[Outcome]:
        """Return the result for each repository, in order; a failure for one does not affect the others.

        After a rate limit or a rejected token, the remaining repositories get the same error without a request.
        """
        return [
            self._follow_rename(repo_request, outcome, now)
            for repo_request, outcome in zip(repo_requests, self._fetch_all(repo_requests, now), strict=True)
        ]

    def activity_facts(self, ref: RepoRef, *, validators: Mapping[str, str], now: datetime) -> Fetched[ActivityFacts]:
        """Return the commits of the last 52 weeks to the default branch, without merges, as GitHub counts them.

        An empty repository has 52 zeros, whether GitHub returns these, an empty list or status 204.

        Raises:
            UpstreamError: The request failed.
        """

        def fetch(repo_url: str) -> Fetched[ActivityFacts]:
            url = f"{repo_url}/stats/participation"
            response = self._get(url, now, validators)
            if response.status == HTTPStatus.NOT_MODIFIED:
                return Fetched(None, validators)
            if response.status == HTTPStatus.ACCEPTED:
                return Fetched(None, validators, is_pending=True)
            return Fetched(ActivityFacts(parse_weekly_commits(response.data, WEEKS)), self._etag(url, response))

        return self._of_same_repository(ref, validators, now, fetch)

    def participant_facts(self, ref: RepoRef, *, validators: Mapping[str, str]) -> Fetched[ParticipantFacts]:
        """Return up to 500 accounts that have committed, most commits first; none for an empty repository.

        GitHub does not list the contributors of the largest repositories: the facts then say that they are too many.
        Only the ETag of the first page is compared, because new commits reorder the contributors on it.

        Raises:
            UpstreamError: The request failed.
        """

        def fetch(repo_url: str) -> Fetched[ParticipantFacts]:
            url = f"{repo_url}/contributors?per_page={CONTRIBUTORS_PER_PAGE}&page="
            first = response = self._get(f"{url}1", utc_now(), validators)
            if first.status == HTTPStatus.NOT_MODIFIED:
                return Fetched(None, validators)
            logins = dict.fromkeys(parse_logins(first.data or []))
            for page in range(2, CONTRIBUTOR_PAGES + 1):
                if not _has_next(response):
                    break
                response = self._get(f"{url}{page}", utc_now())
                logins.update(dict.fromkeys(parse_logins(response.data or [])))
            return Fetched(
                ParticipantFacts(tuple(logins), is_complete=not _has_next(response)), self._etag(f"{url}1", first)
            )

        def fetch_unless_too_large(repo_url: str) -> Fetched[ParticipantFacts]:
            try:
                return fetch(repo_url)
            except (NotAllowed, BadResponse) as failure:
                if states_too_many_to_list(failure):
                    return Fetched(ParticipantFacts((), is_complete=False, is_too_large=True))
                raise

        return self._of_same_repository(ref, validators, utc_now(), fetch_unless_too_large)

    def _of_same_repository(
        self, ref: RepoRef, validators: Mapping[str, str], now: datetime, fetch: Callable[[str], Fetched[FactsT]]
    ) -> Fetched[FactsT]:
        """Return the result of `fetch` for the API URL of the repository that the validators identify.

        Facts that are fetched by name are accepted only if the name still belongs to that repository afterwards.

        Raises:
            DifferentRepository: The name now belongs to another repository.
        """
        database_id = validators.get("database_id")
        if database_id:
            try:
                return fetch(self._id_url(database_id))
            except Gone:  # it is deleted, or this server does not have these URLs, which are not documented
                pass
        fetched = fetch(self._repo_url(ref))
        if fetched.facts is not None and identity_of(validators):
            repo = parse_rest_repo(self._get(self._repo_url(ref), now).data, None)
            check_identity(ref, validators, repo.validators)
        return fetched

    def _fetch_all(self, repo_requests: Sequence[RepoRequest], now: datetime) -> list[Outcome]:
        return self._fetch_in_batches(repo_requests, now) if self._token else self._fetch_one_by_one(repo_requests, now)

    def _follow_rename(self, repo_request: RepoRequest, outcome: Outcome, now: datetime) -> Outcome:
        """Return the outcome, or the facts under the repository's new name if its name belongs to another one."""
        database_id = repo_request.validators.get("database_id")
        if database_id is None or not isinstance(outcome, DifferentRepository):
            return outcome
        try:
            current = parse_rest_repo(self._get(self._id_url(database_id), now).data, None)
        except Gone:
            return outcome
        except UpstreamError as failure:
            return failure
        ref = replace(repo_request.ref, path=current.name)
        return self._fetch_all([replace(repo_request, ref=ref)], now)[0]

    def _fetch_in_batches(self, repo_requests: Sequence[RepoRequest], now: datetime) -> list[Outcome]:
        outcomes: dict[int, Outcome] = {}
        pending, single_failures = list(range(len(repo_requests))), 0
        while pending:
            batch, pending = pending[: self._size.current], pending[self._size.current :]
            refs = [repo_requests[index].ref for index in batch]
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
            uncertain = [index for index, result in zip(batch, results, strict=True) if not result.is_final]
            if uncertain:
                self._size.shrink(len(batch))
            else:
                self._size.grow()
            retries = uncertain if len(batch) > 1 else []
            pending = retries + pending
            for index, result in zip(batch, results, strict=True):
                if index not in retries:
                    outcomes[index] = _checked_outcome(repo_requests[index], result.outcome)
        return [outcomes[index] for index in range(len(repo_requests))]

    @staticmethod
    def _fail_remaining(
        outcomes: Mapping[int, Outcome], repo_requests: Sequence[RepoRequest], failure: UpstreamError
    ) -> list[Outcome]:
        return [outcomes.get(index, failure) for index in range(len(repo_requests))]

    def _fetch_batch(self, refs: Sequence[RepoRef], now: datetime) -> list[BatchResult]:
        """Return the results of one GraphQL request, sent once: a failed batch is halved rather than retried."""
        self._check_quota("graphql", now)
        body = build_query(refs)
        try:
            response = self._client.request(self._graphql_url, headers=self._headers(), body=body, attempts=1)
        except Gone as failure:  # the endpoint is missing, not the repositories
            raise NotAllowed(f"{self._graphql_url} is not a GraphQL endpoint") from failure
        self._record_quota(response)
        if quota := parse_graphql_quota(response.data):
            self.quotas = {**self.quotas, "graphql": quota}
        try:
            return parse_batch(response.data, refs)
        except RateLimited as failure:
            wait_s = retry_after_s(response.headers)
            if wait_s is not None:
                raise RateLimited(str(failure), wait_s) from failure
            wait_s = stated_limit_wait_s(quota_reset_after_s(response.headers))
            raise RateLimited(str(failure), wait_s, is_minimum=True) from failure

    def _fetch_one_by_one(self, repo_requests: Sequence[RepoRequest], now: datetime) -> list[Outcome]:
        outcomes: list[Outcome] = []
        failed = 0
        for repo_request in repo_requests:
            try:
                outcomes.append(self._fetch_by_rest(repo_request, now))
                failed = 0
            except UpstreamError as failure:
                outcomes.append(failure)
                failed = failed + 1 if isinstance(failure, Unavailable) else 0
                if failure.stops_host or failed == MAX_CONSECUTIVE_FAILURES:
                    outcomes += [failure] * (len(repo_requests) - len(outcomes))
                    break
        return outcomes

    def _fetch_by_rest(self, repo_request: RepoRequest, now: datetime) -> Outcome:
        url = self._repo_url(repo_request.ref)
        response = self._get(url, now, repo_request.validators)
        if response.status == HTTPStatus.NOT_MODIFIED:  # no commits either: the record includes `pushed_at`
            return Fetched(None, repo_request.validators)
        empty_codes = {HTTPStatus.CONFLICT}  # 409 for an empty repository
        commits = self._get(f"{url}/commits?per_page=1", now, bodiless_codes=empty_codes)
        repo = parse_rest_repo(response.data, None if commits.data is None else parse_last_commit_at(commits.data))
        return _checked_outcome(repo_request, repo, self._etag(url, response))

    def _get(
        self,
        url: str,
        now: datetime,
        validators: Mapping[str, str] | None = None,
        bodiless_codes: Collection[int] = (),
    ) -> JsonResponse:
        """Return a REST response, which is 304 if the validators still match."""
        self._check_quota("core", now)
        etag = (validators or {}).get(self._etag_name(url))
        headers = self._headers() | ({"If-None-Match": etag} if etag else {})
        try:
            response = self._client.request(url, headers=headers, bodiless_codes=bodiless_codes)
        except Gone as failure:
            if not failure.is_taken_down:
                self._liveness.ensure_alive(self._api, self._headers())
            raise
        self._liveness.record_response(self._api)
        self._record_quota(response)
        return response

    def _headers(self) -> dict[str, str]:
        headers = {
            "Accept": "application/vnd.github+json",
            "X-GitHub-Api-Version": "2022-11-28",
            "X-Github-Next-Global-ID": "1",  # always return node ids in the new format
        }
        return headers | ({"Authorization": f"Bearer {self._token}"} if self._token else {})

    def _repo_url(self, ref: RepoRef) -> str:
        segments = ref.path.split("/")
        if len(segments) != 2 or not set(segments).isdisjoint({"", ".", ".."}):
            raise Gone(f"{ref.key}: not a valid GitHub repository name")
        return f"{self._api}/repos/{'/'.join(quote(segment, safe='') for segment in segments)}"

    def _id_url(self, database_id: str) -> str:
        """Return the URL of a repository by its id: GitHub redirects renamed repositories to such URLs."""
        return f"{self._api}/repositories/{quote(database_id, safe='')}"

    def _etag_name(self, url: str) -> str:
        """Return the name of the validator that stores the ETag of a URL for this token."""
        return f"etag:{hashlib.sha256(f'{self._token} {url}'.encode()).hexdigest()[:12]}"

    def _etag(self, url: str, response: JsonResponse) -> dict[str, str]:
        etag = response.headers.get("ETag")
        return {self._etag_name(url): etag} if etag else {}

    def _check_quota(self, name: str, now: datetime) -> None:
        """Raise `RateLimited` while the quota is used up: further requests could get the site banned."""
        quota = self.quotas.get(name)
        if quota and quota.remaining <= 0 and quota.resets_at > now:
            wait_s = (quota.resets_at - now).total_seconds()
            reset_time = f"{quota.resets_at:%H:%M:%S} UTC"
            raise RateLimited(f"GitHub rate limit “{name}” exceeded; it resets at {reset_time}", wait_s)

    def _record_quota(self, response: JsonResponse) -> None:
        if named_quota := parse_quota_headers(response.headers):
            name, quota = named_quota
            self.quotas = {**self.quotas, name: quota}


def _checked_outcome(
    repo_request: RepoRequest, result: GitHubRepo | UpstreamError, etags: Mapping[str, str] | None = None
) -> Outcome:
    """Return the facts, or `DifferentRepository` if the name now belongs to another repository."""
    if isinstance(result, UpstreamError):
        return result
    try:
        check_identity(repo_request.ref, repo_request.validators, result.validators)
    except DifferentRepository as failure:
        return failure
    return Fetched(result.facts, {**result.validators, **(etags or {})})


def _has_next(response: JsonResponse) -> bool:
    links = parse_header_links(response.headers.get("Link", ""))
    return any(link.get("rel") == "next" for link in links)
