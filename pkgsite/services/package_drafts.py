"""Fills the form for a new package: from what a person pasted, and from what its code host and the index tell of it."""

from __future__ import annotations

import logging
import threading
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TypeVar

from sqlalchemy.orm import Session

from pkgsite.clients.base import Fetched, Gateways, IndexFacts, RepoAsk, RepoFacts
from pkgsite.errors import BadAnswer, Gone, Invalid, NotAllowed, RateLimited, UpstreamError
from pkgsite.rules.links import safe_url
from pkgsite.rules.pypi_names import pypi_name
from pkgsite.rules.repo_urls import normal_repo_url, repo_key, repo_ref
from pkgsite.rules.texts import Typed, says_nothing
from pkgsite.services.package_fields import LONGEST_PYPI, LONGEST_TITLE, LONGEST_URL, project_name
from pkgsite.services.package_places import package_at, package_named
from pkgsite.services.packages import Ref

log = logging.getLogger(__name__)

PATIENCE_S = 8.0  # for all that is asked; a person waits
INDEX_HOSTS = frozenset({"pypi.org", "pypi.python.org", "test.pypi.org"})
# The labels under which projects tell where their code is, by how much they mean it.
CODE_LABELS = ("source", "sourcecode", "repository", "code", "github", "gitlab", "homepage")
_ROOM = threading.BoundedSemaphore(8)  # lookups at once; each may hold a thread for longer than its person waits

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Draft:
    """A new package as far as it is known, for its form.

    Attributes:
        notes: What could not be found out, and what was, in sentences.
    """

    title: str = ""
    repo_url: str = ""
    pypi_url: str = ""
    documentation_url: str | None = None  # as the index tells it; nobody needs to write it
    description: str = ""
    notes: list[str] = field(default_factory=list)


def read_place(written: str, gateways: Gateways) -> Draft:
    """Return a draft that knows no more than what a person pasted: a repository's address or a project's name.

    Raises:
        Invalid: it is neither; the words are under "where".
    """
    typed = Typed()
    text = typed.line("where", written, 10 * LONGEST_URL, is_needed=True)
    typed.check()
    name = _named(text, gateways)
    if name:
        return Draft(title=name[:LONGEST_TITLE], pypi_url=name[:LONGEST_PYPI])
    try:
        url = normal_repo_url(text, gateways.kinds)
    except Invalid as refusal:
        raise Invalid({"where": refusal.problems["repo_url"]}) from None
    if len(url) > LONGEST_URL:
        raise Invalid({"where": ["This URL is too long."]})
    return Draft(title=url.rpartition("/")[2][:LONGEST_TITLE], repo_url=url)


def already_here(session: Session, draft: Draft, gateways: Gateways) -> Ref | None:
    """Return the package that a draft would add once more."""
    found = package_at(session, draft.repo_url, gateways.kinds) if draft.repo_url else None
    return found or (package_named(session, draft.pypi_url) if draft.pypi_url else None)


def fill(draft: Draft, gateways: Gateways, *, now: datetime, patience_s: float = PATIENCE_S) -> Draft:
    """Ask the code host and the package index, with no transaction open, and return the draft with what they told.

    What can't be asked is told in the draft's notes; nothing that fails keeps a person from filling in the form.
    """
    if not _ROOM.acquire(blocking=False):
        return replace(draft, notes=["Automatic lookup is busy. Fill in the form manually."])
    pool = ThreadPoolExecutor(2, "draft")
    lookup = _Lookup(draft, gateways, now, pool, patience_s)
    try:
        return lookup.from_index() if draft.pypi_url else lookup.from_repo()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
        threading.Thread(target=_leave_room, args=(pool,), daemon=True).start()


def _leave_room(pool: ThreadPoolExecutor) -> None:
    """Let the next one in once the last of these threads has ended."""
    pool.shutdown(wait=True)
    _ROOM.release()


