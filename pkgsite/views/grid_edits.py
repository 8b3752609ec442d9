"""Forms that make and change grids, their features, their packages and their cells."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import Blueprint, flash, get_template_attribute, jsonify, redirect, render_template, request
from werkzeug.wrappers import Response

from pkgsite.errors import Conflict, Forbidden, Invalid
from pkgsite.extensions import db
from pkgsite.forms import show_errors
from pkgsite.forms.grids import CellForm, FeatureForm, GridForm
from pkgsite.rules.grid_cells import parse_cell
from pkgsite.services.grids.edits import MAX_TEXT_LENGTH
from pkgsite.services.grids.forms import (
    EditableCell,
    EditableGrid,
    find_addable_packages,
    get_cell_for_editing,
    get_feature_for_editing,
    get_grid_for_editing,
    get_grid_package,
)
from pkgsite.services.moderation.actions import QueuedEdit
from pkgsite.services.packages.records import package_by_id
from pkgsite.views.links import link
from pkgsite.views.package_edits import submit_edit
from pkgsite.views.query_params import search_param
from pkgsite.views.viewer import current_viewer, login_required, moderator_required

pages = Blueprint("grid_edits", __name__, url_prefix="/grids")

ViewResponse = str | Response | tuple[str, int]
ID_CONVERTER = "<int(max=2147483647):{}>"
FEATURE_ID, PACKAGE_ID = ID_CONVERTER.format("feature_id"), ID_CONVERTER.format("package_id")


@pages.get("/add/")
@login_required
def add() -> ViewResponse:
    return render_template("grids/edit.html", form=GridForm(formdata=None), grid=None)


@pages.post("/add/")
@login_required
def create() -> ViewResponse:
    form = GridForm()
    arguments = {"changes": form.changes(by_moderator=current_viewer().is_moderator)}
    try:
        done = submit_edit("grid.add", arguments, title=f"Create grid “{form.title.data}”")
    except Invalid as refusal:
        show_errors(form, refusal)
        return render_template("grids/edit.html", form=form, grid=None), 422
    if isinstance(done, QueuedEdit):
        return redirect(link("moderation.own_edits"), 303)
    flash(f"Grid “{done.title}” created. Now add packages, and features to compare them by.")
    return redirect_to_grid(done.slug)


@pages.get("/<slug:slug>/edit/")
@login_required
def edit(slug: str) -> ViewResponse:
    grid = require_editable(get_grid_for_editing(db.session(), slug, current_viewer()))
    return render_template("grids/edit.html", form=GridForm(formdata=None, obj=grid), grid=grid)


@pages.post("/<slug:slug>/edit/")
@login_required
def update(slug: str) -> ViewResponse:
    form, grid = GridForm(), require_editable(get_grid_for_editing(db.session(), slug, current_viewer()))
    arguments = {
        "grid_id": grid.id,
        "changes": form.changes(by_moderator=current_viewer().is_moderator),
        "version": parse_version(form.version.data),
    }
    try:
        done = submit_edit("grid.edit", arguments, title=f"Edit grid “{grid.title}”")
    except Invalid as refusal:
        show_errors(form, refusal)
        return render_template("grids/edit.html", form=form, grid=grid), 422
    except Conflict:
        grid = get_grid_for_editing(db.session(), slug, current_viewer())
        form.version.data = grid.version
        field_pairs = [("Title", grid.title, form.title.data), ("Slug", grid.slug, form.slug.data),
                ("Description", grid.description, form.description.data)]  # fmt: skip
        return render_template(
            "grids/edit.html", form=form, grid=grid, current=grid, differences=changed_fields(field_pairs)
        ), 409
    return redirect_with_notice(done, grid.slug, "Grid updated.", getattr(done, "slug", None))


@pages.post("/<slug:slug>/lock/")
@moderator_required
def lock(slug: str) -> ViewResponse:
    grid = get_grid_for_editing(db.session(), slug, current_viewer())
    is_locked = request.form.get("locked") == "yes"
    submit_edit("grid.lock", {"grid_id": grid.id, "is_locked": is_locked}, title="", reason=reason_field())
    flash("Grid locked. Only moderators can edit it." if is_locked else "Grid unlocked. All users can edit it.")
    return redirect_to_grid(grid.slug)


@pages.get("/<slug:slug>/delete/")
@moderator_required
def confirm_delete(slug: str) -> ViewResponse:
    grid = get_grid_for_editing(db.session(), slug, current_viewer())
    return render_template("grids/delete.html", grid=grid, object_kind="grid", title=grid.title, warning="")


@pages.post("/<slug:slug>/delete/")
@moderator_required
def delete(slug: str) -> ViewResponse:
    grid = get_grid_for_editing(db.session(), slug, current_viewer())
    submit_edit("grid.delete", {"grid_id": grid.id}, title="", reason=reason_field())
    flash(f"Grid “{grid.title}” deleted. You can restore it from its history.")
    return redirect(link("history.show_object_history", kind="grid", object_id=grid.id), 303)


@pages.get("/feature/add/<slug:slug>/")
@login_required
def add_feature(slug: str) -> ViewResponse:
    grid = require_editable(get_grid_for_editing(db.session(), slug, current_viewer()))
    return render_template("grids/feature.html", form=FeatureForm(formdata=None), grid=grid, feature=None)


@pages.post("/feature/add/<slug:slug>/")
@login_required
def create_feature(slug: str) -> ViewResponse:
    form, grid = FeatureForm(), require_editable(get_grid_for_editing(db.session(), slug, current_viewer()))
    try:
        done = submit_edit("feature.add", {"grid_id": grid.id, **form.values()}, title=f"Add feature to “{grid.title}”")
    except Invalid as refusal:
        show_errors(form, refusal)
        return render_template("grids/feature.html", form=form, grid=grid, feature=None), 422
    return redirect_with_notice(done, grid.slug, "Feature added. Fill in its cells.")


@pages.get(f"/feature/{FEATURE_ID}/")
@login_required
def edit_feature(feature_id: int) -> ViewResponse:
    feature = get_feature_for_editing(db.session(), feature_id, current_viewer())
    require_editable(feature.grid)
    form = FeatureForm(formdata=None, obj=feature)
    return render_template("grids/feature.html", form=form, grid=feature.grid, feature=feature)


@pages.post(f"/feature/{FEATURE_ID}/")
@login_required
def update_feature(feature_id: int) -> ViewResponse:
    form, feature = FeatureForm(), get_feature_for_editing(db.session(), feature_id, current_viewer())
    grid = require_editable(feature.grid)
    arguments = {"feature_id": feature.id, "version": parse_version(form.version.data), **form.values()}
    try:
        done = submit_edit("feature.edit", arguments, title=f"Edit “{feature.title}” in “{grid.title}”")
    except Invalid as refusal:
        show_errors(form, refusal)
        return render_template("grids/feature.html", form=form, grid=grid, feature=feature), 422
    except Conflict:
        feature = get_feature_for_editing(db.session(), feature_id, current_viewer())
        form.version.data = feature.version
        field_pairs = [
            ("Title", feature.title, form.title.data),
            ("Description", feature.description, form.description.data),
        ]
        page = {
            "form": form,
            "grid": grid,
            "feature": feature,
            "differences": changed_fields(field_pairs),
            "current": grid,
        }
        return render_template("grids/feature.html", **page), 409
    return redirect_with_notice(done, grid.slug, "Feature updated.")


@pages.post(f"/feature/{FEATURE_ID}/move/")
@login_required
def move_feature(feature_id: int) -> ViewResponse:
    feature = get_feature_for_editing(db.session(), feature_id, current_viewer())
    offset = -1 if request.form.get("to") == "up" else 1
    done = submit_edit("feature.move", {"feature_id": feature_id, "offset": offset}, title=f"Move “{feature.title}”")
    return redirect_with_notice(done, feature.grid.slug, f"Moved “{feature.title}” {'up' if offset < 0 else 'down'}.")


@pages.get(f"/feature/{FEATURE_ID}/delete/")
@login_required
def confirm_delete_feature(feature_id: int) -> ViewResponse:
    feature = get_feature_for_editing(db.session(), feature_id, current_viewer())
    if not feature.can_delete:
        raise Forbidden("Only moderators, the person who added this and the grid's creator can remove it.")
    cells = f"{feature.cell_count:,} {'cell' if feature.cell_count == 1 else 'cells'}"
    losses = f"{cells} with text will also be deleted." if feature.cell_count else ""
    return render_template(
        "grids/delete.html", grid=feature.grid, object_kind="feature", title=feature.title, warning=losses
    )


@pages.post(f"/feature/{FEATURE_ID}/delete/")
@login_required
def delete_feature(feature_id: int) -> ViewResponse:
    feature = get_feature_for_editing(db.session(), feature_id, current_viewer())
    title = f"Delete “{feature.title}” from “{feature.grid.title}”"
    done = submit_edit("feature.delete", {"feature_id": feature_id}, title=title, reason=reason_field())
    return redirect_with_notice(
        done, feature.grid.slug, f"“{feature.title}” deleted. You can restore it from the grid's history."
    )


@pages.get("/<slug:slug>/package/add/")
@login_required
def search_packages(slug: str) -> ViewResponse:
    grid = require_editable(get_grid_for_editing(db.session(), slug, current_viewer()))
    found = find_addable_packages(db.session(), grid, search_param())
    return render_template("grids/add_package.html", grid=grid, matches=found, q=search_param())


@pages.post("/<slug:slug>/package/add/")
@login_required
def add_member(slug: str) -> ViewResponse:
    grid = require_editable(get_grid_for_editing(db.session(), slug, current_viewer()))
    package = package_by_id(
        db.session(), parse_id(request.form.get("package")), include_hidden=current_viewer().is_moderator
    )
    arguments = {"grid_id": grid.id, "package_id": package.id}
    done = submit_edit("membership.add", arguments, title=f"Add “{package.title}” to “{grid.title}”")
    return redirect_with_notice(
        done, grid.slug, "Package added. Fill in its cells.", unchanged="The package is already in this grid."
    )


@pages.get(f"/package/<slug:slug>/{PACKAGE_ID}/delete/")
@login_required
def confirm_remove_package(slug: str, package_id: int) -> ViewResponse:
    grid = get_grid_for_editing(db.session(), slug, current_viewer())
    package, can_remove = get_grid_package(db.session(), grid, package_id, current_viewer())
    if not can_remove:
        raise Forbidden("Only moderators, the person who added this and the grid's creator can remove it.")
    losses = "Its cells in this grid will also be removed. The package itself is kept."
    return render_template("grids/delete.html", grid=grid, object_kind="package", title=package.title, warning=losses)


@pages.post(f"/package/<slug:slug>/{PACKAGE_ID}/delete/")
@login_required
def remove_package(slug: str, package_id: int) -> ViewResponse:
    grid = get_grid_for_editing(db.session(), slug, current_viewer())
    package, _ = get_grid_package(db.session(), grid, package_id, current_viewer())
    title = f"Remove “{package.title}” from “{grid.title}”"
    arguments = {"grid_id": grid.id, "package_id": package_id}
    done = submit_edit("membership.remove", arguments, title=title, reason=reason_field())
    return redirect_with_notice(
        done, grid.slug, f"“{package.title}” removed from the grid. You can restore it from the grid's history."
    )


@pages.post("/cell/preview/")
@login_required
def preview_cell() -> ViewResponse:
    """Show how a cell would look; nothing is changed."""
    return jsonify({"html": render_cell(request.form.get("text", "")[:MAX_TEXT_LENGTH])})


@pages.get(f"/element/<slug:slug>/{PACKAGE_ID}/{FEATURE_ID}/")
@login_required
def edit_cell(slug: str, package_id: int, feature_id: int) -> ViewResponse:
    cell = get_cell_for_editing(db.session(), slug, package_id, feature_id, current_viewer())
    require_editable(cell.grid)
    if accepts_json():
        return jsonify({"text": cell.text, "version": cell.version})
    return render_cell_page(cell, CellForm(formdata=None, obj=cell))


@pages.post(f"/element/<slug:slug>/{PACKAGE_ID}/{FEATURE_ID}/")
@login_required
def update_cell(slug: str, package_id: int, feature_id: int) -> ViewResponse:
    form, cell = CellForm(), get_cell_for_editing(db.session(), slug, package_id, feature_id, current_viewer())
    require_editable(cell.grid)
    if "preview" in request.form:
        return render_cell_page(cell, form, preview=True)
    arguments = {
        "package_id": package_id,
        "feature_id": feature_id,
        "text": form.text.data or "",
        "version": parse_version(form.version.data),
    }
    title = f"Edit “{cell.feature.title}” for “{cell.package.title}” in “{cell.grid.title}”"
    try:
        done = submit_edit("cell.edit", arguments, title=title)
    except Invalid as refusal:
        if accepts_json():
            return json_response({"problems": refusal.problems}, 422)
        show_errors(form, refusal)
        return render_cell_page(cell, form, status=422)
    except Conflict:
        theirs = get_cell_for_editing(db.session(), slug, package_id, feature_id, current_viewer())
        if accepts_json():
            return json_response({"current": theirs.text, "by": theirs.changed_by, "version": theirs.version}, 409)
        form.version.data = theirs.version
        compared = changed_fields([(theirs.feature.title, theirs.text, form.text.data)])
        return render_cell_page(theirs, form, status=409, differences=compared)
    if accepts_json():
        saved_cell = get_cell_for_editing(db.session(), slug, package_id, feature_id, current_viewer())
        return json_response(
            {"html": render_cell(saved_cell.text), "version": saved_cell.version, "held": isinstance(done, QueuedEdit)},
            200,
        )
    return redirect_with_notice(done, cell.grid.slug, "Cell saved.")


def render_cell_page(cell: EditableCell, form: CellForm, *, status: int = 200, **more: Any) -> tuple[str, int]:
    context = {"view": parse_cell(form.text.data or ""), **more}
    return render_template("grids/cell.html", form=form, cell=cell, grid=cell.grid, **context), status


def render_cell(text: str) -> str:
    """Return a cell's text as the grid shows it."""
    cell_macro: Callable[..., str] = get_template_attribute("macros/cells.html", "cell_content")
    return str(cell_macro(parse_cell(text)))


