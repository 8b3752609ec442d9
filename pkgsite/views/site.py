"""The home page, the help pages, and the files that browsers and crawlers request by default."""

from __future__ import annotations

from flask import Blueprint, Response, current_app, redirect, render_template

from pkgsite.extensions import db
from pkgsite.rules import health, scores
from pkgsite.services.home import home_page
from pkgsite.services.packages.health import score_examples
from pkgsite.views.links import link

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
    url = current_app.jinja_env.globals["static_file"]("icon.svg")  # type: ignore[operator]
    return redirect(url, 301)  # type: ignore[return-value]


@pages.get("/.well-known/change-password")
def change_password() -> Response:
    """Redirect password managers to the password page (https://w3c.github.io/webappsec-change-password-url/)."""
    return redirect(link("accounts.password"), 302)  # type: ignore[return-value]


@pages.get("/robots.txt")
def robots() -> Response:
    return Response(render_template("site/robots.txt"), mimetype="text/plain")
