"""The search page, suggestions and OpenSearch."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from pkgsite.rules.search.ranking import Tier
from pkgsite.services.search.hits import Hit
from pkgsite.services.search.query import search_mixed
from tests.factories import NOW, make_category, make_grid, make_package
from tests.views.conftest import FetchPage, visible_text


@pytest.fixture
def sample_packages(session: Session) -> Session:
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


def find(session: Session, q: str) -> list[str]:
    return [f"{hit.item_type}:{hit.slug}" for hit in find_hits(session, q)]


def find_hits(session: Session, q: str, limit: int = 20) -> list[Hit]:
    return search_mixed(session, q, ignored_prefixes=("django",), limit=limit, now=NOW)


def test_better_name_matches_come_first(sample_packages: Session) -> None:
    assert find(sample_packages, "cache") == [
        "package:cache",  # the exact name
        "grid:cache-grid",  # names that start with it: grids, active packages, inactive ones
        "package:cacheops",
        "package:cachedead",
        "grid:caching",  # names that contain the word or another form of it
        "package:query-cache",
        "package:redis",  # the description contains it
    ]


def test_all_words_must_match_in_any_part(sample_packages: Session) -> None:
    assert find(sample_packages, "quer CACHE") == ["package:query-cache", "package:redis", "package:cacheops"]
    assert find(sample_packages, "suor") == ["package:query-cache"]
    assert find(sample_packages, "app suor") == ["package:query-cache"]
    assert find(sample_packages, "cache nothing") == []


@pytest.mark.parametrize("q", ["", "   ", "\x00", '"', "[", "%", "_", "\\", "zzzz"])
def test_queries_without_known_words_have_no_results(sample_packages: Session, q: str) -> None:
    assert find(sample_packages, q) == []


def test_the_limit_is_respected(sample_packages: Session) -> None:
    assert len(find_hits(sample_packages, "cache", 3)) == 3


def test_a_hit_has_the_facts_of_its_package_or_grid(sample_packages: Session) -> None:
    (hit,) = [hit for hit in find_hits(sample_packages, "cacheops") if hit.slug == "cacheops"]
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
    grid = next(hit for hit in find_hits(sample_packages, "caching") if hit.item_type == "grid")
    assert (grid.category, grid.stars, grid.weight) == ("", None, 37 * 3 // 6)


def test_the_page_shows_grids_and_packages(sample_packages: Session, fetch_page: FetchPage) -> None:
    text = visible_text(fetch_page("/search/?q=cache"))
    assert "Grids Stores 1 package Caching 0 packages" in text
    assert "Packages 5 Filters ↓ Cache" in text
    assert "cachedead archived" in text
    assert "cachehidden" not in text
    assert "Why this result? Exact name match. Found in name: cache" in text


def test_a_page_without_results_gives_advice(sample_packages: Session, fetch_page: FetchPage) -> None:
    assert "No results Check the spelling" in visible_text(fetch_page("/search/?q=zzzz"))
    assert "What are you looking for?" in visible_text(fetch_page("/search/"))
    assert 'value="zzzz"' in fetch_page("/search/?q=zzzz")
    assert "Search without filters" in visible_text(fetch_page("/search/?q=cache+stars:>9000"))


def test_the_page_reports_how_the_query_was_interpreted(sample_packages: Session, fetch_page: FetchPage) -> None:
    assert "Showing results for “cache”" in visible_text(fetch_page("/search/?q=cahce"))
    assert "Showing results for “Query-cache”" in visible_text(fetch_page("/search/?q=Query-cahce"))
    assert "No packages contain all of these words." in visible_text(fetch_page("/search/?q=redis+ada"))
    assert "Ignored invalid filter “stars:many”" in visible_text(fetch_page("/search/?q=cache+stars:many"))
    assert "Nothing matches the filter “licence:mit”." in visible_text(fetch_page("/search/?q=cache+licence:mit"))


def test_facets_narrow_down_the_results_and_can_be_removed(sample_packages: Session, fetch_page: FetchPage) -> None:
    page = fetch_page("/search/?q=cache")
    assert "10 or more 3 results" in visible_text(page)
    assert "/search/?q=cache+stars:%3E%3D10" in page
    narrowed = fetch_page("/search/?q=cache+stars:>=10")
    assert "Packages 3 Filters ↓ cacheops" in visible_text(narrowed)
    assert "Remove filter: stars:>=10 ×" in visible_text(narrowed)


def test_the_page_says_if_facets_count_only_the_first_results(
    sample_packages: Session, fetch_page: FetchPage, monkeypatch: pytest.MonkeyPatch
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
def test_a_pasted_reference_redirects_to_its_package(session: Session, client: FlaskClient, pasted: str) -> None:
    response = client.get("/search/", query_string={"q": pasted})
    assert response.status_code == 302
    assert response.location.startswith("/packages/add/?where=")
    make_package(session, "ops", repo_url="https://github.com/Suor/cacheops", pypi_url="cacheops")
    session.commit()
    response = client.get("/search/", query_string={"q": pasted})
    assert (response.status_code, response.location) == (302, "/packages/p/ops/")


@pytest.mark.parametrize(
    "line",
    [
        "django_cacheops==7.1",
        "Django.CacheOps[redis]~=7.0 ; python_version >= '3.9'",
        "django-cacheops==7.1 --hash=sha256:0a1b2c \\",
        'django-cacheops = {version = "^7.1", extras = ["redis"]}',
        '    "django-cacheops>=7",',
        'name = "django-cacheops"',
        "django-cacheops @ git+https://github.com/suor/django-cacheops@main",
        "-e git+https://github.com/suor/django-cacheops#egg=cacheops",
        "-e git+ssh://git@github.com/Suor/django-cacheops.git@v7#egg=other",
        "https://files.pythonhosted.org/packages/0a/django_cacheops-7.1-py2.py3-none-any.whl",
        "https://catalogue.example.org/packages/p/CACHEOPS/",
        "github.com/Suor/django-cacheops",
        "http://www.github.com/new-owner/cacheops/",
    ],
)
def test_a_line_of_a_requirement_file_redirects_to_its_package(
    session: Session, client: FlaskClient, line: str
) -> None:
    make_package(
        session,
        "cacheops",
        repo_url="https://github.com/Suor/django-cacheops/",
        repo_moved_to="https://github.com/New-Owner/cacheops",
        pypi_url="http://pypi.python.org/pypi/django-cacheops",
    )
    session.commit()
    response = client.get("/search/", query_string={"q": line})
    assert (response.status_code, response.location) == (302, "/packages/p/cacheops/")


@pytest.mark.parametrize("text", ["django>=4.2", "cacheops", "one 1.0", '"one",', "stars:>100", "caching redis==1 x"])
def test_text_that_names_no_known_package_is_searched_for(session: Session, client: FlaskClient, text: str) -> None:
    assert client.get("/search/", query_string={"q": text}).status_code == 200


def test_suggestions_contain_packages_and_grids(sample_packages: Session, client: FlaskClient) -> None:
    suggestions = client.get("/search/suggestions/?q=ca").get_json()
    assert suggestions[0] == {"title": "cacheops", "kind": "package", "url": "/packages/p/cacheops/"}
    assert {"title": "Caching", "kind": "grid", "url": "/grids/g/caching/"} in suggestions
    assert client.get("/search/suggestions/?q=").get_json() == []


def test_browsers_can_add_the_site_as_a_search_engine(sample_packages: Session, client: FlaskClient) -> None:
    response = client.get("/search/opensearch/description/")
    assert response.content_type == "application/opensearchdescription+xml"
    urls = [url.get("template") or "" for url in ElementTree.fromstring(response.text).iter() if url.get("template")]
    assert urls == [f"http://localhost/search/{path}?q={{searchTerms}}" for path in ("", "opensearch/suggestions/")]
    response = client.get("/search/opensearch/suggestions/?q=cachin")
    assert response.get_json() == ["cachin", ["Caching"], [], ["/grids/g/caching/"]]
    assert response.content_type == "application/x-suggestions+json"
