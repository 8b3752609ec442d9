"""The grid list and grid pages."""

import re
from datetime import timedelta
from html import unescape

from sqlalchemy.orm import Session

from tests.factories import NOW, fill_cell, make_feature, make_grid, make_package
from tests.views.conftest import FetchPage, link_targets, row_titles, visible_text
from tests.views.varied_site import make_many_packages


def columns_in(html: str) -> list[str]:
    """Return the column titles of a comparison."""
    head = html.partition("<thead>")[2].partition("</thead>")[0]
    return [unescape(title) for title in re.findall(r'<th scope="col"[^>]*><a [^>]*>(.*?)</a>', head)]


def row_in(html: str, title: str) -> list[str]:
    """Return the text of each cell in the comparison's row with this title."""
    row = next(row for row in html.split("<tr")[1:] if re.search(rf'<th scope="row">{title}\b', row))
    return [visible_text(cell) for cell in re.findall(r"<td[^>]*>(.*?)</td>", row, re.DOTALL)]


def test_active_packages_come_first_then_deprecated_then_archived(varied_site: Session, fetch_page: FetchPage) -> None:
    html = fetch_page("/grids/g/caching/")
    columns = columns_in(html)
    assert columns[:3] == ["Known package", "Successor", "zero"]
    assert columns[-2:] == ["replaced", "archived"]
    assert len(columns) == 7
    assert "replaced deprecated" in visible_text(html)
    assert "archived archived deprecated" in visible_text(html)


def test_facts_are_rows(varied_site: Session, fetch_page: FetchPage) -> None:
    html = fetch_page("/grids/g/caching/")
    known = {title: row_in(html, title)[0] for title in (
        "Description", "Category", "Users", "Python 3", "Development status", "Version", "Stars", "Forks",
        "Downloads", "Commits", "Last commit", "Licence", "Links",
    )}  # fmt: skip
    assert known == {
        "Description": "Keeps caches 🚀 fresh", "Category": "App", "Users": "2 (best)",
        "Python 3": "yes", "Development status": "Stable", "Version": "3.2.1", "Stars": "2,500", "Forks": "0",
        "Downloads": "123,456 (best)", "Commits": "101 (best)",
        "Last commit": "26 Feb 2026", "Licence": "MIT", "Links": "GitHub Docs PyPI",
    }  # fmt: skip
    assert row_in(html, "Stars")[2:4] == ["0", "— unknown"]


def test_features_are_rows_with_their_cells(varied_site: Session, fetch_page: FetchPage) -> None:
    html = fetch_page("/grids/g/caching/")
    cells = dict(zip(columns_in(html), row_in(html, "Is fast"), strict=True))
    assert cells["Known package"] == "yes since 2 https://example.org/fast ."
    assert cells["zero"] == "nothing"
    assert cells["archived"] == "no, very strongly"
    assert cells["Successor"] == "— unknown"
    assert '<a href="https://example.org/fast" rel="nofollow noopener">' in html
    assert set(row_in(html, "Not filled in")) == {"— unknown"}
    assert "<script>alert" not in html


def test_header_cells_have_a_scope(varied_site: Session, fetch_page: FetchPage) -> None:
    html = fetch_page("/grids/g/caching/")
    table = html.partition("<table>")[2].partition("</table>")[0]
    assert table.count("<th ") == table.count('scope="')
    assert 'role="region" aria-label="Caching: comparison table, scrollable" tabindex="0"' in html


def test_a_grid_can_be_sorted(session: Session, fetch_page: FetchPage) -> None:
    packages = (
        make_package(session, "a", title="beta", stars=1, score=1, forks=3, pypi_downloads=2, last_commit_at=NOW),
        make_package(session, "b", title="Alpha", stars=3, score=1, forks=2, last_commit_at=NOW - timedelta(days=1)),
        make_package(session, "c", title="gamma", stars=2, score=2, forks=1, pypi_downloads=3),
        make_package(session, "d", title="past", stars=99, archived_at=NOW, pypi_downloads=99, last_commit_at=NOW),
    )
    make_grid(session, "g", packages)
    session.commit()
    for sort, order in {
        "": ["gamma", "Alpha", "beta", "past"],
        "score": ["gamma", "Alpha", "beta", "past"],
        "watchers": ["Alpha", "gamma", "beta", "past"],
        "forks": ["beta", "Alpha", "gamma", "past"],
        "downloads": ["gamma", "beta", "Alpha", "past"],
        "commit_date": ["beta", "Alpha", "gamma", "past"],
        "title": ["Alpha", "beta", "gamma", "past"],
        "-title": ["gamma", "Alpha", "beta", "past"],
    }.items():
        assert columns_in(fetch_page(f"/grids/g/g/?sort={sort}")) == order, sort
    assert "Ignored unknown sort order “-title”" in visible_text(fetch_page("/grids/g/g/?sort=-title"))


