"""A worker process for tests: refreshes due sources with the real refresher, and prints its claims.

    python -m tests.jobs.worker SECONDS

Prints a line for each batch of claims before the requests: "id@expiry" of each claim. SECONDS shifts the clock.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from datetime import timedelta

import config
from pkgsite import create_app
from pkgsite.clock import utc_now
from pkgsite.extensions import gateways
from pkgsite.jobs.refresh import Refresher
from pkgsite.services.refresh.queue import Claim


class ReportingRefresher(Refresher):
    """A refresher that prints its claims."""

    def _process_claims(self, host: str, claims: Sequence[Claim]) -> None:
        line = " ".join(f"{claim.id}@{claim.expires_at.timestamp():.6f}" for claim in claims)
        os.write(1, f"{line}\n".encode())  # unbuffered, because this process may be killed at any moment
        super()._process_claims(host, claims)


def main() -> int:
    clock_offset = timedelta(seconds=float(sys.argv[1]))
    app = create_app(config.load_config())
    with app.app_context():
        refresher = ReportingRefresher(app, gateways(), clock=lambda: utc_now() + clock_offset)
    refresher.run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
