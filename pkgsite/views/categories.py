"""Pages about categories."""

from __future__ import annotations

from flask import Blueprint, render_template

from pkgsite.extensions import db
from pkgsite.services.browse import browse_category, list_categories
from pkgsite.views.query_params import parse_package_query

pages = Blueprint("categories", __name__, url_prefix="/categories")


@pages.get("/")
def index() -> str:
    return render_template("categories/index.html", page=list_categories(db.session()))


@pages.get("/<slug:slug>/")
def detail(slug: str) -> str:
    return render_template("categories/detail.html", page=browse_category(db.session(), slug, parse_package_query()))
