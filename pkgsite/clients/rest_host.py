"""Base class for code hosts with a REST API, which are queried one repository at a time."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import ClassVar

from pkgsite.clients.base import ActivityFacts, Fetched, ParticipantFacts, Quota, RepoFacts, RepoRef, RepoRequest
from pkgsite.clients.http import JsonClient
from pkgsite.clients.rest import RestApi
from pkgsite.errors import Gone, NotAllowed, UpstreamError


class RestHost(ABC):
    """A `CodeHost` for all hosts of one kind.

    Attributes:
        quotas: Quotas by host, if reported.
        probe_path: A path that every API of the kind has (see `Liveness`).
        auth_scheme: Scheme of the Authorization header.
    """

    quotas: Mapping[str, Quota]
    is_batched = False
    probe_path: ClassVar[str]
    auth_scheme: ClassVar[str] = "Bearer"

    def __init__(
        self, client: JsonClient, *, api: Callable[[str], str], tokens: Mapping[str, str] | None = None
    ) -> None:
        """Create the client, with the API URL and optional token of each host."""
        self._api = RestApi(client, api, tokens or {}, probe_path=self.probe_path, auth_scheme=self.auth_scheme)
        self.quotas = self._api.quotas

    @staticmethod
    @abstractmethod
    def default_api_url(host: str) -> str:
        """Return a host's default API URL."""

    def repo_facts(
        self,
        repo_requests: Sequence[RepoRequest],
        *,
        now: datetime,  # noqa: ARG002 - part of the interface
    ) -> list[Fetched[RepoFacts] | UpstreamError]:
        """Return the result for each repository; after a rate limit or a refusal, no further request is sent there."""
        outcomes: list[Fetched[RepoFacts] | UpstreamError] = []
        failed_hosts: dict[str, UpstreamError] = {}
        for repo_request in repo_requests:
            host = repo_request.ref.host
            try:
                outcomes.append(failed_hosts.get(host) or self._fetch_repo(repo_request))
            except UpstreamError as failure:
                if failure.stops_host:
                    failed_hosts[host] = failure
                outcomes.append(failure)
        return outcomes

    @abstractmethod
    def activity_facts(
        self, ref: RepoRef, *, validators: Mapping[str, str], now: datetime
    ) -> Fetched[ActivityFacts]: ...

    @abstractmethod
    def participant_facts(self, ref: RepoRef, *, validators: Mapping[str, str]) -> Fetched[ParticipantFacts]: ...

    @abstractmethod
    def _fetch_repo(self, repo_request: RepoRequest) -> Fetched[RepoFacts]: ...


def check_same_repository(repo_request: RepoRequest, node_id: str) -> None:
    """Raise `Gone` if the name now belongs to a repository with another id than the last time."""
    known_id = repo_request.validators.get("node_id", node_id)
    if known_id != node_id:
        raise Gone(f"{repo_request.ref.host}/{repo_request.ref.path}: the name now belongs to a different repository")


def hidden_code_error(ref: RepoRef) -> NotAllowed:
    """Return the error for a repository that exists but whose code can't be read."""
    return NotAllowed(f"{ref.host}/{ref.path}: the commits are not public")
