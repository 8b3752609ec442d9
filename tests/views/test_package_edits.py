"""The pages that add and change packages."""

from __future__ import annotations

import re
from collections.abc import Callable
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

HERE = {"title": "One", "category": "apps", "repo_url": "https://github.com/ada/one"}
HOSTILE = (
    "<script>alert(1)</script>", "x" * 10_000, "\x00", "a\x00\x07b", "\u202eabc\u2066", "שלום", "'; DROP TABLE a; --",
    "{{ 7*7 }}", "\ud7ff\ufffe", "é" * 140, "%s%n", "../../etc/passwd", "javascript:alert(1)", "\n\n", "1e999", "null",
)  # fmt: skip


def words(answer: TestResponse) -> str:
    return visible_text(answer.get_data(as_text=True))


def field(answer: TestResponse, name: str) -> str:
    found = re.search(rf'<input[^>]*name="{name}"[^>]*value="([^"]*)"', answer.get_data(as_text=True))
    assert found, name
    return unescape(found.group(1))


@pytest.fixture
def ada(app: Flask, session: Session) -> CsrfClient:
    make_category(session, "apps", title="App")
    user = make_user(session)
    session.commit()
    return CsrfClient(app, user)


def count(session: Session, model: type[Any]) -> int:
    session.rollback()
    return session.scalar(select(func.count()).select_from(model)) or 0


def form_of(visitor: CsrfClient, at: str = "one", **typed: str) -> dict[str, str]:
    """Return what the edit form of a package sends, with these fields typed anew."""
    answer = visitor.get(f"/packages/{at}/edit/")
    names = ("title", "slug", "repo_url", "pypi_url", "documentation_url", "replaced_by", "package_id", "version")
    return {name: field(answer, name) for name in names} | {"category": "apps"} | typed


def test_who_is_not_logged_in_is_sent_to_log_in(app: Flask, session: Session) -> None:
    make_package(session, "one")
    session.commit()
    nobody = CsrfClient(app)
    for path in ("/packages/add/", "/packages/one/edit/", "/packages/one/flag/", "/packages/one/sites/add/",
                 "/packages/one/documentation/edit/"):  # fmt: skip
        answer = nobody.get(path)
        assert answer.status_code == 302
        assert "login" in answer.headers["Location"]
        assert nobody.post(path, {"title": "x"}).status_code == 403
    for path in ("/packages/add/validate/", "/packages/one/usage/", "/packages/one/favourite/",
                 "/packages/one/flag/withdraw/", "/packages/usage/one/add/", "/favorites/add/1/"):  # fmt: skip
        assert nobody.post(path, {"value": "add"}).status_code == 403
    assert "Log in to edit" in words(nobody.get("/packages/p/one/"))
    assert count(session, Revision) == 0


def test_without_a_token_nothing_is_done(ada: CsrfClient, session: Session) -> None:
    assert ada.client.post("/packages/add/", data=HERE).status_code == 403
    assert count(session, Package) == 0


@pytest.fixture
def world(
    make_app: Callable[..., Flask], serve_app: Callable[[Any], str], session: Session
) -> tuple[CsrfClient, Any, Any]:
    """A visitor of a site that can ask a code host and an index."""
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


def test_the_form_comes_filled_from_the_code_host(world: tuple[CsrfClient, Any, Any]) -> None:
    ada, github, pypi = world
    github.add("Ada/One")
    pypi.add("One", "1.0", summary="Does one thing", project_urls={"Source": "https://github.com/ada/one.git"})
    answer = ada.post("/packages/add/validate/", {"reference": "git@github.com:ada/ONE.git"})
    assert answer.status_code == 200
    assert field(answer, "pypi_url") == field(answer, "title") == "One"
    assert field(answer, "slug") == "one"
    assert field(answer, "repo_url").lower() == "https://github.com/ada/one"
    assert "Does one thing" in words(answer)


def test_the_form_comes_filled_from_the_index(world: tuple[CsrfClient, Any, Any]) -> None:
    ada, github, pypi = world
    github.add("ada/one")
    pypi.add("Django-One", "1.0", project_urls={"Code": "https://github.com/ada/one/"}, docs_url="https://d.example/")
    answer = ada.post("/packages/add/validate/", {"reference": "pip install django_one"})
    assert [field(answer, name) for name in ("title", "pypi_url", "repo_url", "slug")] == [
        "Django-One", "Django-One", "https://github.com/ada/one", "django-one",
    ]  # fmt: skip


def test_a_project_of_the_same_name_elsewhere_is_not_taken(world: tuple[CsrfClient, Any, Any]) -> None:
    ada, github, pypi = world
    github.add("ada/one")
    pypi.add("one", "1.0", project_urls={"Source": "https://github.com/bob/one"})
    answer = ada.post("/packages/add/validate/", {"reference": "https://github.com/ada/one"})
    assert 'name="pypi_url"' in answer.get_data(as_text=True)
    assert not re.search(r'name="pypi_url"[^>]*value="[^"]', answer.get_data(as_text=True))


