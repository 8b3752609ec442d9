"""What people have changed, and the ways back."""

from __future__ import annotations

from datetime import timedelta

from flask import Blueprint, Response, current_app, flash, redirect, render_template, request
from werkzeug.wrappers import Response as AnyResponse

from pkgsite.clock import utc_now
from pkgsite.errors import Conflict
from pkgsite.extensions import db
from pkgsite.rules.search_words import clean
from pkgsite.services.bulk_undo import bulk_undo_page, person_named
from pkgsite.services.history_entries import in_words
from pkgsite.services.history_pages import (
    AGES,
    RecentQuery,
    change_page,
    object_history,
    recent_changes,
    restore_page,
)
from pkgsite.services.history_subjects import grid_id_of, package_id_of
from pkgsite.services.permissions import ANONYMOUS
from pkgsite.services.undoing import Scope, restore, undo, undo_everything_by
from pkgsite.views.asking import is_yes, text
from pkgsite.views.feeds import atom
from pkgsite.views.links import asked, canonical_of, link
from pkgsite.views.viewer import act, login_needed, moderator_needed, viewer

pages = Blueprint("history", __name__)

LONGEST_REASON = 300  # characters
MOST_DAYS = 9999
NUMBER = "int(max=2147483647)"  # what both databases take as an id


@pages.get("/changes/")
def recent() -> str:
    page = recent_changes(db.session(), _recent_query(), viewer(), now=utc_now())
    return render_template("history/recent.html", page=page, ages=AGES)


@pages.get("/changes/feed/")
def feed() -> Response:
    """The same as anybody sees it, whoever asks."""
    page = recent_changes(db.session(), _recent_query(), ANONYMOUS, now=utc_now())
    values = asked(page.query)
    # Not by `render_template`, which would make the feed depend on who asks.
    body = current_app.jinja_env.get_template("history/feed.xml").render(
        page=page,
        in_words=in_words,
        title=current_app.config["SITE_TITLE"],
        own=canonical_of("history.feed", **values),
        site=canonical_of("history.recent", **values),
        address=lambda entry: canonical_of("history.change", revision_id=entry.id),
    )
    return atom(body, changed_at=page.entries[0].at if page.entries else None)


@pages.get(f"/changes/<{NUMBER}:revision_id>/")
def change(revision_id: int) -> str:
    return render_template("history/change.html", page=change_page(db.session(), revision_id, viewer()))


@pages.post(f"/changes/<{NUMBER}:revision_id>/undo/")
@login_needed
def undo_change(revision_id: int) -> AnyResponse | tuple[str, int]:
    change_page(db.session(), revision_id, viewer())  # what somebody may not see they may not change
    doing = act(_reason())
    try:
        with doing:
            undo(doing, revision_id)
    except Conflict as conflict:
        db.session.rollback()
        page = change_page(db.session(), revision_id, viewer())
        return render_template("history/refused.html", page=page, why=str(conflict)), 409
    db.session.commit()
    if doing.head_id is None:
        flash("There was nothing to undo.")
        return redirect(link("history.change", revision_id=revision_id), 303)
    flash(f"Change {revision_id} has been undone.")
    return redirect(link("history.change", revision_id=doing.head_id), 303)


@pages.get("/changes/by/<slug:username>/undo/")
@moderator_needed
def undo_person(username: str) -> str:
    page = bulk_undo_page(db.session(), username, viewer(), days=_days(text("days")), now=utc_now())
    return render_template("history/undo_person.html", page=page, ages=AGES)


@pages.post("/changes/by/<slug:username>/undo/")
@moderator_needed
def undo_person_now(username: str) -> AnyResponse:
    user_id, name = person_named(db.session(), username)
    days = _days(request.form.get("days", ""))
    doing = act(_reason())
    with doing:
        since = None if days is None else doing.now - timedelta(days=days)
        done = undo_everything_by(doing, user_id, since=since)
    db.session.commit()
    undone, kept = len(done.undone), len(done.kept)
    words = f"{undone:,} {'change' if undone == 1 else 'changes'} undone."
    words += f" {kept:,} kept because others have edited the same content since." if kept else ""
    flash(words)
    return redirect(link("history.recent", by=name), 303)


@pages.get("/packages/<slug:slug>/history/")
def package(slug: str) -> str:
    return _history(Scope("package", package_id_of(db.session(), slug, viewer())))


@pages.get("/grids/<slug:slug>/history/")
def grid(slug: str) -> str:
    return _history(Scope("grid", grid_id_of(db.session(), slug)))


@pages.get(f"/history/<kind>/<{NUMBER}:object_id>/")
def object(kind: str, object_id: int) -> str:
    return _history(Scope(kind, object_id))


@pages.get(f"/history/<kind>/<{NUMBER}:object_id>/restore/<{NUMBER}:revision_id>/")
@login_needed
def restore_form(kind: str, object_id: int, revision_id: int) -> str:
    page = restore_page(db.session(), Scope(kind, object_id), revision_id, viewer())
    return render_template("history/restore.html", page=page, why="", reason="")


@pages.post(f"/history/<kind>/<{NUMBER}:object_id>/restore/<{NUMBER}:revision_id>/")
@login_needed
def restore_now(kind: str, object_id: int, revision_id: int) -> AnyResponse | tuple[str, int]:
    scope, reason = Scope(kind, object_id), _reason()
    restore_page(db.session(), scope, revision_id, viewer())  # what somebody may not see they may not change
    doing = act(reason)
    try:
        with doing:
            is_changed = restore(doing, scope, revision_id, seen=_seen())
    except Conflict as conflict:
        db.session.rollback()
        page = restore_page(db.session(), scope, revision_id, viewer())
        return render_template("history/restore.html", page=page, why=str(conflict), reason=reason), 409
    db.session.commit()
    flash("Restored." if is_changed else "Nothing to restore: this is already the current state.")
    return redirect(link("history.object", kind=kind, object_id=object_id), 303)


def _history(scope: Scope) -> str:
    before = text("before")
    page = object_history(db.session(), scope, viewer(), before=int(before) if _is_number(before) else None)
    return render_template("history/object.html", page=page)


def _recent_query() -> RecentQuery:
    return RecentQuery(
        kind=text("kind"),
        by=text("by"),
        days=text("days"),
        not_moderators=is_yes("not_moderators"),
        before=text("before"),
    )


def _reason() -> str:
    return clean(request.form.get("reason", ""))[:LONGEST_REASON]


def _seen() -> int:
    """Return the last revision that the form showed; -1, which never is one, if it doesn't say."""
    seen = request.form.get("seen", "")
    return int(seen) if _is_number(seen) else -1


def _days(asked_for: str) -> int | None:
    return min(int(asked_for), MOST_DAYS) if _is_number(asked_for) else None


def _is_number(written: str) -> bool:
    return written.isascii() and written.isdigit() and len(written) <= 18
