"""The OpenAPI 3.1 description of API v4, generated from the schemas that it uses to load and dump records."""

from __future__ import annotations

from functools import cache
from typing import Any

from apispec import APISpec
from apispec.ext.marshmallow import MarshmallowPlugin
from flask import Blueprint, Flask, Response, request
from marshmallow.fields import Integer

from pkgsite.api.caching import make_conditional
from pkgsite.api.inputs import CategoryField, FeatureInput, Input, PackageField
from pkgsite.api.mutations import MAX_IDEMPOTENCY_KEY_LENGTH
from pkgsite.api.negotiation import ResponseFormat, json_response
from pkgsite.api.paging import DEFAULT_LIMIT, MAX_LIMIT
from pkgsite.api.query_params import MAX_IDS
from pkgsite.api.resource import Resource
from pkgsite.api.v4 import bulk
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
from pkgsite.api.v4.packages import PackageInstance, PackageList, PackageSchema
from pkgsite.api.v4.search import HitSchema, Search, SearchResultsSchema
from pkgsite.api.v4.urls import RESOURCES

VERSION = "4"
DESCRIPTION = """Packages, comparison grids and categories: the same data as on the website.

Reading is open to everyone. With an account you can make the same changes as on the website, authenticated with a
personal API token or, in a browser, with your session."""
STRING_SCHEMA = {"type": "string"}
WHITESPACE = r"[\s\x1c-\x1f\x85]*"
ID_PATTERN = f"{WHITESPACE}(([0-9]{{1,9}}|[01][0-9]{{9}}){WHITESPACE})?"
HTML_CONTENT = {"text/html": {"schema": STRING_SCHEMA}}  # the browsable API
BOOLEAN_NOTE = "`1`, `true`, `yes` or `on` means true; anything else means false."
INTEGER_NOTE = "Integer. Values that are invalid or too small fall back to the default."
Json = dict[str, Any]

# The schema of each resource, and whether it returns a record, a paginated list, or an array.
RESPONSE_SCHEMAS: dict[type[Resource], tuple[str, str]] = {
    PackageList: ("Package", "list"),
    PackageInstance: ("Package", "record"),
    GridList: ("Grid", "list"),
    GridInstance: ("Grid", "record"),
    MemberList: ("Package", "list"),
    MemberInstance: ("Package", "record"),
    FeatureList: ("Feature", "list"),
    FeatureInstance: ("Feature", "record"),
    CellInstance: ("Cell", "record"),
    CategoryList: ("Category", "list"),
    CategoryInstance: ("Category", "record"),
    Search: ("SearchResult", "array"),
}
SCHEMAS = {
    "Package": PackageSchema,
    "Grid": GridSchema,
    "Feature": FeatureSchema,
    "Category": CategorySchema,
    "SearchResult": HitSchema,
    "SearchResults": SearchResultsSchema,
}
CELL = {
    "type": "object",
    "properties": {name: {"type": "string"} for name in ("grid", "feature", "package", "text")},
    "required": ["grid", "feature", "package", "text"],
}
FILTERABLE = {PackageList, GridList}
PATH_PARAMETERS = {
    "key": "ID or slug of the record.",
    "package": "ID or slug of the package.",
    "feature": "ID of the feature.",
}


def init_app(app: Flask) -> None:
    pages = Blueprint("openapi", __name__)
    pages.add_url_rule("/api/v4/openapi.json", "document", document_response)
    app.register_blueprint(pages)


def document_response() -> Response:
    body = {**document(), "servers": [{"url": f"{request.url_root.rstrip('/')}/api/v4"}]}
    return make_conditional(json_response(body, ResponseFormat()), changed_at=None, is_single_record=True)