@pytest.mark.parametrize(
    ("where", "told"),
    [
        ("https://github.com/no/such", "was not found on github.com"),
        ("no-such-project", "The project “no-such-project” was not found"),
        ("https://git.example.org/a/b", "git.example.org is not a supported code host"),
    ],
)
def test_what_can_t_be_asked_is_told_and_the_form_is_there(
    world: tuple[CsrfClient, Any, Any], where: str, told: str
) -> None:
    answer = world[0].post("/packages/add/validate/", {"reference": where})
    assert answer.status_code == 200
    assert told in words(answer)
    assert field(answer, "title")


def test_hosts_that_are_not_reached(make_app: Callable[..., Flask], session: Session) -> None:
    make_category(session, "apps")
    user = make_user(session)
    session.commit()
    closed = "http://127.0.0.1:9"
    app = make_app(CODE_HOSTS=f"github.com github {closed}", CODE_HOST_TOKENS=f"github.com={TOKEN}",
                   PACKAGE_INDEX_URL=closed, ALLOWED_HOSTS_OUT="127.0.0.1:9")  # fmt: skip
    answer = CsrfClient(app, user).post("/packages/add/validate/", {"reference": "https://github.com/ada/one"})
    assert answer.status_code == 200
    assert "Could not connect to github.com. You can fill in the form manually." in words(answer)


@pytest.mark.parametrize("where", ["https://github.com/ADA/One.git", "https://github.com/ada/one/issues", "One_Index"])
def test_what_is_here_already_is_linked(ada: CsrfClient, session: Session, where: str) -> None:
    make_package(session, "one", title="The one", repo_url="https://github.com/ada/one", pypi_url="one-index")
    session.commit()
    answer = ada.post("/packages/add/validate/", {"reference": where})
    assert answer.status_code == 200
    assert 'href="/packages/p/one/"' in answer.get_data(as_text=True)
    assert "This package is already listed: The one" in words(answer)


@pytest.mark.parametrize("where", ["", "javascript:alert(1)//a", "<script>", "https://github.com/one", *HOSTILE])
def test_what_is_no_place_is_told_on_the_field(ada: CsrfClient, where: str) -> None:
    answer = ada.post("/packages/add/validate/", {"reference": where})
    cleaned = clean_line(where, 20_000)
    may_be_a_name = cleaned.isalnum() and cleaned.isascii() and len(cleaned) < 2000
    assert answer.status_code == (200 if may_be_a_name else 422)


def test_a_package_is_added_into_a_grid(ada: CsrfClient, session: Session) -> None:
    grid = make_grid(session, "caching")
    session.commit()
    for asked in ("grid", "grid_slug"):
        assert "will be added to the grid Caching" in words(ada.get(f"/packages/add/?{asked}=caching"))
    answer = ada.post("/packages/add/", {**HERE, "grid": "caching"})
    assert (answer.status_code, answer.headers["Location"]) == (303, "/packages/p/one/")
    assert session.scalars(select(GridPackage.grid_id)).all() == [grid.id]
    assert "now in the grid “Caching”" in words(ada.get("/packages/p/one/"))


def test_a_locked_grid_is_told_and_the_package_comes_without_it(ada: CsrfClient, session: Session) -> None:
    make_grid(session, "locked", is_locked=True)
    session.commit()
    assert "is locked" in words(ada.get("/packages/add/?grid=locked"))
    assert "Grid not found" in words(ada.get("/packages/add/?grid=none"))
    assert ada.post("/packages/add/", {**HERE, "grid": "locked"}).status_code == 303
    assert count(session, GridPackage) == 0


def test_a_refusal_keeps_what_was_typed(ada: CsrfClient) -> None:
    answer = ada.post("/packages/add/", {**HERE, "repo_url": "nowhere", "documentation_url": "https://d.example"})
    assert answer.status_code == 422
    assert field(answer, "documentation_url") == "https://d.example"
    assert field(answer, "repo_url") == "nowhere"
    assert "must include a host name" in words(answer)


def test_an_edit_is_shown(ada: CsrfClient, session: Session) -> None:
    ada.post("/packages/add/", HERE)
    answer = ada.post("/packages/one/edit/", form_of(ada, title="Two", slug="two", reason="Renamed"))
    assert answer.headers["Location"] == "/packages/p/two/"
    assert "Two" in words(ada.get("/packages/p/two/"))
    assert ada.get("/packages/p/one/").headers["Location"] == "/packages/p/two/"
    assert ada.get("/packages/one/edit/").headers["Location"] == "/packages/two/edit/"
    session.rollback()
    assert session.scalars(select(Revision.reason).order_by(Revision.id)).all()[-1] == "Renamed"
    same = ada.post("/packages/two/edit/", form_of(ada, "two"))
    assert same.status_code == 303
    assert count(session, Revision) == 2


