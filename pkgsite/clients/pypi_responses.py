"""Parses PyPI's JSON about a project (https://docs.pypi.org/api/json/)."""

from __future__ import annotations

import re
from collections.abc import Iterator, KeysView, Mapping
from datetime import UTC, datetime

from packaging.utils import canonicalize_name

from pkgsite.clients.base import IndexFacts, ReleaseFacts, Vulnerability
from pkgsite.clients.rest import JsonObject
from pkgsite.errors import BadResponse
from pkgsite.rules.licences import licences
from pkgsite.rules.links import safe_url
from pkgsite.rules.versions import development_status, is_prerelease, latest_version, supports_python3, version_key

MAX_BIGINT = 2**63 - 1  # the largest integer that the database can store
MAX_VERSION_LENGTH = 100  # in characters; longer versions are ignored
MAX_SUMMARY_LENGTH = 300  # of a vulnerability, in characters
# Normalised labels (see `_normalise_label`) of project URLs that lead to the documentation, most specific first.
DOCUMENTATION_LABELS = ("documentation", "docs", "doc", "readthedocs", "apireference")
PLACEHOLDERS = {"", "UNKNOWN"}  # written by old tools for missing metadata

_UNSTORABLE = re.compile(r"[\x00\ud800-\udfff]")


class IndexObject(JsonObject):
    """A JSON object from the package index, without the characters and numbers that a database can't store."""

    def text(self, name: str) -> str | None:
        value = super().text(name)
        return None if value is None else _UNSTORABLE.sub("", value)

    def text_list(self, name: str) -> tuple[str, ...] | None:
        values = super().text_list(name)
        return None if values is None else tuple(_UNSTORABLE.sub("", value) for value in values)

    def count(self, name: str) -> int | None:
        value = super().count(name)
        if value is not None and value > MAX_BIGINT:
            raise BadResponse(f"{self.url}: value of {name} is too large")
        return value

    def web_url(self, name: str) -> str | None:
        return safe_url(self.text(name))

    def meaningful_text(self, name: str) -> str | None:
        """Return the text without surrounding whitespace, or None for a placeholder such as "UNKNOWN"."""
        value = (self.text(name) or "").strip()
        return None if value in PLACEHOLDERS else value

    def timestamp_or_none(self, name: str) -> datetime | None:
        """Return a time in UTC, which is assumed if there is no offset, or None if the time is invalid.

        One invalid file among a thousand must not make the project unreadable.
        """
        try:
            timestamp = datetime.fromisoformat(self.text(name) or "")
            return (timestamp if timestamp.tzinfo else timestamp.replace(tzinfo=UTC)).astimezone(UTC)
        except (ValueError, OverflowError):
            return None

    def child(self, name: str) -> IndexObject:
        """Return a nested object, empty if missing."""
        return IndexObject(self.url, self._get(dict, name) or {})

    def children(self, name: str) -> Iterator[IndexObject] | None:
        """Return the objects of a list, or None if it is missing."""
        values = self._get(list, name)
        return None if values is None else (IndexObject(self.url, value) for value in values)

    def required_children(self, name: str) -> Iterator[IndexObject]:
        """Return the objects of a list; raise `BadResponse` if it is missing."""
        children = self.children(name)
        if children is None:
            raise BadResponse(f"{self.url}: missing field {name}")
        return children

    def field_names(self) -> KeysView[str]:
        """Return the names of the fields, for objects whose field names are data."""
        return self._data.keys()


def parse_project(name: str, metadata: IndexObject) -> IndexFacts:
    """Return the facts about a project.

    Raises:
        BadResponse: The metadata is malformed or describes another project.
    """
    info = metadata.child("info")
    index_name = info.required_text("name")
    if canonicalize_name(index_name) != canonicalize_name(name):
        raise BadResponse(f"{metadata.url} returned a different project: {index_name!r:.80}")
    described_version = _valid_version(info.text("version"))
    releases, with_files = _parse_releases(metadata, info, described_version)
    version = _current_version(releases, with_files) or described_version
    current = next((release for release in releases if release.number == version), None)
    classifiers = info.text_list("classifiers")
    licence_names = _licences(info)
    project_urls = _project_urls(info)
    if current is None:  # the index lists no releases
        requires_python = info.meaningful_text("requires_python")
        python3 = supports_python3(requires_python, classifiers or ())
    else:
        requires_python, python3 = current.requires_python, current.supports_python3
    return IndexFacts(
        name=index_name,
        version=version,
        released_at=current.uploaded_at if current else None,
        releases=releases,
        summary=info.meaningful_text("summary"),
        licence=licence_names[0] if licence_names else None,
        licences=licence_names,
        classifiers=classifiers,
        requires_python=requires_python,
        supports_python3=python3,
        development_status=development_status(classifiers or ()),
        documentation_url=_documentation(project_urls or {}) or info.web_url("docs_url"),
        project_urls=project_urls,
        requires_dist=info.text_list("requires_dist"),
        # PyPI lists those of the release in "info", which is not the current one if it has been yanked.
        vulnerabilities=_vulnerabilities(metadata) if version == described_version else None,
    )


