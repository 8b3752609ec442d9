"""The pages that add and edit packages."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from html import unescape
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select
from sqlalchemy.orm import Session
from werkzeug.test import TestResponse

from pkgsite.models import Flag, GridPackage, Package, PendingEdit, Revision, UsingSite
from pkgsite.rules.texts import clean_line
from tests.factories import NOW, make_category, make_grid, make_package
from tests.fakes.github import FakeGitHub
from tests.fakes.pypi import FakePyPI
from tests.jobs.fake_hosts import TOKEN
from tests.queries import recorded_queries
from tests.users import CsrfClient, make_user
from tests.views.conftest import visible_text
from tests.views.varied_site import make_many_packages

PACKAGE_FORM = {"title": "One", "category": "apps", "repo_url": "https://github.com/ada/one"}
HOSTILE = (
    "<script>alert(1)</script>", "x" * 10_000, "\x00", "a\x00\x07b", "\u202eabc\u2066", "שלום", "'; DROP TABLE a; --",
    "{{ 7*7 }}", "\ud7ff\ufffe", "é" * 140, "%s%n", "../../etc/passwd", "javascript:alert(1)", "\n\n", "1e999", "null",
)  # fmt: skip


def page_text(response: TestResponse) -> str:
    return visible_text(response.get_data(as_text=True))


def field_value(response: TestResponse, name: str) -> str:
    match = re.search(rf'<input[^>]*name="{name}"[^>]*value="([^"]*)"', response.get_data(as_text=True))
    assert match, name
    return unescape(match.group(1))


@pytest.fixture
def ada(app: Flask, session: Session) -> CsrfClient:
    make_category(session, "apps", title="App")
    user = make_user(session)
    session.commit()
    return CsrfClient(app, user)


def count(session: Session, model: type[Any]) -> int:
    session.rollback()
    return session.scalar(select(func.count()).select_from(model)) or 0


def edit_form_data(visitor: CsrfClient, current_slug: str = "one", **submitted: str) -> dict[str, str]:
    """Return the data of a package's edit form with some fields changed."""
    response = visitor.get(f"/packages/{current_slug}/edit/")
    names = (
        "title",
        "slug",
        "repo_url",
        "repo_directory",
        "pypi_url",
        "documentation_url",
        "replaced_by",
        "package_id",
        "version",
    )
    return {name: field_value(response, name) for name in names} | {"category": "apps"} | submitted


def test_anonymous_visitors_are_sent_to_the_login_page(app: Flask, session: Session) -> None:
    make_package(session, "one")
    session.commit()
    anonymous = CsrfClient(app)
    for path in ("/packages/add/", "/packages/one/edit/", "/packages/one/flag/", "/packages/one/sites/add/",
                 "/packages/one/documentation/edit/"):  # fmt: skip
        response = anonymous.get(path)
        assert response.status_code == 302
        assert "login" in response.headers["Location"]
        assert anonymous.post(path, {"title": "x"}).status_code == 401
    for path in ("/packages/add/validate/", "/packages/one/usage/", "/packages/one/favourite/",
                 "/packages/one/flag/withdraw/", "/packages/usage/one/add/", "/favorites/add/1/"):  # fmt: skip
        assert anonymous.post(path, {"value": "add"}).status_code == 401
    assert "Log in to edit" in page_text(anonymous.get("/packages/p/one/"))
    assert count(session, Revision) == 0


def test_adding_a_package_requires_a_csrf_token(ada: CsrfClient, session: Session) -> None:
    assert ada.client.post("/packages/add/", data=PACKAGE_FORM).status_code == 403
    assert count(session, Package) == 0


