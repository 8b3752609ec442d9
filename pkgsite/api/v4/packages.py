"""Packages: the list, and one by id or slug."""

from __future__ import annotations

from typing import Any

from marshmallow import Schema, fields

from pkgsite.api.v4.fields import Count, Hyperlink, Hyperlinks, SiteTime
from pkgsite.api.v4.paging import asked_stretch, envelope
from pkgsite.api.v4.resource import Resource
from pkgsite.errors import NotFound
from pkgsite.extensions import db
from pkgsite.rules.slugs import id_in, slug_problem
from pkgsite.services import packages


class PackageSchema(Schema):
    """A package as it goes over the wire, in wire order."""

    category = Hyperlink("categories", attribute="category.id")
    grids = Hyperlinks("grids", attribute="grid_ids")
    id = fields.Raw()
    title = fields.Raw()
    slug = fields.Raw()
    last_updated = SiteTime(attribute="last_commit_at")
    last_fetched = SiteTime(attribute="last_fetched_at")
    repo_url = fields.Raw()
    pypi_version = fields.Raw()
    created = SiteTime(attribute="created_at")
    modified = SiteTime(attribute="modified_at")
    repo_forks = Count(attribute="forks")
    repo_description = fields.Raw(attribute="description")
    pypi_url = fields.Raw()
    documentation_url = fields.Raw()
    repo_watchers = Count(attribute="stars")
    commits_over_52 = fields.Raw()
    participants = fields.Raw()


class PackageList(Resource):
    name = "Package List"
    description = "API endpoint that allows packages to be viewed or edited."

    def get(self) -> dict[str, Any]:
        stretch = asked_stretch()
        listing = packages.package_list(db.session(), limit=stretch.limit, offset=stretch.offset)
        return envelope(stretch, listing.count, SCHEMA.dump(listing.records, many=True))


class PackageInstance(Resource):
    name = "Package Instance"
    description = PackageList.description

    def get(self, key: str) -> Any:
        return SCHEMA.dump(find(key))


def find(key: str) -> packages.PackageRecord:
    """Return the package that a key of the API names.

    Raises:
        Moved: the key is a slug that the package once had.
        NotFound: no package has this id or slug.
    """
    package_id = id_in(key)
    if package_id is not None:
        return packages.package_by_id(db.session(), package_id)
    if slug_problem(key):
        raise NotFound("Package")
    return packages.package_by_slug(db.session(), key)


SCHEMA = PackageSchema()
