"""All packages as lines, all grids as a table, and packages by whatever names them."""

from __future__ import annotations

import csv
import io
import json

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from pkgsite.extensions import gateways
from pkgsite.models import PackageSlugRedirect
from pkgsite.services.refresh.sources import sync_sources
from tests.factories import NOW, make_grid, make_package


@pytest.fixture(autouse=True)
def _some(app: Flask, session: Session) -> None:
    packages = [make_package(session, f"p-{number}") for number in range(3)]
    packages[0].repo_url, packages[1].pypi_url = "https://github.com/Ada/One", "https://pypi.org/project/Two_Words/"
    make_package(session, "lookup")
    session.add(PackageSlugRedirect(slug="p-old", package_id=packages[2].id, created_at=NOW))
    make_grid(session, "caching", (packages[0], packages[2]), title="=cmd()", description='with "quotes",\nlines')
    session.commit()
    with app.app_context():
        sync_sources(session, gateways(), now=NOW)
        session.commit()


def test_packages_as_lines_are_the_records_of_the_list(client: FlaskClient) -> None:
    answer = client.get("/api/v4/packages.ndjson")
    assert answer.content_type == "application/x-ndjson"
    records = [json.loads(line) for line in answer.get_data(as_text=True).splitlines()]
    assert records == client.get("/api/v4/packages/?ordering=id").json["results"]
    batch = client.get("/api/v4/packages.ndjson?grid=caching&fields=slug").get_data(as_text=True)
    assert batch == '{"slug":"p-0"}\n{"slug":"p-2"}\n'


def test_lines_come_in_batches(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pkgsite.api.v4.bulk.BATCH_SIZE", 2)
    lines = client.get("/api/v4/packages.ndjson?fields=id").get_data(as_text=True).splitlines()
    assert lines == ['{"id":1}', '{"id":2}', '{"id":3}', '{"id":4}']


def test_grids_as_a_table(client: FlaskClient) -> None:
    answer = client.get("/api/v4/grids.csv")
    assert answer.content_type == "text/csv; charset=utf-8"
    rows = list(csv.DictReader(io.StringIO(answer.get_data(as_text=True), newline="")))
    assert [(row["slug"], row["title"], row["packages"]) for row in rows] == [("caching", "'=cmd()", "1 3")]
    assert rows[0]["description"] == 'with "quotes",\nlines'


@pytest.mark.parametrize("path", ["packages.ndjson", "grids.csv"])
def test_who_has_it_already_gets_nothing(client: FlaskClient, session: Session, path: str) -> None:
    tag = client.get(f"/api/v4/{path}").headers["ETag"]
    assert client.get(f"/api/v4/{path}", headers={"If-None-Match": tag}).status_code == 304
    assert client.get(f"/api/v4/{path}?q=x", headers={"If-None-Match": tag}).status_code == 200
    make_package(session, "new", changed_at=NOW.replace(year=2027))
    make_grid(session, "new", changed_at=NOW.replace(year=2027))
    session.commit()
    assert client.get(f"/api/v4/{path}", headers={"If-None-Match": tag}).status_code == 200


def test_a_slip_in_the_question_is_told_in_json(client: FlaskClient) -> None:
    answer = client.get("/api/v4/packages.ndjson?ids=x")
    assert (answer.status_code, list(answer.json)) == (400, ["ids"])


def test_packages_are_found_by_whatever_names_them(client: FlaskClient) -> None:
    keys = {
        "p-0": 1, "p-old": 3, "https://github.com/ada/one": 1, "git@github.com:ada/one.git": 1, "two-words": 2,
        "Two.Words": 2, "https://github.com/ada/one/issues": 1, "https://pypi.org/project/two-words/": 2,
        "nothing": None, "": None, "\0": None, "https://gitlab.com/ada/one": None,
    }  # fmt: skip
    answer = client.post("/api/v4/packages/lookup/", json={"keys": list(keys)})
    assert answer.status_code == 200, answer.data
    assert {key: record and record["id"] for key, record in answer.json["results"].items()} == keys


@pytest.mark.parametrize("body", [{}, {"keys": "one"}, {"keys": [1]}, {"keys": ["x"] * 101}, {"keys": ["x" * 501]}])
def test_a_lookup_that_can_not_be(client: FlaskClient, body: object) -> None:
    answer = client.post("/api/v4/packages/lookup/", json=body)
    assert (answer.status_code, list(answer.json)) == (400, ["keys"])


def test_bodies_that_are_none(client: FlaskClient) -> None:
    assert client.post("/api/v4/packages/lookup/", data="keys=x").status_code == 415
    for body in ("", "{", "[]", '"x"', "nan"):
        answer = client.post("/api/v4/packages/lookup/", data=body, content_type="application/json")
        assert (answer.status_code, list(answer.json)) == (400, ["detail"]), body


def test_a_package_of_that_name_can_be_read(client: FlaskClient) -> None:
    assert client.get("/api/v4/packages/lookup/").json["slug"] == "lookup"
    assert client.head("/api/v4/packages/lookup/").status_code == 200
