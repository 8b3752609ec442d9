"""Pages about grids, where packages of one kind stand side by side."""

from __future__ import annotations

from flask import Blueprint, render_template

from pkgsite.extensions import db
from pkgsite.services.browse import browse_grid_packages, browse_grids
from pkgsite.services.grids.comparison import compare
from pkgsite.views.query_params import parse_comparison_query, parse_grid_query, parse_package_query

pages = Blueprint("grids", __name__, url_prefix="/grids")


@pages.get("/")
def index() -> str:
    return render_template("grids/index.html", page=browse_grids(db.session(), parse_grid_query()))


@pages.get("/g/<slug:slug>/")
def detail(slug: str) -> str:
    return render_template("grids/detail.html", page=compare(db.session(), slug, parse_comparison_query()))


@pages.get("/g/<slug:slug>/packages/")
def packages(slug: str) -> str:
    return render_template("grids/packages.html", page=browse_grid_packages(db.session(), slug, parse_package_query()))
