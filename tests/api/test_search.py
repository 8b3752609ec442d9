"""Search by the API: the list that old clients know, and all that the page shows."""

from __future__ import annotations

from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from tests.factories import NOW, make_grid, make_package


def test_a_bare_list_as_ever(session: Session, client: FlaskClient) -> None:
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


def test_all_that_the_page_shows(session: Session, client: FlaskClient) -> None:
    packages = [
        make_package(session, f"cache-{number}", stars=100 - number, participants=["cachewoman"], description="Keeps")
        for number in range(25)
    ]
    make_grid(session, "caching", tuple(packages[:3]), title="Caching")
    make_package(session, "cache-old", archived_at=NOW, stars=999)
    session.commit()
    found = client.get("/api/v4/search/?q=cache&expand=results").get_json()
    assert (found["count"], found["is_exact"], found["q"], found["corrected"]) == (26, True, "cache", "")
    assert [hit["slug"] for hit in found["packages"]] == [f"cache-{number}" for number in range(20)]
    assert found["packages"][0]["why"] == {
        "tier": 3,
        "words": "The name starts with your search.",
        "found": {"name": ["cache"], "grids": ["caching"]},
        "popularity": 261,
        "is_living": True,
    }
    assert found["packages"][0]["repo_watchers"] == 100
    assert [hit["slug"] for hit in found["grids"]] == ["caching"]
    person = {"title": "cachewoman", "absolute_url": "/search/?q=by:cachewoman", "packages": 25}
    assert found["people"] == [person]
    facets = {facet["name"]: facet["values"] for facet in found["facets"]}
    assert facets["grid"] == [{"label": "Caching", "q": "cache grid:caching", "count": 3, "is_exact": True}]
    assert found["previous"] is None
    rest = client.get(found["next"]).get_json()
    assert [hit["slug"] for hit in rest["packages"]] == [*[f"cache-{number}" for number in range(20, 25)], "cache-old"]
    assert rest["packages"][-1]["why"]["is_living"] is False
    assert rest["next"] is None
    assert client.get(rest["previous"]).get_json()["packages"] == found["packages"]
    assert client.get("/api/v4/search/?q=cahce&expand=results").get_json()["corrected"] == "cache"