def test_packages_without_a_score_are_sorted_by_stars(session: Session, fetch_page: FetchPage) -> None:
    packages = (
        make_package(session, "few", stars=1),
        make_package(session, "many", stars=900),
        make_package(session, "scored", stars=7, score=-3),
        make_package(session, "unknown"),
    )
    make_grid(session, "g", packages)
    session.commit()
    html = fetch_page("/grids/g/g/")
    assert columns_in(html) == ["scored", "many", "few", "unknown"]
    assert '<a href="/grids/g/g/" aria-current="true">Score</a>' in html


def test_a_grid_can_be_filtered_and_links_keep_the_other_filters(varied_site: Session, fetch_page: FetchPage) -> None:
    html = fetch_page("/grids/g/caching/?q=CACHES&sort=forks")
    assert columns_in(html)[0] == "Known package"
    assert "1 of 7 packages" in visible_text(html)
    assert "/grids/g/caching/?q=CACHES&sort=title" in link_targets(html)
    assert "/grids/g/caching/?q=CACHES&sort=forks&stable=1" in link_targets(html)
    assert '<input type="hidden" name="sort" value="forks">' in html
    assert columns_in(fetch_page("/grids/g/caching/?stable=1")) == ["Known package"]
    no_matches = fetch_page("/grids/g/caching/?stable=1&q=zzz")
    assert "No package in this grid matches “zzz” and is marked as stable." in visible_text(no_matches)


def test_a_grid_has_no_package_limit(session: Session, fetch_page: FetchPage) -> None:
    make_many_packages(session, 60)
    html = fetch_page("/grids/g/many/")
    assert len(columns_in(html)) == 60
    assert row_in(html, "Stars") == ["5"] * 60, "equal values have no best one"


def test_an_empty_grid_says_so(varied_site: Session, fetch_page: FetchPage) -> None:
    assert "This grid doesn't have any packages." in visible_text(fetch_page("/grids/g/empty/"))


def test_the_grid_list_shows_counts_and_leaves_out_empty_grids(varied_site: Session, fetch_page: FetchPage) -> None:
    titles = row_titles(fetch_page("/grids/"))
    assert "Caching" in titles
    assert "Empty grid" not in titles
    html = fetch_page("/grids/?q=keeping")
    assert row_titles(html) == ["Caching"]
    assert "packages 7 active 5 features 2" in visible_text(html)
    assert "No grids match" in visible_text(fetch_page("/grids/?q=empty+grid"))


def test_grids_can_be_sorted(session: Session, fetch_page: FetchPage) -> None:
    one, two = make_package(session, "one"), make_package(session, "two", archived_at=NOW)
    make_grid(session, "a", (two,), title="beta", modified_at=NOW)
    make_grid(session, "b", (one, two), title="Alpha", modified_at=NOW - timedelta(days=2))
    make_grid(session, "c", (one,), title="gamma", modified_at=NOW - timedelta(days=1))
    session.commit()
    for sort, order in {
        "": ["beta", "gamma", "Alpha"],
        "modified": ["Alpha", "gamma", "beta"],
        "title": ["Alpha", "beta", "gamma"],
        "-title": ["gamma", "beta", "Alpha"],
        "gridpackage_count": ["beta", "gamma", "Alpha"],
        "-gridpackage_count": ["Alpha", "beta", "gamma"],
        "active_gridpackage_count": ["beta", "Alpha", "gamma"],
        "-active_gridpackage_count": ["Alpha", "gamma", "beta"],
        "bogus": ["beta", "gamma", "Alpha"],
    }.items():
        assert row_titles(fetch_page(f"/grids/?sort={sort}")) == order, sort


def test_cells_of_other_grids_are_not_shown(session: Session, fetch_page: FetchPage) -> None:
    package = make_package(session, "one")
    grid, other_grid = make_grid(session, "grid", (package,)), make_grid(session, "other", (package,))
    fill_cell(session, make_feature(session, other_grid, "Elsewhere"), package, "cell of the other grid")
    make_feature(session, grid, "Feature")
    session.commit()
    assert "cell of the other grid" not in fetch_page("/grids/g/grid/")
    assert "cell of the other grid" in fetch_page("/grids/g/other/")
