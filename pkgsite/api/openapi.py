"""The description of API v4 for programs (OpenAPI 3.1), made from the schemas by which it reads and answers."""

from __future__ import annotations

from functools import cache
from typing import Any

from apispec import APISpec
from apispec.ext.marshmallow import MarshmallowPlugin
from flask import Blueprint, Flask, Response, request
from marshmallow.fields import Integer

from pkgsite.api.caching import cacheable
from pkgsite.api.negotiation import Rendering, json_answer
from pkgsite.api.v4 import RESOURCES
from pkgsite.api.v4.categories import CategoryInstance, CategoryList, CategorySchema
from pkgsite.api.v4.grid_parts import (
    CellInstance,
    FeatureInstance,
    FeatureList,
    FeatureSchema,
    MemberInstance,
    MemberList,
)
from pkgsite.api.v4.grids import GridInstance, GridList, GridSchema
from pkgsite.api.v4.inputs import CategoryReference, FeatureInput, Input, PackageReference
from pkgsite.api.v4.packages import PackageInstance, PackageList, PackageSchema
from pkgsite.api.v4.resource import Resource
from pkgsite.api.v4.search import FoundSchema, HitSchema, Search
from pkgsite.api.writing import LONGEST_KEY

VERSION = "4"
ABOUT = """Packages, comparison grids and categories: the same data as on the website.

Reading is open to everyone. With an account you can make the same changes as on the website, authenticated with a
personal API token or, in a browser, with your session."""
TEXT = {"type": "string"}
BLANK = r"[\s\x1c-\x1f\x85]*"
ID = f"{BLANK}(([0-9]{{1,9}}|[01][0-9]{{9}}){BLANK})?"
PAGE = {"text/html": {"schema": TEXT}}  # the same for people
FLAG = {"type": "string", "description": "`1`, `true`, `yes` or `on` means true; anything else means false."}
ANY_NUMBER = "Integer; invalid or too small values fall back to the default."
Json = dict[str, Any]


# What each resource tells: its schema's name, and whether one record, a list with its envelope, or a bare list.
TELLS: dict[type[Resource], tuple[str, str]] = {
    PackageList: ("Package", "listed"),
    PackageInstance: ("Package", "one"),
    GridList: ("Grid", "listed"),
    GridInstance: ("Grid", "one"),
    MemberList: ("Package", "listed"),
    MemberInstance: ("Package", "one"),
    FeatureList: ("Feature", "listed"),
    FeatureInstance: ("Feature", "one"),
    CellInstance: ("Cell", "one"),
    CategoryList: ("Category", "listed"),
    CategoryInstance: ("Category", "one"),
    Search: ("SearchResult", "bare"),
}
SCHEMAS = {
    "Package": PackageSchema,
    "Grid": GridSchema,
    "Feature": FeatureSchema,
    "Category": CategorySchema,
    "SearchResult": HitSchema,
    "SearchResults": FoundSchema,
}
CELL = {
    "type": "object",
    "properties": {name: {"type": "string"} for name in ("grid", "feature", "package", "text")},
    "required": ["grid", "feature", "package", "text"],
}
FINDABLE = {PackageList, GridList}
KEYS = {
    "key": "ID or slug of the record.",
    "package": "ID or slug of the package.",
    "feature": "ID of the feature.",
}


def init_app(app: Flask) -> None:
    pages = Blueprint("openapi", __name__)
    pages.add_url_rule("/api/v4/openapi.json", "document", answer_document)
    app.register_blueprint(pages)


def answer_document() -> Response:
    body = {**document(), "servers": [{"url": f"{request.url_root.rstrip('/')}/api/v4"}]}
    return cacheable(json_answer(body, Rendering()), changed_at=None, is_one=True)


