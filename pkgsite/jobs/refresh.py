"""Refreshes due sources: hosts concurrently, the sources of a host one after another."""

from __future__ import annotations

import logging
import os
import secrets
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar

from flask import Flask
from sqlalchemy import exc

from pkgsite.clients.base import Fetched, Gateways, RepoRef, RepoRequest
from pkgsite.clock import utc_now
from pkgsite.errors import BadResponse, Unavailable, UpstreamError
from pkgsite.extensions import db
from pkgsite.jobs.pauses import record_pause
from pkgsite.jobs.workers import is_dead
from pkgsite.outages import was_outage
from pkgsite.rules.freshness import Source
from pkgsite.services.refresh.queue import (
    ALL_SOURCES,
    Claim,
    RefreshResult,
    SourceFilter,
    claim_due,
    claim_holders,
    due_hosts,
    has_leftovers,
    pause_reason,
    record_response,
    record_result,
    release_claims,
    release_claims_of,
    reset_future_times,
)

log = logging.getLogger(__name__)

MAX_CONCURRENT_HOSTS = 8
MAX_CONSECUTIVE_FAILURES = 5  # of different packages: the host itself is failing
MAX_REPORTED_FAILURES = 100
REPO_BATCH_SIZE = 50  # repositories of a host that returns many in one response
# Claims that can be fetched one by one before they expire, even if each request reaches its timeout.
CLAIM_SIZES = {Source.REPO: 5, Source.ACTIVITY: 10, Source.PEOPLE: 10, Source.INDEX: 20, Source.DOWNLOADS: 20}
# Seconds between requests, out of courtesy to a small free service.
REQUEST_INTERVALS_S = {Source.DOWNLOADS: 1.0}

RETRY_DELAYS_S = (0.1, 0.5, 2.0)  # a locked database, a conflicting transaction, a restarting server
# What the database reports about itself; errors about the data are `DataError`, `IntegrityError` and others.
TRANSIENT_ERRORS = (exc.OperationalError, exc.InterfaceError, exc.InternalError, exc.TimeoutError)

Outcome = Fetched[Any] | UpstreamError
T = TypeVar("T")


@dataclass
class RefreshSummary:
    """The results of a refresh.

    Attributes:
        counts: Number of packages by source and result.
        failures: Error messages by package id and source, at most `MAX_REPORTED_FAILURES`.
        paused: Reasons by paused host.
    """

    counts: Counter[tuple[Source, RefreshResult]] = field(default_factory=Counter)
    failures: dict[tuple[int, Source], str] = field(default_factory=dict)
    paused: dict[str, str] = field(default_factory=dict)

    def totals(self) -> dict[str, int]:
        """Return the counts by result, over all sources."""
        totals: Counter[str] = Counter()
        for (_, result), count in self.counts.items():
            totals[str(result)] += count
        return dict(totals)


def worker_name() -> str:
    """Return a name that is unique among all workers on all machines."""
    return f"{machine_name()}:{os.getpid()}:{secrets.token_hex(4)}"


def machine_name() -> str:
    """Return the name of this machine and, on Linux, its process namespace, because containers can share a name."""
    hostname = socket.gethostname().replace(":", "-")[:60]
    try:
        return f"{hostname}/{''.join(filter(str.isdigit, os.readlink('/proc/self/ns/pid')))}"
    except OSError:
        return hostname


def run_in_transaction(app: Flask, operation: Callable[..., T], *args: object, **options: object) -> T:
    """Run an operation in its own transaction."""
    with app.app_context():
        session = db.session()
        try:
            result = operation(session, *args, **options)
            session.commit()
        except BaseException:
            session.rollback()
            raise
        return result


def retry_in_transaction(
    app: Flask, stop: threading.Event, operation: Callable[..., T], *args: object, **options: object
) -> T:
    """Run an operation in its own transaction, again after each transient database error; the last one is raised.

    Args:
        app: The application.
        stop: Once set, retries don't wait.
        operation: Called with a session.
        args: Further arguments.
        options: Further keyword arguments.
    """
    for delay_s in RETRY_DELAYS_S:
        try:
            return run_in_transaction(app, operation, *args, **options)
        except Exception as error:
            if not is_transient(error):
                raise
        stop.wait(delay_s)
    return run_in_transaction(app, operation, *args, **options)


def is_transient(error: Exception) -> bool:
    """Return whether the database failed, rather than rejected the data: the same operation may succeed later."""
    return isinstance(error, TRANSIENT_ERRORS) or (isinstance(error, exc.DBAPIError) and error.connection_invalidated)


