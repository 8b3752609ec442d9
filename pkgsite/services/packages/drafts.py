"""Drafts of new packages, from a pasted URL or project name and the facts of the code host and the package index."""

from __future__ import annotations

import logging
import re
import threading
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TypeVar
from urllib.parse import unquote

from packaging.utils import canonicalize_name
from sqlalchemy.orm import Session

from pkgsite.clients.base import Fetched, Gateways, IndexFacts, RepoFacts, RepoRequest
from pkgsite.errors import BadResponse, Gone, Invalid, NotAllowed, RateLimited, UpstreamError
from pkgsite.rules.links import safe_url
from pkgsite.rules.references import INDEX_HOSTS, parse_reference
from pkgsite.rules.repo_urls import RepoRef, normalise_repo_url, parse_repo_address, parse_repo_ref, repo_key
from pkgsite.rules.texts import FieldReader, is_blank
from pkgsite.services.packages.fields import MAX_PYPI_LENGTH, MAX_TITLE_LENGTH, MAX_URL_LENGTH, parse_project_name
from pkgsite.services.packages.lookup import find_by_index_name, find_in_repository, packages_of_repository
from pkgsite.services.packages.records import Ref

log = logging.getLogger(__name__)

LOOKUP_TIMEOUT_S = 8.0  # per request; a user waits for the form
# Labels of project URLs that point to the code, most reliable first.
CODE_LABELS = ("source", "sourcecode", "repository", "code", "github", "gitlab", "homepage")
FUNDING_WORDS = frozenset({"donate", "donation", "donations", "fund", "funding", "sponsor", "sponsors", "sponsorship"})
DOCUMENTATION_WORDS = frozenset({"doc", "docs", "documentation", "manual", "guide", "tutorial"})
# Limits concurrent lookups; their threads may outlive the timeout.
_LOOKUP_SLOTS = threading.BoundedSemaphore(8)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class PackageDraft:
    """Initial values for the form of a new package.

    Attributes:
        messages: Messages for the user about the lookup.
    """

    title: str = ""
    repo_url: str = ""
    repo_directory: str = ""  # the package's directory in the repository
    pypi_url: str = ""
    documentation_url: str | None = None  # from the package index; the user need not enter it
    description: str = ""
    messages: list[str] = field(default_factory=list)


def draft_from_reference(reference: str, gateways: Gateways) -> PackageDraft:
    """Return a draft from a repository URL, a project name, an install command or a project's URL.

    Raises:
        Invalid: The reference is none of these; the message is under "reference".
    """
    reader = FieldReader()
    text = reader.read_line("reference", reference, 10 * MAX_URL_LENGTH, is_required=True)
    reader.raise_if_invalid()
    found = parse_reference(text, INDEX_HOSTS | {gateways.package_index_host})
    if found.project and not found.repo_url:
        return PackageDraft(title=found.project[:MAX_TITLE_LENGTH], pypi_url=found.project[:MAX_PYPI_LENGTH])
    try:
        address = parse_repo_address(found.repo_url or text, gateways.host_kinds)
    except Invalid as error:
        raise Invalid({"reference": error.problems["repo_url"]}) from None
    if max(len(address.url), len(address.directory)) > MAX_URL_LENGTH:
        raise Invalid({"reference": ["This URL is too long."]})
    title = (address.directory or unquote(address.path)).rpartition("/")[2][:MAX_TITLE_LENGTH]
    return PackageDraft(title=title, repo_url=address.url, repo_directory=address.directory)


def find_existing_package(session: Session, draft: PackageDraft, gateways: Gateways) -> Ref | None:
    """Return the existing package that a draft would duplicate."""
    if draft.pypi_url and (package := find_by_index_name(session, draft.pypi_url)):
        return package
    if not draft.repo_url:
        return None
    if draft.repo_directory and not draft.pypi_url:
        listed = packages_of_repository(session, draft.repo_url, gateways.host_kinds)
        return next((package.ref for package in listed if package.directory == draft.repo_directory), None)
    return find_in_repository(session, draft.repo_url, draft.pypi_url, gateways.host_kinds)


