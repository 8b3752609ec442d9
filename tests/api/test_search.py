"""Search in the API: the list for old clients, and everything on the search page."""

from __future__ import annotations

from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from tests.factories import NOW, make_grid, make_package


def test_search_returns_packages_and_grids_in_one_list(session: Session, client: FlaskClient) -> None:
    one = make_package(session, "one", title="Cache", stars=4)
    make_package(session, "two", title="Other", description="A cache")
    make_grid(session, "caching", (one,), title="Caching")
    session.commit()
    hits = client.get("/api/v4/search/?q=cache").get_json()
    assert [(hit["item_type"], hit["slug"]) for hit in hits] == [
        ("package", "one"),
        ("grid", "caching"),
        ("package", "two"),
    ]
    assert client.get("/api/v4/search/").get_json() == []


def test_expanded_results_contain_everything_on_the_page(session: Session, client: FlaskClient) -> None:
    packages = [
        make_package(session, f"cache-{number}", stars=100 - number, participants=["cachewoman"], description="Keeps")
        for number in range(25)
    ]
    make_grid(session, "caching", tuple(packages[:3]), title="Caching")
    make_package(session, "cache-old", archived_at=NOW, stars=999)
    session.commit()
    body = client.get("/api/v4/search/?q=cache&expand=results").get_json()
    assert (body["count"], body["is_exact"], body["q"], body["corrected"]) == (26, True, "cache", "")
    assert [hit["slug"] for hit in body["packages"]] == [f"cache-{number}" for number in range(20)]
    assert body["packages"][0]["why"] == {
        "tier": 3,
        "words": "The name starts with your search.",
        "found": {"name": ["cache"], "grids": ["caching"]},
        "popularity": 261,
        "is_living": True,
    }
    assert body["packages"][0]["repo_watchers"] == 100
    assert [hit["slug"] for hit in body["grids"]] == ["caching"]
    person = {"title": "cachewoman", "absolute_url": "/search/?q=by:cachewoman", "packages": 25}
    assert body["people"] == [person]
    facets = {facet["name"]: facet["values"] for facet in body["facets"]}
    assert facets["grid"] == [{"label": "Caching", "q": "cache grid:caching", "count": 3, "is_exact": True}]
    assert body["previous"] is None
    next_page = client.get(body["next"]).get_json()
    assert [hit["slug"] for hit in next_page["packages"]] == [
        *[f"cache-{number}" for number in range(20, 25)],
        "cache-old",
    ]
    assert next_page["packages"][-1]["why"]["is_living"] is False
    assert next_page["next"] is None
    assert client.get(next_page["previous"]).get_json()["packages"] == body["packages"]
    assert client.get("/api/v4/search/?q=cahce&expand=results").get_json()["corrected"] == "cache"
