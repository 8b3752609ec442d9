"""Every page of every record works, and has what every page must have."""

from collections.abc import Callable
from urllib.parse import quote

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select
from sqlalchemy.orm import Session

from pkgsite.models import Category, Grid, Package
from tests.views.conftest import link_targets

FIXED_PATHS = (
    "/", "/categories/", "/packages/", "/packages/latest/", "/packages/liked/", "/grids/", "/search/",
    "/search/?q=cache", "/help/", "/help/scores/", "/about/", "/faq/", "/status/",
)  # fmt: skip


def every_path(session: Session) -> list[str]:
    packages = session.scalars(select(Package.slug).where(Package.hidden_at.is_(None)))
    grids = session.scalars(select(Grid.slug)).all()
    return [
        *FIXED_PATHS,
        *[f"/packages/p/{quote(slug, safe='')}/" for slug in packages],
        *[f"/grids/g/{quote(slug, safe='')}/" for slug in grids],
        *[f"/grids/g/{quote(slug, safe='')}/packages/" for slug in grids],
        *[f"/categories/{quote(slug, safe='')}/" for slug in session.scalars(select(Category.slug))],
    ]


@pytest.mark.long
def test_every_page_of_every_record_responds(varied_site: Session, client: FlaskClient) -> None:
    for path in every_path(varied_site):
        response = client.get(path)
        html = response.get_data(as_text=True)
        assert response.status_code == 200, path
        assert response.content_type == "text/html; charset=utf-8"
        assert "Set-Cookie" not in response.headers
        assert "Cookie" in response.headers["Vary"]  # it shows the current user
        assert html.count("<h1") == 1, path
        assert '<a class="skip" href="#content">' in html
        assert " style=" not in html
        assert "<script>" not in html
        assert "{{" not in html or "7*7" in html


@pytest.mark.long
def test_every_internal_link_works(varied_site: Session, client: FlaskClient) -> None:
    targets = {
        target for path in every_path(varied_site) for target in link_targets(client.get(path).get_data(as_text=True))
    }
    internal = {target.partition("#")[0] for target in targets if target.startswith("/")}
    assert len(internal) > 100
    for path in internal - {""}:
        response = client.get(path)
        needs_login = (response.location or "").startswith("/account/login/")
        assert response.status_code == 200 or needs_login, path


def test_pages_of_an_empty_site_work(client: FlaskClient) -> None:
    for path in FIXED_PATHS:
        assert client.get(path).status_code == 200, path


def test_a_missing_trailing_slash_redirects(client: FlaskClient) -> None:
    for path in ("/packages", "/grids/g/caching", "/packages/p/known", "/search"):
        response = client.get(path + "?q=a%20b")
        assert (response.status_code, response.headers["Location"]) == (301, f"{path}/?q=a%20b")


def test_an_old_slug_redirects_and_keeps_the_query(varied_site: Session, client: FlaskClient) -> None:
    for old, new in (
        ("/packages/p/once-known/", "/packages/p/known/"),
        ("/packages/p/once%23hard/", "/packages/p/a%23b/"),
        ("/grids/g/cache/", "/grids/g/caching/"),
        ("/grids/g/cache/packages/", "/grids/g/caching/packages/"),
    ):
        response = client.get(f"{old}?sort=title&q=%C3%BC%FF%0d%0aX")
        assert response.status_code == 301
        assert response.headers["Location"] == f"{new}?sort=title&q=%C3%BC%FF%0d%0aX"
        assert client.get(old).headers["Location"] == new


MISSING_PATHS = (
    "/packages/p/nope/", "/packages/p/hidden/", "/packages/p/%00/", "/packages/p/a%0Ab/", "/packages/p/%FF/",
    "/packages/p/" + "x" * 5000 + "/", "/grids/g/nope/", "/grids/g/%00/", "/grids/g/a%00/packages/",
    "/categories/nope/", "/categories/a%00/", "/packages/p//", "/packages/p/a/b/",
)  # fmt: skip


def test_missing_records_get_a_404_page(varied_site: Session, client: FlaskClient) -> None:
    for path in MISSING_PATHS:
        response = client.get(path)
        assert response.status_code == 404, path
        assert b" not found</h1>" in response.data


def test_password_managers_find_the_password_page(client: FlaskClient) -> None:
    response = client.get("/.well-known/change-password")
    assert (response.status_code, response.location) == (302, "/account/password/")
    assert (
        client.get("/.well-known/resource-that-should-not-exist-whose-status-code-should-not-be-200").status_code == 404
    )


def test_the_favicon_and_robots_txt_are_served(client: FlaskClient) -> None:
    icon = client.get("/favicon.ico")
    assert icon.status_code == 301
    with client.get(icon.headers["Location"]) as image:
        assert image.mimetype == "image/svg+xml"
    robots = client.get("/robots.txt")
    assert (robots.mimetype, robots.text) == ("text/plain", "User-agent: *\nDisallow: /search/")


def test_canonical_urls_start_with_the_public_url(make_app: Callable[..., Flask]) -> None:
    public_client = make_app(PUBLIC_URL="https://packages.example.org").test_client()
    assert (
        '<link rel="canonical" href="https://packages.example.org/grids/">'
        in public_client.get("/grids/?sort=title").text
    )
    assert '<link rel="canonical" href="https://packages.example.org/about/">' in public_client.get("/faq/").text
    client = make_app().test_client()
    assert '<link rel="canonical" href="http://localhost/packages/">' in client.get("/packages/").text


def test_the_site_title_and_subject_are_settings(make_app: Callable[..., Flask]) -> None:
    html = make_app(SITE_TITLE="Flaskery", SITE_SUBJECT="").test_client().get("/").text
    assert "Flaskery" in html
    assert "Django" not in html
    assert "  packages" not in html
