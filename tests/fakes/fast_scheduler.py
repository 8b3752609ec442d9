"""Runs `flask` with a faster scheduler.

    python -m tests.fakes.fast_scheduler --app wsgi serve

Leases are shorter, heartbeats and refreshes more frequent; everything else is as in production.
"""

from __future__ import annotations

import sys
from datetime import timedelta

from pkgsite.rules import timetable

LEASE_TTL = timedelta(seconds=12)
HEARTBEAT_INTERVAL = timedelta(seconds=3)
REFRESH_INTERVAL = timedelta(seconds=5)


def speed_up() -> None:
    # Before the job is used as a key, because its hash changes.
    object.__setattr__(timetable.REFRESH, "interval", REFRESH_INTERVAL)
    from pkgsite.jobs import scheduler

    scheduler.LEASE_TTL, scheduler.HEARTBEAT_INTERVAL = LEASE_TTL, HEARTBEAT_INTERVAL


if __name__ == "__main__":
    speed_up()
    from flask.cli import main

    sys.argv[0] = "flask"
    main()
