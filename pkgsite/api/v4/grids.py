"""Grids: the list, and one by id or slug."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from flask import g
from marshmallow import Schema

from pkgsite.api.fields import Hyperlinks, Timestamp, computed_field, raw_field
from pkgsite.api.inputs import GridInput
from pkgsite.api.mutations import NO_CONTENT, ApiResult, apply_mutation, check_if_match
from pkgsite.api.paging import envelope, parse_limit_offset
from pkgsite.api.query_params import list_param, parse_record_filter, select_fields
from pkgsite.api.request_body import load_changes, load_new_record, parse_body
from pkgsite.api.resource import Editable, Resource
from pkgsite.errors import NotFound
from pkgsite.extensions import db
from pkgsite.rules.slugs import parse_id, slug_problem
from pkgsite.services.api_queries import deleted_grids, last_grid_change_at, list_grids
from pkgsite.services.grids import records as grids
from pkgsite.services.grids.edits import AddGrid, DeleteGrid, EditGrid, GridChanges
from pkgsite.services.permissions import Viewer


class GridSchema(Schema):
    """A grid as it goes over the wire, in wire order."""

    id = raw_field("integer")
    title = raw_field("string")
    slug = raw_field("string")
    description = raw_field("string")
    is_locked = raw_field("boolean")
    packages = Hyperlinks("packages", attribute="package_ids")
    header = raw_field("boolean")
    created = Timestamp(attribute="created_at")
    modified = Timestamp(attribute="modified_at")


class GridList(Resource):
    name = "Grid List"
    description = "Grids compare similar packages side by side."
    input_schema = GridInput

    def get(self) -> dict[str, Any]:
        window, record_filter, session = parse_limit_offset(), parse_record_filter(), db.session()
        page = list_grids(session, record_filter, limit=window.limit, offset=window.offset)
        g.changed_at = last_grid_change_at(session)
        body = envelope(window, page.count, serialize(page.records))
        if record_filter.include_deleted:
            body["deleted"] = DELETED.dump(deleted_grids(session, record_filter.updated_since), many=True)
        return body

    def post(self) -> ApiResult:
        changes = load_new_record(self.input_schema)
        return apply_mutation(
            AddGrid(cast(GridChanges, changes)),
            title=lambda: f"Create grid “{changes['title']}”",
            to_response=lambda created: record_response(created.id, is_new=True),
        )


class GridInstance(Editable):
    name = "Grid Instance"
    description = GridList.description
    input_schema = GridInput
    is_single_record = True

    def has_slug(self, slug: str) -> bool:
        return not slug_problem(slug) and grids.is_known_slug(db.session(), slug)

    def get(self, key: str) -> Any:
        record = get_grid(key)
        g.changed_at = record.changed_at
        return serialize([record])[0]

    def is_allowed(self, method: str, viewer: Viewer, **keys: str) -> bool:
        return viewer.is_moderator or (method != "DELETE" and not get_grid(keys["key"]).is_locked)

    def delete(self, key: str) -> ApiResult:
        record = get_grid(key)
        original = serialize([record])[0]
        check_if_match(original, record.version)
        return apply_mutation(
            DeleteGrid(record.id),
            title=lambda: f"Delete grid “{record.title}”",
            original=original,
            to_response=lambda _: NO_CONTENT,
        )

    def update(self, key: str, *, is_full_update: bool) -> ApiResult:
        record = get_grid(key)
        original = serialize([record])[0]
        version = check_if_match(original, record.version)
        has_features = "features" in parse_body(self.input_schema)
        [current] = _serialize([record], with_features=has_features)
        changes = load_changes(self.input_schema, current, is_full_update=is_full_update)
        return apply_mutation(
            EditGrid(record.id, cast(GridChanges, changes), version),
            title=lambda: f"Edit grid “{record.title}”",
            original=original,
            to_response=lambda changed: record_response(changed.id),
        )


class DeletedSchema(Schema):
    """A deleted grid."""

    id = raw_field("integer")
    slug = raw_field("string")
    changed = Timestamp(attribute="deleted_at")


class FeatureSchema(Schema):
    """A feature that `?expand=features` adds to a grid, with its cells."""

    id = raw_field("integer")
    title = raw_field("string")
    description = raw_field("string")
    cells = computed_field(
        "array",
        lambda feature: [
            {"package": g.urls.url_for(f"packages/{package_id}"), "text": text} for package_id, text in feature.cells
        ],
    )


def serialize(records: Sequence[grids.GridRecord]) -> list[dict[str, Any]]:
    """Return records as JSON objects, with the details and only the fields that the request asks for."""
    expand, field_names = list_param("expand"), list_param("fields")
    bodies = _serialize(records, with_features="features" in expand or "all" in expand)
    return [select_fields(body, field_names) for body in bodies] if field_names else bodies


def _serialize(records: Sequence[grids.GridRecord], *, with_features: bool) -> list[dict[str, Any]]:
    bodies: list[dict[str, Any]] = SCHEMA.dump(records, many=True)
    if with_features:
        features = grids.load_features(db.session(), [record.id for record in records])
        for body, record in zip(bodies, records, strict=True):
            body["features"] = FEATURE.dump(features.get(record.id, []), many=True)
    return bodies


def record_response(grid_id: int, *, is_new: bool = False) -> ApiResult:
    """Return the response for a grid that has been created or changed."""
    record = grids.grid_by_id(db.session(), grid_id)
    location = g.urls.url_for(f"grids/{record.id}") if is_new else None
    return ApiResult(serialize([record])[0], 201 if is_new else 200, location, is_record=True)


def get_grid(key: str) -> grids.GridRecord:
    """Return the grid that a key of the API names.

    Raises:
        Moved: The key is a slug that the grid once had.
        NotFound: No grid has this id or slug.
    """
    grid_id = parse_id(key)
    if grid_id is not None:
        return grids.grid_by_id(db.session(), grid_id)
    if slug_problem(key):
        raise NotFound("Grid")
    return grids.grid_by_slug(db.session(), key)


SCHEMA, DELETED, FEATURE = GridSchema(), DeletedSchema(), FeatureSchema()
