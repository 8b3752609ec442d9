"""Categories: the list, and one by id."""

from __future__ import annotations

from typing import Any

from marshmallow import Schema
from werkzeug.exceptions import NotFound

from pkgsite.api.fields import SiteTime, told
from pkgsite.api.paging import asked_stretch, envelope
from pkgsite.api.resource import Resource
from pkgsite.extensions import db
from pkgsite.rules.slugs import id_in
from pkgsite.services import categories


class CategorySchema(Schema):
    """A category as it goes over the wire, in wire order."""

    id = told("integer")
    title = told("string")
    slug = told("string")
    description = told("string")
    title_plural = told("string")
    show_pypi = told("boolean")
    created = SiteTime(attribute="created_at")
    modified = SiteTime(attribute="modified_at")


class CategoryList(Resource):
    name = "Category List"
    description = "Categories. Each package belongs to one category."

    def get(self) -> dict[str, Any]:
        stretch = asked_stretch()
        listing = categories.category_list(db.session(), limit=stretch.limit, offset=stretch.offset)
        return envelope(stretch, listing.count, SCHEMA.dump(listing.records, many=True))


class CategoryInstance(Resource):
    name = "Category Instance"
    description = CategoryList.description

    def get(self, key: str) -> Any:
        category_id = id_in(key)
        if category_id is None:  # categories are found by id only; another key is no address at all
            raise NotFound
        return SCHEMA.dump(categories.category_by_id(db.session(), category_id))


SCHEMA = CategorySchema()
