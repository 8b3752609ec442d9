"""API v4: its URLs, each with the resource that answers it."""

from __future__ import annotations

from flask import Blueprint, Flask

from pkgsite.api.v4.categories import CategoryInstance, CategoryList
from pkgsite.api.v4.grids import GridInstance, GridList
from pkgsite.api.v4.packages import PackageInstance, PackageList
from pkgsite.api.v4.resource import METHODS, KeyConverter, Resource, SuffixConverter
from pkgsite.api.v4.root import Root
from pkgsite.api.v4.search import Search

RESOURCES: dict[str, type[Resource]] = {
    "": Root,
    "packages": PackageList,
    "packages/<key:key>": PackageInstance,
    "grids": GridList,
    "grids/<key:key>": GridInstance,
    "categories": CategoryList,
    "categories/<key:key>": CategoryInstance,
    "search": Search,
}


def init_app(app: Flask) -> None:
    app.url_map.converters.update(key=KeyConverter, suffix=SuffixConverter)
    blueprint = Blueprint("api_v4", __name__, url_prefix="/api/v4")
    for path, resource in RESOURCES.items():
        view = resource.as_view(resource.__name__.lower())
        blueprint.add_url_rule(f"/{path}/" if path else "/", view_func=view, methods=METHODS)
        blueprint.add_url_rule(f"/{path}.<suffix:suffix>", view_func=view, methods=METHODS, strict_slashes=False)
    app.register_blueprint(blueprint)
