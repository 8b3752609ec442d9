"""The API's description: valid, whole, and true of what is answered."""

from __future__ import annotations

import re
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from jsonschema import Draft202012Validator
from openapi_spec_validator import validate
from sqlalchemy.orm import Session

from pkgsite.api.resource import UNSAFE_METHODS
from tests.factories import fill_cell, make_feature, make_grid, make_package

NOT_DESCRIBED = {"/api/v4/openapi.json"}
READ_OPERATIONS = ["/", "/packages/", "/packages/{key}/", "/grids/", "/grids/{key}/", "/grids/{key}/packages/", "/search/",
         "/grids/{key}/packages/{package}/", "/grids/{key}/features/", "/grids/{key}/features/{feature}/",
         "/grids/{key}/features/{feature}/cells/{package}/", "/categories/", "/categories/{key}/"]  # fmt: skip


@pytest.fixture
def described(client: FlaskClient, session: Session) -> dict[str, Any]:
    """The description, of a site with one of everything; all of its ids are 1."""
    package = make_package(session, "django-one", id=1, commits_over_52=[1] * 52, participants=["ada"], stars=3)
    make_package(session, "bare", id=2)
    grid = make_grid(session, id=1, packages=(package,))
    fill_cell(session, make_feature(session, grid, id=1), package, "yes")
    session.commit()
    found: dict[str, Any] = client.get("/api/v4/openapi.json").json
    return found


def test_it_is_valid_and_says_where_the_site_is(described: dict[str, Any], client: FlaskClient) -> None:
    validate(described)
    assert described["openapi"] == "3.1.0"
    assert described["servers"] == [{"url": "http://localhost/api/v4"}]
    tag = client.get("/api/v4/openapi.json").headers["ETag"]
    assert client.get("/api/v4/openapi.json", headers={"If-None-Match": tag}).status_code == 304


def test_every_address_is_described(described: dict[str, Any], app: Flask) -> None:
    there = {
        re.sub(r"<\w+:(\w+)>", r"{\1}", rule.rule)
        for rule in app.url_map.iter_rules()
        if rule.rule.startswith("/api/v4/") and "suffix" not in rule.arguments
    }
    assert there - NOT_DESCRIBED == {f"/api/v4{path}" for path in described["paths"]}


def test_what_can_be_done_is_described_and_nothing_else(described: dict[str, Any], app: Flask) -> None:
    for rule in app.url_map.iter_rules():
        view = getattr(app.view_functions[rule.endpoint], "view_class", None)
        if view is not None and rule.endpoint.startswith("api_v4.") and "suffix" not in rule.arguments:
            path = re.sub(r"<\w+:(\w+)>", r"{\1}", rule.rule).removeprefix("/api/v4")
            there = {method.lower() for method in UNSAFE_METHODS if hasattr(view, method.lower())}
            assert set(described["paths"][path]) - {"get", "parameters"} == there, path


@pytest.mark.parametrize("path", READ_OPERATIONS)
def test_what_is_answered_is_as_described(described: dict[str, Any], client: FlaskClient, path: str) -> None:
    schema = described["paths"][path]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
    address = "/api/v4" + path.format(key=1, package=1, feature=1)
    answer = client.get(address, query_string={"q": "one"} if path == "/search/" else {})
    assert answer.status_code == 200
    Draft202012Validator({**schema, "components": described["components"]}).validate(answer.json)


def test_the_page_says_it_in_words_and_brings_the_tool(client: FlaskClient) -> None:
    page = client.get("/api/docs/")
    for words in ("curl", "import requests", "await fetch", "5,000 per hour", 'data-document="/api/v4/openapi.json"'):
        assert words in page.text
    assert page.headers["Content-Security-Policy"].endswith("style-src 'self' 'unsafe-inline'")
    assert client.get("/").headers["Content-Security-Policy"].endswith("style-src 'self'")
    for address in re.findall(r'"(/api/docs/tool/[^"]+)"', page.text):
        with client.get(address) as file:
            assert (file.status_code, len(file.data) > 10_000) == (200, True)
            assert "immutable" in file.headers["Cache-Control"]
    for other in ("index.html", "..%2f__init__.py", "LICENSE"):
        assert client.get(f"/api/docs/tool/{other}").status_code == 404
