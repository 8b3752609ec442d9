"""The site's pages. A view parses the request, calls one service and passes its result to a template as `page`."""

from __future__ import annotations

from flask import Blueprint, Flask, Response, redirect, request

from pkgsite.errors import Moved, NotFound
from pkgsite.views import (
    accounts,
    categories,
    filters,
    grid_edits,
    grids,
    history,
    links,
    missing,
    moderation,
    package_actions,
    package_edits,
    packages,
    profiles,
    search,
    site,
    static_files,
    status,
    viewer,
    webhooks,
)
from pkgsite.views.slugs import SlugConverter

BLUEPRINTS = (
    site.pages, categories.pages, packages.pages, grids.pages, search.pages, status.pages, webhooks.pages,
    accounts.pages, profiles.pages, moderation.pages, history.pages,
    grid_edits.pages,
    package_edits.pages, package_actions.favourites,
)  # fmt: skip


def init_app(app: Flask) -> None:
    app.url_map.converters["slug"] = SlugConverter
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    filters.init_app(app)
    links.init_app(app)
    static_files.init_app(app)
    viewer.init_app(app)
    for blueprint in BLUEPRINTS:
        app.register_blueprint(blueprint)


def _redirect_old_slugs(blueprint: Blueprint) -> None:
    """Redirect requests that use an old slug to the same page under the current slug, keeping the query string."""

    def redirect_to_current_slug(moved: Moved) -> Response:
        path = links.link(str(request.endpoint), **(request.view_args or {}) | {"slug": moved.slug})
        # With status 308 the browser sends the form again; with 301 what was typed would be lost.
        status = 301 if request.method in {"GET", "HEAD"} else 308
        return redirect(path + links.query_string(), status)  # type: ignore[return-value]

    blueprint.register_error_handler(Moved, redirect_to_current_slug)


for blueprint in BLUEPRINTS:
    _redirect_old_slugs(blueprint)
    if blueprint is not webhooks.pages:  # its errors are JSON
        blueprint.register_error_handler(NotFound, missing.missing_page)