def accepts_json() -> bool:
    return request.accept_mimetypes.best == "application/json"


def json_response(body: dict[str, Any], status: int) -> Response:
    response = jsonify(body)
    response.status_code = status
    return response


def redirect_with_notice(
    outcome: Any, slug: str, message: str, new_slug: str | None = None, *, unchanged: str = ""
) -> Response:
    """Lead to the grid, and say what came of it."""
    if isinstance(outcome, QueuedEdit):
        return redirect(link("moderation.own_edits"), 303)
    flash(message if outcome is not None else unchanged or "No changes to save.")
    return redirect_to_grid(new_slug or slug)


def redirect_to_grid(slug: str) -> Response:
    return redirect(link("grids.detail", slug=slug), 303)


def require_editable(grid: EditableGrid) -> EditableGrid:
    """Return a grid that who looks may change.

    Raises:
        Forbidden: it is locked.
    """
    if not grid.can_edit:
        raise Forbidden("This grid is locked. Only moderators can edit it.")
    return grid


def changed_fields(rows: list[tuple[str, str, str | None]]) -> list[tuple[str, str, str]]:
    """Return name, present text and typed text of the fields in which the two differ."""
    return [(name, present, submitted or "") for name, present, submitted in rows if present != (submitted or "")]


def parse_version(value: str | None) -> int:
    """Return the version that a form began on; one that says none began on nothing that there is."""
    text = (value or "").strip()
    return parse_id(text) if text.isascii() and text.isdigit() else -1


def parse_id(value: str | None) -> int:
    """Return a whole number that an id can be; 0 where it is none."""
    text = (value or "").strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0


def reason_field() -> str:
    return request.form.get("reason", "")
