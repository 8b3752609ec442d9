"""Packages: the list, and one by id or slug."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from flask import g, request
from marshmallow import Schema, fields

from pkgsite.api.fields import Count, Hyperlink, Hyperlinks, Timestamp, computed_field, raw_field
from pkgsite.api.inputs import PackageInput
from pkgsite.api.mutations import ApiResult, apply_mutation, check_if_match, needs_current_record
from pkgsite.api.paging import envelope, parse_limit_offset
from pkgsite.api.query_params import list_param, parse_record_filter, select_fields
from pkgsite.api.request_body import load_changes, load_new_record
from pkgsite.api.resource import Editable, Resource
from pkgsite.errors import Invalid, NotFound
from pkgsite.extensions import db
from pkgsite.rules.slugs import parse_id, slug_problem
from pkgsite.services.api_queries import deleted_packages, last_package_change_at, list_packages
from pkgsite.services.packages import records as packages
from pkgsite.services.packages.edits import AddPackage, EditPackage
from pkgsite.services.packages.fields import PackageChanges
from pkgsite.services.packages.page import load_releases


class PackageSchema(Schema):
    """A package, with its fields in the order of the API contract."""

    category = Hyperlink("categories", attribute="category.id")
    grids = Hyperlinks("grids", attribute="grid_ids")
    id = raw_field("integer")
    title = raw_field("string")
    slug = raw_field("string")
    last_updated = Timestamp(attribute="last_commit_at")
    last_fetched = Timestamp(attribute="last_fetched_at")
    repo_url = raw_field("string")
    pypi_version = raw_field(["string", "null"])
    created = Timestamp(attribute="created_at")
    modified = Timestamp(attribute="modified_at")
    repo_forks = Count(attribute="forks")
    repo_description = fields.Raw(attribute="description", metadata={"type": ["string", "null"]})
    pypi_url = raw_field("string")
    documentation_url = raw_field(["string", "null"])
    repo_watchers = Count(attribute="stars")
    commits_over_52 = raw_field(
        "array", "Commits per week, oldest first: 52 values or an empty list.", items={"type": "integer"}
    )
    participants = raw_field("array", items={"type": "string"})


class PackageList(Resource):
    name = "Package List"
    description = "API endpoint that allows packages to be viewed or edited."
    input_schema = PackageInput

    def get(self) -> dict[str, Any]:
        window, record_filter, session = parse_limit_offset(), parse_record_filter(), db.session()
        listing = list_packages(session, record_filter, limit=window.limit, offset=window.offset)
        g.changed_at = last_package_change_at(session)
        body = envelope(window, listing.count, serialize(listing.records))
        if record_filter.include_deleted:
            body["deleted"] = DELETED.dump(deleted_packages(session, record_filter.updated_since), many=True)
        return body

    def post(self) -> ApiResult:
        changes = load_new_record(self.input_schema)
        return apply_mutation(
            AddPackage(cast(PackageChanges, changes)),
            title=lambda: f"Add “{changes['title']}”",
            to_response=lambda created: record_response(created.id, is_new=True),
        )


class PackageInstance(Editable):
    name = "Package Instance"
    description = PackageList.description
    input_schema = PackageInput
    is_single_record = True

    def has_slug(self, slug: str) -> bool:
        return not slug_problem(slug) and packages.is_known_slug(db.session(), slug)

    def get(self, key: str) -> Any:
        record = get_package(key)
        g.changed_at = record.changed_at
        return serialize([record])[0]

    def update(self, key: str, *, is_full_update: bool) -> ApiResult:
        package_id = parse_id(key)
        if package_id is not None and not needs_current_record(self.input_schema, is_full_update=is_full_update):
            try:
                changes = load_changes(self.input_schema, {}, is_full_update=False)
                return self._apply(EditPackage(package_id, cast(PackageChanges, changes)), key)
            except Invalid:
                db.session.rollback()  # an imported value may be invalid and yet unchanged: compare with the record
        record = get_package(key)
        original = serialize([record])[0]
        version = check_if_match(original, record.version)
        changes = load_changes(self.input_schema, SCHEMA.dump(record), is_full_update=is_full_update)
        return self._apply(EditPackage(record.id, cast(PackageChanges, changes), version), key, original)

    def _apply(self, edit: EditPackage, key: str, original: dict[str, Any] | None = None) -> ApiResult:
        return apply_mutation(
            edit,
            title=lambda: f"Edit “{get_package(key).title}”",
            original=original,
            to_response=lambda changed: record_response(changed.id),
        )


class DeletedSchema(Schema):
    """A deleted package."""

    id = raw_field("integer")
    slug = raw_field("string")
    merged_into = computed_field(
        ["string", "null"],
        lambda deleted: g.urls.url_for(f"packages/{deleted.merged_into}") if deleted.merged_into else None,
    )
    changed = Timestamp(attribute="deleted_at")


class DetailSchema(Schema):
    """The fields that `?expand=` adds to a package; null if unknown."""

    score = raw_field(["integer", "null"])
    downloads = fields.Raw(attribute="pypi_downloads", metadata={"type": ["integer", "null"]})
    licence = raw_field(["string", "null"])
    licences = raw_field(["array", "null"], items={"type": "string"})
    python = computed_field(
        "object", lambda package: {"requires": package.requires_python, "supports_3": package.supports_python3}
    )
    status = computed_field(
        "object",
        lambda package: {
            "is_archived": package.is_archived,
            "is_deprecated": package.is_deprecated,
            "is_gone": package.missing_since is not None,
            "development_status": package.development_status,
            "replaced_by": g.urls.url_for(f"packages/{package.replaced_by_id}") if package.replaced_by_id else None,
        },
    )
    topics = raw_field(["array", "null"], items={"type": "string"})
    changed = Timestamp(attribute="changed_at")
    released = Timestamp(attribute="released_at")
    releases = raw_field("array", items={"type": "object"})  # filled in by `serialize`


class ReleaseSchema(Schema):
    """A release of a package."""

    version = fields.Raw(attribute="number", metadata={"type": "string"})
    released = Timestamp(attribute="uploaded_at")
    is_prerelease = raw_field("boolean")
    yanked_reason = raw_field(["string", "null"])
    requires_python = raw_field(["string", "null"])
    licence = raw_field(["string", "null"])


def serialize(records: Sequence[packages.PackageRecord]) -> list[dict[str, Any]]:
    """Return records as JSON objects, with the details and only the fields that the request asks for."""
    bodies: list[dict[str, Any]] = SCHEMA.dump(records, many=True)
    if not request.args:
        return bodies
    expand, field_names = list_param("expand"), list_param("fields")
    expanded = [name for name in DETAIL.fields if name in expand or "all" in expand]
    if expanded:
        releases = load_releases(db.session(), [record.id for record in records]) if "releases" in expanded else {}
        for body, record in zip(bodies, records, strict=True):
            detail = DETAIL.dump(record) | {"releases": RELEASE.dump(releases.get(record.id, []), many=True)}
            body |= {name: detail[name] for name in expanded}
    return [select_fields(body, field_names) for body in bodies] if field_names else bodies


def record_response(package_id: int, *, is_new: bool = False) -> ApiResult:
    """Return the response for a package that has been added or changed."""
    record = packages.package_by_id(db.session(), package_id)
    location = g.urls.url_for(f"packages/{record.id}") if is_new else None
    return ApiResult(serialize([record])[0], 201 if is_new else 200, location, is_record=True)


def get_package(key: str) -> packages.PackageRecord:
    """Return the package with this id or slug.

    Raises:
        Moved: The key is a former slug of the package.
        NotFound: No visible package has this id or slug.
    """
    package_id = parse_id(key)
    if package_id is not None:
        return packages.package_by_id(db.session(), package_id)
    if slug_problem(key):
        raise NotFound("Package")
    return packages.package_by_slug(db.session(), key)


SCHEMA, DELETED, DETAIL, RELEASE = PackageSchema(), DeletedSchema(), DetailSchema(), ReleaseSchema()