@pytest.fixture
def fake_hosts(
    make_app: Callable[..., Flask], serve_app: Callable[[Any], str], session: Session
) -> tuple[CsrfClient, Any, Any]:
    """A client of a site with a fake code host and a fake PyPI, and the two fakes."""
    github, pypi = FakeGitHub(TOKEN), FakePyPI()
    api, index = serve_app(github), serve_app(pypi)
    host = index.removeprefix("http://")
    app = make_app(
        CODE_HOSTS=f"github.com github {api}",
        CODE_HOST_TOKENS=f"github.com={TOKEN}",
        PACKAGE_INDEX_URL=index,
        DOWNLOAD_COUNTS_URL=index,
        ALLOWED_HOSTS_OUT=f"{host},{api.removeprefix('http://')}",
    )
    make_category(session, "apps")
    user = make_user(session)
    session.commit()
    return CsrfClient(app, user), github, pypi


def test_the_form_is_filled_in_from_the_code_host(fake_hosts: tuple[CsrfClient, Any, Any]) -> None:
    ada, github, pypi = fake_hosts
    github.add("Ada/One")
    pypi.add("One", "1.0", summary="Does one thing", project_urls={"Source": "https://github.com/ada/one.git"})
    response = ada.post("/packages/add/validate/", {"reference": "git@github.com:ada/ONE.git"})
    assert response.status_code == 200
    assert field_value(response, "pypi_url") == field_value(response, "title") == "One"
    assert field_value(response, "slug") == "one"
    assert field_value(response, "repo_url").lower() == "https://github.com/ada/one"
    assert "Does one thing" in page_text(response)


def test_the_form_is_filled_in_from_pypi(fake_hosts: tuple[CsrfClient, Any, Any]) -> None:
    ada, github, pypi = fake_hosts
    github.add("ada/one")
    pypi.add("Django-One", "1.0", project_urls={"Code": "https://github.com/ada/one/"}, docs_url="https://d.example/")
    response = ada.post("/packages/add/validate/", {"reference": "pip install django_one"})
    assert [field_value(response, name) for name in ("title", "pypi_url", "repo_url", "slug")] == [
        "Django-One", "Django-One", "https://github.com/ada/one", "django-one",
    ]  # fmt: skip


def test_a_pypi_project_with_another_repository_is_not_used(fake_hosts: tuple[CsrfClient, Any, Any]) -> None:
    ada, github, pypi = fake_hosts
    github.add("ada/one")
    pypi.add("one", "1.0", project_urls={"Source": "https://github.com/bob/one"})
    response = ada.post("/packages/add/validate/", {"reference": "https://github.com/ada/one"})
    assert 'name="pypi_url"' in response.get_data(as_text=True)
    assert not re.search(r'name="pypi_url"[^>]*value="[^"]', response.get_data(as_text=True))


@pytest.mark.parametrize(
    ("reference", "expected"),
    [
        ("https://github.com/no/such", "was not found on github.com"),
        ("no-such-project", "The project “no-such-project” was not found"),
        ("https://git.example.org/a/b", "git.example.org is not a supported code host"),
    ],
)
def test_the_form_is_shown_with_an_explanation_if_nothing_was_found(
    fake_hosts: tuple[CsrfClient, Any, Any], reference: str, expected: str
) -> None:
    response = fake_hosts[0].post("/packages/add/validate/", {"reference": reference})
    assert response.status_code == 200
    assert expected in page_text(response)
    assert field_value(response, "title")


def test_the_form_is_shown_if_hosts_cannot_be_reached(make_app: Callable[..., Flask], session: Session) -> None:
    make_category(session, "apps")
    user = make_user(session)
    session.commit()
    unreachable = "http://127.0.0.1:9"
    app = make_app(CODE_HOSTS=f"github.com github {unreachable}", CODE_HOST_TOKENS=f"github.com={TOKEN}",
                   PACKAGE_INDEX_URL=unreachable, ALLOWED_HOSTS_OUT="127.0.0.1:9")  # fmt: skip
    response = CsrfClient(app, user).post("/packages/add/validate/", {"reference": "https://github.com/ada/one"})
    assert response.status_code == 200
    assert "Could not connect to github.com. You can fill in the form manually." in page_text(response)


