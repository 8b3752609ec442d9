"""The commands that do the jobs' work by hand: each asks the same services as the scheduler."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Collection, Mapping
from datetime import datetime

import click
from flask import Flask, current_app
from flask.cli import AppGroup, with_appcontext
from sqlalchemy.orm import Session

from pkgsite.clock import utc_now
from pkgsite.extensions import db, gateways
from pkgsite.jobs.refresh import Refresher, Tally
from pkgsite.jobs.scheduler import Scheduler
from pkgsite.rules.freshness import Priority, Source
from pkgsite.services.packages import ids_by_slug
from pkgsite.services.refresh import Claim, Only, Result, count_due, paused_hosts
from pkgsite.services.sources import make_due, sync_sources

STOPPED_BY_CTRL_C = 130  # what a shell expects of a program that Ctrl-C stopped
COLUMNS = (Result.FETCHED, Result.UNCHANGED, Result.LATER, Result.MISSING, Result.FAILED, Result.PAUSED)
WORST = {Result.FAILED, Result.MISSING, Result.PAUSED}

jobs = AppGroup("jobs", help="Manage scheduled jobs.")


def init_app(app: Flask) -> None:
    app.cli.add_command(refresh)
    app.cli.add_command(jobs)


@jobs.command("run")
def run() -> None:
    """Run scheduled jobs in this process until Ctrl-C or SIGTERM, for sites that set SCHEDULER=off."""
    application = current_app._get_current_object()  # type: ignore[attr-defined]
    scheduler, over = Scheduler(application), threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: over.set())
    scheduler.start()
    click.echo("Scheduler started. Jobs run while this process holds the lease. Press Ctrl-C to stop.", err=True)
    over.wait()
    scheduler.stop()
    click.echo("Stopped.", err=True)


@click.command("refresh")
@click.argument("slugs", nargs=-1, metavar="[SLUG]…")
@click.option(
    "--source",
    "sources",
    multiple=True,
    type=click.Choice([source.value for source in Source]),  # of an enumeration's members click takes the names
    help="Refresh only this source. Can be repeated.",
)
@click.option("--all", "everything", is_flag=True, help="Also refresh sources that are not due yet.")
@with_appcontext
def refresh(slugs: tuple[str, ...], sources: tuple[str, ...], everything: bool) -> None:
    """Refresh package facts from their hosts: all that are due, or the packages SLUG now.

    Ctrl-C finishes the requests in progress and stops. Exits with status 0 if every source was read, 1 otherwise.
    """
    session, now = db.session(), utc_now()
    only = chosen(session, slugs, sources)
    sync_sources(session, gateways(), now=now, package_ids=only.package_ids)
    if slugs or everything:
        make_due(session, priority=Priority.CLICK, now=now, package_ids=only.package_ids, sources=only.sources)
    session.commit()
    tally, was_stopped = refresh_with_progress(session, only)
    say_what_came(session, tally, only)
    if was_stopped:
        click.echo("Stopped. The remaining sources are still due.", err=True)
        sys.exit(STOPPED_BY_CTRL_C)
    if any(result in WORST for _, result in tally.counts) or is_left(session, now, only):
        sys.exit(1)


def chosen(session: Session, slugs: Collection[str], sources: Collection[str]) -> Only:
    """Return the part of the sources that the arguments name, or stop in plain words."""
    ids: Mapping[str, int] = ids_by_slug(session, slugs) if slugs else {}
    unknown = [slug for slug in slugs if slug not in ids]
    session.rollback()
    if unknown:
        raise click.ClickException(f"No package found for {', '.join(unknown)}.")
    return Only(
        package_ids=set(ids.values()) if slugs else None,
        sources=[Source(source) for source in sources] or None,
    )


def refresh_with_progress(session: Session, only: Only) -> tuple[Tally, bool]:
    """Refresh, showing how far it has come, and return what came of it and whether Ctrl-C stopped it."""
    due, stop, lock = count_due(session, now=utc_now(), only=only), threading.Event(), threading.Lock()
    session.rollback()
    application = current_app._get_current_object()  # type: ignore[attr-defined]
    with click.progressbar(
        length=due, label="Refreshing", show_pos=True, file=sys.stderr, hidden=not sys.stderr.isatty() or not due
    ) as bar:

        def on_result(_claim: Claim, _result: Result) -> None:
            with lock:
                # A repository with new commits brings its commits and people: there is more to do than there was.
                bar.length = max(bar.length or 0, bar.pos + 1)
                bar.update(1)

        before = signal.signal(signal.SIGINT, lambda *_: stop.set())
        try:
            tally = Refresher(application, gateways(), only=only, stop=stop, on_result=on_result).run()
        finally:
            signal.signal(signal.SIGINT, before)
    return tally, stop.is_set()


def is_left(session: Session, since: datetime, only: Only) -> bool:
    """Tell whether something that was due at the start has not been asked, since its host is left alone."""
    left = count_due(session, now=since, only=only)
    session.rollback()
    return left > 0


def say_what_came(session: Session, tally: Tally, only: Only) -> None:
    """Print a line for each source, then what failed and which hosts are left alone."""
    now = utc_now()
    if not tally.counts:
        click.echo(
            "Nothing is due." if not count_due(session, now=now, only=only) else "No host is available at the moment."
        )
    for source in Source:
        counts = {result: tally.counts[source, result] for result in COLUMNS}
        if any(counts.values()):
            told = ", ".join(f"{number} {result.label}" for result, number in counts.items() if number)
            click.echo(f"{source:10} {told}")
    for host, until, why in paused_hosts(session, now=now):
        click.echo(f"{host} paused until {until:%H:%M} UTC: {why}")
    for (package_id, source), words in sorted(tally.failures.items()):
        click.echo(f"  package {package_id}, {source}: {words}")
    session.rollback()
