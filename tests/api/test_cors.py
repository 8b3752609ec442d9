"""What pages of other sites may do with the API: read it, as nobody in particular."""

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
def test_every_answer_to_a_reader_may_be_read(client: FlaskClient, path: str) -> None:
    for headers in ({}, ORIGIN):
        answer = client.get(f"/api/v4/{path}", headers=headers)
        assert answer.headers["Access-Control-Allow-Origin"] == "*"
        assert "ETag" in answer.headers["Access-Control-Expose-Headers"]
        assert "Access-Control-Allow-Credentials" not in answer.headers
        assert "Origin" not in answer.headers.get("Vary", "")
        answer.close()


def test_a_browser_that_asks_beforehand(client: FlaskClient) -> None:
    asked = ORIGIN | {"Access-Control-Request-Method": "GET", "Access-Control-Request-Headers": "authorization"}
    for path in ("/api/v4/packages/", "/api/v4/packages.ndjson", "/api/v3/packages/"):
        answer = client.options(path, headers=asked)
        assert answer.status_code == 200
        assert answer.headers["Access-Control-Allow-Methods"] == "GET, HEAD, OPTIONS"
        assert "Authorization" in answer.headers["Access-Control-Allow-Headers"]
    assert "Access-Control-Allow-Methods" not in client.options("/api/v4/packages/").headers


def test_writing_and_pages_stay_shut(app: Flask, session: Session) -> None:
    make_package(session, id=1, repo_url="https://github.com/us/one")
    ada = make_user(session)
    program = ApiClient(app, session, ada)
    assert "Access-Control-Allow-Origin" not in program.patch("packages/1/", {"title": "x"}, headers=ORIGIN).headers
    session.rollback()
    assert "Access-Control-Allow-Origin" not in CsrfClient(app).get("/packages/", headers=ORIGIN).headers
