"""What a grid is made of: its packages, its features, and what is said of each package about each feature."""

from __future__ import annotations

from typing import Any

from flask import g
from marshmallow import Schema

from pkgsite.api.reading import changes, new_record
from pkgsite.api.v4 import packages
from pkgsite.api.v4.fields import Hyperlink, made, told
from pkgsite.api.v4.grids import find
from pkgsite.api.v4.inputs import CellInput, FeatureInput, MemberInput
from pkgsite.api.v4.paging import asked_stretch, envelope
from pkgsite.api.v4.resource import Editable, Resource
from pkgsite.api.writing import NOTHING, Answer, begun_on, write
from pkgsite.errors import Invalid, NotFound
from pkgsite.extensions import db
from pkgsite.rules.slugs import id_in
from pkgsite.services import grids
from pkgsite.services.finding import Find, find_packages
from pkgsite.services.grid_pages import feature_to_edit, grid_to_edit, package_in
from pkgsite.services.package_places import package_typed
from pkgsite.services.packages import PackageRecord
from pkgsite.services.permissions import Viewer


class FeatureSchema(Schema):
    """A feature of a grid as it goes over the wire, in wire order."""

    grid = Hyperlink("grids", attribute="grid_id")
    id = told("integer")
    title = told("string")
    description = told("string")
    position = told("integer")
    cells = made(
        "array",
        items={"type": "object"},
        make=lambda feature: [cell_body(feature, number, text) for number, text in feature["cells"]],
    )


class _Part(Resource):
    """A part of a grid: a locked grid's are changed by moderators only."""

    asks_who = True

    def may(self, method: str, viewer: Viewer, **keys: str) -> bool:  # noqa: ARG002
        return viewer.is_moderator or not find(keys["key"]).is_locked


class MemberList(_Part):
    name = "Grid Packages"
    description = "Packages in a grid."
    takes = MemberInput

    def get(self, key: str) -> dict[str, Any]:
        grid, stretch = find(key), asked_stretch()
        g.changed_at = grid.changed_at
        wanted = Find(order="title", grid=str(grid.id))
        listing = find_packages(db.session(), wanted, limit=stretch.limit, offset=stretch.offset)
        return envelope(stretch, listing.count, packages.dumped(listing.records))

    def post(self, key: str) -> Answer:
        grid = find(key)
        written = new_record(self.takes)["package"]
        found = package_typed(db.session(), written) if written else None
        if found is None:
            raise Invalid({"package": ["Package not found."]})
        if found.id in grid.package_ids:
            return shown_member(grid, found.id, is_new=False)
        return write(
            "membership.add",
            {"grid_id": grid.id, "package_id": found.id},
            title=f"Add “{found.title}” to “{grid.title}”",
            show=lambda made: shown_member(grid, made.package_id, is_new=True),
        )


class MemberInstance(_Part):
    name = "Grid Package"
    description = "A package in a grid."
    is_one = True

    def get(self, key: str, package: str) -> Any:
        record = member(find(key), package)
        g.changed_at = record.changed_at
        return packages.dumped([record])[0]

    def may(self, method: str, viewer: Viewer, **keys: str) -> bool:  # noqa: ARG002
        grid = find(keys["key"])
        record, session = member(grid, keys["package"]), db.session()
        return package_in(session, grid_to_edit(session, grid.slug, viewer), record.id, viewer)[1]

    def delete(self, key: str, package: str) -> Answer:
        grid = find(key)
        record = member(grid, package)
        before = packages.dumped([record])[0]
        begun_on(before, record.version)
        return write(
            "membership.remove",
            {"grid_id": grid.id, "package_id": record.id},
            title=f"Remove “{record.title}” from “{grid.title}”",
            before=before,
            show=lambda _: NOTHING,
        )


class FeatureList(_Part):
    name = "Grid Features"
    description = "Features that a grid uses to compare its packages."
    takes = FeatureInput

    def get(self, key: str) -> dict[str, Any]:
        grid, stretch = find(key), asked_stretch()
        g.changed_at = grid.changed_at
        found = grids.features_of(db.session(), [grid.id]).get(grid.id, [])
        part = found[stretch.offset : stretch.offset + stretch.limit]
        return envelope(stretch, len(found), [feature_body(grid, line) for line in part])

    def post(self, key: str) -> Answer:
        grid, written = find(key), new_record(self.takes)
        if written.pop("position", None) is not None:
            raise Invalid(
                {"position": ["New features are added at the end. Set the position with a later PATCH request."]}
            )
        return write(
            "feature.add",
            {"grid_id": grid.id, **written},
            title=f"Add feature to “{grid.title}”",
            show=lambda made: shown_feature(grid, made.id, is_new=True),
        )


