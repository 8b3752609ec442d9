"""GitHub's words, as far as we speak them: one GraphQL question for many repositories, and how answers are read.

Fields: https://docs.github.com/en/graphql/reference/objects#repository and
https://docs.github.com/en/rest/repos/repos#get-a-repository
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar

from pkgsite.clients.base import Quota, RepoFacts, RepoRef
from pkgsite.errors import BadResponse, Gone, NotAllowed, RateLimited, UpstreamError

T = TypeVar("T")

REPOSITORY_FRAGMENT = """fragment Facts on Repository {
  id databaseId nameWithOwner url description stargazerCount forkCount isArchived isEmpty
  issues(states: OPEN) { totalCount }
  defaultBranchRef { name target { ... on Commit { committedDate history { totalCount } } } }
  licenseInfo { spdxId }
  latestRelease { tagName }
  repositoryTopics(first: 20) { nodes { topic { name } } }
}"""
UNKNOWN_LICENCES = {None, "", "NOASSERTION"}  # GitHub found a licence that it can't name: that tells nothing
FORBIDDEN_ERROR_TYPES = {"FORBIDDEN", "UNAUTHORIZED", "INSUFFICIENT_SCOPES"}
RATE_LIMIT_ERROR_TYPES = {"RATE_LIMITED", "RATE_LIMIT"}
MAX_TIMESTAMP_DIGITS = 11  # digits of a time in seconds since 1970 that is still a date


@dataclass(frozen=True, slots=True)
class GitHubRepo:
    """A repository as GitHub answers it.

    Attributes:
        name: "owner/name", as it is now.
        database_id: GitHub's number for it, which stays even where the node ids are written anew.
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
    """What a batch's answer says of one repository.

    Attributes:
        is_final: Whether asking in a smaller batch could tell nothing else.
    """

    outcome: GitHubRepo | UpstreamError
    is_final: bool = True


def build_query(refs: Sequence[RepoRef]) -> dict[str, Any]:
    """Return the body that asks for these repositories, under the names r0, r1, …; paths travel as variables only."""
    declared, fields, variables = [], [], {}
    for number, ref in enumerate(refs):
        declared.append(f"$o{number}: String!, $n{number}: String!")
        fields.append(f"r{number}: repository(owner: $o{number}, name: $n{number}) {{ ...Facts }}")
        variables[f"o{number}"], _, variables[f"n{number}"] = ref.path.partition("/")
    selection = "\n  ".join(["rateLimit { limit remaining resetAt cost }", *fields])
    return {
        "query": f"query({', '.join(declared)}) {{\n  {selection}\n}}\n{REPOSITORY_FRAGMENT}",
        "variables": variables,
    }


def parse_batch(response: Any, refs: Sequence[RepoRef]) -> list[BatchResult]:
    """Return what a batch's answer says of each of its repositories.

    Raises:
        RateLimited: GitHub had enough of us, in a 200.
        BadAnswer: there is no reading it.
    """
    data, errors = read_path(response, "data", dict) or {}, read_path(response, "errors", list) or []
    by_alias: dict[Any, list[Mapping[str, Any]]] = {}
    for error in errors:
        if not isinstance(error, dict):
            raise BadResponse(f"GitHub GraphQL returned an invalid error: {error!r:.80}")
        if error.get("type") in RATE_LIMIT_ERROR_TYPES or "rate limit" in str(error.get("message")).lower():
            raise RateLimited(f"GitHub GraphQL rate limit exceeded: {error.get('message')}")
        path = error.get("path")
        by_alias.setdefault(path[0] if isinstance(path, list) and path else None, []).append(error)
    return [
        _parse_result(ref, data.get(f"r{number}"), by_alias.get(f"r{number}", []), by_alias.get(None, []))
        for number, ref in enumerate(refs)
    ]


def _parse_result(
    ref: RepoRef, node: Any, own_errors: Sequence[Mapping[str, Any]], general_errors: Sequence[Mapping[str, Any]]
) -> BatchResult:
    if node is not None:
        # A field that failed is null, which we take for "not told"; yet a smaller batch may tell it.
        return BatchResult(_parse_repo_or_error(node), is_final=not own_errors)
    types = {error.get("type") for error in own_errors}
    if "NOT_FOUND" in types:
        return BatchResult(Gone(f"{ref.key}: repository not found on GitHub"))
    message = next((str(error.get("message")) for error in [*own_errors, *general_errors]), "no error message")
    if types & FORBIDDEN_ERROR_TYPES:
        return BatchResult(NotAllowed(f"{ref.key}: access denied by GitHub: {message}"))
    return BatchResult(BadResponse(f"{ref.key}: no data from GitHub: {message}"), is_final=False)


def _parse_repo_or_error(node: Any) -> GitHubRepo | UpstreamError:
    try:
        return parse_graphql_repo(node)
    except BadResponse as failure:
        return failure


