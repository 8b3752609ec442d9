"""The API's first page: where everything is."""

from __future__ import annotations

from flask import g

from pkgsite.api.resource import Resource


class ApiRoot(Resource):
    name = "Api Root"
    description = "Links to packages, grids, categories and search."

    def get(self) -> dict[str, str]:
        return {name: g.urls.url_for(name) for name in ("packages", "search", "grids", "categories")}
