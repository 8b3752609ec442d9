"""A worker process of the web server."""

from __future__ import annotations

import os
import signal
import threading
from multiprocessing import parent_process

from pkgsite.extensions import db
from pkgsite.jobs.scheduler import Scheduler
from pkgsite.server.deadlines import DeadlineProtocol
from pkgsite.server.wsgi_bridge import WsgiBridge


def create_asgi_app() -> WsgiBridge:
    """Return the application of a worker process.

    Each worker has a scheduler, and the lease in the database decides which of them is active.
    """
    from wsgi import app  # the setting up of the application, which only a worker needs

    DeadlineProtocol.stall_s = app.config["CLIENT_TIMEOUT"]
    scheduler = Scheduler(app) if app.config["SCHEDULER"] == "web" else None

    def start() -> None:
        threading.Thread(target=stop_with_server, daemon=True).start()
        if scheduler:
            scheduler.start()

    def stop() -> None:
        if scheduler:
            scheduler.stop()
        with app.app_context():
            db.engine.dispose()  # so that the server process can move SQLite's write-ahead log into the database file

    return WsgiBridge(
        app,
        max_body_bytes=app.config["MAX_CONTENT_LENGTH"],
        stall_s=app.config["CLIENT_TIMEOUT"],
        on_start=start,
        on_stop=stop,
    )


def stop_with_server() -> None:
    """Stop this process when the server process has ended without stopping it, for example because it was killed."""
    server = parent_process()
    if server is not None:
        server.join()
        os.kill(os.getpid(), signal.SIGTERM)
