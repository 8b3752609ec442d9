"""Forgejo and its kin (Codeberg, Gitea): https://forgejo.org/docs/latest/user/api-usage/, each host's /api/swagger."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from http import HTTPStatus
from urllib.parse import quote

from pkgsite.clients.base import ActivityFacts, Fetched, ParticipantFacts, RepoFacts, RepoRef, RepoRequest
from pkgsite.clients.rest import Commit, JsonObject, commit_authors, parse_objects, weekly_activity
from pkgsite.clients.rest_host import RestHost, check_same_repository, hidden_code_error
from pkgsite.errors import Gone, NotAllowed
from pkgsite.rules.activity import window_start

COMMITS_PER_PAGE = 50  # hosts give no more a page, unless their operator says so
# What would make a host compute a difference and check a signature for each commit.
LIGHT_COMMITS_QUERY = {"stat": "false", "verification": "false", "files": "false"}
EMPTY_REPOSITORY_STATUSES = {HTTPStatus.CONFLICT}


class Forgejo(RestHost):
    """A `CodeHost`. The API lists no contributors: `participant_facts` are the accounts that wrote the newest commits."""

    probe_path = "version"
    auth_scheme = "token"

    @staticmethod
    def default_api_url(host: str) -> str:
        return f"https://{host}/api/v1"

    def activity_facts(self, ref: RepoRef, *, validators: Mapping[str, str], now: datetime) -> Fetched[ActivityFacts]:
        # Older hosts know no `since`, and list on.
        pages = self._commits(ref, {"since": window_start(now).strftime("%Y-%m-%dT%H:%M:%SZ")})
        return weekly_activity(pages, validators=validators, now=now)

    def participant_facts(self, ref: RepoRef, *, validators: Mapping[str, str]) -> Fetched[ParticipantFacts]:
        return commit_authors(self._commits(ref, {}), validators=validators)

    def _fetch_repo(self, repo_request: RepoRequest) -> Fetched[RepoFacts]:
        record = self._api.get_object(repo_request.ref.host, _path(repo_request.ref))
        node_id = str(record.required_count("id"))
        check_same_repository(repo_request, node_id)
        last_commit_at, commit_count = (None, 0) if record.flag("empty") else self._last_commit(repo_request.ref)
        licences = record.text_list("licenses") or ()
        facts = RepoFacts(
            node_id=node_id,
            web_url=record.web_url("html_url"),
            description=record.clearable_text("description"),
            stars=record.count("stars_count"),
            forks=record.count("forks_count"),
            open_issues=record.count("open_issues_count"),
            is_archived=record.flag("archived"),
            default_branch=record.text("default_branch") or None,
            last_commit_at=last_commit_at,
            commit_count=commit_count,
            licence=licences[0] if len(licences) == 1 else None,  # of several it is not told how they join
            topics=record.text_list("topics"),
        )
        return Fetched(facts, {"node_id": node_id})

    def _last_commit(self, ref: RepoRef) -> tuple[datetime | None, int | None]:
        """Return when the last commit was made, and the number of all, where they are shown."""
        url = self._api.url(ref.host, f"{_path(ref)}/commits", {**LIGHT_COMMITS_QUERY, "limit": 1})
        try:
            answer = self._api.request(ref.host, url, empty=EMPTY_REPOSITORY_STATUSES)
        except (Gone, NotAllowed):  # the repository was told: its page is public and its code is not
            return None, None
        if answer.status in EMPTY_REPOSITORY_STATUSES:
            return None, 0
        commits = [_parse_commit(record) for record in parse_objects(answer.url, answer.data)]
        total_count = answer.headers.get("X-Total-Count", "")
        return commits[0].committed_at if commits else None, int(total_count) if total_count.isdecimal() else None

    def _commits(self, ref: RepoRef, query: Mapping[str, object]) -> Iterator[list[Commit]]:
        """Yield the pages of the default branch's commits, newest first; none of an empty repository."""
        path = f"{_path(ref)}/commits"
        query = {**LIGHT_COMMITS_QUERY, **query, "limit": COMMITS_PER_PAGE}
        try:
            for page in self._api.numbered_pages(ref.host, path, query, empty=EMPTY_REPOSITORY_STATUSES):
                yield [_parse_commit(record) for record in page]
        except Gone as failure:
            # Raises Gone where the repository is; where only its code is hidden, it must not count as lost.
            self._api.get_object(ref.host, _path(ref))
            raise hidden_code_error(ref) from failure


def _path(ref: RepoRef) -> str:
    return f"repos/{quote(ref.path)}"


def _parse_commit(record: JsonObject) -> Commit:
    at = record.child("commit").child("committer").timestamp("date")
    return Commit(record.required_text("sha"), at, record.child("author").text("login") or None)
