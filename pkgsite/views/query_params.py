"""What a request asks of a list, as the services take it. Nothing typed into an address makes a page fail."""

from __future__ import annotations

from flask import request

from pkgsite.rules.search.tokenizer import clean_query
from pkgsite.services.browse import DEFAULT_GRID_SORT, DEFAULT_PACKAGE_SORT, GridQuery, PackageQuery
from pkgsite.services.grids.comparison import DEFAULT_SORT, ComparisonQuery

TRUE_VALUES = {"1", "true", "on", "yes"}


def parse_package_query() -> PackageQuery:
    return PackageQuery(
        q=search_param(),
        category=param("category"),
        sort=param("sort") or DEFAULT_PACKAGE_SORT,
        page=page_param(),
        include_inactive=bool_param("all"),
    )


def parse_grid_query() -> GridQuery:
    return GridQuery(q=search_param(), sort=param("sort") or DEFAULT_GRID_SORT, page=page_param())


def parse_comparison_query() -> ComparisonQuery:
    return ComparisonQuery(q=search_param(), sort=param("sort") or DEFAULT_SORT, stable_only=bool_param("stable"))


def search_param() -> str:
    return param("q")


def page_param() -> str:
    return param("page") or "1"


def param(name: str) -> str:
    """Return the first value of this name in the query, cleaned and cut to what a person would type."""
    return clean_query(request.args.get(name, ""))


def bool_param(name: str) -> bool:
    return param(name).lower() in TRUE_VALUES
