"""Error pages use the site's layout, need no database and disclose no internals."""

from collections.abc import Callable

import pytest
from flask import Flask, abort
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from pkgsite import errors
from tests.factories import make_grid, make_package
from tests.queries import recorded_queries


@pytest.mark.parametrize(
    ("error", "status", "message"),
    [
        (errors.NotFound("Grid"), 404, "Grid not found"),
        (errors.Forbidden(), 403, "You don't have permission to do this"),
        (errors.Forbidden("This grid is locked."), 403, '<p class="lead">This grid is locked.</p>'),
        (errors.Conflict(), 409, "Someone else made a change"),
        (errors.Invalid({"title": ["is empty"]}), 422, "Invalid request"),
        (errors.Unavailable("down"), 502, "External service unavailable"),
        (errors.RateLimited("later"), 502, "External service unavailable"),
        (RuntimeError("secret details"), 500, "Something went wrong"),
    ],
)
def test_each_error_has_a_page(make_app: Callable[..., Flask], error: Exception, status: int, message: str) -> None:
    app = make_app(shared=False)

    @app.get("/fails/")
    def fails() -> str:
        raise error

    app.config["PROPAGATE_EXCEPTIONS"] = False
    with recorded_queries(app) as statements:
        response = app.test_client().get("/fails/")
    assert response.status_code == status
    assert message in response.text.replace("&#39;", "'")
    assert "site.css" in response.text
    assert "secret" not in response.text
    assert "Traceback" not in response.text
    assert statements == []


@pytest.mark.parametrize("status", [400, 403, 404, 405, 413, 418, 429, 500, 503])
def test_each_status_has_a_page(make_app: Callable[..., Flask], status: int) -> None:
    app = make_app(shared=False)

    @app.get("/fails/")
    def fails() -> str:
        abort(status)

    response = app.test_client().get("/fails/")
    assert response.status_code == status
    assert f'aria-hidden="true">{status}</p>' in response.text


def test_method_not_allowed_lists_the_allowed_methods(client: FlaskClient) -> None:
    response = client.post("/packages/")
    assert response.status_code == 405
    assert set(response.headers["Allow"].split(", ")) == {"GET", "HEAD", "OPTIONS"}
    assert "Method not allowed" in response.text


def test_an_untrusted_host_gets_a_complete_error_page(make_app: Callable[..., Flask]) -> None:
    client = make_app(TRUSTED_HOSTS="good.example.org").test_client()
    for path in ("/", "/packages/p/x/", "/nope/", "/static/site.css"):
        response = client.get(path, base_url="http://evil.example.org/")
        assert response.status_code == 400
        assert "Bad request" in response.text
        assert "evil.example.org" not in response.text
        assert 'href="/packages/"' in response.text


def test_a_large_request_body_gets_an_error_page(make_app: Callable[..., Flask]) -> None:
    response = make_app(MAX_BODY_BYTES="1024").test_client().post("/search/", data=b"x" * 2000)
    assert response.status_code == 413
    assert "Request too large" in response.text


def test_the_not_found_page_has_a_search_form(client: FlaskClient) -> None:
    assert 'action="/search/"' in client.get("/nope/").text.partition("<main")[2]


@pytest.mark.parametrize(
    ("path", "target"),
    [
        ("/packages/p/Django-ModelCluster/", "/packages/p/django-modelcluster/"),
        ("/packages/p/django_modelcluster/?a=1", "/packages/p/django-modelcluster/?a=1"),
        ("/packages/p/Model.Cluster/", "/packages/p/django-modelcluster/"),
        ("/packages/DJANGO-MODELCLUSTER/history/", "/packages/django-modelcluster/history/"),
        ("/grids/g/CACHING/", "/grids/g/caching/"),
        ("/grids/g/Rich_Text/packages/", "/grids/g/rich-text/packages/"),
        ("/grids/g/AUDIT-GRID/", "/grids/g/audit-grid/"),
    ],
)
def test_another_spelling_of_a_name_redirects(client: FlaskClient, session: Session, path: str, target: str) -> None:
    make_package(session, "django-modelcluster", pypi_url="https://pypi.org/project/model-cluster/")
    for slug in ("caching", "rich-text", "Audit-Grid", "audit-grid"):
        make_grid(session, slug)
    session.commit()
    response = client.get(path)
    assert (response.status_code, response.location) == (301, target)
    assert client.get("/grids/g/Audit-Grid/").status_code == 200


def test_a_404_lists_the_nearest_names(client: FlaskClient, session: Session) -> None:
    make_package(session, "django-modelcluster")
    make_grid(session, "caching", (make_package(session, "one"),))
    session.commit()
    page = client.get("/packages/p/djang-modelcluster/")
    assert page.status_code == 404
    assert '<a href="/packages/p/django-modelcluster/">' in page.text
    assert 'value="djang-modelcluster"' in page.text
    assert '<a href="/grids/g/caching/">' in client.get("/grids/g/cachin/").text
    assert client.get("/packages/p/zzzzzz/").status_code == 404


def test_a_missing_package_is_not_searched_for_by_other_methods(client: FlaskClient, session: Session) -> None:
    assert client.post("/packages/p/Nothing/").status_code == 405
