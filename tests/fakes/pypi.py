"""A fake PyPI and a fake host of its download counts, in one application.

Like the real index, it has serials that grow with every change, redirects to normalised names, ETags, and an `info`
that describes the newest release that is not yanked.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import unquote, urlsplit

from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from tests.fakes.v4_site import WsgiApp, response

FIRST_UPLOAD = datetime(2024, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)
SIMPLE_JSON = "application/vnd.pypi.simple.v1+json"
NOT_FOUND = response("404 Not Found", {"message": "Not Found"})
NO_DOWNLOAD_COUNT = response("404 Not Found", b"<!doctype html><title>404</title>", "text/html; charset=utf-8")


@dataclass
class FakeRelease:
    """A release, with its `files` in the index's format."""

    version: str
    files: list[dict[str, Any]]
    info: dict[str, Any]


@dataclass
class FakeProject:
    """A project.

    Attributes:
        info: Overrides fields of `info`, even those of a release.
        fields: Overrides fields of the response.
        downloads: Downloads of the last month; None if there is no count.
        status: The project's status marker, such as {"status": "archived"}.
    """

    name: str
    serial: int
    releases: dict[str, FakeRelease] = field(default_factory=dict)
    info: dict[str, Any] = field(default_factory=dict)
    fields: dict[str, Any] = field(default_factory=dict)
    vulnerabilities: list[dict[str, Any]] = field(default_factory=list)
    downloads: int | None = None
    status: dict[str, str] | None = None

    def described_release(self) -> FakeRelease | None:
        """Return the release that `info` describes: preferably not yanked, final, and the newest."""
        return max(self.releases.values(), key=_release_order, default=None)