def parse_graphql_repo(node: Any) -> GitHubRepo:
    """Return a repository from GraphQL.

    Raises:
        BadAnswer: a field is not what GitHub promises.
    """
    commit = "defaultBranchRef.target"
    topics = read_path(node, "repositoryTopics.nodes", list)
    is_empty = read_path(node, "isEmpty", bool)
    facts = RepoFacts(
        node_id=_required(node, "id"),
        web_url=_required(node, "url"),
        description=read_path(node, "description", str) or "",  # null: it has none
        stars=read_path(node, "stargazerCount", int),
        forks=read_path(node, "forkCount", int),
        open_issues=read_path(node, "issues.totalCount", int),
        is_archived=read_path(node, "isArchived", bool),
        default_branch=read_path(node, "defaultBranchRef.name", str),
        last_commit_at=_parse_time(read_path(node, f"{commit}.committedDate", str)),
        commit_count=0 if is_empty else read_path(node, f"{commit}.history.totalCount", int),
        licence=_licence(read_path(node, "licenseInfo.spdxId", str)),
        latest_release=read_path(node, "latestRelease.tagName", str),
        topics=None
        if topics is None
        else tuple(read_path(topic, "topic.name", str) or "" for topic in topics if topic),
    )
    return GitHubRepo(facts, _required(node, "nameWithOwner"), _optional_id(node, "databaseId"))


def parse_rest_repo(record: Any, last_commit_at: datetime | None) -> GitHubRepo:
    """Return a repository from REST. Its count of open issues is left out, as it counts pull requests too.

    Raises:
        BadAnswer: a field is not what GitHub promises.
    """
    topics = read_path(record, "topics", list)
    facts = RepoFacts(
        node_id=_required(record, "node_id"),
        web_url=_required(record, "html_url"),
        description=read_path(record, "description", str) or "",  # null: it has none
        stars=read_path(record, "stargazers_count", int),
        forks=read_path(record, "forks_count", int),
        is_archived=read_path(record, "archived", bool),
        default_branch=read_path(record, "default_branch", str),
        last_commit_at=last_commit_at,
        licence=_licence(read_path(record, "license.spdx_id", str)),
        topics=None if topics is None else tuple(str(topic) for topic in topics),
    )
    return GitHubRepo(facts, _required(record, "full_name"), _optional_id(record, "id"))


def parse_last_commit_at(commits: Any) -> datetime | None:
    """Return when the first of REST's list of commits was made; None where there is none."""
    if not isinstance(commits, list):
        raise BadResponse(f"GitHub did not return a list of commits: {commits!r:.80}")
    return _parse_time(read_path(commits[0], "commit.committer.date", str)) if commits else None


def parse_weekly_commits(response: Any, count: int) -> tuple[int, ...]:
    """Return the commits of each week, as told; of a repository without any commit there may be nothing to tell."""
    counts = read_path(response, "all", list) if response is not None else []
    if counts == []:
        return (0,) * count
    if counts is None or len(counts) != count or not all(type(number) is int and number >= 0 for number in counts):
        raise BadResponse(f"GitHub did not return {count} weeks of commits: {counts!r:.80}")
    return tuple(counts)


def parse_logins(page: Any) -> list[str]:
    """Return the names of a page of contributors; those without an account have none and are left out."""
    if not isinstance(page, list):
        raise BadResponse(f"GitHub did not return a list of contributors: {page!r:.80}")
    return [login for person in page if (login := read_path(person, "login", str))]


def parse_quota_headers(headers: Mapping[str, str]) -> tuple[str, Quota] | None:
    """Return the quota that an answer's head tells of, and its name; None where it tells of none."""
    limit, remaining, resets = (headers.get(f"X-RateLimit-{name}", "") for name in ("Limit", "Remaining", "Reset"))
    if not (limit.isdecimal() and remaining.isdecimal() and resets.isdecimal()) or len(resets) > MAX_TIMESTAMP_DIGITS:
        return None
    name = headers.get("X-RateLimit-Resource", "core")
    return name, Quota(int(limit), int(remaining), datetime.fromtimestamp(int(resets), UTC))


def parse_graphql_quota(response: Any) -> Quota | None:
    """Return the quota that a GraphQL answer tells of; None where it tells of none."""
    limit, remaining = (read_path(response, f"data.rateLimit.{name}", int) for name in ("limit", "remaining"))
    resets_at = _parse_time(read_path(response, "data.rateLimit.resetAt", str))
    return None if limit is None or remaining is None or resets_at is None else Quota(limit, remaining, resets_at)


def read_path(record: Any, path: str, expected_type: type[T]) -> T | None:
    """Return what an answer says at a path such as "licenseInfo.spdxId"; None where that, or what holds it, is null.

    Raises:
        BadAnswer: it is not of this kind.
    """
    for name in path.split("."):
        if record is None:
            return None
        if not isinstance(record, dict):
            raise BadResponse(f"GitHub returned {record!r:.80} instead of an object with {path}")
        record = record.get(name)
    if record is not None and type(record) is not expected_type:  # True is no number here
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


def _licence(text: str | None) -> str | None:
    return None if text in UNKNOWN_LICENCES else text


def _parse_time(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise BadResponse(f"GitHub returned an invalid timestamp: {text:.80}") from error