@pytest.mark.parametrize(
    "reference", ["https://github.com/ADA/One.git", "https://github.com/ada/one/issues", "One_Index"]
)
def test_the_lookup_links_to_an_existing_package(ada: CsrfClient, session: Session, reference: str) -> None:
    make_package(session, "one", title="The one", repo_url="https://github.com/ada/one", pypi_url="one-index")
    session.commit()
    response = ada.post("/packages/add/validate/", {"reference": reference})
    assert response.status_code == 200
    assert 'href="/packages/p/one/"' in response.get_data(as_text=True)
    assert "This package is already listed: The one" in page_text(response)


def test_another_package_of_a_listed_repository_is_confirmed(ada: CsrfClient, session: Session) -> None:
    make_package(session, "core", title="The core", repo_url="https://github.com/acme/mono", pypi_url="mono-core")
    session.commit()
    listed = ada.post("/packages/add/validate/", {"reference": "https://github.com/acme/mono"})
    link = "/packages/add/?by_hand=1&amp;repo_url=https://github.com/acme/mono"
    assert link in listed.get_data(as_text=True).replace("%3A", ":").replace("%2F", "/")
    form = ada.get("/packages/add/?by_hand=1&repo_url=https://github.com/acme/mono")
    assert "This repository is already listed as The core" in page_text(form)
    assert field_value(form, "repo_url") == "https://github.com/acme/mono"
    other = {**PACKAGE_FORM, "repo_url": "https://github.com/acme/mono/tree/main/extra", "pypi_url": "mono-extra"}
    unconfirmed = ada.post("/packages/add/", other)
    assert unconfirmed.status_code == 422
    assert "This repository is already listed as The core" in page_text(unconfirmed)
    assert ada.post("/packages/add/", {**other, "is_another_package": "y"}).status_code == 303
    assert re.search(r"Directory\s+extra", page_text(ada.get("/packages/p/one/")))
    duplicate = ada.post("/packages/add/", {**other, "title": "Again", "is_another_package": "y", "pypi_url": ""})
    assert (duplicate.status_code, "enter the PyPI project" in page_text(duplicate)) == (422, True)


def test_moving_a_package_into_a_listed_repository_is_confirmed(ada: CsrfClient, session: Session) -> None:
    make_package(session, "core", title="The core", repo_url="https://github.com/acme/mono", pypi_url="mono-core")
    make_package(session, "one", pypi_url="mono-extra")
    session.commit()
    edited = edit_form_data(ada, repo_url="https://github.com/acme/mono", repo_directory="extra")
    unconfirmed = ada.post("/packages/one/edit/", edited)
    assert (unconfirmed.status_code, "already listed as The core" in page_text(unconfirmed)) == (422, True)
    assert ada.post("/packages/one/edit/", {**edited, "is_another_package": "y"}).status_code == 303
    session.rollback()
    package = session.scalars(select(Package).where(Package.slug == "one")).one()
    assert (package.repo_url, package.repo_directory) == ("https://github.com/acme/mono", "extra")
    assert 'name="is_another_package"' not in ada.get("/packages/one/edit/").get_data(as_text=True)


@pytest.mark.parametrize("reference", ["", "javascript:alert(1)//a", "<script>", "https://github.com/one", *HOSTILE])
def test_an_invalid_reference_is_rejected_with_a_field_error(ada: CsrfClient, reference: str) -> None:
    response = ada.post("/packages/add/validate/", {"reference": reference})
    cleaned = clean_line(reference, 20_000)
    is_possible_name = cleaned.isalnum() and cleaned.isascii() and len(cleaned) < 2000
    assert response.status_code == (200 if is_possible_name else 422)


def test_a_package_is_added_to_a_grid(ada: CsrfClient, session: Session) -> None:
    grid = make_grid(session, "caching")
    session.commit()
    for param in ("grid", "grid_slug"):
        assert "will be added to the grid Caching" in page_text(ada.get(f"/packages/add/?{param}=caching"))
    response = ada.post("/packages/add/", {**PACKAGE_FORM, "grid": "caching"})
    assert (response.status_code, response.headers["Location"]) == (303, "/packages/p/one/")
    assert session.scalars(select(GridPackage.grid_id)).all() == [grid.id]
    assert "now in the grid “Caching”" in page_text(ada.get("/packages/p/one/"))


