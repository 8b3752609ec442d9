"""Fills the form for a new package: from what a person pasted, and from what its code host and the index tell of it."""

from __future__ import annotations

import logging
import threading
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TypeVar

from sqlalchemy.orm import Session

from pkgsite.clients.base import Fetched, Gateways, IndexFacts, RepoFacts, RepoRequest
from pkgsite.errors import BadResponse, Gone, Invalid, NotAllowed, RateLimited, UpstreamError
from pkgsite.rules.links import safe_url
from pkgsite.rules.pypi_names import parse_pypi_name
from pkgsite.rules.repo_urls import normalise_repo_url, parse_repo_ref, repo_key
from pkgsite.rules.texts import FieldReader, is_blank
from pkgsite.services.packages.fields import MAX_PYPI_LENGTH, MAX_TITLE_LENGTH, MAX_URL_LENGTH, parse_project_name
from pkgsite.services.packages.lookup import find_by_index_name, find_by_repo_url
from pkgsite.services.packages.records import Ref

log = logging.getLogger(__name__)

LOOKUP_TIMEOUT_S = 8.0  # for all that is asked; a person waits
INDEX_HOSTS = frozenset({"pypi.org", "pypi.python.org", "test.pypi.org"})
# The labels under which projects tell where their code is, by how much they mean it.
CODE_LABELS = ("source", "sourcecode", "repository", "code", "github", "gitlab", "homepage")
_LOOKUP_SLOTS = threading.BoundedSemaphore(
    8
)  # lookups at once; each may hold a thread for longer than its person waits

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class PackageDraft:
    """A new package as far as it is known, for its form.

    Attributes:
        messages: What could not be found out, and what was, in sentences.
    """

    title: str = ""
    repo_url: str = ""
    pypi_url: str = ""
    documentation_url: str | None = None  # as the index tells it; nobody needs to write it
    description: str = ""
    messages: list[str] = field(default_factory=list)


def draft_from_reference(reference: str, gateways: Gateways) -> PackageDraft:
    """Return a draft that knows no more than what a person pasted: a repository's address or a project's name.

    Raises:
        Invalid: it is neither; the words are under "where".
    """
    reader = FieldReader()
    text = reader.read_line("reference", reference, 10 * MAX_URL_LENGTH, is_required=True)
    reader.raise_if_invalid()
    name = _project_name_in(text, gateways)
    if name:
        return PackageDraft(title=name[:MAX_TITLE_LENGTH], pypi_url=name[:MAX_PYPI_LENGTH])
    try:
        url = normalise_repo_url(text, gateways.host_kinds)
    except Invalid as refusal:
        raise Invalid({"reference": refusal.problems["repo_url"]}) from None
    if len(url) > MAX_URL_LENGTH:
        raise Invalid({"reference": ["This URL is too long."]})
    return PackageDraft(title=url.rpartition("/")[2][:MAX_TITLE_LENGTH], repo_url=url)


def find_existing_package(session: Session, draft: PackageDraft, gateways: Gateways) -> Ref | None:
    """Return the package that a draft would add once more."""
    found = find_by_repo_url(session, draft.repo_url, gateways.host_kinds) if draft.repo_url else None
    return found or (find_by_index_name(session, draft.pypi_url) if draft.pypi_url else None)


def complete_draft(
    draft: PackageDraft, gateways: Gateways, *, now: datetime, timeout_s: float = LOOKUP_TIMEOUT_S
) -> PackageDraft:
    """Ask the code host and the package index, with no transaction open, and return the draft with what they told.

    What can't be asked is told in the draft's notes; nothing that fails keeps a person from filling in the form.
    """
    if not _LOOKUP_SLOTS.acquire(blocking=False):
        return replace(draft, messages=["Automatic lookup is busy. Fill in the form manually."])
    pool = ThreadPoolExecutor(2, "draft")
    lookup = _Lookup(draft, gateways, now, pool, timeout_s)
    try:
        return lookup.from_index() if draft.pypi_url else lookup.from_repo()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
        threading.Thread(target=_release_slot, args=(pool,), daemon=True).start()


def _release_slot(pool: ThreadPoolExecutor) -> None:
    """Let the next one in once the last of these threads has ended."""
    pool.shutdown(wait=True)
    _LOOKUP_SLOTS.release()


