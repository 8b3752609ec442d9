"""Bulk access: all packages as NDJSON, all grids as CSV, and lookup of packages by slug, repository URL or project."""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import wraps
from typing import Any

import orjson
from flask import Blueprint, Response, g, request, stream_with_context
from werkzeug.exceptions import HTTPException, MethodNotAllowed

from pkgsite.api import errors
from pkgsite.api.caching import matches_etag
from pkgsite.api.limits import rate_limited
from pkgsite.api.negotiation import ResponseFormat, json_response
from pkgsite.api.query_params import parse_record_filter
from pkgsite.api.request_body import parse_json_body
from pkgsite.api.resource import UrlBuilder
from pkgsite.api.v4 import grids, packages
from pkgsite.errors import Invalid, SiteError
from pkgsite.extensions import db, gateways
from pkgsite.services.api_queries import (
    grids_after,
    last_grid_change_at,
    last_package_change_at,
    packages_after,
    packages_by_id,
)
from pkgsite.services.packages.resolver import resolve

BATCH_SIZE = 500  # records in memory at a time
MAX_KEYS = 100
MAX_KEY_LENGTH = 500
CSV_COLUMNS = ("id", "title", "slug", "description", "is_locked", "header", "packages", "created", "modified")
# A spreadsheet treats a text that begins with one of these as a formula.
FORMULA_PREFIXES = ("=", "+", "-", "@", "\t", "\r")


def add_rules(blueprint: Blueprint) -> None:
    blueprint.add_url_rule(
        "/packages.ndjson", "packages_ndjson", rate_limited("bulk")(with_json_errors(packages_ndjson)), methods=("GET",)
    )
    blueprint.add_url_rule(
        "/grids.csv", "grids_csv", rate_limited("bulk")(with_json_errors(grids_csv)), methods=("GET",)
    )
    blueprint.add_url_rule("/packages/lookup/", "lookup", with_json_errors(lookup), methods=("POST", "OPTIONS"))


def with_json_errors(view: Callable[[], Response]) -> Callable[[], Response]:
    """Return a view that returns errors as JSON."""

    @wraps(view)
    def wrapper() -> Response:
        g.urls, g.changed_at = UrlBuilder(None), None
        try:
            return view()
        except (HTTPException, SiteError) as error:
            if isinstance(error, MethodNotAllowed):
                raise
            return errors.error_response(error, ResponseFormat())

    return wrapper


def packages_ndjson() -> Response:
    """Return the packages that match the filter, ordered by id, one JSON object per line."""
    record_filter = parse_record_filter()

    def lines() -> Iterator[bytes]:
        last_id = 0
        while records := packages_after(db.session(), record_filter, last_id, limit=BATCH_SIZE):
            last_id = records[-1].id
            yield b"".join(orjson.dumps(body) + b"\n" for body in packages.serialize(records))
            db.session.rollback()  # keep no transaction open while a slow client reads

    return stream_response(lines(), "application/x-ndjson", last_package_change_at(db.session()))


def grids_csv() -> Response:
    """Return the grids that match the filter, ordered by id, as CSV."""
    record_filter = parse_record_filter()

    def lines() -> Iterator[bytes]:
        yield csv_row(CSV_COLUMNS)
        last_id = 0
        while records := grids_after(db.session(), record_filter, last_id, limit=BATCH_SIZE):
            last_id = records[-1].id
            for body in grids.serialize(records):
                package_ids = " ".join(url.rstrip("/").rpartition("/")[2] for url in body["packages"])
                yield csv_row([package_ids if name == "packages" else body[name] for name in CSV_COLUMNS])
            db.session.rollback()

    response = stream_response(lines(), "text/csv; charset=utf-8", last_grid_change_at(db.session()))
    response.headers["Content-Disposition"] = "attachment; filename=grids.csv"
    return response


def stream_response(chunks: Iterator[bytes], content_type: str, changed_at: datetime | None) -> Response:
    """Return a streamed response, with an ETag computed from the URL and the time of the last change."""
    fingerprint = f"{request.url}|{changed_at}"
    etag = hashlib.sha256(fingerprint.encode()).hexdigest()[:32]
    if matches_etag(etag, request.headers.get("If-None-Match", ""), weak=True):
        response = Response(status=304)
    else:
        response = Response(stream_with_context(chunks), content_type=content_type)
    response.set_etag(etag)
    response.headers["Cache-Control"] = "public, no-cache"
    if changed_at is not None:
        response.last_modified = changed_at.astimezone(UTC)
    return response


def csv_row(values: Any) -> bytes:
    """Return a line of CSV."""
    text = io.StringIO()
    csv.writer(text).writerow([_escape_formula(value) for value in values])
    return text.getvalue().encode()


def _escape_formula(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA_PREFIXES) else value


def lookup() -> Response:
    """Return the package for each key in the body, or null if none matches.

    A repository can have several packages: `results` has the oldest one, and `others` the ids of the rest.
    """
    if request.method == "OPTIONS":  # otherwise handled by the resource of a package with the slug "lookup"
        return Response(headers={"Allow": "POST, OPTIONS"})
    keys = _parse_keys()
    found = resolve(db.session(), keys, gateways())
    records = packages_by_id(db.session(), {refs[0].id for refs in found.values()})
    bodies = dict(zip([record.id for record in records], packages.serialize(records), strict=True))
    results = {key: bodies.get(found[key][0].id) if key in found else None for key in keys}
    others = {key: [ref.id for ref in refs[1:]] for key, refs in found.items() if refs[1:]}
    return json_response({"results": results, "others": others}, ResponseFormat())


def _parse_keys() -> list[str]:
    keys = parse_json_body().get("keys")
    is_list = isinstance(keys, list) and all(isinstance(key, str) and len(key) <= MAX_KEY_LENGTH for key in keys)
    if not isinstance(keys, list) or not is_list or len(keys) > MAX_KEYS:
        message = f"Must be a list of up to {MAX_KEYS} strings: slugs, repository URLs or PyPI project names."
        raise Invalid({"keys": [message]})
    return keys
