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

from pkgsite.api.caching import tag_of
from pkgsite.api.inputs import CategoryReference, Input, Tick
from pkgsite.api.mutations import Answer
from pkgsite.api.negotiation import Rendering, json_answer
from pkgsite.extensions import db
from pkgsite.services.categories import category_list

INDENT = 4
SHOWN = ("Allow", "Content-Type", "Vary", "WWW-Authenticate", "Retry-After")
LEGENDS = {"POST": "Add", "PATCH": "Edit", "DELETE": "Delete"}
MANY = 1000  # categories to choose from
_URL = re.compile(r'"(https?://[^"\\<>\s]+)"')


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a form.

    Attributes:
        lines: How many it shows; 0: it has `choices`.
        choices: Value and words of each.
    """

    name: str
    label: str
    hint: str
    value: str
    most: int | None = None
    lines: int = 1
    is_needed: bool = False
    choices: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Form:
    """What a person may do here without writing a request by hand.

    Attributes:
        tag: Of the record as it is shown; an edit of another version is refused.
    """

    method: str
    legend: str
    fields: list[Field]
    tag: str | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """What the page shows.

    Attributes:
        crumbs: Name and path of each page above, and of this one.
        status: As in "200 OK".
        headers: As sent with the JSON.
        body: The JSON, indented, with its addresses as links.
        formats: Name and path of the same in each format.
        before: The path of the stretch of the list before this one, where there is one.
        after: And after it.
        forms: One for each way to change it that is open to who looks.
    """

    name: str
    description: str
    method: str
    path: str
    crumbs: list[tuple[str, str]]
    status: str
    headers: list[tuple[str, str]]
    body: Markup
    formats: list[tuple[str, str]]
    before: str | None = None
    after: str | None = None
    forms: tuple[Form, ...] = ()


def page_answer(name: str, description: str, answer: Response, body: Any, forms: Sequence[Form] = ()) -> Response:
    """Return a page that shows a JSON answer.

    Args:
        name: What the resource is called.
        description: What it is for.
        answer: The same as JSON, for its status and headers.
        body: What the JSON says.
        forms: What who looks may do.
    """
    status = HTTPStatus(answer.status_code)
    listed = body if isinstance(body, Mapping) and "results" in body else {}
    page = Page(
        name=name,
        description=description,
        method=request.method,
        path=request.full_path.rstrip("?"),
        crumbs=_crumbs(name),
        status=f"{status.value} {status.phrase}",
        headers=[(header, answer.headers[header]) for header in SHOWN if header in answer.headers],
        body=linked(json.dumps(body, indent=INDENT, ensure_ascii=False)),
        formats=[(format, _as(format)) for format in ("json", "api")],
        before=listed.get("previous"),
        after=listed.get("next"),
        forms=tuple(forms),
    )
    response = make_response(render_template("api/browse.html", page=page), status.value)
    response.headers["Vary"] = "Accept"
    return response


def linked(text: str) -> Markup:
    """Return JSON, escaped, with its addresses as links."""
    parts, end = [], 0
    for match in _URL.finditer(text):
        url = escape(match.group(1))
        parts += [escape(text[end : match.start(1)]), Markup('<a href="{0}" rel="nofollow">{0}</a>').format(url)]
        end = match.end(1)
    return Markup("").join([*parts, escape(text[end:])])


def forms_for(takes: type[Input] | None, methods: Sequence[str], present: Any) -> list[Form]:
    """Return a form for each of these methods; one that changes a record shows it as it is, or as it was typed.

    Args:
        takes: What may be written.
        methods: What is open to who looks.
        present: What a GET of this address tells.
    """
    found = []
    for method in methods:
        if method not in LEGENDS:
            continue
        known = present if method == "PATCH" and isinstance(present, Mapping) else None
        tag = tag_of(json_answer(present, Rendering()).get_data()) if known is not None else None
        shown = _fields(takes, known) if takes is not None and method != "DELETE" else []
        found.append(Form(method, LEGENDS[method], shown, f'"{tag}"' if tag else None))
    return found


def done(answer: Answer) -> Response:
    """Send a person to what there is after their form was taken, with a word on it."""
    words = {200: "Saved.", 201: "Added.", 204: "Deleted."}
    flash(words.get(answer.status) or answer.body["detail"])
    there = answer.location or _as("api")
    if answer.status == HTTPStatus.NO_CONTENT:
        there = f"{request.script_root}{request.path.rstrip('/').rpartition('/')[0]}/"
    return make_response(redirect(there, HTTPStatus.SEE_OTHER))


def described(takes: type[Input]) -> dict[str, dict[str, Any]]:
    """Return what OPTIONS tells of the fields that may be written."""
    return {name: _told(field) for name, field in takes._declared_fields.items()}


def _told(field: fields.Field[Any]) -> dict[str, Any]:
    kind = "boolean" if isinstance(field, Tick) else "integer" if isinstance(field, fields.Integer) else "string"
    told = {"type": kind, "required": field.required, "read_only": False, "label": field.metadata["label"]}
    most = field.metadata.get("maxLength")
    return told | ({"max_length": most} if most else {}) | {"help_text": field.metadata["description"]}


def _fields(takes: type[Input], known: Mapping[str, Any] | None) -> list[Field]:
    """Return the fields of a form, with what was typed, what is known, or nothing in them."""
    typed = request.form if request.method == "POST" else {}
    found = []
    for name, field in takes._declared_fields.items():
        if known is not None and name not in known:
            continue
        value = typed.get(name, _written((known or {}).get(name)))
        choices = _choices(field)
        label, hint = field.metadata["label"], field.metadata["description"]
        found.append(
            Field(
                name=name,
                label=label,
                hint=hint if hint != label else "",
                value=value,
                most=field.metadata.get("maxLength"),
                lines=0 if choices else field.metadata.get("lines", 1),
                is_needed=field.required,
                choices=choices,
            )
        )
    return found


def _choices(field: fields.Field[Any]) -> tuple[tuple[str, str], ...]:
    if isinstance(field, Tick):
        return (("false", "No"), ("true", "Yes"))
    if isinstance(field, CategoryReference):
        listing = category_list(db.session(), limit=MANY, offset=0, by_title=True)
        return tuple((g.links.to(f"categories/{one.id}"), one.title) for one in listing.records)
    return ()


def _written(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)


def _crumbs(name: str) -> list[tuple[str, str]]:
    """Return the pages above this one by the parts of its path."""
    root = f"{request.script_root}/api/v4/"
    parts = [part for part in request.path.removeprefix("/api/v4").split("/") if part]
    found = [("Api Root", root)]
    for place, part in enumerate(parts[:-1]):
        singular = f"{parts[0].removesuffix('s').title()}"
        label = {0: f"{singular} List", 1: f"{singular} Instance"}.get(place, part.title())
        found.append((label, f"{root}{'/'.join(quote(one) for one in parts[: place + 1])}/"))
    return [*found, (name, "")] if parts else found


def _as(format: str) -> str:
    """Return this address with another format."""
    query = request.args.to_dict(flat=False) | {"format": [format]}
    return f"{request.script_root}{request.path}?{urlencode(query, doseq=True)}"
