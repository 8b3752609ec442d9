"""Client for PyPI and its download counts.

Projects: https://docs.pypi.org/api/json/, their status and the list of all: https://docs.pypi.org/api/index-api/,
downloads (from another host): https://pypistats.org/api/
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from packaging.utils import canonicalize_name

from pkgsite.clients.base import DownloadFacts, Fetched, IndexFacts, with_empty
from pkgsite.clients.http import JsonClient, JsonResponse
from pkgsite.clients.pypi_responses import MAX_BIGINT, IndexObject, parse_project, project_status
from pkgsite.errors import BadResponse, Gone, NotAllowed, Unavailable
from pkgsite.rules.pypi_names import is_pypi_name

NO_DOWNLOAD_COUNT = with_empty(DownloadFacts(None), ["last_month"])
SERIAL_HEADER = "X-PyPI-Last-Serial"
STATUS_VALIDATORS = ("status", "status_reason", "status_etag")
SIMPLE_INDEX_TYPE = "application/vnd.pypi.simple.v1+json"  # the default is HTML, without serials


class PyPI:
    """A `PackageIndex`: PyPI, or a mirror with the same API."""

    def __init__(
        self,
        index: str,
        downloads_url: str,
        client: JsonClient,
        *,
        serials_client: JsonClient | None = None,
        reads_status: bool = False,
    ) -> None:
        """Create the client.

        Args:
            index: URL of the index, such as https://pypi.org.
            downloads_url: URL of the host of the download counts, such as https://pypistats.org.
            client: Requests projects and download counts.
            serials_client: Requests the list of all projects, which exceeds the usual limits.
            reads_status: Whether to ask for a project's status, which takes a second request per project.
        """
        self._index = index.rstrip("/")
        self._downloads_url = downloads_url.rstrip("/")
        self._client = client
        self._serials_client = serials_client or client
        self._reads_status = reads_status

    def index_facts(self, name: str, *, validators: Mapping[str, str]) -> Fetched[IndexFacts]:
        if not is_pypi_name(name):
            raise Gone(f"{name!r:.80} is not a valid project name on {self._index}")
        response = self._project(name, validators)
        status_validators = self._status(name, validators) if self._reads_status else {}
        if _is_unchanged(response, validators):
            if _status_of(status_validators) == _status_of(validators):
                return Fetched(None, {**validators, **status_validators})
            response = self._project(name, {})
        metadata = IndexObject(response.url, response.data)
        new_validators = _etag_validator(response) | status_validators
        serial = _read_serial(response, metadata)
        if serial is not None:
            new_validators["serial"] = str(serial)
        facts = parse_project(name, metadata)
        if facts.status is None and "status" in status_validators:
            facts = replace(
                facts, status=status_validators["status"], status_reason=status_validators.get("status_reason", "")
            )
        return Fetched(facts, new_validators)

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
            return Fetched(NO_DOWNLOAD_COUNT)
        url = f"{self._downloads_url}/api/packages/{quote(canonicalize_name(name))}/recent"
        try:
            response = self._client.request(url)
        except Gone:  # the host only knows projects that have been downloaded
            return Fetched(NO_DOWNLOAD_COUNT)
        counts = IndexObject(response.url, response.data).child("data")
        return Fetched(
            with_empty(DownloadFacts(counts.count("last_month")), counts.stated({"last_month": "last_month"}))
        )

    def _project(self, name: str, validators: Mapping[str, str]) -> JsonResponse:
        url = f"{self._index}/pypi/{quote(name, safe='')}/json"
        return self._client.request(url, headers=_conditional_headers(validators))

    def _status(self, name: str, validators: Mapping[str, str]) -> dict[str, str]:
        """Return the project's status as validators for the next request; empty if the index has no statuses.

        The index sends it with the list of the project's files (PEP 792), not with the project.
        """
        known = {name: validators[name] for name in STATUS_VALIDATORS if name in validators}
        headers = {"Accept": SIMPLE_INDEX_TYPE}
        if "status_etag" in known:
            headers["If-None-Match"] = known["status_etag"]
        try:
            response = self._client.request(f"{self._index}/simple/{quote(canonicalize_name(name))}/", headers=headers)
            if response.status == HTTPStatus.NOT_MODIFIED:
                return known
            status, reason = project_status(IndexObject(response.url, response.data))
        except Unavailable:  # the project itself could be read, and its status is asked for again the next time
            return known
        except (Gone, NotAllowed, BadResponse):  # a mirror without this API, or with HTML pages only
            return {}
        new = {"status": status, "status_reason": reason, "status_etag": response.headers.get("ETag")}
        return {name: value for name, value in new.items() if value}


def _status_of(validators: Mapping[str, str]) -> tuple[str | None, str | None]:
    return validators.get("status"), validators.get("status_reason")


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
