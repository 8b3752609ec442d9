"""Client for PyPI and its download counts.

Projects: https://docs.pypi.org/api/json/, the list of all projects: https://docs.pypi.org/api/index-api/,
downloads (from another host): https://pypistats.org/api/
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from packaging.utils import canonicalize_name

from pkgsite.clients.base import DownloadFacts, Fetched, IndexFacts
from pkgsite.clients.http import JsonClient, JsonResponse
from pkgsite.clients.pypi_responses import MAX_BIGINT, IndexObject, parse_project
from pkgsite.errors import Gone
from pkgsite.rules.pypi_names import is_pypi_name

SERIAL_HEADER = "X-PyPI-Last-Serial"
SIMPLE_INDEX_TYPE = "application/vnd.pypi.simple.v1+json"  # the default is HTML, without serials


class PyPI:
    """A `PackageIndex`: PyPI, or a mirror with the same API."""

    def __init__(
        self, index: str, downloads_url: str, client: JsonClient, *, serials_client: JsonClient | None = None
    ) -> None:
        """Create the client.

        Args:
            index: URL of the index, such as https://pypi.org.
            downloads_url: URL of the host of the download counts, such as https://pypistats.org.
            client: Requests projects and download counts.
            serials_client: Requests the list of all projects, which exceeds the usual limits.
        """
        self._index = index.rstrip("/")
        self._downloads_url = downloads_url.rstrip("/")
        self._client = client
        self._serials_client = serials_client or client

    def index_facts(self, name: str, *, validators: Mapping[str, str]) -> Fetched[IndexFacts]:
        if not is_pypi_name(name):
            raise Gone(f"{name!r:.80} is not a valid project name on {self._index}")
        response = self._client.request(
            f"{self._index}/pypi/{quote(name, safe='')}/json", headers=_conditional_headers(validators)
        )
        if _is_unchanged(response, validators):
            return Fetched(None, dict(validators))
        metadata = IndexObject(response.url, response.data)
        new_validators = _etag_validator(response)
        serial = _read_serial(response, metadata)
        if serial is not None:
            new_validators["serial"] = str(serial)
        return Fetched(parse_project(name, metadata), new_validators)

    def serials(self, names: Collection[str], *, validators: Mapping[str, str]) -> Fetched[Mapping[str, int]]:
        requested_names = {str(canonicalize_name(name)) for name in names}

        def drop_others(metadata: dict[str, Any]) -> dict[str, Any] | None:
            # The list has about 800,000 projects; all of them would take ten times the memory.
            if "projects" in metadata:
                return {**metadata, "projects": _drop_none(metadata["projects"])}
            name = metadata.get("name")
            return None if isinstance(name, str) and canonicalize_name(name) not in requested_names else metadata

        headers = {**_conditional_headers(validators), "Accept": SIMPLE_INDEX_TYPE}
        response = self._serials_client.request(f"{self._index}/simple/", headers=headers, object_hook=drop_others)
        if _is_unchanged(response, validators):
            return Fetched(None, dict(validators))
        serials: dict[str, int] = {}
        for project in IndexObject(response.url, response.data).required_children("projects"):
            serial = project.count("_last-serial")
            if serial is not None:
                serials[canonicalize_name(project.required_text("name"))] = serial
        return Fetched(serials, _etag_validator(response))

    def download_facts(self, name: str) -> Fetched[DownloadFacts]:
        if not is_pypi_name(name):
            return Fetched(DownloadFacts(None))
        url = f"{self._downloads_url}/api/packages/{quote(canonicalize_name(name))}/recent"
        try:
            response = self._client.request(url)
        except Gone:  # the host only knows projects that have been downloaded
            return Fetched(DownloadFacts(None))
        metadata = IndexObject(response.url, response.data)
        return Fetched(DownloadFacts(metadata.child("data").count("last_month")))


def _drop_none(projects: Any) -> Any:
    return [project for project in projects if project is not None] if isinstance(projects, list) else projects


def _conditional_headers(validators: Mapping[str, str]) -> dict[str, str]:
    """Return the headers of a conditional request."""
    return {"If-None-Match": validators["etag"]} if "etag" in validators else {}


def _is_unchanged(response: JsonResponse, validators: Mapping[str, str]) -> bool:
    """Return whether nothing has changed; a 304 to an unconditional request is not trusted."""
    return response.status == HTTPStatus.NOT_MODIFIED and "etag" in validators


def _etag_validator(response: JsonResponse) -> dict[str, str]:
    etag = response.headers.get("ETag")
    return {"etag": etag} if etag else {}


def _read_serial(response: JsonResponse, metadata: IndexObject) -> int | None:
    """Return the project's serial from the header or, on mirrors that drop the header, from the body."""
    header = response.headers.get(SERIAL_HEADER, "")
    if header.isdecimal() and len(header) < len(str(MAX_BIGINT)):
        return int(header)
    return metadata.count("last_serial")
