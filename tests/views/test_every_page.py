"""Every page of every record answers, with what every page has."""

from collections.abc import Callable
from urllib.parse import quote

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select
from sqlalchemy.orm import Session

from pkgsite.models import Category, Grid, Package
from tests.views.conftest import link_targets

FIXED = (
    "/", "/categories/", "/packages/", "/packages/latest/", "/packages/liked/", "/grids/", "/search/",
    "/search/?q=cache", "/help/", "/help/scores/", "/about/", "/faq/", "/status/",
)  # fmt: skip


def every_path(session: Session) -> list[str]:
    packages = session.scalars(select(Package.slug).where(Package.hidden_at.is_(None)))
    grids = session.scalars(select(Grid.slug)).all()
    return [
        *FIXED,
        *[f"/packages/p/{quote(slug, safe='')}/" for slug in packages],
        *[f"/grids/g/{quote(slug, safe='')}/" for slug in grids],
        *[f"/grids/g/{quote(slug, safe='')}/packages/" for slug in grids],
        *[f"/categories/{quote(slug, safe='')}/" for slug in session.scalars(select(Category.slug))],
    ]


@pytest.mark.long
def test_every_page_of_every_record_answers(varied_site: Session, client: FlaskClient) -> None:
    for path in every_path(varied_site):
        response = client.get(path)
        html = response.get_data(as_text=True)
        assert response.status_code == 200, path
        assert response.content_type == "text/html; charset=utf-8"
        assert "Set-Cookie" not in response.headers
        assert "Cookie" in response.headers["Vary"]  # it shows who looks
        assert html.count("<h1") == 1, path
        assert '<a class="skip" href="#content">' in html
        assert " style=" not in html
        assert "<script>" not in html
        assert "{{" not in html or "7*7" in html


@pytest.mark.long
def test_every_link_to_a_page_of_the_site_leads_somewhere(varied_site: Session, client: FlaskClient) -> None:
    paths = {
        address for path in every_path(varied_site) for address in link_targets(client.get(path).get_data(as_text=True))
    }
    ours = {path.partition("#")[0] for path in paths if path.startswith("/")}
    assert len(ours) > 100
    for path in ours - {""}:
        answer = client.get(path)
        to_log_in = (answer.location or "").startswith("/account/login/")
        assert answer.status_code == 200 or to_log_in, path


def test_an_empty_site_has_pages_too(client: FlaskClient) -> None:
    for path in FIXED:
        assert client.get(path).status_code == 200, path


def test_a_missing_slash_is_mended(client: FlaskClient) -> None:
    for path in ("/packages", "/grids/g/caching", "/packages/p/known", "/search"):
        response = client.get(path + "?q=a%20b")
        assert (response.status_code, response.headers["Location"]) == (301, f"{path}/?q=a%20b")


def test_an_old_slug_leads_to_the_present_one_with_its_query(varied_site: Session, client: FlaskClient) -> None:
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


MISSING = (
    "/packages/p/nope/", "/packages/p/hidden/", "/packages/p/%00/", "/packages/p/a%0Ab/", "/packages/p/%FF/",
    "/packages/p/" + "x" * 5000 + "/", "/grids/g/nope/", "/grids/g/%00/", "/grids/g/a%00/packages/",
    "/categories/nope/", "/categories/a%00/", "/packages/p//", "/packages/p/a/b/",
)  # fmt: skip


def test_what_is_not_there_is_a_404_page(varied_site: Session, client: FlaskClient) -> None:
    for path in MISSING:
        response = client.get(path)
        assert response.status_code == 404, path
        assert b" not found</h1>" in response.data


def test_what_browsers_and_robots_ask_for_by_themselves_is_served(client: FlaskClient) -> None:
    icon = client.get("/favicon.ico")
    assert icon.status_code == 301
    with client.get(icon.headers["Location"]) as picture:
        assert picture.mimetype == "image/svg+xml"
    robots = client.get("/robots.txt")
    assert (robots.mimetype, robots.text) == ("text/plain", "User-agent: *\nDisallow: /search/")


def test_the_canonical_address_is_the_public_one(make_app: Callable[..., Flask]) -> None:
    behind = make_app(PUBLIC_URL="https://packages.example.org").test_client()
    assert '<link rel="canonical" href="https://packages.example.org/grids/">' in behind.get("/grids/?sort=title").text
    assert '<link rel="canonical" href="https://packages.example.org/about/">' in behind.get("/faq/").text
    plain_app = make_app().test_client()
    assert '<link rel="canonical" href="http://localhost/packages/">' in plain_app.get("/packages/").text


def test_the_sites_name_and_subject_are_settings(make_app: Callable[..., Flask]) -> None:
    html = make_app(SITE_TITLE="Flaskery", SITE_SUBJECT="").test_client().get("/").text
    assert "Flaskery" in html
    assert "Django" not in html
    assert "  packages" not in html
