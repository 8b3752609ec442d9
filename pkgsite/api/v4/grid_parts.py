"""What a grid is made of: its packages, its features, and what is said of each package about each feature."""

from __future__ import annotations

from typing import Any

from flask import g
from marshmallow import Schema

from pkgsite.api.fields import Hyperlink, computed_field, raw_field
from pkgsite.api.inputs import CellInput, FeatureInput, MemberInput
from pkgsite.api.mutations import NO_CONTENT, ApiResult, apply_mutation, expected_version
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
from pkgsite.services.grids.forms import get_feature_for_editing, get_grid_for_editing, get_grid_package
from pkgsite.services.packages.lookup import find_by_reference
from pkgsite.services.packages.records import PackageRecord
from pkgsite.services.permissions import Viewer


class FeatureSchema(Schema):
    """A feature of a grid as it goes over the wire, in wire order."""

    grid = Hyperlink("grids", attribute="grid_id")
    id = raw_field("integer")
    title = raw_field("string")
    description = raw_field("string")
    position = raw_field("integer")
    cells = computed_field(
        "array",
        items={"type": "object"},
        compute=lambda feature: [serialize_cell(feature, number, text) for number, text in feature["cells"]],
    )


class GridPart(Resource):
    """A part of a grid: a locked grid's are changed by moderators only."""

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
        listing = list_packages(db.session(), record_filter, limit=window.limit, offset=window.offset)
        return envelope(window, listing.count, packages.serialize(listing.records))

    def post(self, key: str) -> ApiResult:
        grid = get_grid(key)
        changes = load_new_record(self.input_schema)["package"]
        found = find_by_reference(db.session(), changes) if changes else None
        if found is None:
            raise Invalid({"package": ["Package not found."]})
        if found.id in grid.package_ids:
            return member_response(grid, found.id, is_new=False)
        return apply_mutation(
            "membership.add",
            {"grid_id": grid.id, "package_id": found.id},
            title=f"Add “{found.title}” to “{grid.title}”",
            to_response=lambda created: member_response(grid, created.package_id, is_new=True),
        )


