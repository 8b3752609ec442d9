"""What people say of a package beside its own form: "I use this", favourites, sites that use it, flags."""

from __future__ import annotations

from flask import Blueprint, abort, flash, redirect, render_template, request
from werkzeug.wrappers import Response

from pkgsite.clock import utc_now
from pkgsite.errors import Conflict, Invalid, NotFound
from pkgsite.extensions import db
from pkgsite.forms import show_refusal
from pkgsite.forms.packages import AnswerForm, FlagForm, SiteForm, number_in, site_form
from pkgsite.rules.redirects import own_path
from pkgsite.services.moderation.actions import Held
from pkgsite.services.packages.edits import package_to_edit
from pkgsite.services.packages.flags import answer_flag, own_flag, raise_flag, standing, withdraw_flag
from pkgsite.services.packages.sites import site_to_edit
from pkgsite.services.packages.usage import mark_favourite, mark_used
from pkgsite.views.links import link
from pkgsite.views.package_edits import Answer, done_or_held, pages
from pkgsite.views.viewer import login_needed, viewer

favourites = Blueprint("favourites", __name__, url_prefix="/favorites")  # addresses that old clients know

NUMBER = "int(max=2147483647)"  # what both databases take as an id
VALUES = {"add": True, "remove": False}


@pages.post("/<slug:slug>/usage/")
@login_needed
def usage(slug: str) -> Response:
    return _use(slug, request.form.get("value", ""))


@pages.post("/usage/<slug:slug>/<any(add, remove):value>/")
@login_needed
def usage_by_path(slug: str, value: str) -> Response:
    return _use(slug, value)


@pages.post("/<slug:slug>/favourite/")
@login_needed
def favourite(slug: str) -> Response:
    return _like(slug, request.form.get("value", ""))


@favourites.post(f"/<any(add, remove):value>/<{NUMBER}:package_id>/")
@login_needed
def favourite_by_path(value: str, package_id: int) -> Response:
    return _like(package_id, value)


@pages.get("/<slug:slug>/sites/add/")
@login_needed
def add_site(slug: str) -> Answer:
    package = package_to_edit(db.session(), slug, viewer())
    return render_template(
        "packages/site.html", package=package, form=SiteForm(formdata=None), site=None, differences=[]
    )


@pages.post("/<slug:slug>/sites/add/")
@login_needed
def save_site(slug: str) -> Answer:
    package, form = package_to_edit(db.session(), slug, viewer()), SiteForm()
    arguments = {"package_id": package.id, "title": form.title.data or "", "url": form.url.data or ""}
    try:  # a link is looked at before it is shown anyway: nothing is gained by holding it before that
        site = done_or_held("site.add", arguments, title=f"Add site using “{package.title}”", review=False)
    except Invalid as refusal:
        show_refusal(form, refusal)
        return render_template("packages/site.html", package=package, form=form, site=None, differences=[]), 422
    flash("Site added." if site.is_approved else "Thank you. The link will appear once a moderator has approved it.")
    return redirect(link("packages.detail", slug=package.slug), 303)


@pages.get(f"/<slug:slug>/sites/<{NUMBER}:site_id>/edit/")
@login_needed
def edit_site(slug: str, site_id: int) -> Answer:
    site = site_to_edit(db.session(), slug, site_id, viewer())
    package = package_to_edit(db.session(), slug, viewer())
    return render_template("packages/site.html", package=package, form=site_form(site), site=site, differences=[])


@pages.post(f"/<slug:slug>/sites/<{NUMBER}:site_id>/edit/")
@login_needed
def save_edited_site(slug: str, site_id: int) -> Answer:
    site, form = site_to_edit(db.session(), slug, site_id, viewer()), SiteForm()
    arguments = {
        "site_id": site_id,
        "title": form.title.data or "",
        "url": form.url.data or "",
        "version": number_in(form.version.data),
    }
    status, differences = 422, []
    try:
        saved = done_or_held("site.edit", arguments, title=f"Edit site using “{site.package_title}”", review=False)
    except Invalid as refusal:
        show_refusal(form, refusal)
    except Conflict:
        status, site = 409, site_to_edit(db.session(), slug, site_id, viewer())
        pairs = [("Site name", site.title, form.title.data or ""), ("URL", site.url, form.url.data or "")]
        differences = [pair for pair in pairs if pair[1] != pair[2]]
        form.version.data = str(site.version)
    else:
        waits = saved is not None and not saved.is_approved
        flash("Saved. The link will appear once a moderator has approved it." if waits else "Saved.")
        return redirect(link("packages.detail", slug=slug), 303)
    package = package_to_edit(db.session(), slug, viewer())
    return render_template("packages/site.html", package=package, form=form, site=site, differences=differences), status


@pages.get(f"/<slug:slug>/sites/<{NUMBER}:site_id>/delete/")
@login_needed
def delete_site(slug: str, site_id: int) -> Answer:
    return render_template("packages/site_delete.html", site=site_to_edit(db.session(), slug, site_id, viewer()))


