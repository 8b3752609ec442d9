"""The status page: background jobs, external hosts and data freshness."""

from __future__ import annotations

from datetime import timedelta

from flask import Blueprint, render_template

from pkgsite.clock import utc_now
from pkgsite.extensions import db
from pkgsite.rules.freshness import Source
from pkgsite.services.status import status_page

SOURCE_LABELS = {
    Source.REPO: "Repository",
    Source.ACTIVITY: "Commits by week",
    Source.PEOPLE: "Contributors",
    Source.INDEX: "PyPI",
    Source.DOWNLOADS: "Downloads",
}

pages = Blueprint("status", __name__)


@pages.get("/status/")
def index() -> str:
    page = status_page(db.session(), now=utc_now())
    return render_template("site/status.html", page=page, source_labels=SOURCE_LABELS)


@pages.app_template_filter("duration")
def format_duration(duration: timedelta) -> str:
    """Return a duration such as "0.4 s", "12 s", "3 min 20 s" or "6 h", with non-breaking spaces before units."""
    seconds = max(duration.total_seconds(), 0.0)
    if seconds < 10:
        return f"{seconds:.1f}\N{NO-BREAK SPACE}s"
    parts, remaining = [], round(seconds)
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min"), (1, "s")):
        count, remaining = divmod(remaining, size)
        if count:
            parts.append(f"{count}\N{NO-BREAK SPACE}{unit}")
    return " ".join(parts[:2])
