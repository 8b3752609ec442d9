"""Refreshes what is due: hosts beside each other, the sources of one host one after the other."""

from __future__ import annotations

import logging
import os
import secrets
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar

from flask import Flask

from pkgsite.clients.base import Fetched, Gateways, RepoRef, RepoRequest
from pkgsite.clock import utc_now
from pkgsite.errors import BadResponse, RateLimited, Unavailable, UpstreamError
from pkgsite.extensions import db
from pkgsite.rules.freshness import Source
from pkgsite.services.refresh.queue import (
    ALL_SOURCES,
    Claim,
    RefreshResult,
    SourceFilter,
    claim_due,
    due_hosts,
    pause_host,
    record_response,
    record_result,
    release_claims,
)

log = logging.getLogger(__name__)

MAX_CONCURRENT_HOSTS = 8
MAX_CONSECUTIVE_FAILURES = 5  # of different repositories: it is the host that fails
MAX_REPORTED_FAILURES = 100
REPO_BATCH_SIZE = 50  # repositories of a host that tells of so many in one answer
# What can be asked one by one within a lease, even if each answer takes its whole time.
CLAIM_SIZES = {Source.REPO: 5, Source.ACTIVITY: 10, Source.PEOPLE: 10, Source.INDEX: 20, Source.DOWNLOADS: 20}
# Seconds between two questions, where a host is a small one that serves everybody for nothing.
REQUEST_INTERVALS_S = {Source.DOWNLOADS: 1.0}

Outcome = Fetched[Any] | UpstreamError
T = TypeVar("T")


@dataclass
class RefreshSummary:
    """What came of a refresh: how many sources ended in each way, and how many hosts had to be left alone.

    Attributes:
        counts: By source and result.
        failures: For each package and source that failed, the words, as far as `MAX_REPORTED_FAILURES`.
        paused: For each host that is left alone, why.
    """

    counts: Counter[tuple[Source, RefreshResult]] = field(default_factory=Counter)
    failures: dict[tuple[int, Source], str] = field(default_factory=dict)
    paused: dict[str, str] = field(default_factory=dict)

    def totals(self) -> dict[str, int]:
        """Return the number of each result that there was."""
        found: Counter[str] = Counter()
        for (_, result), number in self.counts.items():
            found[str(result)] += number
        return dict(found)


def worker_name() -> str:
    """Return a name that no other worker has, on this machine or another."""
    return f"{socket.gethostname()[:60]}:{os.getpid()}:{secrets.token_hex(4)}"


