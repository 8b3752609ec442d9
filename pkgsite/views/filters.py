"""How templates write dates, numbers and strangers' text."""

from __future__ import annotations

from datetime import date, datetime
from urllib.parse import quote

from flask import Flask, current_app
from markupsafe import Markup

from pkgsite.clock import utc_now
from pkgsite.rules.charts import activity_bars, spark_points
from pkgsite.rules.grid_cells import CellView, read_cell
from pkgsite.rules.links import host_title, profile_url, safe_url, without_scheme
from pkgsite.rules.pypi_names import is_pypi_name
from pkgsite.rules.shortcodes import expand_shortcodes

_STEPS = ((365 * 86400, "year"), (30 * 86400, "month"), (86400, "day"), (3600, "hour"), (60, "minute"))
DEVELOPMENT_STATUS = {
    1: "Planning",
    2: "Pre-alpha",
    3: "Alpha",
    4: "Beta",
    5: "Stable",
    6: "Mature",
    7: "Inactive",
}
CELL_SAMPLES = (
    ("yes", "Alone, or as the first word. So do “check” and “good”."),
    ("no", "Alone, or as the first word. So do “bad”, “negative”, “evil” and “sucks”."),
    ("++", "A sign, if it is all that the cell holds: one, two or three of them. So does “+2”."),
    ("---", "The same for no. So does “-3”."),
    ("Yes, since 4.2", "What follows the word is kept."),
    ("no way", "A word is a word: this is a cross and “way”."),
    ("nothing yet", "The beginning of a word is not: this stays text."),
    ("see https://example.org/docs", "Addresses become links."),
    ("", "An empty cell: nobody has written anything."),
)


def init_app(app: Flask) -> None:
    app.jinja_env.filters.update(
        day=day,
        ago=ago,
        number=number,
        shortcodes=expand_shortcodes,
        safe_url=safe_url,
        host_title=host_title,
        index_url=index_url,
        status=status,
        without_scheme=without_scheme,
    )
    subject = app.config["SITE_SUBJECT"]
    app.jinja_env.globals.update(
        subject=f"{subject} " if subject else "",
        activity_bars=activity_bars,
        spark_points=spark_points,
        profile_url=profile_url,
        site_day=site_day,
        cell_samples=cell_samples,
    )


def day(at: datetime | date) -> Markup:
    """Write a day as in "15 Feb 2026", in the site's time zone; programs find the instant in the element."""
    local = at.astimezone(current_app.config["TIMEZONE"]) if isinstance(at, datetime) else at
    words = f"{local.day} {local:%b %Y}"
    if not isinstance(local, datetime):
        return Markup('<time datetime="{}">{}</time>').format(local.isoformat(), words)
    return Markup('<time datetime="{}" title="{}">{}</time>').format(
        local.isoformat(timespec="seconds"), f"{words}, {local:%H:%M %Z}", words
    )


def site_day(at: datetime | None) -> date | None:
    """Return the day on which this instant falls in the site's time zone."""
    return at.astimezone(current_app.config["TIMEZONE"]).date() if at else None


def ago(at: datetime) -> str:
    """Write how long ago an instant was, in its largest whole unit, as in "3 months ago"."""
    seconds = (utc_now() - at).total_seconds()
    for size, unit in _STEPS:
        whole = int(seconds // size)
        if whole >= 1:
            return f"{whole} {unit}{'' if whole == 1 else 's'} ago"
    return "just now"


def number(value: int) -> str:
    """Write a number with a comma between thousands."""
    return f"{value:,}"


def status(value: int | None) -> str:
    """Write a development status (1 to 7) in words; empty where it is unknown."""
    return DEVELOPMENT_STATUS.get(value or 0, "")


def index_url(name: str) -> str | None:
    """Return the page of a project on the package index; None where the index can't have such a name."""
    if not is_pypi_name(name):
        return None
    return f"{current_app.config['PACKAGE_INDEX_URL']}/project/{quote(name)}/"


def cell_samples() -> list[tuple[str, CellView, str]]:
    """Return examples of the markup of cells: what is written, what it shows, and when."""
    return [(written, read_cell(written), words) for written, words in CELL_SAMPLES]
