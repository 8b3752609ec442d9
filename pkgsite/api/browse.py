"""An answer as a page for people: what the address is for, the request, the answer's head, and its JSON with links."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from urllib.parse import quote, urlencode

from flask import Response, flash, g, make_response, redirect, render_template, request
from markupsafe import Markup, escape
from marshmallow import fields

from pkgsite.api.caching import make_etag
from pkgsite.api.inputs import BooleanField, CategoryField, Input
from pkgsite.api.mutations import ApiResult
from pkgsite.api.negotiation import ResponseFormat, json_response
from pkgsite.extensions import db
from pkgsite.services.categories import category_list

INDENT = 4
DISPLAYED_HEADERS = ("Allow", "Content-Type", "Vary", "WWW-Authenticate", "Retry-After")
LEGENDS = {"POST": "Add", "PATCH": "Edit", "DELETE": "Delete"}
MAX_CATEGORIES = 1000  # categories to choose from
_URL = re.compile(r'"(https?://[^"\\<>\s]+)"')


@dataclass(frozen=True, slots=True)
class FormField:
    """A field of a form.

    Attributes:
        rows: How many it shows; 0: it has `choices`.
        choices: Value and words of each.
    """

    name: str
    label: str
    hint: str
    value: str
    max_length: int | None = None
    rows: int = 1
    is_required: bool = False
    choices: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class RecordForm:
    """What a person may do here without writing a request by hand.

    Attributes:
        etag: Of the record as it is shown; an edit of another version is refused.
    """

    method: str
    legend: str
    fields: list[FormField]
    etag: str | None = None


@dataclass(frozen=True, slots=True)
class BrowsePage:
    """What the page shows.

    Attributes:
        breadcrumbs: Name and path of each page above, and of this one.
        status: As in "200 OK".
        headers: As sent with the JSON.
        body: The JSON, indented, with its addresses as links.
        formats: Name and path of the same in each format.
        previous_path: The path of the stretch of the list before this one, where there is one.
        next_path: And after it.
        forms: One for each way to change it that is open to who looks.
    """

    name: str
    description: str
    method: str
    path: str
    breadcrumbs: list[tuple[str, str]]
    status: str
    headers: list[tuple[str, str]]
    body: Markup
    formats: list[tuple[str, str]]
    previous_path: str | None = None
    next_path: str | None = None
    forms: tuple[RecordForm, ...] = ()


def html_response(
    name: str, description: str, json_response: Response, body: Any, forms: Sequence[RecordForm] = ()
) -> Response:
    """Return a page that shows a JSON answer.

    Args:
        name: What the resource is called.
        description: What it is for.
        json_response: The same as JSON, for its status and headers.
        body: What the JSON says.
        forms: What who looks may do.
    """
    status = HTTPStatus(json_response.status_code)
    envelope = body if isinstance(body, Mapping) and "results" in body else {}
    page = BrowsePage(
        name=name,
        description=description,
        method=request.method,
        path=request.full_path.rstrip("?"),
        breadcrumbs=_breadcrumbs(name),
        status=f"{status.value} {status.phrase}",
        headers=[
            (header, json_response.headers[header]) for header in DISPLAYED_HEADERS if header in json_response.headers
        ],
        body=link_urls(json.dumps(body, indent=INDENT, ensure_ascii=False)),
        formats=[(format, _url_in_format(format)) for format in ("json", "api")],
        previous_path=envelope.get("previous"),
        next_path=envelope.get("next"),
        forms=tuple(forms),
    )
    response = make_response(render_template("api/browse.html", page=page), status.value)
    response.headers["Vary"] = "Accept"
    return response


def link_urls(text: str) -> Markup:
    """Return JSON, escaped, with its addresses as links."""
    parts, end = [], 0
    for match in _URL.finditer(text):
        url = escape(match.group(1))
        parts += [escape(text[end : match.start(1)]), Markup('<a href="{0}" rel="nofollow">{0}</a>').format(url)]
        end = match.end(1)
    return Markup("").join([*parts, escape(text[end:])])


def edit_forms(input_schema: type[Input] | None, methods: Sequence[str], record: Any) -> list[RecordForm]:
    """Return a form for each of these methods; one that changes a record shows it as it is, or as it was typed.

    Args:
        input_schema: What may be written.
        methods: What is open to who looks.
        record: What a GET of this address tells.
    """
    breadcrumbs = []
    for method in methods:
        if method not in LEGENDS:
            continue
        known = record if method == "PATCH" and isinstance(record, Mapping) else None
        etag = make_etag(json_response(record, ResponseFormat()).get_data()) if known is not None else None
        form_fields = _form_fields(input_schema, known) if input_schema is not None and method != "DELETE" else []
        breadcrumbs.append(RecordForm(method, LEGENDS[method], form_fields, f'"{etag}"' if etag else None))
    return breadcrumbs


def redirect_after_edit(json_response: ApiResult) -> Response:
    """Send a person to what there is after their form was taken, with a word on it."""
    messages = {200: "Saved.", 201: "Added.", 204: "Deleted."}
    flash(messages.get(json_response.status) or json_response.body["detail"])
    location = json_response.location or _url_in_format("api")
    if json_response.status == HTTPStatus.NO_CONTENT:
        location = f"{request.script_root}{request.path.rstrip('/').rpartition('/')[0]}/"
    return make_response(redirect(location, HTTPStatus.SEE_OTHER))


def describe_inputs(input_schema: type[Input]) -> dict[str, dict[str, Any]]:
    """Return what OPTIONS tells of the fields that may be written."""
    return {name: _describe_field(field) for name, field in input_schema._declared_fields.items()}


def _describe_field(field: fields.Field[Any]) -> dict[str, Any]:
    kind = (
        "boolean" if isinstance(field, BooleanField) else "integer" if isinstance(field, fields.Integer) else "string"
    )
    description = {"type": kind, "required": field.required, "read_only": False, "label": field.metadata["label"]}
    max_length = field.metadata.get("maxLength")
    return (
        description | ({"max_length": max_length} if max_length else {}) | {"help_text": field.metadata["description"]}
    )


def _form_fields(input_schema: type[Input], record: Mapping[str, Any] | None) -> list[FormField]:
    """Return the fields of a form, with what was typed, what is known, or nothing in them."""
    submitted = request.form if request.method == "POST" else {}
    breadcrumbs = []
    for name, field in input_schema._declared_fields.items():
        if record is not None and name not in record:
            continue
        value = submitted.get(name, _form_value((record or {}).get(name)))
        choices = _choices(field)
        label, hint = field.metadata["label"], field.metadata["description"]
        breadcrumbs.append(
            FormField(
                name=name,
                label=label,
                hint=hint if hint != label else "",
                value=value,
                max_length=field.metadata.get("maxLength"),
                rows=0 if choices else field.metadata.get("lines", 1),
                is_required=field.required,
                choices=choices,
            )
        )
    return breadcrumbs


def _choices(field: fields.Field[Any]) -> tuple[tuple[str, str], ...]:
    if isinstance(field, BooleanField):
        return (("false", "No"), ("true", "Yes"))
    if isinstance(field, CategoryField):
        listing = category_list(db.session(), limit=MAX_CATEGORIES, offset=0, by_title=True)
        return tuple((g.urls.url_for(f"categories/{one.id}"), one.title) for one in listing.records)
    return ()


def _form_value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)


def _breadcrumbs(name: str) -> list[tuple[str, str]]:
    """Return the pages above this one by the parts of its path."""
    root = f"{request.script_root}/api/v4/"
    parts = [part for part in request.path.removeprefix("/api/v4").split("/") if part]
    breadcrumbs = [("Api Root", root)]
    for index, part in enumerate(parts[:-1]):
        singular = f"{parts[0].removesuffix('s').title()}"
        label = {0: f"{singular} List", 1: f"{singular} Instance"}.get(index, part.title())
        breadcrumbs.append((label, f"{root}{'/'.join(quote(one) for one in parts[: index + 1])}/"))
    return [*breadcrumbs, (name, "")] if parts else breadcrumbs


def _url_in_format(format: str) -> str:
    """Return this address with another format."""
    query = request.args.to_dict(flat=False) | {"format": [format]}
    return f"{request.script_root}{request.path}?{urlencode(query, doseq=True)}"
