"""Forms that add and change packages, and the links that hang on them."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, current_app, flash, redirect, render_template, request
from werkzeug.wrappers import Response

from pkgsite.clock import utc_now
from pkgsite.errors import Conflict, Forbidden, Invalid, Moved, NotFound
from pkgsite.extensions import db, gateways
from pkgsite.forms import show_errors
from pkgsite.forms.packages import (
    MAX_EDIT_REASON_LENGTH,
    AddPackageForm,
    DocumentationForm,
    EditPackageForm,
    PackageLookupForm,
    add_form,
    edit_form,
    parse_hidden_int,
)
from pkgsite.rules.search.tokenizer import clean_query
from pkgsite.services.moderation.actions import QueuedEdit, apply_or_queue
from pkgsite.services.packages.drafts import PackageDraft, complete_draft, draft_from_reference, find_existing_package
from pkgsite.services.packages.edits import (
    EditablePackage,
    category_choices,
    find_open_grid_title,
    get_package_for_editing,
)
from pkgsite.services.packages.fields import suggest_slug
from pkgsite.views.links import link
from pkgsite.views.query_params import bool_param, param
from pkgsite.views.viewer import begin_changeset, current_viewer, login_required

pages = Blueprint("package_edits", __name__, url_prefix="/packages")

ViewResponse = str | Response | tuple[str, int]
PENDING_MESSAGE = (
    "Thank you. Your first edits are reviewed by a moderator. You can follow this one under your pending edits."
)
FIELD_LABELS = (
    ("title", "Title"),
    ("slug", "Slug"),
    ("category", "Category"),
    ("repo_url", "Repository URL"),
    ("pypi_url", "PyPI project name"),
    ("documentation_url", "Documentation URL"),
    ("is_deprecated", "Deprecated"),
    ("replaced_by", "Replaced by"),
)


def submit_edit(name: str, arguments: dict[str, Any], *, title: str, reason: str = "", review: bool = True) -> Any:
    """Do something in the name of who looks, or hold it for review; commit, and return the object, None or `QueuedEdit`.

    Returns:
        None: it changed nothing.
    """
    changeset = begin_changeset(clean_query(reason)[:MAX_EDIT_REASON_LENGTH])
    try:
        with changeset:
            review_threshold = current_app.config["REVIEW_FIRST_EDITS"] if review else 0
            outcome = apply_or_queue(changeset, name, arguments, title=title, review_threshold=review_threshold)
    except Exception:
        db.session.rollback()
        raise
    db.session.commit()
    if isinstance(outcome, QueuedEdit):
        flash(PENDING_MESSAGE)
        return outcome
    return outcome if changeset.head_id is not None else None


@pages.get("/add/")
@login_required
def add() -> ViewResponse:
    if bool_param("by_hand"):
        return _add_page(add_form(PackageDraft(), "", _requested_grid()), PackageDraft())
    form = PackageLookupForm(formdata=None, data={"reference": param("where")})
    return render_template("packages/add.html", form=form, grid=_grid_choice(_requested_grid()), existing_package=None)


@pages.post("/add/validate/")
@login_required
def lookup() -> ViewResponse:
    """Look whether a package is here already, and if not, show the form with what is told of it elsewhere."""
    form, grid_slug = PackageLookupForm(), _requested_grid()
    code_hosts = gateways()
    try:
        draft = draft_from_reference(form.reference.data or "", code_hosts)
    except Invalid as refusal:
        show_errors(form, refusal)
        return render_template("packages/add.html", form=form, grid=_grid_choice(grid_slug), existing_package=None), 422
    existing = find_existing_package(db.session(), draft, code_hosts)
    if existing is None:
        db.session.rollback()  # no transaction is open while others are asked
        draft = complete_draft(draft, code_hosts, now=utc_now())
        existing = find_existing_package(db.session(), draft, code_hosts)
    if existing is not None:
        return render_template("packages/add.html", form=form, grid=_grid_choice(grid_slug), existing_package=existing)
    return _add_page(add_form(draft, suggest_slug(db.session(), draft.title), grid_slug), draft)


@pages.post("/add/")
@login_required
def create() -> ViewResponse:
    form = AddPackageForm()
    grid = _grid_choice(form.grid.data or None)
    try:
        arguments = {"changes": form.changes(), "grid": form.grid.data if grid and grid[1] else None}
        outcome = submit_edit("package.add", arguments, title=f"Add “{form.title.data}”")
    except Invalid as refusal:
        show_errors(form, refusal)
        return _add_page(form, PackageDraft(), 422)
    except (Forbidden, NotFound):  # the grid was locked or removed while the form lay open
        form.grid.data = ""
        form.form_errors.append("This grid is no longer available. Save again to add the package without it.")
        return _add_page(form, PackageDraft(), 422)
    if isinstance(outcome, QueuedEdit):
        return redirect(link("moderation.own_edits"), 303)
    where = f" It is now in the grid “{grid[0]}”." if grid and grid[1] else ""
    flash(f"“{outcome.title}” added.{where} Its facts will appear once they have been fetched.")
    return redirect(link("packages.detail", slug=outcome.slug), 303)


@pages.get("/<slug:slug>/edit/")
@login_required
def edit(slug: str) -> ViewResponse:
    package = get_package_for_editing(db.session(), slug, current_viewer())
    return _edit_page(package, edit_form(package))


@pages.post("/<slug:slug>/edit/")
@login_required
def update(slug: str) -> ViewResponse:
    package, form = _current_package(slug), EditPackageForm()
    try:
        if (
            parse_hidden_int(form.package_id.data) != package.id
            or parse_hidden_int(form.version.data) != package.version
        ):
            raise Conflict("it has changed since")
        arguments = {"package_id": package.id, "changes": form.changes(package), "version": package.version}
        outcome = submit_edit("package.edit", arguments, title=f"Edit “{package.title}”", reason=form.reason.data or "")
    except Invalid as refusal:
        show_errors(form, refusal)
        return _edit_page(package, form, 422)
    except Conflict:
        return _conflict_page(_current_package(slug), form)
    if isinstance(outcome, QueuedEdit):
        return redirect(link("moderation.own_edits"), 303)
    flash("No changes to save." if outcome is None else "Saved.")
    return redirect(link("packages.detail", slug=outcome.slug if outcome else package.slug), 303)


@pages.get("/<slug:slug>/documentation/edit/")
@login_required
def edit_documentation(slug: str) -> ViewResponse:
    package = get_package_for_editing(db.session(), slug, current_viewer())
    known = {"documentation_url": package.documentation_url, "version": str(package.version)}
    form = DocumentationForm(formdata=None, data=known)
    return render_template("packages/documentation.html", package=package, form=form, differences=[])


@pages.post("/<slug:slug>/documentation/edit/")
@login_required
def update_documentation(slug: str) -> ViewResponse:
    package, form = _current_package(slug), DocumentationForm()
    status = 422
    differences = []
    try:
        arguments = {
            "package_id": package.id,
            "documentation_url": form.documentation_url.data or None,
            "version": parse_hidden_int(form.version.data),
        }
        outcome = submit_edit("package.documentation", arguments, title=f"Edit documentation URL of “{package.title}”")
    except Invalid as refusal:
        show_errors(form, refusal)
    except Conflict:
        status, package = 409, _current_package(slug)
        differences = [("Documentation URL", package.documentation_url, form.documentation_url.data or "")]
        form.version.data = str(package.version)
    else:
        if isinstance(outcome, QueuedEdit):
            return redirect(link("moderation.own_edits"), 303)
        flash("No changes to save." if outcome is None else "Saved.")
        return redirect(link("packages.detail", slug=package.slug), 303)
    return render_template("packages/documentation.html", package=package, form=form, differences=differences), status


def _current_package(slug: str) -> EditablePackage:
    """Return the package that has, or had, this slug: a form may lie open while it is renamed."""
    try:
        return get_package_for_editing(db.session(), slug, current_viewer())
    except Moved as moved:
        return get_package_for_editing(db.session(), moved.slug, current_viewer())


def _conflict_page(package: EditablePackage, form: EditPackageForm) -> ViewResponse:
    """Show what is there now beside what was typed; the form goes on from what is there now."""
    form.set_version(package)
    differences = []
    for name, label in FIELD_LABELS:
        now, submitted = package.field(name), form[name].data
        if (now or "") != (submitted or ""):
            shown_values = [
                ("yes" if value else "no") if name == "is_deprecated" else value or "" for value in (now, submitted)
            ]
            differences.append((label, *shown_values))
    return _edit_page(package, form, 409, differences=differences)


def _edit_page(package: EditablePackage, form: EditPackageForm, status: int = 200, **values: Any) -> ViewResponse:
    form.set_categories(category_choices(db.session()), has_placeholder=False)
    page = {"package": package, "form": form, "is_conflict": False, **values}
    page["is_conflict"] = status == 409
    return render_template("packages/edit.html", **page), status


def _add_page(form: AddPackageForm, package_draft: PackageDraft, status: int = 200) -> ViewResponse:
    form.set_categories(category_choices(db.session()), has_placeholder=True)
    grid = _grid_choice(form.grid.data or None)
    return render_template("packages/add_form.html", form=form, package_draft=package_draft, grid=grid), status


def _requested_grid() -> str | None:
    """Return the slug of the grid into which the package is to be put."""
    grid_slug = param("grid") or param("grid_slug") or clean_query(request.form.get("grid", ""))
    return grid_slug or None


def _grid_choice(slug: str | None) -> tuple[str, str | None] | None:
    """Return a grid's title or, where nothing can be put into it, why not; and its slug, None in that case."""
    if not slug:
        return None
    try:
        title = find_open_grid_title(db.session(), clean_query(slug), current_viewer())
    except Invalid as locked:
        return " ".join(locked.problems["grid"]), None
    return (title, slug) if title else ("Grid not found. The package won't be added to a grid.", None)
