"""The client for sites with an API v4."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from pkgsite.clients.http import JsonClient, Timeouts
from pkgsite.clients.v4_site import V4Site
from pkgsite.errors import BadResponse, Invalid
from pkgsite.rules.records import InvalidRecord, PackageFacts
from tests.fakes.v4_site import FakeV4Site, response

Serve = Callable[[Any], str]


def site_at(address: str) -> V4Site:
    return V4Site(address, JsonClient(user_agent="pkgsite", timeouts=Timeouts(backoff_s=0, jitter_s=0)))


def test_list_is_read_in_the_site_page_size(serve_app: Serve) -> None:
    fake = FakeV4Site(max_per_page=2)
    for package_id in range(1, 6):
        fake.add_package(package_id, f"django-{package_id}")
    site = site_at(serve_app(fake))
    pages = [site.page("packages", offset) for offset in (0, 2, 4)]
    assert [[record.id for record in page.records] for page in pages] == [[5, 4], [3, 2], [1]]
    assert [page.is_last for page in pages] == [False, False, True]
    assert {page.count for page in pages} == {5}
    assert fake.request_log == [f"/api/v4/packages/?limit=100&offset={offset}" for offset in (0, 2, 4)]


def test_valid_and_invalid_records_are_returned_in_order(serve_app: Serve) -> None:
    fake = FakeV4Site()
    fake.add_package(1, "good")
    fake.add_package(2, "bad", title=None)
    fake.lists["packages"].append("not a record at all")
    records = site_at(serve_app(fake)).page("packages", 0).records
    assert [type(record) for record in records] == [InvalidRecord, InvalidRecord, PackageFacts]
    assert records[1] == InvalidRecord(2, "bad", ("title is not a string",))


def test_empty_list_is_complete(serve_app: Serve) -> None:
    page = site_at(serve_app(FakeV4Site())).page("grids", 0)
    assert (page.count, list(page.records), page.is_last) == (0, [], True)


@pytest.mark.parametrize(
    ("envelope", "message"),
    [
        ({"count": 3, "next": "http://x/", "results": []}, "paging error"),
        ({"count": 1, "next": "http://x/", "results": [{}]}, "paging error"),
        ({"count": 3, "next": None, "results": [{}]}, "ended after 1 of 3 records"),
        ({"count": "3", "next": None, "results": []}, "did not return a page of an API v4 list"),
        ({"count": 0, "next": None}, "did not return a page of an API v4 list"),
        ({"count": 0, "next": 7, "results": []}, "did not return a page of an API v4 list"),
        (["packages"], "did not return a page of an API v4 list"),
        (None, "did not return a page of an API v4 list"),
    ],
)
def test_invalid_envelope_is_rejected(serve_app: Serve, envelope: Any, message: str) -> None:
    with pytest.raises(BadResponse, match=f"/api/v4/packages/.*{message}"):
        site_at(serve_app(response("200 OK", envelope))).page("packages", 0)


@pytest.mark.parametrize(
    "address", ["http://h.example", "http://h.example/", "http://h.example/api/v4", " HTTP://H.Example/api/v4/ "]
)
def test_root_is_canonical(address: str) -> None:
    assert site_at(address).root == "http://h.example/api/v4/"


@pytest.mark.parametrize(
    "address",
    ["", "h.example", "ftp://h.example/", "http://", "http://me:secret@h.example/", "http://h.example:port/",
     "http://h.example/?q=1", "http://[::1/", "http://h.example/" + "a" * 500],
)  # fmt: skip
def test_invalid_url_is_rejected(address: str) -> None:
    with pytest.raises(Invalid, match="is not a valid site URL"):
        site_at(address)
