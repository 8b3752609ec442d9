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
from pkgsite.clients.http import Answer, JsonReader
from pkgsite.clients.pypi_responses import LARGEST, Metadata, project_told
from pkgsite.errors import Gone
from pkgsite.rules.pypi_names import is_pypi_name

SERIAL = "X-PyPI-Last-Serial"
SIMPLE_INDEX = "application/vnd.pypi.simple.v1+json"  # without it the list is a page of HTML, which tells no serials


class PyPI:
    """A `PackageIndex`: PyPI, or a mirror that speaks as it does."""

    def __init__(
        self, index: str, counts: str, reader: JsonReader, *, serials_reader: JsonReader | None = None
    ) -> None:
        """Know whom to ask.

        Args:
            index: The index's address, such as https://pypi.org.
            counts: The address of the host that counts downloads, such as https://pypistats.org.
            reader: Asks for projects and downloads.
            serials_reader: Asks for the list of all projects, which is too large for most limits.
        """
        self._index = index.rstrip("/")
        self._counts = counts.rstrip("/")
        self._reader = reader
        self._serials_reader = serials_reader or reader

    def project(self, name: str, *, validators: Mapping[str, str]) -> Fetched[IndexFacts]:
        if not is_pypi_name(name):
            raise Gone(f"{name!r:.80} is not a valid project name on {self._index}")
        answer = self._reader.ask(f"{self._index}/pypi/{quote(name, safe='')}/json", headers=_condition(validators))
        if _is_unchanged(answer, validators):
            return Fetched(None, dict(validators))
        told = Metadata(answer.url, answer.data)
        marks = _etag(answer)
        serial = _serial(answer, told)
        if serial is not None:
            marks["serial"] = str(serial)
        return Fetched(project_told(name, told), marks)

    def serials(self, names: Collection[str], *, validators: Mapping[str, str]) -> Fetched[Mapping[str, int]]:
        wanted = {str(canonicalize_name(name)) for name in names}

        def shape(told: dict[str, Any]) -> dict[str, Any] | None:
            # The list names some 800,000 projects. Read whole, it would take ten times the memory.
            if "projects" in told:
                return {**told, "projects": _without_dropped(told["projects"])}
            name = told.get("name")
            return None if isinstance(name, str) and canonicalize_name(name) not in wanted else told

        asked = {**_condition(validators), "Accept": SIMPLE_INDEX}
        answer = self._serials_reader.ask(f"{self._index}/simple/", headers=asked, shape=shape)
        if _is_unchanged(answer, validators):
            return Fetched(None, dict(validators))
        found: dict[str, int] = {}
        for project in Metadata(answer.url, answer.data).needed_parts("projects"):
            serial = project.count("_last-serial")
            if serial is not None:
                found[canonicalize_name(project.needed_text("name"))] = serial
        return Fetched(found, _etag(answer))

    def downloads(self, name: str) -> Fetched[DownloadFacts]:
        if not is_pypi_name(name):
            return Fetched(DownloadFacts(None))
        try:
            answer = self._reader.ask(f"{self._counts}/api/packages/{quote(canonicalize_name(name))}/recent")
        except Gone:  # the host counts what was downloaded at all: a project may be there without a count
            return Fetched(DownloadFacts(None))
        told = Metadata(answer.url, answer.data)
        return Fetched(DownloadFacts(told.part("data").count("last_month")))


def _without_dropped(projects: Any) -> Any:
    return [project for project in projects if project is not None] if isinstance(projects, list) else projects


def _condition(validators: Mapping[str, str]) -> dict[str, str]:
    """Return the header that asks for the whole answer only if it has changed."""
    return {"If-None-Match": validators["etag"]} if "etag" in validators else {}


def _is_unchanged(answer: Answer, validators: Mapping[str, str]) -> bool:
    """Tell whether nothing has changed; a host that says so without having been asked is not believed."""
    return answer.status == HTTPStatus.NOT_MODIFIED and "etag" in validators


def _etag(answer: Answer) -> dict[str, str]:
    written = answer.headers.get("ETag")
    return {"etag": written} if written else {}


def _serial(answer: Answer, told: Metadata) -> int | None:
    """Return the project's serial, from the head or, where a mirror drops that, from the body."""
    written = answer.headers.get(SERIAL, "")
    if written.isdecimal() and len(written) < len(str(LARGEST)):
        return int(written)
    return told.count("last_serial")
