"""The package page: facts, their sources and ages, and unknown values."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy.orm import Session

from pkgsite.models import DailySample, HostState, Package, Release
from tests.factories import NOW, make_package, make_source_state
from tests.views.conftest import FetchPage, link_targets, visible_text
from tests.views.varied_site import freeze_time


@pytest.fixture(autouse=True)
def _frozen_time(monkeypatch: pytest.MonkeyPatch) -> None:
    freeze_time(monkeypatch)


def test_all_known_facts_are_shown(varied_site: Session, fetch_page: FetchPage) -> None:
    html = fetch_page("/packages/p/known/")
    text = visible_text(html)
    for expected in (
        "Known package", "Keeps caches 🚀 fresh", "python -m pip install known-on-index", "Stars 2,500", "Forks 0",
        "Last commit 26 Feb 2026", "Commits 812", "Version 3.2.1 19 Feb 2026", "Licence MIT", "Python >=3.9",
        "Status Stable", "Downloads last month 123,456", "101 commits in the 52 weeks to 28 Feb 2026 .",
        "github.com, 1 day ago", "pypi.org, 1 day ago", "Users 2", "Favourites 2", "and others",
        "Good site", "Odd site", "3.2.0rc1 pre-release", "3.1 yanked", "Added 1 Mar 2026",
    ):  # fmt: skip
        assert expected in text, expected
    assert "Waiting site" not in text
    links = link_targets(html)
    for link in (
        "https://github.com/owner/known", "https://docs.example.org/known/", "https://pypi.org/project/known-on-index/",
        "https://github.com/ada", "https://github.com/grace.h", "https://good.example.org/", "/grids/g/caching/",
        "/api/v4/packages/1/", "/categories/apps/", "/packages/p/successor/",
    ):  # fmt: skip
        assert link in links, link


def test_missing_facts_are_unknown_and_not_zero(varied_site: Session, fetch_page: FetchPage) -> None:
    text = visible_text(fetch_page("/packages/p/unknown/"))
    for unknown in ("Stars unknown", "Forks unknown", "Last commit unknown", "Version unknown", "Licence unknown",
                    "Status unknown", "Downloads last month unknown", "in the last 52 weeks is unknown",
                    "The contributors are unknown", "Code host: not fetched yet"):  # fmt: skip
        assert unknown in text, unknown
    zero = visible_text(fetch_page("/packages/p/zero/"))
    assert "Stars 0" in zero
    assert "No commits in the 52 weeks" in zero


def test_the_activity_chart_has_a_bar_per_week_and_a_table(varied_site: Session, fetch_page: FetchPage) -> None:
    html = fetch_page("/packages/p/known/")
    chart = html.partition('<figure class="chart">')[2].partition("</figure>")[0]
    assert chart.count("<rect") == 52
    assert 'role="img"' in chart
    table = chart.partition("<details>")[2]
    assert table.count('<th scope="row">') == 52
    assert "<title>Week of 23 Feb 2026: 1 commit</title>" in chart


def test_text_from_other_sites_is_escaped(varied_site: Session, fetch_page: FetchPage) -> None:
    html = fetch_page("/packages/p/evil/")
    assert "<script>alert" not in html
    assert "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;" in html
    assert "{{ 7*7 }} 🚀" in html
    assert "pip install" not in html
    assert not [link for link in link_targets(html) if not link.startswith(("/", "#"))]


def test_external_links_are_nofollow(varied_site: Session, fetch_page: FetchPage) -> None:
    for path in ("/packages/p/known/", "/grids/g/caching/"):
        html = fetch_page(path)
        assert html.count('href="https://') == html.count('rel="nofollow noopener"') > 3


def test_a_package_says_what_replaced_it_and_what_it_replaces(varied_site: Session, fetch_page: FetchPage) -> None:
    replaced = fetch_page("/packages/p/replaced/")
    assert "Replaced. Use Successor instead." in visible_text(replaced)
    assert "/packages/p/successor/" in link_targets(replaced)
    assert "Replaces replaced" in visible_text(fetch_page("/packages/p/successor/"))


def test_bots_are_listed_apart(varied_site: Session, fetch_page: FetchPage) -> None:
    package = varied_site.query(Package).filter_by(slug="known").one()
    package.participants, package.participants_complete = ["ada", "dependabot[bot]", "renovate-bot"], True
    varied_site.commit()
    text = visible_text(fetch_page("/packages/p/known/"))
    assert "1 person has committed, not counting 2 bots." in text
    assert "Bots: dependabot[bot], renovate-bot" in text


def test_an_unreadable_python_requirement_is_shown_as_it_stands(varied_site: Session, fetch_page: FetchPage) -> None:
    package = varied_site.query(Package).filter_by(slug="known").one()
    package.requires_python = ">=3.x"
    varied_site.commit()
    assert "Python >=3.x (unreadable)" in visible_text(fetch_page("/packages/p/known/"))
    package.requires_python = ">=3.6.*"
    varied_site.commit()
    assert "Python >=3.6.* Status" in visible_text(fetch_page("/packages/p/known/"))


def test_relations_of_the_repository_and_sponsor_links(varied_site: Session, fetch_page: FetchPage) -> None:
    package = varied_site.query(Package).filter_by(slug="known").one()
    package.is_fork, package.parent_url, package.is_mirror = True, "https://github.com/acme/original", True
    package.homepage_url = "https://known.example.org/"
    package.project_urls = {"Funding": "https://fund.example.org/", "Source": "https://git.example.org/"}
    package.index_status, package.index_status_reason = "quarantined", "Malware."
    varied_site.commit()
    html = fetch_page("/packages/p/known/")
    text, links = visible_text(html), link_targets(html)
    for expected in (
        "Fork of github.com/acme/original", "Mirror yes", "Website known.example.org", "Sponsor Funding",
        "Quarantined on PyPI. The project is considered unsafe and can't be installed. Reason: Malware.",
        "The project is quarantined on PyPI.",
    ):  # fmt: skip
        assert expected in text, expected
    assert {"https://github.com/acme/original", "https://known.example.org/", "https://fund.example.org/"} <= set(links)


def test_the_date_of_archiving_is_only_given_if_known(varied_site: Session, fetch_page: FetchPage) -> None:
    package = varied_site.query(Package).filter_by(slug="archived").one()
    package.archived_at, package.archived_at_from_host = NOW - timedelta(days=100), True
    varied_site.commit()
    assert "The repository has been read-only since" in visible_text(fetch_page("/packages/p/archived/"))
    package.archived_at_from_host = False
    varied_site.commit()
    assert "The repository is read-only (noticed on" in visible_text(fetch_page("/packages/p/archived/"))


def test_archived_and_deprecated_packages_have_a_banner(varied_site: Session, fetch_page: FetchPage) -> None:
    text = visible_text(fetch_page("/packages/p/archived/"))
    assert "Deprecated since 1 Mar 2026" in text
    assert "Archived. The repository has been read-only since 1 Mar 2026" in text
    assert "Archived." not in visible_text(fetch_page("/packages/p/known/"))


def test_times_are_in_the_sites_time_zone(varied_site: Session, make_app: Callable[..., Flask]) -> None:
    html = make_app(TIMEZONE="Pacific/Kiritimati").test_client().get("/packages/p/known/").text
    assert '<time datetime="2026-03-02T02:30:15+14:00" title="2 Mar 2026, 02:30 +14">2 Mar 2026</time>' in html


def section(html: str, name: str) -> str:
    """Return the text of the section that the element with this id labels."""
    return visible_text(html.partition(f'aria-labelledby="{name}">')[2].partition("</section>")[0])


def test_each_source_shows_its_age(varied_site: Session, fetch_page: FetchPage) -> None:
    html = fetch_page("/packages/p/complete/")
    for name, text in (
        ("repository-facts", "codeberg.org, 3 hours ago"),
        ("activity", "codeberg.org, 15 days ago Counted by this site, in weeks starting on Monday, 00:00 UTC."),
        ("people", "codeberg.org: not fetched yet"),
        ("index-facts", "pypi.org, 2 days ago Downloads: pypistats.org, just now"),
        ("vulnerabilities", "pypi.org, 2 days ago"),
    ):
        assert text in section(html, name), name
    assert '<time datetime="2026-03-01T04:30:15-05:00" title="1 Mar 2026, 04:30 EST">3 hours ago</time>' in html


def test_a_failed_attempt_is_shown_in_one_short_line(varied_site: Session, fetch_page: FetchPage) -> None:
    html = fetch_page("/packages/p/complete/")
    text = section(html, "repository-facts")
    assert "The last attempt failed 20 minutes ago : “https://codeberg.org/api/v1/repos/owner/old answered 502" in text
    assert "<b>bad gateway</b> on and on" in text
    assert text.endswith("…”. Next attempt in 2 hours .")
    assert "<b>bad" not in html
    assert "\u202e" not in html
    assert html.count("The last attempt") == 1


def make_indexed(varied_site: Session, slug: str, **fields: Any) -> None:
    """Add a package whose PyPI project was fetched two days ago and is not due yet."""
    package = make_package(varied_site, slug, pypi_url=slug, pypi_version="2", vulnerabilities=[])
    defaults = {
        "fetched_at": NOW - timedelta(days=2),
        "next_due_at": NOW + timedelta(days=5),
        "validators": {"serial": "7"},
    }
    make_source_state(varied_site, package, "index", "pypi.org", **defaults | fields)
    make_source_state(varied_site, package, "downloads", "pypistats.org", **defaults)


def test_pypi_facts_are_as_fresh_as_the_last_check_for_changes(varied_site: Session, fetch_page: FetchPage) -> None:
    hour = timedelta(hours=1)
    varied_site.add(HostState(host="pypi.org", checked_at=NOW - hour))
    make_indexed(varied_site, "same")
    make_indexed(varied_site, "fresher", fetched_at=NOW)
    make_indexed(varied_site, "changed", next_due_at=NOW - hour, priority=1)
    make_indexed(varied_site, "never", fetched_at=None)
    make_indexed(varied_site, "uncounted", validators={})
    make_indexed(varied_site, "failed", failures=1, last_error="502", last_error_at=NOW - 2 * hour)
    make_indexed(varied_site, "recovered", last_error="502", last_error_at=NOW - timedelta(days=3))
    varied_site.commit()
    for slug, text in (
        ("same", "pypi.org, 1 hour ago Downloads: pypistats.org, 2 days ago"),
        ("fresher", "pypi.org, just now Downloads"),
        ("changed", "pypi.org, 2 days ago Downloads"),
        ("never", "pypi.org: not fetched yet Downloads"),
        ("uncounted", "pypi.org, 2 days ago Downloads"),
        ("failed", "pypi.org, 2 days ago The last attempt failed 2 hours ago"),
        ("recovered", "pypi.org, 1 hour ago Downloads"),
    ):
        assert text in section(fetch_page(f"/packages/p/{slug}/"), "index-facts"), slug


def test_the_check_for_changes_does_not_confirm_vulnerabilities(varied_site: Session, fetch_page: FetchPage) -> None:
    varied_site.add(HostState(host="pypi.org", checked_at=NOW - timedelta(hours=1)))
    make_indexed(varied_site, "same")
    varied_site.commit()
    html = fetch_page("/packages/p/same/")
    assert "Vulnerabilities none known 2 days ago" in section(html, "index-facts")
    assert "has no known vulnerabilities. PyPI, 2 days ago" in section(html, "health")
    varied_site.query(Package).filter_by(slug="same").one().vulnerabilities = [{"id": "PYSEC-1"}]
    varied_site.commit()
    assert section(fetch_page("/packages/p/same/"), "vulnerabilities").endswith("pypi.org, 2 days ago")


def test_a_failure_before_the_last_success_is_not_shown(varied_site: Session, fetch_page: FetchPage) -> None:
    package = make_package(varied_site, "recovered", repo_url="https://github.com/a/b")
    make_source_state(varied_site, package, "repo", last_error="broken", last_error_at=NOW - timedelta(hours=1))
    varied_site.commit()
    assert "failed" not in visible_text(fetch_page("/packages/p/recovered/"))


def test_the_imported_time_no_longer_applies_after_the_first_fetch(varied_site: Session, fetch_page: FetchPage) -> None:
    package = make_package(varied_site, "half", repo_url="https://github.com/a/b", pypi_url="half", last_fetched_at=NOW)
    make_source_state(varied_site, package, "repo", fetched_at=None)
    make_source_state(varied_site, package, "index", "pypi.org", fetched_at=None)
    varied_site.commit()
    assert section(fetch_page("/packages/p/half/"), "index-facts").endswith("pypi.org, just now")
    make_source_state(varied_site, package, "people")
    varied_site.commit()
    html = fetch_page("/packages/p/half/")
    assert section(html, "index-facts").endswith("pypi.org: not fetched yet")
    assert section(html, "people").endswith("github.com, just now")


def test_an_import_does_not_cover_licences_archives_and_vulnerabilities(
    varied_site: Session, fetch_page: FetchPage
) -> None:
    make_package(
        varied_site,
        "imported",
        repo_url="https://github.com/a/b",
        pypi_url="imported",
        pypi_version="1",
        last_fetched_at=NOW,
    )
    varied_site.commit()
    text = section(fetch_page("/packages/p/imported/"), "health")
    assert text.startswith("Health Unknown 0 of 8 checks passed and 8 without data. How health is calculated")
    assert "No archive status from the code host yet" in text
    assert "No licence data from PyPI yet" in text


def test_missing_and_moved_packages_have_a_banner(varied_site: Session, fetch_page: FetchPage) -> None:
    html = fetch_page("/packages/p/complete/")
    text = visible_text(html)
    assert "Missing. The repository has not been found on codeberg.org since 23 Feb 2026 ." in text
    assert "Moved. The repository is now at codeberg.org/owner/new ." in text
    assert "https://codeberg.org/owner/new" in link_targets(html)
    evil = fetch_page("/packages/p/evil/")
    assert "The repository is now at javascript:alert(3)." in visible_text(evil)
    known = visible_text(fetch_page("/packages/p/known/"))
    assert "Missing." not in known
    assert "Moved." not in known


def test_a_package_without_a_repository_can_be_missing_from_pypi(varied_site: Session, fetch_page: FetchPage) -> None:
    make_package(varied_site, "lost", pypi_url="lost", missing_since=NOW)
    varied_site.commit()
    html = fetch_page("/packages/p/lost/")
    assert "Missing. The project has not been found on pypi.org since 1 Mar 2026 ." in visible_text(html)
    assert "Its project no longer exists on PyPI." in section(html, "health")


def test_commits_are_summed_once_over_one_period(varied_site: Session, fetch_page: FetchPage) -> None:
    html = fetch_page("/packages/p/complete/")
    text = section(html, "activity")
    package = varied_site.query(Package).filter_by(slug="complete").one()
    total = sum(package.commits_over_52)
    assert f"{total} commits in the 52 weeks to 14 Feb 2026" in text
    assert f"{total} commits in the 52 weeks to 14 February 2026" in section(html, "health")
    assert text.partition("Week of Commits ")[2].startswith("9 Feb 2026 1 2 Feb 2026 3")
    assert html.count('class="bar not-counted"') == 0


def test_outdated_commit_counts_state_their_period(varied_site: Session, fetch_page: FetchPage) -> None:
    make_package(
        varied_site,
        "stale",
        repo_url="https://github.com/a/b",
        commits_over_52=[1] * 52,
        last_fetched_at=NOW - timedelta(weeks=60),
    )
    varied_site.commit()
    html = fetch_page("/packages/p/stale/")
    assert "52 commits in the 52 weeks to 5 Jan 2025" in section(html, "activity")
    assert "52 commits in the 52 weeks to 5 January 2025" in section(html, "health")


def test_all_dates_of_a_page_are_in_one_time_zone(varied_site: Session, fetch_page: FetchPage) -> None:
    at = datetime(2026, 2, 20, 2, 30, tzinfo=UTC)  # still 19 February in New York
    make_package(varied_site, "late", repo_url="https://github.com/a/late", last_commit_at=at)
    varied_site.commit()
    html = fetch_page("/packages/p/late/")
    assert "Last commit on 19 February 2026" in section(html, "health")
    assert "Last commit 19 Feb 2026" in visible_text(html)
    assert "20 Feb" not in visible_text(html)


def test_a_fact_that_is_no_longer_stated_has_its_date(varied_site: Session, fetch_page: FetchPage) -> None:
    package = make_package(
        varied_site, "older", repo_url="https://github.com/a/b", stars=5, pypi_url="older", licences=["MIT"],
        licence="MIT", project_urls={"Source": "https://github.com/a/b"},
    )  # fmt: skip
    stated_at = {"stars": (NOW - timedelta(days=40)).isoformat()}
    make_source_state(varied_site, package, "repo", stated_at=stated_at)
    stated_at = dict.fromkeys(("licences", "project_urls"), (NOW - timedelta(days=50)).isoformat())
    make_source_state(varied_site, package, "index", "pypi.org", stated_at=stated_at)
    varied_site.commit()
    html = fetch_page("/packages/p/older/")
    text = visible_text(html)
    assert "Stars 5 as of 20 Jan 2026" in text
    assert "Licence MIT as of 10 Jan 2026" in text
    assert "Project links as of 10 Jan 2026" in text
    assert "Licensed under MIT. PyPI, 1 month ago" in section(html, "health")


def test_the_score_is_the_stored_one(varied_site: Session, fetch_page: FetchPage) -> None:
    """Until a job updates it after the turn of a month, as in lists and in the API."""
    last_commit_at = NOW - timedelta(days=80)
    make_package(
        varied_site, "scored", stars=100, last_commit_at=last_commit_at, score=100, scored_at=NOW - timedelta(days=20)
    )
    make_package(varied_site, "unscored", stars=100, last_commit_at=NOW)
    varied_site.commit()
    assert "Score 100" in visible_text(fetch_page("/packages/p/scored/"))
    assert "Score 100" in visible_text(fetch_page("/packages/p/unscored/"))


def test_commit_counts_name_the_host_that_reported_them(varied_site: Session, fetch_page: FetchPage) -> None:
    package = make_package(varied_site, "hub", repo_url="https://github.com/a/b", commits_over_52=[1] * 52)
    make_source_state(varied_site, package, "activity")
    varied_site.commit()
    text = section(fetch_page("/packages/p/hub/"), "activity")
    assert "As reported by github.com, whose weeks may not start on Monday." in text
    assert "Counted by this site" not in text


def test_daily_samples_are_charts_with_tables(varied_site: Session, fetch_page: FetchPage) -> None:
    html = fetch_page("/packages/p/complete/")
    stars = section(html, "stars-history")
    assert "First 7,901 22 Nov 2025 Latest 8,000 1 Mar 2026 Lowest 7,901 22 Nov 2025 Highest 8,000 1 Mar 2026" in stars
    assert "Show data table (60 of 99 days)" in stars
    downloads = section(html, "downloads-history")
    assert "First 402 23 Nov 2025 Latest 500 1 Mar 2026" in downloads
    assert "Show data table" in downloads
    paths = [part.partition('"')[0] for part in html.split('<path class="line" d="')[1:]]
    assert [path.count("M") for path in paths] == [2, 1], "a day without stars is a gap; downloads are fetched weekly"
    assert 'aria-labelledby="stars-history"' not in fetch_page("/packages/p/known/")


def test_one_sample_has_no_chart(varied_site: Session, fetch_page: FetchPage) -> None:
    package = make_package(varied_site, "young")
    varied_site.add(DailySample(package_id=package.id, day_on=NOW.date(), stars=3))
    varied_site.commit()
    assert "stars-history" not in fetch_page("/packages/p/young/")


def add_releases(varied_site: Session, count: int) -> None:
    package = make_package(varied_site, "busy", pypi_url="busy")
    varied_site.add_all(
        Release(package_id=package.id, number=f"1.{number}", uploaded_at=NOW + timedelta(days=number), created_at=NOW)
        for number in range(count)
    )
    varied_site.commit()


@pytest.mark.parametrize(("count", "shown", "text"), [
    (10, 10, None),
    (11, 11, "All 11 releases"),
    (201, 200, "Showing the latest 200; 1 older release is not shown."),
    (500, 200, "Showing the latest 200; 300 older releases are not shown."),
])  # fmt: skip
def test_ten_releases_are_shown_and_more_on_demand(
    varied_site: Session, fetch_page: FetchPage, count: int, shown: int, text: str | None
) -> None:
    add_releases(varied_site, count)
    html = fetch_page("/packages/p/busy/").partition('aria-labelledby="releases"')[2].partition("</section>")[0]
    first, details, rest = html.partition("<details>")
    assert first.count("<tr>") == 1 + 10
    assert html.count('class="version"') == shown
    assert bool(details) == (text is not None)
    assert text is None or text in visible_text(rest)


def test_known_vulnerabilities_come_first(varied_site: Session, fetch_page: FetchPage) -> None:
    html = fetch_page("/packages/p/complete/")
    assert section(html, "vulnerabilities").endswith(
        "1 known vulnerability in 0.9 PYSEC-2026-1 also CVE-2026-1, GHSA-1 Keys collide. Fixed in 1.0, 1.1 ."
        " pypi.org, 2 days ago"
    )
    assert "https://osv.example.org/PYSEC-2026-1" in link_targets(html)
    assert html.index('id="vulnerabilities"') < html.index('id="install"')
    assert "Vulnerabilities 1 known" in section(html, "index-facts")
    assert "has 1 known vulnerability: PYSEC-2026-1." in section(html, "health")
    assert "Vulnerabilities unknown" in section(fetch_page("/packages/p/known/"), "index-facts")


def test_no_known_vulnerabilities_is_shown_as_such(varied_site: Session, fetch_page: FetchPage) -> None:
    package = make_package(varied_site, "safe", pypi_url="safe", pypi_version="2", vulnerabilities=[])
    make_source_state(varied_site, package, "index", "pypi.org")
    varied_site.commit()
    html = fetch_page("/packages/p/safe/")
    assert 'id="vulnerabilities"' not in html
    assert "Vulnerabilities none known" in section(html, "index-facts")
    assert "No known vulnerabilities Good Version 2 has no known vulnerabilities. PyPI, just now" in section(
        html, "health"
    )


def test_health_checks_show_state_evidence_source_age_and_advice(varied_site: Session, fetch_page: FetchPage) -> None:
    html = fetch_page("/packages/p/complete/")
    text = section(html, "health")
    assert text.startswith("Health Poor ")
    assert "Active repository Poor Its repository no longer exists." in text
    assert "Choose another package for new projects. Code host, 3 hours ago" in text
    assert "/help/scores/#health" in link_targets(html)
    assert html.count('<li class="check">') == 8


def test_the_score_shows_its_calculation(varied_site: Session, fetch_page: FetchPage) -> None:
    text = section(fetch_page("/packages/p/complete/"), "score")
    assert text.startswith("Score 3,800 How it is calculated Stars 8,000 13 full months without a commit −3,200")
    assert "No Python 3 support −1,000" in text
    unknown = section(fetch_page("/packages/p/unknown/"), "score")
    assert "Score 0 How it is calculated Stars unknown, counted as 0 0 Last commit unknown counted as 24" in unknown


def test_code_host_facts_and_pypi_links_are_shown(varied_site: Session, fetch_page: FetchPage) -> None:
    html = fetch_page("/packages/p/complete/")
    text = section(html, "repository-facts")
    assert "Open issues 17" in text
    assert "Topics cache redis" in text
    links = link_targets(html)
    assert "https://old.example.org/changes/" in links
    assert not [link for link in links if link.startswith("javascript")]
    assert "Open issues unknown" in section(fetch_page("/packages/p/unknown/"), "repository-facts")


def test_the_documentation_url_from_pypi_is_the_fallback(varied_site: Session, fetch_page: FetchPage) -> None:
    html = fetch_page("/packages/p/complete/")
    assert link_targets(html).count("https://old.example.org/docs/") == 2
    assert "old.example.org/docs from PyPI" in section(html, "site-facts")
    assert "https://old.example.org/docs/. PyPI, 2 days ago" in section(html, "health")
    varied_site.query(Package).filter_by(slug="complete").one().documentation_url = "https://edited.example.org/"
    varied_site.commit()
    html = fetch_page("/packages/p/complete/")
    assert "https://old.example.org/docs/" not in html
    assert "from PyPI" not in section(html, "site-facts")
