"""The moderation queue, and moderators' actions on packages."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import Blueprint, flash, redirect, render_template, request
from werkzeug.wrappers import Response

from pkgsite.clock import utc_now
from pkgsite.errors import Conflict, Forbidden, Invalid, NotFound
from pkgsite.extensions import db, gateways
from pkgsite.rules.redirects import safe_redirect_path
from pkgsite.rules.search.tokenizer import clean_query
from pkgsite.services.changeset import Changeset
from pkgsite.services.moderation.packages import (
    MAX_DECISION_REASON_LENGTH,
    deprecate_package,
    dismiss_flag,
    hide_package,
    merge_package,
    package_moderation_page,
    unhide_package,
)
from pkgsite.services.moderation.queue import (
    QueueQuery,
    approve_pending_edit,
    failure_message,
    moderation_queue,
    own_submitted_edits,
    pending_edit_author,
    reject_pending_edit,
)
from pkgsite.services.packages.merge import plan_merge
from pkgsite.services.packages.sites import set_site_approval
from pkgsite.views.editing import ViewResponse
from pkgsite.views.links import link
from pkgsite.views.query_params import page_param, param
from pkgsite.views.slugs import ID_CONVERTER
from pkgsite.views.viewer import begin_changeset, current_viewer, login_required, moderator_required

pages = Blueprint("moderation", __name__, url_prefix="/moderation")

MAX_FLAGS = 200  # closed by one form


@pages.get("/")
@moderator_required
def queue() -> ViewResponse:
    page = moderation_queue(db.session(), QueueQuery(list_name=param("list") or "flags", page=page_param()))
    return render_template("moderation/queue.html", page=page, problems=[])


@pages.get("/yours/")
@login_required
def own_edits() -> ViewResponse:
    return render_template("moderation/own_edits.html", edits=own_submitted_edits(db.session(), current_viewer()))


@pages.post(f"/edits/<{ID_CONVERTER}:edit_id>/approve/")
@moderator_required
def approve_edit(edit_id: int) -> ViewResponse:
    moderator = current_viewer()
    try:
        author = pending_edit_author(db.session(), edit_id)
        db.session.rollback()
        changeset = Changeset(db.session(), by=author, now=utc_now(), gateways=gateways())
        with changeset:
            approve_pending_edit(changeset, edit_id, moderator=moderator)
    except (Conflict, Forbidden, Invalid, NotFound) as error:
        db.session.rollback()
        reject_pending_edit(db.session(), edit_id, by=moderator, outcome=failure_message(error), now=utc_now())
        db.session.commit()
        flash(failure_message(error), "error")
        return _redirect_to_queue("edits")
    db.session.commit()
    flash("Edit approved and applied in the author's name.")
    return _redirect_to_queue("edits")


@pages.post(f"/edits/<{ID_CONVERTER}:edit_id>/reject/")
@moderator_required
def reject_edit(edit_id: int) -> ViewResponse:
    moderator = current_viewer()
    db.session.rollback()
    try:
        reject_pending_edit(db.session(), edit_id, by=moderator, outcome=_reason(), now=utc_now())
    except Invalid as error:
        return _queue_with_errors(error, "edits")
    db.session.commit()
    flash("Edit rejected. The author can see the reason.")
    return _redirect_to_queue("edits")


@pages.post(f"/sites/<{ID_CONVERTER}:site_id>/<any(approve, reject):decision>/")
@moderator_required
def review_site(site_id: int, decision: str) -> ViewResponse:
    changeset = begin_changeset(_reason())
    with changeset:
        set_site_approval(changeset, site_id, is_approved=decision == "approve")
    db.session.commit()
    flash("Link approved." if decision == "approve" else "Link rejected.")
    return _redirect_to_queue("sites")


@pages.post(f"/flags/<{ID_CONVERTER}:flag_id>/dismiss/")
@moderator_required
def dismiss(flag_id: int) -> ViewResponse:
    moderator = current_viewer()
    db.session.rollback()
    try:
        slug = dismiss_flag(db.session(), flag_id, by=moderator, reason=_reason(), now=utc_now())
    except Invalid as error:
        return _queue_with_errors(error, "flags")
    db.session.commit()
    flash("Flag dismissed.")
    return redirect(safe_redirect_path(request.form.get("next")) or link("moderation.package", slug=slug), 303)


@pages.get("/packages/<slug:slug>/")
@moderator_required
def package(slug: str) -> ViewResponse:
    return _package_page(slug)


@pages.post("/packages/<slug:slug>/hide/")
@moderator_required
def hide(slug: str) -> ViewResponse:
    return _moderate(slug, hide_package, "Package hidden. Only moderators can see it.", flag_ids=_flag_ids())


@pages.post("/packages/<slug:slug>/show/")
@moderator_required
def unhide(slug: str) -> ViewResponse:
    return _moderate(slug, unhide_package, "Package unhidden. Everyone can see it.")


@pages.post("/packages/<slug:slug>/deprecate/")
@moderator_required
def deprecate(slug: str) -> ViewResponse:
    replaced_by = request.form.get("replaced_by", "")
    return _moderate(
        slug, deprecate_package, "Package marked as deprecated.", replaced_by=replaced_by, flag_ids=_flag_ids()
    )


@pages.get("/packages/<slug:slug>/merge/")
@moderator_required
def merge_preview(slug: str) -> ViewResponse:
    try:
        plan = plan_merge(db.session(), slug, param("into"))
    except Invalid as error:
        db.session.rollback()
        return _package_page(slug, error, 422)
    flag_ids = sorted(flag.id for flag in package_moderation_page(db.session(), slug).flags)
    return render_template("moderation/merge.html", merge_plan=plan, flag_ids=flag_ids)


@pages.post("/packages/<slug:slug>/merge/")
@moderator_required
def merge(slug: str) -> ViewResponse:
    changeset = begin_changeset(_reason())
    try:
        with changeset:
            survivor = merge_package(changeset, slug=slug, into=request.form.get("into", ""), flag_ids=_flag_ids())
    except Invalid as error:
        db.session.rollback()
        return _package_page(slug, error, 422)
    db.session.commit()
    flash(f"Merged into “{survivor.title}”.")
    return redirect(link("packages.detail", slug=survivor.slug), 303)


def _moderate(slug: str, action: Callable[..., Any], message: str, **values: Any) -> ViewResponse:
    """Apply a moderator's action to a package, then show its moderation page."""
    changeset = begin_changeset(_reason())
    try:
        with changeset:
            action(changeset, slug=slug, **values)
    except Invalid as error:
        db.session.rollback()
        return _package_page(slug, error, 422)
    db.session.commit()
    flash(message)
    return redirect(link("moderation.package", slug=slug), 303)


