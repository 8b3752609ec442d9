"""The OpenAPI description: valid, complete, and consistent with the responses."""

from __future__ import annotations

import re
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]  # its stubs are not installed
from openapi_spec_validator import validate
from sqlalchemy.orm import Session

from pkgsite.api.resource import UNSAFE_METHODS
from tests.factories import fill_cell, make_feature, make_grid, make_package

UNDESCRIBED_PATHS = {"/api/v4/openapi.json"}
READABLE_PATHS = (
    "/",
    "/packages/",
    "/packages/{key}/",
    "/grids/",
    "/grids/{key}/",
    "/grids/{key}/packages/",
    "/grids/{key}/packages/{package}/",
    "/grids/{key}/features/",
    "/grids/{key}/features/{feature}/",
    "/grids/{key}/features/{feature}/cells/{package}/",
    "/categories/",
    "/categories/{key}/",
    "/search/",
)


@pytest.fixture
def description(client: FlaskClient, session: Session) -> dict[str, Any]:
    """The description of a site with a record of each kind, whose id is 1."""
    package = make_package(session, "django-one", id=1, commits_over_52=[1] * 52, participants=["ada"], stars=3)
    make_package(session, "bare", id=2)
    grid = make_grid(session, id=1, packages=(package,))
    fill_cell(session, make_feature(session, grid, id=1), package, "yes")
    session.commit()
    body: dict[str, Any] = client.get("/api/v4/openapi.json").get_json()
    return body


def test_it_is_valid_and_contains_the_url_of_the_site(description: dict[str, Any], client: FlaskClient) -> None:
    validate(description)
    assert description["openapi"] == "3.1.0"
    assert description["servers"] == [{"url": "http://localhost/api/v4"}]
    etag = client.get("/api/v4/openapi.json").headers["ETag"]
    assert client.get("/api/v4/openapi.json", headers={"If-None-Match": etag}).status_code == 304


def test_every_url_is_described(description: dict[str, Any], app: Flask) -> None:
    paths = {
        re.sub(r"<\w+:(\w+)>", r"{\1}", rule.rule)
        for rule in app.url_map.iter_rules()
        if rule.rule.startswith("/api/v4/") and not rule.arguments & {"suffix", "dotted_key"}
    }
    assert paths - UNDESCRIBED_PATHS == {f"/api/v4{path}" for path in description["paths"]}


def test_exactly_the_implemented_methods_are_described(description: dict[str, Any], app: Flask) -> None:
    for rule in app.url_map.iter_rules():
        view = getattr(app.view_functions[rule.endpoint], "view_class", None)
        if view is not None and rule.endpoint.startswith("api_v4.") and not rule.arguments & {"suffix", "dotted_key"}:
            path = re.sub(r"<\w+:(\w+)>", r"{\1}", rule.rule).removeprefix("/api/v4")
            implemented = {method.lower() for method in UNSAFE_METHODS if hasattr(view, method.lower())}
            assert set(description["paths"][path]) - {"get", "parameters"} == implemented, path


@pytest.mark.parametrize("path", READABLE_PATHS)
def test_the_response_of_a_get_request_matches_its_schema(
    description: dict[str, Any], client: FlaskClient, path: str
) -> None:
    schema = description["paths"][path]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
    url = "/api/v4" + path.format(key=1, package=1, feature=1)
    response = client.get(url, query_string={"q": "one"} if path == "/search/" else {})
    assert response.status_code == 200
    Draft202012Validator({**schema, "components": description["components"]}).validate(response.get_json())


def test_the_documentation_page_has_examples_and_loads_swagger_ui(client: FlaskClient) -> None:
    page = client.get("/api/docs/")
    for text in ("curl", "import requests", "await fetch", "5,000 per hour", 'data-document="/api/v4/openapi.json"'):
        assert text in page.text
    assert page.headers["Content-Security-Policy"].endswith("style-src 'self' 'unsafe-inline'")
    assert client.get("/").headers["Content-Security-Policy"].endswith("style-src 'self'")
    for url in re.findall(r'"(/api/docs/tool/[^"]+)"', page.text):
        with client.get(url) as file:
            assert (file.status_code, len(file.data) > 10_000) == (200, True)
            assert "immutable" in file.headers["Cache-Control"]
    for name in ("index.html", "..%2f__init__.py", "LICENSE"):
        assert client.get(f"/api/docs/tool/{name}").status_code == 404
