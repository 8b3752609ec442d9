"""Search over packages and grids."""

from collections.abc import Callable
from xml.etree import ElementTree

import pytest
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from pkgsite.rules.search.ranking import Tier
from pkgsite.services.search.hits import Hit
from pkgsite.services.search.query import search_mixed
from tests.factories import NOW, make_category, make_grid, make_package
from tests.views.conftest import visible_text

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
    return [f"{hit.item_type}:{hit.slug}" for hit in mixed(session, q)]


def mixed(session: Session, q: str, limit: int = 20) -> list[Hit]:
    return search_mixed(session, q, ignored_prefixes=("django",), limit=limit, now=NOW)


def test_the_nearest_title_comes_first(shelf: Session) -> None:
    assert found(shelf, "cache") == [
        "package:cache",  # its very name
        "grid:cache-grid",  # names that begin so: grids, living packages, dead ones
        "package:cacheops",
        "package:cachedead",
        "grid:caching",  # the word, or another form of it, in the name
        "package:query-cache",
        "package:redis",  # in the description
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
    assert len(mixed(shelf, "cache", 3)) == 3


def test_a_hit_says_what_the_site_knows(shelf: Session) -> None:
    (hit,) = [hit for hit in mixed(shelf, "cacheops") if hit.slug == "cacheops"]
    assert hit == Hit(
        item_type="package",
        id=hit.id,
        title="cacheops",
        slug="cacheops",
        description="Caches queries 🚀",
        created_at=NOW,
        modified_at=NOW,
        weight=37,
        tier=Tier.NAME,
        popularity=172,
        category="App",
        stars=20,
    )
    grid = next(hit for hit in mixed(shelf, "caching") if hit.item_type == "grid")
    assert (grid.category, grid.stars, grid.weight) == ("", None, 37 * 3 // 6)


def test_the_page_shows_grids_and_packages(shelf: Session, fetch_page: Get) -> None:
    words = visible_text(fetch_page("/search/?q=cache"))
    assert "Grids Stores 1 package Caching 0 packages" in words
    assert "Packages 5 Filters ↓ Cache" in words
    assert "cachedead archived" in words
    assert "cachehidden" not in words
    assert "Why this result? Exact name match. Found in name: cache" in words


def test_a_page_without_results_helps(shelf: Session, fetch_page: Get) -> None:
    assert "No results Check the spelling" in visible_text(fetch_page("/search/?q=zzzz"))
    assert "What are you looking for?" in visible_text(fetch_page("/search/"))
    assert 'value="zzzz"' in fetch_page("/search/?q=zzzz")
    assert "Search without filters" in visible_text(fetch_page("/search/?q=cache+stars:>9000"))


def test_what_was_done_with_the_words_is_said(shelf: Session, fetch_page: Get) -> None:
    assert "Showing results for “cache”" in visible_text(fetch_page("/search/?q=cahce"))
    assert "Showing results for “Query-cache”" in visible_text(fetch_page("/search/?q=Query-cahce"))
    assert "No results contain all of these words." in visible_text(fetch_page("/search/?q=redis+ada"))
    assert "Ignored invalid filter “stars:many”" in visible_text(fetch_page("/search/?q=cache+stars:many"))
    assert "Nothing matches the filter “licence:mit”." in visible_text(fetch_page("/search/?q=cache+licence:mit"))


def test_facets_narrow_and_can_be_taken_away(shelf: Session, fetch_page: Get) -> None:
    page = fetch_page("/search/?q=cache")
    assert "10 or more 3 results" in visible_text(page)
    assert "/search/?q=cache+stars:%3E%3D10" in page
    narrowed = fetch_page("/search/?q=cache+stars:>=10")
    assert "Packages 3 Filters ↓ cacheops" in visible_text(narrowed)
    assert "Remove filter: stars:>=10 ×" in visible_text(narrowed)


def test_a_facet_that_counts_only_the_first_says_so(
    shelf: Session, fetch_page: Get, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "Counts cover the first" not in visible_text(fetch_page("/search/?q=cache"))
    monkeypatch.setattr("pkgsite.services.search.query.MAX_RESULTS", 2)
    monkeypatch.setattr("pkgsite.services.search.facets.MAX_COUNTED", 3)
    page = visible_text(fetch_page("/search/?q=cache"))
    assert "10 or more 1+ results" in page
    assert "Counts cover the first 2 results." in page


@pytest.mark.parametrize(
    "pasted",
    [
        "https://github.com/suor/cacheops",
        "git@github.com:Suor/cacheops.git",
        "pip install -U 'cacheops[all]>=7'",
        "https://pypi.org/project/cacheops/",
        "git+https://github.com/Suor/cacheops@master",
        "pip install git+ssh://git@github.com/Suor/cacheops.git@master#egg=cacheops",
        "git@github.com:Suor/cacheops.git@feature/one",
    ],
)
def test_what_names_one_package_leads_there(session: Session, client: FlaskClient, pasted: str) -> None:
    answer = client.get("/search/", query_string={"q": pasted})
    assert answer.status_code == 302
    assert answer.location.startswith("/packages/add/?where=")
    make_package(session, "ops", repo_url="https://github.com/Suor/cacheops", pypi_url="cacheops")
    session.commit()
    answer = client.get("/search/", query_string={"q": pasted})
    assert (answer.status_code, answer.location) == (302, "/packages/p/ops/")


def test_offers_while_one_types(shelf: Session, client: FlaskClient) -> None:
    offers = client.get("/search/suggestions/?q=ca").get_json()
    assert offers[0] == {"title": "cacheops", "kind": "package", "url": "/packages/p/cacheops/"}
    assert {"title": "Caching", "kind": "grid", "url": "/grids/g/caching/"} in offers
    assert client.get("/search/suggestions/?q=").get_json() == []


def test_browsers_can_search_here(shelf: Session, client: FlaskClient) -> None:
    answer = client.get("/search/opensearch/description/")
    assert answer.content_type == "application/opensearchdescription+xml"
    urls = [url.get("template") or "" for url in ElementTree.fromstring(answer.text).iter() if url.get("template")]
    assert urls == [f"http://localhost/search/{path}?q={{searchTerms}}" for path in ("", "opensearch/suggestions/")]
    answer = client.get("/search/opensearch/suggestions/?q=cachin")
    assert answer.get_json() == ["cachin", ["Caching"], [], ["/grids/g/caching/"]]
    assert answer.content_type == "application/x-suggestions+json"
