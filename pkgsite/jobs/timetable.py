"""What each job of the timetable does. Each returns counts by name, for the log."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from flask import Flask

from pkgsite.clients.base import Gateways
from pkgsite.clock import utc_now
from pkgsite.errors import UpstreamError
from pkgsite.extensions import db
from pkgsite.jobs.refresh import Refresher
from pkgsite.rules.timetable import HOUSEKEEPING, KEPT_FOR, REFRESH, SAMPLES, SCORES, SEARCH, SERIALS, SOURCES, Job
from pkgsite.services.duties import clear_old_runs
from pkgsite.services.numbers import keep_scores, take_samples
from pkgsite.services.refresh import pause_host
from pkgsite.services.search_index import renew
from pkgsite.services.sources import index_names, index_validators, sync_sources, take_serials

LONGEST_REFRESH_S = 300  # then its run is logged, and the next one goes on


@dataclass(frozen=True, slots=True)
class Work:
    """What a job works with.

    Attributes:
        stop: Once set, the work ends as soon as it can.
    """

    app: Flask
    gateways: Gateways
    stop: threading.Event
    clock: Callable[[], datetime] = utc_now


def refresh_due(work: Work) -> dict[str, Any]:
    ends_at = time.monotonic() + LONGEST_REFRESH_S
    tally = Refresher(work.app, work.gateways, stop=work.stop, ends_at=ends_at, clock=work.clock).run()
    return {**tally.totals(), **({"paused hosts": len(tally.paused)} if tally.paused else {})}


def find_sources(work: Work) -> dict[str, Any]:
    changed = sync_sources(db.session(), work.gateways, now=work.clock())
    db.session.commit()
    return {"updated": changed}


def ask_for_serials(gateways: Gateways, now: datetime) -> dict[str, Any]:
    """Ask the index once what has changed, and make those projects due.

    Raises:
        UpstreamError: the index could not tell; it is left alone for a while.
    """
    session, host = db.session(), gateways.index_host
    names, validators = index_names(session, host), index_validators(session, host)
    session.rollback()  # no transaction is open while the index is asked
    if not names:
        return {"checked": 0, "changed": 0}
    try:
        told = gateways.index.serials(names, validators=validators)
    except UpstreamError as failure:
        pause_host(session, host, failure, now=now)
        session.commit()
        raise
    changed = take_serials(session, host, told.facts, told.validators, now=now)
    session.commit()
    return {"checked": len(names), "changed": changed}


def sample_packages(work: Work) -> dict[str, Any]:
    new = take_samples(db.session(), now=work.clock())
    db.session.commit()
    return {"recorded": new}


def rescore(work: Work) -> dict[str, Any]:
    changed = keep_scores(db.session(), now=work.clock())
    db.session.commit()
    return {"updated": changed}


def keep_house(work: Work) -> dict[str, Any]:
    removed = clear_old_runs(db.session(), before=work.clock() - KEPT_FOR)
    db.session.commit()
    return {"deleted": removed}


def renew_search(work: Work) -> dict[str, Any]:
    """Index anew, some packages at a time, those of which the index holds what was so on another day."""
    prefixes = tuple(work.app.config["SEARCH_PREFIX"])
    last, changed = 0, 0
    while not work.stop.is_set():
        before = last
        last, more = renew(db.session(), prefixes=prefixes, now=work.clock(), after=before)
        db.session.commit()
        changed += more
        if last == before:
            break
    return {"reindexed": changed}


WORK: dict[Job, Callable[[Work], dict[str, Any]]] = {
    SOURCES: find_sources,
    REFRESH: refresh_due,
    SERIALS: lambda work: ask_for_serials(work.gateways, work.clock()),
    SAMPLES: sample_packages,
    SCORES: rescore,
    HOUSEKEEPING: keep_house,
    SEARCH: renew_search,
}
