"""What a request's body says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson
from flask import request
from marshmallow import ValidationError
from marshmallow.fields import Integer
from werkzeug.exceptions import BadRequest, UnsupportedMediaType

from pkgsite.api.inputs import BooleanField, Input
from pkgsite.errors import Invalid

FORM_TYPES = ("application/x-www-form-urlencoded", "multipart/form-data")
MAX_INTEGER_DIGITS = 10  # digits
FORM_CONTROL_FIELDS = {"csrf_token", "_method", "_if_match"}  # what our own forms say beside the record


def parse_json_body() -> dict[str, Any]:
    """Return the object that the body holds.

    Raises:
        UnsupportedMediaType: it does not say that it is JSON.
        BadRequest: it is none, or no object.
    """
    content_type = request.mimetype
    if content_type != "application/json" and not content_type.endswith("+json"):
        raise UnsupportedMediaType("Send JSON with Content-Type: application/json.")
    try:
        found = orjson.loads(request.get_data())
    except orjson.JSONDecodeError as error:
        raise BadRequest(f"Invalid JSON: {error}.") from None
    if not isinstance(found, dict):
        raise BadRequest("The request body must be a JSON object.")
    return found


def parse_body(input_schema: type[Input]) -> dict[str, Any]:
    """Return the record that the body holds, as JSON or as a form.

    Raises:
        BadRequest, UnsupportedMediaType: as for `parse_json_body`.
    """
    if request.mimetype not in FORM_TYPES:
        return parse_json_body()
    return {
        name: _coerce_form_value(input_schema._declared_fields.get(name), text)
        for name, text in request.form.items()
        if name not in FORM_CONTROL_FIELDS
    }


def load_new_record(input_schema: type[Input]) -> dict[str, Any]:
    """Return what the body says of a new record.

    Raises:
        BadRequest, UnsupportedMediaType: as for `parse_json_body`.
        Invalid: a field is missing, unknown or of the wrong type.
    """
    return _validate(input_schema, parse_body(input_schema), partial=False)


def load_changes(input_schema: type[Input], current: Mapping[str, Any], *, is_full_update: bool) -> dict[str, Any]:
    """Return what the body says otherwise than a record does.

    A field that is as the record tells it is no change, though what is stored may be written in another way.

    Args:
        input_schema: How it is read.
        current: The whole record, as callers see it.
        is_full_update: The body has to give all of it, as PUT does.

    Raises:
        BadRequest, UnsupportedMediaType: as for `parse_json_body`.
        Invalid: a field is missing, unknown or of the wrong type.
    """
    body = parse_body(input_schema)
    missing = [name for name in input_schema.required_for_put if name not in body] if is_full_update else []
    if missing:
        message = "This field is required. PUT replaces the entire record; use PATCH to change some fields."
        raise Invalid({name: [message] for name in missing})
    changed = {name: value for name, value in body.items() if name not in current or value != current[name]}
    return _validate(input_schema, changed, partial=True)


def _validate(input_schema: type[Input], body: Mapping[str, Any], *, partial: bool) -> dict[str, Any]:
    problems = {name: [message] for name, message in input_schema.managed_elsewhere.items() if body.get(name)}
    accepted = {
        name: value
        for name, value in body.items()
        if name not in {*input_schema.read_only, *input_schema.managed_elsewhere}
    }
    try:
        found: dict[str, Any] = input_schema().load(accepted, partial=partial)
    except ValidationError as error:
        raise Invalid({**problems, **error.messages_dict}) from None
    if problems:
        raise Invalid(problems)
    return found


def _coerce_form_value(field: Any, text: str) -> Any:
    """Return what a form's text stands for in a field."""
    if isinstance(field, BooleanField):
        return {"true": True, "false": False}.get(text, text)
    if isinstance(field, Integer):
        return int(text) if text.isascii() and text.isdigit() and len(text) < MAX_INTEGER_DIGITS else text
    return text.replace("\r\n", "\n")
