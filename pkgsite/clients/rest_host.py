"""Base class for code hosts with a REST API, which are queried one repository at a time."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import ClassVar

from pkgsite.clients.base import (
    ActivityFacts,
    DifferentRepository,
    FactsT,
    Fetched,
    ParticipantFacts,
    Quota,
    RepoFacts,
    RepoRef,
    RepoRequest,
    check_identity,
)
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
                outcomes.append(failed_hosts.get(host) or self._fetch_or_follow(repo_request))
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
    def _fetch_repo(self, repo_request: RepoRequest) -> Fetched[RepoFacts]:
        """Return the facts.

        Raises:
            DifferentRepository: The name now belongs to another repository.
        """

    @abstractmethod
    def _node_id(self, ref: RepoRef) -> str:
        """Return the id of the repository that has this name now."""

    @abstractmethod
    def _path_of(self, host: str, node_id: str) -> str:
        """Return the path that the repository with this id has now.

        Raises:
            Gone: There is no such repository.
        """

    def _fetch_or_follow(self, repo_request: RepoRequest) -> Fetched[RepoFacts]:
        """Return the facts, under the repository's new name if its name now belongs to another one."""
        try:
            return self._fetch_repo(repo_request)
        except DifferentRepository as failure:
            ref = repo_request.ref
            try:
                path = self._path_of(ref.host, repo_request.validators["node_id"])
            except Gone:
                raise failure from None
            return self._fetch_repo(replace(repo_request, ref=replace(ref, path=path)))

    def _of_same_repository(
        self, ref: RepoRef, validators: Mapping[str, str], fetched: Fetched[FactsT]
    ) -> Fetched[FactsT]:
        """Return facts that were fetched by name, if the name still belongs to the repository of the validators.

        Raises:
            DifferentRepository: It belongs to another repository.
        """
        if fetched.facts is not None and "node_id" in validators:
            check_identity(ref, validators, {"node_id": self._node_id(ref)})
        return fetched


def hidden_code_error(ref: RepoRef) -> NotAllowed:
    """Return the error for a repository that exists but whose code can't be read."""
    return NotAllowed(f"{ref.host}/{ref.path}: the commits are not public")
