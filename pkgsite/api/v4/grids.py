"""Grids: the list, and one by id or slug."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from flask import g
from marshmallow import Schema

from pkgsite.api.fields import Hyperlinks, SiteTime, made, told
from pkgsite.api.inputs import GridInput
from pkgsite.api.mutations import NOTHING, Answer, begun_on, write
from pkgsite.api.paging import asked_stretch, envelope
from pkgsite.api.query_params import asked_find, names, only
from pkgsite.api.request_body import changes, new_record
from pkgsite.api.resource import Editable, Resource
from pkgsite.errors import NotFound
from pkgsite.extensions import db
from pkgsite.rules.slugs import id_in, slug_problem
from pkgsite.services.api_queries import deleted_grids, find_grids, last_grid_change
from pkgsite.services.grids import records as grids
from pkgsite.services.permissions import Viewer


class GridSchema(Schema):
    """A grid as it goes over the wire, in wire order."""

    id = told("integer")
    title = told("string")
    slug = told("string")
    description = told("string")
    is_locked = told("boolean")
    packages = Hyperlinks("packages", attribute="package_ids")
    header = told("boolean")
    created = SiteTime(attribute="created_at")
    modified = SiteTime(attribute="modified_at")


class GridList(Resource):
    name = "Grid List"
    description = "Grids compare similar packages side by side."
    takes = GridInput

    def get(self) -> dict[str, Any]:
        stretch, find, session = asked_stretch(), asked_find(), db.session()
        listing = find_grids(session, find, limit=stretch.limit, offset=stretch.offset)
        g.changed_at = last_grid_change(session)
        body = envelope(stretch, listing.count, dumped(listing.records))
        if find.with_deleted:
            body["deleted"] = DELETED.dump(deleted_grids(session, find.updated_since), many=True)
        return body

    def post(self) -> Answer:
        written = new_record(self.takes)
        title = f"Create grid “{written['title']}”"
        return write("grid.add", {"changes": written}, title=title, show=lambda made: shown(made.id, is_new=True))


class GridInstance(Editable):
    name = "Grid Instance"
    description = GridList.description
    takes = GridInput
    is_one = True

    def get(self, key: str) -> Any:
        record = find(key)
        g.changed_at = record.changed_at
        return dumped([record])[0]

    def may(self, method: str, viewer: Viewer, **keys: str) -> bool:
        return viewer.is_moderator or (method != "DELETE" and not find(keys["key"]).is_locked)

    def delete(self, key: str) -> Answer:
        record = find(key)
        before = dumped([record])[0]
        begun_on(before, record.version)
        title = f"Delete grid “{record.title}”"
        return write("grid.delete", {"grid_id": record.id}, title=title, before=before, show=lambda _: NOTHING)

    def edit(self, key: str, *, is_whole: bool) -> Answer:
        record = find(key)
        version, present = begun_on(dumped([record])[0], record.version), SCHEMA.dump(record)
        written = changes(self.takes, present, is_whole=is_whole)
        return write(
            "grid.edit",
            {"grid_id": record.id, "changes": written, "version": version},
            title=f"Edit grid “{record.title}”",
            before=dumped([record])[0],
            show=lambda changed: shown(changed.id),
        )


class DeletedSchema(Schema):
    """A grid that is gone."""

    id = told("integer")
    slug = told("string")
    changed = SiteTime(attribute="at")


class FeatureSchema(Schema):
    """What `?expand=features` adds to a grid: a row that people fill in, with its cells by package."""

    id = told("integer")
    title = told("string")
    description = told("string")
    cells = made(
        "array",
        lambda feature: [{"package": g.links.to(f"packages/{number}"), "text": text} for number, text in feature.cells],
    )


def dumped(records: Sequence[grids.GridRecord]) -> list[dict[str, Any]]:
    """Return records as they go over the wire, with the detail and the fields that the request asks for."""
    bodies: list[dict[str, Any]] = SCHEMA.dump(records, many=True)
    expand, wanted = names("expand"), names("fields")
    if "features" in expand or "all" in expand:
        features = grids.features_of(db.session(), [record.id for record in records])
        for body, record in zip(bodies, records, strict=True):
            body["features"] = FEATURE.dump(features.get(record.id, []), many=True)
    return [only(body, wanted) for body in bodies] if wanted else bodies


def shown(grid_id: int, *, is_new: bool = False) -> Answer:
    """Return the answer that tells a grid after it was made or changed."""
    record = grids.grid_by_id(db.session(), grid_id)
    location = g.links.to(f"grids/{record.id}") if is_new else None
    return Answer(dumped([record])[0], 201 if is_new else 200, location, is_record=True)


def find(key: str) -> grids.GridRecord:
    """Return the grid that a key of the API names.

    Raises:
        Moved: the key is a slug that the grid once had.
        NotFound: no grid has this id or slug.
    """
    grid_id = id_in(key)
    if grid_id is not None:
        return grids.grid_by_id(db.session(), grid_id)
    if slug_problem(key):
        raise NotFound("Grid")
    return grids.grid_by_slug(db.session(), key)


SCHEMA, DELETED, FEATURE = GridSchema(), DeletedSchema(), FeatureSchema()
