"""Packages: the list, and one by id or slug."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from flask import g
from marshmallow import Schema, fields

from pkgsite.api.reading import changes, new_record
from pkgsite.api.v4.asking import asked_find, names, only
from pkgsite.api.v4.fields import Count, Hyperlink, Hyperlinks, SiteTime, made, told
from pkgsite.api.v4.inputs import PackageInput
from pkgsite.api.v4.paging import asked_stretch, envelope
from pkgsite.api.v4.resource import Editable, Resource
from pkgsite.api.writing import Answer, begun_on, write
from pkgsite.errors import NotFound
from pkgsite.extensions import db
from pkgsite.rules.slugs import id_in, slug_problem
from pkgsite.services import packages
from pkgsite.services.finding import deleted_packages, find_packages, last_package_change


class PackageSchema(Schema):
    """A package as it goes over the wire, in wire order."""

    category = Hyperlink("categories", attribute="category.id")
    grids = Hyperlinks("grids", attribute="grid_ids")
    id = told("integer")
    title = told("string")
    slug = told("string")
    last_updated = SiteTime(attribute="last_commit_at")
    last_fetched = SiteTime(attribute="last_fetched_at")
    repo_url = told("string")
    pypi_version = told(["string", "null"])
    created = SiteTime(attribute="created_at")
    modified = SiteTime(attribute="modified_at")
    repo_forks = Count(attribute="forks")
    repo_description = fields.Raw(attribute="description", metadata={"type": ["string", "null"]})
    pypi_url = told("string")
    documentation_url = told(["string", "null"])
    repo_watchers = Count(attribute="stars")
    commits_over_52 = told(
        "array", "Commits per week, oldest first: 52 values or an empty list.", items={"type": "integer"}
    )
    participants = told("array", items={"type": "string"})


class PackageList(Resource):
    name = "Package List"
    description = "API endpoint that allows packages to be viewed or edited."
    takes = PackageInput

    def get(self) -> dict[str, Any]:
        stretch, find, session = asked_stretch(), asked_find(), db.session()
        listing = find_packages(session, find, limit=stretch.limit, offset=stretch.offset)
        g.changed_at = last_package_change(session)
        body = envelope(stretch, listing.count, dumped(listing.records))
        if find.with_deleted:
            body["deleted"] = DELETED.dump(deleted_packages(session, find.updated_since), many=True)
        return body

    def post(self) -> Answer:
        written = new_record(self.takes)
        title = f"Add “{written['title']}”"
        return write("package.add", {"changes": written}, title=title, show=lambda made: shown(made.id, is_new=True))


class PackageInstance(Editable):
    name = "Package Instance"
    description = PackageList.description
    takes = PackageInput
    is_one = True

    def get(self, key: str) -> Any:
        record = find(key)
        g.changed_at = record.changed_at
        return dumped([record])[0]

    def edit(self, key: str, *, is_whole: bool) -> Answer:
        record = find(key)
        version, present = begun_on(dumped([record])[0], record.version), SCHEMA.dump(record)
        written = changes(self.takes, present, is_whole=is_whole)
        return write(
            "package.edit",
            {"package_id": record.id, "changes": written, "version": version},
            title=f"Edit “{record.title}”",
            before=dumped([record])[0],
            show=lambda changed: shown(changed.id),
        )


class DeletedSchema(Schema):
    """A package that is gone."""

    id = told("integer")
    slug = told("string")
    merged_into = made(
        ["string", "null"], lambda gone: g.links.to(f"packages/{gone.merged_into}") if gone.merged_into else None
    )
    changed = SiteTime(attribute="at")


class DetailSchema(Schema):
    """What `?expand=` adds to a package; names and meaning as on its page, null where nobody has told."""

    score = told(["integer", "null"])
    downloads = fields.Raw(attribute="pypi_downloads", metadata={"type": ["integer", "null"]})
    licence = told(["string", "null"])
    licences = told(["array", "null"], items={"type": "string"})
    python = made(
        "object", lambda package: {"requires": package.requires_python, "supports_3": package.supports_python3}
    )
    status = made(
        "object",
        lambda package: {
            "is_archived": package.is_archived,
            "is_deprecated": package.is_deprecated,
            "is_gone": package.gone_at is not None,
            "development_status": package.development_status,
            "replaced_by": g.links.to(f"packages/{package.replaced_by_id}") if package.replaced_by_id else None,
        },
    )
    topics = told(["array", "null"], items={"type": "string"})
    changed = SiteTime(attribute="changed_at")
    released = SiteTime(attribute="released_at")
    releases = told("array", items={"type": "object"})  # filled in by `dumped`


class ReleaseSchema(Schema):
    """A release of a package."""

    version = fields.Raw(attribute="number", metadata={"type": "string"})
    released = SiteTime(attribute="uploaded_at")
    is_prerelease = told("boolean")
    yanked_reason = told(["string", "null"])
    requires_python = told(["string", "null"])
    licence = told(["string", "null"])


def dumped(records: Sequence[packages.PackageRecord]) -> list[dict[str, Any]]:
    """Return records as they go over the wire, with the detail and the fields that the request asks for."""
    bodies: list[dict[str, Any]] = SCHEMA.dump(records, many=True)
    expand, wanted = names("expand"), names("fields")
    chosen = [name for name in DETAIL.fields if name in expand or "all" in expand]
    if chosen:
        releases = packages.releases_of(db.session(), [record.id for record in records]) if "releases" in chosen else {}
        for body, record in zip(bodies, records, strict=True):
            detail = DETAIL.dump(record) | {"releases": RELEASE.dump(releases.get(record.id, []), many=True)}
            body |= {name: detail[name] for name in chosen}
    return [only(body, wanted) for body in bodies] if wanted else bodies


def shown(package_id: int, *, is_new: bool = False) -> Answer:
    """Return the answer that tells a package after it was added or changed."""
    record = packages.package_by_id(db.session(), package_id)
    location = g.links.to(f"packages/{record.id}") if is_new else None
    return Answer(dumped([record])[0], 201 if is_new else 200, location, is_record=True)


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


SCHEMA, DELETED, DETAIL, RELEASE = PackageSchema(), DeletedSchema(), DetailSchema(), ReleaseSchema()