class Refresher:
    """Fetches due sources until none is left, time runs out, or it is stopped.

    No transaction is open during requests, and each result is committed separately. Any number of refreshers can run
    concurrently, in threads, processes and machines.
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
        """Create the refresher.

        Args:
            app: Application whose database is used.
            gateways: Clients of the hosts.
            source_filter: Sources to refresh.
            stop: Once set, active requests are finished and the other claims released; the refresher never sets it.
            ends_at: Time to stop at, as of `time.monotonic`.
            on_result: Called after each result, from several threads.
            clock: Returns the current time.
        """
        self._app = app
        self._gateways = gateways
        self._source_filter = source_filter
        self._stop = stop or threading.Event()
        self._is_interrupted = threading.Event()  # like `stop`, of this run only
        self._ends_at = ends_at
        self._on_result = on_result
        self._clock = clock
        self._name = worker_name()
        self._known_hosts = {*gateways.code_hosts, gateways.package_index_host, gateways.downloads_host}
        self._lock = threading.Lock()
        self._failing_packages: dict[str, set[int]] = {}  # by host, since its last response
        self._logged_errors: set[tuple[str, str, type[Exception]]] = set()  # by what could not be done, and host
        self.summary = RefreshSummary()

    def run(self) -> RefreshSummary:
        """Refresh the due sources and return the summary.

        Claims of workers that were killed on this machine are released first, and times from a wrong clock are reset.
        An error of one host's refresh ends only that one, and is raised at the end.
        """
        due = self._find_due_hosts()
        hosts = [host for host in due if host in self._known_hosts]
        with ThreadPoolExecutor(MAX_CONCURRENT_HOSTS, "refresh") as pool:
            futures = [pool.submit(self._refresh_host, host) for host in hosts]
            try:
                wait(futures)
            except BaseException:  # Ctrl+C
                self._is_interrupted.set()
                raise
        failed = [(host, error) for host, future in zip(hosts, futures, strict=True) if (error := future.exception())]
        for host, error in failed[1:]:
            if not was_outage(error):
                log.error("refreshing from %s failed too: %s: %s", host, type(error).__name__, error)
        if failed:
            raise failed[0][1]
        return self.summary

    def _find_due_hosts(self) -> list[str]:
        """Return the hosts with due sources, after the repair of what killed workers and wrong clocks have left."""
        with self._app.app_context():
            session, now = db.session(), self._clock()
            needs_repair = has_leftovers(session, now=now)
            due = due_hosts(session, now=now, source_filter=self._source_filter)
            session.rollback()  # nothing was written
        if not needs_repair:
            return due
        self._in_transaction(reset_future_times, now=now)
        self._release_claims_of_dead_workers()
        return self._in_transaction(due_hosts, now=now, source_filter=self._source_filter)

    def _release_claims_of_dead_workers(self) -> None:
        now, machine = self._clock(), machine_name()
        holders = self._in_transaction(claim_holders, now=now)
        dead = [holder for holder, claimed_at in holders if is_dead(holder, now - claimed_at, machine=machine)]
        if dead:
            log.info("releasing the claims of %s, which has ended", ", ".join(dead))
            self._in_transaction(release_claims_of, dead)

    def _refresh_host(self, host: str) -> None:
        """Claim and fetch the due sources of a host until none is left."""
        holder, sizes = f"{self._name}:{host}"[:100], self._claim_sizes(host)
        while not self._should_stop():
            claims = self._claim_due(host, holder, sizes)
            if not claims:
                break
            self._process_claims(host, claims)

    def _claim_due(self, host: str, holder: str, sizes: Mapping[Source, int]) -> list[Claim]:
        with self._app.app_context():  # rolls back after an error
            session, now = db.session(), self._clock()
            claims = claim_due(session, host, holder=holder, sizes=sizes, now=now, source_filter=self._source_filter)
            if claims:
                session.commit()
            else:
                session.rollback()  # nothing was written
            return claims

    def _process_claims(self, host: str, claims: Sequence[Claim]) -> None:
        """Fetch the claimed sources and record the results; release the claims that can't be fetched now."""
        is_batched = claims[0].source is Source.REPO and self._is_batched(host)
        remaining = list(claims)
        try:
            while (
                remaining
                and not self._should_stop()
                and remaining[0].expires_at > self._clock()
                and not self._is_paused(host, is_just_claimed=len(remaining) == len(claims))
            ):
                batch = list(remaining) if is_batched else remaining[:1]
                outcomes = self._fetch(host, batch)
                for claim, outcome in zip(batch, outcomes, strict=True):
                    self._record_result(claim, outcome)
                    remaining.remove(claim)
                    self._pause_if_needed(host, claim, outcome)
                self._stop.wait(REQUEST_INTERVALS_S.get(claims[0].source, 0))
        finally:
            if remaining:
                self._retry_in_transaction(release_claims, remaining)

    def _is_paused(self, host: str, *, is_just_claimed: bool) -> bool:
        """Return whether this run has paused the host or, since the sources were claimed, another job."""
        if host in self.summary.paused or is_just_claimed:
            return host in self.summary.paused
        return self._in_transaction(pause_reason, host, now=self._clock()) is not None

    def _fetch(self, host: str, batch: Sequence[Claim]) -> list[Outcome]:
        """Return the outcome of each claim. No transaction is open during the request."""
        try:
            outcomes = self._fetch_from_host(batch, self._clock())
        except Exception as error:  # a bug must not block a host forever
            self._log_once("request", host, error, f"{batch[0].source} of {batch[0].resource}")
            outcomes = [BadResponse(f"Request to {host} failed: {type(error).__name__}")] * len(batch)
        if any(isinstance(outcome, Fetched) for outcome in outcomes):
            code_host = self._gateways.code_hosts.get(host)
            self._retry_in_transaction(record_response, host, code_host.quotas if code_host else {}, now=self._clock())
        return outcomes

    def _fetch_from_host(self, batch: Sequence[Claim], now: datetime) -> list[Outcome]:
        if batch[0].source is Source.REPO:
            repo_requests = [RepoRequest(self._repo_ref(claim), claim.validators) for claim in batch]
            return list(self._gateways.code_hosts[batch[0].host].repo_facts(repo_requests, now=now))
        return [self._fetch_one(claim, now) for claim in batch]

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
        """Record the outcome of a claim; if what the host sent can't be stored, record a failure of this source.

        After a transient database error, the same outcome is recorded again.
        """
        try:
            result = self._retry_in_transaction(record_result, claim, outcome, now=self._clock())
        except Exception as error:  # one package's error must not stop the others
            if is_transient(error):
                raise
            self._log_once("store", claim.host, error, f"{claim.source} of package {claim.package_id}")
            outcome = BadResponse(f"Could not store the response from {claim.host}: {type(error).__name__}")
            result = self._retry_in_transaction(record_result, claim, outcome, now=self._clock())
        with self._lock:
            self.summary.counts[claim.source, result] += 1
            if isinstance(outcome, UpstreamError) and len(self.summary.failures) < MAX_REPORTED_FAILURES:
                self.summary.failures[claim.package_id, claim.source] = str(outcome)
        self._on_result(claim, result)
        return result

    def _pause_if_needed(self, host: str, claim: Claim, outcome: Outcome) -> None:
        """Pause a host that refuses all requests or fails repeatedly."""
        failing_packages = self._failing_packages.setdefault(host, set())
        if isinstance(outcome, Unavailable | BadResponse):
            failing_packages.add(claim.package_id)
        else:
            failing_packages.clear()
        if host in self.summary.paused or not isinstance(outcome, UpstreamError):
            return
        if outcome.stops_host or len(failing_packages) >= MAX_CONSECUTIVE_FAILURES:
            self._retry_in_transaction(record_pause, host, outcome, now=self._clock())
            with self._lock:
                self.summary.paused[host] = str(outcome)

    def _log_once(self, action: str, host: str, error: Exception, what: str) -> None:
        """Log an unexpected error with its traceback, once per run for each host and kind of error."""
        key = (action, host, type(error))
        with self._lock:
            is_known = key in self._logged_errors
            self._logged_errors.add(key)
        if not is_known:
            log.error("could not %s %s from %s", action, what, host, exc_info=error)

    def _is_batched(self, host: str) -> bool:
        code_host = self._gateways.code_hosts.get(host)
        return code_host is not None and code_host.is_batched

    def _claim_sizes(self, host: str) -> Mapping[Source, int]:
        return {**CLAIM_SIZES, Source.REPO: REPO_BATCH_SIZE} if self._is_batched(host) else CLAIM_SIZES

    def _repo_ref(self, claim: Claim) -> RepoRef:
        return RepoRef(self._gateways.host_kinds[claim.host], claim.host, claim.resource)

    def _should_stop(self) -> bool:
        is_over = self._ends_at is not None and time.monotonic() >= self._ends_at
        return is_over or self._stop.is_set() or self._is_interrupted.is_set()

    def _in_transaction(self, operation: Callable[..., T], *args: object, **options: object) -> T:
        return run_in_transaction(self._app, operation, *args, **options)

    def _retry_in_transaction(self, operation: Callable[..., T], *args: object, **options: object) -> T:
        """Run an operation that must not be lost because of a transient database error."""
        return retry_in_transaction(self._app, self._stop, operation, *args, **options)
