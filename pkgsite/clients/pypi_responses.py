"""PyPI's words: how its answer about a project is read (https://docs.pypi.org/api/json/)."""

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

MAX_BIGINT = 2**63 - 1  # what a database can hold
MAX_VERSION_LENGTH = 100  # characters of a version number; those that are longer were never meant to be read
MAX_SUMMARY_LENGTH = 300  # characters of a vulnerability's summary
# Labels of a project's addresses that name its documentation, bare (as `_normalise_label` makes them), the surest first.
DOCUMENTATION_LABELS = ("documentation", "docs", "doc", "readthedocs", "apireference")
PLACEHOLDERS = {"", "UNKNOWN"}  # what old tools wrote where a project told nothing

_UNSTORABLE = re.compile(r"[\x00\ud800-\udfff]")


class IndexObject(JsonObject):
    """A JSON object of the index, whose texts and numbers a database can hold."""

    def text(self, name: str) -> str | None:
        found = super().text(name)
        return None if found is None else _UNSTORABLE.sub("", found)

    def text_list(self, name: str) -> tuple[str, ...] | None:
        found = super().text_list(name)
        return None if found is None else tuple(_UNSTORABLE.sub("", text) for text in found)

    def count(self, name: str) -> int | None:
        found = super().count(name)
        if found is not None and found > MAX_BIGINT:
            raise BadResponse(f"{self.url}: value of {name} is too large")
        return found

    def web_url(self, name: str) -> str | None:
        return safe_url(self.text(name))

    def meaningful_text(self, name: str) -> str | None:
        """Return a text that says something, None for one that stands for nothing."""
        found = (self.text(name) or "").strip()
        return None if found in PLACEHOLDERS else found

    def timestamp_or_none(self, name: str) -> datetime | None:
        """Return a time in UTC, which is also what one without an offset is in; None for what is no time.

        Of the thousand files of a project one may be broken, and the others still tell what they tell.
        """
        try:
            found = datetime.fromisoformat(self.text(name) or "")
            return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
        except (ValueError, OverflowError):
            return None

    def child(self, name: str) -> IndexObject:
        """Return the object within; an empty one where there is none."""
        return IndexObject(self.url, self._get(dict, name) or {})

    def children(self, name: str) -> Iterator[IndexObject] | None:
        """Return the objects of a list."""
        found = self._get(list, name)
        return None if found is None else (IndexObject(self.url, item) for item in found)

    def required_children(self, name: str) -> Iterator[IndexObject]:
        """Return the objects of a list that must be there: none at all would say too much."""
        found = self.children(name)
        if found is None:
            raise BadResponse(f"{self.url}: missing field {name}")
        return found

    def keys(self) -> KeysView[str]:
        """Return the names of what is within, for objects whose names tell something too."""
        return self._data.keys()


def parse_project(name: str, metadata: IndexObject) -> IndexFacts:
    """Return what the index tells of the project.

    Raises:
        BadAnswer: there is no reading it, or it is about another project.
    """
    info = metadata.child("info")
    index_name = info.required_text("name")
    if canonicalize_name(index_name) != canonicalize_name(name):
        raise BadResponse(f"{metadata.url} returned a different project: {index_name!r:.80}")
    described_version = _valid_version(info.text("version"))
    releases, with_files = _parse_releases(metadata, info, described_version)
    version = _current_version(releases, with_files) or described_version
    present = next((release for release in releases if release.number == version), None)
    classifiers = info.text_list("classifiers")
    licence_names = (
        licences(info.meaningful_text("license_expression"), info.meaningful_text("license"), classifiers or ()) or None
    )
    project_urls = _project_urls(info)
    requires_python = present.requires_python if present else info.meaningful_text("requires_python")
    return IndexFacts(
        name=index_name,
        version=version,
        released_at=present.uploaded_at if present else None,
        releases=releases,
        summary=info.meaningful_text("summary"),
        licence=licence_names[0] if licence_names else None,
        licences=licence_names,
        classifiers=classifiers,
        requires_python=requires_python,
        supports_python3=present.supports_python3 if present else supports_python3(requires_python, classifiers or ()),
        development_status=development_status(classifiers or ()),
        documentation_url=_documentation(project_urls or {}) or info.web_url("docs_url"),
        project_urls=project_urls,
        requires_dist=info.text_list("requires_dist"),
        # They are told of the release that the rest is about; where that was taken back, nothing is told of ours.
        vulnerabilities=_vulnerabilities(metadata) if version == described_version else None,
    )


