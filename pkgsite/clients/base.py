"""The interfaces of the clients that services use, and the facts that the clients return."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Generic, Protocol, TypeVar

from pkgsite.errors import Gone, UpstreamError
from pkgsite.rules.records import CategoryFacts, GridFacts, InvalidRecord, PackageFacts
from pkgsite.rules.repo_urls import RepoRef

__all__ = [
    "ActivityFacts",
    "CategoryFacts",
    "CodeHost",
    "DifferentRepository",
    "DownloadFacts",
    "Fetched",
    "Gateways",
    "GridFacts",
    "IndexFacts",
    "InvalidRecord",
    "PackageFacts",
    "PackageIndex",
    "ParticipantFacts",
    "Quota",
    "RecordPage",
    "RecordSite",
    "ReleaseFacts",
    "RepoFacts",
    "RepoRef",
    "RepoRequest",
    "Vulnerability",
    "check_identity",
    "identity_of",
    "with_empty",
]


DEFAULT_INDEX_URL = "https://pypi.org"


@dataclass(frozen=True, slots=True)
class RecordPage:
    """A page of one of a site's lists."""

    count: int  # total number of records, as reported by the site
    records: Sequence[Any]  # CategoryFacts, GridFacts or PackageFacts; InvalidRecord if malformed
    is_last: bool


class RecordSite(Protocol):
    """Another site that lists its categories, grids and packages.

    Attributes:
        root: The root URL of its API, in canonical form.
    """

    root: str

    @property
    def has_local_times(self) -> bool:
        """Whether a record read so far had a time without a UTC offset."""
        ...

    def page(self, collection: str, offset: int) -> RecordPage:
        """Return a page of a collection ("categories", "grids", "packages"), starting at record `offset`.

        Raises:
            UpstreamError: The site could not be read.
        """
        ...


@dataclass(frozen=True, slots=True)
class RepoFacts:
    """Facts about a repository from its code host.

    A fact that is `None` is not in this response, and never overwrites a known value, unless `empty` names it.
    """

    node_id: str | None = None  # the host's own id, which survives a rename
    web_url: str | None = None  # the repository's current URL
    description: str | None = None
    stars: int | None = None
    forks: int | None = None
    open_issues: int | None = None
    is_archived: bool | None = None
    default_branch: str | None = None
    last_commit_at: datetime | None = None
    commit_count: int | None = None
    licence: str | None = None  # an SPDX identifier
    latest_release: str | None = None  # the tag name
    topics: tuple[str, ...] | None = None
    has_issues: bool | None = None  # whether it has an issue tracker on this host
    archived_at: datetime | None = None  # when it was archived, if the host tells
    is_fork: bool | None = None
    parent_url: str | None = None  # URL of the repository that it was forked from
    is_mirror: bool | None = None
    homepage_url: str | None = None  # empty if it has none
    # The names of the facts that the response states to be empty or unknown; not part of the facts themselves.
    empty: frozenset[str] = field(default=frozenset(), compare=False)


@dataclass(frozen=True, slots=True)
class ActivityFacts:
    """Commits of the last 52 weeks: one count per week, oldest first."""

    commits_over_52: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class ParticipantFacts:
    """The authors of a repository's commits, most commits first."""

    participants: tuple[str, ...]
    is_complete: bool  # whether the list includes all participants
    is_too_large: bool = False  # whether the host lists nobody because there are too many


@dataclass(frozen=True, slots=True)
class ReleaseFacts:
    """One release, as the package index lists it."""

    number: str
    uploaded_at: datetime | None  # upload time of its first file; None if it has no files
    is_prerelease: bool
    yanked_reason: str | None  # None if not yanked; empty if yanked without a reason
    requires_python: str | None
    supports_python3: bool | None


@dataclass(frozen=True, slots=True)
class Vulnerability:
    """A known vulnerability of the current release."""

    id: str
    aliases: tuple[str, ...]
    summary: str
    link: str | None
    fixed_in: tuple[str, ...]  # the releases that fix it


