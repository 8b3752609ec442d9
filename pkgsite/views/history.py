"""The history of changes, and the forms that undo them or restore earlier versions."""

from __future__ import annotations

from datetime import timedelta

from flask import Blueprint, Response, current_app, flash, redirect, render_template, request
from werkzeug.wrappers import Response as AnyResponse

from pkgsite.clock import utc_now
from pkgsite.errors import Conflict
from pkgsite.extensions import db
from pkgsite.rules.search.tokenizer import clean_query
from pkgsite.services.changeset import MAX_EDIT_REASON_LENGTH
from pkgsite.services.history.bulk_revert import bulk_revert_page, find_user
from pkgsite.services.history.entries import label_text
from pkgsite.services.history.pages import (
    PERIODS_DAYS,
    RecentQuery,
    change_page,
    object_history,
    recent_changes,
    restore_page,
)
from pkgsite.services.history.revert import HistoryScope, restore, revert, revert_all_by
from pkgsite.services.history.subjects import get_grid_id, get_package_id
from pkgsite.services.permissions import ANONYMOUS
from pkgsite.views.feeds import atom_response
from pkgsite.views.links import absolute_url, link, query_values
from pkgsite.views.query_params import bool_param, param
from pkgsite.views.slugs import ID_CONVERTER
from pkgsite.views.viewer import begin_changeset, current_viewer, login_required, moderator_required

pages = Blueprint("history", __name__)

MAX_DAYS = 9999


@pages.get("/changes/")
def recent() -> str:
    page = recent_changes(db.session(), _recent_query(), current_viewer(), now=utc_now())
    return render_template("history/recent.html", page=page, periods=PERIODS_DAYS)


@pages.get("/changes/feed/")
def feed() -> Response:
    """Return the recent changes as an Atom feed, as an anonymous visitor sees them."""
    page = recent_changes(db.session(), _recent_query(), ANONYMOUS, now=utc_now())
    values = query_values(page.query)
    # `render_template` would add the current user, which would make the feed depend on the session.
    body = current_app.jinja_env.get_template("history/feed.xml").render(
        page=page,
        label_text=label_text,
        title=current_app.config["SITE_TITLE"],
        self_url=absolute_url("history.feed", **values),
        page_url=absolute_url("history.recent", **values),
        entry_url=lambda entry: absolute_url("history.change", revision_id=entry.id),
    )
    return atom_response(body, changed_at=page.entries[0].at if page.entries else None)


@pages.get(f"/changes/<{ID_CONVERTER}:revision_id>/")
def change(revision_id: int) -> str:
    return render_template("history/change.html", page=change_page(db.session(), revision_id, current_viewer()))


@pages.post(f"/changes/<{ID_CONVERTER}:revision_id>/undo/")
@login_required
def revert_change(revision_id: int) -> AnyResponse | tuple[str, int]:
    change_page(db.session(), revision_id, current_viewer())  # raises NotFound if the user can't see it
    changeset = begin_changeset(_reason())
    try:
        with changeset:
            revert(changeset, revision_id)
    except Conflict as conflict:
        db.session.rollback()
        page = change_page(db.session(), revision_id, current_viewer())
        return render_template("history/revert_conflict.html", page=page, conflict_message=str(conflict)), 409
    db.session.commit()
    if changeset.head_id is None:
        flash("There was nothing to undo.")
        return redirect(link("history.change", revision_id=revision_id), 303)
    flash(f"Change {revision_id} has been undone.")
    return redirect(link("history.change", revision_id=changeset.head_id), 303)


@pages.get("/changes/by/<slug:username>/undo/")
@moderator_required
def bulk_revert_preview(username: str) -> str:
    page = bulk_revert_page(db.session(), username, current_viewer(), days=_days(param("days")), now=utc_now())
    return render_template("history/bulk_revert.html", page=page, periods=PERIODS_DAYS)


@pages.post("/changes/by/<slug:username>/undo/")
@moderator_required
def bulk_revert(username: str) -> AnyResponse:
    user_id, name = find_user(db.session(), username)
    days = _days(request.form.get("days", ""))
    changeset = begin_changeset(_reason())
    with changeset:
        since = None if days is None else changeset.now - timedelta(days=days)
        result = revert_all_by(changeset, user_id, since=since)
    db.session.commit()
    reverted, skipped = len(result.reverted), len(result.skipped)
    message = f"{reverted:,} {'change' if reverted == 1 else 'changes'} undone."
    if skipped:
        message += (
            f" {skipped:,} {'was' if skipped == 1 else 'were'} not undone, because other users have since edited the "
            "same content."
        )
    flash(message)
    return redirect(link("history.recent", by=name), 303)


@pages.get("/packages/<slug:slug>/history/")
def package_history(slug: str) -> str:
    return _history_page(HistoryScope("package", get_package_id(db.session(), slug, current_viewer())))


@pages.get("/grids/<slug:slug>/history/")
def grid_history(slug: str) -> str:
    return _history_page(HistoryScope("grid", get_grid_id(db.session(), slug)))


@pages.get(f"/history/<kind>/<{ID_CONVERTER}:object_id>/")
def show_object_history(kind: str, object_id: int) -> str:
    return _history_page(HistoryScope(kind, object_id))


@pages.get(f"/history/<kind>/<{ID_CONVERTER}:object_id>/restore/<{ID_CONVERTER}:revision_id>/")
@login_required
def restore_form(kind: str, object_id: int, revision_id: int) -> str:
    page = restore_page(db.session(), HistoryScope(kind, object_id), revision_id, current_viewer())
    return render_template("history/restore.html", page=page, conflict_message="", reason="")


@pages.post(f"/history/<kind>/<{ID_CONVERTER}:object_id>/restore/<{ID_CONVERTER}:revision_id>/")
@login_required
def restore_object(kind: str, object_id: int, revision_id: int) -> AnyResponse | tuple[str, int]:
    scope, reason = HistoryScope(kind, object_id), _reason()
    restore_page(db.session(), scope, revision_id, current_viewer())  # raises NotFound if the user can't see it
    changeset = begin_changeset(reason)
    try:
        with changeset:
            is_changed = restore(changeset, scope, revision_id, last_seen_id=_last_seen_id())
    except Conflict as conflict:
        db.session.rollback()
        page = restore_page(db.session(), scope, revision_id, current_viewer())
        return render_template("history/restore.html", page=page, conflict_message=str(conflict), reason=reason), 409
    db.session.commit()
    flash("Version restored." if is_changed else "Nothing to restore: this is already the current version.")
    return redirect(link("history.show_object_history", kind=kind, object_id=object_id), 303)


def _history_page(scope: HistoryScope) -> str:
    before = param("before")
    page = object_history(db.session(), scope, current_viewer(), before=int(before) if _is_number(before) else None)
    return render_template("history/object.html", page=page)


def _recent_query() -> RecentQuery:
    return RecentQuery(
        kind=param("kind"),
        by=param("by"),
        days=param("days"),
        exclude_moderators=bool_param("not_moderators"),
        before=param("before"),
    )


def _reason() -> str:
    return clean_query(request.form.get("reason", ""))[:MAX_EDIT_REASON_LENGTH]


def _last_seen_id() -> int:
    """Return the id of the newest revision that the form showed, or -1 if the field is invalid."""
    submitted = request.form.get("seen", "")
    return int(submitted) if _is_number(submitted) else -1


def _days(value: str) -> int | None:
    return min(int(value), MAX_DAYS) if _is_number(value) else None


def _is_number(value: str) -> bool:
    return value.isascii() and value.isdigit() and len(value) <= 18
