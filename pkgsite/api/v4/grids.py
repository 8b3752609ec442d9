"""Grids: the list, and one by id or slug."""

from __future__ import annotations

from typing import Any

from marshmallow import Schema, fields

from pkgsite.api.v4.fields import Hyperlinks, SiteTime
from pkgsite.api.v4.paging import asked_stretch, envelope
from pkgsite.api.v4.resource import Resource
from pkgsite.errors import NotFound
from pkgsite.extensions import db
from pkgsite.rules.slugs import id_in, slug_problem
from pkgsite.services import grids


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
        stretch = asked_stretch()
        listing = grids.grid_list(db.session(), limit=stretch.limit, offset=stretch.offset)
        return envelope(stretch, listing.count, SCHEMA.dump(listing.records, many=True))


class GridInstance(Resource):
    name = "Grid Instance"
    description = GridList.description

    def get(self, key: str) -> Any:
        return SCHEMA.dump(find(key))


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


SCHEMA = GridSchema()
