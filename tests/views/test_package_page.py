"""A package's page: its facts, where they are from, and nothing that was not told."""

from collections.abc import Callable

from sqlalchemy.orm import Session

from tests.views.conftest import addresses_in, plain

Get = Callable[[str], str]


def test_everything_that_is_known_is_on_it(site: Session, get: Get) -> None:
    html = get("/packages/p/known/")
    words = plain(html)
    for told in (
        "Known package", "Keeps caches 🚀 fresh", "python -m pip install known-on-index", "Stars 2,500", "Forks 0",
        "Last commit 26 Feb 2026", "Commits 812", "Version 3.2.1 19 Feb 2026", "Licence MIT", "Python >=3.9",
        "Status Stable", "Downloads a month 123,456", "101 commits in the 52 weeks before 28 Feb 2026",
        "GitHub, fetched 28 Feb 2026", "PyPI, fetched 28 Feb 2026", "Used by 2", "Favourite of 2", "and others",
        "Good site", "Odd site", "3.2.0rc1 pre-release", "3.1 yanked", "Added 1 Mar 2026",
    ):  # fmt: skip
        assert told in words, told
    assert "Waiting site" not in words
    links = addresses_in(html)
    for link in (
        "https://github.com/owner/known", "https://docs.example.org/known/", "https://pypi.org/project/known-on-index/",
        "https://github.com/ada", "https://github.com/grace.h", "https://good.example.org/", "/grids/g/caching/",
        "/api/v4/packages/1/", "/categories/apps/", "/packages/p/successor/",
    ):  # fmt: skip
        assert link in links, link


def test_what_nobody_told_is_unknown_and_not_zero(site: Session, get: Get) -> None:
    words = plain(get("/packages/p/unknown/"))
    for unknown in ("Stars unknown", "Forks unknown", "Last commit unknown", "Version unknown", "Licence unknown",
                    "Status unknown", "Downloads a month unknown", "in the last 52 weeks is unknown",
                    "Who takes part is unknown", "Code host: not fetched yet"):  # fmt: skip
        assert unknown in words, unknown
    zero = plain(get("/packages/p/zero/"))
    assert "Stars 0" in zero
    assert "No commits in the 52 weeks" in zero


def test_the_chart_has_a_bar_for_each_week_and_a_table_behind_it(site: Session, get: Get) -> None:
    html = get("/packages/p/known/")
    chart = html.partition('<figure class="chart">')[2].partition("</figure>")[0]
    assert chart.count("<rect") == 52
    assert 'role="img"' in chart
    table = chart.partition("<details>")[2]
    assert table.count('<th scope="row">') == 52
    assert "<title>Week of 23 Feb 2026: 1 commit</title>" in chart


def test_strangers_text_stays_text(site: Session, get: Get) -> None:
    html = get("/packages/p/evil/")
    assert "<script>alert" not in html
    assert "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;" in html
    assert "{{ 7*7 }} 🚀" in html
    assert "pip install" not in html
    assert not [link for link in addresses_in(html) if not link.startswith(("/", "#"))]


def test_links_to_strangers_say_so(site: Session, get: Get) -> None:
    for path in ("/packages/p/known/", "/grids/g/caching/"):
        html = get(path)
        outside = html.count('href="https://')
        canonical = html.count('rel="canonical"') and 0
        assert outside - canonical == html.count('rel="nofollow noopener"') > 3


def test_a_package_says_what_replaced_it_and_what_it_replaces(site: Session, get: Get) -> None:
    replaced = get("/packages/p/replaced/")
    assert "Replaced. Use Successor in its place." in plain(replaced)
    assert "/packages/p/successor/" in addresses_in(replaced)
    assert "It takes the place of replaced" in plain(get("/packages/p/successor/"))


def test_archived_and_deprecated_packages_have_a_banner(site: Session, get: Get) -> None:
    words = plain(get("/packages/p/archived/"))
    assert "Deprecated since 1 Mar 2026" in words
    assert "Archived. Its repository has been read-only since 1 Mar 2026" in words
    assert "Archived." not in plain(get("/packages/p/known/"))


def test_times_are_those_of_the_sites_zone(site: Session, make_app: Callable[..., object]) -> None:
    html = make_app(TIMEZONE="Pacific/Kiritimati").test_client().get("/packages/p/known/").text  # type: ignore[attr-defined]
    assert '<time datetime="2026-03-02T02:30:15+14:00" title="2 Mar 2026, 02:30 +14">2 Mar 2026</time>' in html