@pages.post(f"/<slug:slug>/sites/<{NUMBER}:site_id>/delete/")
@login_needed
def delete_site_now(slug: str, site_id: int) -> Answer:
    site = site_to_edit(db.session(), slug, site_id, viewer())
    done = done_or_held("site.delete", {"site_id": site_id}, title=f"Remove “{site.title}” from “{site.package_title}”")
    if not isinstance(done, Held):
        flash(f"“{site.title}” removed.")
    return redirect(link("packages.detail", slug=slug), 303)


@pages.get("/<slug:slug>/example/add/")
def add_example(slug: str) -> Response:
    return redirect(link("package_edits.add_site", slug=slug), 301)


@pages.get(f"/<slug:slug>/example/<{NUMBER}:site_id>/<any(edit, delete):what>/")
def change_example(slug: str, site_id: int, what: str) -> Response:
    return redirect(link(f"package_edits.{what}_site", slug=slug, site_id=site_id), 301)


@pages.get("/<slug:slug>/flag/")
@login_needed
def flag(slug: str) -> Answer:
    package = package_to_edit(db.session(), slug, viewer())
    present = own_flag(db.session(), package.id, viewer())
    known = {"kind": present.kind, "reason": present.reason} if present else {}
    form = FlagForm(formdata=None, data=known)
    return render_template("packages/flag.html", package=package, form=form, is_raised=present is not None)


@pages.post("/<slug:slug>/flag/")
@login_needed
def save_flag(slug: str) -> Answer:
    by, form = viewer(), FlagForm()
    package = package_to_edit(db.session(), slug, by)
    is_raised = own_flag(db.session(), package.id, by) is not None
    db.session.rollback()
    try:
        raise_flag(
            db.session(), package.id, kind=form.kind.data or "", reason=form.reason.data or "", by=by, now=utc_now()
        )
    except Invalid as refusal:
        db.session.rollback()
        show_refusal(form, refusal)
        return render_template("packages/flag.html", package=package, form=form, is_raised=is_raised), 422
    db.session.commit()
    flash("Flag updated." if is_raised else "Thank you. The moderators will review your flag.")
    return redirect(link("packages.detail", slug=package.slug), 303)


@pages.post("/<slug:slug>/flag/withdraw/")
@login_needed
def withdraw(slug: str) -> Answer:
    by = viewer()
    package = package_to_edit(db.session(), slug, by)
    db.session.rollback()
    withdrawn = withdraw_flag(db.session(), package.id, by=by, now=utc_now())
    db.session.commit()
    flash("Flag withdrawn." if withdrawn else "You have no open flag for this package.")
    return redirect(link("packages.detail", slug=package.slug), 303)


@pages.get(f"/<slug:slug>/flags/<{NUMBER}:flag_id>/answer/")
@login_needed
def answer(slug: str, flag_id: int) -> Answer:
    by = viewer()
    package = package_to_edit(db.session(), slug, by)
    own = standing(db.session(), package.id, by)
    found = next((line for line in own.flags if line.id == flag_id), None)
    if found is None:
        raise NotFound("Flag")
    if not (own.is_author or by.is_moderator):
        abort(403)
    form = AnswerForm(formdata=None, data={"answer": found.answer or ""})
    return render_template("packages/answer.html", package=package, flag=found, form=form)


@pages.post(f"/<slug:slug>/flags/<{NUMBER}:flag_id>/answer/")
@login_needed
def save_answer(slug: str, flag_id: int) -> Answer:
    by, form = viewer(), AnswerForm()
    package = package_to_edit(db.session(), slug, by)
    found = next((line for line in standing(db.session(), package.id, by).flags if line.id == flag_id), None)
    if found is None:
        raise NotFound("Flag")
    db.session.rollback()
    try:
        answer_flag(db.session(), flag_id, words=form.answer.data or "", by=by, now=utc_now())
    except Invalid as refusal:
        db.session.rollback()
        show_refusal(form, refusal)
        return render_template("packages/answer.html", package=package, flag=found, form=form), 422
    db.session.commit()
    flash("Reply saved. Moderators see it next to the flag.")
    return redirect(link("packages.detail", slug=package.slug), 303)


def _use(slug: str, value: str) -> Response:
    by, is_wanted = viewer(), _wanted(value)
    db.session.rollback()
    mark_used(db.session(), slug, is_wanted, by=by, now=utc_now())
    db.session.commit()
    return _back(slug)


def _like(key: str | int, value: str) -> Response:
    by, is_wanted = viewer(), _wanted(value)
    db.session.rollback()
    slug = mark_favourite(db.session(), key, is_wanted, by=by, now=utc_now())
    db.session.commit()
    return _back(slug)


def _wanted(value: str) -> bool:
    if value not in VALUES:
        raise Invalid({"value": ["Must be “add” or “remove”."]})
    return VALUES[value]


def _back(slug: str) -> Response:
    """Lead back to the page of ours that the person came from, or else to the package."""
    wanted = own_path(request.form.get("next") or request.args.get("next"))
    return redirect(wanted or link("packages.detail", slug=slug), 303)