class _Lookup:
    """Asks for one draft, for no longer than a person waits."""

    def __init__(
        self, draft: PackageDraft, gateways: Gateways, now: datetime, pool: ThreadPoolExecutor, timeout_s: float
    ) -> None:
        self.draft, self.gateways, self.now = draft, gateways, now
        self._pool, self._patience_s = pool, timeout_s
        self.notes: list[str] = []

    def from_index(self) -> PackageDraft:
        """Begin with the project, and then look where its code is."""
        name = self.draft.pypi_url
        told = self._result(self._pool.submit(self._index, name), self.gateways.package_index_host, f"project “{name}”")
        if told is None:
            return replace(self.draft, messages=self.notes)
        url = repository_of_project(told, self.gateways)
        if not url:
            self.notes.append(
                f"{self.gateways.package_index_host} lists no repository for this project. Enter the repository URL below."
            )
        draft = self._apply_index_facts(replace(self.draft, repo_url=url), told)
        if url and parse_repo_ref(url, self.gateways.host_kinds):
            draft = self._apply_repo_facts(
                draft, self._result(self._pool.submit(self._repo, url), _host_name(url), "repository")
            )
        return replace(draft, messages=self.notes)

    def from_repo(self) -> PackageDraft:
        """Ask for the repository, and for a project of its name; that counts only if it says that its code is there."""
        url, draft = self.draft.repo_url, self.draft
        guessed_name = parse_project_name(url.rpartition("/")[2])
        asked = self._pool.submit(self._index, guessed_name) if guessed_name else None
        if parse_repo_ref(url, self.gateways.host_kinds):
            draft = self._apply_repo_facts(
                draft, self._result(self._pool.submit(self._repo, url), _host_name(url), "repository")
            )
        else:
            self.notes.append(
                f"{_host_name(url)} is not a supported code host, so repository facts will not be available."
            )
        told = self._result_or_none(asked) if asked else None
        keys = {repo_key(url), repo_key(draft.repo_url)}
        if told and repo_key(repository_of_project(told, self.gateways)) in keys:
            draft = self._apply_index_facts(replace(draft, pypi_url=told.name[:MAX_PYPI_LENGTH]), told)
        else:
            self.notes.append(
                f"No matching project found on {self.gateways.package_index_host}. Enter its name if there is one."
            )
        return replace(draft, messages=self.notes)

    def _repo(self, url: str) -> RepoFacts | UpstreamError | None:
        ref = parse_repo_ref(url, self.gateways.host_kinds)
        if ref is None:
            return None
        outcome = self.gateways.code_hosts[ref.host].repo_facts([RepoRequest(ref)], now=self.now)[0]
        return outcome.facts if isinstance(outcome, Fetched) else outcome

    def _index(self, name: str) -> IndexFacts | None:
        return self.gateways.index.index_facts(name, validators={}).facts

    def _apply_repo_facts(self, draft: PackageDraft, facts: RepoFacts | None) -> PackageDraft:
        if facts is None:
            return draft
        repo_url = draft.repo_url
        if facts.web_url and repo_key(facts.web_url) != repo_key(repo_url):
            try:
                repo_url = normalise_repo_url(facts.web_url, self.gateways.host_kinds)
                self.notes.append(f"The repository has moved to {repo_url}.")
            except Invalid:
                pass
        return replace(
            draft, repo_url=repo_url[:MAX_URL_LENGTH], description=draft.description or _summary(facts.description)
        )

    def _apply_index_facts(self, draft: PackageDraft, facts: IndexFacts) -> PackageDraft:
        name = facts.name if parse_project_name(facts.name) else draft.pypi_url
        documentation = safe_url(facts.documentation_url)
        return replace(
            draft,
            title=name[:MAX_TITLE_LENGTH],
            pypi_url=name[:MAX_PYPI_LENGTH],
            documentation_url=documentation,
            description=_summary(facts.summary) or draft.description,
        )

    def _result(self, future: Future[T | UpstreamError | None], host: str, what: str) -> T | None:
        """Return what a host told, or note in words why it told nothing."""
        wait([future], timeout=self._patience_s)
        if not future.done():
            self.notes.append(
                f"{host} did not respond within {self._patience_s:.0f} seconds. Fill in the form manually."
            )
            return None
        try:
            outcome = future.result()
        except UpstreamError as failure:
            outcome = failure
        except Exception:  # a mistake of ours must not keep a person from filling in the form
            log.exception("lookup on %s failed: %s", host, what)
            outcome = BadResponse("")
        if isinstance(outcome, UpstreamError):
            self.notes.append(failure_message(outcome, host, what))
            return None
        return outcome

    def _result_or_none(self, future: Future[T | None]) -> T | None:
        """Return what a host told where it was only a guess; nobody needs to know that it failed."""
        try:
            return future.result(timeout=self._patience_s)
        except Exception as failure:
            if not isinstance(failure, UpstreamError | TimeoutError):
                log.exception("lookup of a guessed project name failed")
            return None


def failure_message(failure: UpstreamError, host: str, what: str) -> str:
    """Tell a person why a host told nothing."""
    manual_hint = "You can fill in the form manually."
    if isinstance(failure, Gone):
        return f"The {what} was not found on {host}, or is not public. Check it before you continue."
    if isinstance(failure, RateLimited):
        return f"The rate limit of {host} has been reached. {manual_hint}"
    if isinstance(failure, NotAllowed):
        return f"{host} denied access. {manual_hint}"
    if isinstance(failure, BadResponse):
        return f"{host} returned an invalid response. {manual_hint}"
    return f"Could not connect to {host}. {manual_hint}"


def repository_of_project(facts: IndexFacts, gateways: Gateways) -> str:
    """Return the repository that a project names as its own, in normal form; empty where it names none.

    An address on a host that is known to keep code comes before any other.
    """
    urls_by_label = {
        "".join(filter(str.isalpha, label.lower())): url for label, url in (facts.project_urls or {}).items()
    }
    urls = [urls_by_label[label] for label in CODE_LABELS if label in urls_by_label] + list(urls_by_label.values())
    known = [url for url in urls if safe_url(url) and parse_repo_ref(url, gateways.host_kinds)]
    for url in known or [urls_by_label[label] for label in CODE_LABELS[:4] if label in urls_by_label]:
        try:
            normal = normalise_repo_url(url, gateways.host_kinds)
        except Invalid:
            continue
        if len(normal) <= MAX_URL_LENGTH:
            return normal
    return ""


def _project_name_in(text: str, gateways: Gateways) -> str:
    """Return the name of a project if that is what a person pasted: a name, a command, or an address on the index."""
    if " " in text or not ("/" in text or ":" in text):
        return parse_project_name(text)
    address = text if "://" in text else f"https://{text}"
    host = _host_name(address).lower().removeprefix("www.")
    return parse_project_name(parse_pypi_name(address)) if host in INDEX_HOSTS | {gateways.package_index_host} else ""


def _host_name(url: str) -> str:
    return url.partition("://")[2].partition("/")[0]


def _summary(text: str | None) -> str:
    return "" if not text or is_blank(text) else " ".join(text.split())[:300]
