"""API v4: one module per resource."""

from __future__ import annotations

from flask import Flask

from pkgsite.api.resource import DottedKeyConverter, KeyConverter, SuffixConverter
from pkgsite.api.v4 import openapi, urls


def init_app(app: Flask) -> None:
    app.url_map.converters.update(key=KeyConverter, dotted=DottedKeyConverter, suffix=SuffixConverter)
    app.register_blueprint(urls.blueprint)
    openapi.init_app(app)
