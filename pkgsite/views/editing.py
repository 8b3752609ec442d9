"""What the views that edit packages and grids share: applying an edit, conflicts, and redirects."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from flask import current_app, flash, redirect, request
from werkzeug.wrappers import Response

from pkgsite.extensions import db
from pkgsite.rules.search.tokenizer import clean_query
from pkgsite.services.changeset import MAX_EDIT_REASON_LENGTH, Edit
from pkgsite.services.moderation.actions import PENDING_MESSAGE, QueuedEdit, apply_or_queue
from pkgsite.views.links import link
from pkgsite.views.viewer import begin_changeset

T = TypeVar("T")
ViewResponse = str | Response | tuple[str, int]


def submit_edit(
    edit: Edit[T], *, title: str | Callable[[], str], reason: str = "", review: bool = True
) -> T | QueuedEdit | None:
    """Apply an edit as the current user, or queue it for review, and commit.

    Args:
        edit: The edit.
        title: The title that the review queue shows, or a function that returns it.
        reason: The user's reason for the edit.
        review: Whether the edit is queued if its author is new.

    Returns:
        The object that was created or changed, detached from the session; the queued edit; None if nothing changed.
    """
    changeset = begin_changeset(clean_query(reason)[:MAX_EDIT_REASON_LENGTH])
    review_threshold = current_app.config["REVIEW_FIRST_EDITS"] if review else 0
    try:
        with changeset:
            outcome = apply_or_queue(
                changeset,
                edit,
                title=title if callable(title) else lambda: title,
                review_threshold=review_threshold,
            )
        if not isinstance(outcome, QueuedEdit) and outcome in db.session:
            db.session.flush()
            db.session.expunge(outcome)  # reading it after the commit costs no query
        db.session.commit()
    except Exception:
        db.session.rollback()
        raise
    return outcome if isinstance(outcome, QueuedEdit) or changeset.head_id is not None else None


def applied(outcome: T | QueuedEdit | None) -> T | None:
    """Return the object that `submit_edit` created or changed; None if the edit was queued or changed nothing."""
    return None if isinstance(outcome, QueuedEdit) else outcome


def redirect_to_pending() -> Response:
    """Redirect to the user's submitted edits, after an edit has been queued."""
    flash(f"Thank you. {PENDING_MESSAGE}")
    return redirect(link("moderation.own_edits"), 303)


def redirect_with_notice(
    outcome: Any, path: str, message: str, *, unchanged_message: str = "No changes to save."
) -> Response:
    """Redirect to a page with a notice of what `submit_edit` returned."""
    if isinstance(outcome, QueuedEdit):
        return redirect_to_pending()
    flash(message if outcome is not None else unchanged_message)
    return redirect(path, 303)


def changed_fields(fields: Iterable[tuple[str, str | None, str | None]]) -> list[tuple[str, str, str]]:
    """Return label, current text and submitted text of the fields in which the two differ."""
    return [
        (label, current or "", submitted or "")
        for label, current, submitted in fields
        if (current or "") != (submitted or "")
    ]


def edit_reason() -> str:
    return request.form.get("reason", "")
