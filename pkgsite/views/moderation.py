"""The moderators' queue, and what they do to packages."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import Blueprint, flash, redirect, render_template, request
from werkzeug.wrappers import Response

from pkgsite.clock import utc_now
from pkgsite.errors import Conflict, Forbidden, Invalid, NotFound
from pkgsite.extensions import db, gateways
from pkgsite.rules.next_paths import own_path
from pkgsite.rules.search_words import clean
from pkgsite.services.changes import Act
from pkgsite.services.merging import merge_plan
from pkgsite.services.moderation import (
    QueueQuery,
    approve_held,
    author_of_held,
    moderation_queue,
    own_held_edits,
    reject_held,
    why_not,
)
from pkgsite.services.package_moderation import (
    LONGEST_REASON,
    deprecate_package,
    dismiss_flag,
    hide_package,
    merge_package,
    package_to_moderate,
    show_package,
)
from pkgsite.services.site_edits import decide_site
from pkgsite.views.asking import page_number, text
from pkgsite.views.links import link
from pkgsite.views.viewer import act, login_needed, moderator_needed, viewer

pages = Blueprint("moderation", __name__, url_prefix="/moderation")

Answer = str | Response | tuple[str, int]
NUMBER = "int(max=2147483647)"  # what both databases take as an id
MOST_FLAGS = 200  # that one form closes


@pages.get("/")
@moderator_needed
def queue() -> Answer:
    page = moderation_queue(db.session(), QueueQuery(list=text("list") or "flags", page=page_number()))
    return render_template("moderation/queue.html", page=page)


@pages.get("/yours/")
@login_needed
def yours() -> Answer:
    return render_template("moderation/yours.html", edits=own_held_edits(db.session(), viewer()))


@pages.post(f"/edits/<{NUMBER}:held_id>/approve/")
@moderator_needed
def approve_edit(held_id: int) -> Answer:
    moderator = viewer()
    try:
        author = author_of_held(db.session(), held_id)
        db.session.rollback()
        doing = Act(db.session(), by=author, now=utc_now(), gateways=gateways())
        with doing:
            approve_held(doing, held_id, moderator=moderator)
    except (Conflict, Forbidden, Invalid, NotFound) as failure:
        db.session.rollback()
        reject_held(db.session(), held_id, by=moderator, outcome=why_not(failure), now=utc_now())
        db.session.commit()
        flash(why_not(failure), "error")
        return _to_queue("edits")
    db.session.commit()
    flash("Edit approved and applied in the author's name.")
    return _to_queue("edits")


@pages.post(f"/edits/<{NUMBER}:held_id>/reject/")
@moderator_needed
def reject_edit(held_id: int) -> Answer:
    by = viewer()
    db.session.rollback()
    try:
        reject_held(db.session(), held_id, by=by, outcome=_reason(), now=utc_now())
    except Invalid as refusal:
        return _refused(refusal, "edits")
    db.session.commit()
    flash("Edit rejected. The author can see the reason.")
    return _to_queue("edits")


@pages.post(f"/sites/<{NUMBER}:site_id>/<any(approve, reject):decision>/")
@moderator_needed
def decide(site_id: int, decision: str) -> Answer:
    doing = act(_reason())
    with doing:
        decide_site(doing, site_id, is_approved=decision == "approve")
    db.session.commit()
    flash("Link approved." if decision == "approve" else "Link rejected.")
    return _to_queue("sites")


@pages.post(f"/flags/<{NUMBER}:flag_id>/dismiss/")
@moderator_needed
def dismiss(flag_id: int) -> Answer:
    by = viewer()
    db.session.rollback()
    try:
        slug = dismiss_flag(db.session(), flag_id, by=by, reason=_reason(), now=utc_now())
    except Invalid as refusal:
        return _refused(refusal, "flags")
    db.session.commit()
    flash("Flag dismissed.")
    return redirect(own_path(request.form.get("next")) or link("moderation.package", slug=slug), 303)


@pages.get("/packages/<slug:slug>/")
@moderator_needed
def package(slug: str) -> Answer:
    return _package_page(slug)


@pages.post("/packages/<slug:slug>/hide/")
@moderator_needed
def hide(slug: str) -> Answer:
    return _act_on(slug, hide_package, "Package hidden. Only moderators can see it.", flag_ids=_flag_ids())


@pages.post("/packages/<slug:slug>/show/")
@moderator_needed
def show(slug: str) -> Answer:
    return _act_on(slug, show_package, "Package is visible again.")


@pages.post("/packages/<slug:slug>/deprecate/")
@moderator_needed
def deprecate(slug: str) -> Answer:
    replaced_by = request.form.get("replaced_by", "")
    return _act_on(
        slug, deprecate_package, "Package marked as deprecated.", replaced_by=replaced_by, flag_ids=_flag_ids()
    )


@pages.get("/packages/<slug:slug>/merge/")
@moderator_needed
def merge_preview(slug: str) -> Answer:
    into = text("into")
    try:
        plan = merge_plan(db.session(), slug, into)
    except Invalid as refusal:
        db.session.rollback()
        return _package_page(slug, refusal, 422)
    ids = {flag.id for flag in package_to_moderate(db.session(), slug).flags}
    return render_template("moderation/merge.html", plan=plan, into=into, flag_ids=sorted(ids), problems={}, reason="")


@pages.post("/packages/<slug:slug>/merge/")
@moderator_needed
def merge(slug: str) -> Answer:
    doing = act(_reason())
    try:
        with doing:
            survivor = merge_package(doing, slug=slug, into=request.form.get("into", ""), flag_ids=_flag_ids())
    except Invalid as refusal:
        db.session.rollback()
        return _package_page(slug, refusal, 422)
    db.session.commit()
    flash(f"Merged into “{survivor.title}”.")
    return redirect(link("packages.detail", slug=survivor.slug), 303)


def _act_on(slug: str, what: Callable[..., Any], words: str, **values: Any) -> Answer:
    """Let a moderator do something to a package."""
    doing = act(_reason())
    try:
        with doing:
            what(doing, slug=slug, **values)
    except Invalid as refusal:
        db.session.rollback()
        return _package_page(slug, refusal, 422)
    db.session.commit()
    flash(words)
    return redirect(link("moderation.package", slug=slug), 303)


def _package_page(slug: str, refusal: Invalid | None = None, status: int = 200) -> Answer:
    page = package_to_moderate(db.session(), slug)
    problems = refusal.problems if refusal else {}
    typed = {name: request.values.get(name, "") for name in ("reason", "replaced_by", "into")}
    return render_template("moderation/package.html", page=page, problems=problems, typed=typed), status


def _refused(refusal: Invalid, which: str) -> Answer:
    """Show the queue again, with what kept a decision from being taken."""
    db.session.rollback()
    page = moderation_queue(db.session(), QueueQuery(list=which))
    problems = [words for told in refusal.problems.values() for words in told]
    return render_template("moderation/queue.html", page=page, problems=problems), 422


def _to_queue(which: str) -> Response:
    return redirect(link("moderation.queue", list=which), 303)


def _reason() -> str:
    """Return why, as it was typed; services clean and measure it."""
    return request.form.get("reason", "")[: 2 * LONGEST_REASON]


def _flag_ids() -> list[int]:
    ids = (clean(one) for one in request.form.getlist("flag")[:MOST_FLAGS])
    return [int(one) for one in ids if one.isascii() and one.isdigit() and len(one) <= 9]
