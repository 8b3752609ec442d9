"""Actions on a package other than editing it: "I use this", favourites, site links and flags."""

from __future__ import annotations

from flask import Blueprint, flash, redirect, render_template, request
from werkzeug.wrappers import Response

from pkgsite.clock import utc_now
from pkgsite.errors import Conflict, Forbidden, Invalid, NotFound
from pkgsite.extensions import db
from pkgsite.forms import show_errors
from pkgsite.forms.packages import FlagForm, FlagReplyForm, SiteForm, parse_hidden_int, site_form
from pkgsite.rules.redirects import safe_redirect_path
from pkgsite.services.packages.edits import get_package_for_editing
from pkgsite.services.packages.flags import (
    REPLY_DENIED,
    find_own_flag,
    raise_flag,
    reply_to_flag,
    viewer_state,
    withdraw_flag,
)
from pkgsite.services.packages.sites import AddSite, DeleteSite, EditSite, get_site_for_editing
from pkgsite.services.packages.usage import mark_favourite, mark_used
from pkgsite.views.editing import ViewResponse, applied, changed_fields, redirect_with_notice, submit_edit
from pkgsite.views.links import link
from pkgsite.views.package_edits import pages
from pkgsite.views.slugs import ID_CONVERTER
from pkgsite.views.viewer import current_viewer, login_required

favourites = Blueprint("favourites", __name__, url_prefix="/favorites")  # the URLs of the reference site

MARK_VALUES = {"add": True, "remove": False}


@pages.post("/<slug:slug>/usage/")
@login_required
def set_usage(slug: str) -> Response:
    return _mark_usage(slug, request.form.get("value", ""))


@pages.post("/usage/<slug:slug>/<any(add, remove):value>/")
@login_required
def set_usage_by_path(slug: str, value: str) -> Response:
    return _mark_usage(slug, value)


@pages.post("/<slug:slug>/favourite/")
@login_required
def set_favourite(slug: str) -> Response:
    return _mark_favourite(slug, request.form.get("value", ""))


@favourites.post(f"/<any(add, remove):value>/<{ID_CONVERTER}:package_id>/")
@login_required
def set_favourite_by_path(value: str, package_id: int) -> Response:
    return _mark_favourite(package_id, value)


@pages.get("/<slug:slug>/sites/add/")
@login_required
def add_site(slug: str) -> ViewResponse:
    package = get_package_for_editing(db.session(), slug, current_viewer())
    return render_template(
        "packages/site.html", package=package, form=SiteForm(formdata=None), site=None, differences=[]
    )


@pages.post("/<slug:slug>/sites/add/")
@login_required
def create_site(slug: str) -> ViewResponse:
    package, form = get_package_for_editing(db.session(), slug, current_viewer()), SiteForm()
    edit = AddSite(package.id, form.title.data or "", form.url.data or "")
    try:  # links are reviewed before they are shown, so the edit itself isn't queued
        site = applied(submit_edit(edit, title=f"Add site that uses “{package.title}”", review=False))
    except Invalid as error:
        show_errors(form, error)
        return render_template("packages/site.html", package=package, form=form, site=None, differences=[]), 422
    flash(
        "Site added."
        if site and site.is_approved
        else "Thank you. The link will appear once a moderator has approved it."
    )
    return redirect(link("packages.detail", slug=package.slug), 303)


@pages.get(f"/<slug:slug>/sites/<{ID_CONVERTER}:site_id>/edit/")
@login_required
def edit_site(slug: str, site_id: int) -> ViewResponse:
    site = get_site_for_editing(db.session(), slug, site_id, current_viewer())
    package = get_package_for_editing(db.session(), slug, current_viewer())
    return render_template("packages/site.html", package=package, form=site_form(site), site=site, differences=[])


@pages.post(f"/<slug:slug>/sites/<{ID_CONVERTER}:site_id>/edit/")
@login_required
def update_site(slug: str, site_id: int) -> ViewResponse:
    site, form = get_site_for_editing(db.session(), slug, site_id, current_viewer()), SiteForm()
    edit = EditSite(site_id, form.title.data or "", form.url.data or "", parse_hidden_int(form.version.data))
    status, differences = 422, []
    try:
        saved = applied(submit_edit(edit, title=f"Edit site that uses “{site.package_title}”", review=False))
    except Invalid as error:
        show_errors(form, error)
    except Conflict:
        status, site = 409, get_site_for_editing(db.session(), slug, site_id, current_viewer())
        differences = changed_fields([("Site name", site.title, form.title.data), ("URL", site.url, form.url.data)])
        form.version.data = str(site.version)
    else:
        is_pending = saved is not None and not saved.is_approved
        flash("Saved. The link will appear once a moderator has approved it." if is_pending else "Saved.")
        return redirect(link("packages.detail", slug=slug), 303)
    package = get_package_for_editing(db.session(), slug, current_viewer())
    return render_template("packages/site.html", package=package, form=form, site=site, differences=differences), status


@pages.get(f"/<slug:slug>/sites/<{ID_CONVERTER}:site_id>/delete/")
@login_required
def confirm_delete_site(slug: str, site_id: int) -> ViewResponse:
    return render_template(
        "packages/site_delete.html", site=get_site_for_editing(db.session(), slug, site_id, current_viewer())
    )