@cache
def document() -> Json:
    """Return the description, but for where the site is."""
    spec = APISpec(
        title="Packages",
        version=VERSION,
        openapi_version="3.1.0",
        info={"description": ABOUT},
        plugins=[plugin := MarshmallowPlugin()],
        security=[{}],
    )
    if plugin.converter is None:
        raise RuntimeError("apispec did not create a converter")
    plugin.converter.add_attribute_function(_reference)  # type: ignore[no-untyped-call]
    for name, schema in SCHEMAS.items():
        spec.components.schema(name, schema=schema)
    spec.components.schema("Cell", CELL)
    for name, shape in _shapes().items():
        spec.components.schema(name, shape)
    spec.components.security_scheme("token", TOKEN)
    spec.components.security_scheme("session", SESSION)
    inputs = {resource.takes for resource in RESOURCES.values() if resource.takes is not None}
    for takes in sorted(inputs, key=lambda one: one.__name__):
        spec.components.schema(takes.__name__, schema=takes)
        if takes is FeatureInput:
            spec.components.schema("NewFeature", schema=takes(exclude=("position",)))
        spec.components.schema(f"{takes.__name__}Part", schema=takes(partial=True))
    for path, resource in RESOURCES.items():
        address = f"/{path}/" if path else "/"
        for name in KEYS:
            address = address.replace(f"<key:{name}>", f"{{{name}}}")
        operations = {method: _operation(resource, method) for method in ("get", "post", "put", "patch", "delete")
                      if hasattr(resource, method)}  # fmt: skip
        spec.path(path=address, operations=operations, parameters=_keys(address))
    for address, operations in _whole_lists().items():
        spec.path(path=address, operations=operations)
    found: Json = spec.to_dict()
    return found


def _reference(_converter: Any, field: Any, **_: Any) -> Json:
    """Return what follows from what a field is for: to name another record, to say something, to count."""
    if isinstance(field, Integer):  # what is larger is no whole number to the reader of bodies
        return {"format": "int64", "minimum": -(2**63), "maximum": 2**63 - 1}
    is_needed = field.required and field.metadata.get("lines") == 1  # of longer texts an empty one is one, too
    kinds = ["string", "integer"] if isinstance(field, CategoryReference | PackageReference) else ["string"]
    if is_needed:
        return {"type": kinds, "minLength": 1}
    return {"type": [*kinds, "null"]} if len(kinds) > 1 else {}


def _keys(address: str) -> list[Json]:
    return [
        {"name": name, "in": "path", "required": True, "description": words, "schema": {"type": "string"}}
        for name, words in KEYS.items()
        if f"{{{name}}}" in address
    ]


def _operation(resource: type[Resource], method: str) -> Json:
    found: Json = {
        "operationId": f"{method}{resource.__name__}",
        "summary": resource.name,
        "description": resource.description,
        "tags": [(resource.__module__.rpartition(".")[2]).replace("grid_parts", "grids")],
    }
    return found | (_reading(resource) if method == "get" else _writing(resource, method))


def _reading(resource: type[Resource]) -> Json:
    name, kind = TELLS.get(resource, ("Links", "one"))
    parameters = [_query("format", "`json`, or `api` for the browsable HTML page.", {"enum": ["json", "api", ""]})]
    if kind == "listed":
        parameters += [
            _query("limit", f"Number of records to return (default 20, maximum 1,000). {ANY_NUMBER}", TEXT),
            _query("offset", f"Number of records to skip (default 0). {ANY_NUMBER}", TEXT),
        ]
    if resource is Search:
        parameters += [
            _query(
                "q", 'Search query: words, "quoted phrases", -excluded words and filters such as `stars:>100`.', TEXT
            ),
            _query("expand", "`results` returns everything shown on the search page instead of a plain list.", TEXT),
            _query("offset", f"With `expand`: number of packages to skip. {ANY_NUMBER}", TEXT),
        ]
    if resource in FINDABLE:
        parameters += FIND
    if resource in {*FINDABLE, PackageInstance, GridInstance}:
        parameters += DETAIL
    ok = {"description": resource.name, "headers": VALIDATORS, "content": _json(_told(name, kind)) | PAGE}
    refusals = [400] if resource in FINDABLE else []
    return {
        "parameters": [*parameters, *CONDITIONS_OF_READING],
        "responses": {
            "200": ok,
            "301": {"description": "The slug has changed; see `Location`."},
            "304": {"description": "Not modified."},
            **_refused(*refusals, 401, 404, 406, 429, or_as_page=True),
        },
        "security": [{}, {"token": []}, {"session": []}],
    }


