"""What programs ask of lists: a part, an order, what has changed since, more or less of each record."""

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

Slugs = Callable[[str], list[str]]


@pytest.fixture
def slugs(client: FlaskClient) -> Slugs:
    """A function that returns the slugs of a list, in order."""

    def query_slugs(query: str, collection: str = "packages") -> list[str]:
        answer = client.get(f"/api/v4/{collection}/?{query}")
        assert answer.status_code == 200, answer.data
        assert answer.json["count"] == len(answer.json["results"])
        return [record["slug"] for record in answer.json["results"]]

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
def test_parts_of_the_list(slugs: Slugs) -> None:
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
def test_orders_have_the_unknown_last(slugs: Slugs) -> None:
    assert slugs("ordering=repo_watchers") == ["one", "three", "two"]
    assert slugs("ordering=-repo_watchers") == ["three", "one", "two"]
    assert slugs("ordering=id") == ["one", "two", "three"]
    assert slugs("ordering=title") == ["one", "two", "three"]
    assert slugs("ordering=no-such-order") == slugs("ordering=-") == ["three", "two", "one"]
    assert slugs("ordering=-changed", "grids") == ["empty", "caching"]


@pytest.mark.usefixtures("sample_packages")
def test_what_has_changed_since(slugs: Slugs) -> None:
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
def test_what_can_not_be_read_is_refused_by_name(client: FlaskClient, query: str, name: str) -> None:
    answer = client.get(f"/api/v4/packages/?{query}")
    assert answer.status_code == 400
    assert list(answer.json) == [name]
    assert answer.json[name][0].endswith(".")


@pytest.mark.usefixtures("sample_packages")
def test_fields_alone(client: FlaskClient) -> None:
    assert client.get("/api/v4/packages/1/?fields=title,id").json == {"id": 1, "title": "Fast cache"}
    listed = client.get("/api/v4/packages/?fields=slug&ids=1,2").json["results"]
    assert listed == [{"slug": "two"}, {"slug": "one"}]
    assert len(client.get("/api/v4/packages/1/?fields=nothing").json) > 10
    assert client.get("/api/v4/grids/1/?fields=packages").json == {
        "packages": ["http://localhost/api/v4/packages/1/", "http://localhost/api/v4/packages/2/"]
    }


@pytest.mark.usefixtures("sample_packages")
def test_detail_is_added_behind_the_plain_record(client: FlaskClient, session: Session) -> None:
    plain = client.get("/api/v4/packages/1/").json
    for number, day in (("1.0", 1), ("2.0", 2)):
        session.add(Release(package_id=1, number=number, uploaded_at=NOW + timedelta(days=day), created_at=NOW,
                            is_prerelease=False))  # fmt: skip
    session.commit()
    detailed = client.get("/api/v4/packages/1/?expand=status,releases,score").json
    assert list(detailed) == [*plain, "score", "status", "releases"]
    assert {name: detailed[name] for name in plain} == plain
    assert [release["version"] for release in detailed["releases"]] == ["2.0", "1.0"]
    assert detailed["releases"][0]["released"] == "2026-03-03T07:30:15.250000-05:00"
    assert detailed["status"]["is_archived"] is False
    assert client.get("/api/v4/packages/1/?expand=nothing").json == plain
    listed = client.get("/api/v4/packages/?expand=all&fields=slug,licence,releases").json["results"]
    assert [list(record) for record in listed] == [["slug", "licence", "releases"]] * 3
    assert [len(record["releases"]) for record in listed] == [0, 0, 2]


def test_the_features_of_a_grid(client: FlaskClient, session: Session) -> None:
    package = make_package(session, "one")
    grid = make_grid(session, "caching", (package,))
    feature = make_feature(session, grid, "Is fast", description="Very")
    fill_cell(session, feature, package, "yes")
    make_feature(session, grid, "Is small")
    session.commit()
    assert client.get("/api/v4/grids/1/?expand=features&fields=features").json == {
        "features": [
            {"id": 1, "title": "Is fast", "description": "Very",
             "cells": [{"package": "http://localhost/api/v4/packages/1/", "text": "yes"}]},
            {"id": 2, "title": "Is small", "description": "", "cells": []},
        ]
    }  # fmt: skip


def test_mirrors_learn_what_is_gone(client: FlaskClient, session: Session) -> None:
    keeper = make_package(session, "keeper")
    make_package(session, "spam", hidden_at=NOW, changed_at=NOW + timedelta(days=1))
    make_package(session, "twin", hidden_at=NOW, merged_into_id=keeper.id, changed_at=NOW + timedelta(days=5))
    grid = make_grid(session, "short-lived")
    mod = viewer_of(make_user(session, role="moderator"))
    session.commit()
    with Changeset(session, by=mod, now=NOW + timedelta(days=7)) as changeset:
        changeset.delete(grid)
    session.commit()

    def deleted_slugs(path: str) -> list[Any]:
        body = client.get(f"/api/v4/{path}").json
        return [(one["slug"], one.get("merged_into")) for one in body.get("deleted", [])]

    assert deleted_slugs("packages/") == []
    assert deleted_slugs("packages/?deleted=1") == [("twin", "http://localhost/api/v4/packages/1/"), ("spam", None)]
    assert deleted_slugs("packages/?deleted=1&updated_since=2026-03-03") == [
        ("twin", "http://localhost/api/v4/packages/1/")
    ]
    assert deleted_slugs("grids/?deleted=1") == [("short-lived", None)]
    assert deleted_slugs("grids/?deleted=1&updated_since=2026-04-01") == []
