"""Pages about categories."""

from __future__ import annotations

from flask import Blueprint, render_template

from pkgsite.extensions import db
from pkgsite.services.browse import list_categories, list_category
from pkgsite.views.query_params import package_query

pages = Blueprint("categories", __name__, url_prefix="/categories")


@pages.get("/")
def index() -> str:
    return render_template("categories/index.html", page=list_categories(db.session()))


@pages.get("/<slug:slug>/")
def detail(slug: str) -> str:
    return render_template("categories/detail.html", page=list_category(db.session(), slug, package_query()))
