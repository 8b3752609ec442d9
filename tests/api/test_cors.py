"""CORS: pages on other origins can read the API without cookies, and nothing else."""

from __future__ import annotations

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from tests.api.api_client import ApiClient
from tests.factories import make_package
from tests.users import CsrfClient, make_user

ORIGIN = {"Origin": "https://elsewhere.example"}


@pytest.mark.parametrize("path", ["", "packages/", "packages/99/", "grids/", "packages.ndjson", "nothing/"])
def test_every_response_to_a_get_request_is_readable_from_other_origins(client: FlaskClient, path: str) -> None:
    for headers in ({}, ORIGIN):
        response = client.get(f"/api/v4/{path}", headers=headers)
        assert response.headers["Access-Control-Allow-Origin"] == "*"
        assert "ETag" in response.headers["Access-Control-Expose-Headers"]
        assert "Access-Control-Allow-Credentials" not in response.headers
        assert "Origin" not in response.headers.get("Vary", "")
        response.close()


def test_a_preflight_request_is_allowed(client: FlaskClient) -> None:
    preflight = ORIGIN | {"Access-Control-Request-Method": "GET", "Access-Control-Request-Headers": "authorization"}
    for path in ("/api/v4/packages/", "/api/v4/packages.ndjson", "/api/v3/packages/"):
        response = client.options(path, headers=preflight)
        assert response.status_code == 200
        assert response.headers["Access-Control-Allow-Methods"] == "GET, HEAD, OPTIONS"
        assert "Authorization" in response.headers["Access-Control-Allow-Headers"]
    assert "Access-Control-Allow-Methods" not in client.options("/api/v4/packages/").headers


def test_writes_and_pages_are_not_readable_from_other_origins(app: Flask, session: Session) -> None:
    make_package(session, id=1, repo_url="https://github.com/us/one")
    api_client = ApiClient(app, session, make_user(session))
    assert "Access-Control-Allow-Origin" not in api_client.patch("packages/1/", {"title": "x"}, headers=ORIGIN).headers
    session.rollback()
    assert "Access-Control-Allow-Origin" not in CsrfClient(app).get("/packages/", headers=ORIGIN).headers
