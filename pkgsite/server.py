"""The `serve` command: migrates the database, fills an empty one, and starts a production web server."""

from __future__ import annotations

import socket
from multiprocessing.util import Finalize
from typing import Any

import click
from flask import Flask, current_app
from flask.cli import with_appcontext
from flask_migrate import upgrade
from granian import Granian
from granian.constants import HTTPModes, Interfaces
from granian.log import LogLevels
from werkzeug.utils import import_string

from pkgsite.clock import utc_now
from pkgsite.extensions import db
from pkgsite.jobs.scheduler import Scheduler
from pkgsite.models import begin_write
from pkgsite.services.accounts.users import has_staff
from pkgsite.services.importing.catalogue import load_bundled_catalogue_if_empty
from pkgsite.services.search.indexer import index_pending

WORKER_THREADS = 4  # concurrent requests per worker; more would only wait for the GIL
GRACEFUL_STOP_S = 10  # maximum time for active requests to finish
LOOPBACK = {"127.0.0.1", "::1", "localhost"}


def init_app(app: Flask) -> None:
    app.cli.add_command(serve)


@click.command()
@with_appcontext
def serve() -> None:
    """Start the web server (settings HOST, PORT, WORKERS). Press Ctrl+C to stop."""
    settings = current_app.config
    check_port_available(settings["HOST"], settings["PORT"])
    prepare_database()
    db.engine.dispose()  # the workers open their own connections
    print_address(settings)
    Granian(
        "wsgi:app",
        address=settings["HOST"],
        port=settings["PORT"],
        interface=Interfaces.WSGI,
        workers=settings["WORKERS"],
        blocking_threads=WORKER_THREADS,
        http=HTTPModes.http1,
        websockets=False,
        log_level=LogLevels.warning,
        respawn_failed_workers=True,
        workers_kill_timeout=GRACEFUL_STOP_S,
    ).serve(target_loader=load_worker)
    click.echo("Stopped.", err=True)


def load_worker(target: str) -> Flask:
    """Return the application for a worker process, and start the worker's scheduler.

    Each worker has a scheduler, and the lease in the database decides which of them is active. It is started here
    because threads do not survive a fork, and importing the application must not start jobs.
    """
    app: Flask = import_string(target)
    if app.config["SCHEDULER"] == "web":
        scheduler = Scheduler(app)
        scheduler.start()
        Finalize(None, scheduler.stop, exitpriority=100)  # atexit does not run in a multiprocessing child
    return app


def prepare_database() -> None:
    """Apply migrations, load the catalogue into an empty database, and update the search index."""
    upgrade()
    with db.session.begin():
        loaded = load_bundled_catalogue_if_empty(db.session(), now=utc_now())
    with db.session.begin():  # after a migration, or changes made directly in the database
        begin_write(db.session())
        indexed = index_pending(
            db.session(), ignored_prefixes=tuple(current_app.config["SEARCH_PREFIX"]), now=utc_now()
        )
    if indexed:
        click.echo(f"Indexed {indexed} {'record' if indexed == 1 else 'records'} for search.", err=True)
    if loaded:
        click.echo("The database was empty. Loaded the bundled catalogue.", err=True)
    if not has_staff(db.session()):
        command = f"{current_app.config['COMMAND']} users create NAME --role staff"
        click.echo(f"No staff account yet. Create one with: {command}", err=True)
    db.session.rollback()


def check_port_available(host: str, port: int) -> None:
    """Raise a `ClickException` if the address is not available."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise click.ClickException(
                f"could not listen on {host} port {port}: {error.strerror}. "
                f"Try another port, for example: PORT={port % 65535 + 1} {current_app.config['COMMAND']} serve"
            ) from None


def print_address(settings: Any) -> None:
    """Print the site's URL, and a warning if a public host accepts any Host header."""
    host = f"[{settings['HOST']}]" if ":" in settings["HOST"] else settings["HOST"]
    click.echo(
        f"{settings['SITE_TITLE']} is running at http://{host}:{settings['PORT']}/ (press Ctrl+C to stop)", err=True
    )
    if settings["HOST"] not in LOOPBACK and not settings["TRUSTED_HOSTS"]:
        click.echo("Warning: TRUSTED_HOSTS is not set, so any Host header is accepted.", err=True)
