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
from pkgsite.errors import BadAnswer, Gone, NotAllowed, RateLimited, UpstreamError

T = TypeVar("T")

FIELDS = """fragment Facts on Repository {
  id databaseId nameWithOwner url description stargazerCount forkCount isArchived isEmpty
  issues(states: OPEN) { totalCount }
  defaultBranchRef { name target { ... on Commit { committedDate history { totalCount } } } }
  licenseInfo { spdxId }
  latestRelease { tagName }
  repositoryTopics(first: 20) { nodes { topic { name } } }
}"""
NO_LICENCE = {None, "", "NOASSERTION"}  # GitHub found a licence that it can't name: that tells nothing
REFUSED = {"FORBIDDEN", "UNAUTHORIZED", "INSUFFICIENT_SCOPES"}
LIMITED = {"RATE_LIMITED", "RATE_LIMIT"}
LONGEST_EPOCH = 11  # digits of a time in seconds since 1970 that is still a date


@dataclass(frozen=True, slots=True)
class Repo:
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
class Told:
    """What a batch's answer says of one repository.

    Attributes:
        is_sure: Whether asking in a smaller batch could tell nothing else.
    """

    of: Repo | UpstreamError
    is_sure: bool = True


def question(refs: Sequence[RepoRef]) -> dict[str, Any]:
    """Return the body that asks for these repositories, under the names r0, r1, …; paths travel as variables only."""
    declared, asked, variables = [], [], {}
    for number, ref in enumerate(refs):
        declared.append(f"$o{number}: String!, $n{number}: String!")
        asked.append(f"r{number}: repository(owner: $o{number}, name: $n{number}) {{ ...Facts }}")
        variables[f"o{number}"], _, variables[f"n{number}"] = ref.path.partition("/")
    wanted = "\n  ".join(["rateLimit { limit remaining resetAt cost }", *asked])
    return {"query": f"query({', '.join(declared)}) {{\n  {wanted}\n}}\n{FIELDS}", "variables": variables}


def batch_told(answered: Any, refs: Sequence[RepoRef]) -> list[Told]:
    """Return what a batch's answer says of each of its repositories.

    Raises:
        RateLimited: GitHub had enough of us, in a 200.
        BadAnswer: there is no reading it.
    """
    data, errors = told(answered, "data", dict) or {}, told(answered, "errors", list) or []
    by_alias: dict[Any, list[Mapping[str, Any]]] = {}
    for error in errors:
        if not isinstance(error, dict):
            raise BadAnswer(f"GitHub GraphQL returned an invalid error: {error!r:.80}")
        if error.get("type") in LIMITED or "rate limit" in str(error.get("message")).lower():
            raise RateLimited(f"GitHub GraphQL rate limit exceeded: {error.get('message')}")
        path = error.get("path")
        by_alias.setdefault(path[0] if isinstance(path, list) and path else None, []).append(error)
    return [
        _one_told(ref, data.get(f"r{number}"), by_alias.get(f"r{number}", []), by_alias.get(None, []))
        for number, ref in enumerate(refs)
    ]


def _one_told(ref: RepoRef, node: Any, own: Sequence[Mapping[str, Any]], general: Sequence[Mapping[str, Any]]) -> Told:
    if node is not None:
        # A field that failed is null, which we take for "not told"; yet a smaller batch may tell it.
        return Told(_read_or_failure(node), is_sure=not own)
    types = {error.get("type") for error in own}
    if "NOT_FOUND" in types:
        return Told(Gone(f"{ref.key}: repository not found on GitHub"))
    words = next((str(error.get("message")) for error in [*own, *general]), "no error message")
    if types & REFUSED:
        return Told(NotAllowed(f"{ref.key}: access denied by GitHub: {words}"))
    return Told(BadAnswer(f"{ref.key}: no data from GitHub: {words}"), is_sure=False)


def _read_or_failure(node: Any) -> Repo | UpstreamError:
    try:
        return graphql_repo(node)
    except BadAnswer as failure:
        return failure


def graphql_repo(node: Any) -> Repo:
    """Return a repository from GraphQL.

    Raises:
        BadAnswer: a field is not what GitHub promises.
    """
    commit = "defaultBranchRef.target"
    topics = told(node, "repositoryTopics.nodes", list)
    is_empty = told(node, "isEmpty", bool)
    facts = RepoFacts(
        node_id=_needed(node, "id"),
        web_url=_needed(node, "url"),
        description=told(node, "description", str) or "",  # null: it has none
        stars=told(node, "stargazerCount", int),
        forks=told(node, "forkCount", int),
        open_issues=told(node, "issues.totalCount", int),
        is_archived=told(node, "isArchived", bool),
        default_branch=told(node, "defaultBranchRef.name", str),
        last_commit_at=_time(told(node, f"{commit}.committedDate", str)),
        commit_count=0 if is_empty else told(node, f"{commit}.history.totalCount", int),
        licence=_licence(told(node, "licenseInfo.spdxId", str)),
        latest_release=told(node, "latestRelease.tagName", str),
        topics=None if topics is None else tuple(told(topic, "topic.name", str) or "" for topic in topics if topic),
    )
    return Repo(facts, _needed(node, "nameWithOwner"), _number(node, "databaseId"))


