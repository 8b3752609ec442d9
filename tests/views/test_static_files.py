"""Static files have content hashes in their URLs and are cached by browsers."""

import re

from flask.testing import FlaskClient


def test_urls_have_a_hash_and_files_are_cached(client: FlaskClient) -> None:
    urls = re.findall(r'(?:href|src)="(/static/[^"]+)"', client.get("/").text)
    assert {url.partition("?")[0].rpartition("/")[2] for url in urls} == {
        "icon.svg",
        "forms.css",
        "site.css",
        "site.js",
        "suggest.js",
        "theme.js",
    }
    for url in urls:
        with client.get(url) as response:
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
