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
from pkgsite.rules.timetable import HOUSEKEEPING, LOG_RETENTION, REFRESH, SAMPLES, SCORES, SEARCH, SERIALS, SOURCES, Job
from pkgsite.services.refresh.leases import delete_old_runs
from pkgsite.services.refresh.queue import pause_host
from pkgsite.services.refresh.samples import record_samples, update_all_scores
from pkgsite.services.refresh.sources import apply_serials, index_names, index_validators, sync_sources
from pkgsite.services.search.indexer import reindex_stale

MAX_REFRESH_S = 300  # then its run is logged, and the next one goes on


@dataclass(frozen=True, slots=True)
class JobContext:
    """What a job works with.

    Attributes:
        stop: Once set, the work ends as soon as it can.
    """

    app: Flask
    gateways: Gateways
    stop: threading.Event
    clock: Callable[[], datetime] = utc_now


def refresh_due(context: JobContext) -> dict[str, Any]:
    ends_at = time.monotonic() + MAX_REFRESH_S
    tally = Refresher(context.app, context.gateways, stop=context.stop, ends_at=ends_at, clock=context.clock).run()
    return {**tally.totals(), **({"paused hosts": len(tally.paused)} if tally.paused else {})}


def sync_all_sources(context: JobContext) -> dict[str, Any]:
    changed = sync_sources(db.session(), context.gateways, now=context.clock())
    db.session.commit()
    return {"updated": changed}


def check_index_for_changes(gateways: Gateways, now: datetime) -> dict[str, Any]:
    """Ask the index once what has changed, and make those projects due.

    Raises:
        UpstreamError: the index could not tell; it is left alone for a while.
    """
    session, host = db.session(), gateways.package_index_host
    names, validators = index_names(session, host), index_validators(session, host)
    session.rollback()  # no transaction is open while the index is asked
    if not names:
        return {"checked": 0, "changed": 0}
    try:
        fetched = gateways.index.serials(names, validators=validators)
    except UpstreamError as failure:
        pause_host(session, host, failure, now=now)
        session.commit()
        raise
    changed = apply_serials(session, host, fetched.facts, fetched.validators, now=now)
    session.commit()
    return {"checked": len(names), "changed": changed}


def sample_packages(context: JobContext) -> dict[str, Any]:
    new = record_samples(db.session(), now=context.clock())
    db.session.commit()
    return {"recorded": new}


def rescore_packages(context: JobContext) -> dict[str, Any]:
    changed = update_all_scores(db.session(), now=context.clock())
    db.session.commit()
    return {"updated": changed}


def clean_up(context: JobContext) -> dict[str, Any]:
    removed = delete_old_runs(db.session(), before=context.clock() - LOG_RETENTION)
    db.session.commit()
    return {"deleted": removed}


def reindex_search(context: JobContext) -> dict[str, Any]:
    """Index anew, some packages at a time, those of which the index holds what was so on another day."""
    prefixes = tuple(context.app.config["SEARCH_PREFIX"])
    last_id, changed = 0, 0
    while not context.stop.is_set():
        before = last_id
        last_id, batch_changed = reindex_stale(
            db.session(), ignored_prefixes=prefixes, now=context.clock(), after=before
        )
        db.session.commit()
        changed += batch_changed
        if last_id == before:
            break
    return {"reindexed": changed}


JOB_FUNCTIONS: dict[Job, Callable[[JobContext], dict[str, Any]]] = {
    SOURCES: sync_all_sources,
    REFRESH: refresh_due,
    SERIALS: lambda work: check_index_for_changes(work.gateways, work.clock()),
    SAMPLES: sample_packages,
    SCORES: rescore_packages,
    HOUSEKEEPING: clean_up,
    SEARCH: reindex_search,
}
