"""Parses PyPI's JSON about a project (https://docs.pypi.org/api/json/)."""

from __future__ import annotations

import re
from collections.abc import Iterator, KeysView, Mapping, Sequence
from datetime import UTC, datetime

from packaging.utils import canonicalize_name

from pkgsite.clients.base import IndexFacts, ReleaseFacts, Vulnerability, with_empty
from pkgsite.clients.rest import JsonObject
from pkgsite.errors import BadResponse
from pkgsite.rules.licences import licences
from pkgsite.rules.links import safe_url
from pkgsite.rules.project_links import documentation_url
from pkgsite.rules.versions import development_status, is_prerelease, latest_version, supports_python3, version_key

MAX_BIGINT = 2**63 - 1  # the largest integer that the database can store
MAX_VERSION_LENGTH = 100  # in characters; longer versions are ignored
MAX_SUMMARY_LENGTH = 300  # of a vulnerability, in characters
PROJECT_STATUSES = frozenset({"active", "archived", "quarantined", "deprecated"})
PLACEHOLDERS = {"", "UNKNOWN"}  # written by old tools for missing metadata

# The names of the facts, each with the fields of `info` that state it: those of the project …
PROJECT_FIELDS = {
    "version": ("version",),
    "summary": ("summary",),
    "documentation_url": ("project_urls", "docs_url"),
    "project_urls": ("project_urls",),
}
# … and those of the described release.
RELEASE_FIELDS = {
    "licence": ("license_expression", "license", "classifiers"),
    "licences": ("license_expression", "license", "classifiers"),
    "classifiers": ("classifiers",),
    "requires_python": ("requires_python",),
    "supports_python3": ("requires_python", "classifiers"),
    "development_status": ("classifiers",),
    "requires_dist": ("requires_dist",),
}

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
    described_version = _listed_version(metadata, _valid_version(info.text("version")))
    files_by_version, has_all_releases = _release_files(metadata, described_version)
    releases = _parse_releases(files_by_version, info, described_version)
    version = _current_version(releases, files_by_version) or described_version
    current = next((release for release in releases if release.number == version), None)
    # The rest of `info` concerns the described release, which is not always the current one: it may be a pre-release,
    # yanked, or without files.
    release_info = info if version == described_version else IndexObject(metadata.url, {})
    classifiers = release_info.text_list("classifiers")
    licence_names = _licences(release_info)
    project_urls = _project_urls(info)
    if current is None:  # the index lists no releases
        requires_python = release_info.meaningful_text("requires_python")
        python3 = supports_python3(requires_python, classifiers or ())
    else:
        requires_python, python3 = current.requires_python, current.supports_python3
    status, status_reason = project_status(metadata)
    facts = IndexFacts(
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
        documentation_url=documentation_url(project_urls or {}) or info.web_url("docs_url"),
        project_urls=project_urls,
        requires_dist=release_info.text_list("requires_dist"),
        vulnerabilities=_vulnerabilities(metadata) if version == described_version else None,
        has_all_releases=has_all_releases,
        status=status,
        status_reason=status_reason,
    )
    return with_empty(facts, _stated_facts(metadata, info, is_described=version == described_version))


def project_status(metadata: IndexObject) -> tuple[str | None, str | None]:
    """Return the status of a project and the reason for it, which is empty if the index gives none.

    An index without statuses is (None, None), and so is a status that the specification does not have:
    https://packaging.python.org/en/latest/specifications/simple-repository-api/#json-project-detail
    """
    marker = metadata.child("project-status")
    status = (marker.text("status") or ("active" if _has_statuses(metadata) else "")).strip().lower()
    return (status, marker.meaningful_text("reason") or "") if status in PROJECT_STATUSES else (None, None)


def _has_statuses(metadata: IndexObject) -> bool:
    """Return whether the index has statuses, which came with version 1.4 of its API; "active" may be left out."""
    version = metadata.child("meta").text("api-version") or ""
    major, _, minor = version.partition(".")
    return "project-status" in metadata or (
        major.isdecimal() and minor.isdecimal() and (int(major), int(minor)) >= (1, 4)
    )


def _stated_facts(metadata: IndexObject, info: IndexObject, *, is_described: bool) -> Iterator[str]:
    """Yield the names of the facts that the response states, even if they are empty.

    Args:
        metadata: The response.
        info: Its description of one release.
        is_described: Whether that is the current release; otherwise it says nothing about the current one.
    """
    fields = PROJECT_FIELDS | (RELEASE_FIELDS if is_described else {})
    yield from (name for name, wire_names in fields.items() if any(name in info for name in wire_names))
    if "releases" in metadata or "urls" in metadata:
        yield "released_at"
    if is_described and "vulnerabilities" in metadata:
        yield "vulnerabilities"


def _licences(info: IndexObject) -> tuple[str, ...] | None:
    classifiers = info.text_list("classifiers") or ()
    return licences(info.meaningful_text("license_expression"), info.meaningful_text("license"), classifiers) or None


def _valid_version(version: str | None) -> str | None:
    """Return a version if it can be stored and displayed, None otherwise."""
    is_valid = version and len(version) <= MAX_VERSION_LENGTH and version.isprintable()
    return version if is_valid else None


def _listed_version(metadata: IndexObject, version: str | None) -> str | None:
    """Return a version as the list of releases spells it: it may have 1.0 for 1.0.0."""
    listed = metadata.child("releases").field_names()
    if version is None or version in listed:
        return version
    return next((other for other in listed if version_key(other)[:2] == version_key(version)[:2]), version)


