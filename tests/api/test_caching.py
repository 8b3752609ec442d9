"""HTTP caching: entity tags, dates and Cache-Control."""

from __future__ import annotations

from datetime import timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from pkgsite.api.caching import matches_etag
from tests.factories import NOW, make_grid, make_package
from tests.users import CsrfClient, make_user

URLS = ("/api/v4/", "/api/v4/packages/", "/api/v4/packages/1/", "/api/v4/grids/", "/api/v4/grids/1/",
        "/api/v4/categories/", "/api/v4/search/?q=one")  # fmt: skip


@pytest.fixture(autouse=True)
def _records(session: Session) -> None:
    make_grid(session, "caching", (make_package(session, "one", description="x" * 2000),))
    session.commit()


@pytest.mark.parametrize("url", URLS)
def test_a_matching_etag_is_answered_with_304_and_no_body(client: FlaskClient, url: str) -> None:
    first = client.get(url)
    etag = first.headers["ETag"]
    assert not etag.startswith("W/")
    assert first.headers["Cache-Control"] == "public, no-cache"
    again = client.get(url, headers={"If-None-Match": etag})
    assert (again.status_code, again.data, again.headers["ETag"]) == (304, b"", etag)
    assert again.headers["Vary"] == first.headers["Vary"] or "Accept" in again.headers["Vary"]
    assert client.get(url, headers={"If-None-Match": '"another"'}).status_code == 200


def test_a_compressed_response_has_a_different_etag_and_both_match(client: FlaskClient) -> None:
    compressed = client.get("/api/v4/packages/1/", headers={"Accept-Encoding": "gzip"})
    assert compressed.headers["Content-Encoding"] == "gzip"
    plain = client.get("/api/v4/packages/1/")
    assert compressed.headers["ETag"] != plain.headers["ETag"]
    for etag in (compressed.headers["ETag"], plain.headers["ETag"]):
        for encoding in ("gzip", ""):
            headers = {"If-None-Match": etag, "Accept-Encoding": encoding}
            assert client.get("/api/v4/packages/1/", headers=headers).status_code == 304


@pytest.mark.parametrize("url", [*URLS, "/api/v4/packages.ndjson", "/api/v4/grids.csv", "/api/v4/openapi.json"])
def test_if_none_match_compares_weakly(client: FlaskClient, url: str) -> None:
    etag = client.get(url).headers["ETag"]
    gzip_etag = etag.removesuffix('"') + ':gzip"'
    for header in (f"W/{etag}", f'"x", W/{etag}', f'W/"x",{etag} , "y"', "*", f"W/{gzip_etag}"):
        with client.get(url, headers={"If-None-Match": header}) as response:
            assert (response.status_code, response.data) == (304, b""), header
    for header in ('W/"x"', f'W/{etag[:-2]}"', "W/*"):
        with client.get(url, headers={"If-None-Match": header}) as response:
            assert response.status_code == 200, header


def test_if_match_compares_strongly() -> None:
    assert matches_etag("T", '"x", "T"')
    assert not matches_etag("T", 'W/"T"')
    assert matches_etag("T", 'W/"T"', weak=True)


def test_a_change_changes_the_etags_of_the_responses_it_affects(client: FlaskClient, session: Session) -> None:
    before = {url: client.get(url).headers["ETag"] for url in URLS[1:3]}
    make_package(session, "two")
    session.commit()
    assert client.get(URLS[1]).headers["ETag"] != before[URLS[1]]
    assert client.get(URLS[2]).headers["ETag"] == before[URLS[2]]


def test_if_modified_since_is_used_for_single_records_without_if_none_match(
    client: FlaskClient, session: Session
) -> None:
    package = client.get("/api/v4/packages/1/")
    assert package.headers["Last-Modified"] == "Sun, 01 Mar 2026 12:30:15 GMT"
    since = {"If-Modified-Since": package.headers["Last-Modified"]}
    assert client.get("/api/v4/packages/1/", headers=since).status_code == 304
    assert client.get("/api/v4/packages/1/", headers=since | {"If-None-Match": '"x"'}).status_code == 200
    assert client.get("/api/v4/packages/", headers=since).status_code == 200
    make_package(session, "two", changed_at=NOW + timedelta(hours=1))
    session.commit()
    assert client.get("/api/v4/packages/").headers["Last-Modified"] == "Sun, 01 Mar 2026 13:30:15 GMT"


def test_errors_have_no_etag(client: FlaskClient) -> None:
    missing = client.get("/api/v4/packages/4711/")
    assert "ETag" not in missing.headers


def test_responses_to_logged_in_users_are_private(app: Flask, session: Session) -> None:
    user = make_user(session)
    session.commit()
    response = CsrfClient(app, user).get("/api/v4/packages/1/")
    assert response.headers["Cache-Control"] == "private, no-cache"
    assert "Cookie" in response.headers["Vary"]


@pytest.mark.parametrize("header", ['""', ",", "W/", '"', 'W/""', "\u00e9", "a b, c"])
def test_an_invalid_if_none_match_header_matches_nothing(client: FlaskClient, header: str) -> None:
    for path in ("/api/v4/categories/", "/api/v4/packages.ndjson"):
        with client.get(path, headers={"If-None-Match": header}) as response:
            assert response.status_code == 200
