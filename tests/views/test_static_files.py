"""The site's own files are kept by browsers for as long as their address means the same."""

import re

from flask.testing import FlaskClient


def test_urls_have_a_hash_and_files_are_cached(client: FlaskClient) -> None:
    addresses = re.findall(r'(?:href|src)="(/static/[^"]+)"', client.get("/").text)
    assert {address.partition("?")[0].rpartition("/")[2] for address in addresses} == {
        "icon.svg",
        "forms.css",
        "site.css",
        "site.js",
        "suggest.js",
        "theme.js",
    }
    for address in addresses:
        with client.get(address) as response:
            assert response.status_code == 200
            assert response.headers["Cache-Control"] == "public, max-age=31536000, immutable"
            assert "Set-Cookie" not in response.headers


def test_other_hashes_are_cached_for_a_short_time(client: FlaskClient) -> None:
    for query in ("", "?v=", "?v=old"):
        with client.get(f"/static/site.css{query}") as response:
            assert response.headers["Cache-Control"] == "public, max-age=3600"


def test_a_missing_file_is_not_cached(client: FlaskClient) -> None:
    response = client.get("/static/nope.css")
    assert response.status_code == 404
    assert "Cache-Control" not in response.headers
