"""Package records of API v4, compared byte for byte."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from pkgsite.models import Package, PackageSlugRedirect
from tests.factories import NOW, add_to_grid, make_category, make_grid, make_package

WEEKS = [0] * 51 + [3]


@pytest.fixture
def modelcluster(session: Session) -> Package:
    """A package with a value in every field."""
    package = make_package(
        session,
        "django-modelcluster",
        id=2235,
        category=make_category(session, id=1),
        last_commit_at=datetime(2025, 12, 4, 12, 52, 57, tzinfo=UTC),
        last_fetched_at=datetime(2026, 2, 15, 19, 35, 30, 283665, tzinfo=UTC),
        repo_url="https://github.com/torchbox/django-modelcluster",
        pypi_version="6.4.1",
        created_at=datetime(2014, 7, 18, 13, 0, 3, 904872, tzinfo=UTC),
        modified_at=datetime(2026, 1, 28, 18, 56, 56, 732864, tzinfo=UTC),
        forks=70,
        stars=511,
        description="Ünïcödé — “quotes”, a :rocket: and\u2028a line",
        pypi_url="http://pypi.python.org/pypi/django-modelcluster",
        documentation_url="",
        commits_over_52=WEEKS,
        participants=["gasman", "dependabot[bot]"],
    )
    make_grid(session, "model-relations", (package,), id=373)
    session.commit()
    return package


def test_a_record_matches_the_contract_byte_for_byte(client: FlaskClient, modelcluster: Package) -> None:
    weeks = ",".join(map(str, WEEKS))
    response = client.get("/api/v4/packages/2235/", headers={"Accept": "application/json"})
    assert response.status_code == 200
    assert response.headers["Content-Type"] == "application/json"
    assert response.headers["Allow"] == "GET, HEAD, OPTIONS"
    assert "accept" in response.headers["Vary"].lower().split(", ")
    assert "cookie" not in response.headers["Vary"].lower()
    assert response.get_data(as_text=True) == (
        '{"category":"http://localhost/api/v4/categories/1/","grids":["http://localhost/api/v4/grids/373/"],'
        '"id":2235,"title":"django-modelcluster","slug":"django-modelcluster",'
        '"last_updated":"2025-12-04T07:52:57-05:00","last_fetched":"2026-02-15T14:35:30.283665-05:00",'
        '"repo_url":"https://github.com/torchbox/django-modelcluster","pypi_version":"6.4.1",'
        '"created":"2014-07-18T09:00:03.904872-04:00","modified":"2026-01-28T13:56:56.732864-05:00","repo_forks":70,'
        '"repo_description":"Ünïcödé — “quotes”, a :rocket: and\\u2028a line",'
        '"pypi_url":"http://pypi.python.org/pypi/django-modelcluster","documentation_url":"","repo_watchers":511,'
        f'"commits_over_52":[{weeks}],"participants":["gasman","dependabot[bot]"]}}'
    )


@pytest.mark.parametrize("key", ["2235", "0002235", "django-modelcluster"])
def test_a_record_is_found_by_id_and_by_slug(client: FlaskClient, modelcluster: Package, key: str) -> None:
    assert client.get(f"/api/v4/packages/{key}/").get_json()["id"] == 2235


def test_unknown_counts_are_0_and_unknown_texts_are_null(client: FlaskClient, session: Session) -> None:
    """Existing clients expect counts to be numbers."""
    package = make_package(session)
    session.commit()
    record = client.get(f"/api/v4/packages/{package.id}/").get_json()
    assert {name: record[name] for name in ("repo_watchers", "repo_forks", "commits_over_52", "participants")} == {
        "repo_watchers": 0,
        "repo_forks": 0,
        "commits_over_52": [],
        "participants": [],
    }
    assert [record[name] for name in ("last_updated", "last_fetched", "pypi_version", "documentation_url")] == [
        None
    ] * 4


@pytest.mark.parametrize(
    ("key", "detail"),
    [
        ("999999", "No Package matches the given query."),
        ("0", "No Package matches the given query."),
        ("99999999999999999999999999", "No Package matches the given query."),
        ("no-such-thing", "No Package matches the given query."),
        ("%00", "No Package matches the given query."),
        ("%F0%9F%9A%80", "No Package matches the given query."),
        ("a.b", "Not found."),
        ("a.B", "Not found."),
        ("a/b", "Not found."),
    ],
)
def test_an_unknown_package_is_not_found(client: FlaskClient, key: str, detail: str) -> None:
    response = client.get(f"/api/v4/packages/{key}/")
    assert (response.status_code, response.get_json()) == (404, {"detail": detail})


@pytest.mark.parametrize("slug", ["Upper__Case", "hash#tag", "master", "smörgås"])
def test_imported_slugs_with_unusual_characters_work_in_urls(client: FlaskClient, session: Session, slug: str) -> None:
    package = make_package(session, slug)
    session.commit()
    quoted = slug.replace("#", "%23")
    assert client.get(f"/api/v4/packages/{quoted}/").get_json()["id"] == package.id
    assert client.get(f"/api/v4/packages/{quoted}.json").get_json()["slug"] == slug


def test_the_grids_of_a_package_are_in_the_order_in_which_it_was_added_to_them(
    client: FlaskClient, session: Session
) -> None:
    package = make_package(session)
    for slug, grid_id in (("zebra", 7), ("ant", 9), ("bee", 2)):
        add_to_grid(session, make_grid(session, slug, id=grid_id), package)
    session.commit()
    assert client.get(f"/api/v4/packages/{package.id}/").get_json()["grids"] == [
        f"http://localhost/api/v4/grids/{grid_id}/" for grid_id in (7, 9, 2)
    ]


@pytest.mark.parametrize("query", ["", "?format=json&x=%C3%A9"])
@pytest.mark.parametrize("ending", ["/", ".json"])
def test_an_old_slug_redirects_directly_to_the_current_one(
    client: FlaskClient, session: Session, ending: str, query: str
) -> None:
    package = make_package(session, "new#name")
    session.add_all(
        [PackageSlugRedirect(slug=slug, package_id=package.id, created_at=NOW) for slug in ("first", "second")]
    )
    session.commit()
    for slug in ("first", "second"):
        response = client.get(f"/api/v4/packages/{slug}{ending}{query}")
        assert (response.status_code, response.location) == (301, f"/api/v4/packages/new%23name{ending}{query}")


def test_a_current_slug_takes_precedence_over_an_old_one(client: FlaskClient, session: Session) -> None:
    session.add(PackageSlugRedirect(slug="shared", package_id=make_package(session, "renamed").id, created_at=NOW))
    live = make_package(session, "shared")
    session.commit()
    assert client.get("/api/v4/packages/shared/").get_json()["id"] == live.id


def test_hidden_packages_are_not_returned_anywhere(client: FlaskClient, session: Session) -> None:
    hidden = make_package(session, "hidden", hidden_at=NOW)
    make_grid(session, packages=(hidden,))
    session.commit()
    assert client.get("/api/v4/packages/hidden/").status_code == 404
    assert client.get(f"/api/v4/packages/{hidden.id}/").status_code == 404
    assert client.get("/api/v4/packages/").get_json()["count"] == 0
    assert client.get("/api/v4/grids/caching/").get_json()["packages"] == []


def test_timestamps_are_in_the_time_zone_of_the_site(make_app: Callable[..., Flask], session: Session) -> None:
    package = make_package(session, created_at=NOW, modified_at=NOW + timedelta(microseconds=-250000))
    session.commit()
    for zone, created, modified in (
        ("UTC", "2026-03-01T12:30:15.250000Z", "2026-03-01T12:30:15Z"),
        ("Asia/Kolkata", "2026-03-01T18:00:15.250000+05:30", "2026-03-01T18:00:15+05:30"),
    ):
        record = make_app(TIMEZONE=zone).test_client().get(f"/api/v4/packages/{package.id}/").get_json()
        assert (record["created"], record["modified"]) == (created, modified)


@pytest.mark.parametrize("collection", ["packages", "grids"])
def test_a_slug_with_dots_is_found_before_a_format(client: FlaskClient, session: Session, collection: str) -> None:
    make = make_package if collection == "packages" else make_grid
    for slug in ("country", "country.json", "v1.0-beta"):
        make(session, slug)
    session.commit()
    slugs = {
        "country/": "country", "country.json": "country.json", "country.json/": "country.json",
        "v1.0-beta": "v1.0-beta",
        "country.json.json": "country.json", "v1.0-beta.json": "v1.0-beta", "v1.0-beta/": "v1.0-beta",
    }  # fmt: skip
    for path, slug in slugs.items():
        response = client.get(f"/api/v4/{collection}/{path}")
        assert (response.status_code, (response.get_json() or {}).get("slug")) == (200, slug), path
    for path in ("a.b/", "country.xml", "nothing.json", "country.json.xml"):
        response = client.get(f"/api/v4/{collection}/{path}")
        assert (response.status_code, response.content_type) == (404, "application/json"), path
