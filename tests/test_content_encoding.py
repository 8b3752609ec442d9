"""Compressed request bodies."""

from __future__ import annotations

import gzip
import io
import json
import zlib
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from tests.api.api_client import ApiClient
from tests.factories import make_package
from tests.login_client import LoginClient, make_login_user
from tests.users import make_user

LOOKUP = "/api/v4/packages/lookup/"
BODY = json.dumps({"keys": ["one", "zwölf"]}).encode()
JSON = {"Content-Type": "application/json"}


@pytest.fixture(autouse=True)
def _records(session: Session) -> None:
    make_package(session, "one")
    session.commit()


@pytest.mark.parametrize("coding", ["gzip", "GZIP", "x-gzip", " gzip "])
def test_a_gzip_body_is_decoded(client: FlaskClient, coding: str) -> None:
    plain = client.post(LOOKUP, data=BODY, headers=JSON)
    two_members = gzip.compress(BODY[:9]) + gzip.compress(BODY[9:])
    for data in (gzip.compress(BODY), two_members):
        response = client.post(LOOKUP, data=data, headers=JSON | {"Content-Encoding": coding})
        assert (response.status_code, response.get_json()) == (200, plain.get_json())


def test_a_streamed_gzip_body_is_decoded(client: FlaskClient) -> None:
    response = client.post(
        LOOKUP,
        input_stream=io.BytesIO(gzip.compress(BODY)),
        headers=JSON | {"Content-Encoding": "gzip", "Transfer-Encoding": "chunked"},
        environ_overrides={"wsgi.input_terminated": True},
    )
    assert response.status_code == 200


@pytest.mark.parametrize("coding", ["br", "deflate", "zstd", "compress", "gzip, br", "gzip, gzip", "utf-8"])
@pytest.mark.parametrize("path", [LOOKUP, "/account/login/", "/packages/github-webhook/"])
def test_other_encodings_are_rejected(client: FlaskClient, coding: str, path: str) -> None:
    response = client.post(path, data=BODY, headers=JSON | {"Content-Encoding": coding})
    assert (response.status_code, response.headers["Accept-Encoding"]) == (415, "gzip")


def test_a_content_type_that_is_not_supported_says_nothing_about_encodings(client: FlaskClient) -> None:
    response = client.post(LOOKUP, data=BODY, headers={"Content-Type": "text/csv"})
    assert response.status_code == 415
    assert "Accept-Encoding" not in response.headers


@pytest.mark.parametrize("data", [BODY, b"\x1f\x8b", gzip.compress(BODY)[:-4], zlib.compress(BODY)])
def test_a_body_that_is_not_gzip_is_rejected(client: FlaskClient, data: bytes) -> None:
    response = client.post(LOOKUP, data=data, headers=JSON | {"Content-Encoding": "gzip"})
    assert response.status_code == 400
    assert "gzip" in response.get_json()["detail"]


def test_identity_and_requests_without_a_body_are_not_decoded(client: FlaskClient) -> None:
    assert client.post(LOOKUP, data=BODY, headers=JSON | {"Content-Encoding": "identity"}).status_code == 200
    assert client.get("/api/v4/", headers={"Content-Encoding": "br"}).status_code == 200


def test_the_size_limit_applies_to_the_decoded_body(make_app: Callable[..., Flask]) -> None:
    client = make_app(MAX_BODY_BYTES="20000").test_client()
    headers = JSON | {"Content-Encoding": "gzip"}
    padded = BODY + b" " * (20000 - len(BODY))
    assert client.post(LOOKUP, data=gzip.compress(padded), headers=headers).status_code == 200
    assert client.post(LOOKUP, data=gzip.compress(padded + b" "), headers=headers).status_code == 413
    two_members = gzip.compress(padded) + gzip.compress(b" ")
    assert client.post(LOOKUP, data=two_members, headers=headers).status_code == 413


@pytest.mark.parametrize("encode", [bytes, gzip.compress])
def test_a_byte_order_mark_is_skipped(app: Flask, session: Session, encode: Callable[[bytes], bytes]) -> None:
    writer = ApiClient(app, session, make_user(session), scope="write")
    headers: dict[str, Any] = JSON | ({"Content-Encoding": "gzip"} if encode is gzip.compress else {})
    body = b"\xef\xbb\xbf" + json.dumps({"title": "Eins"}).encode()
    response = writer.request("PATCH", "packages/one/", data=encode(body), headers=headers)
    assert (response.status_code, response.get_json()["title"]) == (200, "Eins")


def test_a_gzip_form_is_decoded(app: Flask, session: Session) -> None:
    make_login_user(session)
    visitor = LoginClient(app)
    token = visitor._token
    with visitor.client.session_transaction() as cookie:
        cookie["csrf_token"] = "a seed for tests"
    body = f"csrf_token={token}&login=ada&password=wrong".encode()
    response = visitor.client.post(
        "/account/login/",
        data=gzip.compress(body),
        headers={"Content-Type": "application/x-www-form-urlencoded", "Content-Encoding": "gzip"},
    )
    assert response.status_code == 422
    assert "Incorrect username or password" in response.text
