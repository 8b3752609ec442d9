"""Grids: the list of them, and packages side by side."""

import re
from collections.abc import Callable
from datetime import timedelta
from html import unescape

from sqlalchemy.orm import Session

from tests.factories import NOW, fill_cell, make_feature, make_grid, make_package
from tests.views.conftest import addresses_in, plain, titles_in
from tests.views.data import add_many

Get = Callable[[str], str]


def columns_in(html: str) -> list[str]:
    """Return the titles of a comparison's columns."""
    head = html.partition("<thead>")[2].partition("</thead>")[0]
    return [unescape(title) for title in re.findall(r'<th scope="col"[^>]*><a [^>]*>(.*?)</a>', head)]


def row_in(html: str, title: str) -> list[str]:
    """Return the words in each cell of the comparison's row with this title."""
    row = next(row for row in html.split("<tr")[1:] if re.search(rf'<th scope="row">{title}\b', row))
    return [plain(cell) for cell in re.findall(r"<td[^>]*>(.*?)</td>", row, re.DOTALL)]


def test_living_packages_come_first_then_deprecated_then_archived(site: Session, get: Get) -> None:
    html = get("/grids/g/caching/")
    columns = columns_in(html)
    assert columns[:3] == ["Known package", "Successor", "zero"]
    assert columns[-2:] == ["replaced", "archived"]
    assert len(columns) == 7
    assert "replaced deprecated" in plain(html)
    assert "archived archived deprecated" in plain(html)


def test_facts_are_rows(site: Session, get: Get) -> None:
    html = get("/grids/g/caching/")
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


def test_features_are_rows_with_the_cells_that_people_wrote(site: Session, get: Get) -> None:
    html = get("/grids/g/caching/")
    cells = dict(zip(columns_in(html), row_in(html, "Is fast"), strict=True))
    assert cells["Known package"] == "yes since 2 https://example.org/fast ."
    assert cells["zero"] == "nothing"
    assert cells["archived"] == "no, very strongly"
    assert cells["Successor"] == "— unknown"
    assert '<a href="https://example.org/fast" rel="nofollow noopener">' in html
    assert set(row_in(html, "Nobody filled this in")) == {"— unknown"}
    assert "<script>alert" not in html


def test_headers_name_what_they_head(site: Session, get: Get) -> None:
    html = get("/grids/g/caching/")
    table = html.partition("<table>")[2].partition("</table>")[0]
    assert table.count("<th ") == table.count('scope="')
    assert 'role="region" aria-label="Caching: comparison table, scrollable" tabindex="0"' in html


def test_a_grid_can_be_sorted(session: Session, get: Get) -> None:
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
        assert columns_in(get(f"/grids/g/g/?sort={sort}")) == order, sort
    assert "Ignored unknown sort order “-title”" in plain(get("/grids/g/g/?sort=-title"))


def test_stars_decide_where_no_score_has_been_reckoned(session: Session, get: Get) -> None:
    packages = (
        make_package(session, "few", stars=1),
        make_package(session, "many", stars=900),
        make_package(session, "scored", stars=7, score=-3),
        make_package(session, "unknown"),
    )
    make_grid(session, "g", packages)
    session.commit()
    html = get("/grids/g/g/")
    assert columns_in(html) == ["scored", "many", "few", "unknown"]
    assert '<a href="/grids/g/g/" aria-current="true">Score</a>' in html


def test_a_grid_can_be_filtered_and_filters_keep_each_other(site: Session, get: Get) -> None:
    html = get("/grids/g/caching/?q=CACHES&sort=forks")
    assert columns_in(html)[0] == "Known package"
    assert "1 of 7 packages" in plain(html)
    assert "/grids/g/caching/?q=CACHES&sort=title" in addresses_in(html)
    assert "/grids/g/caching/?q=CACHES&sort=forks&stable=1" in addresses_in(html)
    assert '<input type="hidden" name="sort" value="forks">' in html
    assert columns_in(get("/grids/g/caching/?stable=1")) == ["Known package"]
    nothing = get("/grids/g/caching/?stable=1&q=zzz")
    assert "No package in this grid matches “zzz” and is marked as stable." in plain(nothing)


def test_a_grid_has_no_limit(session: Session, get: Get) -> None:
    add_many(session, 60)
    html = get("/grids/g/many/")
    assert len(columns_in(html)) == 60
    assert row_in(html, "Stars") == ["5"] * 60, "nobody leads where all are alike"


def test_an_empty_grid_says_so(site: Session, get: Get) -> None:
    assert "This grid doesn't have any packages." in plain(get("/grids/g/nobody-here/"))


def test_the_list_of_grids(site: Session, get: Get) -> None:
    titles = titles_in(get("/grids/"))
    assert "Caching" in titles
    assert "Nobody here" not in titles
    html = get("/grids/?q=keeping")
    assert titles_in(html) == ["Caching"]
    assert "packages 7 active 5 features 2" in plain(html)
    assert "No grids match" in plain(get("/grids/?q=nobody+here"))


def test_grids_can_be_sorted(session: Session, get: Get) -> None:
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
        assert titles_in(get(f"/grids/?sort={sort}")) == order, sort


def test_old_cells_of_other_grids_stay_out(session: Session, get: Get) -> None:
    package = make_package(session, "one")
    here, there = make_grid(session, "here", (package,)), make_grid(session, "there", (package,))
    fill_cell(session, make_feature(session, there, "Elsewhere"), package, "words of there")
    make_feature(session, here, "Here")
    session.commit()
    assert "words of there" not in get("/grids/g/here/")
    assert "words of there" in get("/grids/g/there/")
