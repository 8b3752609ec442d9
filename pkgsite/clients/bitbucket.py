"""Bitbucket Cloud: https://developer.atlassian.com/cloud/bitbucket/rest/, its repositories, commits and issues."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from urllib.parse import quote

from pkgsite.clients.base import ActivityFacts, Fetched, PeopleFacts, RepoAsk, RepoFacts, RepoRef
from pkgsite.clients.rest import Commit, Told, count_authors, count_weeks, person_name
from pkgsite.clients.rest_host import RestHost, check_same, hidden_code
from pkgsite.errors import BadAnswer, Gone, NotAllowed

PAGE_COMMITS = 100  # the host gives no more a page
# What a commit is read for: of its author neither the e-mail address nor anything else is even sent to us.
COMMIT_FIELDS = "next,values.hash,values.date,values.author.user.nickname,values.author.user.display_name"
OPEN_ISSUES = 'state="new" OR state="open"'


class Bitbucket(RestHost):
    """A `CodeHost`. It tells of no stars (watchers are not that), no licence, no topics, and not how many commits.

    The API lists no contributors: `people` are the accounts that wrote the newest commits.
    """

    landmark = "hook_events"  # which it tells to everybody

    @staticmethod
    def usual_api(host: str) -> str:
        return f"https://api.{host}/2.0"

    def activity(self, ref: RepoRef, *, validators: Mapping[str, str], now: datetime) -> Fetched[ActivityFacts]:
        return count_weeks(self._commits(ref), validators=validators, now=now)

    def people(self, ref: RepoRef, *, validators: Mapping[str, str]) -> Fetched[PeopleFacts]:
        return count_authors(self._commits(ref), validators=validators)

    def _repo(self, ask: RepoAsk) -> Fetched[RepoFacts]:
        ref = ask.ref
        told = self._api.told(ref.host, _path(ref))
        node_id = told.needed_text("uuid")
        check_same(ask, node_id)
        branch = _main_branch(told)
        facts = RepoFacts(
            node_id=node_id,
            web_url=told.inner("links").inner("html").web_url("href"),
            description=told.words("description"),
            forks=self._size(ref, "forks", {}),
            open_issues=self._size(ref, "issues", {"q": OPEN_ISSUES}) if told.flag("has_issues") else None,
            default_branch=branch,
            last_commit_at=self._last_commit_at(ref, branch) if branch else None,
            commit_count=None if branch else 0,
        )
        return Fetched(facts, {"node_id": node_id})

    def _size(self, ref: RepoRef, noun: str, query: Mapping[str, object]) -> int | None:
        """Return how many there are in one of the repository's lists, where it is shown."""
        try:
            return self._api.told(ref.host, f"{_path(ref)}/{noun}", {**query, "pagelen": 1}).count("size")
        except (Gone, NotAllowed):
            return None

    def _last_commit_at(self, ref: RepoRef, branch: str) -> datetime | None:
        """Return when the last commit was made, where it is shown."""
        try:
            newest = next(self._pages(ref, branch, 1), [])
        except (Gone, NotAllowed):  # the repository was told: its page is public and its code is not
            return None
        return newest[0].at if newest else None

    def _commits(self, ref: RepoRef) -> Iterator[list[Commit]]:
        """Yield the pages of the main branch's commits, newest first; none of an empty repository."""
        # Without a branch's name the host would list the commits of all branches.
        branch = _main_branch(self._api.told(ref.host, _path(ref)))
        if not branch:
            return
        try:
            yield from self._pages(ref, branch, PAGE_COMMITS)
        except Gone as failure:
            raise hidden_code(ref) from failure

    def _pages(self, ref: RepoRef, branch: str, size: int) -> Iterator[list[Commit]]:
        # The name is given as a parameter: in the path its slashes would be read as the path's.
        query = {"include": branch, "pagelen": size, "fields": COMMIT_FIELDS}
        for page in self._api.linked(ref.host, f"{_path(ref)}/commits", query):
            yield [_read_commit(told) for told in page]


def _path(ref: RepoRef) -> str:
    return f"repositories/{quote(ref.path)}"


def _main_branch(repository: Told) -> str | None:
    """Return the main branch's name; None where there is none, since the repository is empty."""
    if "mainbranch" not in repository:
        raise BadAnswer(f"{repository.url}: missing field mainbranch")
    return repository.inner("mainbranch").text("name") or None


def _read_commit(told: Told) -> Commit:
    user = told.inner("author").inner("user")
    author = person_name(user.text("nickname")) or person_name(user.text("display_name"))
    return Commit(told.needed_text("hash"), told.instant("date"), author)
