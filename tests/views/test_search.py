"""Search over packages and grids."""

from collections.abc import Callable

import pytest
from sqlalchemy.orm import Session

from pkgsite.services.search import Hit, search
from tests.factories import NOW, make_category, make_grid, make_package
from tests.views.conftest import plain

Get = Callable[[str], str]


@pytest.fixture
def shelf(session: Session) -> Session:
    apps = make_category(session, "apps", title="App")
    make_package(session, "cacheops", category=apps, title="cacheops", stars=20, description="Caches queries :rocket:")
    make_package(session, "cache", category=apps, title="Cache", stars=1)
    make_package(session, "query-cache", category=apps, title="Query cache", stars=5, participants=["Suor", "ada"])
    redis = make_package(
        session, "redis", category=apps, title="Redis things", stars=90, description="A cache of queries"
    )
    make_package(session, "cachedead", category=apps, title="cachedead", stars=900, archived_at=NOW)
    make_package(session, "cachehidden", category=apps, title="cachehidden", stars=900, hidden_at=NOW)
    make_grid(session, "caching", title="Caching", description="cache", header=True)
    make_grid(session, "cache-grid", (redis,), title="Stores", description="For a cache")
    session.commit()
    return session


def found(session: Session, q: str) -> list[str]:
    return [f"{hit.item_type}:{hit.slug}" for hit in search(session, q, limit=20, now=NOW)]


def test_the_nearest_title_comes_first(shelf: Session) -> None:
    assert found(shelf, "cache") == [
        "package:cache",
        "package:cacheops",
        "package:cachedead",
        "package:query-cache",
        "grid:caching",
        "grid:cache-grid",
        "package:redis",
    ]


def test_every_word_has_to_be_found_in_any_place(shelf: Session) -> None:
    assert found(shelf, "quer CACHE") == ["package:query-cache", "package:redis", "package:cacheops"]
    assert found(shelf, "suor") == ["package:query-cache"]
    assert found(shelf, "app suor") == ["package:query-cache"]
    assert found(shelf, "cache nothing") == []


@pytest.mark.parametrize("q", ["", "   ", "\x00", '"', "[", "%", "_", "\\", "zzzz"])
def test_nothing_is_found_for_nothing(shelf: Session, q: str) -> None:
    assert found(shelf, q) == []


def test_there_are_never_more_than_asked_for(shelf: Session) -> None:
    assert len(search(shelf, "cache", limit=3, now=NOW)) == 3


def test_a_hit_says_what_the_site_knows(shelf: Session) -> None:
    (hit,) = [hit for hit in search(shelf, "cacheops", limit=9, now=NOW) if hit.slug == "cacheops"]
    assert hit == Hit(
        item_type="package",
        id=hit.id,
        title="cacheops",
        slug="cacheops",
        description="Caches queries 🚀",
        created_at=NOW,
        modified_at=NOW,
        weight=37,
        category="App",
        stars=20,
    )
    (grid,) = [hit for hit in search(shelf, "caching", limit=9, now=NOW) if hit.item_type == "grid"]
    assert (grid.category, grid.stars, grid.weight) == ("", None, 37 * 3 // 6)


def test_the_page_shows_grids_and_packages(shelf: Session, get: Get) -> None:
    words = plain(get("/search/?q=cache"))
    assert "Grids 2 Caching" in words
    assert "Packages 5 Cache" in words
    assert "cachedead archived or deprecated" in words


def test_a_page_without_results_helps(shelf: Session, get: Get) -> None:
    assert "No package or grid has every word of “zzzz”" in plain(get("/search/?q=zzzz"))
    assert "What are you looking for?" in plain(get("/search/"))
    assert 'value="zzzz"' in get("/search/?q=zzzz")