class MemberInstance(GridPart):
    name = "Grid Package"
    description = "A package in a grid."
    is_single_record = True

    def get(self, key: str, package: str) -> Any:
        record = get_member(get_grid(key), package)
        g.changed_at = record.changed_at
        return packages.serialize([record])[0]

    def is_allowed(self, method: str, viewer: Viewer, **keys: str) -> bool:  # noqa: ARG002
        grid = get_grid(keys["key"])
        record, session = get_member(grid, keys["package"]), db.session()
        return get_grid_package(session, get_grid_for_editing(session, grid.slug, viewer), record.id, viewer)[1]

    def delete(self, key: str, package: str) -> ApiResult:
        grid = get_grid(key)
        record = get_member(grid, package)
        original = packages.serialize([record])[0]
        expected_version(original, record.version)
        return apply_mutation(
            "membership.remove",
            {"grid_id": grid.id, "package_id": record.id},
            title=f"Remove “{record.title}” from “{grid.title}”",
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
        found = grids.load_features(db.session(), [grid.id]).get(grid.id, [])
        part = found[window.offset : window.offset + window.limit]
        return envelope(window, len(found), [serialize_feature(grid, line) for line in part])

    def post(self, key: str) -> ApiResult:
        grid, changes = get_grid(key), load_new_record(self.input_schema)
        if changes.pop("position", None) is not None:
            raise Invalid(
                {"position": ["New features are added at the end. Set the position with a later PATCH request."]}
            )
        return apply_mutation(
            "feature.add",
            {"grid_id": grid.id, **changes},
            title=f"Add feature to “{grid.title}”",
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
        found = get_feature_for_editing(db.session(), get_feature(get_grid(keys["key"]), keys["feature"]).id, viewer)
        return found.can_delete if method == "DELETE" else found.grid.can_edit

    def delete(self, key: str, feature: str) -> ApiResult:
        grid = get_grid(key)
        found = get_feature(grid, feature)
        original = serialize_feature(grid, found)
        expected_version(original, found.version)
        title = f"Delete feature from “{grid.title}”"
        return apply_mutation(
            "feature.delete", {"feature_id": found.id}, title=title, original=original, to_response=lambda _: NO_CONTENT
        )

    def update(self, key: str, feature: str, *, is_full_update: bool) -> ApiResult:
        grid = get_grid(key)
        found = get_feature(grid, feature)
        original = serialize_feature(grid, found)
        version = expected_version(original, found.version)
        changes = {"title": found.title, "description": found.description}
        return apply_mutation(
            "feature.edit",
            {"feature_id": found.id, "version": version}
            | changes
            | load_changes(self.input_schema, original, is_full_update=is_full_update),
            title=f"Edit feature in “{grid.title}”",
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
        found, record = get_feature(grid, feature), get_member(grid, package)
        cell = grids.load_cell(db.session(), found.id, record.id)
        return serialize_cell({"grid_id": grid.id, "id": found.id}, record.id, cell.text), cell

    def update(self, key: str, feature: str, package: str, *, is_full_update: bool) -> ApiResult:
        grid = get_grid(key)
        original, cell = self._load(grid, feature, package)
        version = expected_version(original, cell.version)
        arguments = {
            "package_id": get_member(grid, package).id,
            "feature_id": get_feature(grid, feature).id,
            "text": cell.text,
            "version": version,
        }
        return apply_mutation(
            "cell.edit",
            arguments | load_changes(self.input_schema, original, is_full_update=is_full_update),
            title=f"Edit cell in “{grid.title}”",
            original=original,
            to_response=lambda _: ApiResult(self._load(grid, feature, package)[0], is_record=True),
        )


def get_member(grid: grids.GridRecord, key: str) -> PackageRecord:
    """Return the package of a grid that a key names.

    Raises:
        NotFound: it is not in the grid.
    """
    record = packages.get_package(key)
    if record.id not in grid.package_ids:
        raise NotFound("Package")
    return record


def get_feature(grid: grids.GridRecord, key: str) -> grids.FeatureRecord:
    """Return the feature of a grid that a key names.

    Raises:
        NotFound: the grid has none with this id.
    """
    feature_id = parse_id(key)
    for found in grids.load_features(db.session(), [grid.id]).get(grid.id, []):
        if found.id == feature_id:
            return found
    raise NotFound("Feature")


def serialize_feature(grid: grids.GridRecord, found: grids.FeatureRecord) -> dict[str, Any]:
    values = {name: getattr(found, name) for name in ("id", "title", "description", "position", "cells")}
    body: dict[str, Any] = SCHEMA.dump({"grid_id": grid.id, **values})
    return body


def serialize_cell(feature: dict[str, Any], package_id: int, text: str) -> dict[str, Any]:
    return {
        "grid": g.urls.url_for(f"grids/{feature['grid_id']}"),
        "feature": g.urls.url_for(f"grids/{feature['grid_id']}/features/{feature['id']}"),
        "package": g.urls.url_for(f"packages/{package_id}"),
        "text": text,
    }


def member_response(grid: grids.GridRecord, package_id: int, *, is_new: bool) -> ApiResult:
    """Return the answer that tells a package that is in a grid now."""
    location = g.urls.url_for(f"grids/{grid.id}/packages/{package_id}")
    body = packages.record_response(package_id).body
    return ApiResult(body, 201 if is_new else 200, location if is_new else None, is_record=True)


def feature_response(grid: grids.GridRecord, feature_id: int, *, is_new: bool) -> ApiResult:
    """Return the answer that tells a feature after it was added or changed."""
    body = serialize_feature(grid, get_feature(grid, str(feature_id)))
    location = g.urls.url_for(f"grids/{grid.id}/features/{feature_id}") if is_new else None
    return ApiResult(body, 201 if is_new else 200, location, is_record=True)


SCHEMA = FeatureSchema()
