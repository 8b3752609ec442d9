"""A worker process for tests: refreshes what is due by the real engine, and says on its output what it claims.

    python -m tests.jobs.worker SECONDS

A line is printed for each batch of claims before any of it is asked for: "id@until" of each. SECONDS moves the clock.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import config
from pkgsite import create_app
from pkgsite.clock import utc_now
from pkgsite.extensions import gateways
from pkgsite.jobs.refresh import Refresher
from pkgsite.services.refresh.queue import Claim


class ReportingRefresher(Refresher):
    """A refresher that tells what it has claimed."""

    def _process_claims(self, host: str, claims: Sequence[Claim]) -> None:
        line = " ".join(f"{one.id}@{one.expires_at.timestamp():.6f}" for one in claims)
        os.write(1, f"{line}\n".encode())  # at once, and whole: this process may be killed at any moment
        super()._process_claims(host, claims)


def main() -> int:
    clock_offset = timedelta(seconds=float(sys.argv[1]))
    app = create_app(config.load_config())
    with app.app_context():
        options: dict[str, Any] = {"clock": lambda: utc_now() + clock_offset}
        refresher = ReportingRefresher(app, gateways(), **options)
    refresher.run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