class FeatureInstance(_Part, Editable):
    name = "Grid Feature"
    description = "A feature in a grid."
    takes = FeatureInput
    is_one = True

    def get(self, key: str, feature: str) -> Any:
        grid = find(key)
        g.changed_at = grid.changed_at
        return feature_body(grid, line(grid, feature))

    def may(self, method: str, viewer: Viewer, **keys: str) -> bool:
        found = feature_to_edit(db.session(), line(find(keys["key"]), keys["feature"]).id, viewer)
        return found.may_delete if method == "DELETE" else found.grid.may_edit

    def delete(self, key: str, feature: str) -> Answer:
        grid = find(key)
        found = line(grid, feature)
        before = feature_body(grid, found)
        begun_on(before, found.version)
        title = f"Delete feature from “{grid.title}”"
        return write("feature.delete", {"feature_id": found.id}, title=title, before=before, show=lambda _: NOTHING)

    def edit(self, key: str, feature: str, *, is_whole: bool) -> Answer:
        grid = find(key)
        found = line(grid, feature)
        before = feature_body(grid, found)
        version = begun_on(before, found.version)
        written = {"title": found.title, "description": found.description}
        return write(
            "feature.edit",
            {"feature_id": found.id, "version": version} | written | changes(self.takes, before, is_whole=is_whole),
            title=f"Edit feature in “{grid.title}”",
            before=before,
            show=lambda changed: shown_feature(grid, changed.id, is_new=False),
        )


class CellInstance(_Part, Editable):
    name = "Grid Cell"
    description = "The text for one package and one feature in a grid."
    takes = CellInput
    is_one = True

    def get(self, key: str, feature: str, package: str) -> Any:
        grid = find(key)
        g.changed_at = grid.changed_at
        return self._read(grid, feature, package)[0]

    def _read(self, grid: grids.GridRecord, feature: str, package: str) -> tuple[dict[str, Any], grids.CellLine]:
        found, record = line(grid, feature), member(grid, package)
        cell = grids.cell_of(db.session(), found.id, record.id)
        return cell_body({"grid_id": grid.id, "id": found.id}, record.id, cell.text), cell

    def edit(self, key: str, feature: str, package: str, *, is_whole: bool) -> Answer:
        grid = find(key)
        before, cell = self._read(grid, feature, package)
        version = begun_on(before, cell.version)
        arguments = {
            "package_id": member(grid, package).id,
            "feature_id": line(grid, feature).id,
            "text": cell.text,
            "version": version,
        }
        return write(
            "cell.edit",
            arguments | changes(self.takes, before, is_whole=is_whole),
            title=f"Edit cell in “{grid.title}”",
            before=before,
            show=lambda _: Answer(self._read(grid, feature, package)[0], is_record=True),
        )


def member(grid: grids.GridRecord, key: str) -> PackageRecord:
    """Return the package of a grid that a key names.

    Raises:
        NotFound: it is not in the grid.
    """
    record = packages.find(key)
    if record.id not in grid.package_ids:
        raise NotFound("Package")
    return record


def line(grid: grids.GridRecord, key: str) -> grids.FeatureLine:
    """Return the feature of a grid that a key names.

    Raises:
        NotFound: the grid has none with this id.
    """
    number = id_in(key)
    for found in grids.features_of(db.session(), [grid.id]).get(grid.id, []):
        if found.id == number:
            return found
    raise NotFound("Feature")


def feature_body(grid: grids.GridRecord, found: grids.FeatureLine) -> dict[str, Any]:
    told = {name: getattr(found, name) for name in ("id", "title", "description", "position", "cells")}
    body: dict[str, Any] = SCHEMA.dump({"grid_id": grid.id, **told})
    return body


def cell_body(feature: dict[str, Any], package_id: int, text: str) -> dict[str, Any]:
    return {
        "grid": g.links.to(f"grids/{feature['grid_id']}"),
        "feature": g.links.to(f"grids/{feature['grid_id']}/features/{feature['id']}"),
        "package": g.links.to(f"packages/{package_id}"),
        "text": text,
    }


def shown_member(grid: grids.GridRecord, package_id: int, *, is_new: bool) -> Answer:
    """Return the answer that tells a package that is in a grid now."""
    location = g.links.to(f"grids/{grid.id}/packages/{package_id}")
    body = packages.shown(package_id).body
    return Answer(body, 201 if is_new else 200, location if is_new else None, is_record=True)


def shown_feature(grid: grids.GridRecord, feature_id: int, *, is_new: bool) -> Answer:
    """Return the answer that tells a feature after it was added or changed."""
    body = feature_body(grid, line(grid, str(feature_id)))
    location = g.links.to(f"grids/{grid.id}/features/{feature_id}") if is_new else None
    return Answer(body, 201 if is_new else 200, location, is_record=True)


SCHEMA = FeatureSchema()
