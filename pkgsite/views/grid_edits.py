"""Forms that make and change grids, their features, their packages and their cells."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import Blueprint, flash, get_template_attribute, jsonify, redirect, render_template, request
from werkzeug.wrappers import Response

from pkgsite.errors import Conflict, Forbidden, Invalid
from pkgsite.extensions import db
from pkgsite.forms import show_refusal
from pkgsite.forms.grids import CellForm, FeatureForm, GridForm
from pkgsite.rules.grid_cells import read_cell
from pkgsite.services.acts import Held
from pkgsite.services.grid_edits import LONGEST_TEXT
from pkgsite.services.grid_pages import (
    CellToEdit,
    GridToEdit,
    cell_to_edit,
    feature_to_edit,
    find_to_add,
    grid_to_edit,
    package_in,
)
from pkgsite.services.packages import package_by_id
from pkgsite.views.asking import words
from pkgsite.views.links import link
from pkgsite.views.package_edits import done_or_held
from pkgsite.views.viewer import login_needed, moderator_needed, viewer

pages = Blueprint("grid_edits", __name__, url_prefix="/grids")

Answer = str | Response | tuple[str, int]
ID = "<int(max=2147483647):{}>"
FEATURE, PACKAGE = ID.format("feature_id"), ID.format("package_id")


@pages.get("/add/")
@login_needed
def add() -> Answer:
    return render_template("grids/edit.html", form=GridForm(formdata=None), grid=None)


@pages.post("/add/")
@login_needed
def save_new() -> Answer:
    form = GridForm()
    arguments = {"changes": form.changes(by_moderator=viewer().is_moderator)}
    try:
        done = done_or_held("grid.add", arguments, title=f"Create grid “{form.title.data}”")
    except Invalid as refusal:
        show_refusal(form, refusal)
        return render_template("grids/edit.html", form=form, grid=None), 422
    if isinstance(done, Held):
        return redirect(link("moderation.yours"), 303)
    flash(f"Grid “{done.title}” created. Now add packages, and features to compare them by.")
    return to_grid(done.slug)


@pages.get("/<slug:slug>/edit/")
@login_needed
def edit(slug: str) -> Answer:
    grid = open_to_viewer(grid_to_edit(db.session(), slug, viewer()))
    return render_template("grids/edit.html", form=GridForm(formdata=None, obj=grid), grid=grid)


@pages.post("/<slug:slug>/edit/")
@login_needed
def save(slug: str) -> Answer:
    form, grid = GridForm(), open_to_viewer(grid_to_edit(db.session(), slug, viewer()))
    arguments = {
        "grid_id": grid.id,
        "changes": form.changes(by_moderator=viewer().is_moderator),
        "version": version_in(form.version.data),
    }
    try:
        done = done_or_held("grid.edit", arguments, title=f"Edit grid “{grid.title}”")
    except Invalid as refusal:
        show_refusal(form, refusal)
        return render_template("grids/edit.html", form=form, grid=grid), 422
    except Conflict:
        grid = grid_to_edit(db.session(), slug, viewer())
        form.version.data = grid.version
        mine = [("Title", grid.title, form.title.data), ("Slug", grid.slug, form.slug.data),
                ("Description", grid.description, form.description.data)]  # fmt: skip
        return render_template("grids/edit.html", form=form, grid=grid, theirs=grid, compared=different(mine)), 409
    return told(done, grid.slug, "Grid updated.", getattr(done, "slug", None))


@pages.post("/<slug:slug>/lock/")
@moderator_needed
def lock(slug: str) -> Answer:
    grid = grid_to_edit(db.session(), slug, viewer())
    is_locked = request.form.get("locked") == "yes"
    done_or_held("grid.lock", {"grid_id": grid.id, "is_locked": is_locked}, title="", reason=reason())
    flash("Grid locked. Only moderators can edit it." if is_locked else "Grid unlocked. All users can edit it.")
    return to_grid(grid.slug)


@pages.get("/<slug:slug>/delete/")
@moderator_needed
def ask_to_delete(slug: str) -> Answer:
    grid = grid_to_edit(db.session(), slug, viewer())
    return render_template("grids/delete.html", grid=grid, what="grid", title=grid.title, losses="")


@pages.post("/<slug:slug>/delete/")
@moderator_needed
def delete(slug: str) -> Answer:
    grid = grid_to_edit(db.session(), slug, viewer())
    done_or_held("grid.delete", {"grid_id": grid.id}, title="", reason=reason())
    flash(f"Grid “{grid.title}” deleted. You can restore it from its history.")
    return redirect(link("history.object", kind="grid", object_id=grid.id), 303)


@pages.get("/feature/add/<slug:slug>/")
@login_needed
def add_feature(slug: str) -> Answer:
    grid = open_to_viewer(grid_to_edit(db.session(), slug, viewer()))
    return render_template("grids/feature.html", form=FeatureForm(formdata=None), grid=grid, feature=None)


@pages.post("/feature/add/<slug:slug>/")
@login_needed
def save_new_feature(slug: str) -> Answer:
    form, grid = FeatureForm(), open_to_viewer(grid_to_edit(db.session(), slug, viewer()))
    try:
        done = done_or_held(
            "feature.add", {"grid_id": grid.id, **form.values()}, title=f"Add feature to “{grid.title}”"
        )
    except Invalid as refusal:
        show_refusal(form, refusal)
        return render_template("grids/feature.html", form=form, grid=grid, feature=None), 422
    return told(done, grid.slug, "Feature added. Fill in its cells.")


@pages.get(f"/feature/{FEATURE}/")
@login_needed
def edit_feature(feature_id: int) -> Answer:
    feature = feature_to_edit(db.session(), feature_id, viewer())
    open_to_viewer(feature.grid)
    form = FeatureForm(formdata=None, obj=feature)
    return render_template("grids/feature.html", form=form, grid=feature.grid, feature=feature)


@pages.post(f"/feature/{FEATURE}/")
@login_needed
def save_feature(feature_id: int) -> Answer:
    form, feature = FeatureForm(), feature_to_edit(db.session(), feature_id, viewer())
    grid = open_to_viewer(feature.grid)
    arguments = {"feature_id": feature.id, "version": version_in(form.version.data), **form.values()}
    try:
        done = done_or_held("feature.edit", arguments, title=f"Edit “{feature.title}” in “{grid.title}”")
    except Invalid as refusal:
        show_refusal(form, refusal)
        return render_template("grids/feature.html", form=form, grid=grid, feature=feature), 422
    except Conflict:
        feature = feature_to_edit(db.session(), feature_id, viewer())
        form.version.data = feature.version
        mine = [("Title", feature.title, form.title.data), ("Description", feature.description, form.description.data)]
        page = {"form": form, "grid": grid, "feature": feature, "compared": different(mine), "theirs": grid}
        return render_template("grids/feature.html", **page), 409
    return told(done, grid.slug, "Feature updated.")


@pages.post(f"/feature/{FEATURE}/move/")
@login_needed
def move_feature(feature_id: int) -> Answer:
    feature = feature_to_edit(db.session(), feature_id, viewer())
    by = -1 if request.form.get("to") == "up" else 1
    done = done_or_held("feature.move", {"feature_id": feature_id, "by": by}, title=f"Move “{feature.title}”")
    return told(done, feature.grid.slug, f"Moved “{feature.title}” {'up' if by < 0 else 'down'}.")


@pages.get(f"/feature/{FEATURE}/delete/")
@login_needed
def ask_to_delete_feature(feature_id: int) -> Answer:
    feature = feature_to_edit(db.session(), feature_id, viewer())
    if not feature.may_delete:
        raise Forbidden("Only moderators, the person who added this and the grid's creator can remove it.")
    cells = f"{feature.cell_count:,} {'cell' if feature.cell_count == 1 else 'cells'}"
    losses = f"{cells} with text will also be deleted." if feature.cell_count else ""
    return render_template("grids/delete.html", grid=feature.grid, what="feature", title=feature.title, losses=losses)


@pages.post(f"/feature/{FEATURE}/delete/")
@login_needed
def delete_feature(feature_id: int) -> Answer:
    feature = feature_to_edit(db.session(), feature_id, viewer())
    title = f"Delete “{feature.title}” from “{feature.grid.title}”"
    done = done_or_held("feature.delete", {"feature_id": feature_id}, title=title, reason=reason())
    return told(done, feature.grid.slug, f"“{feature.title}” deleted. You can restore it from the grid's history.")


@pages.get("/<slug:slug>/package/add/")
@login_needed
def add_package(slug: str) -> Answer:
    grid = open_to_viewer(grid_to_edit(db.session(), slug, viewer()))
    found = find_to_add(db.session(), grid, words())
    return render_template("grids/add_package.html", grid=grid, found=found, q=words())


@pages.post("/<slug:slug>/package/add/")
@login_needed
def save_package(slug: str) -> Answer:
    grid = open_to_viewer(grid_to_edit(db.session(), slug, viewer()))
    package = package_by_id(db.session(), number(request.form.get("package")), hidden_too=viewer().is_moderator)
    arguments = {"grid_id": grid.id, "package_id": package.id}
    done = done_or_held("membership.add", arguments, title=f"Add “{package.title}” to “{grid.title}”")
    return told(done, grid.slug, "Package added. Fill in its cells.", unchanged="The package is already in this grid.")


@pages.get(f"/package/<slug:slug>/{PACKAGE}/delete/")
@login_needed
def ask_to_remove_package(slug: str, package_id: int) -> Answer:
    grid = grid_to_edit(db.session(), slug, viewer())
    package, may_remove = package_in(db.session(), grid, package_id, viewer())
    if not may_remove:
        raise Forbidden("Only moderators, the person who added this and the grid's creator can remove it.")
    losses = "Its cells in this grid will also be removed. The package itself is kept."
    return render_template("grids/delete.html", grid=grid, what="package", title=package.title, losses=losses)


@pages.post(f"/package/<slug:slug>/{PACKAGE}/delete/")
@login_needed
def remove_package(slug: str, package_id: int) -> Answer:
    grid = grid_to_edit(db.session(), slug, viewer())
    package, _ = package_in(db.session(), grid, package_id, viewer())
    title = f"Remove “{package.title}” from “{grid.title}”"
    arguments = {"grid_id": grid.id, "package_id": package_id}
    done = done_or_held("membership.remove", arguments, title=title, reason=reason())
    return told(
        done, grid.slug, f"“{package.title}” removed from the grid. You can restore it from the grid's history."
    )


@pages.post("/cell/preview/")
@login_needed
def preview() -> Answer:
    """Show how a cell would look; nothing is changed."""
    return jsonify({"html": drawn(request.form.get("text", "")[:LONGEST_TEXT])})


@pages.get(f"/element/<slug:slug>/{PACKAGE}/{FEATURE}/")
@login_needed
def edit_cell(slug: str, package_id: int, feature_id: int) -> Answer:
    cell = cell_to_edit(db.session(), slug, package_id, feature_id, viewer())
    open_to_viewer(cell.grid)
    if wants_json():
        return jsonify({"text": cell.text, "version": cell.version})
    return cell_page(cell, CellForm(formdata=None, obj=cell))


@pages.post(f"/element/<slug:slug>/{PACKAGE}/{FEATURE}/")
@login_needed
def save_cell(slug: str, package_id: int, feature_id: int) -> Answer:
    form, cell = CellForm(), cell_to_edit(db.session(), slug, package_id, feature_id, viewer())
    open_to_viewer(cell.grid)
    if "preview" in request.form:
        return cell_page(cell, form, preview=True)
    arguments = {
        "package_id": package_id,
        "feature_id": feature_id,
        "text": form.text.data or "",
        "version": version_in(form.version.data),
    }
    title = f"Edit “{cell.feature.title}” for “{cell.package.title}” in “{cell.grid.title}”"
    try:
        done = done_or_held("cell.edit", arguments, title=title)
    except Invalid as refusal:
        if wants_json():
            return answer_json({"problems": refusal.problems}, 422)
        show_refusal(form, refusal)
        return cell_page(cell, form, status=422)
    except Conflict:
        theirs = cell_to_edit(db.session(), slug, package_id, feature_id, viewer())
        if wants_json():
            return answer_json({"theirs": theirs.text, "by": theirs.changed_by, "version": theirs.version}, 409)
        form.version.data = theirs.version
        compared = different([(theirs.feature.title, theirs.text, form.text.data)])
        return cell_page(theirs, form, status=409, compared=compared)
    if wants_json():
        now = cell_to_edit(db.session(), slug, package_id, feature_id, viewer())
        return answer_json({"html": drawn(now.text), "version": now.version, "held": isinstance(done, Held)}, 200)
    return told(done, cell.grid.slug, "Cell saved.")


def cell_page(cell: CellToEdit, form: CellForm, *, status: int = 200, **more: Any) -> tuple[str, int]:
    shown = {"view": read_cell(form.text.data or ""), **more}
    return render_template("grids/cell.html", form=form, cell=cell, grid=cell.grid, **shown), status


def drawn(text: str) -> str:
    """Return a cell's text as the grid shows it."""
    draw: Callable[..., str] = get_template_attribute("macros/cells.html", "cell")
    return str(draw(read_cell(text)))


