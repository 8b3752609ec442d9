"""Package lists: search, filters, sorting and pagination."""

from datetime import timedelta

import pytest
from sqlalchemy.orm import Session

from pkgsite.models import Package
from tests.factories import NOW, make_category, make_grid, make_package
from tests.views.conftest import FetchPage, link_targets, row_titles, visible_text


@pytest.fixture
def sample_packages(session: Session) -> Session:
    """Three packages with facts, one without, and one archived package."""
    apps, tools = make_category(session, "apps"), make_category(session, "tools")
    make_package(
        session, "b", title="beta", category=apps, stars=10, forks=3, pypi_downloads=1, description="Forms and caches",
        last_commit_at=NOW, last_fetched_at=NOW, created_at=NOW,
    )  # fmt: skip
    make_package(
        session, "a", title="Alpha", category=tools, stars=20, forks=1, pypi_downloads=3, description="Caches",
        last_commit_at=NOW - timedelta(days=2), last_fetched_at=NOW - timedelta(days=1),
        created_at=NOW - timedelta(days=1),
    )  # fmt: skip
    make_package(
        session, "g", title="gamma", category=apps, stars=0, forks=2, pypi_downloads=2, description="Forms",
        last_commit_at=NOW - timedelta(days=1), last_fetched_at=NOW - timedelta(days=2),
        created_at=NOW - timedelta(days=2),
    )  # fmt: skip
    make_package(session, "u", title="unknown", category=tools, created_at=NOW - timedelta(days=3))
    make_package(session, "x", title="past", category=apps, stars=50, description="Caches", archived_at=NOW)
    session.commit()
    return session


ORDERS = (
    ("", ["Alpha", "beta", "gamma", "unknown"]),
    ("repo_watchers", ["gamma", "beta", "Alpha", "unknown"]),
    ("-repo_forks", ["beta", "gamma", "Alpha", "unknown"]),
    ("repo_forks", ["Alpha", "gamma", "beta", "unknown"]),
    ("-pypi_downloads", ["Alpha", "gamma", "beta", "unknown"]),
    ("pypi_downloads", ["beta", "gamma", "Alpha", "unknown"]),
    ("-last_fetched", ["beta", "Alpha", "gamma", "unknown"]),
    ("last_fetched", ["gamma", "Alpha", "beta", "unknown"]),
    ("-last_updated", ["beta", "gamma", "Alpha", "unknown"]),
    ("last_updated", ["Alpha", "gamma", "beta", "unknown"]),
    ("-created", ["beta", "Alpha", "gamma", "unknown"]),
    ("created", ["unknown", "gamma", "Alpha", "beta"]),
    ("title", ["Alpha", "beta", "gamma", "unknown"]),
    ("-title", ["unknown", "gamma", "beta", "Alpha"]),
    ("category", ["beta", "gamma", "Alpha", "unknown"]),
    ("-category", ["Alpha", "unknown", "beta", "gamma"]),
    ("usage_count", ["beta", "Alpha", "gamma", "unknown"]),
    ("bogus", ["Alpha", "beta", "gamma", "unknown"]),
)


def test_unknown_facts_come_last_in_every_order(sample_packages: Session, fetch_page: FetchPage) -> None:
    for sort, order in ORDERS:
        assert row_titles(fetch_page(f"/packages/?sort={sort}")) == order, sort


def test_every_word_must_match(sample_packages: Session, fetch_page: FetchPage) -> None:
    assert row_titles(fetch_page("/packages/?q=CACHES")) == ["Alpha", "beta"]
    assert row_titles(fetch_page("/packages/?q=forms+caches")) == ["beta"]
    assert row_titles(fetch_page("/packages/?q=forms+nothing")) == []


def test_category_counts_follow_the_search(sample_packages: Session, fetch_page: FetchPage) -> None:
    assert "All 4 Apps 2 Tools 2" in visible_text(fetch_page("/packages/"))
    assert "All 2 Apps 1 Tools 1" in visible_text(fetch_page("/packages/?q=caches"))
    assert "All 3 Apps 2 Tools 1" in visible_text(fetch_page("/packages/?q=caches&all=1"))


def test_archived_packages_are_shown_on_request_and_marked(sample_packages: Session, fetch_page: FetchPage) -> None:
    assert "1 archived or deprecated package hidden." in visible_text(fetch_page("/packages/?q=caches"))
    html = fetch_page("/packages/?q=caches&all=1")
    assert row_titles(html) == ["past", "Alpha", "beta"]
    assert "past archived" in visible_text(html)
    assert "/packages/?q=caches" in link_targets(html)


