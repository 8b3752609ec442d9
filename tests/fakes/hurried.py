"""Runs `flask` with a scheduler in a hurry: what takes it a minute takes seconds.

    python -m tests.fakes.hurried --app wsgi serve

Leases are shorter, heartbeats and refreshes more frequent; everything else is as in production.
"""

from __future__ import annotations

import sys
from datetime import timedelta

from pkgsite.rules import timetable

LASTS = timedelta(seconds=12)
HEARTBEAT = timedelta(seconds=3)
REFRESH_EVERY = timedelta(seconds=5)


def hurry() -> None:
    # Before anything has the job as a key: its hash changes with it.
    object.__setattr__(timetable.REFRESH, "every", REFRESH_EVERY)
    from pkgsite.jobs import scheduler

    scheduler.LEASE_TTL, scheduler.HEARTBEAT_INTERVAL = LASTS, HEARTBEAT


if __name__ == "__main__":
    hurry()
    from flask.cli import main

    sys.argv[0] = "flask"
    main()