class FakePyPI:
    """A WSGI application for both hosts: serve it once, and use its URL for both.

    Attributes:
        projects: Projects by normalised name.
        serial: Serial of the last change of the index.
        request_log: Path and query of every request, without decoding.
        request_headers: The WSGI environment of each request.
        counts: Number of requests by kind: "project", "status", "serials", "downloads", "other".
        unchanged: Number of 304 responses by kind.
        faults: Responses by part of a URL, which replace the real ones.
    """

    def __init__(self) -> None:
        self.projects: dict[str, FakeProject] = {}
        self.serial = 1000
        self.request_log: list[str] = []
        self.request_headers: list[dict[str, Any]] = []
        self.counts: Counter[str] = Counter()
        self.unchanged: Counter[str] = Counter()
        self.faults: dict[str, WsgiApp] = {}
        self._lock = threading.RLock()

    def add(self, name: str, *versions: str, downloads: int | None = None, **info: Any) -> FakeProject:
        """Add a project with these releases, a day apart, in this order; `info` applies to all of them."""
        with self._lock:
            project = FakeProject(name, self.serial, info=info, downloads=downloads)
            self.projects[canonicalize_name(name)] = project
            self._bump_serial(project)
            for version in versions:
                self.release(name, version)
        return project

    def release(
        self,
        name: str,
        version: str,
        *,
        uploaded_at: datetime | None = None,
        files: int = 2,
        requires_python: str | None = ">=3.10",
        **info: Any,
    ) -> FakeRelease:
        """Upload a release: a wheel, and a second later its sdist; `info` applies to this release only.

        By default, it is uploaded a day after the previous release. With `files=0`, its files have been deleted.
        """
        with self._lock:
            project = self[name]
            first = uploaded_at or FIRST_UPLOAD + timedelta(days=len(project.releases))
            file_records = [
                _file(project.name, version, first + timedelta(seconds=second), requires_python, is_wheel=not second)
                for second in range(files)
            ]
            release = FakeRelease(version, file_records, {"requires_python": requires_python} | info)
            project.releases[version] = release
            self._bump_serial(project)
        return release

    def yank(self, name: str, version: str, reason: str | None = None) -> None:
        """Yank a release, with or without a reason."""
        self._set_yanked(name, version, is_yanked=True, reason=reason)

    def unyank(self, name: str, version: str) -> None:
        """Undo the yanking of a release."""
        self._set_yanked(name, version, is_yanked=False, reason=None)

    def add_vulnerability(self, name: str, vulnerability_id: str, **fields: Any) -> dict[str, Any]:
        """Add a vulnerability to the described release.

        The serial does not change: vulnerabilities come from elsewhere, without a change of the project.
        """
        vulnerability = {
            "id": vulnerability_id,
            "source": "osv",
            "link": f"https://osv.dev/vulnerability/{vulnerability_id}",
            "aliases": [],
            "details": "Attackers can do something.\n\nIn many words.",
            "summary": None,
            "fixed_in": [],
            "withdrawn": None,
        } | fields
        self[name].vulnerabilities.append(vulnerability)
        return vulnerability

    def remove(self, name: str) -> None:
        """Delete a project."""
        with self._lock:
            del self.projects[canonicalize_name(name)]
            self.serial += 1

    def __getitem__(self, name: str) -> FakeProject:
        return self.projects[canonicalize_name(name)]

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        url = environ["REQUEST_URI"]
        parts = unquote(urlsplit(url).path).strip("/").split("/")
        with self._lock:
            kind, real_response = self._respond(parts, environ)
            self.request_log.append(url)
            self.request_headers.append(environ)
            self.counts[kind] += 1
            fault = next((fault for part, fault in self.faults.items() if part in url), None)
            if real_response is None and fault is None:
                self.unchanged[kind] += 1
        return (fault or real_response or response("304 Not Modified", b""))(environ, start_response)

    def _respond(self, parts: list[str], environ: dict[str, Any]) -> tuple[str, WsgiApp | None]:
        """Return the kind of a request and the real response; None for 304."""
        match parts:
            case ["pypi", name, "json"]:
                return "project", self._project(name, environ)
            case ["simple"]:
                return "serials", self._simple(environ)
            case ["simple", name]:
                return "status", self._status(name, environ)
            case ["api", "packages", name, "recent"]:
                return "downloads", self._recent(name)
        return "other", NOT_FOUND

    def _project(self, name: str, environ: dict[str, Any]) -> WsgiApp | None:
        project = self.projects.get(canonicalize_name(name))
        if not project or not project.releases:
            return NOT_FOUND
        if name != canonicalize_name(name):
            return response("301 Moved Permanently", b"", Location=f"/pypi/{canonicalize_name(name)}/json")
        return _conditional_response(project_body(project), "application/json", project.serial, environ)

    def _simple(self, environ: dict[str, Any]) -> WsgiApp | None:
        if SIMPLE_JSON not in environ.get("HTTP_ACCEPT", ""):
            return response("200 OK", b"<!doctype html><title>Simple index</title>", "text/html; charset=utf-8")
        listed = [{"_last-serial": project.serial, "name": project.name} for project in self.projects.values()]
        body = {"meta": {"_last-serial": self.serial, "api-version": "1.4"}, "projects": listed}
        return _conditional_response(body, SIMPLE_JSON, self.serial, environ)

    def _status(self, name: str, environ: dict[str, Any]) -> WsgiApp | None:
        project = self.projects.get(name)
        if not project or SIMPLE_JSON not in environ.get("HTTP_ACCEPT", ""):
            return NOT_FOUND
        files = [file["filename"] for release in project.releases.values() for file in release.files]
        body: dict[str, Any] = {"meta": {"api-version": "1.4"}, "name": name, "files": files}
        return _conditional_response(
            body | ({"project-status": project.status} if project.status else {}), SIMPLE_JSON, project.serial, environ
        )

    def _recent(self, name: str) -> WsgiApp:
        """Return the download counts, which exist for normalised names only."""
        project = self.projects.get(name)
        if not project or project.downloads is None:
            return NO_DOWNLOAD_COUNT
        recent = {"last_day": project.downloads // 30, "last_month": project.downloads, "last_week": 7}
        return response("200 OK", {"data": recent, "package": name, "type": "recent_downloads"})

    def _set_yanked(self, name: str, version: str, *, is_yanked: bool, reason: str | None) -> None:
        with self._lock:
            for file in self[name].releases[version].files:
                file.update(yanked=is_yanked, yanked_reason=reason)
            self._bump_serial(self[name])

    def _bump_serial(self, project: FakeProject) -> None:
        self.serial += 1
        project.serial = self.serial


def project_body(project: FakeProject) -> dict[str, Any]:
    """Return a project in the index's JSON format."""
    described = project.described_release()
    info = {
        "author": "Ada L.",
        "author_email": None,
        "bugtrack_url": None,
        "classifiers": ["Framework :: Django", "Programming Language :: Python :: 3"],
        "description": "Does one thing, in many words.",
        "description_content_type": "text/markdown",
        "docs_url": None,
        "download_url": None,
        "downloads": {"last_day": -1, "last_month": -1, "last_week": -1},
        "dynamic": None,
        "home_page": None,
        "keywords": "",
        "license": None,
        "license_expression": "MIT",
        "license_files": None,
        "name": project.name,
        "platform": None,
        "project_urls": {"Homepage": "https://example.org/"},
        "provides_extra": None,
        "requires_dist": ["Django>=5.2"],
        "summary": "Does one thing.",
        "version": described and described.version,
        "yanked": bool(described and _is_yanked(described)),
        "yanked_reason": described and described.files[0]["yanked_reason"] if described and described.files else None,
    }
    return {
        "info": info | (described.info if described else {}) | project.info,
        "last_serial": project.serial,
        "releases": {version: release.files for version, release in project.releases.items()},
        "urls": described.files if described else [],
        "vulnerabilities": project.vulnerabilities,
    } | project.fields


def _file(
    name: str, version: str, uploaded_at: datetime, requires_python: str | None, *, is_wheel: bool
) -> dict[str, Any]:
    url = canonicalize_name(name).replace("-", "_")
    filename = f"{url}-{version}-py3-none-any.whl" if is_wheel else f"{url}-{version}.tar.gz"
    return {
        "comment_text": None,
        "digests": {
            "blake2b_256": "",
            "md5": "",
            "sha256": hashlib.sha256(filename.encode(errors="replace")).hexdigest(),
        },
        "downloads": -1,
        "filename": filename,
        "has_sig": False,
        "md5_digest": "",
        "packagetype": "bdist_wheel" if is_wheel else "sdist",
        "python_version": "py3" if is_wheel else "source",
        "requires_python": requires_python,
        "size": 4321,
        "upload_time": uploaded_at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S"),
        "upload_time_iso_8601": uploaded_at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "url": f"https://files.pythonhosted.org/packages/{filename}",
        "yanked": False,
        "yanked_reason": None,
    }


def _conditional_response(body: dict[str, Any], kind: str, serial: int, environ: dict[str, Any]) -> WsgiApp | None:
    """Return a response with an ETag, or None if the client already has this body."""
    data = json.dumps(body).encode()
    etag = f'"{hashlib.md5(data).hexdigest()}"'
    if environ.get("HTTP_IF_NONE_MATCH") == etag:
        return None
    return response("200 OK", data, kind, ETag=etag, X_PyPI_Last_Serial=str(serial), Vary="Accept")


def _is_yanked(release: FakeRelease) -> bool:
    return any(file["yanked"] for file in release.files)


def _release_order(release: FakeRelease) -> tuple[bool, bool, Version]:
    """Return the sort key of the described release."""
    try:
        version = Version(release.version)
    except InvalidVersion:
        version = Version("0")
    return not _is_yanked(release), not version.is_prerelease, version
