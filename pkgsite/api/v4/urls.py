"""The URLs of API v4 and the resource at each of them."""

from __future__ import annotations

from flask import Blueprint

from pkgsite.api.limits import rate_limited
from pkgsite.api.resource import METHODS, UNSAFE_METHODS, Resource
from pkgsite.api.v4 import bulk
from pkgsite.api.v4.categories import CategoryInstance, CategoryList
from pkgsite.api.v4.grid_parts import CellInstance, FeatureInstance, FeatureList, MemberInstance, MemberList
from pkgsite.api.v4.grids import GridInstance, GridList
from pkgsite.api.v4.packages import PackageInstance, PackageList
from pkgsite.api.v4.root import ApiRoot
from pkgsite.api.v4.search import Search
from pkgsite.extensions import csrf

RESOURCES: dict[str, type[Resource]] = {
    "": ApiRoot,
    "packages": PackageList,
    "packages/<key:key>": PackageInstance,
    "grids": GridList,
    "grids/<key:key>": GridInstance,
    "grids/<key:key>/packages": MemberList,
    "grids/<key:key>/packages/<key:package>": MemberInstance,
    "grids/<key:key>/features": FeatureList,
    "grids/<key:key>/features/<key:feature>": FeatureInstance,
    "grids/<key:key>/features/<key:feature>/cells/<key:package>": CellInstance,
    "categories": CategoryList,
    "categories/<key:key>": CategoryInstance,
    "search": Search,
}
DOTTED_KEYS = ("packages/<key:key>", "grids/<key:key>")  # records whose slugs can contain dots


def make_blueprint() -> Blueprint:
    api_blueprint = Blueprint("api_v4", __name__, url_prefix="/api/v4")
    # Only writes with a session need a CSRF token; `authentication.require_write_scope` checks it.
    csrf.exempt(api_blueprint)
    rate_limited("read", methods=["GET", "HEAD", "OPTIONS"])(api_blueprint)
    rate_limited("write", methods=list(UNSAFE_METHODS))(api_blueprint)
    bulk.add_rules(api_blueprint)
    for path, resource in RESOURCES.items():
        view = resource.as_view(resource.__name__.lower())
        api_blueprint.add_url_rule(f"/{path}/" if path else "/", view_func=view, methods=METHODS)
        api_blueprint.add_url_rule(f"/{path}.<suffix:suffix>", view_func=view, methods=METHODS, strict_slashes=False)
        if path in DOTTED_KEYS:
            path = path.replace("<key:key>", "<dotted:dotted_key>")
            api_blueprint.add_url_rule(f"/{path}", view_func=view, methods=METHODS, strict_slashes=False)
    return api_blueprint


blueprint = make_blueprint()