class Refresher:
    """Works through what is due until nothing is, time runs out, or it is stopped.

    No transaction is open while a host is asked; what came of each source is committed by itself. Any number of
    these can work at once, in threads, processes and machines.
    """

    def __init__(
        self,
        app: Flask,
        gateways: Gateways,
        *,
        source_filter: SourceFilter = ALL_SOURCES,
        stop: threading.Event | None = None,
        ends_at: float | None = None,
        on_result: Callable[[Claim, RefreshResult], None] = lambda _claim, _result: None,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        """Prepare.

        Args:
            app: Whose database.
            gateways: The hosts to ask.
            source_filter: A part of the sources.
            stop: Once set, what is being asked is finished, and all else given back.
            ends_at: When to stop, by `time.monotonic`.
            on_result: Told of each source that is done, from several threads.
            clock: Tells the present instant.
        """
        self._app = app
        self._gateways = gateways
        self._source_filter = source_filter
        self._stop = stop or threading.Event()
        self._ends_at = ends_at
        self._on_result = on_result
        self._clock = clock
        self._name = worker_name()
        self._known_hosts = {*gateways.code_hosts, gateways.package_index_host, gateways.downloads_host}
        self._lock = threading.Lock()
        self.summary = RefreshSummary()

    def run(self) -> RefreshSummary:
        """Refresh, and return what came of it."""
        due = self._in_transaction(due_hosts, now=self._clock(), source_filter=self._source_filter)
        hosts = [host for host in due if host in self._known_hosts]
        with ThreadPoolExecutor(MAX_CONCURRENT_HOSTS, "refresh") as pool:
            try:
                for work in [pool.submit(self._refresh_host, host) for host in hosts]:
                    work.result()
            except BaseException:
                self._stop.set()
                raise
        return self.summary

    def _refresh_host(self, host: str) -> None:
        """Work through one host."""
        holder, sizes = f"{self._name}:{host}"[:100], self._claim_sizes(host)
        while not self._should_stop():
            claims = self._in_transaction(
                claim_due, host, holder=holder, sizes=sizes, now=self._clock(), source_filter=self._source_filter
            )
            if not claims:
                break
            self._process_claims(host, claims)

    def _process_claims(self, host: str, claims: Sequence[Claim]) -> None:
        """Ask for what was claimed, and take in what comes; what can't be asked now is given back."""
        is_batched = claims[0].source is Source.REPO and self._is_batched(host)
        remaining, in_a_row = list(claims), 0
        try:
            while (
                remaining
                and not self._should_stop()
                and remaining[0].expires_at > self._clock()
                and host not in self.summary.paused
            ):
                batch = remaining if is_batched else remaining[:1]
                outcomes = self._fetch(host, batch)
                remaining = remaining[len(batch) :]
                for claimed, outcome in zip(batch, outcomes, strict=True):
                    self._record_result(claimed, outcome)
                    in_a_row = in_a_row + 1 if isinstance(outcome, Unavailable | BadResponse) else 0
                    if isinstance(outcome, UpstreamError):
                        self._pause_if_needed(host, outcome, in_a_row)
                self._stop.wait(REQUEST_INTERVALS_S.get(claims[0].source, 0))
        finally:
            if remaining:
                self._in_transaction(release_claims, remaining)

    def _fetch(self, host: str, batch: Sequence[Claim]) -> list[Outcome]:
        """Return what came of each claim, with no transaction open."""
        try:
            outcomes = self._fetch_from_host(batch, self._clock())
        except Exception as error:  # a mistake of ours must not leave a host unread for ever
            log.exception("could not request %s for %s", batch[0].source, [one.resource for one in batch])
            outcomes = [BadResponse(f"Request to {host} failed: {type(error).__name__}")] * len(batch)
        if any(isinstance(outcome, Fetched) for outcome in outcomes):
            code_host = self._gateways.code_hosts.get(host)
            self._in_transaction(record_response, host, code_host.quotas if code_host else {}, now=self._clock())
        return outcomes

    def _fetch_from_host(self, batch: Sequence[Claim], now: datetime) -> list[Outcome]:
        if batch[0].source is Source.REPO:
            repo_requests = [RepoRequest(self._repo_ref(one), one.validators) for one in batch]
            return list(self._gateways.code_hosts[batch[0].host].repo_facts(repo_requests, now=now))
        return [self._fetch_one(one, now) for one in batch]

    def _fetch_one(self, claim: Claim, now: datetime) -> Outcome:
        index, target, validators = self._gateways.index, claim.resource, claim.validators
        try:
            if claim.source is Source.INDEX:
                return index.index_facts(target, validators=validators)
            if claim.source is Source.DOWNLOADS:
                return index.download_facts(target)
            code_host, ref = self._gateways.code_hosts[claim.host], self._repo_ref(claim)
            if claim.source is Source.ACTIVITY:
                return code_host.activity_facts(ref, validators=validators, now=now)
            return code_host.participant_facts(ref, validators=validators)
        except UpstreamError as failure:
            return failure

    def _record_result(self, claim: Claim, outcome: Outcome) -> RefreshResult:
        """Take in what came of a claim; what our own database refuses is a failure of this source alone."""
        try:
            result = self._in_transaction(record_result, claim, outcome, now=self._clock())
        except Exception as error:  # one package's failure, of whatever kind, never stops the others
            log.exception("could not store %s for package %s", claim.source, claim.package_id)
            outcome = BadResponse(f"Could not store the response from {claim.host}: {type(error).__name__}")
            result = self._in_transaction(record_result, claim, outcome, now=self._clock())
        with self._lock:
            self.summary.counts[claim.source, result] += 1
            if isinstance(outcome, UpstreamError) and len(self.summary.failures) < MAX_REPORTED_FAILURES:
                self.summary.failures[claim.package_id, claim.source] = str(outcome)
        self._on_result(claim, result)
        return result

    def _pause_if_needed(self, host: str, failure: UpstreamError, consecutive_failures: int) -> None:
        """Leave a host alone that says that we ask too much, or that fails whatever it is asked."""
        if host in self.summary.paused or not (
            isinstance(failure, RateLimited) or consecutive_failures >= MAX_CONSECUTIVE_FAILURES
        ):
            return
        until = self._in_transaction(pause_host, host, failure, now=self._clock())
        log.warning("%s paused until %s UTC: %s", host, f"{until:%H:%M:%S}", failure)
        with self._lock:
            self.summary.paused[host] = str(failure)

    def _is_batched(self, host: str) -> bool:
        code_host = self._gateways.code_hosts.get(host)
        return code_host is not None and code_host.is_batched

    def _claim_sizes(self, host: str) -> Mapping[Source, int]:
        return {**CLAIM_SIZES, Source.REPO: REPO_BATCH_SIZE} if self._is_batched(host) else CLAIM_SIZES

    def _repo_ref(self, claim: Claim) -> RepoRef:
        return RepoRef(self._gateways.host_kinds[claim.host], claim.host, claim.resource)

    def _should_stop(self) -> bool:
        return self._stop.is_set() or (self._ends_at is not None and time.monotonic() >= self._ends_at)

    def _in_transaction(self, operation: Callable[..., T], *args: object, **options: object) -> T:
        """Do some work in a transaction of its own."""
        with self._app.app_context():
            session = db.session()
            try:
                result = operation(session, *args, **options)
                session.commit()
            except BaseException:
                session.rollback()
                raise
            return result
