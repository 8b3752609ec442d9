"""What the clients of hosts with a REST API have in common: one repository at a time, each host by its own API."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import ClassVar

from pkgsite.clients.base import ActivityFacts, Fetched, ParticipantFacts, Quota, RepoFacts, RepoRef, RepoRequest
from pkgsite.clients.http import JsonClient
from pkgsite.clients.rest import RestApi
from pkgsite.errors import Gone, NotAllowed, RateLimited, UpstreamError


class RestHost(ABC):
    """A `CodeHost` over the hosts of one kind.

    Attributes:
        quotas: By host, where it tells of one.
        probe_path: A path that every API of the kind has (see `Liveness`).
        auth_scheme: How a token is announced.
    """

    quotas: Mapping[str, Quota]
    is_batched = False
    probe_path: ClassVar[str]
    auth_scheme: ClassVar[str] = "Bearer"

    def __init__(
        self, reader: JsonClient, *, api: Callable[[str], str] | None = None, tokens: Mapping[str, str] | None = None
    ) -> None:
        """Know where each host's API is (by default where the kind has it), and the token for each that has one."""
        self._api = RestApi(
            reader, api or self.default_api_url, tokens or {}, landmark=self.probe_path, scheme=self.auth_scheme
        )
        self.quotas = self._api.quotas

    @staticmethod
    @abstractmethod
    def default_api_url(host: str) -> str:
        """Return where a host's API is by default."""

    def repo_facts(  # no fact of these depends on the time
        self,
        repo_requests: Sequence[RepoRequest],
        *,
        now: datetime,  # noqa: ARG002
    ) -> list[Fetched[RepoFacts] | UpstreamError]:
        """Return what came of each; a host that asked us to stay away is not asked for the rest of its repositories."""
        found: list[Fetched[RepoFacts] | UpstreamError] = []
        rate_limited_hosts: dict[str, RateLimited] = {}
        for ask in repo_requests:
            host = ask.ref.host
            try:
                found.append(rate_limited_hosts[host] if host in rate_limited_hosts else self._fetch_repo(ask))
            except RateLimited as failure:
                rate_limited_hosts[host] = failure
                found.append(failure)
            except UpstreamError as failure:
                found.append(failure)
        return found

    @abstractmethod
    def activity_facts(
        self, ref: RepoRef, *, validators: Mapping[str, str], now: datetime
    ) -> Fetched[ActivityFacts]: ...

    @abstractmethod
    def participant_facts(self, ref: RepoRef, *, validators: Mapping[str, str]) -> Fetched[ParticipantFacts]: ...

    @abstractmethod
    def _fetch_repo(self, repo_request: RepoRequest) -> Fetched[RepoFacts]: ...


def check_same_repository(repo_request: RepoRequest, node_id: str) -> None:
    """Refuse another repository than the one that we know by this name.

    Raises:
        Gone: the host's id is not the one of the last time.
    """
    known_id = repo_request.validators.get("node_id", node_id)
    if known_id != node_id:
        raise Gone(f"{repo_request.ref.host}/{repo_request.ref.path}: the name now belongs to a different repository")


def hidden_code_error(ref: RepoRef) -> NotAllowed:
    """Return the failure of a repository that must not count as lost, since only its code can't be read."""
    return NotAllowed(f"{ref.host}/{ref.path}: the commits are not public")