def test_two_browsers_edit_the_same_package(ada: CsrfClient, app: Flask, session: Session) -> None:
    ada.post("/packages/add/", HERE)
    user = make_user(session, "bob")
    session.commit()
    bob = CsrfClient(app, user)
    theirs = form_of(bob, title="Bob's", documentation_url="https://bob.example")
    ada.post("/packages/one/edit/", form_of(ada, title="Ada's", slug="ada-s"))
    answer = bob.post("/packages/one/edit/", theirs)  # the package has another address by now
    assert answer.status_code == 409
    assert "ada changed this while you were editing" in words(answer)
    assert re.search(r"Current version Ada's Your version Bob's", words(answer))
    assert field(answer, "title") == "Bob's"
    assert field(answer, "documentation_url") == "https://bob.example"
    session.rollback()
    assert session.scalars(select(Package.title)).one() == "Ada's"
    again = {
        name: field(answer, name)
        for name in ("title", "slug", "repo_url", "documentation_url", "version", "package_id")
    }
    assert bob.post("/packages/ada-s/edit/", again | {"category": "apps"}).status_code == 303
    session.rollback()
    assert session.scalars(select(Package.title)).one() == "Bob's"


@pytest.mark.parametrize("version", ["", "x", "99999999999999999999", "-1"])
def test_a_form_that_says_no_version_saves_nothing(ada: CsrfClient, session: Session, version: str) -> None:
    ada.post("/packages/add/", HERE)
    assert ada.post("/packages/one/edit/", form_of(ada, title="Two", version=version)).status_code == 409
    assert session.scalars(select(Package.title)).one() == "One"


def test_the_documentation_alone(ada: CsrfClient, app: Flask, session: Session) -> None:
    ada.post("/packages/add/", HERE)
    version = field(ada.get("/packages/one/documentation/edit/"), "version")
    path = "/packages/one/documentation/edit/"
    assert ada.post(path, {"documentation_url": "javascript:x", "version": version}).status_code == 422
    assert ada.post(path, {"documentation_url": "https://d.example", "version": version}).status_code == 303
    late = ada.post(path, {"documentation_url": "https://e.example", "version": version})
    assert late.status_code == 409
    assert re.search(r"Current version https://d.example Your version https://e.example", words(late))


def test_first_edits_are_held(make_app: Callable[..., Flask], session: Session) -> None:
    app = make_app(REVIEW_FIRST_EDITS="1")
    make_category(session, "apps")
    user = make_user(session)
    session.commit()
    ada = CsrfClient(app, user)
    answer = ada.post("/packages/add/", HERE)
    assert answer.headers["Location"] == "/moderation/yours/"
    assert "reviewed by a moderator" in words(ada.get("/moderation/yours/"))
    assert (count(session, Package), count(session, PendingEdit), count(session, Revision)) == (0, 1, 0)
    assert ada.post("/packages/add/", {**HERE, "title": ""}).status_code == 422


@pytest.mark.long
@pytest.mark.parametrize("hostile", HOSTILE)
def test_hostile_words_are_kept_as_words_or_refused(ada: CsrfClient, session: Session, hostile: str) -> None:
    ada.post("/packages/add/", HERE)
    for name in ("title", "slug", "category", "repo_url", "pypi_url", "documentation_url", "replaced_by", "reason",
                 "version", "package_id", "grid"):  # fmt: skip
        added = ada.post("/packages/add/", {**HERE, "repo_url": "https://github.com/a/b", name: hostile})
        edited = ada.post("/packages/one/edit/", form_of(ada) | {name: hostile})
        for answer in (added, edited):
            assert answer.status_code in {303, 409, 422}, name
            assert b"<script>alert" not in answer.data
        session.rollback()
        for package in session.scalars(select(Package).where(Package.slug != "one")).all():
            assert ada.get(f"/packages/p/{package.slug}/").status_code == 200
            session.delete(session.get_one(Package, package.id))
            session.commit()


@pytest.mark.parametrize("role", ["user", "moderator"])
def test_the_page_costs_the_same_whatever_there_is(app: Flask, session: Session, role: str) -> None:
    make_many_packages(session, 3)
    user = make_user(session, "zed", role=role)
    session.commit()
    zed, costs = CsrfClient(app, user), []
    for flags in (0, 5):
        package = session.scalars(select(Package).where(Package.slug == "many-000")).one()
        _flag_and_list(session, package.id, user.id, flags)
        with recorded_queries(app) as statements:
            assert zed.get("/packages/p/many-000/").status_code == 200
        costs.append(len([one for one in statements if not one.startswith("BEGIN")]))
    assert costs[0] == costs[1] <= 11 + 3 + 2  # what is one's own, and who looks


def _flag_and_list(session: Session, package_id: int, user_id: int, number: int) -> None:
    for one in range(number):
        other = make_user(session, f"other-{one}")
        session.add(Flag(package_id=package_id, user_id=other.id, kind="spam", reason="x", created_at=NOW))
        session.add(UsingSite(package_id=package_id, title="x", url="https://x.example", created_at=NOW,
                              created_by_id=user_id))  # fmt: skip
    session.commit()
