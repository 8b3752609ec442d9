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

from pkgsite.clients.base import Fetched, Gateways, RepoAsk, RepoRef
from pkgsite.clock import utc_now
from pkgsite.errors import BadAnswer, RateLimited, Unavailable, UpstreamError
from pkgsite.extensions import db
from pkgsite.rules.freshness import Source
from pkgsite.services.refresh.queue import (
    ALL,
    Claim,
    Only,
    Result,
    claim,
    due_hosts,
    note_answer,
    pause_host,
    release,
    settle,
)

log = logging.getLogger(__name__)

HOSTS_AT_ONCE = 8
FAILURES_IN_A_ROW = 5  # of different repositories: it is the host that fails
FAILURES_TOLD = 100
BATCH = 50  # repositories of a host that tells of so many in one answer
# What can be asked one by one within a lease, even if each answer takes its whole time.
ONE_BY_ONE = {Source.REPO: 5, Source.ACTIVITY: 10, Source.PEOPLE: 10, Source.INDEX: 20, Source.DOWNLOADS: 20}
# Seconds between two questions, where a host is a small one that serves everybody for nothing.
PAUSES_S = {Source.DOWNLOADS: 1.0}

Outcome = Fetched[Any] | UpstreamError
T = TypeVar("T")


@dataclass
class Tally:
    """What came of a refresh: how many sources ended in each way, and how many hosts had to be left alone.

    Attributes:
        counts: By source and result.
        failures: For each package and source that failed, the words, as far as `FAILURES_TOLD`.
        paused: For each host that is left alone, why.
    """

    counts: Counter[tuple[Source, Result]] = field(default_factory=Counter)
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
        only: Only = ALL,
        stop: threading.Event | None = None,
        ends_at: float | None = None,
        on_result: Callable[[Claim, Result], None] = lambda _claim, _result: None,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        """Prepare.

        Args:
            app: Whose database.
            gateways: The hosts to ask.
            only: A part of the sources.
            stop: Once set, what is being asked is finished, and all else given back.
            ends_at: When to stop, by `time.monotonic`.
            on_result: Told of each source that is done, from several threads.
            clock: Tells the present instant.
        """
        self._app = app
        self._gateways = gateways
        self._only = only
        self._stop = stop or threading.Event()
        self._ends_at = ends_at
        self._on_result = on_result
        self._clock = clock
        self._name = worker_name()
        self._known = {*gateways.code_hosts, gateways.index_host, gateways.counts_host}
        self._lock = threading.Lock()
        self.tally = Tally()

    def run(self) -> Tally:
        """Refresh, and return what came of it."""
        due = self._write(due_hosts, now=self._clock(), only=self._only)
        hosts = [host for host in due if host in self._known]
        with ThreadPoolExecutor(HOSTS_AT_ONCE, "refresh") as pool:
            try:
                for work in [pool.submit(self._drain, host) for host in hosts]:
                    work.result()
            except BaseException:
                self._stop.set()
                raise
        return self.tally

    def _drain(self, host: str) -> None:
        """Work through one host."""
        holder, sizes = f"{self._name}:{host}"[:100], self._sizes(host)
        while not self._is_over():
            claims = self._write(claim, host, holder=holder, sizes=sizes, now=self._clock(), only=self._only)
            if not claims:
                break
            self._work(host, claims)

    def _work(self, host: str, claims: Sequence[Claim]) -> None:
        """Ask for what was claimed, and take in what comes; what can't be asked now is given back."""
        together = claims[0].source is Source.REPO and self._is_batched(host)
        left, in_a_row = list(claims), 0
        try:
            while left and not self._is_over() and left[0].until > self._clock() and host not in self.tally.paused:
                batch = left if together else left[:1]
                outcomes = self._ask(host, batch)
                left = left[len(batch) :]
                for claimed, outcome in zip(batch, outcomes, strict=True):
                    self._settle(claimed, outcome)
                    in_a_row = in_a_row + 1 if isinstance(outcome, Unavailable | BadAnswer) else 0
                    if isinstance(outcome, UpstreamError):
                        self._pause_if_needed(host, outcome, in_a_row)
                self._stop.wait(PAUSES_S.get(claims[0].source, 0))
        finally:
            if left:
                self._write(release, left)

    def _ask(self, host: str, batch: Sequence[Claim]) -> list[Outcome]:
        """Return what came of each claim, with no transaction open."""
        try:
            outcomes = self._ask_host(batch, self._clock())
        except Exception as error:  # a mistake of ours must not leave a host unread for ever
            log.exception("could not request %s for %s", batch[0].source, [one.target for one in batch])
            outcomes = [BadAnswer(f"Request to {host} failed: {type(error).__name__}")] * len(batch)
        if any(isinstance(outcome, Fetched) for outcome in outcomes):
            code_host = self._gateways.code_hosts.get(host)
            self._write(note_answer, host, code_host.quotas if code_host else {}, now=self._clock())
        return outcomes

    def _ask_host(self, batch: Sequence[Claim], now: datetime) -> list[Outcome]:
        if batch[0].source is Source.REPO:
            asked = [RepoAsk(self._ref(one), one.validators) for one in batch]
            return list(self._gateways.code_hosts[batch[0].host].repos(asked, now=now))
        return [self._ask_one(one, now) for one in batch]

    def _ask_one(self, claimed: Claim, now: datetime) -> Outcome:
        index, target, validators = self._gateways.index, claimed.target, claimed.validators
        try:
            if claimed.source is Source.INDEX:
                return index.project(target, validators=validators)
            if claimed.source is Source.DOWNLOADS:
                return index.downloads(target)
            code_host, ref = self._gateways.code_hosts[claimed.host], self._ref(claimed)
            if claimed.source is Source.ACTIVITY:
                return code_host.activity(ref, validators=validators, now=now)
            return code_host.people(ref, validators=validators)
        except UpstreamError as failure:
            return failure

    def _settle(self, claimed: Claim, outcome: Outcome) -> Result:
        """Take in what came of a claim; what our own database refuses is a failure of this source alone."""
        try:
            result = self._write(settle, claimed, outcome, now=self._clock())
        except Exception as error:  # one package's failure, of whatever kind, never stops the others
            log.exception("could not store %s for package %s", claimed.source, claimed.package_id)
            outcome = BadAnswer(f"Could not store the response from {claimed.host}: {type(error).__name__}")
            result = self._write(settle, claimed, outcome, now=self._clock())
        with self._lock:
            self.tally.counts[claimed.source, result] += 1
            if isinstance(outcome, UpstreamError) and len(self.tally.failures) < FAILURES_TOLD:
                self.tally.failures[claimed.package_id, claimed.source] = str(outcome)
        self._on_result(claimed, result)
        return result

    def _pause_if_needed(self, host: str, failure: UpstreamError, in_a_row: int) -> None:
        """Leave a host alone that says that we ask too much, or that fails whatever it is asked."""
        if host in self.tally.paused or not (isinstance(failure, RateLimited) or in_a_row >= FAILURES_IN_A_ROW):
            return
        until = self._write(pause_host, host, failure, now=self._clock())
        log.warning("%s paused until %s UTC: %s", host, f"{until:%H:%M:%S}", failure)
        with self._lock:
            self.tally.paused[host] = str(failure)

    def _is_batched(self, host: str) -> bool:
        code_host = self._gateways.code_hosts.get(host)
        return code_host is not None and code_host.is_batched

    def _sizes(self, host: str) -> Mapping[Source, int]:
        return {**ONE_BY_ONE, Source.REPO: BATCH} if self._is_batched(host) else ONE_BY_ONE

    def _ref(self, claimed: Claim) -> RepoRef:
        return RepoRef(self._gateways.kinds[claimed.host], claimed.host, claimed.target)

    def _is_over(self) -> bool:
        return self._stop.is_set() or (self._ends_at is not None and time.monotonic() >= self._ends_at)

    def _write(self, work: Callable[..., T], *args: object, **options: object) -> T:
        """Do some work in a transaction of its own."""
        with self._app.app_context():
            session = db.session()
            try:
                done = work(session, *args, **options)
                session.commit()
            except BaseException:
                session.rollback()
                raise
            return done
