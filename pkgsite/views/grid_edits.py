"""Forms that create and edit grids, their features, packages and cells."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import Blueprint, flash, get_template_attribute, jsonify, redirect, render_template, request
from werkzeug.wrappers import Response

from pkgsite.errors import Conflict, Forbidden, Invalid
from pkgsite.extensions import db
from pkgsite.forms import show_errors
from pkgsite.forms.grids import CellForm, FeatureForm, GridForm
from pkgsite.forms.packages import parse_hidden_int
from pkgsite.rules.grid_cells import parse_cell
from pkgsite.services.grids.edits import (
    MAX_TEXT_LENGTH,
    REMOVAL_DENIED,
    AddFeature,
    AddGrid,
    AddGridPackage,
    DeleteFeature,
    DeleteGrid,
    EditCell,
    EditFeature,
    EditGrid,
    LockGrid,
    MoveFeature,
    RemoveGridPackage,
)
from pkgsite.services.grids.forms import (
    EditableCell,
    EditableGrid,
    find_addable_packages,
    get_cell_for_editing,
    get_feature_for_editing,
    get_grid_for_editing,
    get_grid_package,
    require_feature_in_grid,
)
from pkgsite.services.moderation.actions import PENDING_MESSAGE, QueuedEdit
from pkgsite.services.packages.records import package_by_id
from pkgsite.views.editing import (
    ViewResponse,
    applied,
    changed_fields,
    edit_reason,
    redirect_to_pending,
    redirect_with_notice,
    submit_edit,
)
from pkgsite.views.links import link
from pkgsite.views.query_params import search_param
from pkgsite.views.slugs import ID_CONVERTER
from pkgsite.views.viewer import current_viewer, login_required, moderator_required

pages = Blueprint("grid_edits", __name__, url_prefix="/grids")

FEATURE_ID, PACKAGE_ID = f"<{ID_CONVERTER}:feature_id>", f"<{ID_CONVERTER}:package_id>"


@pages.get("/add/")
@login_required
def add() -> ViewResponse:
    return render_template("grids/edit.html", form=GridForm(formdata=None), grid=None)


@pages.post("/add/")
@login_required
def create() -> ViewResponse:
    form = GridForm()
    edit = AddGrid(form.changes(by_moderator=current_viewer().is_moderator))
    try:
        outcome = submit_edit(edit, title=f"Create grid “{form.title.data}”")
    except Invalid as error:
        show_errors(form, error)
        return render_template("grids/edit.html", form=form, grid=None), 422
    grid = applied(outcome)
    if grid is None:
        return redirect_to_pending()
    flash(f"Grid “{grid.title}” created. Now add packages, and features to compare them by.")
    return redirect(grid_path(grid.slug), 303)


@pages.get("/<slug:slug>/edit/")
@login_required
def edit(slug: str) -> ViewResponse:
    grid = require_editable(get_grid_for_editing(db.session(), slug, current_viewer()))
    return render_template("grids/edit.html", form=GridForm(formdata=None, obj=grid), grid=grid)


@pages.post("/<slug:slug>/edit/")
@login_required
def update(slug: str) -> ViewResponse:
    form, grid = GridForm(), require_editable(get_grid_for_editing(db.session(), slug, current_viewer()))
    changes = form.changes(by_moderator=current_viewer().is_moderator)
    try:
        edit = EditGrid(grid.id, changes, parse_hidden_int(form.version.data))
        outcome = submit_edit(edit, title=f"Edit grid “{grid.title}”")
    except Invalid as error:
        show_errors(form, error)
        return render_template("grids/edit.html", form=form, grid=grid), 422
    except Conflict:
        grid = get_grid_for_editing(db.session(), slug, current_viewer())
        form.version.data = grid.version
        field_pairs = [("Title", grid.title, form.title.data), ("Slug", grid.slug, form.slug.data),
                ("Description", grid.description, form.description.data)]  # fmt: skip
        return render_template("grids/edit.html", form=form, grid=grid, differences=changed_fields(field_pairs)), 409
    updated = applied(outcome)
    return redirect_with_notice(outcome, grid_path(updated.slug if updated else grid.slug), "Grid updated.")


@pages.post("/<slug:slug>/lock/")
@moderator_required
def lock(slug: str) -> ViewResponse:
    grid = get_grid_for_editing(db.session(), slug, current_viewer())
    is_locked = request.form.get("locked") == "yes"
    submit_edit(LockGrid(grid.id, is_locked), title="", reason=edit_reason())
    flash("Grid locked. Only moderators can edit it." if is_locked else "Grid unlocked. All users can edit it.")
    return redirect(grid_path(grid.slug), 303)


@pages.get("/<slug:slug>/delete/")
@moderator_required
def confirm_delete(slug: str) -> ViewResponse:
    grid = get_grid_for_editing(db.session(), slug, current_viewer())
    return render_template("grids/delete.html", grid=grid, object_kind="grid", title=grid.title, warning="")


@pages.post("/<slug:slug>/delete/")
@moderator_required
def delete(slug: str) -> ViewResponse:
    grid = get_grid_for_editing(db.session(), slug, current_viewer())
    submit_edit(DeleteGrid(grid.id), title="", reason=edit_reason())
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
        outcome = submit_edit(AddFeature(grid.id, **form.changes()), title=f"Add feature to “{grid.title}”")
    except Invalid as error:
        show_errors(form, error)
        return render_template("grids/feature.html", form=form, grid=grid, feature=None), 422
    return redirect_with_notice(outcome, grid_path(grid.slug), "Feature added. Fill in its cells.")


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
    edit = EditFeature(feature.id, **form.changes(), expected_version=parse_hidden_int(form.version.data))
    try:
        outcome = submit_edit(edit, title=f"Edit “{feature.title}” in “{grid.title}”")
    except Invalid as error:
        show_errors(form, error)
        return render_template("grids/feature.html", form=form, grid=grid, feature=feature), 422
    except Conflict:
        feature = get_feature_for_editing(db.session(), feature_id, current_viewer())
        form.version.data = feature.version
        field_pairs = [
            ("Title", feature.title, form.title.data),
            ("Description", feature.description, form.description.data),
        ]
        page = {"form": form, "grid": grid, "feature": feature, "differences": changed_fields(field_pairs)}
        return render_template("grids/feature.html", **page), 409
    return redirect_with_notice(outcome, grid_path(grid.slug), "Feature updated.")


@pages.post(f"/feature/{FEATURE_ID}/move/")
@login_required
def move_feature(feature_id: int) -> ViewResponse:
    feature = get_feature_for_editing(db.session(), feature_id, current_viewer())
    offset = -1 if request.form.get("to") == "up" else 1
    outcome = submit_edit(MoveFeature(feature_id, offset), title=f"Move “{feature.title}”")
    message = f"Moved “{feature.title}” {'up' if offset < 0 else 'down'}."
    return redirect_with_notice(outcome, grid_path(feature.grid.slug), message)


@pages.get(f"/feature/{FEATURE_ID}/delete/")
@login_required
def confirm_delete_feature(feature_id: int) -> ViewResponse:
    feature = get_feature_for_editing(db.session(), feature_id, current_viewer())
    if not feature.can_delete:
        raise Forbidden(REMOVAL_DENIED)
    cells = f"{feature.cell_count:,} {'cell' if feature.cell_count == 1 else 'cells'}"
    warning = f"{cells} with text will also be deleted." if feature.cell_count else ""
    return render_template(
        "grids/delete.html", grid=feature.grid, object_kind="feature", title=feature.title, warning=warning
    )


@pages.post(f"/feature/{FEATURE_ID}/delete/")
@login_required
def delete_feature(feature_id: int) -> ViewResponse:
    feature = get_feature_for_editing(db.session(), feature_id, current_viewer())
    title = f"Delete “{feature.title}” from “{feature.grid.title}”"
    outcome = submit_edit(DeleteFeature(feature_id), title=title, reason=edit_reason())
    message = f"“{feature.title}” deleted. You can restore it from the grid's history."
    return redirect_with_notice(outcome, grid_path(feature.grid.slug), message)


@pages.get("/<slug:slug>/package/add/")
@login_required
def search_packages(slug: str) -> ViewResponse:
    grid = require_editable(get_grid_for_editing(db.session(), slug, current_viewer()))
    matches = find_addable_packages(db.session(), grid, search_param())
    return render_template("grids/add_package.html", grid=grid, matches=matches, q=search_param())


@pages.post("/<slug:slug>/package/add/")
@login_required
def add_package(slug: str) -> ViewResponse:
    grid = require_editable(get_grid_for_editing(db.session(), slug, current_viewer()))
    package_id = parse_hidden_int(request.form.get("package"))
    package = package_by_id(db.session(), package_id, include_hidden=current_viewer().is_moderator)
    outcome = submit_edit(AddGridPackage(grid.id, package.id), title=f"Add “{package.title}” to “{grid.title}”")
    return redirect_with_notice(
        outcome,
        grid_path(grid.slug),
        "Package added. Fill in its cells.",
        unchanged_message="The package is already in this grid.",
    )


@pages.get(f"/package/<slug:slug>/{PACKAGE_ID}/delete/")
@login_required
def confirm_remove_package(slug: str, package_id: int) -> ViewResponse:
    grid = get_grid_for_editing(db.session(), slug, current_viewer())
    package, can_remove = get_grid_package(db.session(), grid, package_id, current_viewer())
    if not can_remove:
        raise Forbidden(REMOVAL_DENIED)
    warning = "Its cells in this grid will also be removed. The package itself is kept."
    return render_template("grids/delete.html", grid=grid, object_kind="package", title=package.title, warning=warning)


@pages.post(f"/package/<slug:slug>/{PACKAGE_ID}/delete/")
@login_required
def remove_package(slug: str, package_id: int) -> ViewResponse:
    grid = get_grid_for_editing(db.session(), slug, current_viewer())
    package, _ = get_grid_package(db.session(), grid, package_id, current_viewer())
    title = f"Remove “{package.title}” from “{grid.title}”"
    outcome = submit_edit(RemoveGridPackage(grid.id, package_id), title=title, reason=edit_reason())
    message = f"“{package.title}” removed from the grid. You can restore it from the grid's history."
    return redirect_with_notice(outcome, grid_path(grid.slug), message)


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
    def load_cell() -> EditableCell:
        return get_cell_for_editing(db.session(), slug, package_id, feature_id, current_viewer())

    form = CellForm()
    if "preview" in request.form:
        return render_cell_page(load_cell(), form, preview=True)
    require_feature_in_grid(db.session(), feature_id, slug)
    edit = EditCell(package_id, feature_id, form.text.data or "", parse_hidden_int(form.version.data))
    try:
        outcome = submit_edit(edit, title=lambda: load_cell().label)
    except Invalid as error:
        if accepts_json():
            return json_response({"problems": error.problems}, 422)
        show_errors(form, error)
        return render_cell_page(load_cell(), form, status=422)
    except Conflict:
        return _cell_conflict(load_cell(), form)
    if accepts_json():
        saved = applied(outcome) or load_cell()
        notice = PENDING_MESSAGE if isinstance(outcome, QueuedEdit) else ""
        return json_response({"html": render_cell(saved.text), "version": saved.version, "notice": notice}, 200)
    return redirect_with_notice(outcome, grid_path(slug), "Cell saved.")


def _cell_conflict(current: EditableCell, form: CellForm) -> ViewResponse:
    """Show the current text of a cell next to the submitted one."""
    if accepts_json():
        return json_response({"current": current.text, "by": current.changed_by, "version": current.version}, 409)
    form.version.data = current.version
    differences = changed_fields([(current.feature.title, current.text, form.text.data)])
    return render_cell_page(current, form, status=409, differences=differences)


def render_cell_page(cell: EditableCell, form: CellForm, *, status: int = 200, **more: Any) -> tuple[str, int]:
    context = {"view": parse_cell(form.text.data or ""), **more}
    return render_template("grids/cell.html", form=form, cell=cell, grid=cell.grid, **context), status


def render_cell(text: str) -> str:
    """Return a cell's text as the grid shows it."""
    cell_macro: Callable[..., str] = get_template_attribute("macros/cells.html", "cell_content")
    return str(cell_macro(parse_cell(text)))


def accepts_json() -> bool:
    return (request.accept_mimetypes.best or "").lower() == "application/json"


def json_response(body: dict[str, Any], status: int) -> Response:
    response = jsonify(body)
    response.status_code = status
    return response


def grid_path(slug: str) -> str:
    return link("grids.detail", slug=slug)


def require_editable(grid: EditableGrid) -> EditableGrid:
    """Return a grid, if the current user can change it.

    Raises:
        Forbidden: The grid is locked.
    """
    if not grid.can_edit:
        raise Forbidden("This grid is locked. Only moderators can edit it.")
    return grid
