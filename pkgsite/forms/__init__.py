"""Forms: the shape of what people type. What is allowed is said by rules and services."""

from __future__ import annotations

from typing import Any

from flask_wtf import FlaskForm

from pkgsite.errors import Invalid


def strip_whitespace(value: Any) -> Any:
    """Return a text without blanks around it; other values as they are."""
    return value.strip() if isinstance(value, str) else value


def show_errors(form: FlaskForm, error: Invalid) -> None:
    """Put what a service refused on the fields it is about, or above the form where it has no such field."""
    for name, messages in error.problems.items():
        field = form._fields.get(name)
        if field is None:
            form.form_errors.extend(messages)
        else:
            field.errors = [*field.errors, *messages]
