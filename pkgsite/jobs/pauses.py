"""Pauses of hosts: recorded by the jobs that a host fails, and logged once each."""

from __future__ import annotations

import logging
from datetime import datetime

from sqlalchemy.orm import Session

from pkgsite.errors import NotAllowed, UpstreamError
from pkgsite.services.refresh.queue import start_pause

log = logging.getLogger(__name__)


def record_pause(session: Session, host: str, failure: UpstreamError, *, now: datetime) -> None:
    """Pause a host because of a failure, commit, and log it unless another job has paused the host already."""
    until, is_new = start_pause(session, host, failure, now=now)
    session.commit()
    if not is_new:
        return
    detail = f" ({failure.log_detail})" if isinstance(failure, NotAllowed) and failure.log_detail else ""
    # A refusal lasts until the operator changes something.
    level = logging.ERROR if isinstance(failure, NotAllowed) else logging.WARNING
    log.log(level, "%s paused until %s UTC: %s%s", host, f"{until:%H:%M:%S}", failure, detail)