@dataclass(frozen=True, slots=True)
class IndexFacts:
    """Facts about a project from the package index.

    A fact that is `None` is not in this response, and never overwrites a known value, unless `empty` names it.
    """

    name: str  # as spelled by the project
    version: str | None  # newest release that is not yanked; a final release if there is one
    released_at: datetime | None
    releases: tuple[ReleaseFacts, ...]  # newest first
    summary: str | None
    licence: str | None  # an SPDX expression if known
    licences: tuple[str, ...] | None  # all licences that the project declares
    classifiers: tuple[str, ...] | None
    requires_python: str | None
    supports_python3: bool | None
    development_status: int | None  # 1 planning … 7 inactive
    documentation_url: str | None
    project_urls: Mapping[str, str] | None
    requires_dist: tuple[str, ...] | None
    vulnerabilities: tuple[Vulnerability, ...] | None  # of the current release, without withdrawn ones
    has_all_releases: bool = True  # whether `releases` are all of them
    status: str | None = None  # "active", "archived", "quarantined" or "deprecated"
    status_reason: str | None = None  # why it has this status; empty if no reason is given
    # The names of the facts that the response states to be empty or unknown; not part of the facts themselves.
    empty: frozenset[str] = field(default=frozenset(), compare=False)


@dataclass(frozen=True, slots=True)
class DownloadFacts:
    """Download counts of a project."""

    last_month: int | None  # None if the host has no count
    empty: frozenset[str] = field(default=frozenset(), compare=False)  # {"last_month"} if the host says so


FactsT = TypeVar("FactsT")
ClearableT = TypeVar("ClearableT", RepoFacts, IndexFacts, DownloadFacts)


def with_empty(facts: ClearableT, stated: Iterable[str]) -> ClearableT:
    """Return the facts with `empty` set.

    Args:
        facts: The facts.
        stated: The names of the facts whose fields are in the response, whatever their values.
    """
    return replace(facts, empty=frozenset(name for name in stated if getattr(facts, name) is None))


@dataclass(frozen=True, slots=True)
class Fetched(Generic[FactsT]):
    """The result of a request to a source.

    Attributes:
        facts: The facts; None if nothing has changed or the source is not ready yet.
        validators: ETags, ids and times to send with the next request; they replace the previous ones.
        is_pending: Whether the source is still computing the facts, so the request should be repeated later.
    """

    facts: FactsT | None
    validators: Mapping[str, str] = field(default_factory=dict)
    is_pending: bool = False


@dataclass(frozen=True, slots=True)
class Quota:
    """The request quota that a host grants this site, as reported by a host."""

    limit: int
    remaining: int
    resets_at: datetime


@dataclass(frozen=True, slots=True)
class RepoRequest:
    """A repository to fetch, with the validators from the previous fetch."""

    ref: RepoRef
    validators: Mapping[str, str] = field(default_factory=dict)


# The host's ids of a repository, among the validators. They survive a rename; only GitHub has two.
IDENTITY_KEYS = ("node_id", "database_id")


class DifferentRepository(Gone):
    """A repository's name now belongs to another one: after a rename, anyone can create one with the old name."""


def identity_of(validators: Mapping[str, str]) -> dict[str, str]:
    """Return the ids of the repository among its validators."""
    return {key: validators[key] for key in IDENTITY_KEYS if key in validators}


def check_identity(ref: RepoRef, known: Mapping[str, str], current: Mapping[str, str]) -> None:
    """Raise `DifferentRepository` if the known ids are those of another repository than the current ones.

    Without known ids, any repository is accepted. Of two ids, either identifies a repository, because GitHub may
    change the format of node ids.
    """
    common = [key for key in IDENTITY_KEYS if key in known and key in current]
    if common and all(known[key] != current[key] for key in common):
        raise DifferentRepository(f"{ref.host}/{ref.path}: the name now belongs to a different repository")


