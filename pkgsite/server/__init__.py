"""The `serve` command: migrates the database, fills an empty one, and starts a production web server."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from tempfile import TemporaryDirectory
from typing import Any

import click
import uvicorn
from flask import Flask, current_app
from flask.cli import with_appcontext
from flask_migrate import upgrade
from uvicorn.supervisors import Multiprocess

from pkgsite.clock import utc_now
from pkgsite.extensions import db
from pkgsite.models import allow_new_file, begin_write, complete_file
from pkgsite.operations.metrics import SHARED_DIRECTORY
from pkgsite.operations.startup import explained
from pkgsite.server.deadlines import DeadlineProtocol
from pkgsite.services.accounts.users import has_staff
from pkgsite.services.importing.catalogue import load_bundled_catalogue_if_empty
from pkgsite.services.search.indexer import index_pending

GRACEFUL_STOP_S = 10  # maximum time for active requests to finish
KEEP_ALIVE_S = 15  # how long a connection without requests stays open
BACKLOG = 1_024  # connections that wait for a worker
MAX_CONNECTIONS = 1_000  # per worker; the server rejects more with status 503
LOOPBACK = {"127.0.0.1", "::1", "localhost"}


def init_app(app: Flask) -> None:
    app.cli.add_command(serve)


@click.command()
@click.option("--new-database", is_flag=True, help="Start with an empty database if the SQLite file is missing.")
@click.option("--debug", is_flag=True, expose_value=False, help="Show the traceback of an error at start.")
@with_appcontext
@explained
def serve(new_database: bool) -> None:
    """Start the web server (settings HOST, PORT, WORKERS). Press Ctrl+C to stop."""
    settings = current_app.config
    with listen(settings["HOST"], settings["PORT"]) as listener, shared_metrics(settings):
        if new_database:
            allow_new_file(db.engine)
        prepare_database()
        db.engine.dispose()  # the workers open their own connections
        print_address(settings)
        Multiprocess(server_config(settings["WORKERS"]), [listener]).run()
    complete_file(db.engine)
    click.echo("Stopped.", err=True)


@contextmanager
def shared_metrics(settings: Any) -> Iterator[None]:
    """Let the workers share their metrics in a temporary directory."""
    if not settings["METRICS_TOKEN"]:
        yield
        return
    with TemporaryDirectory(prefix="pkgsite-metrics-", ignore_cleanup_errors=True) as folder:
        os.environ[SHARED_DIRECTORY] = folder
        yield


def server_config(workers: int) -> uvicorn.Config:
    """Return the configuration of the web server. On SIGHUP, it replaces its workers one by one."""
    return uvicorn.Config(
        "pkgsite.server.worker:create_asgi_app",
        factory=True,
        workers=workers,
        http=DeadlineProtocol,
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,  # the application interprets them, depending on PROXY_HOPS
        backlog=BACKLOG,
        limit_concurrency=MAX_CONNECTIONS,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=GRACEFUL_STOP_S,
        timeout_worker_healthcheck=30,
    )


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


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens at this address; raise a `ClickException` if it is not available."""
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise click.ClickException(
            f"could not listen on {host} port {port}: {error.strerror}. "
            f"Try another port, for example: PORT={port % 65535 + 1} {current_app.config['COMMAND']} serve"
        ) from None
    listener.listen(BACKLOG)
    listener.set_inheritable(True)
    return listener


def print_address(settings: Any) -> None:
    """Print the site's URL, and a warning if a public host accepts any Host header."""
    host = f"[{settings['HOST']}]" if ":" in settings["HOST"] else settings["HOST"]
    click.echo(
        f"{settings['SITE_TITLE']} is running at http://{host}:{settings['PORT']}/ (press Ctrl+C to stop)", err=True
    )
    if settings["HOST"] not in LOOPBACK and not settings["TRUSTED_HOSTS"]:
        click.echo("Warning: TRUSTED_HOSTS is not set, so any Host header is accepted.", err=True)
