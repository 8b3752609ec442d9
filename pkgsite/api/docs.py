"""The API explained to people, with every request to try out; the tool for that comes from an installed package."""

from __future__ import annotations

from importlib.metadata import version
from importlib.resources import files

from flask import Blueprint, Flask, Response, abort, g, make_response, render_template, request, url_for

from pkgsite.limits import RATES

SWAGGER_UI_MODULE = "flask_swagger_ui"  # its files alone are used; they are Swagger UI's own
SWAGGER_UI_PACKAGE = "flask-swagger-ui"
SWAGGER_UI_FILES = {"swagger-ui.css": "text/css", "swagger-ui-bundle.js": "text/javascript"}
CACHE_FOREVER = "public, max-age=31536000, immutable"

pages = Blueprint("api_docs", __name__, url_prefix="/api/docs")


def init_app(app: Flask) -> None:
    app.register_blueprint(pages)


@pages.get("/")
def index() -> str:
    g.allows_inline_styles = True  # the tool writes styles into its elements
    return render_template(
        "api/docs.html",
        rates=RATES,
        openapi_url=url_for("openapi.document"),
        site=request.host_url.rstrip("/") + request.script_root,
        swagger_ui={
            name: url_for("api_docs.swagger_ui_file", name=name, v=version(SWAGGER_UI_PACKAGE))
            for name in SWAGGER_UI_FILES
        },
    )


@pages.get("/tool/<name>")
def swagger_ui_file(name: str) -> Response:
    """Answer a file of the tool; its address tells the tool's version, so that browsers keep it."""
    if name not in SWAGGER_UI_FILES:
        abort(404)
    response = make_response(files(SWAGGER_UI_MODULE).joinpath("dist", name).read_bytes())
    response.content_type = SWAGGER_UI_FILES[name]
    response.headers["Cache-Control"] = CACHE_FOREVER
    return response
