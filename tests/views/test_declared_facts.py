"""What the source tree of a package declares is shown on a fresh site, marked with its source."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select
from sqlalchemy.orm import Session

from pkgsite.clients.base import IndexFacts, RepoFacts
from pkgsite.clock import utc_now
from pkgsite.models import Package
from pkgsite.rules.declarations import parse_declarations
from pkgsite.services.importing.catalogue import BUNDLED_DECLARATIONS, load_catalogue
from pkgsite.services.refresh.apply import apply_facts
from tests.views.conftest import FetchPage, link_targets, visible_text
from tests.views.test_grid_pages import columns_in, row_in

INDEX_FACTS = IndexFacts(
    name="django-modelcluster",
    version="6.4.1",
    released_at=None,
    releases=(),
    summary=None,
    licence="MIT",
    licences=("MIT",),
    classifiers=("Framework :: Django :: 5.2",),
    requires_python=">=3.12",
    supports_python3=True,
    development_status=4,
    documentation_url=None,
    project_urls={"Source": "https://github.com/example/source"},
    requires_dist=None,
    vulnerabilities=None,
)


@pytest.fixture(autouse=True)
def _catalogue(session: Session) -> None:
    load_catalogue(session, None, now=utc_now())
    session.commit()


def package(session: Session, slug: str) -> Package:
    return session.scalars(select(Package).where(Package.slug == slug)).one()


def test_the_page_shows_declared_facts_with_their_source(fetch_page: FetchPage) -> None:
    html = fetch_page("/packages/p/django-modelcluster/")
    text = visible_text(html)
    assert "Version 6.4.1" in text
    assert "Licence BSD-3-Clause declared in pyproject.toml 6.5" in text
    assert "Python >=3.10 declared in pyproject.toml 6.5" in text
    assert "Status Stable declared in pyproject.toml 6.5" in text
    assert "Changelog GitHub declared in pyproject.toml 6.5" in text
    commit = "fef1604656d9c146077958e32a86cd8138ee30de"
    assert f"https://github.com/wagtail/django-modelcluster/blob/{commit}/pyproject.toml" in link_targets(html)


def test_a_file_without_a_version_is_named_with_its_commit(fetch_page: FetchPage) -> None:
    text = visible_text(fetch_page("/packages/p/django-messages/"))
    assert "Licence BSD License declared in setup.py at 2efe00c" in text
    assert "Status Beta declared in setup.py at 2efe00c" in text
    assert "Python unknown" in text


def test_nothing_is_invented_for_packages_without_a_packaging_file(session: Session, fetch_page: FetchPage) -> None:
    declared = parse_declarations(BUNDLED_DECLARATIONS.read_bytes())
    slug = session.scalars(select(Package.slug).where(Package.slug.not_in(declared)).order_by(Package.id)).first()
    text = visible_text(fetch_page(f"/packages/p/{slug}/"))
    assert "declared in" not in text
    assert "Licence unknown" in text


def test_grids_show_declared_facts_with_their_source(
    session: Session, fetch_page: FetchPage, client: FlaskClient
) -> None:
    html = fetch_page(grid_of(client, "django-modelcluster"))
    column = columns_in(html).index("django-modelcluster")
    values = {title: row_in(html, title)[column] for title in ("Python 3", "Python versions", "Licence")}
    assert values == {
        "Python 3": "yes declared in pyproject.toml 6.5",
        "Python versions": ">=3.10 declared in pyproject.toml 6.5",
        "Licence": "BSD-3-Clause declared in pyproject.toml 6.5",
    }
    assert row_in(html, "Development status")[column] == "Stable declared in pyproject.toml 6.5"
    assert row_in(html, "Version")[column] == "6.4.1"


def test_only_stable_packages_include_those_that_declare_it(fetch_page: FetchPage, client: FlaskClient) -> None:
    html = fetch_page(f"{grid_of(client, 'django-modelcluster')}?stable=1")
    assert "django-modelcluster" in columns_in(html)
    assert {cell.partition(" ")[0] for cell in row_in(html, "Development status")} == {"Stable"}


def grid_of(client: FlaskClient, slug: str) -> str:
    """Return the path of the page of a package's first grid."""
    grid_url = client.get(f"/api/v4/packages/{slug}/").get_json()["grids"][0]
    slug = client.get(grid_url.removeprefix("http://localhost")).get_json()["slug"]
    return f"/grids/g/{slug}/"


def test_the_first_fetch_replaces_declared_facts(session: Session, fetch_page: FetchPage) -> None:
    apply_facts(session, package(session, "django-modelcluster"), INDEX_FACTS, now=utc_now())
    session.commit()
    text = visible_text(fetch_page("/packages/p/django-modelcluster/"))
    assert "declared in" not in text
    for fact in ("Licence MIT", "Python >=3.12", "Django 5.2", "Status Beta", "Source GitHub"):
        assert fact in text, fact


def test_the_repository_replaces_declared_facts_of_a_package_without_a_project(
    session: Session, fetch_page: FetchPage
) -> None:
    assert "declared in" in visible_text(fetch_page("/packages/p/haystack-static-pages/"))
    apply_facts(session, package(session, "haystack-static-pages"), RepoFacts(licence="MIT"), now=utc_now())
    session.commit()
    text = visible_text(fetch_page("/packages/p/haystack-static-pages/"))
    assert "declared in" not in text
    assert "Licence MIT" in text


def test_the_licence_of_the_code_host_takes_precedence(session: Session, fetch_page: FetchPage) -> None:
    apply_facts(session, package(session, "django-modelcluster"), RepoFacts(licence="MIT"), now=utc_now())
    session.commit()
    text = visible_text(fetch_page("/packages/p/django-modelcluster/"))
    assert "Licence MIT Python >=3.10 declared in pyproject.toml 6.5" in text


def test_the_api_has_no_declared_facts(client: FlaskClient) -> None:
    recorded = (Path(__file__).parents[1] / "journeys" / "package-2235.txt").read_text()
    expected = json.loads("{" + recorded.partition("\n{")[2])
    record: dict[str, Any] = client.get("/api/v4/packages/2235/").get_json()
    urls = {"category", "grids"}  # these name the host
    assert {name: value for name, value in record.items() if name not in urls} == {
        name: value for name, value in expected.items() if name not in urls
    }
    detail = client.get("/api/v4/packages/2235/?expand=all").get_json()
    assert (detail["licence"], detail["licences"], detail["status"]["development_status"]) == (None, None, None)


def test_loading_the_catalogue_again_does_not_restore_declarations(session: Session) -> None:
    apply_facts(session, package(session, "django-modelcluster"), INDEX_FACTS, now=utc_now())
    session.commit()
    load_catalogue(session, None, now=utc_now())
    session.commit()
    assert package(session, "django-modelcluster").declared is None
