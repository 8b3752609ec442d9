"""The commands `refresh` and `jobs`, which use the same services as the scheduler."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Collection, Mapping
from datetime import datetime

import click
from flask import current_app
from flask.cli import AppGroup, with_appcontext
from sqlalchemy.orm import Session

from pkgsite.clock import utc_now
from pkgsite.extensions import db, gateways
from pkgsite.jobs.refresh import Refresher, RefreshSummary
from pkgsite.jobs.scheduler import Scheduler
from pkgsite.jobs.workers import Worker
from pkgsite.operations.startup import explained
from pkgsite.rules.freshness import Priority, Source
from pkgsite.services.packages.records import ids_by_slug
from pkgsite.services.refresh.queue import (
    Claim,
    ClaimedGroup,
    RefreshResult,
    SourceFilter,
    claimed_groups,
    count_due,
    paused_hosts,
)
from pkgsite.services.refresh.sources import make_due, sync_sources
from pkgsite.services.status import ping_database

SIGINT_EXIT_STATUS = 130  # what shells expect after Ctrl+C
RESULT_COLUMNS = (
    RefreshResult.FETCHED,
    RefreshResult.UNCHANGED,
    RefreshResult.PENDING,
    RefreshResult.MISSING,
    RefreshResult.FAILED,
    RefreshResult.PAUSED,
)
FAILURE_RESULTS = {RefreshResult.FAILED, RefreshResult.MISSING, RefreshResult.PAUSED}

jobs = AppGroup("jobs", help="Manage scheduled jobs.")


def add_commands(group: click.Group) -> None:
    group.add_command(refresh)
    group.add_command(jobs)


@jobs.command("run")
@explained
def run_scheduler() -> None:
    """Run scheduled jobs in this process until Ctrl+C or SIGTERM, for sites that set SCHEDULER=off."""
    ping_database(db.session())  # later outages end by themselves, but one at start needs the operator
    db.session.rollback()
    application = current_app._get_current_object()  # type: ignore[attr-defined]
    scheduler, stop_event = Scheduler(application), threading.Event()
    for signal_number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(signal_number, lambda *_: stop_event.set())
    scheduler.start()
    click.echo("Scheduler started. Jobs run while this process holds the lease. Press Ctrl+C to stop.", err=True)
    stop_event.wait()
    scheduler.stop()
    db.engine.dispose()
    click.echo("Stopped.", err=True)


@click.command("refresh")
@click.argument("slugs", nargs=-1, metavar="[SLUG]…")
@click.option(
    "--source",
    "sources",
    multiple=True,
    type=click.Choice([source.value for source in Source]),  # for enum members, click would use the names
    help="Refresh only this source. Can be repeated.",
)
@click.option("--all", "everything", is_flag=True, help="Also refresh sources that are not due yet.")
@with_appcontext
@explained
def refresh(slugs: tuple[str, ...], sources: tuple[str, ...], everything: bool) -> None:
    """Refresh the package facts that are due, or all facts of the packages SLUG.

    Ctrl+C finishes the requests in progress and stops. Exits with status 0 if every source was read, 1 otherwise.
    """
    session, now = db.session(), utc_now()
    source_filter = select_sources(session, slugs, sources)
    package_ids = source_filter.package_ids
    sync_sources(session, gateways(), now=now, package_ids=package_ids)
    if slugs or everything:
        make_due(
            session, priority=Priority.USER_REQUEST, now=now, package_ids=package_ids, sources=source_filter.sources
        )
    session.commit()
    summary, was_stopped = refresh_with_progress(session, source_filter)
    claimed = claimed_groups(session, now=utc_now(), source_filter=source_filter)
    session.rollback()
    print_summary(session, summary, source_filter, claimed)
    if was_stopped:
        click.echo("Stopped. The remaining sources are still due.", err=True)
        sys.exit(SIGINT_EXIT_STATUS)
    has_failed = any(result in FAILURE_RESULTS for _, result in summary.counts)
    if has_failed or claimed or has_due_left(session, now, source_filter):
        sys.exit(1)


def select_sources(session: Session, slugs: Collection[str], sources: Collection[str]) -> SourceFilter:
    """Return the filter for the arguments; raise a `ClickException` for unknown packages."""
    ids: Mapping[str, int] = ids_by_slug(session, slugs) if slugs else {}
    unknown = [slug for slug in slugs if slug not in ids]
    session.rollback()
    if unknown:
        raise click.ClickException(f"No package found for {', '.join(unknown)}.")
    return SourceFilter(
        package_ids=set(ids.values()) if slugs else None,
        sources=[Source(source) for source in sources] or None,
    )


def refresh_with_progress(session: Session, source_filter: SourceFilter) -> tuple[RefreshSummary, bool]:
    """Refresh with a progress bar; return the summary and whether Ctrl+C stopped it."""
    due = count_due(session, now=utc_now(), source_filter=source_filter)
    stop, lock = threading.Event(), threading.Lock()
    session.rollback()
    application = current_app._get_current_object()  # type: ignore[attr-defined]
    with click.progressbar(
        length=due, label="Refreshing", show_pos=True, file=sys.stderr, hidden=not sys.stderr.isatty() or not due
    ) as bar:

        def on_result(_claim: Claim, _result: RefreshResult) -> None:
            with lock:
                # New commits make the activity and the contributors due, so the total can grow.
                bar.length = max(bar.length or 0, bar.pos + 1)
                bar.update(1)

        previous_handler = signal.signal(signal.SIGINT, lambda *_: stop.set())
        try:
            summary = Refresher(
                application, gateways(), source_filter=source_filter, stop=stop, on_result=on_result
            ).run()
        finally:
            signal.signal(signal.SIGINT, previous_handler)
    return summary, stop.is_set()


def has_due_left(session: Session, since: datetime, source_filter: SourceFilter) -> bool:
    """Return whether a source that was due at the start was skipped, because its host is paused."""
    remaining = count_due(session, now=since, source_filter=source_filter)
    session.rollback()
    return remaining > 0


def describe_claims(claimed: ClaimedGroup) -> str:
    """Return a sentence about claims of another worker."""
    sources = "1 source is" if claimed.count == 1 else f"{claimed.count:,} sources are"
    worker = Worker.parse(claimed.holder)
    by = f" by process {worker.pid} on {worker.hostname}" if worker else ""
    return f"{claimed.host}, {claimed.source}: {sources} claimed{by} until {claimed.until:%H:%M} UTC."


def print_summary(
    session: Session, summary: RefreshSummary, source_filter: SourceFilter, claimed: Collection[ClaimedGroup]
) -> None:
    """Print the counts of each source, the claims of other workers, the paused hosts and the failures."""
    now = utc_now()
    if not summary.counts and not claimed:
        has_due = count_due(session, now=now, source_filter=source_filter)
        click.echo("No host is available at the moment." if has_due else "Nothing is due.")
    for source in Source:
        counts = {result: summary.counts[source, result] for result in RESULT_COLUMNS}
        if any(counts.values()):
            columns = ", ".join(f"{count} {result.label}" for result, count in counts.items() if count)
            click.echo(f"{source:10} {columns}")
    for group in claimed:
        click.echo(describe_claims(group))
    for host, until, reason in paused_hosts(session, now=now):
        click.echo(f"{host} paused until {until:%H:%M} UTC: {reason}")
    for (package_id, source), message in sorted(summary.failures.items()):
        click.echo(f"  package {package_id}, {source}: {message}")
    session.rollback()
