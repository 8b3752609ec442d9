"""Bulk access: packages as NDJSON, grids as CSV, and lookup of packages."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import TypeVar

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from pkgsite.extensions import gateways
from pkgsite.models import Category, Grid, GridPackage, Package, PackageSlugRedirect, SourceState
from pkgsite.rules.pypi_names import parse_pypi_name
from pkgsite.services.importing.catalogue import load_bundled_catalogue_if_empty
from pkgsite.services.refresh.sources import sync_sources
from tests.factories import NOW, make_grid, make_package
from tests.queries import recorded_queries

T = TypeVar("T")


def batched(items: Iterable[T], size: int) -> Iterator[list[T]]:
    rest = iter(items)
    while batch := list(islice(rest, size)):
        yield batch


@pytest.fixture(autouse=True)
def _records(app: Flask, session: Session) -> None:
    packages = [make_package(session, f"p-{number}") for number in range(3)]
    packages[0].repo_url, packages[1].pypi_url = "https://github.com/Ada/One", "https://pypi.org/project/Two_Words/"
    make_package(session, "lookup")
    session.add(PackageSlugRedirect(slug="p-old", package_id=packages[2].id, created_at=NOW))
    make_grid(session, "caching", (packages[0], packages[2]), title="=cmd()", description='with "quotes",\nlines')
    session.commit()
    with app.app_context():
        sync_sources(session, gateways(), now=NOW)
        session.commit()


def test_ndjson_contains_the_records_of_the_list(client: FlaskClient) -> None:
    response = client.get("/api/v4/packages.ndjson")
    assert response.content_type == "application/x-ndjson"
    records = [json.loads(line) for line in response.get_data(as_text=True).splitlines()]
    assert records == client.get("/api/v4/packages/?ordering=id").get_json()["results"]
    batch = client.get("/api/v4/packages.ndjson?grid=caching&fields=slug").get_data(as_text=True)
    assert batch == '{"slug":"p-0"}\n{"slug":"p-2"}\n'


def test_ndjson_is_read_in_batches(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pkgsite.api.v4.bulk.BATCH_SIZE", 2)
    lines = client.get("/api/v4/packages.ndjson?fields=id").get_data(as_text=True).splitlines()
    assert lines == ['{"id":1}', '{"id":2}', '{"id":3}', '{"id":4}']


def test_grids_are_exported_as_csv_with_escaped_formulas(client: FlaskClient) -> None:
    response = client.get("/api/v4/grids.csv")
    assert response.content_type == "text/csv; charset=utf-8"
    rows = list(csv.DictReader(io.StringIO(response.get_data(as_text=True), newline="")))
    assert [(row["slug"], row["title"], row["packages"]) for row in rows] == [("caching", "'=cmd()", "1 3")]
    assert rows[0]["description"] == 'with "quotes",\nlines'


@pytest.mark.parametrize("path", ["packages.ndjson", "grids.csv"])
def test_a_matching_etag_is_answered_with_304_until_something_changes(
    client: FlaskClient, session: Session, path: str
) -> None:
    etag = client.get(f"/api/v4/{path}").headers["ETag"]
    assert client.get(f"/api/v4/{path}", headers={"If-None-Match": etag}).status_code == 304
    assert client.get(f"/api/v4/{path}?q=x", headers={"If-None-Match": etag}).status_code == 200
    make_package(session, "new", changed_at=NOW.replace(year=2027))
    make_grid(session, "new", changed_at=NOW.replace(year=2027))
    session.commit()
    assert client.get(f"/api/v4/{path}", headers={"If-None-Match": etag}).status_code == 200


def test_an_invalid_parameter_is_reported_as_json(client: FlaskClient) -> None:
    response = client.get("/api/v4/packages.ndjson?ids=x")
    assert (response.status_code, list(response.get_json())) == (400, ["ids"])


def test_lookup_finds_packages_by_slug_repository_url_and_project(client: FlaskClient) -> None:
    keys = {
        "p-0": 1, "p-old": 3, "https://github.com/ada/one": 1, "git@github.com:ada/one.git": 1, "two-words": 2,
        "Two.Words": 2, "https://github.com/ada/one/issues": 1, "https://pypi.org/project/two-words/": 2,
        "nothing": None, "": None, "\0": None, "https://gitlab.com/ada/one": None,
    }  # fmt: skip
    response = client.post("/api/v4/packages/lookup/", json={"keys": list(keys)})
    assert response.status_code == 200, response.data
    assert {key: record and record["id"] for key, record in response.get_json()["results"].items()} == keys


def test_lookup_needs_no_planned_source(client: FlaskClient, session: Session) -> None:
    moved = make_package(
        session, "Moved.Here", repo_url="http://www.github.com/ada/old/", repo_moved_to="https://github.com/Ada/New"
    )
    make_package(session, "merged", repo_url="https://github.com/ada/merged", hidden_at=NOW, merged_into_id=moved.id)
    make_package(session, "hidden", repo_url="https://github.com/ada/hidden", hidden_at=NOW)
    make_package(session, "elsewhere", repo_url="https://example.org/elsewhere", pypi_url="pypi.example.org/x")
    session.commit()
    keys = {
        "github.com/ada/old": "Moved.Here", "git+https://github.com/ADA/NEW.git@main#egg=x": "Moved.Here",
        "git@github.com:ada/merged.git": "Moved.Here", "MERGED": "Moved.Here", "moved_here": "Moved.Here",
        "moved-here": "Moved.Here", "P-1": "p-1", "P-OLD": "p-2", "two_words==1.0 ; python_version > '3'": "p-1",
        "two-words @ git+https://github.com/someone/fork": "p-1", "pip install two.words": "p-1",
        "ssh://git@example.org/elsewhere.git": "elsewhere", "https://github.com/ada/hidden": None, "hidden": None,
        "https://example.org/packages/p/p-1/": "p-1", "https://github.com/ada/nothing": None, "two words": None,
    }  # fmt: skip
    response = client.post("/api/v4/packages/lookup/", json={"keys": list(keys)})
    assert {key: record and record["slug"] for key, record in response.get_json()["results"].items()} == keys


def test_lookup_finds_every_package_of_a_fresh_site(make_app: Callable[..., Flask], session: Session) -> None:
    """No scheduler has run, so no source is planned."""
    for model in (SourceState, GridPackage, Package, Grid, Category):
        session.execute(delete(model))
    session.commit()
    load_bundled_catalogue_if_empty(session, now=NOW)
    session.commit()
    packages = list(session.scalars(select(Package)))
    assert len(packages) > 80
    keys: dict[str, str] = {}
    for package in packages:
        keys |= dict.fromkeys((package.slug, package.slug.upper(), package.slug.replace("-", "_")), package.slug)
        name = parse_pypi_name(package.pypi_url)
        if name:
            spelling = name.replace("-", "_").title()
            keys |= dict.fromkeys((name, f"{spelling}[x]>=1,<9 ; python_version < '4'", f"{name}==0.1"), package.slug)
        path = package.repo_url.rstrip("/").partition("://")[2]
        urls = (path, f"http://{path}.git", f"ssh://git@{path}.git", f"git+https://{path}@v1#egg=x")
        keys |= dict.fromkeys((*urls, f"git@{path.replace('/', ':', 1)}.git", f"x @ git+https://{path}"), package.slug)
    client, found = make_app().test_client(), dict[str, str]()
    for batch in batched(keys, 100):
        results = client.post("/api/v4/packages/lookup/", json={"keys": batch}).get_json()["results"]
        found |= {key: record["slug"] for key, record in results.items() if record}
    assert found == keys


def test_a_lookup_takes_the_same_number_of_statements_for_any_number_of_keys(app: Flask, client: FlaskClient) -> None:
    counts = []
    for number in (1, 1, 100):
        keys = [f"https://github.com/ada/{index}" for index in range(number)] + ["p-0", "two-words"]
        with recorded_queries(app) as statements:
            client.post("/api/v4/packages/lookup/", json={"keys": keys[-100:]})
        counts.append(len(statements))
    assert counts[1] == counts[2]


def test_lookup_follows_merges_and_moved_repositories(client: FlaskClient, session: Session) -> None:
    survivor = make_package(session, "survivor", repo_moved_to="https://github.com/Ada/New")
    merged = make_package(session, "merged", repo_url="https://example.org/old", pypi_url="merged-project")
    hidden = make_package(session, "hidden")
    merged.hidden_at = hidden.hidden_at = NOW
    merged.merged_into_id = survivor.id
    session.add(PackageSlugRedirect(slug="older", package_id=merged.id, created_at=NOW))
    session.commit()
    keys = ["merged", "older", "https://example.org/old.git", "merged_project", "git@github.com:ada/new.git", "hidden"]
    body = client.post("/api/v4/packages/lookup/", json={"keys": keys}).get_json()
    slugs = {key: record and record["slug"] for key, record in body["results"].items()}
    assert slugs == dict.fromkeys(keys, "survivor") | {"hidden": None}


def test_lookup_lists_the_other_packages_of_a_repository(client: FlaskClient, session: Session) -> None:
    second = make_package(session, "second", repo_url="https://github.com/ada/one")
    session.commit()
    keys = ["https://github.com/Ada/One/tree/main/second", "p-1", "second"]
    body = client.post("/api/v4/packages/lookup/", json={"keys": keys}).get_json()
    assert [body["results"][key]["slug"] for key in keys] == ["p-0", "p-1", "second"]
    assert body["others"] == {keys[0]: [second.id]}


@pytest.mark.parametrize("body", [{}, {"keys": "one"}, {"keys": [1]}, {"keys": ["x"] * 101}, {"keys": ["x" * 501]}])
def test_lookup_rejects_invalid_keys(client: FlaskClient, body: object) -> None:
    response = client.post("/api/v4/packages/lookup/", json=body)
    assert (response.status_code, list(response.get_json())) == (400, ["keys"])


def test_lookup_rejects_bodies_that_are_not_json_objects(client: FlaskClient) -> None:
    assert client.post("/api/v4/packages/lookup/", data="keys=x").status_code == 415
    for body in ("", "{", "[]", '"x"', "nan"):
        response = client.post("/api/v4/packages/lookup/", data=body, content_type="application/json")
        assert (response.status_code, list(response.get_json())) == (400, ["detail"]), body


def test_a_package_with_the_slug_lookup_can_be_read(client: FlaskClient) -> None:
    assert client.get("/api/v4/packages/lookup/").get_json()["slug"] == "lookup"
    assert client.head("/api/v4/packages/lookup/").status_code == 200
