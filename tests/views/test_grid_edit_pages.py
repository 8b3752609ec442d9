"""The forms that create, edit, lock and delete grids, features and cells."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from flask import Flask
from sqlalchemy import select
from sqlalchemy.orm import Session

from pkgsite.models import Cell, Grid
from tests.factories import fill_cell, make_feature, make_grid, make_package
from tests.users import CsrfClient, make_user
from tests.views.conftest import visible_text


@pytest.fixture
def ada(app: Flask, session: Session) -> CsrfClient:
    user = make_user(session, "ada")
    session.commit()
    return CsrfClient(app, user)


@pytest.fixture
def moderator(app: Flask, session: Session) -> CsrfClient:
    user = make_user(session, "mod", role="moderator")
    session.commit()
    return CsrfClient(app, user)


@pytest.fixture
def cell_path(session: Session) -> str:
    """The path of the edit form of a cell with the text "yes"."""
    package = make_package(session, "one", title="One")
    grid = make_grid(session, "caching", (package,))
    feature = make_feature(session, grid, "Is fast")
    fill_cell(session, feature, package, "yes")
    session.commit()
    return f"/grids/element/caching/{package.id}/{feature.id}/"


def test_a_grid_is_created(ada: CsrfClient, session: Session) -> None:
    assert "Create a grid" in ada.get("/grids/add/").text
    response = ada.post("/grids/add/", {"title": "Caching", "slug": "", "description": "<b>fast</b>"})
    assert (response.status_code, response.location) == (303, "/grids/g/caching/")
    page = ada.get("/grids/g/caching/").text
    assert "&lt;b&gt;fast&lt;/b&gt;" in page
    assert "Grid “Caching” created." in page
    rejected = ada.post("/grids/add/", {"title": "", "slug": "caching", "description": "kept"})
    assert rejected.status_code == 422
    assert "kept" in rejected.text
    assert "used by another grid" in rejected.text


def test_conflicting_grid_edits_are_shown_side_by_side(ada: CsrfClient, session: Session) -> None:
    grid = make_grid(session, "caching", description="old")
    session.commit()
    form_data = {"title": "Caching", "slug": "caching", "description": "by the first", "version": str(grid.version)}
    assert ada.post("/grids/caching/edit/", form_data).status_code == 303
    conflict = ada.post("/grids/caching/edit/", form_data | {"description": "by <i>the</i> second"})
    assert conflict.status_code == 409
    page = visible_text(conflict.text)
    assert "Current version by the first" in page
    assert "Your version by <i>the</i> second" in page
    assert 'name="version" type="hidden" value="2"' in conflict.text
    assert ada.post("/grids/caching/edit/", form_data | {"description": "both", "version": "2"}).status_code == 303
    session.rollback()
    assert session.scalars(select(Grid.description)).all() == ["both"]


def test_an_old_slug_redirects_to_the_edit_form(ada: CsrfClient, session: Session) -> None:
    make_grid(session, "caching")
    session.commit()
    ada.post("/grids/caching/edit/", {"title": "Caches", "slug": "caches", "version": "1"})
    assert ada.get("/grids/caching/edit/").location == "/grids/caches/edit/"


def test_a_cell_is_edited_on_its_own_page(ada: CsrfClient, cell_path: str, session: Session) -> None:
    form = ada.get(cell_path).text
    assert re.search(r">\s*yes</textarea>", form)
    preview = ada.post(cell_path, {"text": "+2", "version": "1", "preview": "1"})
    assert "yes, strongly" in preview.text
    response = ada.post(cell_path, {"text": "no, <script>", "version": "1"})
    assert (response.status_code, response.location) == (303, "/grids/g/caching/")
    page = ada.get("/grids/g/caching/").text
    assert "&lt;script&gt;" in page
    conflict = ada.post(cell_path, {"text": "mine", "version": "1"})
    assert conflict.status_code == 409
    assert "Current version no, <script>" in visible_text(conflict.text)
    assert "mine" in conflict.text
    session.rollback()
    assert session.scalars(select(Cell.text)).all() == ["no, <script>"]


def test_a_cell_is_edited_in_place(ada: CsrfClient, cell_path: str) -> None:
    as_json = {"headers": {"Accept": "application/json"}}
    assert ada.get(cell_path, **as_json).json == {"text": "yes", "version": 1}
    saved = ada.post(cell_path, {"text": "no <b>", "version": "1"}, **as_json)
    assert (saved.status_code, saved.get_json()["version"]) == (200, 2)
    assert "&lt;b&gt;" in saved.get_json()["html"]
    conflict = ada.post(cell_path, {"text": "x", "version": "1"}, **as_json)
    assert (conflict.status_code, conflict.json) == (409, {"current": "no <b>", "by": "ada", "version": 2})
    long = ada.post(cell_path, {"text": "x" * 1001, "version": "2"}, **as_json)
    assert (long.status_code, list(long.get_json()["problems"])) == (422, ["text"])


def test_a_queued_cell_edit_explains_that_it_is_reviewed(
    make_app: Callable[..., Flask], cell_path: str, session: Session
) -> None:
    user = make_user(session, "new")
    session.commit()
    new_user = CsrfClient(make_app(REVIEW_FIRST_EDITS="1"), user)
    response = new_user.post(cell_path, {"text": "no", "version": "1"}, headers={"Accept": "application/json"})
    assert response.status_code == 200
    assert response.get_json()["version"] == 1
    assert "moderator reviews" in response.get_json()["notice"]
    assert "Thank you" not in new_user.get("/").text  # the notice is not repeated on the next page


def test_missing_cells_are_404(ada: CsrfClient, cell_path: str, session: Session) -> None:
    other = make_feature(session, make_grid(session, "other"))
    session.commit()
    for path in (f"/grids/element/caching/1/{other.id}/", "/grids/element/caching/4711/1/", "/grids/element/none/1/1/"):
        assert ada.get(path).status_code == 404
        assert ada.post(path, {"text": "x"}).status_code == 404


def test_packages_are_searched_added_and_removed(ada: CsrfClient, session: Session) -> None:
    make_grid(session, "caching", (make_package(session, "inside", title="Cache inside"),))
    outside = make_package(session, "outside", title="Cache <outside>")
    session.commit()
    results = ada.get("/grids/caching/package/add/?q=cache").text
    assert "Cache &lt;outside&gt;" in results
    assert "Cache inside" not in results
    assert "No packages match" in ada.get("/grids/caching/package/add/?q=%00zzz").text
    added = ada.post("/grids/caching/package/add/", {"package": str(outside.id)})
    assert added.location == "/grids/g/caching/"
    assert ada.post("/grids/caching/package/add/", {"package": "4711"}).status_code == 404
    assert ada.post("/grids/caching/package/add/", {"package": "x"}).status_code == 404
    removed = ada.post(f"/grids/package/caching/{outside.id}/delete/", {"reason": "by mistake"})
    assert removed.status_code == 303
    assert "outside" not in ada.get("/api/v4/grids/1/?expand=all").text


def test_features_are_added_edited_moved_and_deleted(ada: CsrfClient, session: Session) -> None:
    make_grid(session, "caching", (make_package(session),))
    session.commit()
    for title in ("One", "Two"):
        assert ada.post("/grids/feature/add/caching/", {"title": title, "description": ""}).status_code == 303
    assert ada.post("/grids/feature/add/caching/", {"title": ""}).status_code == 422
    assert ada.post("/grids/feature/1/", {"title": "First", "version": "1"}).status_code == 303
    conflict = ada.post("/grids/feature/1/", {"title": "Mine", "version": "1"})
    assert conflict.status_code == 409
    assert "Current version First" in visible_text(conflict.text)
    ada.post("/grids/feature/2/move/", {"to": "up"})
    page = ada.get("/grids/g/caching/").text
    assert page.index(">Two") < page.index(">First")
    assert ada.post("/grids/feature/2/delete/", {}).status_code == 303
    assert ada.get("/grids/feature/2/").status_code == 404


def test_a_locked_grid_is_read_only_for_users(ada: CsrfClient, moderator: CsrfClient, cell_path: str) -> None:
    assert ada.post("/grids/caching/lock/", {"locked": "yes"}).status_code == 403
    assert moderator.post("/grids/caching/lock/", {"locked": "yes"}).status_code == 303
    page = ada.get("/grids/g/caching/").text
    assert "Locked." in page
    assert "data-cell data-name=" not in page
    assert ada.get(cell_path).status_code == 403
    assert ada.post(cell_path, {"text": "x", "version": "1"}).status_code == 403
    assert "data-cell data-name=" in moderator.get("/grids/g/caching/").text
    assert moderator.post("/grids/caching/lock/", {"locked": "no"}).status_code == 303
    assert ada.get(cell_path).status_code == 200


def test_deleting_a_grid_redirects_to_its_history(moderator: CsrfClient, cell_path: str, session: Session) -> None:
    assert "Delete the grid" in moderator.get("/grids/caching/delete/").text
    response = moderator.post("/grids/caching/delete/", {"reason": "empty"})
    assert response.status_code == 303
    assert "/history/grid/" in response.location
    assert moderator.get(response.location).status_code == 200
    assert moderator.get("/grids/g/caching/").status_code == 404


def test_anonymous_visitors_are_asked_to_log_in(app: Flask, cell_path: str) -> None:
    anonymous = CsrfClient(app)
    page = anonymous.get("/grids/g/caching/").text
    assert "Log in to edit" in page
    assert "data-cell data-name=" not in page
    for path in ("/grids/add/", "/grids/caching/edit/", cell_path, "/grids/caching/package/add/"):
        assert "/account/login/?next=" in anonymous.get(path).location
        assert anonymous.post(path, {"title": "x"}).status_code == 401