def _release_files(metadata: IndexObject, described_version: str | None) -> tuple[dict[str, list[IndexObject]], bool]:
    """Return the files of each release by version, and whether these are all releases.

    PyPI calls the list of all releases deprecated. Without it, the files of the described release are in "urls".
    """
    listed = metadata.child("releases")
    files = {
        version: list(listed.children(version) or ())
        for version in listed.field_names()
        if _valid_version(version) is not None
    }
    described_files = metadata.children("urls")
    if listed.field_names() or described_version is None or described_files is None:
        return files, True
    described = {described_version: list(described_files)}
    return (files, True) if "releases" in metadata and not described[described_version] else (described, False)


def _parse_releases(
    files_by_version: Mapping[str, list[IndexObject]], info: IndexObject, described_version: str | None
) -> tuple[ReleaseFacts, ...]:
    """Return the releases, newest first.

    Classifiers are known for the described release only; the others are read from their files.
    """
    releases = [
        _parse_release(version, files, info if version == described_version else None)
        for version, files in files_by_version.items()
    ]
    return tuple(sorted(releases, key=lambda release: version_key(release.number), reverse=True))


def _parse_release(version: str, files: list[IndexObject], info: IndexObject | None) -> ReleaseFacts:
    """Return a release from its files, and from `info` if that describes it."""
    records = [info, *files] if info else files
    requires_python = next((value for record in records if (value := record.meaningful_text("requires_python"))), None)
    return ReleaseFacts(
        number=version,
        uploaded_at=min(filter(None, map(_uploaded_at, files)), default=None),
        is_prerelease=is_prerelease(version),
        yanked_reason=_yanked_reason(files, info),
        requires_python=requires_python,
        supports_python3=supports_python3(requires_python, (info and info.text_list("classifiers")) or ()),
    )


def _uploaded_at(file: IndexObject) -> datetime | None:
    """Return when a file was uploaded; the older field has no time zone and no fraction of a second."""
    return file.timestamp_or_none("upload_time_iso_8601") or file.timestamp_or_none("upload_time")


def _yanked_reason(files: list[IndexObject], info: IndexObject | None) -> str | None:
    """Return why a release was yanked, or None unless all of its files are yanked.

    If its files do not say so, or if it has none, `info` decides.
    """
    flags = {file.flag("yanked") for file in files}
    if flags != {True} and (False in flags or info is None or not info.flag("yanked")):
        return None
    records = [*files, info] if info else files
    return next((reason for record in records if (reason := record.text("yanked_reason")) is not None), "")


def _current_version(
    releases: tuple[ReleaseFacts, ...], files_by_version: Mapping[str, list[IndexObject]]
) -> str | None:
    """Return the newest release that can be installed, or else the newest that is not yanked."""
    available_versions = [release.number for release in releases if release.yanked_reason is None]
    return latest_version(version for version in available_versions if files_by_version.get(version)) or latest_version(
        available_versions
    )


def _project_urls(info: IndexObject) -> dict[str, str] | None:
    """Return the project's safe URLs by label, or None without any; older metadata has one, of the home page."""
    urls = info.child("project_urls")
    if urls.field_names():
        return {_UNSTORABLE.sub("", label): url for label in urls.field_names() if (url := urls.web_url(label))}
    home_page = info.web_url("home_page")
    return {"Homepage": home_page} if home_page else None


def _vulnerabilities(metadata: IndexObject) -> tuple[Vulnerability, ...] | None:
    """Return the vulnerabilities without withdrawn ones, or None if the index does not check for them."""
    entries = metadata.children("vulnerabilities")
    if entries is None:
        return None
    return merge_vulnerabilities([_vulnerability(entry) for entry in entries if not entry.text("withdrawn")])


def _vulnerability(entry: IndexObject) -> Vulnerability:
    lines = (entry.meaningful_text("details") or "").splitlines()
    summary = entry.meaningful_text("summary") or next((line.strip() for line in lines if line.strip()), "")
    return Vulnerability(
        id=entry.required_text("id").strip(),
        aliases=tuple(name for alias in entry.text_list("aliases") or () if (name := alias.strip())),
        summary=summary[:MAX_SUMMARY_LENGTH],
        link=entry.web_url("link"),
        fixed_in=entry.text_list("fixed_in") or (),
    )


def merge_vulnerabilities(records: Sequence[Vulnerability]) -> tuple[Vulnerability, ...]:
    """Return each vulnerability once: records that share an id or an alias, also through others, are about one."""
    groups: list[list[Vulnerability]] = []  # each in the order of the records
    for record in records:
        linked = [group for group in groups if any(_ids(record) & _ids(other) for other in group)]
        if not linked:
            groups.append([record])
            continue
        for group in linked[1:]:  # the record shows that they are about the same
            linked[0].extend(group)
            groups.remove(group)
        linked[0].append(record)
    return tuple(_merged(group) for group in groups)


def _merged(records: list[Vulnerability]) -> Vulnerability:
    """Return one vulnerability from its records; it goes by its CVE number, if it has one."""
    if len(records) == 1:
        return records[0]
    names: dict[str, str] = {}  # by name without case, in the order of the records
    for name in [*(record.id for record in records), *(alias for record in records for alias in record.aliases)]:
        names.setdefault(name.casefold(), name.upper() if name.casefold().startswith("cve-") else name)
    main = min((name for name in names.values() if name.startswith("CVE-")), default=records[0].id)
    del names[main.casefold()]
    return Vulnerability(
        id=main,
        aliases=tuple(names.values()),
        summary=next(filter(None, (record.summary for record in records)), ""),
        link=next(filter(None, (record.link for record in records)), None),
        fixed_in=tuple(sorted({version for record in records for version in record.fixed_in}, key=version_key)),
    )


def _ids(record: Vulnerability) -> set[str]:
    return {name.casefold() for name in (record.id, *record.aliases)}
