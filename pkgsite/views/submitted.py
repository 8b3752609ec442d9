"""The form of the current request, so that what was typed can be shown again."""

from __future__ import annotations

from flask import request
from werkzeug.exceptions import HTTPException

from pkgsite.rules.submissions import SubmittedField, submitted_fields

UNSAFE_METHODS = {"POST", "PUT", "PATCH", "DELETE"}


def current_fields() -> list[SubmittedField]:
    """Return the fields of the form that this request has sent; none if it has sent no form, or an unreadable one."""
    if request.method not in UNSAFE_METHODS:
        return []
    try:
        return submitted_fields(request.form.items(multi=True))
    except HTTPException:  # too large, or the connection was lost
        return []


def current_url() -> str:
    """Return the path and query of this request."""
    return request.script_root + request.full_path.rstrip("?")