def _valid_version(index_name: str | None) -> str | None:
    """Return a version number that can be kept and shown."""
    is_good = index_name and len(index_name) <= MAX_VERSION_LENGTH and index_name.isprintable()
    return index_name if is_good else None


def _parse_releases(
    metadata: IndexObject, info: IndexObject, described_version: str | None
) -> tuple[tuple[ReleaseFacts, ...], set[str]]:
    """Return all releases, newest first, and the numbers of those that have files.

    Only the release that the answer describes has classifiers; of the others the files tell what there is.
    """
    found, with_files = [], set()
    by_number = metadata.child("releases")
    for version in by_number.keys():
        if _valid_version(version) is None:
            continue
        files = list(by_number.children(version) or ())
        if files:
            with_files.add(version)
        found.append(_parse_release(version, files, info if version == described_version else None))
    return tuple(sorted(found, key=lambda release: version_key(release.number), reverse=True)), with_files


def _parse_release(version: str, files: list[IndexObject], info: IndexObject | None) -> ReleaseFacts:
    """Return a release as its files tell of it, and `info` where that is about it."""
    records = [info, *files] if info else files
    requires_python = next((value for teller in records if (value := teller.meaningful_text("requires_python"))), None)
    return ReleaseFacts(
        number=version,
        uploaded_at=min((at for file in files if (at := file.timestamp_or_none("upload_time_iso_8601"))), default=None),
        is_prerelease=is_prerelease(version),
        yanked_reason=_yanked_reason(files),
        requires_python=requires_python,
        supports_python3=supports_python3(requires_python, (info and info.text_list("classifiers")) or ()),
    )


def _yanked_reason(files: list[IndexObject]) -> str | None:
    """Return why the release was taken back; it still stands while one of its files does."""
    if not files or not all(file.flag("yanked") for file in files):
        return None
    return next((reason for file in files if (reason := file.text("yanked_reason")) is not None), "")


def _current_version(releases: tuple[ReleaseFacts, ...], with_files: set[str]) -> str | None:
    """Return the newest release that can be installed, or one that at least was not taken back."""
    available_versions = [release.number for release in releases if release.yanked_reason is None]
    return latest_version(version for version in available_versions if version in with_files) or latest_version(
        available_versions
    )


def _project_urls(info: IndexObject) -> dict[str, str] | None:
    """Return the addresses that can be linked to, by label; None where none were told."""
    urls = info.child("project_urls")
    if not urls.keys():
        return None
    return {_UNSTORABLE.sub("", label): url for label in urls.keys() if (url := urls.web_url(label))}


def _documentation(urls: Mapping[str, str]) -> str | None:
    """Return the address that is labelled as documentation."""
    by_label: dict[str, str] = {}
    for label, url in urls.items():
        by_label.setdefault(_normalise_label(label), url)
    return next((by_label[label] for label in DOCUMENTATION_LABELS if label in by_label), None)


def _normalise_label(label: str) -> str:
    """Return a label without what people vary: case, blanks and punctuation."""
    return "".join(char for char in label.lower() if char.isalnum())


def _vulnerabilities(metadata: IndexObject) -> tuple[Vulnerability, ...] | None:
    """Return those that still hold; None where the index, or a mirror, does not look for them."""
    entries = metadata.children("vulnerabilities")
    return None if entries is None else tuple(_vulnerability(one) for one in entries if not one.text("withdrawn"))


def _vulnerability(metadata: IndexObject) -> Vulnerability:
    lines = (metadata.meaningful_text("details") or "").splitlines()
    summary = metadata.meaningful_text("summary") or next((line.strip() for line in lines if line.strip()), "")
    return Vulnerability(
        id=metadata.required_text("id"),
        aliases=metadata.text_list("aliases") or (),
        summary=summary[:MAX_SUMMARY_LENGTH],
        link=metadata.web_url("link"),
        fixed_in=metadata.text_list("fixed_in") or (),
    )
