"""Forms that add and edit packages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from flask import Blueprint, flash, redirect, render_template, request

from pkgsite.clock import utc_now
from pkgsite.errors import Conflict, Forbidden, Invalid, Moved, NotFound
from pkgsite.extensions import db, gateways
from pkgsite.forms import show_errors
from pkgsite.forms.packages import (
    AddPackageForm,
    DocumentationForm,
    EditPackageForm,
    PackageLookupForm,
    add_form,
    edit_form,
    parse_hidden_int,
)
from pkgsite.rules.search.tokenizer import clean_query
from pkgsite.services.packages.drafts import PackageDraft, complete_draft, draft_from_reference, find_existing_package
from pkgsite.services.packages.edits import (
    AddPackage,
    EditablePackage,
    EditDocumentation,
    EditPackage,
    SharedRepository,
    category_choices,
    find_open_grid_title,
    get_package_for_editing,
    shared_repository,
)
from pkgsite.services.packages.fields import PackageChanges, suggest_slug
from pkgsite.views.editing import (
    ViewResponse,
    applied,
    changed_fields,
    redirect_to_pending,
    redirect_with_notice,
    submit_edit,
)
from pkgsite.views.links import link
from pkgsite.views.query_params import bool_param, param
from pkgsite.views.viewer import current_viewer, login_required

pages = Blueprint("package_edits", __name__, url_prefix="/packages")

FIELD_LABELS = (
    ("title", "Title"),
    ("slug", "Slug"),
    ("category", "Category"),
    ("repo_url", "Repository URL"),
    ("repo_directory", "Directory in the repository"),
    ("pypi_url", "PyPI project name"),
    ("documentation_url", "Documentation URL"),
    ("is_deprecated", "Deprecated"),
    ("replaced_by", "Replaced by"),
)


@dataclass(frozen=True, slots=True)
class TargetGrid:
    """The grid that a new package will be added to; `problem` says why it can't be."""

    slug: str = ""
    title: str = ""
    problem: str = ""


@pages.get("/add/")
@login_required
def add() -> ViewResponse:
    if bool_param("by_hand"):
        draft = PackageDraft(repo_url=param("repo_url"))
        return _add_page(add_form(draft, "", _requested_grid()), PackageDraft())
    form = PackageLookupForm(formdata=None, data={"reference": param("where")})
    return render_template("packages/add.html", form=form, grid=_target_grid(_requested_grid()), existing_package=None)


@pages.post("/add/validate/")
@login_required
def lookup() -> ViewResponse:
    """Check whether a package is already listed; if not, show the form, filled in with facts from its hosts."""
    form, grid_slug = PackageLookupForm(), _requested_grid()
    code_hosts = gateways()
    try:
        draft = draft_from_reference(form.reference.data or "", code_hosts)
    except Invalid as error:
        show_errors(form, error)
        return render_template("packages/add.html", form=form, grid=_target_grid(grid_slug), existing_package=None), 422
    existing = find_existing_package(db.session(), draft, code_hosts)
    if existing is None:
        db.session.rollback()  # no transaction stays open during the requests to hosts
        draft = complete_draft(draft, code_hosts, now=utc_now())
        existing = find_existing_package(db.session(), draft, code_hosts)
    if existing is not None:
        return render_template(
            "packages/add.html",
            form=form,
            grid=_target_grid(grid_slug),
            existing_package=existing,
            repo_url=draft.repo_url,
        )
    return _add_page(add_form(draft, suggest_slug(db.session(), draft.title), grid_slug), draft)