def test_a_new_package_is_not_added_to_a_locked_grid(ada: CsrfClient, session: Session) -> None:
    make_grid(session, "locked", is_locked=True)
    session.commit()
    assert "is locked" in page_text(ada.get("/packages/add/?grid=locked"))
    assert "Grid not found" in page_text(ada.get("/packages/add/?grid=none"))
    assert ada.post("/packages/add/", {**PACKAGE_FORM, "grid": "locked"}).status_code == 303
    assert count(session, GridPackage) == 0


def test_an_invalid_form_keeps_the_submitted_values(ada: CsrfClient) -> None:
    response = ada.post(
        "/packages/add/", {**PACKAGE_FORM, "repo_url": "nowhere", "documentation_url": "https://d.example"}
    )
    assert response.status_code == 422
    assert field_value(response, "documentation_url") == "https://d.example"
    assert field_value(response, "repo_url") == "nowhere"
    assert "must include a host name" in page_text(response)


def test_an_edit_is_saved_and_shown(ada: CsrfClient, session: Session) -> None:
    ada.post("/packages/add/", PACKAGE_FORM)
    response = ada.post("/packages/one/edit/", edit_form_data(ada, title="Two", slug="two", reason="Renamed"))
    assert response.headers["Location"] == "/packages/p/two/"
    assert "Two" in page_text(ada.get("/packages/p/two/"))
    assert ada.get("/packages/p/one/").headers["Location"] == "/packages/p/two/"
    assert ada.get("/packages/one/edit/").headers["Location"] == "/packages/two/edit/"
    session.rollback()
    assert session.scalars(select(Revision.reason).order_by(Revision.id)).all()[-1] == "Renamed"
    same = ada.post("/packages/two/edit/", edit_form_data(ada, "two"))
    assert same.status_code == 303
    assert count(session, Revision) == 2


def test_conflicting_package_edits_are_shown_side_by_side(ada: CsrfClient, app: Flask, session: Session) -> None:
    ada.post("/packages/add/", PACKAGE_FORM)
    user = make_user(session, "bob")
    session.commit()
    bob = CsrfClient(app, user)
    outdated = edit_form_data(bob, title="Bob's", documentation_url="https://bob.example")
    ada.post("/packages/one/edit/", edit_form_data(ada, title="Ada's", slug="ada-s"))
    response = bob.post("/packages/one/edit/", outdated)  # the slug has changed in the meantime
    assert response.status_code == 409
    assert re.search(r"ada changed this .*while you were editing", page_text(response))
    assert re.search(r"Current version Ada's Your version Bob's", page_text(response))
    assert field_value(response, "title") == "Bob's"
    assert field_value(response, "documentation_url") == "https://bob.example"
    session.rollback()
    assert session.scalars(select(Package.title)).one() == "Ada's"
    resubmitted = {
        name: field_value(response, name)
        for name in ("title", "slug", "repo_url", "documentation_url", "version", "package_id")
    }
    assert bob.post("/packages/ada-s/edit/", resubmitted | {"category": "apps"}).status_code == 303
    session.rollback()
    assert session.scalars(select(Package.title)).one() == "Bob's"


@pytest.mark.parametrize("version", ["", "x", "99999999999999999999", "-1"])
def test_a_form_without_a_valid_version_is_a_conflict(ada: CsrfClient, session: Session, version: str) -> None:
    ada.post("/packages/add/", PACKAGE_FORM)
    assert ada.post("/packages/one/edit/", edit_form_data(ada, title="Two", version=version)).status_code == 409
    assert session.scalars(select(Package.title)).one() == "One"


def test_the_documentation_url_has_its_own_form(ada: CsrfClient, app: Flask, session: Session) -> None:
    ada.post("/packages/add/", PACKAGE_FORM)
    version = field_value(ada.get("/packages/one/documentation/edit/"), "version")
    path = "/packages/one/documentation/edit/"
    assert ada.post(path, {"documentation_url": "javascript:x", "version": version}).status_code == 422
    assert ada.post(path, {"documentation_url": "https://d.example", "version": version}).status_code == 303
    conflict = ada.post(path, {"documentation_url": "https://e.example", "version": version})
    assert conflict.status_code == 409
    assert re.search(r"Current version https://d.example Your version https://e.example", page_text(conflict))