def test_an_unknown_category_has_no_packages(sample_packages: Session, fetch_page: FetchPage) -> None:
    for query in ("category=nope", "q=caches&category=nope&sort=title&all=1"):
        html = fetch_page(f"/packages/?{query}")
        assert "There is no category “nope”." in visible_text(html)
        assert row_titles(html) == []


def test_an_invalid_sort_order_is_reported_and_the_others_apply(
    sample_packages: Session, fetch_page: FetchPage
) -> None:
    html = fetch_page("/packages/?q=caches&category=apps&sort=bogus&page=zz")
    assert "Ignored unknown sort order “bogus”." in visible_text(html)
    assert row_titles(html) == ["beta"]


def test_links_and_forms_keep_the_other_filters(sample_packages: Session, fetch_page: FetchPage) -> None:
    html = fetch_page("/packages/?q=caches&category=apps&sort=title&all=1")
    links = link_targets(html)
    assert "/packages/?q=caches&category=tools&sort=title&all=1" in links
    assert "/packages/?q=caches&sort=title&all=1" in links
    assert "/packages/?q=caches&category=apps&sort=-title&all=1" in links
    assert "/packages/?q=caches&category=apps&sort=-repo_forks&all=1" in links
    assert "/packages/?q=caches&category=apps&sort=title" in links
    for field in ('name="category" value="apps"', 'name="sort" value="title"', 'name="all" value="1"'):
        assert f'<input type="hidden" {field}>' in html


def test_a_category_page_lists_its_packages(sample_packages: Session, fetch_page: FetchPage) -> None:
    html = fetch_page("/categories/apps/?q=forms&sort=title&category=tools")
    assert row_titles(html) == ["beta", "gamma"]
    assert "/categories/tools/?q=forms&sort=title" in link_targets(html)
    assert "/packages/?q=forms&sort=title" in link_targets(html)
    assert "/categories/apps/?q=forms&sort=-title" in link_targets(html)


def test_a_grid_has_a_list_view(sample_packages: Session, fetch_page: FetchPage) -> None:
    make_grid(sample_packages, "two", tuple(sample_packages.query(Package).order_by(Package.id).limit(2)))
    sample_packages.commit()
    assert row_titles(fetch_page("/grids/g/two/packages/")) == ["Alpha", "beta"]
    assert row_titles(fetch_page("/grids/g/two/packages/?category=tools")) == ["Alpha"]


def test_lists_have_20_packages_per_page(session: Session, fetch_page: FetchPage) -> None:
    for index in range(45):
        make_package(session, f"p{index:02}", stars=1)
    session.commit()
    pages = [row_titles(fetch_page(f"/packages/?sort=repo_forks&page={page}")) for page in (1, 2, 3)]
    assert [len(page) for page in pages] == [20, 20, 5]
    assert [title for page in pages for title in page] == [f"p{index:02}" for index in range(45)]
    assert row_titles(fetch_page("/packages/?sort=repo_forks&page=last")) == pages[2]
    assert row_titles(fetch_page("/packages/?sort=repo_forks&page=99")) == pages[2]
    assert row_titles(fetch_page("/packages/?sort=repo_forks&page=nonsense")) == pages[0]
    html = fetch_page("/packages/?sort=repo_forks&page=2&q=p")
    assert "21–40 of 45 packages" in visible_text(html)
    assert "/packages/?q=p&sort=repo_forks&page=3" in link_targets(html)
    assert "/packages/?q=p&sort=repo_forks" in link_targets(html)
    assert 'start="21"' in html


def test_recently_added_packages_leave_out_archived_ones(sample_packages: Session, fetch_page: FetchPage) -> None:
    assert row_titles(fetch_page("/packages/latest/")) == ["beta", "Alpha", "gamma", "unknown"]


def test_favourites_are_ranked_and_include_archived_packages(varied_site: Session, fetch_page: FetchPage) -> None:
    html = fetch_page("/packages/liked/")
    assert row_titles(html) == ["Known package", "archived"]
    assert "favourites 2" in visible_text(html)


def test_the_favourites_page_can_be_empty(sample_packages: Session, fetch_page: FetchPage) -> None:
    assert "No favourites yet" in fetch_page("/packages/liked/")


def test_categories_show_package_counts(sample_packages: Session, fetch_page: FetchPage) -> None:
    assert "2 packages plus 1 archived or deprecated" in visible_text(fetch_page("/categories/"))