def rest_repo(record: Any, last_commit_at: datetime | None) -> Repo:
    """Return a repository from REST. Its count of open issues is left out, as it counts pull requests too.

    Raises:
        BadAnswer: a field is not what GitHub promises.
    """
    topics = told(record, "topics", list)
    facts = RepoFacts(
        node_id=_needed(record, "node_id"),
        web_url=_needed(record, "html_url"),
        description=told(record, "description", str) or "",  # null: it has none
        stars=told(record, "stargazers_count", int),
        forks=told(record, "forks_count", int),
        is_archived=told(record, "archived", bool),
        default_branch=told(record, "default_branch", str),
        last_commit_at=last_commit_at,
        licence=_licence(told(record, "license.spdx_id", str)),
        topics=None if topics is None else tuple(str(topic) for topic in topics),
    )
    return Repo(facts, _needed(record, "full_name"), _number(record, "id"))


def newest_commit(commits: Any) -> datetime | None:
    """Return when the first of REST's list of commits was made; None where there is none."""
    if not isinstance(commits, list):
        raise BadAnswer(f"GitHub did not return a list of commits: {commits!r:.80}")
    return _time(told(commits[0], "commit.committer.date", str)) if commits else None


def weeks(answered: Any, count: int) -> tuple[int, ...]:
    """Return the commits of each week, as told; of a repository without any commit there may be nothing to tell."""
    counts = told(answered, "all", list) if answered is not None else []
    if counts == []:
        return (0,) * count
    if counts is None or len(counts) != count or not all(type(number) is int and number >= 0 for number in counts):
        raise BadAnswer(f"GitHub did not return {count} weeks of commits: {counts!r:.80}")
    return tuple(counts)


def logins(page: Any) -> list[str]:
    """Return the names of a page of contributors; those without an account have none and are left out."""
    if not isinstance(page, list):
        raise BadAnswer(f"GitHub did not return a list of contributors: {page!r:.80}")
    return [login for person in page if (login := told(person, "login", str))]


def quota_of_headers(headers: Mapping[str, str]) -> tuple[str, Quota] | None:
    """Return the quota that an answer's head tells of, and its name; None where it tells of none."""
    whole, left, resets = (headers.get(f"X-RateLimit-{name}", "") for name in ("Limit", "Remaining", "Reset"))
    if not (whole.isdecimal() and left.isdecimal() and resets.isdecimal()) or len(resets) > LONGEST_EPOCH:
        return None
    name = headers.get("X-RateLimit-Resource", "core")
    return name, Quota(int(whole), int(left), datetime.fromtimestamp(int(resets), UTC))


def quota_of_graphql(answered: Any) -> Quota | None:
    """Return the quota that a GraphQL answer tells of; None where it tells of none."""
    whole, left = (told(answered, f"data.rateLimit.{name}", int) for name in ("limit", "remaining"))
    resets_at = _time(told(answered, "data.rateLimit.resetAt", str))
    return None if whole is None or left is None or resets_at is None else Quota(whole, left, resets_at)


def told(record: Any, path: str, kind: type[T]) -> T | None:
    """Return what an answer says at a path such as "licenseInfo.spdxId"; None where that, or what holds it, is null.

    Raises:
        BadAnswer: it is not of this kind.
    """
    for name in path.split("."):
        if record is None:
            return None
        if not isinstance(record, dict):
            raise BadAnswer(f"GitHub returned {record!r:.80} instead of an object with {path}")
        record = record.get(name)
    if record is not None and type(record) is not kind:  # True is no number here
        raise BadAnswer(f"GitHub returned an invalid value for {path}: {record!r:.80}")
    return record


def _needed(record: Any, path: str) -> str:
    value = told(record, path, str)
    if not value:
        raise BadAnswer(f"GitHub did not return {path}")
    return value


def _number(record: Any, path: str) -> str | None:
    value = told(record, path, int)
    return None if value is None else str(value)


def _licence(written: str | None) -> str | None:
    return None if written in NO_LICENCE else written


def _time(written: str | None) -> datetime | None:
    if written is None:
        return None
    try:
        return datetime.fromisoformat(written).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise BadAnswer(f"GitHub returned an invalid timestamp: {written:.80}") from error
