"""Any site with an API v4, read page by page."""

from __future__ import annotations

from typing import Any

from pkgsite.clients.base import Page
from pkgsite.clients.http import JsonReader
from pkgsite.errors import BadAnswer
from pkgsite.rules.records import read_category, read_grid, read_package
from pkgsite.rules.v4_urls import api_root

PAGE_RECORDS = 100  # few enough for a short transaction; a site that gives fewer a page is followed at its own pace

READ = {"categories": read_category, "grids": read_grid, "packages": read_package}


class V4Site:
    """A `RecordSite` over HTTP.

    Attributes:
        root: The address of its API v4, always written the same way.
    """

    def __init__(self, address: str, reader: JsonReader) -> None:
        """Know the site by its address, or by that of its API v4.

        Raises:
            Invalid: this can't be one.
        """
        self.root = api_root(address)
        self._reader = reader

    def page(self, noun: str, offset: int) -> Page:
        url = f"{self.root}{noun}/?limit={PAGE_RECORDS}&offset={offset}"
        answer = self._reader.get(url)
        count, results, following = _envelope(url, answer)
        end = offset + len(results)
        if following and (not results or end >= count):
            raise BadAnswer(f"{url}: paging error: there is a next page after record {end} of {count}")
        if not following and end < count:
            raise BadAnswer(f"{url}: the list ended after {end} of {count} records")
        return Page(count, [READ[noun](result) for result in results], is_last=not following)


def _envelope(url: str, answer: Any) -> tuple[int, list[Any], str | None]:
    if isinstance(answer, dict):
        count, results, following = answer.get("count"), answer.get("results"), answer.get("next")
        if type(count) is int and isinstance(results, list) and (following is None or isinstance(following, str)):
            return count, results, following
    raise BadAnswer(f"{url} did not return an API v4 list page")