@cache
def document() -> Json:
    """Return the description, without the URL of the site."""
    spec = APISpec(
        title="Packages",
        version=VERSION,
        openapi_version="3.1.0",
        info={"description": DESCRIPTION},
        plugins=[plugin := MarshmallowPlugin()],
        security=[{}],
    )
    if plugin.converter is None:
        raise RuntimeError("apispec did not create a converter")
    plugin.converter.add_attribute_function(_field_attributes)  # type: ignore[no-untyped-call]
    for name, schema in SCHEMAS.items():
        spec.components.schema(name, schema=schema)
    spec.components.schema("Cell", CELL)
    for name, shape in _shared_schemas().items():
        spec.components.schema(name, shape)
    spec.components.security_scheme("token", TOKEN_SCHEME)
    spec.components.security_scheme("session", SESSION_SCHEME)
    inputs = {resource.input_schema for resource in RESOURCES.values() if resource.input_schema is not None}
    for input_schema in sorted(inputs, key=lambda schema: schema.__name__):
        spec.components.schema(input_schema.__name__, schema=input_schema)
        if input_schema is FeatureInput:
            spec.components.schema("NewFeature", schema=input_schema(exclude=("position",)))
        spec.components.schema(f"{input_schema.__name__}Part", schema=input_schema(partial=True))
    for path, resource in RESOURCES.items():
        url = f"/{path}/" if path else "/"
        for name in PATH_PARAMETERS:
            url = url.replace(f"<key:{name}>", f"{{{name}}}")
        operations = {method: _operation(resource, method) for method in ("get", "post", "put", "patch", "delete")
                      if hasattr(resource, method)}  # fmt: skip
        spec.path(path=url, operations=operations, parameters=_path_parameters(url))
    for url, operations in _bulk_paths().items():
        spec.path(path=url, operations=operations)
    description: Json = spec.to_dict()
    return description


def _field_attributes(_converter: Any, field: Any, **_: Any) -> Json:
    """Return the JSON Schema of a field as far as it depends on the class of the field."""
    if isinstance(field, Integer):  # the JSON parser reads larger numbers as floats
        return {"format": "int64", "minimum": -(2**63), "maximum": 2**63 - 1}
    is_required = field.required and field.metadata.get("rows") == 1  # longer texts may be empty
    types = ["string", "integer"] if isinstance(field, CategoryField | PackageField) else ["string"]
    if is_required:
        return {"type": types, "minLength": 1}
    return {"type": [*types, "null"]} if len(types) > 1 else {}


def _path_parameters(url: str) -> list[Json]:
    return [
        {"name": name, "in": "path", "required": True, "description": description, "schema": {"type": "string"}}
        for name, description in PATH_PARAMETERS.items()
        if f"{{{name}}}" in url
    ]


def _operation(resource: type[Resource], method: str) -> Json:
    operation: Json = {
        "operationId": f"{method}{resource.__name__}",
        "summary": resource.name,
        "description": resource.description,
        "tags": [(resource.__module__.rpartition(".")[2]).replace("grid_parts", "grids")],
    }
    return operation | (_read_operation(resource) if method == "get" else _write_operation(resource, method))


def _read_operation(resource: type[Resource]) -> Json:
    name, shape = RESPONSE_SCHEMAS.get(resource, ("Links", "record"))
    parameters = [_query("format", "`json`, or `api` for the browsable HTML page.", {"enum": ["json", "api", ""]})]
    if shape == "list":
        parameters += [
            _query(
                "limit",
                f"Number of records to return (default {DEFAULT_LIMIT}, maximum {MAX_LIMIT:,}). {INTEGER_NOTE}",
                STRING_SCHEMA,
            ),
            _query("offset", f"Number of records to skip (default 0). {INTEGER_NOTE}", STRING_SCHEMA),
        ]
    if resource is Search:
        parameters += [
            _query(
                "q",
                'Search query: words, "quoted phrases", -excluded words and filters such as `stars:>100`.',
                STRING_SCHEMA,
            ),
            _query(
                "expand",
                "`results` returns everything shown on the search page instead of a plain list.",
                STRING_SCHEMA,
            ),
            _query("offset", f"With `expand`: number of packages to skip. {INTEGER_NOTE}", STRING_SCHEMA),
        ]
    if resource in FILTERABLE:
        parameters += FILTER_PARAMETERS
    if resource in {*FILTERABLE, PackageInstance, GridInstance}:
        parameters += DETAIL_PARAMETERS
    ok = {
        "description": resource.name,
        "headers": VALIDATORS,
        "content": _json(_response_schema(name, shape)) | HTML_CONTENT,
    }
    return {
        "parameters": [*parameters, *CONDITIONAL_HEADERS],
        "responses": {
            "200": ok,
            "301": {"description": "The slug has changed; see `Location`."},
            "304": {"description": "Not modified."},
            **_error_responses(*([400] if resource in FILTERABLE else []), 401, 404, 406, 429, has_html=True),
        },
        "security": [{}, {"token": []}, {"session": []}],
    }


