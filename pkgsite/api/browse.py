"""The browsable API: responses as HTML pages with links and forms."""

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
MAX_CATEGORIES = 1000  # options in a form
_URL = re.compile(r'"(https?://[^"\\<>\s]+)"')


@dataclass(frozen=True, slots=True)
class FormField:
    """A field of a form.

    Attributes:
        rows: Height in lines; 0 if the field has `choices`.
        choices: Value and label of each option.
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
    """A form that sends a writing request.

    Attributes:
        etag: The ETag of the displayed record, to detect conflicting edits.
    """

    method: str
    legend: str
    fields: list[FormField]
    etag: str | None = None


@dataclass(frozen=True, slots=True)
class BrowsePage:
    """The content of the page.

    Attributes:
        breadcrumbs: Name and path of each parent page and of this page, whose path is empty.
        status: Status line, such as "200 OK".
        headers: Selected headers of the JSON response.
        body: Indented JSON with its URLs as links.
        formats: Name of each format and the path of this resource in that format.
        previous_path: URL of the previous page of the list, if there is one.
        next_path: URL of the next page of the list, if there is one.
        forms: One form per writing method that the current user can use.
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
    name: str, description: str, response: Response, body: Any, forms: Sequence[RecordForm] = ()
) -> Response:
    """Return an HTML page that shows a JSON response.

    Args:
        name: The name of the resource.
        description: The description of the resource.
        response: The JSON response, for its status and headers.
        body: The body of the response before serialization.
        forms: The forms for the current user.
    """
    status = HTTPStatus(response.status_code)
    envelope = body if isinstance(body, Mapping) and "results" in body else {}
    page = BrowsePage(
        name=name,
        description=description,
        method=request.method,
        path=request.full_path.rstrip("?"),
        breadcrumbs=_breadcrumbs(name),
        status=f"{status.value} {status.phrase}",
        headers=[(header, response.headers[header]) for header in DISPLAYED_HEADERS if header in response.headers],
        body=link_urls(json.dumps(body, indent=INDENT, ensure_ascii=False)),
        formats=[(format, _url_in_format(format)) for format in ("json", "api")],
        previous_path=envelope.get("previous"),
        next_path=envelope.get("next"),
        forms=tuple(forms),
    )
    html = make_response(render_template("api/browse.html", page=page), status.value)
    html.headers["Vary"] = "Accept"
    return html


def link_urls(text: str) -> Markup:
    """Return JSON as escaped HTML, with its URLs as links."""
    parts, end = [], 0
    for match in _URL.finditer(text):
        url = escape(match.group(1))
        parts += [escape(text[end : match.start(1)]), Markup('<a href="{0}" rel="nofollow">{0}</a>').format(url)]
        end = match.end(1)
    return Markup("").join([*parts, escape(text[end:])])


def edit_forms(input_schema: type[Input] | None, methods: Sequence[str], record: Any) -> list[RecordForm]:
    """Return a form for each of these methods except PUT; the form for PATCH shows the submitted or stored values.

    Args:
        input_schema: The fields that can be written.
        methods: The methods that the current user can use.
        record: The current body of this URL.
    """
    forms = []
    for method in methods:
        if method not in LEGENDS:
            continue
        current = record if method == "PATCH" and isinstance(record, Mapping) else None
        etag = make_etag(json_response(record, ResponseFormat()).get_data()) if current is not None else None
        form_fields = _form_fields(input_schema, current) if input_schema is not None and method != "DELETE" else []
        forms.append(RecordForm(method, LEGENDS[method], form_fields, f'"{etag}"' if etag else None))
    return forms


def redirect_after_edit(result: ApiResult) -> Response:
    """Return a redirect from a successful form to the record, or to its list if it was deleted, with a message."""
    messages = {200: "Saved.", 201: "Added.", 204: "Deleted."}
    flash(messages.get(result.status) or result.body["detail"])
    location = result.location or _url_in_format("api")
    if result.status == HTTPStatus.NO_CONTENT:
        location = f"{request.script_root}{request.path.rstrip('/').rpartition('/')[0]}/"
    return make_response(redirect(location, HTTPStatus.SEE_OTHER))


def describe_inputs(input_schema: type[Input]) -> dict[str, dict[str, Any]]:
    """Return the description of the writable fields in the response to OPTIONS."""
    return {name: _describe_field(field) for name, field in input_schema._declared_fields.items()}


def _describe_field(field: fields.Field[Any]) -> dict[str, Any]:
    json_type = (
        "boolean" if isinstance(field, BooleanField) else "integer" if isinstance(field, fields.Integer) else "string"
    )
    description = {"type": json_type, "required": field.required, "read_only": False, "label": field.metadata["label"]}
    max_length = field.metadata.get("maxLength")
    return (
        description | ({"max_length": max_length} if max_length else {}) | {"help_text": field.metadata["description"]}
    )


def _form_fields(input_schema: type[Input], record: Mapping[str, Any] | None) -> list[FormField]:
    """Return the fields of a form with their submitted or stored values, without those that the record lacks."""
    submitted = request.form if request.method == "POST" else {}
    form_fields = []
    for name, field in input_schema._declared_fields.items():
        if record is not None and name not in record:
            continue
        value = submitted.get(name, _form_value((record or {}).get(name)))
        choices = _choices(field)
        label, hint = field.metadata["label"], field.metadata["description"]
        form_fields.append(
            FormField(
                name=name,
                label=label,
                hint=hint if hint != label else "",
                value=value,
                max_length=field.metadata.get("maxLength"),
                rows=0 if choices else field.metadata.get("rows", 1),
                is_required=field.required,
                choices=choices,
            )
        )
    return form_fields


def _choices(field: fields.Field[Any]) -> tuple[tuple[str, str], ...]:
    if isinstance(field, BooleanField):
        return (("false", "No"), ("true", "Yes"))
    if isinstance(field, CategoryField):
        categories = category_list(db.session(), limit=MAX_CATEGORIES, offset=0, by_title=True).records
        return tuple((g.urls.url_for(f"categories/{category.id}"), category.title) for category in categories)
    return ()


def _form_value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)


def _breadcrumbs(name: str) -> list[tuple[str, str]]:
    """Return the parent pages, derived from the path of the request, and this page."""
    root = f"{request.script_root}/api/v4/"
    parts = [part for part in request.path.removeprefix("/api/v4").split("/") if part]
    breadcrumbs = [("Api Root", root)]
    for index, part in enumerate(parts[:-1]):
        singular = parts[0].removesuffix("s").title()
        label = {0: f"{singular} List", 1: f"{singular} Instance"}.get(index, part.title())
        breadcrumbs.append((label, f"{root}{'/'.join(quote(segment) for segment in parts[: index + 1])}/"))
    return [*breadcrumbs, (name, "")] if parts else breadcrumbs


def _url_in_format(format: str) -> str:
    """Return the path and query of this request with another format."""
    query = request.args.to_dict(flat=False) | {"format": [format]}
    return f"{request.script_root}{request.path}?{urlencode(query, doseq=True)}"
