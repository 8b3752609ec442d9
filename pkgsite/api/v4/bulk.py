"""Everything at once: all packages as lines of JSON, all grids as a table, and packages by whatever names them."""

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
from pkgsite.api.caching import asks_for
from pkgsite.api.limits import limited
from pkgsite.api.negotiation import Rendering, json_answer
from pkgsite.api.reading import json_body
from pkgsite.api.v4 import grids, packages
from pkgsite.api.v4.asking import asked_find
from pkgsite.api.v4.resource import Links
from pkgsite.errors import Invalid, SiteError
from pkgsite.extensions import db, gateways
from pkgsite.services.finding import (
    grids_after,
    last_grid_change,
    last_package_change,
    look_up_packages,
    packages_after,
    packages_by_id,
)

BATCH = 500  # records that are in memory at a time
MOST_KEYS = 100
LONGEST_KEY = 500
COLUMNS = ("id", "title", "slug", "description", "is_locked", "header", "packages", "created", "modified")
# With one of these in front a table program would take a text for a formula.
FORMULA = ("=", "+", "-", "@", "\t", "\r")


def add_rules(blueprint: Blueprint) -> None:
    blueprint.add_url_rule(
        "/packages.ndjson", "packages_ndjson", limited("bulk")(answered(packages_ndjson)), methods=("GET",)
    )
    blueprint.add_url_rule("/grids.csv", "grids_csv", limited("bulk")(answered(grids_csv)), methods=("GET",))
    blueprint.add_url_rule("/packages/lookup/", "lookup", answered(lookup), methods=("POST", "OPTIONS"))


def answered(view: Callable[[], Response]) -> Callable[[], Response]:
    """Make a view whose failures are JSON."""

    @wraps(view)
    def guarded() -> Response:
        g.links, g.changed_at = Links(None), None
        try:
            return view()
        except (HTTPException, SiteError) as error:
            if isinstance(error, MethodNotAllowed):
                raise
            return errors.answer(error, Rendering())

    return guarded


def packages_ndjson() -> Response:
    """Answer all packages that are looked for, the lowest id first, one JSON object to a line."""
    find = asked_find()

    def lines() -> Iterator[bytes]:
        last = 0
        while records := packages_after(db.session(), find, last, limit=BATCH):
            last = records[-1].id
            yield b"".join(orjson.dumps(body) + b"\n" for body in packages.dumped(records))
            db.session.rollback()  # no transaction lasts as long as a slow reader does

    return streamed(lines(), "application/x-ndjson", last_package_change(db.session()))


def grids_csv() -> Response:
    """Answer all grids that are looked for, the lowest id first, as a table."""
    find = asked_find()

    def lines() -> Iterator[bytes]:
        yield row(COLUMNS)
        last = 0
        while records := grids_after(db.session(), find, last, limit=BATCH):
            last = records[-1].id
            for body in grids.dumped(records):
                numbers = " ".join(address.rstrip("/").rpartition("/")[2] for address in body["packages"])
                yield row([numbers if name == "packages" else body[name] for name in COLUMNS])
            db.session.rollback()

    response = streamed(lines(), "text/csv; charset=utf-8", last_grid_change(db.session()))
    response.headers["Content-Disposition"] = "attachment; filename=grids.csv"
    return response


def streamed(lines: Iterator[bytes], kind: str, changed_at: datetime | None) -> Response:
    """Return an answer that is written as it is read; its tag names the question and the state of the data."""
    asked = f"{request.url}|{changed_at}"
    tag = hashlib.sha256(asked.encode()).hexdigest()[:32]
    if asks_for(tag, request.headers.get("If-None-Match", "")):
        response = Response(status=304)
    else:
        response = Response(stream_with_context(lines), content_type=kind)
    response.set_etag(tag)
    response.headers["Cache-Control"] = "public, no-cache"
    if changed_at is not None:
        response.last_modified = changed_at.astimezone(UTC)
    return response


def row(values: Any) -> bytes:
    """Return a line of a table."""
    text = io.StringIO()
    csv.writer(text).writerow([_harmless(value) for value in values])
    return text.getvalue().encode()


def _harmless(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA) else value


def lookup() -> Response:
    """Answer the packages that these keys name, by key; null for one that names none."""
    if request.method == "OPTIONS":  # else the methods of a package with this slug would be told
        return Response(headers={"Allow": "POST, OPTIONS"})
    keys = json_body().get("keys")
    is_list = isinstance(keys, list) and all(isinstance(key, str) and len(key) <= LONGEST_KEY for key in keys)
    if not isinstance(keys, list) or not is_list or len(keys) > MOST_KEYS:
        words = f"Must be a list of up to {MOST_KEYS} strings: slugs, repository URLs or PyPI project names."
        raise Invalid({"keys": [words]})
    found = look_up_packages(db.session(), [key.replace("\0", "") for key in keys], gateways().kinds)
    records = {record.id: record for record in packages_by_id(db.session(), set(found.values()))}
    bodies = dict(zip(records, packages.dumped(list(records.values())), strict=True))
    named = {key: bodies.get(found.get(key.replace("\0", ""), 0)) for key in keys}
    return json_answer({"results": named}, Rendering())
