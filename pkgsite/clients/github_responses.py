"""GitHub's wire format: builds the GraphQL query for many repositories and parses GraphQL and REST responses.

Fields: https://docs.github.com/en/graphql/reference/objects#repository and
https://docs.github.com/en/rest/repos/repos#get-a-repository
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar

from pkgsite.clients.base import Quota, RepoFacts, RepoRef, with_empty
from pkgsite.clients.refusals import states_rate_limit, states_taken_down
from pkgsite.clients.rest import website_url
from pkgsite.errors import BadResponse, Gone, NotAllowed, RateLimited, UpstreamError
from pkgsite.rules.licences import host_licence
from pkgsite.rules.links import safe_url

T = TypeVar("T")

REPOSITORY_FRAGMENT = """fragment Facts on Repository {
  id databaseId nameWithOwner url description homepageUrl stargazerCount forkCount isArchived archivedAt isEmpty
  hasIssuesEnabled isFork isMirror parent { url }
  issues(states: OPEN) { totalCount }
  defaultBranchRef { name target { ... on Commit { committedDate history { totalCount } } } }
  licenseInfo { spdxId }
  latestRelease { tagName }
  repositoryTopics(first: 20) { nodes { topic { name } } }
}"""
# The names of the facts, each with the field of the response that states it.
GRAPHQL_FIELDS = {
    "description": "description",
    "stars": "stargazerCount",
    "forks": "forkCount",
    "open_issues": "issues",
    "default_branch": "defaultBranchRef",
    "last_commit_at": "defaultBranchRef",
    "commit_count": "defaultBranchRef",
    "licence": "licenseInfo",
    "latest_release": "latestRelease",
    "topics": "repositoryTopics",
    "parent_url": "parent",
}
REST_FIELDS = {
    "description": "description",
    "stars": "stargazers_count",
    "forks": "forks_count",
    "default_branch": "default_branch",
    "licence": "license",
    "topics": "topics",
}
UNKNOWN_LICENCES = {None, "", "NOASSERTION", "other"}  # GitHub could not identify the licence
FORBIDDEN_ERROR_TYPES = {"FORBIDDEN", "UNAUTHORIZED", "INSUFFICIENT_SCOPES"}
RATE_LIMIT_ERROR_TYPES = {"RATE_LIMITED", "RATE_LIMIT"}
MAX_TIMESTAMP_DIGITS = 11  # of a Unix timestamp that datetime supports


@dataclass(frozen=True, slots=True)
class GitHubRepo:
    """A repository as returned by GitHub.

    Attributes:
        name: The current "owner/name".
        database_id: GitHub's numeric id, which is stable even if GitHub changes the format of its node ids.
    """

    facts: RepoFacts
    name: str
    database_id: str | None

    @property
    def validators(self) -> dict[str, str]:
        known = {"node_id": self.facts.node_id, "database_id": self.database_id}
        return {name: value for name, value in known.items() if value is not None}


@dataclass(frozen=True, slots=True)
class BatchResult:
    """The result for one repository of a batch.

    Attributes:
        is_final: Whether the result is final; if not, a smaller batch may return a better one.
    """

    outcome: GitHubRepo | UpstreamError
    is_final: bool = True


def build_query(refs: Sequence[RepoRef]) -> dict[str, Any]:
    """Return the request body for these repositories, aliased r0, r1, …; their paths are passed as variables."""
    declared, fields, variables = [], [], {}
    for index, ref in enumerate(refs):
        declared.append(f"$o{index}: String!, $n{index}: String!")
        fields.append(f"r{index}: repository(owner: $o{index}, name: $n{index}) {{ ...Facts }}")
        variables[f"o{index}"], _, variables[f"n{index}"] = ref.path.partition("/")
    selection = "\n  ".join(["rateLimit { limit remaining resetAt cost }", *fields])
    return {
        "query": f"query({', '.join(declared)}) {{\n  {selection}\n}}\n{REPOSITORY_FRAGMENT}",
        "variables": variables,
    }


def parse_batch(response: Any, refs: Sequence[RepoRef]) -> list[BatchResult]:
    """Return the result for each repository of a batch.

    Raises:
        RateLimited: GitHub reported a rate limit in a response with status 200.
        BadResponse: The response is malformed.
    """
    data, errors = read_path(response, "data", dict) or {}, read_path(response, "errors", list) or []
    by_alias: dict[Any, list[Mapping[str, Any]]] = {}
    for error in errors:
        if not isinstance(error, dict):
            raise BadResponse(f"GitHub GraphQL returned an invalid error: {error!r:.80}")
        if error.get("type") in RATE_LIMIT_ERROR_TYPES or states_rate_limit(str(error.get("message"))):
            raise RateLimited(f"GitHub GraphQL rate limit exceeded: {error.get('message')}")
        path = error.get("path")
        by_alias.setdefault(path[0] if isinstance(path, list) and path else None, []).append(error)
    return [
        _parse_result(ref, data.get(f"r{index}"), by_alias.get(f"r{index}", []), by_alias.get(None, []))
        for index, ref in enumerate(refs)
    ]


def _parse_result(
    ref: RepoRef, node: Any, own_errors: Sequence[Mapping[str, Any]], general_errors: Sequence[Mapping[str, Any]]
) -> BatchResult:
    if node is not None:
        # A failed field is null, which means "unknown"; a smaller batch may return it.
        failed = {path[1] for error in own_errors if len(path := error["path"]) > 1}
        return BatchResult(_parse_repo_or_error(node, failed), is_final=not own_errors)
    types = {error.get("type") for error in own_errors}
    if "NOT_FOUND" in types:
        return BatchResult(Gone(f"{ref.key}: repository not found on GitHub"))
    message = next((str(error.get("message")) for error in [*own_errors, *general_errors]), "no error message")
    if own_errors and states_taken_down(message):
        return BatchResult(Gone(f"{ref.key}: taken down by GitHub: {message}", is_taken_down=True))
    if types & FORBIDDEN_ERROR_TYPES:
        return BatchResult(NotAllowed(f"{ref.key}: access denied by GitHub: {message}"))
    return BatchResult(BadResponse(f"{ref.key}: no data from GitHub: {message}"), is_final=False)


def _parse_repo_or_error(node: Any, failed_fields: Collection[str]) -> GitHubRepo | UpstreamError:
    try:
        return parse_graphql_repo(node, failed_fields)
    except BadResponse as failure:
        return failure


def parse_graphql_repo(node: Any, failed_fields: Collection[str] = ()) -> GitHubRepo:
    """Return a repository from a GraphQL response.

    Args:
        node: The repository.
        failed_fields: Fields that are null because of an error: they state nothing.

    Raises:
        BadResponse: A field has an unexpected type.
    """
    commit = "defaultBranchRef.target"
    topics = read_path(node, "repositoryTopics.nodes", list)
    is_empty = read_path(node, "isEmpty", bool)
    has_issues = read_path(node, "hasIssuesEnabled", bool)
    facts = RepoFacts(
        node_id=_required(node, "id"),
        web_url=_required(node, "url"),
        description=None if "description" in failed_fields else _description(node),
        stars=read_path(node, "stargazerCount", int),
        forks=read_path(node, "forkCount", int),
        open_issues=read_path(node, "issues.totalCount", int) if has_issues is not False else None,
        is_archived=read_path(node, "isArchived", bool),
        default_branch=read_path(node, "defaultBranchRef.name", str),
        last_commit_at=_parse_time(read_path(node, f"{commit}.committedDate", str)),
        commit_count=0 if is_empty else read_path(node, f"{commit}.history.totalCount", int),
        licence=_licence(read_path(node, "licenseInfo.spdxId", str)),
        latest_release=read_path(node, "latestRelease.tagName", str),
        topics=None
        if topics is None
        else tuple(read_path(topic, "topic.name", str) or "" for topic in topics if topic),
        has_issues=has_issues,
        archived_at=_parse_time(read_path(node, "archivedAt", str)),
        is_fork=read_path(node, "isFork", bool),
        parent_url=safe_url(read_path(node, "parent.url", str)),
        is_mirror=read_path(node, "isMirror", bool),
        homepage_url=None if "homepageUrl" in failed_fields else _homepage_url(node, "homepageUrl"),
    )
    stated = [
        name for name, wire_name in GRAPHQL_FIELDS.items() if wire_name in node and wire_name not in failed_fields
    ]
    return GitHubRepo(with_empty(facts, stated), _required(node, "nameWithOwner"), _optional_id(node, "databaseId"))


def parse_rest_repo(record: Any, last_commit_at: datetime | None) -> GitHubRepo:
    """Return a repository from a REST response, without open issues, which would include pull requests.

    Args:
        record: The repository.
        last_commit_at: The time of the last commit; None if it has no commits.

    Raises:
        BadResponse: A field has an unexpected type.
    """
    topics = read_path(record, "topics", list)
    facts = RepoFacts(
        node_id=_required(record, "node_id"),
        web_url=_required(record, "html_url"),
        description=_description(record),
        stars=read_path(record, "stargazers_count", int),
        forks=read_path(record, "forks_count", int),
        is_archived=read_path(record, "archived", bool),
        default_branch=read_path(record, "default_branch", str),
        last_commit_at=last_commit_at,
        # Older servers only have the key, which is the identifier in lower case.
        licence=_licence(read_path(record, "license.spdx_id", str) or read_path(record, "license.key", str)),
        topics=None if topics is None else tuple(str(topic) for topic in topics),
        has_issues=read_path(record, "has_issues", bool),
        is_fork=read_path(record, "fork", bool),
        parent_url=safe_url(read_path(record, "parent.html_url", str)),
        # REST has no flag; null for a repository that is not a mirror.
        is_mirror=bool(read_path(record, "mirror_url", str)) if "mirror_url" in record else None,
        homepage_url=_homepage_url(record, "homepage"),
    )
    stated = [name for name, wire_name in REST_FIELDS.items() if wire_name in record]
    facts = with_empty(facts, [*stated, "last_commit_at"])
    return GitHubRepo(facts, _required(record, "full_name"), _optional_id(record, "id"))


def parse_last_commit_at(commits: Any) -> datetime | None:
    """Return the time of the newest commit, which a REST response lists first, or None if there are no commits."""
    if not isinstance(commits, list):
        raise BadResponse(f"GitHub did not return a list of commits: {commits!r:.80}")
    return _parse_time(read_path(commits[0], "commit.committer.date", str)) if commits else None


def parse_weekly_commits(response: Any, count: int) -> tuple[int, ...]:
    """Return the commits of each week; the response is empty for a repository without commits."""
    counts = read_path(response, "all", list) if response is not None else []
    if counts == []:
        return (0,) * count
    if counts is None or len(counts) != count or not all(type(value) is int and value >= 0 for value in counts):
        raise BadResponse(f"GitHub did not return {count} weeks of commits: {counts!r:.80}")
    return tuple(counts)


def parse_logins(page: Any) -> list[str]:
    """Return the usernames of a page of contributors, without anonymous ones."""
    if not isinstance(page, list):
        raise BadResponse(f"GitHub did not return a list of contributors: {page!r:.80}")
    return [login for person in page if (login := read_path(person, "login", str))]


def parse_quota_headers(headers: Mapping[str, str]) -> tuple[str, Quota] | None:
    """Return the name and values of the quota in the response headers, or None if there is none."""
    limit, remaining, resets = (headers.get(f"X-RateLimit-{name}", "") for name in ("Limit", "Remaining", "Reset"))
    if not (limit.isdecimal() and remaining.isdecimal() and resets.isdecimal()) or len(resets) > MAX_TIMESTAMP_DIGITS:
        return None
    name = headers.get("X-RateLimit-Resource", "core")
    return name, Quota(int(limit), int(remaining), datetime.fromtimestamp(int(resets), UTC))


def parse_graphql_quota(response: Any) -> Quota | None:
    """Return the quota in a GraphQL response, or None if there is none."""
    limit, remaining = (read_path(response, f"data.rateLimit.{name}", int) for name in ("limit", "remaining"))
    resets_at = _parse_time(read_path(response, "data.rateLimit.resetAt", str))
    return None if limit is None or remaining is None or resets_at is None else Quota(limit, remaining, resets_at)


def read_path(record: Any, path: str, expected_type: type[T]) -> T | None:
    """Return the value at a path such as "licenseInfo.spdxId", or None if it or one of its parents is null.

    Raises:
        BadResponse: The value has another type.
    """
    for name in path.split("."):
        if record is None:
            return None
        if not isinstance(record, dict):
            raise BadResponse(f"GitHub returned {record!r:.80} instead of an object with {path}")
        record = record.get(name)
    if record is not None and type(record) is not expected_type:  # not isinstance: True is not an int here
        raise BadResponse(f"GitHub returned an invalid value for {path}: {record!r:.80}")
    return record


def _required(record: Any, path: str) -> str:
    value = read_path(record, path, str)
    if not value:
        raise BadResponse(f"GitHub did not return {path}")
    return value


def _optional_id(record: Any, path: str) -> str | None:
    value = read_path(record, path, int)
    return None if value is None else str(value)


def _homepage_url(record: Any, name: str) -> str | None:
    """Return the URL of the website, empty if there is none, or None if the field is missing."""
    url = read_path(record, name, str)
    return website_url(url) if name in record else None


def _description(record: Any) -> str | None:
    """Return the description: empty if it is null, None if the field is missing."""
    text = read_path(record, "description", str)
    return (text or "") if "description" in record else None


def _licence(text: str | None) -> str | None:
    """Return the SPDX identifier; GitHub may know newer ones than we do."""
    return None if text in UNKNOWN_LICENCES else host_licence([text]) or text


def _parse_time(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        at = datetime.fromisoformat(text)
        return (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise BadResponse(f"GitHub returned an invalid timestamp: {text:.80}") from error