@pages.post("/add/")
@login_required
def create() -> ViewResponse:
    form = AddPackageForm()
    grid = _target_grid(form.grid.data or None)
    if not form.is_another_package.data and _shared_repository(form.changes()).needs_confirmation:
        return _add_page(form, PackageDraft(), 422)
    edit = AddPackage(form.changes(), grid.slug if grid and grid.slug else None)
    try:
        outcome = submit_edit(edit, title=f"Add “{form.title.data}”")
    except Invalid as error:
        show_errors(form, error)
        return _add_page(form, PackageDraft(), 422)
    except (Forbidden, NotFound):  # the grid has been locked or deleted since the form was opened
        form.grid.data = ""
        form.form_errors.append("This grid is no longer available. Save again to add the package without it.")
        return _add_page(form, PackageDraft(), 422)
    package = applied(outcome)
    if package is None:
        return redirect_to_pending()
    in_grid = f" It is now in the grid “{grid.title}”." if grid and grid.slug else ""
    flash(f"“{package.title}” added.{in_grid} Its facts will appear once they have been fetched.")
    return redirect(link("packages.detail", slug=package.slug), 303)


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
            raise Conflict("The package has changed.")
        shared = _shared_repository(form.changes(package), package)
        if shared.needs_confirmation and not form.is_another_package.data:
            return _edit_page(package, form, 422)
        edit = EditPackage(package.id, form.changes(package), package.version)
        outcome = submit_edit(edit, title=f"Edit “{package.title}”", reason=form.reason.data or "")
    except Invalid as error:
        show_errors(form, error)
        return _edit_page(package, form, 422)
    except Conflict:
        return _conflict_page(_current_package(slug), form)
    updated = applied(outcome)
    path = link("packages.detail", slug=updated.slug if updated else package.slug)
    return redirect_with_notice(outcome, path, "Saved.")


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
        version = parse_hidden_int(form.version.data)
        edit = EditDocumentation(package.id, form.documentation_url.data or None, version)
        outcome = submit_edit(edit, title=f"Edit documentation URL for “{package.title}”")
    except Invalid as error:
        show_errors(form, error)
    except Conflict:
        status, package = 409, _current_package(slug)
        differences = [("Documentation URL", package.documentation_url, form.documentation_url.data or "")]
        form.version.data = str(package.version)
    else:
        return redirect_with_notice(outcome, link("packages.detail", slug=package.slug), "Saved.")
    return render_template("packages/documentation.html", package=package, form=form, differences=differences), status


def _current_package(slug: str) -> EditablePackage:
    """Return the package that has or had this slug: it may be renamed while a form is open."""
    try:
        return get_package_for_editing(db.session(), slug, current_viewer())
    except Moved as moved:
        return get_package_for_editing(db.session(), moved.slug, current_viewer())


def _conflict_page(package: EditablePackage, form: EditPackageForm) -> ViewResponse:
    """Show the current values next to the submitted ones; the form now expects the current version."""
    form.set_version(package)
    differences: list[tuple[str, str, str]] = []
    for name, label in FIELD_LABELS:
        current, submitted = package.field(name), form[name].data
        if name == "is_deprecated":
            current, submitted = ("yes" if current else "no"), ("yes" if submitted else "no")
        differences += changed_fields([(label, current, submitted)])
    return _edit_page(package, form, 409, differences=differences)


def _edit_page(
    package: EditablePackage,
    form: EditPackageForm,
    status: int = 200,
    *,
    differences: Sequence[tuple[str, str, str]] = (),
) -> ViewResponse:
    form.set_categories(category_choices(db.session()), has_placeholder=False)
    return render_template(
        "packages/edit.html",
        package=package,
        form=form,
        is_conflict=status == 409,
        differences=differences,
        shared_with=_shared_repository(form.changes(package), package).packages if status != 200 else [],
    ), status


def _add_page(form: AddPackageForm, package_draft: PackageDraft, status: int = 200) -> ViewResponse:
    form.set_categories(category_choices(db.session()), has_placeholder=True)
    page = {
        "form": form,
        "package_draft": package_draft,
        "grid": _target_grid(form.grid.data or None),
        "shared_with": _shared_repository(form.changes()).packages,
    }
    return render_template("packages/add_form.html", **page), status


def _shared_repository(changes: PackageChanges, package: EditablePackage | None = None) -> SharedRepository:
    """Return the packages that are already in the repository of the form."""
    return shared_repository(db.session(), changes, gateways(), package=package)


def _requested_grid() -> str | None:
    """Return the slug of the grid that the package is to be added to."""
    grid_slug = param("grid") or param("grid_slug") or clean_query(request.form.get("grid", ""))
    return grid_slug or None


def _target_grid(slug: str | None) -> TargetGrid | None:
    """Return the grid with this slug, and whether packages can be added to it."""
    if not slug:
        return None
    try:
        title = find_open_grid_title(db.session(), clean_query(slug), current_viewer())
    except Invalid as locked:
        return TargetGrid(problem=" ".join(locked.problems["grid"]))
    return (
        TargetGrid(slug, title)
        if title
        else TargetGrid(problem="Grid not found. The package won't be added to a grid.")
    )
