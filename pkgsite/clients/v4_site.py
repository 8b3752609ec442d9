"""Client for sites that provide API v4. Their lists are read page by page."""

from __future__ import annotations

from datetime import UTC, tzinfo
from typing import Any

from pkgsite.clients.base import RecordPage
from pkgsite.clients.http import JsonClient
from pkgsite.errors import BadResponse
from pkgsite.rules.records import RecordParser
from pkgsite.rules.v4_urls import api_root

RECORDS_PER_PAGE = 100  # few enough for a short transaction; sites may return fewer


class V4Site:
    """A `RecordSite` over HTTP.

    Attributes:
        root: The root URL of its API v4, in canonical form.
    """

    def __init__(self, address: str, client: JsonClient, *, time_zone: tzinfo = UTC) -> None:
        """Create the client for the URL of a site or of its API v4.

        Args:
            address: The URL.
            client: Sends the requests.
            time_zone: The zone of times without a UTC offset, which Django Packages had before January 2026.

        Raises:
            Invalid: The URL is not a valid site URL.
        """
        self.root = api_root(address)
        self._client = client
        self._parser = RecordParser(time_zone)

    @property
    def has_local_times(self) -> bool:
        return self._parser.has_local_times

    def page(self, collection: str, offset: int) -> RecordPage:
        url = f"{self.root}{collection}/?limit={RECORDS_PER_PAGE}&offset={offset}"
        response = self._client.get(url)
        count, results, next_url = _parse_envelope(url, response)
        end = offset + len(results)
        if next_url and (not results or end >= count):
            raise BadResponse(f"{url}: paging error: there is a next page after record {end} of {count}")
        if not next_url and end < count:
            raise BadResponse(f"{url}: the list ended after {end} of {count} records")
        return RecordPage(count, [self._parser.parse(collection, result) for result in results], is_last=not next_url)


def _parse_envelope(url: str, response: Any) -> tuple[int, list[Any], str | None]:
    if isinstance(response, dict):
        count, results, next_url = response.get("count"), response.get("results"), response.get("next")
        if type(count) is int and isinstance(results, list) and (next_url is None or isinstance(next_url, str)):
            return count, results, next_url
    raise BadResponse(f"{url} did not return a page of an API v4 list")
