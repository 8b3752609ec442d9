"""The parts of a grid: its packages, features and cells."""

from __future__ import annotations

from typing import Any

from flask import g
from marshmallow import Schema

from pkgsite.api.fields import Hyperlink, computed_field, raw_field
from pkgsite.api.inputs import CellInput, FeatureInput, MemberInput
from pkgsite.api.mutations import NO_CONTENT, ApiResult, apply_mutation, check_if_match
from pkgsite.api.paging import envelope, parse_limit_offset
from pkgsite.api.request_body import load_changes, load_new_record
from pkgsite.api.resource import Editable, Resource
from pkgsite.api.v4 import packages
from pkgsite.api.v4.grids import get_grid
from pkgsite.errors import Invalid, NotFound
from pkgsite.extensions import db
from pkgsite.rules.slugs import parse_id
from pkgsite.services.api_queries import RecordFilter, list_packages
from pkgsite.services.grids import records as grids
from pkgsite.services.grids.edits import (
    AddFeature,
    AddGridPackage,
    DeleteFeature,
    EditCell,
    EditFeature,
    RemoveGridPackage,
)
from pkgsite.services.grids.forms import get_feature_for_editing, get_grid_for_editing, get_grid_package
from pkgsite.services.packages.lookup import find_by_reference
from pkgsite.services.packages.records import PackageRecord
from pkgsite.services.permissions import Viewer


class FeatureSchema(Schema):
    """The fields of a feature, in the order of the response."""

    grid = Hyperlink("grids", attribute="grid_id")
    id = raw_field("integer")
    title = raw_field("string")
    description = raw_field("string")
    position = raw_field("integer")
    cells = computed_field(
        "array",
        items={"type": "object"},
        compute=lambda feature: [serialize_cell(feature, package_id, text) for package_id, text in feature["cells"]],
    )


class GridPart(Resource):
    """Base class for the parts of a grid. Only moderators can change those of a locked grid."""

    requires_login = True

    def is_allowed(self, method: str, viewer: Viewer, **keys: str) -> bool:  # noqa: ARG002
        return viewer.is_moderator or not get_grid(keys["key"]).is_locked


class MemberList(GridPart):
    name = "Grid Packages"
    description = "Packages in a grid."
    input_schema = MemberInput

    def get(self, key: str) -> dict[str, Any]:
        grid, window = get_grid(key), parse_limit_offset()
        g.changed_at = grid.changed_at
        record_filter = RecordFilter(ordering="title", grid=str(grid.id))
        page = list_packages(db.session(), record_filter, limit=window.limit, offset=window.offset)
        return envelope(window, page.count, packages.serialize(page.records))

    def post(self, key: str) -> ApiResult:
        grid = get_grid(key)
        reference = load_new_record(self.input_schema)["package"]
        package = find_by_reference(db.session(), reference) if reference else None
        if package is None:
            raise Invalid({"package": ["Package not found."]})
        if package.id in grid.package_ids:
            return grid_package_response(grid, package.id, is_new=False)
        return apply_mutation(
            AddGridPackage(grid.id, package.id),
            title=lambda: f"Add “{package.title}” to “{grid.title}”",
            to_response=lambda created: grid_package_response(grid, created.package_id, is_new=True),
        )


class MemberInstance(GridPart):
    name = "Grid Package"
    description = "A package in a grid."
    is_single_record = True

    def get(self, key: str, package: str) -> Any:
        record = find_grid_package(get_grid(key), package)
        g.changed_at = record.changed_at
        return packages.serialize([record])[0]

    def is_allowed(self, method: str, viewer: Viewer, **keys: str) -> bool:  # noqa: ARG002
        grid = get_grid(keys["key"])
        record, session = find_grid_package(grid, keys["package"]), db.session()
        editable_grid = get_grid_for_editing(session, grid.slug, viewer)
        _, can_remove = get_grid_package(session, editable_grid, record.id, viewer)
        return can_remove

    def delete(self, key: str, package: str) -> ApiResult:
        grid = get_grid(key)
        record = find_grid_package(grid, package)
        original = packages.serialize([record])[0]
        check_if_match(original, record.version)
        return apply_mutation(
            RemoveGridPackage(grid.id, record.id),
            title=lambda: f"Remove “{record.title}” from “{grid.title}”",
            original=original,
            to_response=lambda _: NO_CONTENT,
        )


class FeatureList(GridPart):
    name = "Grid Features"
    description = "Features that a grid uses to compare its packages."
    input_schema = FeatureInput

    def get(self, key: str) -> dict[str, Any]:
        grid, window = get_grid(key), parse_limit_offset()
        g.changed_at = grid.changed_at
        features = grids.load_features(db.session(), [grid.id]).get(grid.id, [])
        page = features[window.offset : window.offset + window.limit]
        return envelope(window, len(features), [serialize_feature(grid, feature) for feature in page])

    def post(self, key: str) -> ApiResult:
        grid, changes = get_grid(key), load_new_record(self.input_schema)
        if changes.pop("position", None) is not None:
            raise Invalid(
                {"position": ["New features are added at the end. Set the position with a later PATCH request."]}
            )
        return apply_mutation(
            AddFeature(grid.id, **changes),
            title=lambda: f"Add feature to “{grid.title}”",
            to_response=lambda created: feature_response(grid, created.id, is_new=True),
        )


