"""Template filters and globals: dates, numbers, charts and text from other sites."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal

from flask import Flask, current_app
from markupsafe import Markup

from pkgsite.clock import utc_now
from pkgsite.rules.charts import LineChart, activity_bars, line_chart, sparkline_points
from pkgsite.rules.freshness import REFRESH_INTERVALS, Source
from pkgsite.rules.grid_cells import CellView, parse_cell
from pkgsite.rules.links import host_title, profile_url, safe_url, without_scheme
from pkgsite.rules.pypi_names import project_url
from pkgsite.rules.shortcodes import expand_shortcodes
from pkgsite.services.packages.health import DailyNumbers

_DURATION_UNITS = ((365 * 86400, "year"), (30 * 86400, "month"), (86400, "day"), (3600, "hour"), (60, "minute"))
MAX_LINE_LENGTH = 160
# The source of each fact that has a daily history.
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
CELL_EXAMPLES = (  # markup and explanation
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
        plural=pluralise,
        counted=format_count,
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
        sparkline_points=sparkline_points,
        profile_url=profile_url,
        cell_examples=cell_examples,
    )


def format_date(at: datetime | date) -> Markup:
    """Return a date such as "15 Feb 2026" in the site's time zone, as a `time` element."""
    local = at.astimezone(current_app.config["TIMEZONE"]) if isinstance(at, datetime) else at
    text = f"{local.day} {local:%b %Y}"
    if isinstance(at, datetime):
        return _time_element(at, text)
    return Markup('<time datetime="{}">{}</time>').format(local.isoformat(), text)


def format_age(at: datetime) -> str:
    """Return the age of an instant in its largest whole unit, such as "3 months ago"."""
    text = _format_duration(utc_now() - at)
    return f"{text} ago" if text else "just now"


def time_ago(at: datetime) -> Markup:
    """Return the age of an instant as a `time` element whose title is the exact time."""
    return _time_element(at, format_age(at))


def time_until(at: datetime) -> Markup:
    """Return the time until an instant, such as "in 3 hours", as a `time` element."""
    text = _format_duration(at - utc_now())
    return _time_element(at, f"in {text}" if text else "soon")


def to_one_line(text: str) -> str:
    """Return text from another site as one short line without unprintable characters."""
    printable = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    return printable if len(printable) <= MAX_LINE_LENGTH else f"{printable[: MAX_LINE_LENGTH - 1].rstrip()}…"


def format_number(value: int | Decimal) -> str:
    """Return a number with thousands separators, without a trailing ".0"."""
    return f"{value:,}".removesuffix(".0").replace("-", "−")


def pluralise(noun: str, count: int) -> str:
    """Return the plural of a regular noun, or the noun itself if the count is 1."""
    return noun if count == 1 else f"{noun}s"


def format_count(count: int, noun: str) -> str:
    """Return a number with a regular noun, such as "1 package" or "1,023 packages"."""
    return f"{format_number(count)} {pluralise(noun, count)}"


def history_chart(samples: Sequence[DailyNumbers], fact: str, *, width: int, height: int) -> LineChart | None:
    """Return the line chart of a fact's daily values, or None if too few are known.

    Two values are joined if the gap between them is no longer than one and a half refresh intervals.
    """
    days = [(sample.day_on, getattr(sample, fact)) for sample in samples]
    return line_chart(
        days, width=width, height=height, joined_days=(REFRESH_INTERVALS[SOURCE_OF_FACT[fact]] * 3 / 2).days
    )


def format_development_status(value: int | None) -> str:
    """Return the name of a development status (1 to 7), or an empty string if it is unknown."""
    return DEVELOPMENT_STATUS.get(value or 0, "")


def index_url(name: str) -> str | None:
    """Return the URL of a project on PyPI, or None if the name is not a valid project name."""
    return project_url(current_app.config["PACKAGE_INDEX_URL"], name)


def cell_examples() -> list[tuple[str, CellView, str]]:
    """Return examples of cell markup, each with its rendered view and an explanation."""
    return [(markup, parse_cell(markup), text) for markup, text in CELL_EXAMPLES]


def _time_element(at: datetime, text: str) -> Markup:
    """Return a `time` element with this text and the instant in the site's time zone."""
    local = at.astimezone(current_app.config["TIMEZONE"])
    title = f"{local.day} {local:%b %Y, %H:%M %Z}"
    return Markup('<time datetime="{}" title="{}">{}</time>').format(local.isoformat(timespec="seconds"), title, text)


def _format_duration(duration: timedelta) -> str:
    """Return a duration in its largest whole unit, such as "3 months", or "" if it is less than a minute."""
    for size, unit in _DURATION_UNITS:
        count = int(duration.total_seconds() // size)
        if count >= 1:
            return format_count(count, unit)
    return ""
