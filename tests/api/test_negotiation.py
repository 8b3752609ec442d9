"""Content negotiation: methods, formats and the Accept header."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from tests.factories import make_grid, make_package

URLS = (
    "/api/v4/",
    "/api/v4/packages/",
    "/api/v4/packages/1/",
    "/api/v4/grids/",
    "/api/v4/grids/1/",
    "/api/v4/categories/",
    "/api/v4/categories/1/",
    "/api/v4/search/",
)


@pytest.fixture(autouse=True)
def _records(session: Session) -> None:
    make_grid(session, packages=(make_package(session, id=1),), id=1)
    session.commit()


@pytest.mark.parametrize("url", URLS)
def test_every_url_is_read_only_without_authentication(client: FlaskClient, url: str) -> None:
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        response = client.open(url, method=method, json={"title": "x"})
        assert (response.status_code, response.get_json()) == (405, {"detail": f'Method "{method}" not allowed.'})
        assert response.headers["Allow"] == "GET, HEAD, OPTIONS"
    assert client.open(url, method="BREW").status_code == 405


@pytest.mark.parametrize("url", URLS)
def test_head_has_the_headers_of_get(client: FlaskClient, url: str) -> None:
    head, get = client.head(url), client.get(url)
    assert (head.status_code, head.data) == (200, b"")
    del head.headers["X-Request-ID"], get.headers["X-Request-ID"]
    assert dict(head.headers) == dict(get.headers)


@pytest.mark.parametrize("url", URLS)
def test_options_describe_the_url(client: FlaskClient, url: str) -> None:
    response = client.options(url)
    assert list(response.get_json()) == ["name", "description", "renders", "parses"]
    assert response.get_json()["renders"] == ["application/json", "text/html"]
    assert response.headers["Allow"] == "GET, HEAD, OPTIONS"


def test_options_of_packages_match_the_contract(client: FlaskClient) -> None:
    for url, name in (("/api/v4/packages/", "Package List"), ("/api/v4/packages/1/", "Package Instance")):
        body = client.options(url).get_json()
        assert (body["name"], body["description"]) == (
            name,
            "API endpoint that allows packages to be viewed or edited.",
        )


@pytest.mark.parametrize(
    "accept",
    [
        "",
        "*/*",
        "application/json",
        "application/*;q=0.5, image/png",
        "text/html, application/json",
        "image/png, */*",
        "Application/Json",
        "APPLICATION/JSON;Q=0.9",
        "Text/HTML, application/JSON",
        "APPLICATION/*",
    ],
)
def test_json_is_preferred(client: FlaskClient, accept: str) -> None:
    response = client.get("/api/v4/packages/1/", headers={"Accept": accept})
    assert (response.status_code, response.content_type) == (200, "application/json")


@pytest.mark.parametrize("accept", ["application/xml", "image/*", "application/jsonp", "nonsense", ";;,"])
def test_an_accept_header_without_an_available_format_is_rejected(client: FlaskClient, accept: str) -> None:
    for url in ("/api/v4/packages/1/", "/api/v4/packages/no-such-thing/"):
        response = client.get(url, headers={"Accept": accept})
        assert (response.status_code, response.get_json()) == (
            406,
            {"detail": "Could not satisfy the request Accept header."},
        ), accept
        assert response.headers["Vary"] == "Accept"


@pytest.mark.parametrize(
    ("requested", "indent"), [("4", 4), ("2", 2), ("99", 8), ("0", None), ("-1", None), ("x", None)]
)
def test_json_is_indented_on_request(client: FlaskClient, requested: str, indent: int | None) -> None:
    response = client.get("/api/v4/packages/1/", headers={"Accept": f"application/json; indent={requested}"})
    separators = None if indent else (",", ":")
    assert response.content_type == "application/json"
    assert response.get_data(as_text=True) == json.dumps(
        response.get_json(), indent=indent, separators=separators, ensure_ascii=False
    )


@pytest.mark.parametrize("accept", ["text/html", "Text/HTML", "TEXT/*, image/png"])
def test_html_is_returned_on_request(client: FlaskClient, accept: str) -> None:
    assert client.get("/api/v4/packages/1/", headers={"Accept": accept}).mimetype == "text/html"


def test_errors_are_indented_too(client: FlaskClient) -> None:
    response = client.get("/api/v4/packages/0/", headers={"Accept": "application/json; indent=2"})
    assert response.data == b'{\n  "detail": "No Package matches the given query."\n}'


@pytest.mark.parametrize(
    "url",
    [
        "/api/v4/packages/?format=xml",
        "/api/v4/packages.xml",
        "/api/v4/packages/1.json?format=json&x=/../",
    ],
)
def test_links_keep_the_format_and_unknown_formats_are_not_found(client: FlaskClient, url: str) -> None:
    response = client.get(url)
    if "1.json" in url:
        assert response.get_json()["category"] == "http://localhost/api/v4/categories/1.json?format=json"
    else:
        assert (response.status_code, response.get_json()) == (404, {"detail": "Not found."})


@pytest.mark.parametrize("path", ["/api/v4", "/api/v4/packages", "/api/v4/packages/1", "/api/v4/search"])
def test_a_missing_slash_is_added(client: FlaskClient, path: str) -> None:
    response = client.get(f"{path}?limit=2&q=%C3%A9")
    assert (response.status_code, response.location, response.data) == (301, f"{path}/?limit=2&q=%C3%A9", b"")


def test_adding_a_slash_never_redirects_to_another_site(client: FlaskClient) -> None:
    for path in ("//evil.example/packages", "/\\evil.example/api/v4/packages", "//evil.example/api/v4/packages"):
        response = client.get(path)
        assert response.status_code in {301, 308, 404}
        assert (response.location or "/x")[1] not in "/\\"


def test_an_internal_error_is_reported_as_json_without_details(
    make_app: Callable[..., Flask], monkeypatch: pytest.MonkeyPatch
) -> None:
    from pkgsite.api.v4 import packages

    def fail(*_args: object, **_options: object) -> None:
        raise RuntimeError("the secret is 4711")

    monkeypatch.setattr(packages, "list_packages", fail)
    response = make_app().test_client().get("/api/v4/packages/")
    assert (response.status_code, response.content_type) == (500, "application/json")
    assert "4711" not in response.get_data(as_text=True)
