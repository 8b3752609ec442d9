"""API v3, for clients of old: it only reads, under the paths and in the shapes that they know.

What was wrong with the original is mended: a limit below 1 means the usual one, the links of a filtered list keep the
filter, and people can be read without logging in.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, urlencode

from flask import Blueprint, Flask, Response, request, url_for

from pkgsite.api.limits import limited
from pkgsite.api.v4.asking import word
from pkgsite.api.v4.paging import Stretch, asked_stretch
from pkgsite.errors import Moved, NotFound, SiteError
from pkgsite.extensions import csrf, db
from pkgsite.rules.slugs import slug_problem
from pkgsite.services import categories, grids, makers, packages
from pkgsite.services.finding import Find, find_grids, find_packages

ROOT = "/api/v3"
GONE = """<!doctype html>
<html lang="en"><title>API v1 has been removed</title>
<p>API v1 has been removed. Use <a href="/api/v4/">API v4</a>. <a href="/api/v3/">API v3</a> remains available for older
clients.</p></html>
"""
pages = Blueprint("api_v3", __name__, url_prefix=ROOT)
csrf.exempt(pages)  # it only reads
limited("read")(pages)


def init_app(app: Flask) -> None:
    app.register_blueprint(pages)
    for path in ("/api/v1/", "/api/v1/<path:rest>"):
        app.add_url_rule(path, "api_v1", gone, methods=("GET",))


def gone(rest: str = "") -> Response:  # noqa: ARG001
    return Response(GONE, 410)


@pages.get("/")
def root() -> Response:
    return told({name: f"{base()}/{name}/" for name in ("categories", "grids", "packages", "users")})


@pages.get("/categories/")
def category_list() -> Response:
    stretch = asked_stretch()
    listing = categories.category_list(db.session(), limit=stretch.limit, offset=stretch.offset, by_title=True)
    return told(envelope(stretch, listing.count, [category(one) for one in listing.records]))


@pages.get("/categories/<slug:slug>/")
def category_detail(slug: str) -> Response:
    return told(category(categories.category_by_slug(db.session(), slug)))


@pages.get("/grids/")
def grid_list() -> Response:
    stretch = asked_stretch()
    listing = find_grids(db.session(), Find(order="title"), limit=stretch.limit, offset=stretch.offset)
    return told(envelope(stretch, listing.count, grid_bodies(listing.records)))


@pages.get("/grids/<slug:slug>/")
def grid_detail(slug: str) -> Response:
    return told(grid_bodies([grids.grid_by_slug(db.session(), known(slug, "Grid"))])[0])


@pages.get("/grids/<slug:slug>/packages/")
def grid_packages(slug: str) -> Response:
    grid, stretch = grids.grid_by_slug(db.session(), known(slug, "Grid")), asked_stretch()
    find = Find(order="title", grid=str(grid.id))
    listing = find_packages(db.session(), find, limit=stretch.limit, offset=stretch.offset)
    return told(
        envelope(stretch, listing.count, package_bodies(listing.records), between={"grid": grid_bodies([grid])[0]})
    )


@pages.get("/packages/")
def package_list() -> Response:
    stretch, asked = asked_stretch(), word("category")
    found = known_category(asked) if asked else None
    find = Find(order="title", category=str(found.id) if found else "")
    listing = find_packages(db.session(), find, limit=stretch.limit, offset=stretch.offset)
    between = {"category": category(found) if found else None}
    return told(envelope(stretch, listing.count, package_bodies(listing.records), between=between))


def known_category(slug: str) -> categories.CategoryRecord | None:
    """Return the category that a filter names; one that there isn't filters nothing, as old clients know it."""
    try:
        return categories.category_by_slug(db.session(), slug)
    except NotFound:
        return None


@pages.get("/packages/<slug:slug>/")
def package_detail(slug: str) -> Response:
    return told(package_bodies([packages.package_by_slug(db.session(), known(slug, "Package"))])[0])


@pages.get("/users/")
def user_list() -> Response:
    stretch, with_packages = asked_stretch(), "list_packages" in request.args
    listing = makers.person_list(db.session(), limit=stretch.limit, offset=stretch.offset, with_packages=with_packages)
    return told(envelope(stretch, listing.count, [user(one, with_packages) for one in listing.records]))


@pages.get("/users/<slug:username>/")
def user_detail(username: str) -> Response:
    with_packages = "list_packages" in request.args
    return told(user(makers.person_by_name(db.session(), username, with_packages=with_packages), with_packages))


@pages.errorhandler(SiteError)
def failed(error: SiteError) -> Response:
    """Answer a failure as v3 does."""
    if isinstance(error, Moved):
        return Response(status=301, headers={"Location": url_for(str(request.endpoint), slug=error.slug)})
    if isinstance(error, NotFound):
        return told({"error": 404, "message": f"No {error.noun} matches the given query."}, 404)
    return told({"error": 400, "message": str(error)}, 400)


