"""What a request asks of a list, as the services take it. Nothing typed into an address makes a page fail."""

from __future__ import annotations

from flask import request

from pkgsite.rules.search.tokenizer import clean
from pkgsite.services.browse import DEFAULT_GRID_SORT, DEFAULT_PACKAGE_SORT, GridQuery, PackageQuery
from pkgsite.services.grids.comparison import DEFAULT_SORT, ComparisonQuery

YES = {"1", "true", "on", "yes"}


def package_query() -> PackageQuery:
    return PackageQuery(
        q=words(),
        category=text("category"),
        sort=text("sort") or DEFAULT_PACKAGE_SORT,
        page=page_number(),
        all=is_yes("all"),
    )


def grid_query() -> GridQuery:
    return GridQuery(q=words(), sort=text("sort") or DEFAULT_GRID_SORT, page=page_number())


def comparison_query() -> ComparisonQuery:
    return ComparisonQuery(q=words(), sort=text("sort") or DEFAULT_SORT, stable=is_yes("stable"))


def words() -> str:
    return text("q")


def page_number() -> str:
    return text("page") or "1"


def text(name: str) -> str:
    """Return the first value of this name in the query, cleaned and cut to what a person would type."""
    return clean(request.args.get(name, ""))


def is_yes(name: str) -> bool:
    return text(name).lower() in YES
