"""Lists of API v4: order, pagination and links."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from pkgsite.models import Package
from tests.factories import NOW, make_category, make_grid, make_package

ROOT = "http://localhost/api/v4/packages"
HIT_FIELDS = (
    "description title title_no_prefix slug_no_prefix clean_title absolute_url created modified weight item_type slug "
    "category repo_watchers repo_forks pypi_downloads score usage participants last_committed last_released"
)


@pytest.fixture
def _45_packages(session: Session) -> None:
    add_packages(session, 45)


def add_packages(session: Session, count: int) -> None:
    """Add packages with the ids 1 to `count`."""
    category = make_category(session)
    session.add_all(
        Package(id=number, slug=f"package-{number}", title=f"package-{number}", category_id=category.id,
                created_at=NOW, modified_at=NOW, changed_at=NOW)
        for number in range(1, count + 1)
    )  # fmt: skip
    session.commit()


@pytest.mark.parametrize(
    ("query", "ids", "next_url", "previous"),
    [
        ("", range(45, 25, -1), f"{ROOT}/?limit=20&offset=20", None),
        ("?limit=2", range(45, 43, -1), f"{ROOT}/?limit=2&offset=2", None),
        ("?limit=2&offset=1", range(44, 42, -1), f"{ROOT}/?limit=2&offset=3", f"{ROOT}/?limit=2"),
        ("?limit=3&offset=3", range(42, 39, -1), f"{ROOT}/?limit=3&offset=6", f"{ROOT}/?limit=3"),
        ("?offset=40", range(5, 0, -1), None, f"{ROOT}/?limit=20&offset=20"),
        ("?offset=45", [], None, f"{ROOT}/?limit=20&offset=25"),
        ("?offset=100000", [], None, f"{ROOT}/?limit=20&offset=99980"),
        ("?offset=99999999999999999999", [], None, f"{ROOT}/?limit=20&offset=99999999999999999979"),
        ("?limit=0", range(45, 25, -1), f"{ROOT}/?limit=20&offset=20", None),
        ("?limit=-1", range(45, 25, -1), f"{ROOT}/?limit=20&offset=20", None),
        ("?limit=abc", range(45, 25, -1), f"{ROOT}/?limit=20&offset=20", None),
        ("?limit=", range(45, 25, -1), f"{ROOT}/?limit=20&offset=20", None),
        ("?offset=-5", range(45, 25, -1), f"{ROOT}/?limit=20&offset=20", None),
        ("?offset=x", range(45, 25, -1), f"{ROOT}/?limit=20&offset=20", None),
        ("?limit=1&limit=44", range(45, 1, -1), f"{ROOT}/?limit=44&offset=44", None),
        ("?unknown=1&limit=44", range(45, 1, -1), f"{ROOT}/?limit=44&offset=44&unknown=1", None),
        ("?z=%C3%A9&a=&limit=44", range(45, 1, -1), f"{ROOT}/?a=&limit=44&offset=44&z=%C3%A9", None),
        ("?limit=44&format=json", range(45, 1, -1), f"{ROOT}/?format=json&limit=44&offset=44", None),
    ],
)
@pytest.mark.usefixtures("_45_packages")
def test_limit_and_offset_select_a_page_and_its_links(
    client: FlaskClient, query: str, ids: Iterable[int], next_url: str | None, previous: str | None
) -> None:
    body = client.get(f"/api/v4/packages/{query}").get_json()
    assert list(body) == ["count", "next", "previous", "results"]
    assert [record["id"] for record in body["results"]] == list(ids)
    assert (body["count"], body["next"], body["previous"]) == (45, next_url, previous)


@pytest.mark.usefixtures("_45_packages")
def test_links_keep_the_suffix(client: FlaskClient) -> None:
    body = client.get("/api/v4/packages.json?limit=1").get_json()
    assert body["next"] == "http://localhost/api/v4/packages.json?limit=1&offset=1"
    assert body["results"][0]["category"] == "http://localhost/api/v4/categories/1.json"


@pytest.mark.usefixtures("_45_packages")
def test_following_next_reads_every_record_once(client: FlaskClient) -> None:
    ids: list[int] = []
    url = "/api/v4/packages/?limit=7"
    while url:
        body = client.get(url).get_json()
        ids += [record["id"] for record in body["results"]]
        url = body["next"]
    assert ids == list(range(45, 0, -1))


@pytest.mark.long
def test_a_page_has_at_most_1000_records(client: FlaskClient, session: Session) -> None:
    add_packages(session, 1002)
    body = client.get("/api/v4/packages/?limit=5000").get_json()
    assert len(body["results"]) == 1000
    assert body["next"] == f"{ROOT}/?limit=1000&offset=1000"
    last_page = client.get(body["next"]).get_json()
    assert ([record["id"] for record in last_page["results"]], last_page["next"]) == ([2, 1], None)


def test_a_grid_lists_its_packages_by_title_in_code_point_order(client: FlaskClient, session: Session) -> None:
    """Uppercase letters come first and accented letters last, even if the locale of PostgreSQL would mix them."""
    titles = {1: "b", 2: "a", 3: "B", 4: "é", 5: "_x", 6: "a"}
    packages = [make_package(session, f"p{number}", id=number, title=title) for number, title in titles.items()]
    make_grid(session, "caching", tuple(packages))
    session.commit()
    for url in ("/api/v4/grids/caching/", "/api/v4/grids/"):
        body = client.get(url).get_json()
        links = (body.get("results") or [body])[0]["packages"]
        assert [int(link.split("/")[-2]) for link in links] == [3, 5, 2, 6, 1, 4]


def test_grids_and_categories_have_their_fields_in_the_order_of_the_contract(
    client: FlaskClient, session: Session
) -> None:
    make_grid(session, packages=(make_package(session),))
    session.commit()
    assert list(client.get("/api/v4/grids/caching/").get_json()) == (
        ["id", "title", "slug", "description", "is_locked", "packages", "header", "created", "modified"]
    )
    assert list(client.get("/api/v4/categories/1/").get_json()) == (
        ["id", "title", "slug", "description", "title_plural", "show_pypi", "created", "modified"]
    )


@pytest.mark.parametrize(
    ("url", "detail"),
    [
        ("/api/v4/grids/nothing/", "No Grid matches the given query."),
        ("/api/v4/categories/99/", "No Category matches the given query."),
        ("/api/v4/categories/apps/", "Not found."),
        ("/api/v4/search/x/", "Not found."),
        ("/api/v4/nothing/", "Not found."),
        ("/api/", "Not found."),
    ],
)
def test_an_unknown_record_or_url_is_not_found(client: FlaskClient, url: str, detail: str) -> None:
    response = client.get(url)
    assert (response.status_code, response.content_type, response.get_json()) == (
        404,
        "application/json",
        {"detail": detail},
    )


def test_the_root_links_to_the_lists(client: FlaskClient) -> None:
    expected = {name: f"http://localhost/api/v4/{name}/" for name in ("packages", "search", "grids", "categories")}
    assert list(client.get("/api/v4/").get_json().items()) == list(expected.items())
    assert client.get("/api/v4/.json").get_json()["search"] == "http://localhost/api/v4/search.json"


def test_search_returns_a_list_of_packages_and_grids(client: FlaskClient, session: Session) -> None:
    make_grid(session, "cache-tools", (make_package(session, "cache", participants=["ada", "grace"]),))
    session.commit()
    hits = client.get("/api/v4/search/?q=cache").get_json()
    assert {hit["absolute_url"] for hit in hits} == {"/packages/p/cache/", "/grids/g/cache-tools/"}
    assert " ".join(hits[0]) == HIT_FIELDS
    assert next(hit for hit in hits if hit["item_type"] == "package")["participants"] == "ada,grace"
    assert client.get("/api/v4/search/").get_json() == client.get("/api/v4/search/?q=").get_json() == []


def test_search_returns_scores(client: FlaskClient, session: Session) -> None:
    packages = (make_package(session, "cache-one", score=-7), make_package(session, "cache-new"))
    make_grid(session, "caches", packages)
    session.commit()
    hits = client.get("/api/v4/search/?q=cache").get_json()
    assert {hit["slug"]: hit["score"] for hit in hits} == {"cache-one": -7, "cache-new": 0, "caches": 0}