def complete_draft(
    draft: PackageDraft, gateways: Gateways, *, now: datetime, timeout_s: float = LOOKUP_TIMEOUT_S
) -> PackageDraft:
    """Look up a draft on the code host and the package index, and return it with their facts.

    Call it without an open transaction. Failures are reported in `messages`, and never prevent filling in the form.
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
    """Release the lookup slot when the last of the pool's threads has ended."""
    pool.shutdown(wait=True)
    _LOOKUP_SLOTS.release()


class _Lookup:
    """The lookup of one draft."""

    def __init__(
        self, draft: PackageDraft, gateways: Gateways, now: datetime, pool: ThreadPoolExecutor, timeout_s: float
    ) -> None:
        self.draft, self.gateways, self.now = draft, gateways, now
        self._pool, self._timeout_s = pool, timeout_s
        self._messages: list[str] = []

    def from_index(self) -> PackageDraft:
        """Look up the project on the package index, and then its repository."""
        name, index_host = self.draft.pypi_url, self.gateways.package_index_host
        facts = self._result(self._pool.submit(self._fetch_index_facts, name), index_host, f"project “{name}”")
        if facts is None:
            return replace(self.draft, messages=self._messages)
        url = repository_of_project(facts, self.gateways)
        if not url:
            self._messages.append(f"{index_host} lists no repository for this project. Enter the repository URL below.")
        draft = self._apply_index_facts(replace(self.draft, repo_url=url), facts)
        ref = parse_repo_ref(url, self.gateways.host_kinds) if url else None
        if ref:
            draft = self._apply_repo_facts(draft, ref)
        return replace(draft, messages=self._messages)

    def from_repo(self) -> PackageDraft:
        """Look up the repository, and a project with its name, which must link back to the repository."""
        url, draft = self.draft.repo_url, self.draft
        guessed_name = parse_project_name((draft.repo_directory or url).rpartition("/")[2])
        index_lookup = self._pool.submit(self._fetch_index_facts, guessed_name) if guessed_name else None
        ref = parse_repo_ref(url, self.gateways.host_kinds)
        if ref:
            draft = self._apply_repo_facts(draft, ref)
        else:
            self._messages.append(
                f"{_host_name(url)} is not a supported code host, so repository facts will not be available."
            )
        facts = self._result_or_none(index_lookup) if index_lookup else None
        keys = {repo_key(url), repo_key(draft.repo_url)}
        if facts and repo_key(repository_of_project(facts, self.gateways)) in keys:
            draft = self._apply_index_facts(replace(draft, pypi_url=facts.name[:MAX_PYPI_LENGTH]), facts)
        else:
            self._messages.append(
                f"No matching project found on {self.gateways.package_index_host}. Enter its name if there is one."
            )
        return replace(draft, messages=self._messages)

    def _fetch_repo_facts(self, ref: RepoRef) -> RepoFacts | UpstreamError | None:
        outcome = self.gateways.code_hosts[ref.host].repo_facts([RepoRequest(ref)], now=self.now)[0]
        return outcome.facts if isinstance(outcome, Fetched) else outcome

    def _fetch_index_facts(self, name: str) -> IndexFacts | None:
        return self.gateways.index.index_facts(name, validators={}).facts

    def _apply_repo_facts(self, draft: PackageDraft, ref: RepoRef) -> PackageDraft:
        repo_url = draft.repo_url
        facts = self._result(self._pool.submit(self._fetch_repo_facts, ref), _host_name(repo_url), "repository")
        if facts is None:
            return draft
        if facts.web_url and repo_key(facts.web_url) != repo_key(repo_url):
            try:
                repo_url = normalise_repo_url(facts.web_url, self.gateways.host_kinds)
                self._messages.append(f"The repository has moved to {repo_url}.")
            except Invalid:
                pass
        return replace(
            draft, repo_url=repo_url[:MAX_URL_LENGTH], description=draft.description or _summary(facts.description)
        )

    def _apply_index_facts(self, draft: PackageDraft, facts: IndexFacts) -> PackageDraft:
        name = facts.name if parse_project_name(facts.name) else draft.pypi_url
        return replace(
            draft,
            title=name[:MAX_TITLE_LENGTH],
            pypi_url=name[:MAX_PYPI_LENGTH],
            documentation_url=safe_url(facts.documentation_url),
            description=_summary(facts.summary) or draft.description,
        )

    def _result(self, future: Future[T | UpstreamError | None], host: str, noun: str) -> T | None:
        """Return the result of a request, or None after adding a message about its failure."""
        wait([future], timeout=self._timeout_s)
        if not future.done():
            self._messages.append(
                f"{host} did not respond within {self._timeout_s:.0f} seconds. Fill in the form manually."
            )
            return None
        try:
            outcome = future.result()
        except UpstreamError as error:
            outcome = error
        except Exception:  # a bug must not prevent filling in the form
            log.exception("lookup on %s failed: %s", host, noun)
            outcome = BadResponse("")
        if isinstance(outcome, UpstreamError):
            self._messages.append(failure_message(outcome, host, noun))
            return None
        return outcome

    def _result_or_none(self, future: Future[T | None]) -> T | None:
        """Return the result of a guess, or None without a message if it fails."""
        try:
            return future.result(timeout=self._timeout_s)
        except Exception as error:
            if not isinstance(error, UpstreamError | TimeoutError):
                log.exception("lookup of a guessed project name failed")
            return None


