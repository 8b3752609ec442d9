"""The JSON API: the same records as the pages, for programs."""

from __future__ import annotations

from flask import Flask

from pkgsite.api import cors, docs, v3, v4
from pkgsite.api.v4 import openapi


def init_app(app: Flask) -> None:
    v3.init_app(app)
    v4.init_app(app)
    openapi.init_app(app)
    docs.init_app(app)
    cors.init_app(app)