class FeatureInstance(GridPart, Editable):
    name = "Grid Feature"
    description = "A feature in a grid."
    input_schema = FeatureInput
    is_single_record = True

    def get(self, key: str, feature: str) -> Any:
        grid = get_grid(key)
        g.changed_at = grid.changed_at
        return serialize_feature(grid, get_feature(grid, feature))

    def is_allowed(self, method: str, viewer: Viewer, **keys: str) -> bool:
        feature_id = get_feature(get_grid(keys["key"]), keys["feature"]).id
        record = get_feature_for_editing(db.session(), feature_id, viewer)
        return record.can_delete if method == "DELETE" else record.grid.can_edit

    def delete(self, key: str, feature: str) -> ApiResult:
        grid = get_grid(key)
        record = get_feature(grid, feature)
        original = serialize_feature(grid, record)
        check_if_match(original, record.version)
        return apply_mutation(
            DeleteFeature(record.id),
            title=lambda: f"Delete feature from “{grid.title}”",
            original=original,
            to_response=lambda _: NO_CONTENT,
        )

    def update(self, key: str, feature: str, *, is_full_update: bool) -> ApiResult:
        grid = get_grid(key)
        record = get_feature(grid, feature)
        original = serialize_feature(grid, record)
        version = check_if_match(original, record.version)
        values: dict[str, Any] = {"title": record.title, "description": record.description}
        values |= load_changes(self.input_schema, original, is_full_update=is_full_update)
        return apply_mutation(
            EditFeature(record.id, **values, expected_version=version),
            title=lambda: f"Edit feature in “{grid.title}”",
            original=original,
            to_response=lambda changed: feature_response(grid, changed.id, is_new=False),
        )


class CellInstance(GridPart, Editable):
    name = "Grid Cell"
    description = "The text for one package and one feature in a grid."
    input_schema = CellInput
    is_single_record = True

    def get(self, key: str, feature: str, package: str) -> Any:
        grid = get_grid(key)
        g.changed_at = grid.changed_at
        return self._load(grid, feature, package)[0]

    def _load(self, grid: grids.GridRecord, feature: str, package: str) -> tuple[dict[str, Any], grids.CellRecord]:
        feature_id, package_id = get_feature(grid, feature).id, find_grid_package(grid, package).id
        cell = grids.load_cell(db.session(), feature_id, package_id)
        return serialize_cell({"grid_id": grid.id, "id": feature_id}, package_id, cell.text), cell

    def update(self, key: str, feature: str, package: str, *, is_full_update: bool) -> ApiResult:
        grid = get_grid(key)
        original, cell = self._load(grid, feature, package)
        version = check_if_match(original, cell.version)
        changes = load_changes(self.input_schema, original, is_full_update=is_full_update)
        edit = EditCell(
            package_id=find_grid_package(grid, package).id,
            feature_id=get_feature(grid, feature).id,
            text=changes.get("text", cell.text),
            expected_version=version,
        )
        return apply_mutation(
            edit,
            title=lambda: f"Edit cell in “{grid.title}”",
            original=original,
            to_response=lambda _: ApiResult(self._load(grid, feature, package)[0], is_record=True),
        )


def find_grid_package(grid: grids.GridRecord, key: str) -> PackageRecord:
    """Return the package of a grid with this id or slug.

    Raises:
        NotFound: It is not in the grid.
    """
    record = packages.get_package(key)
    if record.id not in grid.package_ids:
        raise NotFound("Package")
    return record


def get_feature(grid: grids.GridRecord, key: str) -> grids.FeatureRecord:
    """Return the feature of a grid with this id.

    Raises:
        NotFound: The grid has no such feature.
    """
    feature_id = parse_id(key)
    for feature in grids.load_features(db.session(), [grid.id]).get(grid.id, []):
        if feature.id == feature_id:
            return feature
    raise NotFound("Feature")


def serialize_feature(grid: grids.GridRecord, feature: grids.FeatureRecord) -> dict[str, Any]:
    values = {name: getattr(feature, name) for name in ("id", "title", "description", "position", "cells")}
    body: dict[str, Any] = SCHEMA.dump({"grid_id": grid.id, **values})
    return body


def serialize_cell(feature: dict[str, Any], package_id: int, text: str) -> dict[str, Any]:
    return {
        "grid": g.urls.url_for(f"grids/{feature['grid_id']}"),
        "feature": g.urls.url_for(f"grids/{feature['grid_id']}/features/{feature['id']}"),
        "package": g.urls.url_for(f"packages/{package_id}"),
        "text": text,
    }


def grid_package_response(grid: grids.GridRecord, package_id: int, *, is_new: bool) -> ApiResult:
    """Return the response for a package in a grid."""
    location = g.urls.url_for(f"grids/{grid.id}/packages/{package_id}")
    body = packages.record_response(package_id).body
    return ApiResult(body, 201 if is_new else 200, location if is_new else None, is_record=True)


def feature_response(grid: grids.GridRecord, feature_id: int, *, is_new: bool) -> ApiResult:
    """Return the response for a feature that has been added or changed."""
    body = serialize_feature(grid, get_feature(grid, str(feature_id)))
    location = g.urls.url_for(f"grids/{grid.id}/features/{feature_id}") if is_new else None
    return ApiResult(body, 201 if is_new else 200, location, is_record=True)


SCHEMA = FeatureSchema()
