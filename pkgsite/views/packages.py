"""Pages about packages."""

from __future__ import annotations

from flask import Blueprint, current_app, render_template

from pkgsite.clock import utc_now
from pkgsite.extensions import db
from pkgsite.services.browse import browse_packages, favourite_packages, recently_added_packages
from pkgsite.services.packages.page import package_page
from pkgsite.views.query_params import page_param, parse_package_query
from pkgsite.views.viewer import current_viewer

pages = Blueprint("packages", __name__, url_prefix="/packages")


@pages.get("/")
def index() -> str:
    return render_template("packages/index.html", page=browse_packages(db.session(), parse_package_query()))


@pages.get("/latest/")
def recently_added() -> str:
    return render_template("packages/recently_added.html", page=recently_added_packages(db.session(), page_param()))


@pages.get("/liked/")
def favourites() -> str:
    return render_template("packages/favourites.html", page=favourite_packages(db.session(), page_param()))


@pages.get("/p/<slug:slug>/")
def detail(slug: str) -> str:
    page = package_page(
        db.session(), slug, now=utc_now(), viewer=current_viewer(), time_zone=current_app.config["TIMEZONE"]
    )
    return render_template("packages/detail.html", page=page)
