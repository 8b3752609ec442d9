"""What the clients of hosts with a REST API have in common: one repository at a time, each host by its own API."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import ClassVar

from pkgsite.clients.base import ActivityFacts, Fetched, PeopleFacts, Quota, RepoAsk, RepoFacts, RepoRef
from pkgsite.clients.http import JsonReader
from pkgsite.clients.rest import RestApi
from pkgsite.errors import Gone, NotAllowed, RateLimited, UpstreamError


class RestHost(ABC):
    """A `CodeHost` over the hosts of one kind.

    Attributes:
        quotas: By host, where it tells of one.
        landmark: A path that every API of the kind has (see `Presence`).
        scheme: How a token is announced.
    """

    quotas: Mapping[str, Quota]
    is_batched = False
    landmark: ClassVar[str]
    scheme: ClassVar[str] = "Bearer"

    def __init__(
        self, reader: JsonReader, *, api: Callable[[str], str] | None = None, tokens: Mapping[str, str] | None = None
    ) -> None:
        """Know where each host's API is (by default where the kind has it), and the token for each that has one."""
        self._api = RestApi(reader, api or self.usual_api, tokens or {}, landmark=self.landmark, scheme=self.scheme)
        self.quotas = self._api.quotas

    @staticmethod
    @abstractmethod
    def usual_api(host: str) -> str:
        """Return where a host's API is by default."""

    def repos(  # no fact of these depends on the time
        self,
        asked: Sequence[RepoAsk],
        *,
        now: datetime,  # noqa: ARG002
    ) -> list[Fetched[RepoFacts] | UpstreamError]:
        """Return what came of each; a host that asked us to stay away is not asked for the rest of its repositories."""
        found: list[Fetched[RepoFacts] | UpstreamError] = []
        limited: dict[str, RateLimited] = {}
        for ask in asked:
            host = ask.ref.host
            try:
                found.append(limited[host] if host in limited else self._repo(ask))
            except RateLimited as failure:
                limited[host] = failure
                found.append(failure)
            except UpstreamError as failure:
                found.append(failure)
        return found

    @abstractmethod
    def activity(self, ref: RepoRef, *, validators: Mapping[str, str], now: datetime) -> Fetched[ActivityFacts]: ...

    @abstractmethod
    def people(self, ref: RepoRef, *, validators: Mapping[str, str]) -> Fetched[PeopleFacts]: ...

    @abstractmethod
    def _repo(self, ask: RepoAsk) -> Fetched[RepoFacts]: ...


def check_same(ask: RepoAsk, node_id: str) -> None:
    """Refuse another repository than the one that we know by this name.

    Raises:
        Gone: the host's id is not the one of the last time.
    """
    known = ask.validators.get("node_id", node_id)
    if known != node_id:
        raise Gone(f"{ask.ref.host}/{ask.ref.path}: the name now belongs to a different repository")


def hidden_code(ref: RepoRef) -> NotAllowed:
    """Return the failure of a repository that must not count as lost, since only its code can't be read."""
    return NotAllowed(f"{ref.host}/{ref.path}: the commits are not public")
