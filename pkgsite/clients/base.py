"""What clients promise: the interfaces that services know them by, and the facts that they return."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Generic, Protocol, TypeVar

from pkgsite.errors import UpstreamError
from pkgsite.rules.records import CategoryFacts, GridFacts, InvalidRecord, PackageFacts
from pkgsite.rules.repo_urls import RepoRef

__all__ = [
    "ActivityFacts",
    "CategoryFacts",
    "CodeHost",
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
]


@dataclass(frozen=True, slots=True)
class RecordPage:
    """A stretch of one of a site's lists."""

    count: int  # records in the whole list, as the site says
    records: Sequence[Any]  # what the list is of (CategoryFacts, GridFacts, PackageFacts), or Unreadable
    is_last: bool


class RecordSite(Protocol):
    """Another site that lists its categories, grids and packages.

    Attributes:
        root: Its address, always written the same way.
    """

    root: str

    def page(self, noun: str, offset: int) -> RecordPage:
        """Return the records of a list ("categories", "grids", "packages") from the `offset`-th on.

        Raises:
            UpstreamError: the site could not be read.
        """
        ...


@dataclass(frozen=True, slots=True)
class RepoFacts:
    """What a code host tells of a repository. `None` means "not told", and never overwrites what is known."""

    node_id: str | None = None  # the host's own id, which a rename does not change
    web_url: str | None = None  # where the repository lives now
    description: str | None = None
    stars: int | None = None
    forks: int | None = None
    open_issues: int | None = None
    is_archived: bool | None = None
    default_branch: str | None = None
    last_commit_at: datetime | None = None
    commit_count: int | None = None
    licence: str | None = None  # an SPDX identifier
    latest_release: str | None = None  # its tag
    topics: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class ActivityFacts:
    """Commits of the last 52 weeks: one number a week, oldest first."""

    commits_over_52: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class ParticipantFacts:
    """Who has committed, most commits first."""

    participants: tuple[str, ...]
    is_complete: bool  # whether the list names everybody


@dataclass(frozen=True, slots=True)
class ReleaseFacts:
    """One release, as the package index lists it."""

    number: str
    uploaded_at: datetime | None  # of its first file; None where it has no file
    is_prerelease: bool
    yanked_reason: str | None  # None: not yanked; empty: yanked without a reason
    requires_python: str | None
    supports_python3: bool | None


@dataclass(frozen=True, slots=True)
class Vulnerability:
    """A known vulnerability of the present release."""

    id: str
    aliases: tuple[str, ...]
    summary: str
    link: str | None
    fixed_in: tuple[str, ...]  # the releases that are without it


@dataclass(frozen=True, slots=True)
class IndexFacts:
    """What the package index tells of a project. `None` means "not told", and never overwrites what is known."""

    name: str  # as the project writes it
    version: str | None  # the newest release that is not yanked, a final one if there is one
    released_at: datetime | None
    releases: tuple[ReleaseFacts, ...]  # all, newest first
    summary: str | None
    licence: str | None  # an SPDX expression where it is known as one
    licences: tuple[str, ...] | None  # every licence that is named
    classifiers: tuple[str, ...] | None
    requires_python: str | None
    supports_python3: bool | None
    development_status: int | None  # 1 planning … 7 inactive
    documentation_url: str | None
    project_urls: Mapping[str, str] | None
    requires_dist: tuple[str, ...] | None
    vulnerabilities: tuple[Vulnerability, ...] | None  # of the present release; withdrawn ones are left out


@dataclass(frozen=True, slots=True)
class DownloadFacts:
    """How often a project's files were downloaded."""

    last_month: int | None  # None: the host keeps no count of it


FactsT = TypeVar("FactsT")


@dataclass(frozen=True, slots=True)
class Fetched(Generic[FactsT]):
    """What came of asking a source.

    Attributes:
        facts: What the source told; None where nothing has changed, or where it will only tell later.
        validators: What makes the next request cheap (ETags, ids, times), to be given back then, in place of the old.
        is_pending: The source is still working it out, and asks us to come back.
    """

    facts: FactsT | None
    validators: Mapping[str, str] = field(default_factory=dict)
    is_pending: bool = False


