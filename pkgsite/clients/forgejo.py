"""Client for Forgejo, Codeberg and Gitea: https://forgejo.org/docs/latest/user/api-usage/ and /api/swagger."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from http import HTTPStatus
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
from pkgsite.clients.rest import Commit, JsonObject, clean_person_name, commit_authors, parse_objects, weekly_activity
from pkgsite.clients.rest_host import RestHost, hidden_code_error
from pkgsite.errors import Gone, NotAllowed
from pkgsite.rules.activity import window_start
from pkgsite.rules.licences import host_licence

COMMITS_PER_PAGE = 50  # the default limit of the hosts
# Skips the diff and the signature check of each commit, which are expensive for the host.
LIGHT_COMMITS_QUERY = {"stat": "false", "verification": "false", "files": "false"}
# The names of the facts, each with the field of the response that states it.
REPO_FIELDS = {
    "stars": "stars_count",
    "forks": "forks_count",
    "open_issues": "open_issues_count",
    "default_branch": "default_branch",
    "licence": "licenses",
    "topics": "topics",
    "parent_url": "parent",
}
EMPTY_REPOSITORY_STATUSES = {HTTPStatus.CONFLICT}


class Forgejo(RestHost):
    """A `CodeHost`. The API lists no contributors, so `participant_facts` returns the authors of the newest commits."""

    probe_path = "version"
    auth_scheme = "token"

    @staticmethod
    def default_api_url(host: str) -> str:
        return f"https://{host}/api/v1"

    def activity_facts(self, ref: RepoRef, *, validators: Mapping[str, str], now: datetime) -> Fetched[ActivityFacts]:
        # Older hosts ignore `since` and return all commits.
        pages = self._commits(ref, {"since": window_start(now).strftime("%Y-%m-%dT%H:%M:%SZ")})
        return self._of_same_repository(ref, validators, weekly_activity(pages, validators=validators, now=now))

    def participant_facts(self, ref: RepoRef, *, validators: Mapping[str, str]) -> Fetched[ParticipantFacts]:
        fetched = commit_authors(self._commits(ref, {}), validators=validators)
        return self._of_same_repository(ref, validators, fetched)

    def _fetch_repo(self, repo_request: RepoRequest) -> Fetched[RepoFacts]:
        record = self._api.get_object(repo_request.ref.host, _path(repo_request.ref))
        node_id = str(record.required_count("id"))
        check_identity(repo_request.ref, repo_request.validators, {"node_id": node_id})
        last_commit_at, commit_count = (None, 0) if record.flag("empty") else self._last_commit(repo_request.ref)
        has_issues = _has_issues(record)
        facts = RepoFacts(
            node_id=node_id,
            web_url=record.web_url("html_url"),
            description=record.clearable_text("description"),
            stars=record.count("stars_count"),
            forks=record.count("forks_count"),
            open_issues=record.count("open_issues_count") if has_issues is not False else None,
            is_archived=record.flag("archived"),
            default_branch=record.text("default_branch") or None,
            last_commit_at=last_commit_at,
            commit_count=commit_count,
            licence=host_licence(record.text_list("licenses") or ()),
            topics=record.text_list("topics"),
            has_issues=has_issues,
            archived_at=_archived_at(record),
            is_fork=record.flag("fork"),
            parent_url=record.child("parent").web_url("html_url"),
            is_mirror=record.flag("mirror"),
            homepage_url=record.homepage_url("website"),
        )
        stated = record.stated(REPO_FIELDS) + (["last_commit_at"] if commit_count == 0 else [])
        return Fetched(with_empty(facts, stated), {"node_id": node_id})

    def _node_id(self, ref: RepoRef) -> str:
        return str(self._api.get_object(ref.host, _path(ref)).required_count("id"))

    def _path_of(self, host: str, node_id: str) -> str:
        return self._api.get_object(host, f"repositories/{quote(node_id, safe='')}").required_text("full_name")

    def _last_commit(self, ref: RepoRef) -> tuple[datetime | None, int | None]:
        """Return the time of the last commit and the number of commits; None for what is not public."""
        url = self._api.url(ref.host, f"{_path(ref)}/commits", {**LIGHT_COMMITS_QUERY, "limit": 1})
        try:
            response = self._api.request(ref.host, url, empty_statuses=EMPTY_REPOSITORY_STATUSES)
        except (Gone, NotAllowed):  # the repository is public but its code is not
            return None, None
        if response.status in EMPTY_REPOSITORY_STATUSES:
            return None, 0
        commits = [_parse_commit(record) for record in parse_objects(response.url, response.data)]
        total_count = response.headers.get("X-Total-Count", "")
        return commits[0].committed_at if commits else None, int(total_count) if total_count.isdecimal() else None

    def _commits(self, ref: RepoRef, query: Mapping[str, object]) -> Iterator[list[Commit]]:
        """Yield the pages of the default branch's commits, newest first; nothing for an empty repository."""
        path = f"{_path(ref)}/commits"
        query = {**LIGHT_COMMITS_QUERY, **query, "limit": COMMITS_PER_PAGE}
        try:
            for page in self._api.numbered_pages(ref.host, path, query, empty_statuses=EMPTY_REPOSITORY_STATUSES):
                yield [_parse_commit(record) for record in page]
        except Gone as failure:
            # Raises Gone if the repository itself is missing; one that only hides its code is not missing.
            self._api.get_object(ref.host, _path(ref))
            raise hidden_code_error(ref) from failure


def _path(ref: RepoRef) -> str:
    return f"repos/{quote(ref.path)}"


def _has_issues(record: JsonObject) -> bool | None:
    """Return whether a repository has an issue tracker here, or None if the host does not tell."""
    return False if record.child("external_tracker") else record.flag("has_issues")


def _archived_at(record: JsonObject) -> datetime | None:
    """Return when a repository was archived; the host returns the start of the Unix epoch for others."""
    if not record.flag("archived") or not record.text("archived_at"):
        return None
    archived_at = record.timestamp("archived_at")
    return archived_at if archived_at.timestamp() > 0 else None


def _parse_commit(record: JsonObject) -> Commit:
    commit = record.child("commit")
    # Authors without an account on the host, as of migrated repositories, only have a name.
    author = record.child("author").text("login") or clean_person_name(commit.child("author").text("name"))
    return Commit(record.required_text("sha"), commit.child("committer").timestamp("date"), author)
