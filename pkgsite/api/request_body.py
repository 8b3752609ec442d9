"""Parsing and validation of request bodies."""

from __future__ import annotations

from codecs import BOM_UTF8
from collections.abc import Mapping
from typing import Any

import orjson
from flask import request
from marshmallow import ValidationError
from marshmallow.fields import Integer
from werkzeug.exceptions import BadRequest, UnsupportedMediaType

from pkgsite.api.inputs import BooleanField, Input, ReferenceField, extract_key
from pkgsite.errors import Invalid

FORM_TYPES = ("application/x-www-form-urlencoded", "multipart/form-data")
MAX_INTEGER_DIGITS = 10
FORM_CONTROL_FIELDS = {"csrf_token", "_method", "_if_match"}  # sent by our own forms in addition to the record


def parse_json_body() -> dict[str, Any]:
    """Return the JSON object in the body.

    Raises:
        UnsupportedMediaType: The content type is not JSON.
        BadRequest: The body is not valid JSON, or not an object.
    """
    content_type = request.mimetype
    if content_type != "application/json" and not content_type.endswith("+json"):
        raise UnsupportedMediaType("Send JSON with Content-Type: application/json.")
    try:
        body = orjson.loads(request.get_data().removeprefix(BOM_UTF8))
    except orjson.JSONDecodeError as error:
        raise BadRequest(f"Invalid JSON: {error}.") from None
    if not isinstance(body, dict):
        raise BadRequest("The request body must be a JSON object.")
    return body


def parse_body(input_schema: type[Input]) -> dict[str, Any]:
    """Return the fields in the body, which is JSON or form data.

    Raises:
        BadRequest, UnsupportedMediaType: As for `parse_json_body`.
    """
    if request.mimetype not in FORM_TYPES:
        return parse_json_body()
    return {
        name: _coerce_form_value(input_schema._declared_fields.get(name), text)
        for name, text in request.form.items()
        if name not in FORM_CONTROL_FIELDS
    }


def load_new_record(input_schema: type[Input]) -> dict[str, Any]:
    """Return the validated fields of a new record.

    Raises:
        BadRequest, UnsupportedMediaType: As for `parse_json_body`.
        Invalid: A field is missing, unknown or of the wrong type.
    """
    return _validate(input_schema, parse_body(input_schema), partial=False)


def load_changes(input_schema: type[Input], current: Mapping[str, Any], *, is_full_update: bool) -> dict[str, Any]:
    """Return the validated fields in which the body differs from a record.

    Values are compared as serialized: sending a value back is not a change, even if it is stored in another form.
    Links are compared by the record that they identify: their format depends on the URL that was requested.

    Args:
        input_schema: The schema of the body.
        current: The entire record, as returned to clients.
        is_full_update: Whether the body must contain every field of `required_for_put`.

    Raises:
        BadRequest, UnsupportedMediaType: As for `parse_json_body`.
        Invalid: A field is missing, unknown or of the wrong type.
    """
    body = parse_body(input_schema)
    missing = [name for name in input_schema.required_for_put if name not in body] if is_full_update else []
    if missing:
        message = "This field is required. PUT replaces the entire record; use PATCH to change some fields."
        raise Invalid({name: [message] for name in missing})
    links = {*input_schema.managed_elsewhere, *_reference_names(input_schema)}
    changed = {
        name: value
        for name, value in body.items()
        if name not in current
        or not (value == current[name] or (name in links and _identified(value) == _identified(current[name])))
    }
    return _validate(input_schema, changed, partial=True)


def _reference_names(input_schema: type[Input]) -> list[str]:
    return [name for name, field in input_schema._declared_fields.items() if isinstance(field, ReferenceField)]


def _identified(value: Any) -> Any:
    """Return the ids or slugs of the records that links identify; a list has no order.

    An object, such as a grid's feature with its cells, is compared with the links in it.
    """
    if isinstance(value, list):
        return sorted(str(_identified(link)) for link in value)
    if isinstance(value, dict):
        has_links = {name for name, part in value.items() if name == "package" or isinstance(part, list)}
        return [(name, _identified(value[name]) if name in has_links else value[name]) for name in sorted(value)]
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return extract_key(value.strip()) if isinstance(value, str) else value


def _validate(input_schema: type[Input], body: Mapping[str, Any], *, partial: bool) -> dict[str, Any]:
    problems = {
        name: [message]
        for name, message in input_schema.managed_elsewhere.items()
        if body.get(name) or (partial and name in body)
    }
    accepted = {
        name: value
        for name, value in body.items()
        if name not in {*input_schema.read_only, *input_schema.managed_elsewhere}
    }
    try:
        loaded: dict[str, Any] = input_schema().load(accepted, partial=partial)
    except ValidationError as error:
        raise Invalid({**problems, **error.messages_dict}) from None
    if problems:
        raise Invalid(problems)
    return loaded


def _coerce_form_value(field: Any, text: str) -> Any:
    """Return the value of a form field with the type that its schema expects."""
    if isinstance(field, BooleanField):
        return {"true": True, "false": False}.get(text, text)
    if isinstance(field, Integer):
        return int(text) if text.isascii() and text.isdigit() and len(text) < MAX_INTEGER_DIGITS else text
    return text.replace("\r\n", "\n")
