"""The site's pages: a view reads what is asked, asks one service, and renders its answer under the name `page`."""

from __future__ import annotations

from flask import Blueprint, Flask, Response, redirect, request

from pkgsite.errors import Moved
from pkgsite.views import (
    accounts,
    categories,
    filters,
    grid_edits,
    grids,
    history,
    links,
    moderation,
    package_edits,
    packages,
    profiles,
    search,
    site,
    status,
    viewer,
    webhooks,
)
from pkgsite.views import package_actions as package_people
from pkgsite.views import static_files as statics
from pkgsite.views.slugs import SlugConverter

BLUEPRINTS = (
    site.pages, categories.pages, packages.pages, grids.pages, search.pages, status.pages, webhooks.pages,
    accounts.pages, profiles.pages, moderation.pages, history.pages,
    grid_edits.pages,
    package_edits.pages, package_people.favourites,
)  # fmt: skip


def init_app(app: Flask) -> None:
    app.url_map.converters["slug"] = SlugConverter
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    filters.init_app(app)
    links.init_app(app)
    statics.init_app(app)
    viewer.init_app(app)
    for blueprint in BLUEPRINTS:
        app.register_blueprint(blueprint)


def _redirect_old_slugs(blueprint: Blueprint) -> None:
    """Send who asks a page of these by an old slug to the same page under the present one, query and all."""

    def redirect_to_current_slug(moved: Moved) -> Response:
        path = links.link(str(request.endpoint), **(request.view_args or {}) | {"slug": moved.slug})
        return redirect(path + links.query_string(), 301)  # type: ignore[return-value]

    blueprint.register_error_handler(Moved, redirect_to_current_slug)


for blueprint in BLUEPRINTS:
    _redirect_old_slugs(blueprint)
