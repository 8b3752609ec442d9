"""Forms that add and change packages, and the links that hang on them."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, current_app, flash, redirect, render_template, request
from werkzeug.wrappers import Response

from pkgsite.clock import utc_now
from pkgsite.errors import Conflict, Forbidden, Invalid, Moved, NotFound
from pkgsite.extensions import db, gateways
from pkgsite.forms import show_refusal
from pkgsite.forms.packages import (
    LONGEST_WHY,
    AddForm,
    DocumentationForm,
    EditForm,
    WhereForm,
    add_form,
    edit_form,
    number_in,
)
from pkgsite.rules.search.tokenizer import clean
from pkgsite.services.moderation.actions import Held, do_or_hold
from pkgsite.services.packages.drafts import Draft, already_here, fill, read_place
from pkgsite.services.packages.edits import PackageToEdit, category_choices, open_grid, package_to_edit
from pkgsite.services.packages.fields import offered_slug
from pkgsite.views.links import link
from pkgsite.views.query_params import is_yes, text
from pkgsite.views.viewer import act, login_needed, viewer

pages = Blueprint("package_edits", __name__, url_prefix="/packages")

Answer = str | Response | tuple[str, int]
WAITS = "Thank you. Your first edits are reviewed by a moderator. You can follow this one under your pending edits."
FIELDS = (
    ("title", "Title"),
    ("slug", "Slug"),
    ("category", "Category"),
    ("repo_url", "Repository URL"),
    ("pypi_url", "PyPI project name"),
    ("documentation_url", "Documentation URL"),
    ("is_deprecated", "Deprecated"),
    ("replaced_by", "Replaced by"),
)


def done_or_held(name: str, arguments: dict[str, Any], *, title: str, reason: str = "", review: bool = True) -> Any:
    """Do something in the name of who looks, or hold it for review; commit, and return the object, None or `Held`.

    Returns:
        None: it changed nothing.
    """
    doing = act(clean(reason)[:LONGEST_WHY])
    try:
        with doing:
            first = current_app.config["REVIEW_FIRST_EDITS"] if review else 0
            done = do_or_hold(doing, name, arguments, title=title, review_first=first)
    except Exception:
        db.session.rollback()
        raise
    db.session.commit()
    if isinstance(done, Held):
        flash(WAITS)
        return done
    return done if doing.head_id is not None else None


@pages.get("/add/")
@login_needed
def add() -> Answer:
    if is_yes("by_hand"):
        return _form_page(add_form(Draft(), "", _asked_grid()), Draft())
    form = WhereForm(formdata=None, data={"where": text("where")})
    return render_template("packages/add.html", form=form, grid=_grid(_asked_grid()), here=None)


@pages.post("/add/validate/")
@login_needed
def find() -> Answer:
    """Look whether a package is here already, and if not, show the form with what is told of it elsewhere."""
    form, wanted = WhereForm(), _asked_grid()
    hosts = gateways()
    try:
        draft = read_place(form.where.data or "", hosts)
    except Invalid as refusal:
        show_refusal(form, refusal)
        return render_template("packages/add.html", form=form, grid=_grid(wanted), here=None), 422
    there = already_here(db.session(), draft, hosts)
    if there is None:
        db.session.rollback()  # no transaction is open while others are asked
        draft = fill(draft, hosts, now=utc_now())
        there = already_here(db.session(), draft, hosts)
    if there is not None:
        return render_template("packages/add.html", form=form, grid=_grid(wanted), here=there)
    return _form_page(add_form(draft, offered_slug(db.session(), draft.title), wanted), draft)


@pages.post("/add/")
@login_needed
def save_new() -> Answer:
    form = AddForm()
    grid = _grid(form.grid.data or None)
    try:
        arguments = {"changes": form.changes(), "grid": form.grid.data if grid and grid[1] else None}
        done = done_or_held("package.add", arguments, title=f"Add “{form.title.data}”")
    except Invalid as refusal:
        show_refusal(form, refusal)
        return _form_page(form, Draft(), 422)
    except (Forbidden, NotFound):  # the grid was locked or removed while the form lay open
        form.grid.data = ""
        form.form_errors.append("This grid is no longer available. Save again to add the package without it.")
        return _form_page(form, Draft(), 422)
    if isinstance(done, Held):
        return redirect(link("moderation.yours"), 303)
    where = f" It is now in the grid “{grid[0]}”." if grid and grid[1] else ""
    flash(f"“{done.title}” added.{where} Its facts will appear once they have been fetched.")
    return redirect(link("packages.detail", slug=done.slug), 303)


@pages.get("/<slug:slug>/edit/")
@login_needed
def edit(slug: str) -> Answer:
    package = package_to_edit(db.session(), slug, viewer())
    return _edit_page(package, edit_form(package))


@pages.post("/<slug:slug>/edit/")
@login_needed
def save(slug: str) -> Answer:
    package, form = _present(slug), EditForm()
    try:
        if number_in(form.package_id.data) != package.id or number_in(form.version.data) != package.version:
            raise Conflict("it has changed since")
        arguments = {"package_id": package.id, "changes": form.changes(package), "version": package.version}
        done = done_or_held("package.edit", arguments, title=f"Edit “{package.title}”", reason=form.reason.data or "")
    except Invalid as refusal:
        show_refusal(form, refusal)
        return _edit_page(package, form, 422)
    except Conflict:
        return _conflict(_present(slug), form)
    if isinstance(done, Held):
        return redirect(link("moderation.yours"), 303)
    flash("No changes to save." if done is None else "Saved.")
    return redirect(link("packages.detail", slug=done.slug if done else package.slug), 303)


@pages.get("/<slug:slug>/documentation/edit/")
@login_needed
def documentation(slug: str) -> Answer:
    package = package_to_edit(db.session(), slug, viewer())
    known = {"documentation_url": package.documentation_url, "version": str(package.version)}
    form = DocumentationForm(formdata=None, data=known)
    return render_template("packages/documentation.html", package=package, form=form, differences=[])


@pages.post("/<slug:slug>/documentation/edit/")
@login_needed
def save_documentation(slug: str) -> Answer:
    package, form = _present(slug), DocumentationForm()
    status = 422
    differences = []
    try:
        arguments = {
            "package_id": package.id,
            "documentation_url": form.documentation_url.data or None,
            "version": number_in(form.version.data),
        }
        done = done_or_held("package.documentation", arguments, title=f"Edit documentation URL of “{package.title}”")
    except Invalid as refusal:
        show_refusal(form, refusal)
    except Conflict:
        status, package = 409, _present(slug)
        differences = [("Documentation URL", package.documentation_url, form.documentation_url.data or "")]
        form.version.data = str(package.version)
    else:
        if isinstance(done, Held):
            return redirect(link("moderation.yours"), 303)
        flash("No changes to save." if done is None else "Saved.")
        return redirect(link("packages.detail", slug=package.slug), 303)
    return render_template("packages/documentation.html", package=package, form=form, differences=differences), status


def _present(slug: str) -> PackageToEdit:
    """Return the package that has, or had, this slug: a form may lie open while it is renamed."""
    try:
        return package_to_edit(db.session(), slug, viewer())
    except Moved as moved:
        return package_to_edit(db.session(), moved.slug, viewer())


def _conflict(package: PackageToEdit, form: EditForm) -> Answer:
    """Show what is there now beside what was typed; the form goes on from what is there now."""
    form.begin_on(package)
    differences = []
    for name, label in FIELDS:
        now, typed = package.field(name), form[name].data
        if (now or "") != (typed or ""):
            words = [("yes" if value else "no") if name == "is_deprecated" else value or "" for value in (now, typed)]
            differences.append((label, *words))
    return _edit_page(package, form, 409, differences=differences)


def _edit_page(package: PackageToEdit, form: EditForm, status: int = 200, **values: Any) -> Answer:
    form.offer(category_choices(db.session()), is_open=False)
    page = {"package": package, "form": form, "is_conflict": False, **values}
    page["is_conflict"] = status == 409
    return render_template("packages/edit.html", **page), status


def _form_page(form: AddForm, draft: Draft, status: int = 200) -> Answer:
    form.offer(category_choices(db.session()), is_open=True)
    grid = _grid(form.grid.data or None)
    return render_template("packages/add_form.html", form=form, draft=draft, grid=grid), status


def _asked_grid() -> str | None:
    """Return the slug of the grid into which the package is to be put."""
    wanted = text("grid") or text("grid_slug") or clean(request.form.get("grid", ""))
    return wanted or None


def _grid(slug: str | None) -> tuple[str, str | None] | None:
    """Return a grid's title or, where nothing can be put into it, why not; and its slug, None in that case."""
    if not slug:
        return None
    try:
        title = open_grid(db.session(), clean(slug), viewer())
    except Invalid as locked:
        return " ".join(locked.problems["grid"]), None
    return (title, slug) if title else ("Grid not found. The package won't be added to a grid.", None)