def test_first_edits_are_queued_for_review(make_app: Callable[..., Flask], session: Session) -> None:
    app = make_app(REVIEW_FIRST_EDITS="1")
    make_category(session, "apps")
    user = make_user(session)
    session.commit()
    ada = CsrfClient(app, user)
    response = ada.post("/packages/add/", PACKAGE_FORM)
    assert response.headers["Location"] == "/moderation/yours/"
    assert "Thank you. A moderator reviews" in page_text(ada.get("/moderation/yours/"))
    assert (count(session, Package), count(session, PendingEdit), count(session, Revision)) == (0, 1, 0)
    assert ada.post("/packages/add/", {**PACKAGE_FORM, "title": ""}).status_code == 422


PACKAGE_FIELDS = ("title", "slug", "category", "repo_url", "pypi_url", "documentation_url", "replaced_by", "reason",
                  "version", "package_id", "grid")  # fmt: skip


@pytest.mark.long
@pytest.mark.parametrize("hostile", HOSTILE)
def test_hostile_text_is_escaped_or_rejected(ada: CsrfClient, session: Session, hostile: str) -> None:
    """Half of the fields on each database; which ones alternates from text to text."""
    first = (HOSTILE.index(hostile) + (session.get_bind().dialect.name == "sqlite")) % 2
    check_hostile_text(ada, session, hostile, PACKAGE_FIELDS[first::2])


@pytest.mark.slow
@pytest.mark.parametrize("hostile", HOSTILE)
def test_hostile_text_is_escaped_or_rejected_in_every_field(ada: CsrfClient, session: Session, hostile: str) -> None:
    check_hostile_text(ada, session, hostile, PACKAGE_FIELDS)


def check_hostile_text(ada: CsrfClient, session: Session, hostile: str, names: Sequence[str]) -> None:
    ada.post("/packages/add/", PACKAGE_FORM)
    form: dict[str, str] = {}
    for name in names:
        added = ada.post("/packages/add/", {**PACKAGE_FORM, "repo_url": "https://github.com/a/b", name: hostile})
        form = form or edit_form_data(ada)
        edited = ada.post("/packages/one/edit/", form | {name: hostile})
        for response in (added, edited):
            assert response.status_code in {303, 409, 422}, name
            assert b"<script>alert" not in response.data
        session.rollback()
        for package in session.scalars(select(Package).where(Package.slug != "one")).all():
            assert ada.get(f"/packages/p/{package.slug}/").status_code == 200
            session.delete(session.get_one(Package, package.id))
            session.commit()
        if edited.status_code == 303:
            form = {}


@pytest.mark.parametrize("role", ["user", "moderator"])
def test_the_package_page_has_a_fixed_number_of_queries(app: Flask, session: Session, role: str) -> None:
    make_many_packages(session, 3)
    user = make_user(session, "zed", role=role)
    session.commit()
    zed, query_counts = CsrfClient(app, user), []
    for flags in (0, 5):
        package = session.scalars(select(Package).where(Package.slug == "many-000")).one()
        _add_flags_and_sites(session, package.id, user.id, flags)
        with recorded_queries(app) as statements:
            assert zed.get("/packages/p/many-000/").status_code == 200
        query_counts.append(len(statements))
    assert query_counts[0] == query_counts[1] <= 11 + 3 + 2  # the viewer's own records, and the current user


def _add_flags_and_sites(session: Session, package_id: int, user_id: int, count: int) -> None:
    for index in range(count):
        other = make_user(session, f"other-{index}")
        session.add(Flag(package_id=package_id, user_id=other.id, kind="spam", reason="x", created_at=NOW))
        session.add(UsingSite(package_id=package_id, title="x", url="https://x.example", created_at=NOW,
                              created_by_id=user_id))  # fmt: skip
    session.commit()