class _Lookup:
    """Asks for one draft, for no longer than a person waits."""

    def __init__(
        self, draft: Draft, gateways: Gateways, now: datetime, pool: ThreadPoolExecutor, patience_s: float
    ) -> None:
        self.draft, self.gateways, self.now = draft, gateways, now
        self._pool, self._patience_s = pool, patience_s
        self.notes: list[str] = []

    def from_index(self) -> Draft:
        """Begin with the project, and then look where its code is."""
        name = self.draft.pypi_url
        told = self._answer(self._pool.submit(self._index, name), self.gateways.index_host, f"project “{name}”")
        if told is None:
            return replace(self.draft, notes=self.notes)
        url = code_address(told, self.gateways)
        if not url:
            self.notes.append(
                f"{self.gateways.index_host} lists no repository for this project. Enter the repository URL below."
            )
        draft = self._with_index(replace(self.draft, repo_url=url), told)
        if url and repo_ref(url, self.gateways.kinds):
            draft = self._with_repo(draft, self._answer(self._pool.submit(self._repo, url), _host(url), "repository"))
        return replace(draft, notes=self.notes)

    def from_repo(self) -> Draft:
        """Ask for the repository, and for a project of its name; that counts only if it says that its code is there."""
        url, draft = self.draft.repo_url, self.draft
        guess = project_name(url.rpartition("/")[2])
        asked = self._pool.submit(self._index, guess) if guess else None
        if repo_ref(url, self.gateways.kinds):
            draft = self._with_repo(draft, self._answer(self._pool.submit(self._repo, url), _host(url), "repository"))
        else:
            self.notes.append(f"{_host(url)} is not a supported code host, so repository facts will not be available.")
        told = self._quiet_answer(asked) if asked else None
        keys = {repo_key(url), repo_key(draft.repo_url)}
        if told and repo_key(code_address(told, self.gateways)) in keys:
            draft = self._with_index(replace(draft, pypi_url=told.name[:LONGEST_PYPI]), told)
        else:
            self.notes.append(
                f"No matching project found on {self.gateways.index_host}. Enter its name if there is one."
            )
        return replace(draft, notes=self.notes)

    def _repo(self, url: str) -> RepoFacts | UpstreamError | None:
        ref = repo_ref(url, self.gateways.kinds)
        if ref is None:
            return None
        outcome = self.gateways.code_hosts[ref.host].repos([RepoAsk(ref)], now=self.now)[0]
        return outcome.facts if isinstance(outcome, Fetched) else outcome

    def _index(self, name: str) -> IndexFacts | None:
        return self.gateways.index.project(name, validators={}).facts

    def _with_repo(self, draft: Draft, told: RepoFacts | None) -> Draft:
        if told is None:
            return draft
        moved = draft.repo_url
        if told.web_url and repo_key(told.web_url) != repo_key(moved):
            try:
                moved = normal_repo_url(told.web_url, self.gateways.kinds)
                self.notes.append(f"The repository has moved to {moved}.")
            except Invalid:
                pass
        return replace(draft, repo_url=moved[:LONGEST_URL], description=draft.description or _shown(told.description))

    def _with_index(self, draft: Draft, told: IndexFacts) -> Draft:
        name = told.name if project_name(told.name) else draft.pypi_url
        documentation = safe_url(told.documentation_url)
        return replace(
            draft,
            title=name[:LONGEST_TITLE],
            pypi_url=name[:LONGEST_PYPI],
            documentation_url=documentation,
            description=_shown(told.summary) or draft.description,
        )

    def _answer(self, asked: Future[T | UpstreamError | None], host: str, what: str) -> T | None:
        """Return what a host told, or note in words why it told nothing."""
        wait([asked], timeout=self._patience_s)
        if not asked.done():
            self.notes.append(
                f"{host} did not respond within {self._patience_s:.0f} seconds. Fill in the form manually."
            )
            return None
        try:
            outcome = asked.result()
        except UpstreamError as failure:
            outcome = failure
        except Exception:  # a mistake of ours must not keep a person from filling in the form
            log.exception("lookup on %s failed: %s", host, what)
            outcome = BadAnswer("")
        if isinstance(outcome, UpstreamError):
            self.notes.append(in_words(outcome, host, what))
            return None
        return outcome

    def _quiet_answer(self, asked: Future[T | None]) -> T | None:
        """Return what a host told where it was only a guess; nobody needs to know that it failed."""
        try:
            return asked.result(timeout=self._patience_s)
        except Exception as failure:
            if not isinstance(failure, UpstreamError | TimeoutError):
                log.exception("lookup of a guessed project name failed")
            return None


def in_words(failure: UpstreamError, host: str, what: str) -> str:
    """Tell a person why a host told nothing."""
    by_hand = "You can fill in the form manually."
    if isinstance(failure, Gone):
        return f"The {what} was not found on {host}, or is not public. Check it before you continue."
    if isinstance(failure, RateLimited):
        return f"The rate limit of {host} has been reached. {by_hand}"
    if isinstance(failure, NotAllowed):
        return f"{host} denied access. {by_hand}"
    if isinstance(failure, BadAnswer):
        return f"{host} returned an invalid response. {by_hand}"
    return f"Could not connect to {host}. {by_hand}"


def code_address(told: IndexFacts, gateways: Gateways) -> str:
    """Return the repository that a project names as its own, in normal form; empty where it names none.

    An address on a host that is known to keep code comes before any other.
    """
    named = {"".join(filter(str.isalpha, label.lower())): url for label, url in (told.project_urls or {}).items()}
    urls = [named[label] for label in CODE_LABELS if label in named] + list(named.values())
    known = [url for url in urls if safe_url(url) and repo_ref(url, gateways.kinds)]
    for url in known or [named[label] for label in CODE_LABELS[:4] if label in named]:
        try:
            normal = normal_repo_url(url, gateways.kinds)
        except Invalid:
            continue
        if len(normal) <= LONGEST_URL:
            return normal
    return ""


def _named(text: str, gateways: Gateways) -> str:
    """Return the name of a project if that is what a person pasted: a name, a command, or an address on the index."""
    if " " in text or not ("/" in text or ":" in text):
        return project_name(text)
    address = text if "://" in text else f"https://{text}"
    host = _host(address).lower().removeprefix("www.")
    return project_name(pypi_name(address)) if host in INDEX_HOSTS | {gateways.index_host} else ""


def _host(url: str) -> str:
    return url.partition("://")[2].partition("/")[0]


def _shown(text: str | None) -> str:
    return "" if not text or says_nothing(text) else " ".join(text.split())[:300]
