"""API v3: read-only, for existing clients, with the paths and formats of Django Packages.

Differences from Django Packages: a limit below 1 means the default, the links of a filtered list keep the filter, and
users can be read without logging in.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, urlencode

from flask import Blueprint, Flask, Response, request, url_for

from pkgsite.api.limits import rate_limited
from pkgsite.api.paging import LimitOffset, parse_limit_offset
from pkgsite.api.query_params import param
from pkgsite.errors import Moved, NotFound, SiteError
from pkgsite.extensions import csrf, db
from pkgsite.rules.slugs import slug_problem
from pkgsite.services import categories
from pkgsite.services.api_queries import RecordFilter, list_grids, list_packages
from pkgsite.services.grids import records as grids
from pkgsite.services.packages import records as packages
from pkgsite.services.people.contributors import (
    PackageEditors,
    UserRecord,
    editors_by_package,
    list_users,
    user_by_name,
)

ROOT = "/api/v3"
V1_REMOVED_PAGE = """<!doctype html>
<html lang="en"><title>API v1 has been removed</title>
<p>API v1 has been removed. Use <a href="/api/v4/">API v4</a>. <a href="/api/v3/">API v3</a> remains available for older
clients.</p></html>
"""
pages = Blueprint("api_v3", __name__, url_prefix=ROOT)
csrf.exempt(pages)  # read-only
rate_limited("read")(pages)


def init_app(app: Flask) -> None:
    app.register_blueprint(pages)
    for path in ("/api/v1/", "/api/v1/<path:rest>"):
        app.add_url_rule(path, "api_v1", api_v1_removed, methods=("GET",))


def api_v1_removed(rest: str = "") -> Response:  # noqa: ARG001
    return Response(V1_REMOVED_PAGE, 410)


@pages.get("/")
def root() -> Response:
    return json_response({name: f"{base_path()}/{name}/" for name in ("categories", "grids", "packages", "users")})


@pages.get("/categories/")
def category_list() -> Response:
    window = parse_limit_offset()
    page = categories.category_list(db.session(), limit=window.limit, offset=window.offset, by_title=True)
    return json_response(envelope(window, page.count, [category_body(record) for record in page.records]))


@pages.get("/categories/<slug:slug>/")
def category_detail(slug: str) -> Response:
    return json_response(category_body(categories.category_by_slug(db.session(), slug)))


@pages.get("/grids/")
def grid_list() -> Response:
    window = parse_limit_offset()
    page = list_grids(db.session(), RecordFilter(ordering="title"), limit=window.limit, offset=window.offset)
    return json_response(envelope(window, page.count, grid_bodies(page.records)))


@pages.get("/grids/<slug:slug>/")
def grid_detail(slug: str) -> Response:
    return json_response(grid_bodies([grids.grid_by_slug(db.session(), require_slug(slug, "Grid"))])[0])


@pages.get("/grids/<slug:slug>/packages/")
def grid_packages(slug: str) -> Response:
    grid, window = grids.grid_by_slug(db.session(), require_slug(slug, "Grid")), parse_limit_offset()
    record_filter = RecordFilter(ordering="title", grid=str(grid.id))
    page = list_packages(db.session(), record_filter, limit=window.limit, offset=window.offset)
    return json_response(
        envelope(window, page.count, package_bodies(page.records), extra={"grid": grid_bodies([grid])[0]})
    )


@pages.get("/packages/")
def package_list() -> Response:
    window, slug = parse_limit_offset(), param("category")
    category = category_or_none(slug) if slug else None
    record_filter = RecordFilter(ordering="title", category=str(category.id) if category else "")
    page = list_packages(db.session(), record_filter, limit=window.limit, offset=window.offset)
    extra = {"category": category_body(category) if category else None}
    return json_response(envelope(window, page.count, package_bodies(page.records), extra=extra))


def category_or_none(slug: str) -> categories.CategoryRecord | None:
    """Return the category with this slug, or None: in API v3, an unknown category does not filter the list."""
    try:
        return categories.category_by_slug(db.session(), slug)
    except NotFound:
        return None


@pages.get("/packages/<slug:slug>/")
def package_detail(slug: str) -> Response:
    return json_response(package_bodies([packages.package_by_slug(db.session(), require_slug(slug, "Package"))])[0])


@pages.get("/users/")
def user_list() -> Response:
    window, with_packages = parse_limit_offset(), "list_packages" in request.args
    page = list_users(db.session(), limit=window.limit, offset=window.offset, with_packages=with_packages)
    return json_response(envelope(window, page.count, [user_body(record, with_packages) for record in page.records]))


@pages.get("/users/<slug:username>/")
def user_detail(username: str) -> Response:
    with_packages = "list_packages" in request.args
    record = user_by_name(db.session(), username, with_packages=with_packages)
    return json_response(user_body(record, with_packages))


@pages.errorhandler(SiteError)
def error_response(error: SiteError) -> Response:
    """Return the response for an error, in the format of API v3."""
    if isinstance(error, Moved):
        return Response(status=301, headers={"Location": url_for(str(request.endpoint), slug=error.slug)})
    if isinstance(error, NotFound):
        return json_response({"error": 404, "message": f"No {error.noun} matches the given query."}, 404)
    return json_response({"error": 400, "message": str(error)}, 400)


def json_response(body: Any, status: int = 200) -> Response:
    return Response(json.dumps(body), status, content_type="application/json")


def base_path() -> str:
    return f"{request.script_root}{ROOT}"


def require_slug(slug: str, noun: str) -> str:
    if slug_problem(slug):
        raise NotFound(noun)
    return slug


def format_timestamp(timestamp: datetime | None) -> str | None:
    """Return an ISO 8601 timestamp in UTC, with milliseconds unless they are 0."""
    if timestamp is None:
        return None
    utc_time = timestamp.astimezone(UTC).replace(tzinfo=None)
    return utc_time.isoformat(timespec="milliseconds" if utc_time.microsecond else "seconds") + "Z"


def envelope(
    window: LimitOffset, count: int, objects: list[Any], extra: dict[str, Any] | None = None
) -> dict[str, Any]:
    """Return the body of a list: the pagination, the additional members in `extra`, and the records."""
    limit, offset = window.limit, window.offset
    meta = {
        "limit": limit,
        "next": _page_url(limit, offset + limit) if count > offset + limit else None,
        "offset": offset,
        "previous": _page_url(limit, max(offset - limit, 0)) if offset > 0 else None,
        "total_count": count,
    }
    return {"meta": meta, **(extra or {}), "objects": objects}


def _page_url(limit: int, offset: int) -> str:
    other_params = [(name, value) for name, value in request.args.items(multi=True) if name not in {"limit", "offset"}]
    query = urlencode([("limit", limit), ("offset", offset), *other_params])
    return f"{request.script_root}{request.path}?{query}"


def category_body(record: categories.CategoryRecord) -> dict[str, Any]:
    return {
        "absolute_url": f"{request.script_root}/categories/{quote(record.slug)}/",
        "created": format_timestamp(record.created_at),
        "modified": format_timestamp(record.modified_at),
        "slug": record.slug,
        "title": record.title,
        "description": record.description,
        "resource_uri": f"{base_path()}/categories/{quote(record.slug)}/",
        "show_pypi": record.show_pypi,
        "title_plural": record.title_plural,
    }


def grid_bodies(records: Sequence[grids.GridRecord]) -> list[dict[str, Any]]:
    slugs = packages.slugs_by_id(db.session(), {package_id for record in records for package_id in record.package_ids})
    return [
        {
            "absolute_url": f"{request.script_root}/grids/g/{quote(record.slug)}/",
            "created": format_timestamp(record.created_at),
            "modified": format_timestamp(record.modified_at),
            "slug": record.slug,
            "title": record.title,
            "description": record.description,
            "is_locked": record.is_locked,
            "resource_uri": f"{base_path()}/grids/{quote(record.slug)}/",
            "header": record.header,
            "packages": [f"{base_path()}/packages/{quote(slugs[package_id])}/" for package_id in record.package_ids],
        }
        for record in records
    ]


def package_bodies(records: Sequence[packages.PackageRecord]) -> list[dict[str, Any]]:
    ids = [record.id for record in records]
    editors, usage = editors_by_package(db.session(), ids), packages.usage_counts(db.session(), ids)
    return [package_body(record, editors[record.id], usage.get(record.id, 0)) for record in records]


def package_body(record: packages.PackageRecord, editors: PackageEditors, usage_count: int) -> dict[str, Any]:
    weekly_commits = ",".join(map(str, record.commits_over_52))
    return {
        "absolute_url": f"{request.script_root}/packages/p/{quote(record.slug)}/",
        "created": format_timestamp(record.created_at),
        "modified": format_timestamp(record.modified_at),
        "slug": record.slug,
        "title": record.title,
        "category": f"{base_path()}/categories/{quote(record.category.slug)}/",
        "commit_list": weekly_commits,
        "commits_over_52": weekly_commits,
        "created_by": f"{base_path()}/users/{quote(editors.created_by)}/" if editors.created_by else None,
        "documentation_url": record.documentation_url,
        "grids": [f"{base_path()}/grids/{quote(grid.slug)}/" for grid in record.grids],
        "last_fetched": format_timestamp(record.last_fetched_at),
        "last_modified_by": editors.modified_by,
        "participants": ",".join(record.participants),
        "pypi_url": record.pypi_url,
        "pypi_version": record.pypi_version,
        "repo_description": record.description,
        "repo_forks": record.forks or 0,
        "repo_url": record.repo_url,
        "repo_watchers": record.stars or 0,
        "resource_uri": f"{base_path()}/packages/{quote(record.slug)}/",
        "usage_count": usage_count,
    }


def user_body(record: UserRecord, with_packages: bool) -> dict[str, Any]:
    joined = format_timestamp(record.created_at)
    body: dict[str, Any] = {
        "absolute_url": f"{request.script_root}/profiles/{quote(record.username)}/",
        "resource_uri": f"{base_path()}/users/{quote(record.username)}/",
        "created": joined,
        "modified": joined,
        "github_account": record.logins_by_provider.get("github"),
        "username": record.username,
        "date_joined": joined,
        "last_login": None,  # private, but clients expect the field
        "bitbucket_url": record.logins_by_provider.get("bitbucket"),
        "gitlab_url": record.logins_by_provider.get("gitlab"),
    }
    if with_packages:
        body["packages"] = [f"{base_path()}/packages/{quote(slug)}/" for slug in record.package_slugs]
    return body
