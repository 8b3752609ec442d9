"""The home page, the pages that explain the site, and what browsers and robots ask for by themselves."""

from __future__ import annotations

from flask import Blueprint, Response, current_app, redirect, render_template

from pkgsite.extensions import db
from pkgsite.rules import health, scores
from pkgsite.services.home import home_page
from pkgsite.services.packages.health import score_examples

pages = Blueprint("site", __name__)


@pages.get("/")
def home() -> str:
    return render_template("site/home.html", page=home_page(db.session()))


@pages.get("/about/")
@pages.get("/faq/", endpoint="faq")
def about() -> str:
    return render_template("site/about.html")


@pages.get("/help/")
def help() -> str:
    return render_template("site/help.html")


@pages.get("/help/scores/", endpoint="scores")
def explain_scores() -> str:
    return render_template("site/scores.html", scores=scores, health=health, examples=score_examples())


@pages.get("/favicon.ico")
def favicon() -> Response:
    address = current_app.jinja_env.globals["static_file"]("icon.svg")  # type: ignore[operator]
    return redirect(address, 301)  # type: ignore[return-value]


@pages.get("/robots.txt")
def robots() -> Response:
    return Response(render_template("site/robots.txt"), mimetype="text/plain")
