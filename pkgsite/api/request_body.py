"""What a request's body says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson
from flask import request
from marshmallow import ValidationError
from marshmallow.fields import Integer
from werkzeug.exceptions import BadRequest, UnsupportedMediaType

from pkgsite.api.inputs import Input, Tick
from pkgsite.errors import Invalid

FORMS = ("application/x-www-form-urlencoded", "multipart/form-data")
LONGEST_NUMBER = 10  # digits
OF_FORMS = {"csrf_token", "_method", "_if_match"}  # what our own forms say beside the record


def json_body() -> dict[str, Any]:
    """Return the object that the body holds.

    Raises:
        UnsupportedMediaType: it does not say that it is JSON.
        BadRequest: it is none, or no object.
    """
    kind = request.mimetype
    if kind != "application/json" and not kind.endswith("+json"):
        raise UnsupportedMediaType("Send JSON with Content-Type: application/json.")
    try:
        found = orjson.loads(request.get_data())
    except orjson.JSONDecodeError as error:
        raise BadRequest(f"Invalid JSON: {error}.") from None
    if not isinstance(found, dict):
        raise BadRequest("The request body must be a JSON object.")
    return found


def record_body(takes: type[Input]) -> dict[str, Any]:
    """Return the record that the body holds, as JSON or as a form.

    Raises:
        BadRequest, UnsupportedMediaType: as for `json_body`.
    """
    if request.mimetype not in FORMS:
        return json_body()
    return {
        name: _typed(takes._declared_fields.get(name), text)
        for name, text in request.form.items()
        if name not in OF_FORMS
    }


def new_record(takes: type[Input]) -> dict[str, Any]:
    """Return what the body says of a new record.

    Raises:
        BadRequest, UnsupportedMediaType: as for `json_body`.
        Invalid: a field is missing, unknown or of the wrong type.
    """
    return _loaded(takes, record_body(takes), partial=False)


def changes(takes: type[Input], present: Mapping[str, Any], *, is_whole: bool) -> dict[str, Any]:
    """Return what the body says otherwise than a record does.

    A field that is as the record tells it is no change, though what is stored may be written in another way.

    Args:
        takes: How it is read.
        present: The whole record, as callers see it.
        is_whole: The body has to give all of it, as PUT does.

    Raises:
        BadRequest, UnsupportedMediaType: as for `json_body`.
        Invalid: a field is missing, unknown or of the wrong type.
    """
    given = record_body(takes)
    missing = [name for name in takes.whole if name not in given] if is_whole else []
    if missing:
        words = "This field is required. PUT replaces the entire record; use PATCH to change some fields."
        raise Invalid({name: [words] for name in missing})
    different = {name: value for name, value in given.items() if name not in present or value != present[name]}
    return _loaded(takes, different, partial=True)


def _loaded(takes: type[Input], given: Mapping[str, Any], *, partial: bool) -> dict[str, Any]:
    problems = {name: [words] for name, words in takes.elsewhere.items() if given.get(name)}
    written = {name: value for name, value in given.items() if name not in {*takes.told, *takes.elsewhere}}
    try:
        found: dict[str, Any] = takes().load(written, partial=partial)
    except ValidationError as error:
        raise Invalid({**problems, **error.messages_dict}) from None
    if problems:
        raise Invalid(problems)
    return found


def _typed(field: Any, text: str) -> Any:
    """Return what a form's text stands for in a field."""
    if isinstance(field, Tick):
        return {"true": True, "false": False}.get(text, text)
    if isinstance(field, Integer):
        return int(text) if text.isascii() and text.isdigit() and len(text) < LONGEST_NUMBER else text
    return text.replace("\r\n", "\n")
