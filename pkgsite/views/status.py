"""The page that says how the site's own work goes."""

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
    return render_template("site/status.html", page=status_page(db.session(), now=utc_now()), sources=SOURCE_LABELS)


@pages.app_template_filter("lasting")
def format_duration(time: timedelta) -> str:
    """Write a length of time as in "0.4 s", "12 s", "3 min 20 s" or "6 h"; a unit stays with its number."""
    seconds = max(time.total_seconds(), 0.0)
    if seconds < 10:
        return f"{seconds:.1f}\N{NO-BREAK SPACE}s"
    parts, rest = [], round(seconds)
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min"), (1, "s")):
        count, rest = divmod(rest, size)
        if count:
            parts.append(f"{count}\N{NO-BREAK SPACE}{unit}")
    return " ".join(parts[:2])
