"""Categories: the list, and a single category by id."""

from __future__ import annotations

from typing import Any

from marshmallow import Schema
from werkzeug.exceptions import NotFound

from pkgsite.api.fields import Timestamp, raw_field
from pkgsite.api.paging import envelope, parse_limit_offset
from pkgsite.api.resource import Resource
from pkgsite.extensions import db
from pkgsite.rules.slugs import parse_id
from pkgsite.services import categories


class CategorySchema(Schema):
    """The fields of a category, in the order of the response."""

    id = raw_field("integer")
    title = raw_field("string")
    slug = raw_field("string")
    description = raw_field("string")
    title_plural = raw_field("string")
    show_pypi = raw_field("boolean")
    created = Timestamp(attribute="created_at")
    modified = Timestamp(attribute="modified_at")


SCHEMA = CategorySchema()


class CategoryList(Resource):
    name = "Category List"
    description = "Categories. Each package belongs to one category."

    def get(self) -> dict[str, Any]:
        window = parse_limit_offset()
        page = categories.category_list(db.session(), limit=window.limit, offset=window.offset)
        return envelope(window, page.count, SCHEMA.dump(page.records, many=True))


class CategoryInstance(Resource):
    name = "Category Instance"
    description = CategoryList.description

    def get(self, key: str) -> Any:
        category_id = parse_id(key)
        if category_id is None:  # categories can't be looked up by slug
            raise NotFound
        return SCHEMA.dump(categories.category_by_id(db.session(), category_id))