def _writing(resource: type[Resource], method: str) -> Json:
    name, _ = TELLS[resource]
    parameters = [
        _query(
            "dry_run",
            f"Dry run: validate the request and return the changes without saving them. {FLAG['description']}",
            TEXT,
        ),
        _query("reason", "Reason for the change, shown in the history.", TEXT),
    ]
    answered = {"anyOf": [_ref(name), _ref("DryRun")]}
    responses: Json = {
        "308": {"description": "The slug has changed; repeat the request at the URL in `Location`."},
        "200": {
            "description": "The updated record or, for a dry run, the changes it would make.",
            "content": _json(answered),
        },
        "202": {"description": "Accepted; pending review by a moderator.", "content": _json(_ref("PendingEdit"))},
    }
    found: Json = {}
    if method == "post":
        words = "Unique key (ASCII) for this request. Repeating a request with the same key returns the first response."
        parameters.append(_header("Idempotency-Key", words, {**TEXT, "maxLength": LONGEST_KEY, "pattern": "^[ -~]*$"}))
        responses["201"] = {
            "description": "The record has been created.",
            "headers": {"Location": {"schema": TEXT}, "ETag": {"schema": TEXT}},
            "content": _json(_ref(name)),
        }
    else:
        parameters.append(_header("If-Match", "ETag of the version your change is based on."))
    if method == "delete":
        responses["204"] = {"description": "The record has been deleted."}
    elif resource.takes is not None:
        found["requestBody"] = {"required": True, "content": _json(_input(resource.takes, method))}
    codes = [400, 401, 403, 404, 405, 409, 413, 415, 429] + ([412, 428] if method != "post" else [])
    return found | {
        "parameters": parameters,
        "responses": {**responses, **_refused(*codes)},
        "security": [{"token": []}, {"session": []}],
    }


def _input(takes: type[Input], method: str) -> Json:
    """Return the shape of what a method reads: PATCH takes a part of the record."""
    if method == "post":
        # A new feature comes last, and a later change moves it.
        return _ref("NewFeature" if takes is FeatureInput else takes.__name__)
    part = _ref(f"{takes.__name__}Part")
    return part if method == "patch" else {"allOf": [part, {"required": list(takes.whole)}]}


def _whole_lists() -> dict[str, Json]:
    """Return the addresses at which there is everything at once."""
    lines = {"description": "One JSON object per line.", "content": {"application/x-ndjson": {"schema": TEXT}}}
    table = {"description": "CSV file.", "content": {"text/csv": {"schema": TEXT}}}
    keys = {
        "type": "object",
        "required": ["keys"],
        "properties": {"keys": {"type": "array", "maxItems": 100, "items": {"type": "string", "maxLength": 500}}},
    }
    found = {
        "type": "object",
        "properties": {
            "results": {"type": "object", "additionalProperties": {"anyOf": [_ref("Package"), {"type": "null"}]}}
        },
    }
    read = {"tags": ["bulk"], "parameters": FIND, "security": [{}]}
    return {
        "/packages.ndjson": {
            "get": read
            | {"operationId": "getPackagesNdjson", "summary": "Export all packages (NDJSON)",
               "parameters": [*FIND, *DETAIL], "responses": {"200": lines, **_refused(400, 401, 429)}}
        },
        "/grids.csv": {
            "get": read
            | {"operationId": "getGridsCsv", "summary": "Export all grids (CSV)",
               "responses": {"200": table, **_refused(400, 401, 429)}}
        },
        "/packages/lookup/": {
            "post": {
                "operationId": "lookUpPackages",
                "summary": "Look up packages by slug, repository URL or PyPI project name",
                "tags": ["bulk"],
                "requestBody": {"required": True, "content": _json(keys)},
                "responses": {
                    "200": {"description": "The package found for each key, or null.", "content": _json(found)},
                    **_refused(400, 401, 413, 415, 429),
                },
                "security": [{}],
            }
        },
    }  # fmt: skip


def _told(name: str, kind: str) -> Json:
    if kind == "one":
        return _ref(name)
    records = {"type": "array", "items": _ref(name)}
    if kind == "bare":
        return {"oneOf": [records, _ref("SearchResults")]}
    return {
        "type": "object",
        "required": ["count", "next", "previous", "results"],
        "properties": {
            "count": {"type": "integer", "description": "Total number of records."},
            "next": {"type": ["string", "null"], "description": "URL of the next page."},
            "previous": {"type": ["string", "null"]},
            "results": records,
            "deleted": {
                "type": "array",
                "items": {"type": "object"},
                "description": "With `deleted`: the deleted records.",
            },
        },
    }


