"""Runs `flask` with a faster scheduler.

    python -m tests.fakes.fast_scheduler --app wsgi serve

Leases are shorter, heartbeats and refreshes more frequent; everything else is as in production.
"""

from __future__ import annotations

import sys
from datetime import timedelta

from flask.cli import main

from pkgsite.jobs import scheduler
from pkgsite.jobs.timetable import JOB_FUNCTIONS
from pkgsite.rules.timetable import REFRESH

LEASE_TTL = timedelta(seconds=12)
HEARTBEAT_INTERVAL = timedelta(seconds=3)
REFRESH_INTERVAL = timedelta(seconds=5)


def speed_up() -> None:
    # The hash of a job depends on its interval, so the functions have to be stored again.
    functions = list(JOB_FUNCTIONS.items())
    JOB_FUNCTIONS.clear()
    object.__setattr__(REFRESH, "interval", REFRESH_INTERVAL)
    JOB_FUNCTIONS.update(functions)
    scheduler.LEASE_TTL, scheduler.HEARTBEAT_INTERVAL = LEASE_TTL, HEARTBEAT_INTERVAL


if __name__ in {"__main__", "__mp_main__"}:  # the command, or one of its worker processes
    speed_up()
if __name__ == "__main__":
    sys.argv[0] = "flask"
    main()