def failure_message(error: UpstreamError, host: str, noun: str) -> str:
    """Return a message for the user about a failed request."""
    manual_hint = "You can fill in the form manually."
    if isinstance(error, Gone):
        return f"The {noun} was not found on {host}, or is not public. Check it before you continue."
    if isinstance(error, RateLimited):
        return f"The rate limit of {host} has been reached. {manual_hint}"
    if isinstance(error, NotAllowed):
        return f"{host} denied access. {manual_hint}"
    if isinstance(error, BadResponse):
        return f"{host} returned an invalid response. {manual_hint}"
    return f"Could not connect to {host}. {manual_hint}"


def repository_of_project(facts: IndexFacts, gateways: Gateways) -> str:
    """Return the normalised URL of a project's repository, or "" if it lists none; prefer supported code hosts."""
    urls_by_label = {
        "".join(filter(str.isalpha, label.lower())): url
        for label, url in (facts.project_urls or {}).items()
        if _can_be_repository(label, url, facts.name)
    }
    urls = [urls_by_label[label] for label in CODE_LABELS if label in urls_by_label] + list(urls_by_label.values())
    supported = [url for url in urls if safe_url(url) and parse_repo_ref(url, gateways.host_kinds)]
    for url in supported or [urls_by_label[label] for label in CODE_LABELS[:4] if label in urls_by_label]:
        try:
            normalised_url = normalise_repo_url(url, gateways.host_kinds)
        except Invalid:
            continue
        if len(normalised_url) <= MAX_URL_LENGTH:
            return normalised_url
    return ""


def _can_be_repository(label: str, url: str, project: str) -> bool:
    """Return whether a project URL can be that of the project's repository, by its label.

    Sponsors and documentation can be in someone else's repository, or in one of their own.
    """
    words = set(re.findall(r"[a-z]+", label.lower()))
    if words & FUNDING_WORDS:
        return False
    name = url.partition("#")[0].rstrip("/").split("/")[4:5]
    return not words & DOCUMENTATION_WORDS or [canonicalize_name(part) for part in name] == [canonicalize_name(project)]


def _host_name(url: str) -> str:
    return url.partition("://")[2].partition("/")[0]


def _summary(text: str | None) -> str:
    return "" if not text or is_blank(text) else " ".join(text.split())[:300]
