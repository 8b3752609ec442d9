"""Headers, compression and errors of the responses of all URLs."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from http.cookiejar import DefaultCookiePolicy

import pytest
import requests
from flask import Flask
from flask import session as cookie_session
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from pkgsite.models import GridSlugRedirect, PackageSlugRedirect
from tests.factories import NOW, make_grid, make_package

ERROR_PATHS = (
    "/no-such-page/",
    "/packages/p/no-such-thing/",
    "/grids/g/no-such-thing/",
    "/categories/no-such-thing/",
    "/api/v4/no-such-thing/",
    "/api/v4/packages/0/",
    "/api/v4/packages/?format=xml",
    "/packages",
    "/api/v4/packages",
    "/packages/p/old/",
    "/grids/g/old/",
    "/api/v4/packages/old/",
    "/static/no-such-file.css",
    "/%00/",
    "/packages/p/%00/",
    "/packages/p/%FF%FE/",
    "/categories/%00/",
)


@pytest.fixture
def urls(app: Flask, session: Session) -> list[str]:
    """The path of every route, for existing records, and paths that cause errors."""
    package, grid = make_package(session, "django-one"), make_grid(session, "caching")
    make_grid(session, "full", (package,))
    session.add_all(
        [
            PackageSlugRedirect(slug="old", package_id=package.id, created_at=NOW),
            GridSlugRedirect(slug="old", grid_id=grid.id, created_at=NOW),
        ]
    )
    session.commit()
    values = {"packages": "django-one", "grids": "full", "categories": "apps"}
    paths = []
    for rule in app.url_map.iter_rules():
        noun = next((noun for noun in values if f"/{noun}" in rule.rule), "")
        path = (
            rule.rule.replace("<key:key>", "1")
            .replace("<suffix:suffix>", "json")
            .replace("<dotted:dotted_key>", "1.json")
        )
        path = path.replace("<path:filename>", "site.css")
        paths.append(re.sub(r"<[^>]+>", values.get(noun, ""), path))
    return [*paths, *ERROR_PATHS]


INLINE_STYLES_PATH = "/api/docs/"  # the only page with inline styles, from a third-party tool


def check_headers(response: requests.Response, url: str) -> None:
    headers = response.headers
    assert headers["X-Content-Type-Options"] == "nosniff", url
    assert headers["Referrer-Policy"] == "same-origin", url
    assert headers["X-Frame-Options"] == "DENY", url
    policy = headers["Content-Security-Policy"]
    assert "unsafe" not in policy or url.endswith(INLINE_STYLES_PATH), url
    assert "unsafe" not in policy.rpartition("style-src")[0], url
    assert "default-src 'none'" in policy, url
    assert "frame-ancestors 'none'" in policy, url
    # Pages depend on the current user, so they vary by cookie; files and JSON do not. Account forms set a cookie.
    if headers.get("Content-Type", "").partition(";")[0] in {"application/json", "text/css"}:
        assert "cookie" not in headers.get("Vary", "").lower(), url
    # So does the login page that is shown instead of a form's result.
    assert "Set-Cookie" not in headers or url.startswith("/account/") or response.status_code in {401, 403}, url


@pytest.fixture
def http() -> Iterator[requests.Session]:
    """A session without cookies, which takes less time for a request than `requests.request`."""
    with requests.Session() as session:
        session.trust_env = False
        session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        yield session


@pytest.mark.long
def test_every_response_has_the_security_headers(
    app: Flask, serve_app: Callable[[Flask], str], urls: list[str], http: requests.Session
) -> None:
    site = serve_app(app)
    assert len(urls) > 30
    for url in urls:
        for method in ("GET", "HEAD", "OPTIONS", "POST"):
            response = http.request(method, site + url, allow_redirects=False, timeout=10)
            check_headers(response, url)
            assert response.status_code < 500, (method, url)
            assert "Strict-Transport-Security" not in response.headers
            is_api_response = url.startswith("/api/v") and response.status_code != 410
            if is_api_response and response.content:
                kind = response.headers["Content-Type"].partition(";")[0]
                assert kind in {"application/json", "application/x-ndjson", "text/csv"}, (method, url)


@pytest.mark.long
def test_only_compressed_responses_vary_by_accept_encoding(
    app: Flask, serve_app: Callable[[Flask], str], urls: list[str], http: requests.Session
) -> None:
    site = serve_app(app)
    for url in urls:
        response = http.get(site + url, allow_redirects=False, timeout=10, headers={"Accept-Encoding": "gzip"})
        plain = http.get(site + url, allow_redirects=False, timeout=10, headers={"Accept-Encoding": "identity"})
        varies = "accept-encoding" in response.headers.get("Vary", "").lower()
        assert varies == (response.headers.get("Content-Encoding") == "gzip"), url
        assert varies == ("accept-encoding" in plain.headers.get("Vary", "").lower()), url
        assert plain.headers.get("Content-Encoding") is None, url


@pytest.mark.parametrize("settings", [{"PUBLIC_URL": "https://packages.example.org"}, {"PROXY_HOPS": "1"}])
def test_https_sites_send_hsts_and_secure_cookies(make_app: Callable[..., Flask], settings: dict[str, str]) -> None:
    app = make_app(shared=False, **settings)

    @app.get("/remember/")
    def remember() -> str:
        cookie_session["seen"] = True
        return "ok"

    client, forwarded = app.test_client(), {"X-Forwarded-Proto": "https"}
    for url in ("/", "/api/v4/", "/no-such-page/"):
        assert client.get(url, headers=forwarded).headers["Strict-Transport-Security"] == "max-age=31536000"
    cookie = client.get("/remember/", headers=forwarded).headers["Set-Cookie"]
    assert {"Secure", "HttpOnly", "SameSite=Lax"} <= set(cookie.split("; "))


def test_forwarded_headers_are_trusted_only_for_the_configured_number_of_proxies(
    make_app: Callable[..., Flask],
) -> None:
    headers = {"X-Forwarded-Host": "evil.example, packages.example.org", "X-Forwarded-Proto": "http, https"}

    def packages_url(hops: str) -> str:
        response = make_app(PROXY_HOPS=hops).test_client().get("/api/v4/", headers=headers)
        return str(response.get_json()["packages"])

    assert packages_url("0") == "http://localhost/api/v4/packages/"
    assert packages_url("1") == "https://packages.example.org/api/v4/packages/"


def test_only_requests_for_trusted_hosts_are_accepted(make_app: Callable[..., Flask]) -> None:
    client = make_app(TRUSTED_HOSTS="packages.example.org, .example.net").test_client()
    for url in ("/", "/packages/", "/api/v4/", "/no-such-page/"):
        for host, is_trusted in (
            ("packages.example.org", True),
            ("packages.example.org:8000", True),
            ("a.example.net", True),
            ("evil.example", False),
            ("packages.example.org.evil.example", False),
            ("", False),
        ):
            response = client.get(url, headers={"Host": host})
            assert (response.status_code != 400) == is_trusted, (url, host)
            assert response.headers["X-Content-Type-Options"] == "nosniff"
            assert "evil" not in response.get_data(as_text=True)


@pytest.fixture
def client_with_small_limit(make_app: Callable[..., Flask]) -> FlaskClient:
    return make_app(MAX_BODY_BYTES="2048").test_client()


def test_large_request_bodies_are_rejected(client_with_small_limit: FlaskClient) -> None:
    response = client_with_small_limit.post("/api/v4/packages/", data=b"x" * 2049)
    assert (response.status_code, response.json) == (413, {"detail": "Request body too large."})
    assert client_with_small_limit.post("/packages/", data=b"x" * 2049).status_code == 413
    assert client_with_small_limit.post("/api/v4/packages/", data=b"x" * 2048).status_code == 405


def test_stylesheets_load_nothing_from_other_sites(client: FlaskClient) -> None:
    with client.get("/static/site.css") as response:
        assert response.status_code == 200
        styles = response.get_data(as_text=True).replace("http://www.w3.org/2000/svg", "")
    assert "http://" not in styles
    assert "https://" not in styles


def test_range_responses_are_not_compressed(client: FlaskClient) -> None:
    headers = {"Range": "bytes=0-599", "Accept-Encoding": "gzip"}
    with client.get("/static/site.css", headers=headers) as response:
        assert (response.status_code, len(response.data)) == (206, 600)
        assert "Content-Encoding" not in response.headers
