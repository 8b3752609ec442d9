"""Forgejo and its kin (Codeberg, Gitea): https://forgejo.org/docs/latest/user/api-usage/, each host's /api/swagger."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from http import HTTPStatus
from urllib.parse import quote

from pkgsite.clients.base import ActivityFacts, Fetched, PeopleFacts, RepoAsk, RepoFacts, RepoRef
from pkgsite.clients.rest import Commit, Told, count_authors, count_weeks, objects
from pkgsite.clients.rest_host import RestHost, check_same, hidden_code
from pkgsite.errors import Gone, NotAllowed
from pkgsite.rules.activity import window_start

PAGE_COMMITS = 50  # hosts give no more a page, unless their operator says so
# What would make a host compute a difference and check a signature for each commit.
WITHOUT_EXTRAS = {"stat": "false", "verification": "false", "files": "false"}
EMPTY_REPOSITORY = {HTTPStatus.CONFLICT}


class Forgejo(RestHost):
    """A `CodeHost`. The API lists no contributors: `people` are the accounts that wrote the newest commits."""

    landmark = "version"
    scheme = "token"

    @staticmethod
    def usual_api(host: str) -> str:
        return f"https://{host}/api/v1"

    def activity(self, ref: RepoRef, *, validators: Mapping[str, str], now: datetime) -> Fetched[ActivityFacts]:
        # Older hosts know no `since`, and list on.
        pages = self._commits(ref, {"since": window_start(now).strftime("%Y-%m-%dT%H:%M:%SZ")})
        return count_weeks(pages, validators=validators, now=now)

    def people(self, ref: RepoRef, *, validators: Mapping[str, str]) -> Fetched[PeopleFacts]:
        return count_authors(self._commits(ref, {}), validators=validators)

    def _repo(self, ask: RepoAsk) -> Fetched[RepoFacts]:
        told = self._api.told(ask.ref.host, _path(ask.ref))
        node_id = str(told.needed_count("id"))
        check_same(ask, node_id)
        last_commit_at, commit_count = (None, 0) if told.flag("empty") else self._last_commit(ask.ref)
        licences = told.texts("licenses") or ()
        facts = RepoFacts(
            node_id=node_id,
            web_url=told.web_url("html_url"),
            description=told.words("description"),
            stars=told.count("stars_count"),
            forks=told.count("forks_count"),
            open_issues=told.count("open_issues_count"),
            is_archived=told.flag("archived"),
            default_branch=told.text("default_branch") or None,
            last_commit_at=last_commit_at,
            commit_count=commit_count,
            licence=licences[0] if len(licences) == 1 else None,  # of several it is not told how they join
            topics=told.texts("topics"),
        )
        return Fetched(facts, {"node_id": node_id})

    def _last_commit(self, ref: RepoRef) -> tuple[datetime | None, int | None]:
        """Return when the last commit was made, and the number of all, where they are shown."""
        url = self._api.url(ref.host, f"{_path(ref)}/commits", {**WITHOUT_EXTRAS, "limit": 1})
        try:
            answer = self._api.ask(ref.host, url, empty=EMPTY_REPOSITORY)
        except (Gone, NotAllowed):  # the repository was told: its page is public and its code is not
            return None, None
        if answer.status in EMPTY_REPOSITORY:
            return None, 0
        commits = [_read_commit(told) for told in objects(answer.url, answer.data)]
        written = answer.headers.get("X-Total-Count", "")
        return commits[0].at if commits else None, int(written) if written.isdecimal() else None

    def _commits(self, ref: RepoRef, query: Mapping[str, object]) -> Iterator[list[Commit]]:
        """Yield the pages of the default branch's commits, newest first; none of an empty repository."""
        path = f"{_path(ref)}/commits"
        query = {**WITHOUT_EXTRAS, **query, "limit": PAGE_COMMITS}
        try:
            for page in self._api.numbered(ref.host, path, query, empty=EMPTY_REPOSITORY):
                yield [_read_commit(told) for told in page]
        except Gone as failure:
            # Raises Gone where the repository is; where only its code is hidden, it must not count as lost.
            self._api.told(ref.host, _path(ref))
            raise hidden_code(ref) from failure


def _path(ref: RepoRef) -> str:
    return f"repos/{quote(ref.path)}"


def _read_commit(told: Told) -> Commit:
    at = told.inner("commit").inner("committer").instant("date")
    return Commit(told.needed_text("sha"), at, told.inner("author").text("login") or None)
