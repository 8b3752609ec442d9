"""Client for Bitbucket Cloud: https://developer.atlassian.com/cloud/bitbucket/rest/ (repositories, commits, issues)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from urllib.parse import quote

from pkgsite.clients.base import (
    ActivityFacts,
    Fetched,
    ParticipantFacts,
    RepoFacts,
    RepoRef,
    RepoRequest,
    check_identity,
    with_empty,
)
from pkgsite.clients.rest import Commit, JsonObject, clean_person_name, commit_authors, weekly_activity
from pkgsite.clients.rest_host import RestHost, hidden_code_error
from pkgsite.errors import BadResponse, Gone, NotAllowed

COMMITS_PER_PAGE = 100  # the API's limit
# Only the fields that are used: the author's email address is not requested.
COMMIT_FIELDS = "next,values.hash,values.date,values.author.user.nickname,values.author.user.display_name"
OPEN_ISSUES_QUERY = 'state="new" OR state="open"'


class Bitbucket(RestHost):
    """A `CodeHost`. The API has no stars (only watchers), licences, topics or commit counts.

    It lists no contributors either, so `participant_facts` returns the authors of the newest commits.
    """

    probe_path = "hook_events"  # needs no authentication

    @staticmethod
    def default_api_url(host: str) -> str:
        return f"https://api.{host}/2.0"

    def activity_facts(self, ref: RepoRef, *, validators: Mapping[str, str], now: datetime) -> Fetched[ActivityFacts]:
        fetched = weekly_activity(self._commits(ref), validators=validators, now=now)
        return self._of_same_repository(ref, validators, fetched)

    def participant_facts(self, ref: RepoRef, *, validators: Mapping[str, str]) -> Fetched[ParticipantFacts]:
        return self._of_same_repository(ref, validators, commit_authors(self._commits(ref), validators=validators))

    def _fetch_repo(self, repo_request: RepoRequest) -> Fetched[RepoFacts]:
        ref = repo_request.ref
        record = self._api.get_object(ref.host, _path(ref))
        node_id = record.required_text("uuid")
        check_identity(ref, repo_request.validators, {"node_id": node_id})
        branch = _main_branch(record)
        facts = RepoFacts(
            node_id=node_id,
            web_url=record.child("links").child("html").web_url("href"),
            description=record.clearable_text("description"),
            forks=self._count(ref, "forks", {}),
            open_issues=self._count(ref, "issues", {"q": OPEN_ISSUES_QUERY}) if record.flag("has_issues") else None,
            default_branch=branch,
            last_commit_at=self._last_commit_at(ref, branch) if branch else None,
            commit_count=None if branch else 0,
            has_issues=record.flag("has_issues"),
            is_fork="uuid" in record.child("parent"),  # null or missing unless it is a fork
            parent_url=record.child("parent").child("links").child("html").web_url("href"),
            homepage_url=record.homepage_url("website"),
        )
        # An empty repository has no branch, a repository without an issue tracker no open issues.
        stated = [] if branch else ["default_branch", "last_commit_at"]
        stated += ["open_issues"] if record.flag("has_issues") is False else []
        return Fetched(with_empty(facts, stated), {"node_id": node_id})

    def _node_id(self, ref: RepoRef) -> str:
        return self._api.get_object(ref.host, _path(ref)).required_text("uuid")

    def _path_of(self, host: str, node_id: str) -> str:
        # The id of a repository is unique among all workspaces, so the workspace can be empty braces.
        record = self._api.get_object(host, f"repositories/{quote('{}')}/{quote(node_id, safe='')}")
        return record.required_text("full_name")

    def _count(self, ref: RepoRef, noun: str, query: Mapping[str, object]) -> int | None:
        """Return the length of one of the repository's lists, or None if it is not public."""
        try:
            return self._api.get_object(ref.host, f"{_path(ref)}/{noun}", {**query, "pagelen": 1}).count("size")
        except (Gone, NotAllowed):
            return None

    def _last_commit_at(self, ref: RepoRef, branch: str) -> datetime | None:
        """Return the time of the last commit, or None if the commits are not public."""
        try:
            newest = next(self._pages(ref, branch, 1), [])
        except (Gone, NotAllowed):  # the repository is public but its code is not
            return None
        return newest[0].committed_at if newest else None

    def _commits(self, ref: RepoRef) -> Iterator[list[Commit]]:
        """Yield the pages of the main branch's commits, newest first; nothing for an empty repository."""
        # Without a branch name the host would list the commits of all branches.
        branch = _main_branch(self._api.get_object(ref.host, _path(ref)))
        if not branch:
            return
        try:
            yield from self._pages(ref, branch, COMMITS_PER_PAGE)
        except Gone as failure:
            raise hidden_code_error(ref) from failure

    def _pages(self, ref: RepoRef, branch: str, size: int) -> Iterator[list[Commit]]:
        # The branch is a query parameter, because a slash in its name would be read as a path separator.
        query = {"include": branch, "pagelen": size, "fields": COMMIT_FIELDS}
        for page in self._api.linked_pages(ref.host, f"{_path(ref)}/commits", query):
            yield [_parse_commit(record) for record in page]


def _path(ref: RepoRef) -> str:
    return f"repositories/{quote(ref.path)}"


def _main_branch(repository: JsonObject) -> str | None:
    """Return the main branch's name, or None for an empty repository."""
    if "mainbranch" not in repository:
        raise BadResponse(f"{repository.url}: missing field mainbranch")
    return repository.child("mainbranch").text("name") or None


def _parse_commit(record: JsonObject) -> Commit:
    user = record.child("author").child("user")
    author = clean_person_name(user.text("nickname")) or clean_person_name(user.text("display_name"))
    return Commit(record.required_text("hash"), record.timestamp("date"), author)