def _package_page(slug: str, error: Invalid | None = None, status: int = 200) -> ViewResponse:
    page = package_moderation_page(db.session(), slug)
    problems = error.problems if error else {}
    submitted = {name: request.values.get(name, "") for name in ("reason", "replaced_by", "into")}
    return render_template("moderation/package.html", page=page, problems=problems, submitted=submitted), status


def _queue_with_errors(error: Invalid, list_name: str) -> ViewResponse:
    """Show the queue again with the errors of a decision."""
    db.session.rollback()
    page = moderation_queue(db.session(), QueueQuery(list_name=list_name))
    problems = [message for messages in error.problems.values() for message in messages]
    return render_template("moderation/queue.html", page=page, problems=problems), 422


def _redirect_to_queue(list_name: str) -> Response:
    return redirect(link("moderation.queue", list=list_name), 303)


def _reason() -> str:
    """Return the submitted reason; services clean it and check its length."""
    return request.form.get("reason", "")[: 2 * MAX_DECISION_REASON_LENGTH]


def _flag_ids() -> list[int]:
    ids = (clean_query(flag_id) for flag_id in request.form.getlist("flag")[:MAX_FLAGS])
    return [int(flag_id) for flag_id in ids if flag_id.isascii() and flag_id.isdigit() and len(flag_id) <= 9]
