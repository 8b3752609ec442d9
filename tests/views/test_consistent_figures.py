"""Each figure is the same on every page and in the API, for every package of the bundled catalogue."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from html import unescape
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from pkgsite.clock import utc_now
from pkgsite.services.importing.catalogue import load_catalogue
from tests.views.conftest import FetchPage, visible_text

pytestmark = pytest.mark.long


Figures = dict[str, str]  # by name; a figure that is not shown is absent
ZONE = ZoneInfo("America/New_York")  # of the site
LIST_FIGURES = ("stars", "forks", "last commit", "version")
SLUG_LINK = re.compile(r'href="/packages/p/([^"/]+)/"')


@pytest.fixture
def catalogue(session: Session, client: FlaskClient) -> dict[str, dict[str, Any]]:
    """The API records, by slug, of the packages of the bundled catalogue."""
    load_catalogue(session, None, now=utc_now())
    session.commit()
    body = client.get("/api/v4/packages/?limit=1000&expand=score,licence,python,status").get_json()
    assert len(body["results"]) == 87
    return {record["slug"]: record for record in body["results"]}


def test_every_figure_is_the_same_everywhere(
    catalogue: dict[str, dict[str, Any]], fetch_page: FetchPage, client: FlaskClient
) -> None:
    differing = []
    for place, slug, figures in all_figures(catalogue, fetch_page, client):
        expected = expected_figures(catalogue[slug])
        differing += [
            f"{slug}, {place}: {name} is {value}, not {expected[name]}"
            for name, value in figures.items()
            if value != expected[name]
        ]
    assert differing == []


def expected_figures(record: dict[str, Any]) -> Figures:
    weeks = record["commits_over_52"]
    return {
        "stars": f"{record['repo_watchers']:,}",
        "forks": f"{record['repo_forks']:,}",
        "score": f"{record['score']:,}".replace("-", "−"),
        "version": record["pypi_version"] or "— unknown",
        "commits": f"{sum(weeks):,}" if weeks else "— unknown",
        "last commit": to_day(record["last_updated"]),
        "counted until": to_day(record["last_fetched"]),
    }


def to_day(timestamp: str | None) -> str:
    """Return the date of a timestamp of the API in the site's time zone."""
    if timestamp is None:
        return "— unknown"
    at = datetime.fromisoformat(timestamp).astimezone(ZONE)
    return f"{at.day} {at:%b %Y}"


def all_figures(
    catalogue: dict[str, dict[str, Any]], fetch_page: FetchPage, client: FlaskClient
) -> Iterator[tuple[str, str, Figures]]:
    """Yield the place, the slug and the figures there, for each package and each place."""
    for slug in catalogue:
        html = fetch_page(f"/packages/p/{slug}/")
        yield "page", slug, page_figures(html)
        yield "health", slug, health_figures(html)
        rows = dict(row_figures(fetch_page(f"/search/?q={slug}")))
        yield "search", slug, rows[slug]
        hits = {hit["slug"]: hit for hit in client.get(f"/api/v4/search/?q={slug}").get_json()}
        yield "search API", slug, hit_figures(hits[slug])
    for number in range(1, 6):
        yield from (("list", *row) for row in row_figures(fetch_page(f"/packages/?page={number}")))
    for grid in client.get("/api/v4/grids/?limit=100").get_json()["results"]:
        html = fetch_page(f"/grids/g/{grid['slug']}/")
        yield from (("grid", slug, figures) for slug, figures in grid_figures(html))


def page_figures(html: str) -> Figures:
    facts = {
        name.lower(): visible_text(value).replace("unknown", "— unknown")
        for name, value in re.findall(r"<div><dt>(Stars|Forks|Version|Last commit)</dt><dd>(.*?)</dd></div>", html)
    }
    facts["last commit"] = re.sub(r" \d+ \w+ ago$", "", facts["last commit"])
    (score,) = re.findall(r'<h2 id="score">Score <span class="numeric">(.*?)</span>', html)
    return {**facts, "score": score, **activity_figures(section(html, "activity"))}


def activity_figures(text: str) -> Figures:
    match = re.search(r"Activity (No|[\d,]+) commits? in the 52 weeks to (\d+ \w+ \d+)", text)
    if match is None:
        return {"commits": "— unknown"}
    return {"commits": match.group(1).replace("No", "0"), "counted until": match.group(2)}


def health_figures(html: str) -> Figures:
    text = section(html, "health")
    figures = {}
    if last := re.search(r"Last commit on (\d+ \w+ \d+)", text):
        figures["last commit"] = shorten_month(last.group(1))
    if counted := re.search(r"; ([\d,]+) commits? in the 52 weeks to (\d+ \w+ \d+)", text):
        figures |= {"commits": counted.group(1), "counted until": shorten_month(counted.group(2))}
    return figures


def shorten_month(text: str) -> str:
    day, month, year = text.split()
    return f"{day} {month[:3]} {year}"


def section(html: str, heading: str) -> str:
    """Return the text of the section with this heading."""
    return visible_text(html.partition(f'<section aria-labelledby="{heading}">')[2].partition("</section>")[0])


def row_figures(html: str) -> Iterator[tuple[str, Figures]]:
    """Yield the slug and the figures of each package in a list."""
    for row in html.split('<li class="row')[1:]:
        slug = SLUG_LINK.search(row)
        figures = re.findall(r"<div[^>]*><dt>([a-z ]+)</dt><dd[^>]*>(.*?)</dd></div>", row)
        if slug:
            yield slug.group(1), {name: visible_text(value) for name, value in figures if name in LIST_FIGURES}


def hit_figures(hit: dict[str, Any]) -> Figures:
    return {
        "stars": f"{hit['repo_watchers']:,}",
        "forks": f"{hit['repo_forks']:,}",
        "score": f"{hit['score']:,}".replace("-", "−"),
        "last commit": to_day(hit["last_committed"]),
    }


def grid_figures(html: str) -> Iterator[tuple[str, Figures]]:
    """Yield the slug and the figures of each column."""
    head, _, body = html.partition("<thead>")[2].partition("</thead>")
    slugs = re.findall(r'<th scope="col"[^>]*><a href="/packages/p/([^"/]+)/"', head)
    rows = {}
    for row in body.split("<tr>")[1:]:
        title = unescape(row.partition('<th scope="row">')[2].partition("<")[0]).strip().lower()
        cells = re.findall(r"<td[^>]*>(.*?)</td>", row, re.DOTALL)
        rows[title] = [visible_text(cell).removesuffix(" (best)") for cell in cells]
    for position, slug in enumerate(slugs):
        yield slug, {name: rows[name][position] for name in (*LIST_FIGURES, "commits")}


@pytest.mark.parametrize("slug", ["cacheops", "django-tree-queries"])
def test_dates_and_commits_of_a_page_agree(
    catalogue: dict[str, dict[str, Any]], fetch_page: FetchPage, slug: str
) -> None:
    """Their last commits are on different days in UTC and in the site's time zone; their commits are of last year."""
    html = fetch_page(f"/packages/p/{slug}/")
    page, health = page_figures(html), health_figures(html)
    assert health
    assert {name: page[name] for name in health} == health
    assert page["commits"] == str(sum(catalogue[slug]["commits_over_52"]))