def _write_operation(resource: type[Resource], method: str) -> Json:
    name, _ = RESPONSE_SCHEMAS[resource]
    parameters = [
        _query(
            "dry_run",
            f"Dry run: validate the request and return the changes without saving them. {BOOLEAN_NOTE}",
            STRING_SCHEMA,
        ),
        _query("reason", "Reason for the change, shown in the history.", STRING_SCHEMA),
    ]
    response_schema = {"anyOf": [_ref(name), _ref("DryRun")]}
    responses: Json = {
        "308": {"description": "The slug has changed; repeat the request at the URL in `Location`."},
        "200": {
            "description": "The updated record or, for a dry run, the changes it would make.",
            "content": _json(response_schema),
        },
        "202": {"description": "Accepted; pending review by a moderator.", "content": _json(_ref("PendingEdit"))},
    }
    operation: Json = {}
    if method == "post":
        description = (
            "Unique key (ASCII) for this request. Repeating a request with the same key returns the first response."
        )
        parameters.append(
            _header(
                "Idempotency-Key",
                description,
                {**STRING_SCHEMA, "maxLength": MAX_IDEMPOTENCY_KEY_LENGTH, "pattern": "^[ -~]*$"},
            )
        )
        responses["201"] = {
            "description": "The record has been created.",
            "headers": {"Location": {"schema": STRING_SCHEMA}, "ETag": {"schema": STRING_SCHEMA}},
            "content": _json(_ref(name)),
        }
    else:
        parameters.append(_header("If-Match", "ETag of the version your change is based on."))
    if method == "delete":
        responses["204"] = {"description": "The record has been deleted."}
    elif resource.input_schema is not None:
        operation["requestBody"] = {"required": True, "content": _json(_request_schema(resource.input_schema, method))}
    codes = [400, 401, 403, 404, 405, 409, 413, 415, 429] + ([412, 428] if method != "post" else [])
    return operation | {
        "parameters": parameters,
        "responses": {**responses, **_error_responses(*codes)},
        "security": [{"token": []}, {"session": []}],
    }


def _request_schema(input_schema: type[Input], method: str) -> Json:
    """Return the schema of the request body of a method."""
    if method == "post":
        # A new feature is added at the end; PATCH can move it.
        return _ref("NewFeature" if input_schema is FeatureInput else input_schema.__name__)
    partial_schema = _ref(f"{input_schema.__name__}Part")
    return (
        partial_schema
        if method == "patch"
        else {"allOf": [partial_schema, {"required": list(input_schema.required_for_put)}]}
    )


def _bulk_paths() -> dict[str, Json]:
    """Return the operations of the URLs for bulk access."""
    ndjson_response = {
        "description": "One JSON object per line.",
        "content": {"application/x-ndjson": {"schema": STRING_SCHEMA}},
    }
    csv_response = {"description": "CSV file.", "content": {"text/csv": {"schema": STRING_SCHEMA}}}
    keys = {
        "type": "object",
        "required": ["keys"],
        "properties": {
            "keys": {
                "type": "array",
                "maxItems": bulk.MAX_KEYS,
                "items": {**STRING_SCHEMA, "maxLength": bulk.MAX_KEY_LENGTH},
            }
        },
    }
    packages_by_key = {
        "type": "object",
        "properties": {
            "results": {"type": "object", "additionalProperties": {"anyOf": [_ref("Package"), {"type": "null"}]}},
            "others": {
                "type": "object",
                "description": "The ids of the other packages of a repository, for keys that have several.",
                "additionalProperties": {"type": "array", "items": {"type": "integer"}},
            },
        },
    }
    read = {"tags": ["bulk"], "parameters": FILTER_PARAMETERS, "security": [{}]}
    return {
        "/packages.ndjson": {
            "get": read
            | {
                "operationId": "getPackagesNdjson",
                "summary": "Export all packages (NDJSON)",
                "parameters": [*FILTER_PARAMETERS, *DETAIL_PARAMETERS],
                "responses": {"200": ndjson_response, **_error_responses(400, 401, 429)},
            }
        },
        "/grids.csv": {
            "get": read
            | {
                "operationId": "getGridsCsv",
                "summary": "Export all grids (CSV)",
                "responses": {"200": csv_response, **_error_responses(400, 401, 429)},
            }
        },
        "/packages/lookup/": {
            "post": {
                "operationId": "lookUpPackages",
                "summary": "Look up packages by slug, repository URL or PyPI project name",
                "tags": ["bulk"],
                "requestBody": {"required": True, "content": _json(keys)},
                "responses": {
                    "200": {
                        "description": "The package found for each key, or null.",
                        "content": _json(packages_by_key),
                    },
                    **_error_responses(400, 401, 413, 415, 429),
                },
                "security": [{}],
            }
        },
    }


