"""Lists of packages: searched, filtered, sorted, paged."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy.orm import Session

from pkgsite.models import Package
from tests.factories import NOW, make_category, make_grid, make_package
from tests.views.conftest import addresses_in, plain, titles_in

Get = Callable[[str], str]


@pytest.fixture
def shelf(session: Session) -> Session:
    """Three packages with facts, one without, and one that is archived."""
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


def test_unknown_facts_come_last_in_every_order(shelf: Session, get: Get) -> None:
    for sort, order in ORDERS:
        assert titles_in(get(f"/packages/?sort={sort}")) == order, sort


def test_every_word_has_to_be_found(shelf: Session, get: Get) -> None:
    assert titles_in(get("/packages/?q=CACHES")) == ["Alpha", "beta"]
    assert titles_in(get("/packages/?q=forms+caches")) == ["beta"]
    assert titles_in(get("/packages/?q=forms+nothing")) == []


def test_pills_count_what_the_words_leave(shelf: Session, get: Get) -> None:
    assert "All 4 Apps 2 Tools 2" in plain(get("/packages/"))
    assert "All 2 Apps 1 Tools 1" in plain(get("/packages/?q=caches"))
    assert "All 3 Apps 2 Tools 1" in plain(get("/packages/?q=caches&all=1"))


def test_archived_packages_are_asked_for_and_marked(shelf: Session, get: Get) -> None:
    assert "1 archived or deprecated package hidden." in plain(get("/packages/?q=caches"))
    html = get("/packages/?q=caches&all=1")
    assert titles_in(html) == ["past", "Alpha", "beta"]
    assert "past archived" in plain(html)
    assert "/packages/?q=caches" in addresses_in(html)


def test_a_bad_value_is_told_and_the_others_stay(shelf: Session, get: Get) -> None:
    html = get("/packages/?q=caches&category=nope&sort=title")
    assert "Ignored unknown category “nope”." in plain(html)
    assert titles_in(html) == ["Alpha", "beta"]
    html = get("/packages/?q=caches&category=apps&sort=bogus&page=zz")
    assert "Ignored unknown sort order “bogus”." in plain(html)
    assert titles_in(html) == ["beta"]


def test_filters_keep_each_other_in_every_link_and_form(shelf: Session, get: Get) -> None:
    html = get("/packages/?q=caches&category=apps&sort=title&all=1")
    links = addresses_in(html)
    assert "/packages/?q=caches&category=tools&sort=title&all=1" in links
    assert "/packages/?q=caches&sort=title&all=1" in links
    assert "/packages/?q=caches&category=apps&sort=-title&all=1" in links
    assert "/packages/?q=caches&category=apps&sort=-repo_forks&all=1" in links
    assert "/packages/?q=caches&category=apps&sort=title" in links
    for field in ('name="category" value="apps"', 'name="sort" value="title"', 'name="all" value="1"'):
        assert f'<input type="hidden" {field}>' in html


def test_a_categorys_page_is_its_list(shelf: Session, get: Get) -> None:
    html = get("/categories/apps/?q=forms&sort=title&category=tools")
    assert titles_in(html) == ["beta", "gamma"]
    assert "/categories/tools/?q=forms&sort=title" in addresses_in(html)
    assert "/packages/?q=forms&sort=title" in addresses_in(html)
    assert "/categories/apps/?q=forms&sort=-title" in addresses_in(html)


def test_a_grids_packages_are_a_list_of_their_own(shelf: Session, get: Get) -> None:
    make_grid(shelf, "two", tuple(shelf.query(Package).order_by(Package.id).limit(2)))
    shelf.commit()
    assert titles_in(get("/grids/g/two/packages/")) == ["Alpha", "beta"]
    assert titles_in(get("/grids/g/two/packages/?category=tools")) == ["Alpha"]


def test_pages_hold_twenty_and_follow_each_other(session: Session, get: Get) -> None:
    for number in range(45):
        make_package(session, f"p{number:02}", stars=1)
    session.commit()
    pages = [titles_in(get(f"/packages/?sort=repo_forks&page={page}")) for page in (1, 2, 3)]
    assert [len(page) for page in pages] == [20, 20, 5]
    assert [title for page in pages for title in page] == [f"p{number:02}" for number in range(45)]
    assert titles_in(get("/packages/?sort=repo_forks&page=last")) == pages[2]
    assert titles_in(get("/packages/?sort=repo_forks&page=99")) == pages[2]
    assert titles_in(get("/packages/?sort=repo_forks&page=nonsense")) == pages[0]
    html = get("/packages/?sort=repo_forks&page=2&q=p")
    assert "21–40 of 45 packages" in plain(html)
    assert "/packages/?q=p&sort=repo_forks&page=3" in addresses_in(html)
    assert "/packages/?q=p&sort=repo_forks" in addresses_in(html)
    assert 'start="21"' in html


def test_the_latest_come_first_without_the_archived(shelf: Session, get: Get) -> None:
    assert titles_in(get("/packages/latest/")) == ["beta", "Alpha", "gamma", "unknown"]


def test_the_most_liked_come_first_whatever_their_state(site: Session, get: Get) -> None:
    html = get("/packages/liked/")
    assert titles_in(html) == ["Known package", "archived"]
    assert "favourites 2" in plain(html)


def test_without_favourites_the_page_says_so(shelf: Session, get: Get) -> None:
    assert "No favourites yet" in get("/packages/liked/")


def test_categories_tell_their_numbers(shelf: Session, get: Get) -> None:
    assert "2 packages plus 1 archived or deprecated" in plain(get("/categories/"))
