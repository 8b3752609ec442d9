"""How templates write dates, numbers and strangers' text."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from urllib.parse import quote

from flask import Flask, current_app
from markupsafe import Markup

from pkgsite.clock import utc_now
from pkgsite.rules.charts import LineChart, activity_bars, line_chart, sparkline_points
from pkgsite.rules.freshness import REFRESH_INTERVALS, Source
from pkgsite.rules.grid_cells import CellView, parse_cell
from pkgsite.rules.links import host_title, profile_url, safe_url, without_scheme
from pkgsite.rules.pypi_names import is_pypi_name
from pkgsite.rules.shortcodes import expand_shortcodes
from pkgsite.services.packages.health import DailyNumbers

_STEPS = ((365 * 86400, "year"), (30 * 86400, "month"), (86400, "day"), (3600, "hour"), (60, "minute"))
MAX_LINE_LENGTH = 160
# The source of each fact that is kept from day to day.
SOURCE_OF_FACT = {"stars": Source.REPO, "downloads": Source.DOWNLOADS}
DEVELOPMENT_STATUS = {
    1: "Planning",
    2: "Pre-alpha",
    3: "Alpha",
    4: "Beta",
    5: "Stable",
    6: "Mature",
    7: "Inactive",
}
CELL_EXAMPLES = (
    ("yes", "Alone or as the first word. “check” and “good” work too."),
    ("no", "Alone or as the first word. “bad”, “negative”, “evil” and “sucks” work too."),
    ("++", "One to three plus signs, if the cell contains nothing else. “+2” works too."),
    ("---", "One to three minus signs. “-3” works too."),
    ("Yes, since 4.2", "Text after the word is kept."),
    ("no way", "Shown as a cross followed by “way”."),
    ("nothing yet", "Only whole words count, so this stays text."),
    ("see https://example.org/docs", "URLs become links."),
    ("", "An empty cell."),
)


def init_app(app: Flask) -> None:
    app.jinja_env.filters.update(
        day=format_date,
        ago=format_age,
        since=time_ago,
        until=time_until,
        one_line=to_one_line,
        number=format_number,
        shortcodes=expand_shortcodes,
        safe_url=safe_url,
        host_title=host_title,
        index_url=index_url,
        status=format_development_status,
        without_scheme=without_scheme,
    )
    subject = app.config["SITE_SUBJECT"]
    app.jinja_env.globals.update(
        subject=f"{subject} " if subject else "",
        activity_bars=activity_bars,
        history_chart=history_chart,
        spark_points=sparkline_points,
        profile_url=profile_url,
        cell_samples=cell_examples,
    )


def format_date(at: datetime | date) -> Markup:
    """Write a day as in "15 Feb 2026", in the site's time zone; programs find the instant in the element."""
    local = at.astimezone(current_app.config["TIMEZONE"]) if isinstance(at, datetime) else at
    text = f"{local.day} {local:%b %Y}"
    if isinstance(at, datetime):
        return _time_element(at, text)
    return Markup('<time datetime="{}">{}</time>').format(local.isoformat(), text)


def format_age(at: datetime) -> str:
    """Write how long ago an instant was, in its largest whole unit, as in "3 months ago"."""
    text = _format_duration(utc_now() - at)
    return f"{text} ago" if text else "just now"


def time_ago(at: datetime) -> Markup:
    """Write how long ago an instant was; programs, and who points at it, find the instant in the element."""
    return _time_element(at, format_age(at))


def time_until(at: datetime) -> Markup:
    """Write how far ahead an instant lies, as in "in 3 hours"; programs find the instant in the element."""
    text = _format_duration(at - utc_now())
    return _time_element(at, f"in {text}" if text else "soon")


def to_one_line(text: str) -> str:
    """Return what another site wrote as one short line, without what can't be seen."""
    printable = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    return printable if len(printable) <= MAX_LINE_LENGTH else f"{printable[: MAX_LINE_LENGTH - 1].rstrip()}…"


def format_number(value: int | Decimal) -> str:
    """Write a number with a comma between thousands, and its tenths where it has some."""
    return f"{value:,}".removesuffix(".0").replace("-", "−")


def history_chart(samples: Sequence[DailyNumbers], fact: str, *, width: int, height: int) -> LineChart | None:
    """Return the line through a fact's days; None where too few are known.

    Two values are joined if no more days lie between them than there may be from one fetch to the next.
    """
    days = [(sample.day_on, getattr(sample, fact)) for sample in samples]
    return line_chart(
        days, width=width, height=height, joined_days=(REFRESH_INTERVALS[SOURCE_OF_FACT[fact]] * 3 / 2).days
    )


def format_development_status(value: int | None) -> str:
    """Write a development status (1 to 7) in words; empty where it is unknown."""
    return DEVELOPMENT_STATUS.get(value or 0, "")


def index_url(name: str) -> str | None:
    """Return the page of a project on the package index; None where the index can't have such a name."""
    if not is_pypi_name(name):
        return None
    return f"{current_app.config['PACKAGE_INDEX_URL']}/project/{quote(name)}/"


def cell_examples() -> list[tuple[str, CellView, str]]:
    """Return examples of the markup of cells: what is written, what it shows, and when."""
    return [(markup, parse_cell(markup), text) for markup, text in CELL_EXAMPLES]


def _time_element(at: datetime, text: str) -> Markup:
    """Return these words as an element that holds the instant, in the site's time zone."""
    local = at.astimezone(current_app.config["TIMEZONE"])
    title = f"{local.day} {local:%b %Y, %H:%M %Z}"
    return Markup('<time datetime="{}" title="{}">{}</time>').format(local.isoformat(timespec="seconds"), title, text)


def _format_duration(time: timedelta) -> str:
    """Write a length of time in its largest whole unit, as in "3 months"; nothing for less than a minute."""
    for size, unit in _STEPS:
        count = int(time.total_seconds() // size)
        if count >= 1:
            return f"{count} {unit}{'' if count == 1 else 's'}"
    return ""
