"""API v3 for existing clients: formats, links and differences from Django Packages."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from pkgsite.models import Identity, PackageSlugRedirect, Usage
from tests.factories import NOW, make_category, make_grid, make_package
from tests.users import make_user


@pytest.fixture(autouse=True)
def _site(session: Session) -> None:
    apps, tools = make_category(session, "apps"), make_category(session, "tools")
    ada = make_user(session, "ada")
    session.add(Identity(user_id=ada.id, provider="github", subject="1", login="ada-gh", created_at=NOW))
    one = make_package(
        session, "one", title="Öne", category=apps, created_by_id=ada.id, modified_by_id=ada.id, stars=5,
        commits_over_52=[0] * 51 + [3], participants=["a", "b"], pypi_version="1.0",
        last_fetched_at=datetime(2026, 7, 1, 12, tzinfo=UTC),
    )  # fmt: skip
    two = make_package(session, "two", title="A two", category=tools)
    session.add(Usage(user_id=ada.id, package_id=one.id, created_at=NOW))
    session.add(PackageSlugRedirect(slug="uno", package_id=one.id, created_at=NOW))
    make_grid(session, "caching", (one, two))
    session.commit()


def test_the_root_links_to_the_lists(client: FlaskClient) -> None:
    response = client.get("/api/v3/")
    assert response.content_type == "application/json"
    assert response.get_data(as_text=True) == (
        '{"categories": "/api/v3/categories/", "grids": "/api/v3/grids/", "packages": "/api/v3/packages/", '
        '"users": "/api/v3/users/"}'
    )


def test_a_package_has_the_fields_of_the_original(client: FlaskClient) -> None:
    response = client.get("/api/v3/packages/one/")
    assert "\\u00d6ne" in response.get_data(as_text=True)
    weeks = ",".join(["0"] * 51 + ["3"])
    assert response.get_json() == {
        "absolute_url": "/packages/p/one/",
        "created": "2026-03-01T12:30:15.250Z",
        "modified": "2026-03-01T12:30:15.250Z",
        "slug": "one",
        "title": "Öne",
        "category": "/api/v3/categories/apps/",
        "commit_list": weeks,
        "commits_over_52": weeks,
        "created_by": "/api/v3/users/ada/",
        "documentation_url": None,
        "grids": ["/api/v3/grids/caching/"],
        "last_fetched": "2026-07-01T12:00:00Z",
        "last_modified_by": "ada",
        "participants": "a,b",
        "pypi_url": "",
        "pypi_version": "1.0",
        "repo_description": "",
        "repo_forks": 0,
        "repo_url": "",
        "repo_watchers": 5,
        "resource_uri": "/api/v3/packages/one/",
        "usage_count": 1,
    }
    assert list(response.get_json())[:5] == ["absolute_url", "created", "modified", "slug", "title"]


def test_lists_are_sorted_by_title_and_links_keep_the_filter(client: FlaskClient) -> None:
    body = client.get("/api/v3/packages/").get_json()
    assert list(body) == ["meta", "category", "objects"]
    assert [record["slug"] for record in body["objects"]] == ["two", "one"]
    assert body["meta"] == {"limit": 20, "next": None, "offset": 0, "previous": None, "total_count": 2}
    assert body["category"] is None
    apps = client.get("/api/v3/packages/?category=apps&limit=1").get_json()
    assert (apps["category"]["slug"], [record["slug"] for record in apps["objects"]]) == ("apps", ["one"])
    first = client.get("/api/v3/packages/?limit=1&category=nothing").get_json()["meta"]
    assert first["next"] == "/api/v3/packages/?limit=1&offset=1&category=nothing"
    second = client.get(first["next"]).get_json()["meta"]
    assert (second["next"], second["previous"]) == (None, "/api/v3/packages/?limit=1&offset=0&category=nothing")


@pytest.mark.parametrize("limit", ["-1", "0", "x", ""])
def test_an_invalid_limit_falls_back_to_the_default(client: FlaskClient, limit: str) -> None:
    assert client.get(f"/api/v3/packages/?limit={limit}").get_json()["meta"]["limit"] == 20


def test_grids_and_categories_are_the_same_in_lists_and_alone(client: FlaskClient) -> None:
    grid = client.get("/api/v3/grids/caching/").get_json()
    assert grid["packages"] == ["/api/v3/packages/two/", "/api/v3/packages/one/"]
    listed = client.get("/api/v3/grids/caching/packages/").get_json()
    assert list(listed) == ["meta", "grid", "objects"]
    assert listed["grid"] == grid
    assert client.get("/api/v3/grids/").get_json()["objects"] == [grid]
    categories = client.get("/api/v3/categories/").get_json()["objects"]
    assert [record["slug"] for record in categories] == ["apps", "tools"]
    assert client.get("/api/v3/categories/tools/").get_json() == categories[1]


def test_users_are_public_without_their_email_addresses(client: FlaskClient) -> None:
    user = client.get("/api/v3/users/ADA/").get_json()
    assert (user["username"], user["github_account"], user["last_login"]) == ("ada", "ada-gh", None)
    assert "packages" not in user
    assert "email" not in user
    listed = client.get("/api/v3/users/?list_packages=1").get_json()["objects"]
    assert [record["packages"] for record in listed] == [["/api/v3/packages/one/"]]


@pytest.mark.parametrize("path", ["packages/none/", "grids/none/", "categories/none/", "users/none/"])
def test_an_unknown_record_is_not_found(client: FlaskClient, path: str) -> None:
    response = client.get(f"/api/v3/{path}")
    noun = {"packages": "Package", "grids": "Grid", "categories": "Category", "users": "User"}[path.split("/")[0]]
    assert (response.status_code, response.get_json()) == (
        404,
        {"error": 404, "message": f"No {noun} matches the given query."},
    )


def test_it_is_read_only(client: FlaskClient) -> None:
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        assert client.open("/api/v3/packages/", method=method).status_code == 405


def test_an_old_slug_redirects_to_the_current_one(client: FlaskClient) -> None:
    response = client.get("/api/v3/packages/uno/")
    assert (response.status_code, response.location) == (301, "/api/v3/packages/one/")


def test_version_1_has_been_removed(client: FlaskClient) -> None:
    for path in ("/api/v1/", "/api/v1/package/1/"):
        response = client.get(path)
        assert response.status_code == 410
        assert "/api/v3/" in response.text


def test_timestamps_in_full_seconds_have_no_fraction(client: FlaskClient, session: Session) -> None:
    make_package(session, "three", created_at=NOW.replace(microsecond=0) + timedelta(hours=1))
    session.commit()
    assert client.get("/api/v3/packages/three/").get_json()["created"] == "2026-03-01T13:30:15Z"
