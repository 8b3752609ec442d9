"""Client for gitlab.com and self-managed GitLab: https://docs.gitlab.com/api/rest/."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import datetime
from itertools import islice
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
from pkgsite.clients.refusals import states_too_many_to_list
from pkgsite.clients.rest import Commit, JsonObject, clean_person_name, weekly_activity
from pkgsite.clients.rest_host import RestHost, hidden_code_error
from pkgsite.errors import BadResponse, Gone, NotAllowed
from pkgsite.rules.activity import window_start
from pkgsite.rules.licences import host_licence

RECORDS_PER_PAGE = 100  # the API's limit
CONTRIBUTOR_PAGES = 10  # the top 1,000; the others are not listed
# The names of the facts, each with the field of the response that states it.
REPO_FIELDS = {
    "stars": "star_count",
    "forks": "forks_count",
    "open_issues": "open_issues_count",
    "default_branch": "default_branch",
    "licence": "license",
}


class GitLab(RestHost):
    """A `CodeHost`. The API identifies contributors by name and email address; the addresses are never stored."""

    probe_path = "version"  # requires a token

    @staticmethod
    def default_api_url(host: str) -> str:
        return f"https://{host}/api/v4"

    def activity_facts(self, ref: RepoRef, *, validators: Mapping[str, str], now: datetime) -> Fetched[ActivityFacts]:
        since = window_start(now).strftime("%Y-%m-%dT%H:%M:%SZ")
        fetched = weekly_activity(self._commits(ref, {"since": since}), validators=validators, now=now)
        return self._of_same_repository(ref, validators, fetched)

    def participant_facts(self, ref: RepoRef, *, validators: Mapping[str, str]) -> Fetched[ParticipantFacts]:
        # Listing contributors makes the host read the entire history, so it is requested only after new commits.
        newest = next(self._commits(ref, {"per_page": 1}), [])
        new_validators = {"newest": newest[0].sha if newest else ""}
        if validators.get("newest") == new_validators["newest"]:
            return Fetched(None, new_validators)
        facts = self._contributors(ref) if newest else ParticipantFacts((), is_complete=True)
        return self._of_same_repository(ref, validators, Fetched(facts, new_validators))

    def _fetch_repo(self, repo_request: RepoRequest) -> Fetched[RepoFacts]:
        record = self._api.get_object(repo_request.ref.host, _path(repo_request.ref), {"license": "true"})
        node_id = str(record.required_count("id"))
        check_identity(repo_request.ref, repo_request.validators, {"node_id": node_id})
        last_commit_at, commit_count = (None, 0) if record.flag("empty_repo") else self._last_commit(repo_request.ref)
        has_issues = _has_issues(record)
        facts = RepoFacts(
            node_id=node_id,
            web_url=record.web_url("web_url"),
            description=record.clearable_text("description"),
            stars=record.count("star_count"),
            forks=record.count("forks_count"),
            open_issues=record.count("open_issues_count") if has_issues is not False else None,
            is_archived=record.flag("archived"),
            default_branch=record.text("default_branch") or None,
            last_commit_at=last_commit_at,
            commit_count=commit_count,
            licence=host_licence([record.child("license").text("key")]),
            topics=record.text_list(_topics_field(record)),
            has_issues=has_issues,
            is_fork="id" in record.child("forked_from_project"),  # only forks have the field
            parent_url=record.child("forked_from_project").web_url("web_url"),
            is_mirror=record.flag("mirror"),
        )
        stated = record.stated(REPO_FIELDS | {"topics": _topics_field(record)}) + (
            ["last_commit_at"] if commit_count == 0 else []
        )
        return Fetched(with_empty(facts, stated), {"node_id": node_id})

    def _node_id(self, ref: RepoRef) -> str:
        return str(self._api.get_object(ref.host, _path(ref)).required_count("id"))

    def _path_of(self, host: str, node_id: str) -> str:
        return self._api.get_object(host, f"projects/{quote(node_id, safe='')}").required_text("path_with_namespace")

    def _last_commit(self, ref: RepoRef) -> tuple[datetime | None, int | None]:
        """Return the time of the last commit and the number of commits; None for what is not public."""
        try:
            newest = next(self._pages(ref, {"per_page": 1}), [])
        except (Gone, NotAllowed):  # the project is public but its code is not
            return None, None
        return (newest[0].committed_at, self._commit_count(ref, newest[0])) if newest else (None, 0)

    def _commit_count(self, ref: RepoRef, newest: Commit) -> int | None:
        """Return the sequence number of the newest commit, or None on hosts before GitLab 16.9."""
        path = f"{_path(ref)}/repository/commits/{quote(newest.sha, safe='')}/sequence"
        try:
            return self._api.get_object(ref.host, path).count("count")
        except (Gone, NotAllowed):
            return None

    def _commits(self, ref: RepoRef, query: Mapping[str, object]) -> Iterator[list[Commit]]:
        """Yield the pages of the default branch's commits, newest first; nothing for an empty repository."""
        try:
            yield from self._pages(ref, query)
        except Gone as failure:
            # Raises Gone if the project itself is missing. An empty project, or one with private code, has no commits
            # either.
            if not self._api.get_object(ref.host, _path(ref)).flag("empty_repo"):
                raise hidden_code_error(ref) from failure

    def _pages(self, ref: RepoRef, query: Mapping[str, object]) -> Iterator[list[Commit]]:
        path = f"{_path(ref)}/repository/commits"
        for page in self._api.numbered_pages(ref.host, path, {"per_page": RECORDS_PER_PAGE, **query}):
            yield [_parse_commit(record) for record in page]

    def _contributors(self, ref: RepoRef) -> ParticipantFacts:
        """Return the contributors. The host lists each email address separately, so commits are summed by name."""
        query = {"order_by": "commits", "sort": "desc", "per_page": RECORDS_PER_PAGE}
        try:
            pages = list(
                islice(
                    self._api.numbered_pages(ref.host, f"{_path(ref)}/repository/contributors", query),
                    CONTRIBUTOR_PAGES,
                )
            )
        except Gone as failure:  # the commits were returned, so the project exists
            raise NotAllowed(f"{ref.host}/{ref.path}: the contributor list is not available") from failure
        except (NotAllowed, BadResponse) as failure:
            if states_too_many_to_list(failure):
                return ParticipantFacts((), is_complete=False, is_too_large=True)
            raise
        contributors = [
            (clean_person_name(record.text("name")), record.count("commits") or 0) for page in pages for record in page
        ]
        commit_counts: Counter[str] = Counter()
        for name, commits in contributors:
            if name:
                commit_counts[name] += commits
        is_complete = len(pages) < CONTRIBUTOR_PAGES and all(name for name, _ in contributors)
        return ParticipantFacts(tuple(name for name, _ in commit_counts.most_common()), is_complete)


def _path(ref: RepoRef) -> str:
    """Return the API path of a project, with its full name as one encoded segment."""
    return f"projects/{quote(ref.path, safe='')}"


def _topics_field(record: JsonObject) -> str:
    """Return the name of the field of the topics, which was another one before GitLab 14."""
    return "topics" if "topics" in record else "tag_list"


def _has_issues(record: JsonObject) -> bool | None:
    """Return whether a project has an issue tracker here, or None if the host does not tell."""
    level = record.text("issues_access_level")
    return level != "disabled" if level else record.flag("issues_enabled")


def _parse_commit(record: JsonObject) -> Commit:
    # The API returns the author's name only, not the account.
    return Commit(record.required_text("id"), record.timestamp("committed_date"), author=None)
