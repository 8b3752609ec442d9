"""Query parameters of lists: filters, ordering, changes since a time, fields and expansion."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from pkgsite.models import Release
from pkgsite.services.changeset import Changeset
from tests.factories import NOW, fill_cell, make_category, make_feature, make_grid, make_package
from tests.users import make_user, viewer_of

Slugs = Callable[..., list[str]]


@pytest.fixture
def slugs(client: FlaskClient) -> Slugs:
    """Return a function that requests a list and returns its slugs, in order."""

    def query_slugs(query: str, collection: str = "packages") -> list[str]:
        response = client.get(f"/api/v4/{collection}/?{query}")
        assert response.status_code == 200, response.data
        assert response.get_json()["count"] == len(response.get_json()["results"])
        return [record["slug"] for record in response.get_json()["results"]]

    return query_slugs


@pytest.fixture
def sample_packages(session: Session) -> None:
    apps, tools = make_category(session, "apps"), make_category(session, "tools")
    one = make_package(session, "one", category=apps, title="Fast cache", stars=5, description="100% tested")
    two = make_package(session, "two", category=tools, title="Slow cache", stars=None)
    make_package(session, "three", category=tools, title="Über", stars=50, changed_at=NOW + timedelta(days=2))
    make_grid(session, "caching", (one, two))
    make_grid(session, "empty", changed_at=NOW + timedelta(days=3))
    session.commit()


@pytest.mark.usefixtures("sample_packages")
def test_filters_select_records(slugs: Slugs) -> None:
    assert slugs("") == ["three", "two", "one"]
    assert slugs("q=cache") == ["two", "one"]
    assert slugs("q=CACHE+fast") == ["one"]
    assert slugs("q=0%25") == ["one"]
    assert slugs("q=_") == []
    assert slugs("category=tools") == ["three", "two"]
    assert slugs("category=2") == ["three", "two"]
    assert slugs("category=nothing") == []
    assert slugs("grid=caching") == ["two", "one"]
    assert slugs("grid=1&q=slow") == ["two"]
    assert slugs("ids=1,3") == ["three", "one"]
    assert slugs("ids=1&ids=2,4711") == ["two", "one"]
    assert slugs("q=empty", "grids") == ["empty"]


@pytest.mark.usefixtures("sample_packages")
def test_unknown_values_are_last_in_every_order(slugs: Slugs) -> None:
    assert slugs("ordering=repo_watchers") == ["one", "three", "two"]
    assert slugs("ordering=-repo_watchers") == ["three", "one", "two"]
    assert slugs("ordering=id") == ["one", "two", "three"]
    assert slugs("ordering=title") == ["one", "two", "three"]
    assert slugs("ordering=no-such-order") == slugs("ordering=-") == ["three", "two", "one"]
    assert slugs("ordering=-changed", "grids") == ["empty", "caching"]


@pytest.mark.usefixtures("sample_packages")
def test_updated_since_selects_changed_records(slugs: Slugs) -> None:
    assert slugs("updated_since=2026-03-02") == ["three"]
    assert slugs("updated_since=2026-03-03T12:30:15.25Z") == ["three"]
    assert slugs("updated_since=2026-03-03T13:30:15.25%2B01:00") == ["three"]
    assert slugs("updated_since=2026-03-03T13:30:15.25+01:00") == ["three"]
    assert slugs("updated_since=2026-03-03T12:30:16Z") == []
    assert slugs("updated_since=2026-03-02", "grids") == ["empty"]


@pytest.mark.parametrize(
    ("query", "name"),
    [("updated_since=yesterday", "updated_since"), ("updated_since=9999-12-31T23:59:59-12:00", "updated_since"),
     ("ids=one", "ids"), ("ids=1,99999999999", "ids"), ("ids=" + ",".join(["1"] * 101), "ids")],
)  # fmt: skip
def test_an_invalid_parameter_is_reported_by_name(client: FlaskClient, query: str, name: str) -> None:
    response = client.get(f"/api/v4/packages/?{query}")
    assert response.status_code == 400
    assert list(response.get_json()) == [name]
    assert response.get_json()[name][0].endswith(".")


@pytest.mark.usefixtures("sample_packages")
def test_fields_selects_the_fields_of_each_record(client: FlaskClient) -> None:
    assert client.get("/api/v4/packages/1/?fields=title,id").get_json() == {"id": 1, "title": "Fast cache"}
    listed = client.get("/api/v4/packages/?fields=slug&ids=1,2").get_json()["results"]
    assert listed == [{"slug": "two"}, {"slug": "one"}]
    assert len(client.get("/api/v4/packages/1/?fields=nothing").get_json()) > 10
    assert client.get("/api/v4/grids/1/?fields=packages").get_json() == {
        "packages": ["http://localhost/api/v4/packages/1/", "http://localhost/api/v4/packages/2/"]
    }


@pytest.mark.usefixtures("sample_packages")
def test_expand_adds_fields_after_those_of_the_plain_record(client: FlaskClient, session: Session) -> None:
    plain = client.get("/api/v4/packages/1/").get_json()
    for number, day in (("1.0", 1), ("2.0", 2)):
        session.add(Release(package_id=1, number=number, uploaded_at=NOW + timedelta(days=day), created_at=NOW,
                            is_prerelease=False))  # fmt: skip
    session.commit()
    detailed = client.get("/api/v4/packages/1/?expand=status,releases,score").get_json()
    assert list(detailed) == [*plain, "score", "status", "releases"]
    assert {name: detailed[name] for name in plain} == plain
    assert [release["version"] for release in detailed["releases"]] == ["2.0", "1.0"]
    assert detailed["releases"][0]["released"] == "2026-03-03T07:30:15.250000-05:00"
    assert detailed["status"]["is_archived"] is False
    assert client.get("/api/v4/packages/1/?expand=nothing").get_json() == plain
    listed = client.get("/api/v4/packages/?expand=all&fields=slug,licence,releases").get_json()["results"]
    assert [list(record) for record in listed] == [["slug", "licence", "releases"]] * 3
    assert [len(record["releases"]) for record in listed] == [0, 0, 2]


def test_expand_adds_the_features_of_a_grid(client: FlaskClient, session: Session) -> None:
    package = make_package(session, "one")
    grid = make_grid(session, "caching", (package,))
    feature = make_feature(session, grid, "Is fast", description="Very")
    fill_cell(session, feature, package, "yes")
    make_feature(session, grid, "Is small")
    session.commit()
    assert client.get("/api/v4/grids/1/?expand=features&fields=features").get_json() == {
        "features": [
            {"id": 1, "title": "Is fast", "description": "Very",
             "cells": [{"package": "http://localhost/api/v4/packages/1/", "text": "yes"}]},
            {"id": 2, "title": "Is small", "description": "", "cells": []},
        ]
    }  # fmt: skip


def test_deleted_lists_hidden_merged_and_deleted_records(client: FlaskClient, session: Session) -> None:
    keeper = make_package(session, "keeper")
    make_package(session, "spam", hidden_at=NOW, changed_at=NOW + timedelta(days=1))
    make_package(session, "twin", hidden_at=NOW, merged_into_id=keeper.id, changed_at=NOW + timedelta(days=5))
    grid = make_grid(session, "short-lived")
    moderator = viewer_of(make_user(session, role="moderator"))
    session.commit()
    with Changeset(session, by=moderator, now=NOW + timedelta(days=7)) as changeset:
        changeset.delete(grid)
    session.commit()

    def deleted_slugs(path: str) -> list[Any]:
        body = client.get(f"/api/v4/{path}").get_json()
        return [(record["slug"], record.get("merged_into")) for record in body.get("deleted", [])]

    assert deleted_slugs("packages/") == []
    assert deleted_slugs("packages/?deleted=1") == [("twin", "http://localhost/api/v4/packages/1/"), ("spam", None)]
    assert deleted_slugs("packages/?deleted=1&updated_since=2026-03-03") == [
        ("twin", "http://localhost/api/v4/packages/1/")
    ]
    assert deleted_slugs("grids/?deleted=1") == [("short-lived", None)]
    assert deleted_slugs("grids/?deleted=1&updated_since=2026-04-01") == []