@dataclass(frozen=True, slots=True)
class Quota:
    """What a host says of our quota."""

    limit: int
    remaining: int
    resets_at: datetime


@dataclass(frozen=True, slots=True)
class RepoRequest:
    """A repository to ask for, with the validators of the last time."""

    ref: RepoRef
    validators: Mapping[str, str] = field(default_factory=dict)


class CodeHost(Protocol):
    """A kind of code host: what it tells of the repositories that it keeps."""

    quotas: Mapping[str, Quota]  # by the name of the quota, as the host last told

    @property
    def is_batched(self) -> bool:
        """Whether one request tells of many repositories."""
        ...

    def repo_facts(
        self, repo_requests: Sequence[RepoRequest], *, now: datetime
    ) -> list[Fetched[RepoFacts] | UpstreamError]:
        """Return what came of each repository, in their order; one that fails never takes others with it."""
        ...

    def activity_facts(self, ref: RepoRef, *, validators: Mapping[str, str], now: datetime) -> Fetched[ActivityFacts]:
        """Return the commits of the last 52 weeks.

        Raises:
            UpstreamError: the host could not tell.
        """
        ...

    def participant_facts(self, ref: RepoRef, *, validators: Mapping[str, str]) -> Fetched[ParticipantFacts]:
        """Return who has committed.

        Raises:
            UpstreamError: the host could not tell.
        """
        ...


class PackageIndex(Protocol):
    """A package index, and the count of its downloads."""

    def index_facts(self, name: str, *, validators: Mapping[str, str]) -> Fetched[IndexFacts]:
        """Return what the index tells of a project; the validator "serial" is the project's serial, where it told it.

        Raises:
            UpstreamError: the index could not tell; Gone: there is no such project.
        """
        ...

    def serials(self, names: Collection[str], *, validators: Mapping[str, str]) -> Fetched[Mapping[str, int]]:
        """Return the serials of these projects, by normalised name: a project's grows with each change to it.

        All are told by one answer; a name that is not in it is not on the index.

        Raises:
            UpstreamError: the index could not tell.
        """
        ...

    def download_facts(self, name: str) -> Fetched[DownloadFacts]:
        """Return how often a project was downloaded.

        Raises:
            UpstreamError: the count could not be read.
        """
        ...


@dataclass(frozen=True, slots=True)
class Gateways:
    """The hosts that facts come from, as the settings name them.

    Attributes:
        code_hosts: Those that repositories are read from, by name.
        host_kinds: For each of them its kind, by which its addresses are read.
        index: The package index, and the count of its downloads.
        package_index_host: The name of the index's host.
        downloads_host: The name of the host that counts its downloads.
    """

    code_hosts: Mapping[str, CodeHost]
    host_kinds: Mapping[str, str]
    index: PackageIndex
    package_index_host: str
    downloads_host: str


@dataclass(frozen=True, slots=True)
class ExternalIdentity:
    """Whom another site vouches for: a person who has just logged in there.

    Attributes:
        provider: "github" or "gitlab".
        subject: The number that the person has there, which a rename does not change.
        login: The name that they have there now.
        email: Their address, if the other site has confirmed it.
    """

    provider: str
    subject: str
    login: str
    email: str | None


class LoginProvider(Protocol):
    """A site with whose accounts people can log in."""

    title: str

    def authorize_url(self, *, state: str, verifier: str, callback: str) -> str:
        """Return where to send a person to be asked whether they want to log in here."""
        ...

    def fetch_identity(self, *, code: str, verifier: str, callback: str) -> ExternalIdentity:
        """Return who came back with this code.

        Raises:
            UpstreamError: the provider could not tell; NotAllowed: it does not accept the code.
        """
        ...


class EmailSender(Protocol):
    """A way to send letters."""

    def send(self, *, to: str, subject: str, body: str) -> None:
        """Send a message in plain text.

        Raises:
            UpstreamError: it was not taken.
        """
        ...


@dataclass(frozen=True, slots=True)
class AccountGateways:
    """What accounts need of the world outside.

    Attributes:
        providers: Where people can log in, by name; empty where none is set.
        mailer: None where no mail is sent.
    """

    providers: Mapping[str, LoginProvider]
    mailer: EmailSender | None