def wants_json() -> bool:
    return request.accept_mimetypes.best == "application/json"


def answer_json(body: dict[str, Any], status: int) -> Response:
    response = jsonify(body)
    response.status_code = status
    return response


def told(done: Any, slug: str, words: str, new_slug: str | None = None, *, unchanged: str = "") -> Response:
    """Lead to the grid, and say what came of it."""
    if isinstance(done, Held):
        return redirect(link("moderation.yours"), 303)
    flash(words if done is not None else unchanged or "No changes to save.")
    return to_grid(new_slug or slug)


def to_grid(slug: str) -> Response:
    return redirect(link("grids.detail", slug=slug), 303)


def open_to_viewer(grid: GridToEdit) -> GridToEdit:
    """Return a grid that who looks may change.

    Raises:
        Forbidden: it is locked.
    """
    if not grid.may_edit:
        raise Forbidden("This grid is locked. Only moderators can edit it.")
    return grid


def different(rows: list[tuple[str, str, str | None]]) -> list[tuple[str, str, str]]:
    """Return name, present text and typed text of the fields in which the two differ."""
    return [(name, present, typed or "") for name, present, typed in rows if present != (typed or "")]


def version_in(written: str | None) -> int:
    """Return the version that a form began on; one that says none began on nothing that there is."""
    text = (written or "").strip()
    return number(text) if text.isascii() and text.isdigit() else -1


def number(written: str | None) -> int:
    """Return a whole number that an id can be; 0 where it is none."""
    text = (written or "").strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0


def reason() -> str:
    return request.form.get("reason", "")