@pages.post(f"/<slug:slug>/sites/<{ID_CONVERTER}:site_id>/delete/")
@login_required
def delete_site(slug: str, site_id: int) -> ViewResponse:
    site = get_site_for_editing(db.session(), slug, site_id, current_viewer())
    outcome = submit_edit(DeleteSite(site_id), title=f"Remove “{site.title}” from “{site.package_title}”")
    return redirect_with_notice(outcome, link("packages.detail", slug=slug), f"“{site.title}” removed.")


@pages.get("/<slug:slug>/example/add/")
def redirect_add_example(slug: str) -> Response:
    return redirect(link("package_edits.add_site", slug=slug), 301)


@pages.get(f"/<slug:slug>/example/<{ID_CONVERTER}:site_id>/<any(edit, delete):what>/")
def redirect_example(slug: str, site_id: int, what: str) -> Response:
    return redirect(link(f"package_edits.{what}_site", slug=slug, site_id=site_id), 301)


@pages.get("/<slug:slug>/flag/")
@login_required
def flag_form(slug: str) -> ViewResponse:
    package = get_package_for_editing(db.session(), slug, current_viewer())
    existing_flag = find_own_flag(db.session(), package.id, current_viewer())
    known = {"kind": existing_flag.kind, "reason": existing_flag.reason} if existing_flag else {}
    form = FlagForm(formdata=None, data=known)
    return render_template("packages/flag.html", package=package, form=form, is_raised=existing_flag is not None)


@pages.post("/<slug:slug>/flag/")
@login_required
def save_flag(slug: str) -> ViewResponse:
    by, form = current_viewer(), FlagForm()
    package = get_package_for_editing(db.session(), slug, by)
    is_raised = find_own_flag(db.session(), package.id, by) is not None
    db.session.rollback()
    try:
        raise_flag(
            db.session(), package.id, kind=form.kind.data or "", reason=form.reason.data or "", by=by, now=utc_now()
        )
    except Invalid as error:
        db.session.rollback()
        show_errors(form, error)
        return render_template("packages/flag.html", package=package, form=form, is_raised=is_raised), 422
    db.session.commit()
    flash("Flag updated." if is_raised else "Thank you. The moderators will review your flag.")
    return redirect(link("packages.detail", slug=package.slug), 303)


@pages.post("/<slug:slug>/flag/withdraw/")
@login_required
def withdraw(slug: str) -> ViewResponse:
    by = current_viewer()
    package = get_package_for_editing(db.session(), slug, by)
    db.session.rollback()
    withdrawn = withdraw_flag(db.session(), package.id, by=by, now=utc_now())
    db.session.commit()
    flash("Flag withdrawn." if withdrawn else "You have no open flag for this package.")
    return redirect(link("packages.detail", slug=package.slug), 303)


@pages.get(f"/<slug:slug>/flags/<{ID_CONVERTER}:flag_id>/answer/")
@login_required
def reply_form(slug: str, flag_id: int) -> ViewResponse:
    by = current_viewer()
    package = get_package_for_editing(db.session(), slug, by)
    state = viewer_state(db.session(), package.id, by)
    flag = next((flag for flag in state.flags if flag.id == flag_id), None)
    if flag is None:
        raise NotFound("Flag")
    if not (state.is_author or by.is_moderator):
        raise Forbidden(REPLY_DENIED)
    form = FlagReplyForm(formdata=None, data={"answer": flag.reply or ""})
    return render_template("packages/flag_reply.html", package=package, flag=flag, form=form)


@pages.post(f"/<slug:slug>/flags/<{ID_CONVERTER}:flag_id>/answer/")
@login_required
def save_reply(slug: str, flag_id: int) -> ViewResponse:
    by, form = current_viewer(), FlagReplyForm()
    package = get_package_for_editing(db.session(), slug, by)
    flag = next((flag for flag in viewer_state(db.session(), package.id, by).flags if flag.id == flag_id), None)
    if flag is None:
        raise NotFound("Flag")
    db.session.rollback()
    try:
        reply = reply_to_flag(db.session(), flag_id, reply=form.answer.data or "", by=by, now=utc_now())
    except Invalid as error:
        db.session.rollback()
        show_errors(form, error)
        return render_template("packages/flag_reply.html", package=package, flag=flag, form=form), 422
    db.session.commit()
    flash("Reply saved." if reply.reply else "Reply deleted.")
    return redirect(link("packages.detail", slug=package.slug), 303)


def _mark_usage(slug: str, value: str) -> Response:
    by, is_wanted = current_viewer(), _parse_mark(value)
    db.session.rollback()
    mark_used(db.session(), slug, is_wanted, by=by, now=utc_now())
    db.session.commit()
    return _redirect_back(slug)


def _mark_favourite(key: str | int, value: str) -> Response:
    by, is_wanted = current_viewer(), _parse_mark(value)
    db.session.rollback()
    slug = mark_favourite(db.session(), key, is_wanted, by=by, now=utc_now())
    db.session.commit()
    return _redirect_back(slug)


def _parse_mark(value: str) -> bool:
    if value not in MARK_VALUES:
        raise Invalid({"value": ["Must be “add” or “remove”."]})
    return MARK_VALUES[value]


def _redirect_back(slug: str) -> Response:
    """Redirect to the page of this site that the user came from, otherwise to the package."""
    next_path = safe_redirect_path(request.form.get("next") or request.args.get("next"))
    return redirect(next_path or link("packages.detail", slug=slug), 303)