def _response_schema(name: str, shape: str) -> Json:
    if shape == "record":
        return _ref(name)
    records = {"type": "array", "items": _ref(name)}
    if shape == "array":
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


def _shared_schemas() -> dict[str, Json]:
    return {
        "Links": {"type": "object", "additionalProperties": {"type": "string", "format": "uri"}},
        "Error": {"type": "object", "properties": {"detail": STRING_SCHEMA}, "required": ["detail"]},
        "ValidationErrors": {
            "type": "object",
            "description": "Validation errors by field name.",
            "additionalProperties": {"type": "array", "items": STRING_SCHEMA},
        },
        "PendingEdit": {
            "type": "object",
            "properties": {"detail": STRING_SCHEMA, "held": {"type": "integer"}},
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


ERROR_DESCRIPTIONS = {
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


def _error_responses(*codes: int, has_html: bool = False) -> Json:
    body = {"anyOf": [_ref("Error"), _ref("ValidationErrors")]}
    content = _json(body) | (HTML_CONTENT if has_html else {})
    responses: Json = {str(code): {"description": ERROR_DESCRIPTIONS[code], "content": content} for code in codes}
    if 429 in codes:
        responses["429"]["headers"] = {
            "Retry-After": {"schema": {"type": "integer"}, "description": "Seconds to wait before retrying."}
        }
    return responses


def _json(schema: Json) -> Json:
    return {"application/json": {"schema": schema}}


def _ref(name: str) -> Json:
    return {"$ref": f"#/components/schemas/{name}"}


def _query(name: str, description: str, schema: Json) -> Json:
    return {"name": name, "in": "query", "description": description, "schema": schema}


def _header(name: str, description: str, schema: Json = STRING_SCHEMA) -> Json:
    return {"name": name, "in": "header", "description": description, "schema": schema}


FILTER_PARAMETERS = [
    _query("q", "Words that must all appear in the title, slug or description.", STRING_SCHEMA),
    _query("category", "ID or slug of a category.", STRING_SCHEMA),
    _query("grid", "ID or slug of a grid. For packages: only those in this grid.", STRING_SCHEMA),
    _query(
        "ordering",
        "Field to sort by; prefix with `-` for descending order. Unknown fields fall back to the default.",
        STRING_SCHEMA,
    ),
    _query(
        "updated_since",
        "ISO 8601 timestamp: only records changed since then, including changes to fetched facts. UTC if no time "
        "zone is given.",
        {
            "anyOf": [
                {**STRING_SCHEMA, "format": "date-time"},
                {**STRING_SCHEMA, "format": "date"},
                {**STRING_SCHEMA, "pattern": f"^{WHITESPACE}$"},
            ]
        },
    ),
    _query("deleted", f"Include deleted records. {BOOLEAN_NOTE}", STRING_SCHEMA),
    _query(
        "ids",
        f"Comma-separated IDs (up to {MAX_IDS}).",
        {**STRING_SCHEMA, "pattern": f"^{ID_PATTERN}(,{ID_PATTERN}){{0,{MAX_IDS - 1}}}$"},
    ),
]
DETAIL_PARAMETERS = [
    _query("fields", "Comma-separated names of the fields to return; unknown names are ignored.", STRING_SCHEMA),
    _query("expand", "Comma-separated names of additional details to include, or `all`.", STRING_SCHEMA),
]
CONDITIONAL_HEADERS = [_header("If-None-Match", "ETag of the response you already have.")]
VALIDATORS = {"ETag": {"schema": STRING_SCHEMA}, "Last-Modified": {"schema": STRING_SCHEMA}}
TOKEN_SCHEME = {
    "type": "apiKey",
    "in": "header",
    "name": "Authorization",
    "description": "`Token <token>` or `Bearer <token>`. Create tokens in your account settings.",
}
SESSION_SCHEME = {
    "type": "apiKey",
    "in": "cookie",
    "name": "session",
    "description": (
        "Browser session. Requests that change data must also send the CSRF token in the X-CSRFToken header."
    ),
}