def told(body: Any, status: int = 200) -> Response:
    return Response(json.dumps(body), status, content_type="application/json")


def base() -> str:
    return f"{request.script_root}{ROOT}"


def known(slug: str, noun: str) -> str:
    if slug_problem(slug):
        raise NotFound(noun)
    return slug


def instant(at: datetime | None) -> str | None:
    """Write an instant in UTC, to the millisecond."""
    if at is None:
        return None
    written = at.astimezone(UTC).replace(tzinfo=None)
    return written.isoformat(timespec="milliseconds" if written.microsecond else "seconds") + "Z"


def envelope(stretch: Stretch, count: int, objects: list[Any], between: dict[str, Any] | None = None) -> dict[str, Any]:
    limit, offset = stretch.limit, stretch.offset
    meta = {
        "limit": limit,
        "next": _link(limit, offset + limit) if count > offset + limit else None,
        "offset": offset,
        "previous": _link(limit, max(offset - limit, 0)) if offset > 0 else None,
        "total_count": count,
    }
    return {"meta": meta, **(between or {}), "objects": objects}


def _link(limit: int, offset: int) -> str:
    others = [(name, value) for name, value in request.args.items(multi=True) if name not in {"limit", "offset"}]
    query = urlencode([("limit", limit), ("offset", offset), *others])
    return f"{request.script_root}{request.path}?{query}"


def category(record: categories.CategoryRecord) -> dict[str, Any]:
    return {
        "absolute_url": f"{request.script_root}/categories/{quote(record.slug)}/",
        "created": instant(record.created_at),
        "modified": instant(record.modified_at),
        "slug": record.slug,
        "title": record.title,
        "description": record.description,
        "resource_uri": f"{base()}/categories/{quote(record.slug)}/",
        "show_pypi": record.show_pypi,
        "title_plural": record.title_plural,
    }


def grid_bodies(records: Sequence[grids.GridRecord]) -> list[dict[str, Any]]:
    slugs = packages.slugs_by_id(db.session(), {number for record in records for number in record.package_ids})
    return [
        {
            "absolute_url": f"{request.script_root}/grids/g/{quote(record.slug)}/",
            "created": instant(record.created_at),
            "modified": instant(record.modified_at),
            "slug": record.slug,
            "title": record.title,
            "description": record.description,
            "is_locked": record.is_locked,
            "resource_uri": f"{base()}/grids/{quote(record.slug)}/",
            "header": record.header,
            "packages": [f"{base()}/packages/{quote(slugs[number])}/" for number in record.package_ids],
        }
        for record in records
    ]


def package_bodies(records: Sequence[packages.PackageRecord]) -> list[dict[str, Any]]:
    ids = [record.id for record in records]
    by, usage = makers.makers_of(db.session(), ids), packages.usage_counts(db.session(), ids)
    return [_package(record, by[record.id], usage.get(record.id, 0)) for record in records]


def _package(record: packages.PackageRecord, by: makers.Makers, usage_count: int) -> dict[str, Any]:
    weeks = ",".join(map(str, record.commits_over_52))
    return {
        "absolute_url": f"{request.script_root}/packages/p/{quote(record.slug)}/",
        "created": instant(record.created_at),
        "modified": instant(record.modified_at),
        "slug": record.slug,
        "title": record.title,
        "category": f"{base()}/categories/{quote(record.category.slug)}/",
        "commit_list": weeks,
        "commits_over_52": weeks,
        "created_by": f"{base()}/users/{quote(by.created_by)}/" if by.created_by else None,
        "documentation_url": record.documentation_url,
        "grids": [f"{base()}/grids/{quote(grid.slug)}/" for grid in record.grids],
        "last_fetched": instant(record.last_fetched_at),
        "last_modified_by": by.modified_by,
        "participants": ",".join(record.participants),
        "pypi_url": record.pypi_url,
        "pypi_version": record.pypi_version,
        "repo_description": record.description,
        "repo_forks": record.forks or 0,
        "repo_url": record.repo_url,
        "repo_watchers": record.stars or 0,
        "resource_uri": f"{base()}/packages/{quote(record.slug)}/",
        "usage_count": usage_count,
    }


def user(record: makers.PersonRecord, with_packages: bool) -> dict[str, Any]:
    joined = instant(record.created_at)
    body: dict[str, Any] = {
        "absolute_url": f"{request.script_root}/profiles/{quote(record.username)}/",
        "resource_uri": f"{base()}/users/{quote(record.username)}/",
        "created": joined,
        "modified": joined,
        "github_account": record.accounts.get("github"),
        "username": record.username,
        "date_joined": joined,
        "last_login": None,  # when somebody was here is nobody's affair
        "bitbucket_url": record.accounts.get("bitbucket"),
        "gitlab_url": record.accounts.get("gitlab"),
    }
    if with_packages:
        body["packages"] = [f"{base()}/packages/{quote(slug)}/" for slug in record.package_slugs]
    return body
