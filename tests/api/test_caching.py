"""What lets callers keep an answer: entity tags, dates, and who may keep it."""

from __future__ import annotations

from datetime import timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from tests.factories import NOW, make_grid, make_package
from tests.users import CsrfClient, make_user

URLS = ("/api/v4/", "/api/v4/packages/", "/api/v4/packages/1/", "/api/v4/grids/", "/api/v4/grids/1/",
        "/api/v4/categories/", "/api/v4/search/?q=one")  # fmt: skip


@pytest.fixture(autouse=True)
def _one_of_each(session: Session) -> None:
    make_grid(session, "caching", (make_package(session, "one", description="x" * 2000),))
    session.commit()


@pytest.mark.parametrize("url", URLS)
def test_who_has_an_answer_gets_no_body_again(client: FlaskClient, url: str) -> None:
    first = client.get(url)
    tag = first.headers["ETag"]
    assert not tag.startswith("W/")
    assert first.headers["Cache-Control"] == "public, no-cache"
    again = client.get(url, headers={"If-None-Match": tag})
    assert (again.status_code, again.data, again.headers["ETag"]) == (304, b"", tag)
    assert again.headers["Vary"] == first.headers["Vary"] or "Accept" in again.headers["Vary"]
    assert client.get(url, headers={"If-None-Match": '"another"'}).status_code == 200


def test_a_compressed_answer_has_a_tag_of_its_own(client: FlaskClient) -> None:
    packed = client.get("/api/v4/packages/1/", headers={"Accept-Encoding": "gzip"})
    assert packed.headers["Content-Encoding"] == "gzip"
    plain = client.get("/api/v4/packages/1/")
    assert packed.headers["ETag"] != plain.headers["ETag"]
    for tag in (packed.headers["ETag"], plain.headers["ETag"]):
        for coding in ("gzip", ""):
            headers = {"If-None-Match": tag, "Accept-Encoding": coding}
            assert client.get("/api/v4/packages/1/", headers=headers).status_code == 304


def test_a_change_makes_another_tag(client: FlaskClient, session: Session) -> None:
    before = {url: client.get(url).headers["ETag"] for url in URLS[1:3]}
    make_package(session, "two")
    session.commit()
    assert client.get(URLS[1]).headers["ETag"] != before[URLS[1]]
    assert client.get(URLS[2]).headers["ETag"] == before[URLS[2]]


def test_dates_count_for_one_record_and_tags_before_dates(client: FlaskClient, session: Session) -> None:
    one = client.get("/api/v4/packages/1/")
    assert one.headers["Last-Modified"] == "Sun, 01 Mar 2026 12:30:15 GMT"
    since = {"If-Modified-Since": one.headers["Last-Modified"]}
    assert client.get("/api/v4/packages/1/", headers=since).status_code == 304
    assert client.get("/api/v4/packages/1/", headers=since | {"If-None-Match": '"x"'}).status_code == 200
    assert client.get("/api/v4/packages/", headers=since).status_code == 200
    make_package(session, "two", changed_at=NOW + timedelta(hours=1))
    session.commit()
    assert client.get("/api/v4/packages/").headers["Last-Modified"] == "Sun, 01 Mar 2026 13:30:15 GMT"


def test_failures_are_not_kept(client: FlaskClient) -> None:
    missing = client.get("/api/v4/packages/4711/")
    assert "ETag" not in missing.headers


def test_what_a_person_sees_is_theirs(app: Flask, session: Session) -> None:
    user = make_user(session)
    session.commit()
    ada = CsrfClient(app, user)
    answer = ada.get("/api/v4/packages/1/")
    assert answer.headers["Cache-Control"] == "private, no-cache"
    assert "Cookie" in answer.headers["Vary"]


@pytest.mark.parametrize("written", ['""', ",", "W/", '"', 'W/""', "\u00e9", "a b, c"])
def test_conditions_that_name_nothing(client: FlaskClient, written: str) -> None:
    for path in ("/api/v4/categories/", "/api/v4/packages.ndjson"):
        with client.get(path, headers={"If-None-Match": written}) as answer:
            assert answer.status_code == 200
