"""GitLab, gitlab.com and every other: https://docs.gitlab.com/api/rest/, its projects, commits and repositories."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import datetime
from itertools import islice
from urllib.parse import quote

from pkgsite.clients.base import ActivityFacts, Fetched, PeopleFacts, RepoAsk, RepoFacts, RepoRef
from pkgsite.clients.rest import Commit, Told, count_weeks, person_name
from pkgsite.clients.rest_host import RestHost, check_same, hidden_code
from pkgsite.errors import Gone, NotAllowed
from pkgsite.rules.activity import window_start

PAGE_SIZE = 100  # hosts give no more a page
PEOPLE_PAGES = 10  # a thousand people; who has committed less than all of them is among "others"
# A key such as "gpl-3.0" leaves open whether later versions are meant, so no key of that family tells a licence.
_NAMES = (
    {"0BSD", "AFL-3.0", "Apache-2.0", "Artistic-2.0", "BSD-2-Clause", "BSD-3-Clause", "BSD-3-Clause-Clear"}
    | {"BSD-4-Clause", "BSL-1.0", "CC-BY-4.0", "CC-BY-SA-4.0", "CC0-1.0", "ECL-2.0", "EPL-1.0", "EPL-2.0", "EUPL-1.1"}
    | {"EUPL-1.2", "ISC", "MIT", "MIT-0", "MPL-2.0", "MS-PL", "MS-RL", "NCSA", "OFL-1.1", "OSL-3.0", "PostgreSQL"}
    | {"UPL-1.0", "Unlicense", "WTFPL", "Zlib"}
)
LICENCES = {name.lower(): name for name in _NAMES}  # SPDX identifiers by GitLab's keys


class GitLab(RestHost):
    """A `CodeHost`. Who committed is told by name and e-mail address; the addresses are never kept."""

    landmark = "version"  # which it tells to those with a token only

    @staticmethod
    def usual_api(host: str) -> str:
        return f"https://{host}/api/v4"

    def activity(self, ref: RepoRef, *, validators: Mapping[str, str], now: datetime) -> Fetched[ActivityFacts]:
        since = window_start(now).strftime("%Y-%m-%dT%H:%M:%SZ")
        return count_weeks(self._commits(ref, {"since": since}), validators=validators, now=now)

    def people(self, ref: RepoRef, *, validators: Mapping[str, str]) -> Fetched[PeopleFacts]:
        # To list its people a host goes through the whole history: it is asked to only if that has changed.
        newest = next(self._commits(ref, {"per_page": 1}), [])
        marks = {"newest": newest[0].sha if newest else ""}
        if validators.get("newest") == marks["newest"]:
            return Fetched(None, marks)
        return Fetched(self._contributors(ref) if newest else PeopleFacts((), is_complete=True), marks)

    def _repo(self, ask: RepoAsk) -> Fetched[RepoFacts]:
        told = self._api.told(ask.ref.host, _path(ask.ref), {"license": "true"})
        node_id = str(told.needed_count("id"))
        check_same(ask, node_id)
        last_commit_at, commit_count = (None, 0) if told.flag("empty_repo") else self._last_commit(ask.ref)
        facts = RepoFacts(
            node_id=node_id,
            web_url=told.web_url("web_url"),
            description=told.words("description"),
            stars=told.count("star_count"),
            forks=told.count("forks_count"),
            open_issues=told.count("open_issues_count"),
            is_archived=told.flag("archived"),
            default_branch=told.text("default_branch") or None,
            last_commit_at=last_commit_at,
            commit_count=commit_count,
            licence=LICENCES.get(told.inner("license").text("key") or ""),
            topics=told.texts("topics"),
        )
        return Fetched(facts, {"node_id": node_id})

    def _last_commit(self, ref: RepoRef) -> tuple[datetime | None, int | None]:
        """Return when the last commit was made, and the number of all, where they are shown."""
        try:
            newest = next(self._pages(ref, {"per_page": 1}), [])
        except (Gone, NotAllowed):  # the repository was told: its page is public and its code is not
            return None, None
        return (newest[0].at, self._commit_count(ref, newest[0])) if newest else (None, 0)

    def _commit_count(self, ref: RepoRef, newest: Commit) -> int | None:
        """Return which in the row of commits the newest is; hosts before version 16.9 can't tell."""
        path = f"{_path(ref)}/repository/commits/{quote(newest.sha, safe='')}/sequence"
        try:
            return self._api.told(ref.host, path).count("count")
        except (Gone, NotAllowed):
            return None

    def _commits(self, ref: RepoRef, query: Mapping[str, object]) -> Iterator[list[Commit]]:
        """Yield the pages of the default branch's commits, newest first; none of an empty repository."""
        try:
            yield from self._pages(ref, query)
        except Gone as failure:
            # Raises Gone where the repository is; where it is only empty or hides its code, it must not count as lost.
            if not self._api.told(ref.host, _path(ref)).flag("empty_repo"):
                raise hidden_code(ref) from failure

    def _pages(self, ref: RepoRef, query: Mapping[str, object]) -> Iterator[list[Commit]]:
        path = f"{_path(ref)}/repository/commits"
        for page in self._api.numbered(ref.host, path, {"per_page": PAGE_SIZE, **query}):
            yield [_read_commit(told) for told in page]

    def _contributors(self, ref: RepoRef) -> PeopleFacts:
        """Return who contributed. One person's several addresses stand apart in the host's list: they are added up."""
        query = {"order_by": "commits", "sort": "desc", "per_page": PAGE_SIZE}
        try:
            pages = list(
                islice(self._api.numbered(ref.host, f"{_path(ref)}/repository/contributors", query), PEOPLE_PAGES)
            )
        except Gone as failure:  # its commits were shown: the host could not make the list
            raise NotAllowed(f"{ref.host}/{ref.path}: the contributor list is not available") from failure
        listed = [(person_name(told.text("name")), told.count("commits") or 0) for page in pages for told in page]
        counted: Counter[str] = Counter()
        for name, commits in listed:
            if name:
                counted[name] += commits
        is_complete = len(pages) < PEOPLE_PAGES and all(name for name, _ in listed)
        return PeopleFacts(tuple(name for name, _ in counted.most_common()), is_complete)


def _path(ref: RepoRef) -> str:
    """Return the project's path: its full name, with all of its groups, in one segment."""
    return f"projects/{quote(ref.path, safe='')}"


def _read_commit(told: Told) -> Commit:
    return Commit(told.needed_text("id"), told.instant("committed_date"), None)  # its author is told as a name only