def _licences(info: IndexObject) -> tuple[str, ...] | None:
    classifiers = info.text_list("classifiers") or ()
    return licences(info.meaningful_text("license_expression"), info.meaningful_text("license"), classifiers) or None


def _valid_version(version: str | None) -> str | None:
    """Return a version if it can be stored and displayed, None otherwise."""
    is_valid = version and len(version) <= MAX_VERSION_LENGTH and version.isprintable()
    return version if is_valid else None


def _parse_releases(
    metadata: IndexObject, info: IndexObject, described_version: str | None
) -> tuple[tuple[ReleaseFacts, ...], set[str]]:
    """Return all releases, newest first, and the versions that have files.

    Classifiers are known for the described release only; the others are read from their files.
    """
    releases, with_files = [], set()
    files_by_version = metadata.child("releases")
    for version in files_by_version.field_names():
        if _valid_version(version) is None:
            continue
        files = list(files_by_version.children(version) or ())
        if files:
            with_files.add(version)
        releases.append(_parse_release(version, files, info if version == described_version else None))
    return tuple(sorted(releases, key=lambda release: version_key(release.number), reverse=True)), with_files


def _parse_release(version: str, files: list[IndexObject], info: IndexObject | None) -> ReleaseFacts:
    """Return a release from its files, and from `info` if that describes it."""
    records = [info, *files] if info else files
    requires_python = next((value for record in records if (value := record.meaningful_text("requires_python"))), None)
    uploaded_at = [file.timestamp_or_none("upload_time_iso_8601") for file in files]
    return ReleaseFacts(
        number=version,
        uploaded_at=min(filter(None, uploaded_at), default=None),
        is_prerelease=is_prerelease(version),
        yanked_reason=_yanked_reason(files),
        requires_python=requires_python,
        supports_python3=supports_python3(requires_python, (info and info.text_list("classifiers")) or ()),
    )


def _yanked_reason(files: list[IndexObject]) -> str | None:
    """Return why a release was yanked, or None unless all of its files are yanked."""
    if not files or not all(file.flag("yanked") for file in files):
        return None
    return next((reason for file in files if (reason := file.text("yanked_reason")) is not None), "")


def _current_version(releases: tuple[ReleaseFacts, ...], with_files: set[str]) -> str | None:
    """Return the newest release that can be installed, or else the newest that is not yanked."""
    available_versions = [release.number for release in releases if release.yanked_reason is None]
    return latest_version(version for version in available_versions if version in with_files) or latest_version(
        available_versions
    )


def _project_urls(info: IndexObject) -> dict[str, str] | None:
    """Return the project's safe URLs by label, or None if there are none."""
    urls = info.child("project_urls")
    if not urls.field_names():
        return None
    return {_UNSTORABLE.sub("", label): url for label in urls.field_names() if (url := urls.web_url(label))}


def _documentation(urls: Mapping[str, str]) -> str | None:
    """Return the URL that is labelled as documentation."""
    by_label: dict[str, str] = {}
    for label, url in urls.items():
        by_label.setdefault(_normalise_label(label), url)
    return next((by_label[label] for label in DOCUMENTATION_LABELS if label in by_label), None)


def _normalise_label(label: str) -> str:
    """Return a label in lower case, without spaces and punctuation."""
    return "".join(char for char in label.lower() if char.isalnum())


def _vulnerabilities(metadata: IndexObject) -> tuple[Vulnerability, ...] | None:
    """Return the vulnerabilities without withdrawn ones, or None if the index does not check for them."""
    entries = metadata.children("vulnerabilities")
    return None if entries is None else tuple(_vulnerability(entry) for entry in entries if not entry.text("withdrawn"))


def _vulnerability(entry: IndexObject) -> Vulnerability:
    lines = (entry.meaningful_text("details") or "").splitlines()
    summary = entry.meaningful_text("summary") or next((line.strip() for line in lines if line.strip()), "")
    return Vulnerability(
        id=entry.required_text("id"),
        aliases=entry.text_list("aliases") or (),
        summary=summary[:MAX_SUMMARY_LENGTH],
        link=entry.web_url("link"),
        fixed_in=entry.text_list("fixed_in") or (),
    )
