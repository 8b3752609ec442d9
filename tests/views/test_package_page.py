"""A package's page: its facts, where they are from, and nothing that was not told."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy.orm import Session

from pkgsite.models import DailySample, HostState, Package, Release
from tests.factories import NOW, make_package, make_source_state
from tests.views.conftest import link_targets, visible_text
from tests.views.varied_site import freeze_time

Get = Callable[[str], str]


@pytest.fixture(autouse=True)
def _frozen_time(monkeypatch: pytest.MonkeyPatch) -> None:
    freeze_time(monkeypatch)


def test_everything_that_is_known_is_on_it(varied_site: Session, fetch_page: Get) -> None:
    html = fetch_page("/packages/p/known/")
    words = visible_text(html)
    for told in (
        "Known package", "Keeps caches 🚀 fresh", "python -m pip install known-on-index", "Stars 2,500", "Forks 0",
        "Last commit 26 Feb 2026", "Commits 812", "Version 3.2.1 19 Feb 2026", "Licence MIT", "Python >=3.9",
        "Status Stable", "Downloads a month 123,456", "101 commits in the last 52 weeks.",
        "github.com, 1 day ago", "pypi.org, 1 day ago", "Users 2", "Favourites 2", "and others",
        "Good site", "Odd site", "3.2.0rc1 pre-release", "3.1 yanked", "Added 1 Mar 2026",
    ):  # fmt: skip
        assert told in words, told
    assert "Waiting site" not in words
    links = link_targets(html)
    for link in (
        "https://github.com/owner/known", "https://docs.example.org/known/", "https://pypi.org/project/known-on-index/",
        "https://github.com/ada", "https://github.com/grace.h", "https://good.example.org/", "/grids/g/caching/",
        "/api/v4/packages/1/", "/categories/apps/", "/packages/p/successor/",
    ):  # fmt: skip
        assert link in links, link


def test_what_nobody_told_is_unknown_and_not_zero(varied_site: Session, fetch_page: Get) -> None:
    words = visible_text(fetch_page("/packages/p/unknown/"))
    for unknown in ("Stars unknown", "Forks unknown", "Last commit unknown", "Version unknown", "Licence unknown",
                    "Status unknown", "Downloads a month unknown", "in the last 52 weeks is unknown",
                    "The contributors are unknown", "Code host: not fetched yet"):  # fmt: skip
        assert unknown in words, unknown
    zero = visible_text(fetch_page("/packages/p/zero/"))
    assert "Stars 0" in zero
    assert "No commits in the 52 weeks" in zero


def test_the_chart_has_a_bar_for_each_week_and_a_table_behind_it(varied_site: Session, fetch_page: Get) -> None:
    html = fetch_page("/packages/p/known/")
    chart = html.partition('<figure class="chart">')[2].partition("</figure>")[0]
    assert chart.count("<rect") == 52
    assert 'role="img"' in chart
    table = chart.partition("<details>")[2]
    assert table.count('<th scope="row">') == 52
    assert "<title>Week of 23 Feb 2026: 1 commit</title>" in chart


def test_strangers_text_stays_text(varied_site: Session, fetch_page: Get) -> None:
    html = fetch_page("/packages/p/evil/")
    assert "<script>alert" not in html
    assert "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;" in html
    assert "{{ 7*7 }} 🚀" in html
    assert "pip install" not in html
    assert not [link for link in link_targets(html) if not link.startswith(("/", "#"))]


def test_links_to_strangers_say_so(varied_site: Session, fetch_page: Get) -> None:
    for path in ("/packages/p/known/", "/grids/g/caching/"):
        html = fetch_page(path)
        outside = html.count('href="https://')
        canonical = html.count('rel="canonical"') and 0
        assert outside - canonical == html.count('rel="nofollow noopener"') > 3


def test_a_package_says_what_replaced_it_and_what_it_replaces(varied_site: Session, fetch_page: Get) -> None:
    replaced = fetch_page("/packages/p/replaced/")
    assert "Replaced. Use Successor instead." in visible_text(replaced)
    assert "/packages/p/successor/" in link_targets(replaced)
    assert "Replaces replaced" in visible_text(fetch_page("/packages/p/successor/"))


def test_archived_and_deprecated_packages_have_a_banner(varied_site: Session, fetch_page: Get) -> None:
    words = visible_text(fetch_page("/packages/p/archived/"))
    assert "Deprecated since 1 Mar 2026" in words
    assert "Archived. The repository has been read-only since 1 Mar 2026" in words
    assert "Archived." not in visible_text(fetch_page("/packages/p/known/"))


def test_times_are_those_of_the_sites_zone(varied_site: Session, make_app: Callable[..., object]) -> None:
    html = make_app(TIMEZONE="Pacific/Kiritimati").test_client().get("/packages/p/known/").text  # type: ignore[attr-defined]
    assert '<time datetime="2026-03-02T02:30:15+14:00" title="2 Mar 2026, 02:30 +14">2 Mar 2026</time>' in html


def section(html: str, name: str) -> str:
    """Return the words of the part of a page that is headed by the element with this id."""
    return visible_text(html.partition(f'aria-labelledby="{name}">')[2].partition("</section>")[0])


def test_each_source_says_how_old_it_is(varied_site: Session, fetch_page: Get) -> None:
    html = fetch_page("/packages/p/told/")
    for name, words in (
        ("repository-facts", "codeberg.org, 3 hours ago"),
        ("activity", "codeberg.org, 15 days ago Counted by this site, in weeks starting on Monday, 00:00 UTC."),
        ("people", "codeberg.org: not fetched yet"),
        ("index-facts", "pypi.org, 2 days ago Downloads: pypistats.org, just now"),
        ("vulnerabilities", "pypi.org, 2 days ago"),
    ):
        assert words in section(html, name), name
    assert '<time datetime="2026-03-01T04:30:15-05:00" title="1 Mar 2026, 04:30 EST">3 hours ago</time>' in html


def test_a_failed_attempt_is_told_in_one_short_line(varied_site: Session, fetch_page: Get) -> None:
    html = fetch_page("/packages/p/told/")
    words = section(html, "repository-facts")
    assert (
        "The last attempt, 20 minutes ago , failed: “https://codeberg.org/api/v1/repos/owner/old answered 502" in words
    )
    assert "<b>bad gateway</b> on and on" in words
    assert words.endswith("…”. Next attempt in 2 hours .")
    assert "<b>bad" not in html
    assert "\u202e" not in html
    assert html.count("The last attempt") == 1


def make_indexed(varied_site: Session, slug: str, **fields: Any) -> None:
    """Add a package whose project was fetched two days ago, and is not due yet."""
    package = make_package(varied_site, slug, pypi_url=slug, pypi_version="2", vulnerabilities=[])
    defaults = {
        "fetched_at": NOW - timedelta(days=2),
        "next_due_at": NOW + timedelta(days=5),
        "validators": {"serial": "7"},
    }
    make_source_state(varied_site, package, "index", "pypi.org", **defaults | fields)
    make_source_state(varied_site, package, "downloads", "pypistats.org", **defaults)


def test_the_index_facts_are_as_fresh_as_the_last_word_on_what_changed(varied_site: Session, fetch_page: Get) -> None:
    hour = timedelta(hours=1)
    varied_site.add(HostState(host="pypi.org", checked_at=NOW - hour))
    make_indexed(varied_site, "same")
    make_indexed(varied_site, "fresher", fetched_at=NOW)
    make_indexed(varied_site, "changed", next_due_at=NOW - hour, priority=1)
    make_indexed(varied_site, "never", fetched_at=None)
    make_indexed(varied_site, "uncounted", validators={})
    make_indexed(varied_site, "failed", failures=1, last_error="502", last_error_at=NOW - 2 * hour)
    make_indexed(varied_site, "mended", last_error="502", last_error_at=NOW - timedelta(days=3))
    varied_site.commit()
    for slug, words in (
        ("same", "pypi.org, 1 hour ago Downloads: pypistats.org, 2 days ago"),
        ("fresher", "pypi.org, just now Downloads"),
        ("changed", "pypi.org, 2 days ago Downloads"),
        ("never", "pypi.org: not fetched yet Downloads"),
        ("uncounted", "pypi.org, 2 days ago Downloads"),
        ("failed", "pypi.org, 2 days ago The last attempt, 2 hours ago , failed"),
        ("mended", "pypi.org, 1 hour ago Downloads"),
    ):
        assert words in section(fetch_page(f"/packages/p/{slug}/"), "index-facts"), slug


def test_no_word_on_what_changed_speaks_of_vulnerabilities(varied_site: Session, fetch_page: Get) -> None:
    varied_site.add(HostState(host="pypi.org", checked_at=NOW - timedelta(hours=1)))
    make_indexed(varied_site, "same")
    varied_site.commit()
    html = fetch_page("/packages/p/same/")
    assert "Vulnerabilities none known 2 days ago" in section(html, "index-facts")
    assert "has no known vulnerabilities. PyPI, 2 days ago" in section(html, "health")
    varied_site.query(Package).filter_by(slug="same").one().vulnerabilities = [{"id": "PYSEC-1"}]
    varied_site.commit()
    assert section(fetch_page("/packages/p/same/"), "vulnerabilities").endswith("pypi.org, 2 days ago")


def test_a_failure_before_the_last_success_is_not_told(varied_site: Session, fetch_page: Get) -> None:
    package = make_package(varied_site, "mended", repo_url="https://github.com/a/b")
    make_source_state(varied_site, package, "repo", last_error="broken", last_error_at=NOW - timedelta(hours=1))
    varied_site.commit()
    assert "failed" not in visible_text(fetch_page("/packages/p/mended/"))


def test_once_the_site_has_fetched_something_imported_times_are_no_longer_those_of_the_rest(
    varied_site: Session, fetch_page: Get
) -> None:
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


def test_an_import_says_nothing_of_licences_archives_and_vulnerabilities(varied_site: Session, fetch_page: Get) -> None:
    make_package(
        varied_site, "taken", repo_url="https://github.com/a/b", pypi_url="taken", pypi_version="1", last_fetched_at=NOW
    )
    varied_site.commit()
    words = section(fetch_page("/packages/p/taken/"), "health")
    assert words.startswith("Health Unknown 0 of 8 checks passed and 8 without data. How health is judged")
    assert "No archive status from the code host yet" in words
    assert "No licence data from PyPI yet" in words


def test_gone_and_moved_packages_have_a_banner(varied_site: Session, fetch_page: Get) -> None:
    html = fetch_page("/packages/p/told/")
    words = visible_text(html)
    assert "Missing. The repository has not been found on codeberg.org since 23 Feb 2026 ." in words
    assert "Moved. The repository is now at codeberg.org/owner/new ." in words
    assert "https://codeberg.org/owner/new" in link_targets(html)
    evil = fetch_page("/packages/p/evil/")
    assert "The repository is now at javascript:alert(3)." in visible_text(evil)
    known = visible_text(fetch_page("/packages/p/known/"))
    assert "Missing." not in known
    assert "Moved." not in known


def test_a_project_without_repository_can_be_gone_from_the_index(varied_site: Session, fetch_page: Get) -> None:
    make_package(varied_site, "lost", pypi_url="lost", missing_since=NOW)
    varied_site.commit()
    html = fetch_page("/packages/p/lost/")
    assert "Missing. The project has not been found on pypi.org since 1 Mar 2026 ." in visible_text(html)
    assert "Its project no longer exists on PyPI." in section(html, "health")


def test_weeks_move_on_and_those_after_the_count_are_not_zero(varied_site: Session, fetch_page: Get) -> None:
    html = fetch_page("/packages/p/told/")
    words = section(html, "activity")
    assert "148 commits in the last 52 weeks, of which 2 have not been counted yet." in words
    table = words.partition("Week of Commits ")[2]
    assert table.startswith("23 Feb 2026 not counted yet 16 Feb 2026 not counted yet 9 Feb 2026 1 2 Feb 2026 3")
    assert html.count('class="bar uncounted"') == 2


def test_weeks_that_were_all_counted_too_long_ago_are_unknown(varied_site: Session, fetch_page: Get) -> None:
    make_package(
        varied_site,
        "stale",
        repo_url="https://github.com/a/b",
        commits_over_52=[1] * 52,
        last_fetched_at=NOW - timedelta(weeks=60),
    )
    varied_site.commit()
    html = fetch_page("/packages/p/stale/")
    assert "in the last 52 weeks is unknown. They were last counted on 5 Jan 2025" in section(html, "activity")
    assert 'class="chart"' not in html


def test_a_host_that_counts_itself_is_named(varied_site: Session, fetch_page: Get) -> None:
    package = make_package(varied_site, "hub", repo_url="https://github.com/a/b", commits_over_52=[1] * 52)
    make_source_state(varied_site, package, "activity")
    varied_site.commit()
    words = section(fetch_page("/packages/p/hub/"), "activity")
    assert "As reported by github.com, whose weeks may not start on Monday." in words
    assert "Counted by this site" not in words


def test_histories_are_lines_with_their_numbers_in_tables(varied_site: Session, fetch_page: Get) -> None:
    html = fetch_page("/packages/p/told/")
    stars = section(html, "stars-history")
    assert "First 7,901 22 Nov 2025 Latest 8,000 1 Mar 2026 Lowest 7,901 22 Nov 2025 Highest 8,000 1 Mar 2026" in stars
    assert "Show the numbers (60 of 99 days)" in stars
    downloads = section(html, "downloads-history")
    assert "First 402 23 Nov 2025 Latest 500 1 Mar 2026" in downloads
    assert "Show the numbers" in downloads
    paths = [part.partition('"')[0] for part in html.split('<path class="line" d="')[1:]]
    assert [path.count("M") for path in paths] == [2, 1], "a day without stars is a gap; downloads come by the week"
    assert 'aria-labelledby="stars-history"' not in fetch_page("/packages/p/known/")


def test_one_sample_is_no_history(varied_site: Session, fetch_page: Get) -> None:
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


@pytest.mark.parametrize(("count", "shown", "words"), [
    (10, 10, None),
    (11, 11, "All 11 releases"),
    (201, 200, "Showing the latest 200; 1 older release is not shown."),
    (500, 200, "Showing the latest 200; 300 older releases are not shown."),
])  # fmt: skip
def test_ten_releases_are_shown_and_more_on_demand(
    varied_site: Session, fetch_page: Get, count: int, shown: int, words: str | None
) -> None:
    add_releases(varied_site, count)
    html = fetch_page("/packages/p/busy/").partition('aria-labelledby="releases"')[2].partition("</section>")[0]
    first, details, rest = html.partition("<details>")
    assert first.count("<tr>") == 1 + 10
    assert html.count('class="version"') == shown
    assert bool(details) == (words is not None)
    assert words is None or words in visible_text(rest)


def test_known_vulnerabilities_come_first(varied_site: Session, fetch_page: Get) -> None:
    html = fetch_page("/packages/p/told/")
    assert section(html, "vulnerabilities").endswith(
        "1 known vulnerability in 0.9 PYSEC-2026-1 also CVE-2026-1, GHSA-1 Keys collide. Fixed in 1.0, 1.1 ."
        " pypi.org, 2 days ago"
    )
    assert "https://osv.example.org/PYSEC-2026-1" in link_targets(html)
    assert html.index('id="vulnerabilities"') < html.index('id="install"')
    assert "Vulnerabilities 1 known" in section(html, "index-facts")
    assert "has 1 known vulnerability: PYSEC-2026-1." in section(html, "health")
    assert "Vulnerabilities unknown" in section(fetch_page("/packages/p/known/"), "index-facts")


def test_no_known_vulnerability_is_told_as_such(varied_site: Session, fetch_page: Get) -> None:
    package = make_package(varied_site, "safe", pypi_url="safe", pypi_version="2", vulnerabilities=[])
    make_source_state(varied_site, package, "index", "pypi.org")
    varied_site.commit()
    html = fetch_page("/packages/p/safe/")
    assert 'id="vulnerabilities"' not in html
    assert "Vulnerabilities none known" in section(html, "index-facts")
    assert "No known vulnerabilities Good Version 2 has no known vulnerabilities. PyPI, just now" in section(
        html, "health"
    )


def test_health_says_state_evidence_source_age_and_advice(varied_site: Session, fetch_page: Get) -> None:
    html = fetch_page("/packages/p/told/")
    words = section(html, "health")
    assert words.startswith("Health Poor ")
    assert "Active repository Poor Its repository no longer exists." in words
    assert "Choose another package for new projects. Code host, 3 hours ago" in words
    assert "/help/scores/#health" in link_targets(html)
    assert html.count('<li class="check">') == 8


def test_the_score_shows_its_parts(varied_site: Session, fetch_page: Get) -> None:
    words = section(fetch_page("/packages/p/told/"), "score")
    assert words.startswith("Score 3,800 How it is calculated Stars 8,000 13 full months without a commit −3,200")
    assert "No Python 3 support −1,000" in words
    unknown = section(fetch_page("/packages/p/unknown/"), "score")
    assert "Score 0 How it is calculated Stars unknown, counted as 0 0 Last commit unknown counted as 24" in unknown


def test_facts_of_the_code_host_and_links_of_the_index_are_shown(varied_site: Session, fetch_page: Get) -> None:
    html = fetch_page("/packages/p/told/")
    words = section(html, "repository-facts")
    assert "Open issues 17" in words
    assert "Topics cache redis" in words
    links = link_targets(html)
    assert "https://old.example.org/changes/" in links
    assert not [link for link in links if link.startswith("javascript")]
    assert "Open issues unknown" in section(fetch_page("/packages/p/unknown/"), "repository-facts")


def test_documentation_that_the_index_tells_stands_in_where_people_wrote_none(
    varied_site: Session, fetch_page: Get
) -> None:
    html = fetch_page("/packages/p/told/")
    assert link_targets(html).count("https://old.example.org/docs/") == 2
    assert "old.example.org/docs from PyPI" in section(html, "site-facts")
    assert "https://old.example.org/docs/. PyPI, 2 days ago" in section(html, "health")
    varied_site.query(Package).filter_by(slug="told").one().documentation_url = "https://people.example.org/"
    varied_site.commit()
    html = fetch_page("/packages/p/told/")
    assert "https://old.example.org/docs/" not in html
    assert "from PyPI" not in section(html, "site-facts")
