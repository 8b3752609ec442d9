"""Methods, formats and what a caller accepts."""

from __future__ import annotations

import json

import pytest
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
def _one_of_each(session: Session) -> None:
    make_grid(session, packages=(make_package(session, id=1),), id=1)
    session.commit()


@pytest.mark.parametrize("url", URLS)
def test_every_url_is_for_reading(client: FlaskClient, url: str) -> None:
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        answer = client.open(url, method=method, json={"title": "x"})
        assert (answer.status_code, answer.json) == (405, {"detail": f'Method "{method}" not allowed.'})
        assert answer.headers["Allow"] == "GET, HEAD, OPTIONS"
    assert client.open(url, method="BREW").status_code == 405


@pytest.mark.parametrize("url", URLS)
def test_head_has_the_headers_of_get(client: FlaskClient, url: str) -> None:
    head, get = client.head(url), client.get(url)
    assert (head.status_code, head.data) == (200, b"")
    assert dict(head.headers) == dict(get.headers)


@pytest.mark.parametrize("url", URLS)
def test_options_describe_the_url(client: FlaskClient, url: str) -> None:
    answer = client.options(url)
    assert list(answer.json) == ["name", "description", "renders", "parses"]
    assert answer.json["renders"] == ["application/json", "text/html"]
    assert answer.headers["Allow"] == "GET, HEAD, OPTIONS"


def test_options_of_packages_are_the_contracts_own_words(client: FlaskClient) -> None:
    for url, name in (("/api/v4/packages/", "Package List"), ("/api/v4/packages/1/", "Package Instance")):
        body = client.options(url).json
        assert (body["name"], body["description"]) == (
            name,
            "API endpoint that allows packages to be viewed or edited.",
        )


@pytest.mark.parametrize(
    "accept",
    ["", "*/*", "application/json", "application/*;q=0.5, image/png", "text/html, application/json", "image/png, */*"],
)
def test_what_is_answered_in_json(client: FlaskClient, accept: str) -> None:
    answer = client.get("/api/v4/packages/1/", headers={"Accept": accept})
    assert (answer.status_code, answer.content_type) == (200, "application/json")


@pytest.mark.parametrize("accept", ["application/xml", "image/*", "application/jsonp", "nonsense", ";;,"])
def test_what_can_not_be_answered(client: FlaskClient, accept: str) -> None:
    for url in ("/api/v4/packages/1/", "/api/v4/packages/no-such-thing/"):
        answer = client.get(url, headers={"Accept": accept})
        assert (answer.status_code, answer.json) == (
            406,
            {"detail": "Could not satisfy the request Accept header."},
        ), accept
        assert answer.headers["Vary"] == "Accept"


@pytest.mark.parametrize(("asked", "indent"), [("4", 4), ("2", 2), ("99", 8), ("0", None), ("-1", None), ("x", None)])
def test_indented_json(client: FlaskClient, asked: str, indent: int | None) -> None:
    answer = client.get("/api/v4/packages/1/", headers={"Accept": f"application/json; indent={asked}"})
    separators = None if indent else (",", ":")
    assert answer.content_type == "application/json"
    assert answer.get_data(as_text=True) == json.dumps(
        answer.json, indent=indent, separators=separators, ensure_ascii=False
    )


def test_errors_are_indented_too(client: FlaskClient) -> None:
    answer = client.get("/api/v4/packages/0/", headers={"Accept": "application/json; indent=2"})
    assert answer.data == b'{\n  "detail": "No Package matches the given query."\n}'


@pytest.mark.parametrize(
    "url",
    [
        "/api/v4/packages/?format=xml",
        "/api/v4/packages.xml",
        "/api/v4/packages/1.json?format=json&x=/../",
    ],
)
def test_formats(client: FlaskClient, url: str) -> None:
    answer = client.get(url)
    if "1.json" in url:
        assert answer.json["category"] == "http://localhost/api/v4/categories/1.json?format=json"
    else:
        assert (answer.status_code, answer.json) == (404, {"detail": "Not found."})


@pytest.mark.parametrize("path", ["/api/v4", "/api/v4/packages", "/api/v4/packages/1", "/api/v4/search"])
def test_a_missing_slash_is_added(client: FlaskClient, path: str) -> None:
    answer = client.get(f"{path}?limit=2&q=%C3%A9")
    assert (answer.status_code, answer.location, answer.data) == (301, f"{path}/?limit=2&q=%C3%A9", b"")


def test_a_slash_is_never_added_to_another_sites_address(client: FlaskClient) -> None:
    for path in ("//evil.example/packages", "/\\evil.example/api/v4/packages", "//evil.example/api/v4/packages"):
        answer = client.get(path)
        assert answer.status_code in {301, 308, 404}
        assert (answer.location or "/x")[1] not in "/\\"


def test_a_failure_in_the_api_is_json(make_app, monkeypatch: pytest.MonkeyPatch) -> None:
    from pkgsite.api.v4 import packages

    def fail(*_args: object, **_options: object) -> None:
        raise RuntimeError("the secret is 4711")

    monkeypatch.setattr(packages, "list_packages", fail)
    answer = make_app().test_client().get("/api/v4/packages/")
    assert (answer.status_code, answer.content_type) == (500, "application/json")
    assert "4711" not in answer.get_data(as_text=True)
