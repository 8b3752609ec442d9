"""Grids: the list, and one by id or slug."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from flask import g
from marshmallow import Schema, fields

from pkgsite.api.v4.asking import asked_find, names, only
from pkgsite.api.v4.fields import Hyperlinks, SiteTime
from pkgsite.api.v4.paging import asked_stretch, envelope
from pkgsite.api.v4.resource import Resource
from pkgsite.errors import NotFound
from pkgsite.extensions import db
from pkgsite.rules.slugs import id_in, slug_problem
from pkgsite.services import grids
from pkgsite.services.finding import deleted_grids, find_grids, last_grid_change


class GridSchema(Schema):
    """A grid as it goes over the wire, in wire order."""

    id = fields.Raw()
    title = fields.Raw()
    slug = fields.Raw()
    description = fields.Raw()
    is_locked = fields.Raw()
    packages = Hyperlinks("packages", attribute="package_ids")
    header = fields.Raw()
    created = SiteTime(attribute="created_at")
    modified = SiteTime(attribute="modified_at")


class GridList(Resource):
    name = "Grid List"
    description = "Grids, which put packages of one kind side by side."

    def get(self) -> dict[str, Any]:
        stretch, find, session = asked_stretch(), asked_find(), db.session()
        listing = find_grids(session, find, limit=stretch.limit, offset=stretch.offset)
        g.changed_at = last_grid_change(session)
        body = envelope(stretch, listing.count, dumped(listing.records))
        if find.with_deleted:
            body["deleted"] = DELETED.dump(deleted_grids(session, find.updated_since), many=True)
        return body


class GridInstance(Resource):
    name = "Grid Instance"
    description = GridList.description
    is_one = True

    def get(self, key: str) -> Any:
        record = find(key)
        g.changed_at = record.changed_at
        return dumped([record])[0]


class DeletedSchema(Schema):
    """A grid that is gone."""

    id = fields.Raw()
    slug = fields.Raw()
    changed = SiteTime(attribute="at")


class FeatureSchema(Schema):
    """What `?expand=features` adds to a grid: a row that people fill in, with its cells by package."""

    id = fields.Raw()
    title = fields.Raw()
    description = fields.Raw()
    cells = fields.Function(
        lambda feature: [{"package": g.links.to(f"packages/{number}"), "text": text} for number, text in feature.cells]
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
