"""The jobs of the timetable. Each returns counts by name for the log."""

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
from pkgsite.jobs.pauses import record_pause
from pkgsite.jobs.refresh import Refresher
from pkgsite.rules.freshness import CLOCK_TOLERANCE
from pkgsite.rules.timetable import HOUSEKEEPING, LOG_RETENTION, REFRESH, SAMPLES, SCORES, SEARCH, SERIALS, SOURCES, Job
from pkgsite.services.refresh.leases import delete_old_runs
from pkgsite.services.refresh.queue import pause_reason
from pkgsite.services.refresh.samples import record_samples, update_all_scores
from pkgsite.services.refresh.sources import apply_serials, index_names, index_validators, sync_sources
from pkgsite.services.search.indexer import reindex_stale

MAX_REFRESH_S = 300  # the next run continues


@dataclass(frozen=True, slots=True)
class JobContext:
    """The dependencies of a job.

    Attributes:
        stop: Once set, the job ends as soon as possible.
    """

    app: Flask
    gateways: Gateways
    stop: threading.Event
    clock: Callable[[], datetime] = utc_now


def refresh_due(context: JobContext) -> dict[str, Any]:
    ends_at = time.monotonic() + MAX_REFRESH_S
    summary = Refresher(context.app, context.gateways, stop=context.stop, ends_at=ends_at, clock=context.clock).run()
    return {**summary.totals(), **({"paused hosts": len(summary.paused)} if summary.paused else {})}


def sync_all_sources(context: JobContext) -> dict[str, Any]:
    changed = sync_sources(db.session(), context.gateways, now=context.clock())
    db.session.commit()
    return {"updated": changed}


def check_index_for_changes(gateways: Gateways, now: datetime) -> dict[str, Any]:
    """Make the projects due that have changed on the index, with a single request.

    Raises:
        UpstreamError: The request failed; the index has been paused.
    """
    session, host = db.session(), gateways.package_index_host
    if pause_reason(session, host, now=now) is not None:
        session.rollback()
        return {"paused hosts": 1}
    names, validators = index_names(session, host), index_validators(session, host)
    session.rollback()  # no transaction is open during the request
    if not names:
        return {"checked": 0, "changed": 0}
    try:
        fetched = gateways.index.serials(names, validators=validators)
    except UpstreamError as failure:
        record_pause(session, host, failure, now=now)
        raise
    changed = apply_serials(session, host, fetched.facts, fetched.validators, now=now)
    session.commit()
    return {"checked": len(names), "changed": changed}


def sample_packages(context: JobContext) -> dict[str, Any]:
    recorded = record_samples(db.session(), now=context.clock())
    db.session.commit()
    return {"recorded": recorded}


def rescore_packages(context: JobContext) -> dict[str, Any]:
    changed = update_all_scores(db.session(), now=context.clock())
    db.session.commit()
    return {"updated": changed}


def clean_up(context: JobContext) -> dict[str, Any]:
    now = context.clock()
    deleted = delete_old_runs(db.session(), before=now - LOG_RETENTION, after=now + CLOCK_TOLERANCE)
    db.session.commit()
    return {"deleted": deleted}


def reindex_search(context: JobContext) -> dict[str, Any]:
    """Reindex the packages, batch by batch, that were indexed on an earlier day."""
    prefixes = tuple(context.app.config["SEARCH_PREFIX"])
    last_id, changed = 0, 0
    while not context.stop.is_set():
        previous_id = last_id
        last_id, batch_changed = reindex_stale(
            db.session(), ignored_prefixes=prefixes, now=context.clock(), after=previous_id
        )
        db.session.commit()
        changed += batch_changed
        if last_id == previous_id:
            break
    return {"reindexed": changed}


JOB_FUNCTIONS: dict[Job, Callable[[JobContext], dict[str, Any]]] = {
    SOURCES: sync_all_sources,
    REFRESH: refresh_due,
    SERIALS: lambda context: check_index_for_changes(context.gateways, context.clock()),
    SAMPLES: sample_packages,
    SCORES: rescore_packages,
    HOUSEKEEPING: clean_up,
    SEARCH: reindex_search,
}