def _shapes() -> dict[str, Json]:
    return {
        "Links": {"type": "object", "additionalProperties": {"type": "string", "format": "uri"}},
        "Error": {"type": "object", "properties": {"detail": TEXT}, "required": ["detail"]},
        "ValidationErrors": {
            "type": "object",
            "description": "Validation errors by field name.",
            "additionalProperties": {"type": "array", "items": TEXT},
        },
        "PendingEdit": {
            "type": "object",
            "properties": {"detail": TEXT, "held": {"type": "integer"}},
            "required": ["detail", "held"],
        },
        "DryRun": {
            "type": "object",
            "required": ["dry_run", "changes"],
            "properties": {
                "dry_run": {"const": True},
                "changes": {
                    "type": "object",
                    "additionalProperties": {"type": "object", "required": ["before", "after"]},
                },
            },
        },
    }


REFUSALS = {
    400: "Invalid request: errors by field, or one message for the entire request.",
    401: "Authentication is required, or the token is invalid, expired or revoked.",
    403: "Permission denied: the token is read-only, the CSRF token is missing, or you are not allowed to do this.",
    404: "Record not found.",
    405: "Method not allowed, or not allowed without authentication; see `Allow`.",
    406: "The requested format is not available.",
    409: "Conflict: another record already has this value, or the Idempotency-Key was used for a different request.",
    412: "Precondition failed: the record has changed since the version in If-Match.",
    413: "Request body too large.",
    415: "Unsupported media type: send JSON or form data.",
    428: "Precondition required: send If-Match when changing a record with a token.",
    429: "Too many requests; retry after the number of seconds in Retry-After.",
}


def _refused(*codes: int, or_as_page: bool = False) -> Json:
    body = {"anyOf": [_ref("Error"), _ref("ValidationErrors")]}
    content = _json(body) | (PAGE if or_as_page else {})
    found: Json = {str(code): {"description": REFUSALS[code], "content": content} for code in codes}
    if 429 in codes:
        found["429"]["headers"] = {
            "Retry-After": {"schema": {"type": "integer"}, "description": "Seconds to wait before retrying."}
        }
    return found


def _json(schema: Json) -> Json:
    return {"application/json": {"schema": schema}}


def _ref(name: str) -> Json:
    return {"$ref": f"#/components/schemas/{name}"}


def _query(name: str, description: str, schema: Json) -> Json:
    return {"name": name, "in": "query", "description": description, "schema": schema}


def _header(name: str, description: str, schema: Json = TEXT) -> Json:
    return {"name": name, "in": "header", "description": description, "schema": schema}


FIND = [
    _query("q", "Words that must all appear in the title, slug or description.", TEXT),
    _query("category", "ID or slug of a category.", TEXT),
    _query("grid", "ID or slug of a grid. For packages: only those in this grid.", TEXT),
    _query(
        "ordering",
        "Field to sort by; prefix with `-` for descending order. Unknown fields fall back to the default.",
        TEXT,
    ),
    _query(
        "updated_since",
        "ISO 8601 timestamp: only records changed since then, including changes to fetched facts. UTC if no time "
        "zone is given.",
        {"anyOf": [{**TEXT, "format": "date-time"}, {**TEXT, "format": "date"}, {**TEXT, "pattern": f"^{BLANK}$"}]},
    ),
    _query("deleted", f"Include deleted records. {FLAG['description']}", TEXT),
    _query("ids", "Comma-separated IDs (up to 100).", {**TEXT, "pattern": f"^{ID}(,{ID}){{0,99}}$"}),
]
DETAIL = [
    _query("fields", "Comma-separated names of the fields to return; unknown names are ignored.", TEXT),
    _query("expand", "Comma-separated names of additional details to include, or `all`.", TEXT),
]
CONDITIONS_OF_READING = [_header("If-None-Match", "ETag of the response you already have.")]
VALIDATORS = {"ETag": {"schema": TEXT}, "Last-Modified": {"schema": TEXT}}
TOKEN = {
    "type": "apiKey",
    "in": "header",
    "name": "Authorization",
    "description": "`Token <token>` or `Bearer <token>`. Create tokens in your account settings.",
}
SESSION = {
    "type": "apiKey",
    "in": "cookie",
    "name": "session",
    "description": (
        "Browser session. Requests that change data must also send the CSRF token in the X-CSRFToken header."
    ),
}