class CodeHost(Protocol):
    """A kind of code host, such as GitHub."""

    quotas: Mapping[str, Quota]  # by name of the quota, as last reported by the host

    @property
    def is_batched(self) -> bool:
        """Whether one request fetches many repositories."""
        ...

    def repo_facts(
        self, repo_requests: Sequence[RepoRequest], *, now: datetime
    ) -> list[Fetched[RepoFacts] | UpstreamError]:
        """Return the result for each repository, in order; a failed repository does not affect the others."""
        ...

    def activity_facts(self, ref: RepoRef, *, validators: Mapping[str, str], now: datetime) -> Fetched[ActivityFacts]:
        """Return the commits of the last 52 weeks.

        Raises:
            UpstreamError: The request failed (`Gone` if the name belongs to another repository than the validators).
        """
        ...

    def participant_facts(self, ref: RepoRef, *, validators: Mapping[str, str]) -> Fetched[ParticipantFacts]:
        """Return the people who have committed.

        Raises:
            UpstreamError: The request failed (`Gone` if the name belongs to another repository than the validators).
        """
        ...


class PackageIndex(Protocol):
    """A package index and its download counts."""

    def index_facts(self, name: str, *, validators: Mapping[str, str]) -> Fetched[IndexFacts]:
        """Return the facts about a project; the validator "serial" is its serial, if the index reports one.

        Raises:
            UpstreamError: The request failed (`Gone` if there is no such project).
        """
        ...

    def serials(self, names: Collection[str], *, validators: Mapping[str, str]) -> Fetched[Mapping[str, int]]:
        """Return the serials of these projects by normalised name. Each change to a project increases its serial.

        Sends a single request. A name without a serial is not on the index.

        Raises:
            UpstreamError: The request failed.
        """
        ...

    def download_facts(self, name: str) -> Fetched[DownloadFacts]:
        """Return the download counts of a project.

        Raises:
            UpstreamError: The request failed.
        """
        ...


@dataclass(frozen=True, slots=True)
class Gateways:
    """The clients of the hosts that facts are fetched from, as configured in the settings.

    Attributes:
        code_hosts: The code hosts, by host name.
        host_kinds: The kind of each code host ("github", "gitlab", …), by host name.
        index: The package index and its download counts.
        package_index_host: The host name of the index.
        downloads_host: The host name of the download counts.
        package_index_url: The URL of the index, without a trailing slash.
    """

    code_hosts: Mapping[str, CodeHost]
    host_kinds: Mapping[str, str]
    index: PackageIndex
    package_index_host: str
    downloads_host: str
    package_index_url: str = DEFAULT_INDEX_URL


@dataclass(frozen=True, slots=True)
class ExternalIdentity:
    """A person's account at a login provider, with which they have just logged in.

    Attributes:
        provider: "github" or "gitlab".
        subject: The person's user id there, which survives a rename.
        login: Their current username there.
        email: Their email address, if the provider has verified it.
    """

    provider: str
    subject: str
    login: str
    email: str | None


class LoginProvider(Protocol):
    """A site whose accounts can be used to log in."""

    title: str

    def authorize_url(self, *, state: str, verifier: str, callback: str) -> str:
        """Return the URL where a person authorizes the login."""
        ...

    def fetch_identity(self, *, code: str, verifier: str, callback: str) -> ExternalIdentity:
        """Exchange an authorization code for the person's identity.

        Raises:
            UpstreamError: The request failed (`NotAllowed` if the provider rejects the code).
        """
        ...


class EmailSender(Protocol):
    """Sends emails."""

    def send(self, *, to: str, subject: str, body: str) -> None:
        """Send a plain-text email.

        Raises:
            UpstreamError: The email could not be sent.
        """
        ...


@dataclass(frozen=True, slots=True)
class AccountGateways:
    """The external services that accounts use.

    Attributes:
        providers: The login providers, by name; empty if none is configured.
        mailer: The email sender; None if email is disabled.
    """

    providers: Mapping[str, LoginProvider]
    mailer: EmailSender | None
