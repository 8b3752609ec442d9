"""Forms: the fields that pages submit. They check the shape of the input; services decide what is allowed."""

from __future__ import annotations

from typing import Any

from flask_wtf import FlaskForm
from wtforms.validators import InputRequired

from pkgsite.errors import Invalid

REQUIRED = InputRequired("This field is required.")
PLAIN_TEXT_ATTRIBUTES = {"spellcheck": "false", "autocapitalize": "none", "autocomplete": "off"}


def strip_whitespace(value: Any) -> Any:
    """Return a string without surrounding whitespace, and any other value unchanged."""
    return value.strip() if isinstance(value, str) else value


def show_errors(form: FlaskForm, error: Invalid) -> None:
    """Add a service's errors to the fields they are about, or to the form if it has no such field."""
    for name, messages in error.problems.items():
        field = form._fields.get(name)
        if field is None:
            form.form_errors.extend(messages)
        else:
            field.errors = [*field.errors, *messages]
