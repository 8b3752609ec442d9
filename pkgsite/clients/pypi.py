"""PyPI, and the count of its downloads.

Projects: https://docs.pypi.org/api/json/ ; the list of all: https://docs.pypi.org/api/index-api/ ; downloads, which
another host counts: https://pypistats.org/api/
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
SIMPLE_INDEX_TYPE = (
    "application/vnd.pypi.simple.v1+json"  # without it the list is a page of HTML, which tells no serials
)


class PyPI:
    """A `PackageIndex`: PyPI, or a mirror that speaks as it does."""

    def __init__(
        self, index: str, downloads_url: str, reader: JsonClient, *, serials_client: JsonClient | None = None
    ) -> None:
        """Know whom to ask.

        Args:
            index: The index's address, such as https://pypi.org.
            downloads_url: The address of the host that counts downloads, such as https://pypistats.org.
            reader: Asks for projects and downloads.
            serials_client: Asks for the list of all projects, which is too large for most limits.
        """
        self._index = index.rstrip("/")
        self._counts = downloads_url.rstrip("/")
        self._reader = reader
        self._serials_reader = serials_client or reader

    def index_facts(self, name: str, *, validators: Mapping[str, str]) -> Fetched[IndexFacts]:
        if not is_pypi_name(name):
            raise Gone(f"{name!r:.80} is not a valid project name on {self._index}")
        answer = self._reader.request(
            f"{self._index}/pypi/{quote(name, safe='')}/json", headers=_conditional_headers(validators)
        )
        if _is_unchanged(answer, validators):
            return Fetched(None, dict(validators))
        metadata = IndexObject(answer.url, answer.data)
        new_validators = _etag_validator(answer)
        serial = _read_serial(answer, metadata)
        if serial is not None:
            new_validators["serial"] = str(serial)
        return Fetched(parse_project(name, metadata), new_validators)

    def serials(self, names: Collection[str], *, validators: Mapping[str, str]) -> Fetched[Mapping[str, int]]:
        wanted = {str(canonicalize_name(name)) for name in names}

        def shape(metadata: dict[str, Any]) -> dict[str, Any] | None:
            # The list names some 800,000 projects. Read whole, it would take ten times the memory.
            if "projects" in metadata:
                return {**metadata, "projects": _drop_none(metadata["projects"])}
            name = metadata.get("name")
            return None if isinstance(name, str) and canonicalize_name(name) not in wanted else metadata

        headers = {**_conditional_headers(validators), "Accept": SIMPLE_INDEX_TYPE}
        answer = self._serials_reader.request(f"{self._index}/simple/", headers=headers, object_hook=shape)
        if _is_unchanged(answer, validators):
            return Fetched(None, dict(validators))
        found: dict[str, int] = {}
        for project in IndexObject(answer.url, answer.data).required_children("projects"):
            serial = project.count("_last-serial")
            if serial is not None:
                found[canonicalize_name(project.required_text("name"))] = serial
        return Fetched(found, _etag_validator(answer))

    def download_facts(self, name: str) -> Fetched[DownloadFacts]:
        if not is_pypi_name(name):
            return Fetched(DownloadFacts(None))
        try:
            answer = self._reader.request(f"{self._counts}/api/packages/{quote(canonicalize_name(name))}/recent")
        except Gone:  # the host counts what was downloaded at all: a project may be there without a count
            return Fetched(DownloadFacts(None))
        metadata = IndexObject(answer.url, answer.data)
        return Fetched(DownloadFacts(metadata.child("data").count("last_month")))


def _drop_none(projects: Any) -> Any:
    return [project for project in projects if project is not None] if isinstance(projects, list) else projects


def _conditional_headers(validators: Mapping[str, str]) -> dict[str, str]:
    """Return the header that asks for the whole answer only if it has changed."""
    return {"If-None-Match": validators["etag"]} if "etag" in validators else {}


def _is_unchanged(answer: JsonResponse, validators: Mapping[str, str]) -> bool:
    """Tell whether nothing has changed; a host that says so without having been asked is not believed."""
    return answer.status == HTTPStatus.NOT_MODIFIED and "etag" in validators


def _etag_validator(answer: JsonResponse) -> dict[str, str]:
    header = answer.headers.get("ETag")
    return {"etag": header} if header else {}


def _read_serial(answer: JsonResponse, metadata: IndexObject) -> int | None:
    """Return the project's serial, from the head or, where a mirror drops that, from the body."""
    header = answer.headers.get(SERIAL_HEADER, "")
    if header.isdecimal() and len(header) < len(str(MAX_BIGINT)):
        return int(header)
    return metadata.count("last_serial")
