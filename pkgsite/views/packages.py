"""Pages about packages."""

from __future__ import annotations

from flask import Blueprint, render_template

from pkgsite.clock import utc_now
from pkgsite.extensions import db
from pkgsite.services.browse import latest_packages, liked_packages, list_packages
from pkgsite.services.packages.records import package_page
from pkgsite.views.query_params import package_query, page_number
from pkgsite.views.viewer import viewer

pages = Blueprint("packages", __name__, url_prefix="/packages")


@pages.get("/")
def index() -> str:
    return render_template("packages/index.html", page=list_packages(db.session(), package_query()))


@pages.get("/latest/")
def latest() -> str:
    return render_template("packages/latest.html", page=latest_packages(db.session(), page_number()))


@pages.get("/liked/")
def liked() -> str:
    return render_template("packages/liked.html", page=liked_packages(db.session(), page_number()))


@pages.get("/p/<slug:slug>/")
def detail(slug: str) -> str:
    page = package_page(db.session(), slug, now=utc_now(), viewer=viewer())
    return render_template("packages/detail.html", page=page)
