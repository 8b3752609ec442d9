"""PyPI's words: how its answer about a project is read (https://docs.pypi.org/api/json/)."""

from __future__ import annotations

import re
from collections.abc import Iterator, KeysView, Mapping
from datetime import UTC, datetime

from packaging.utils import canonicalize_name

from pkgsite.clients.base import IndexFacts, ReleaseFacts, Vulnerability
from pkgsite.clients.rest import Told
from pkgsite.errors import BadAnswer
from pkgsite.rules.licences import licences
from pkgsite.rules.links import safe_url
from pkgsite.rules.versions import development_status, is_prerelease, newest, supports_python3, version_key

LARGEST = 2**63 - 1  # what a database can hold
LONGEST_NUMBER = 100  # characters of a version number; those that are longer were never meant to be read
LONGEST_SUMMARY = 300  # characters of a vulnerability's summary
# Labels of a project's addresses that name its documentation, bare (as `_bare` makes them), the surest first.
DOCUMENTATION = ("documentation", "docs", "doc", "readthedocs", "apireference")
SAYS_NOTHING = {"", "UNKNOWN"}  # what old tools wrote where a project told nothing

_UNSTORABLE = re.compile(r"[\x00\ud800-\udfff]")


class Metadata(Told):
    """A JSON object of the index, whose texts and numbers a database can hold."""

    def text(self, name: str) -> str | None:
        found = super().text(name)
        return None if found is None else _UNSTORABLE.sub("", found)

    def texts(self, name: str) -> tuple[str, ...] | None:
        found = super().texts(name)
        return None if found is None else tuple(_UNSTORABLE.sub("", text) for text in found)

    def count(self, name: str) -> int | None:
        found = super().count(name)
        if found is not None and found > LARGEST:
            raise BadAnswer(f"{self.url}: value of {name} is too large")
        return found

    def web_url(self, name: str) -> str | None:
        return safe_url(self.text(name))

    def word(self, name: str) -> str | None:
        """Return a text that says something, None for one that stands for nothing."""
        found = (self.text(name) or "").strip()
        return None if found in SAYS_NOTHING else found

    def moment(self, name: str) -> datetime | None:
        """Return a time in UTC, which is also what one without an offset is in; None for what is no time.

        Of the thousand files of a project one may be broken, and the others still tell what they tell.
        """
        try:
            found = datetime.fromisoformat(self.text(name) or "")
            return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
        except (ValueError, OverflowError):
            return None

    def part(self, name: str) -> Metadata:
        """Return the object within; an empty one where there is none."""
        return Metadata(self.url, self._of(dict, name) or {})

    def parts(self, name: str) -> Iterator[Metadata] | None:
        """Return the objects of a list."""
        found = self._of(list, name)
        return None if found is None else (Metadata(self.url, item) for item in found)

    def needed_parts(self, name: str) -> Iterator[Metadata]:
        """Return the objects of a list that must be there: none at all would say too much."""
        found = self.parts(name)
        if found is None:
            raise BadAnswer(f"{self.url}: missing field {name}")
        return found

    def labels(self) -> KeysView[str]:
        """Return the names of what is within, for objects whose names tell something too."""
        return self._data.keys()


def project_told(name: str, told: Metadata) -> IndexFacts:
    """Return what the index tells of the project.

    Raises:
        BadAnswer: there is no reading it, or it is about another project.
    """
    info = told.part("info")
    written = info.needed_text("name")
    if canonicalize_name(written) != canonicalize_name(name):
        raise BadAnswer(f"{told.url} returned a different project: {written!r:.80}")
    described = _number(info.text("version"))
    releases, with_files = _releases(told, info, described)
    version = _present(releases, with_files) or described
    present = next((release for release in releases if release.number == version), None)
    classifiers = info.texts("classifiers")
    named = licences(info.word("license_expression"), info.word("license"), classifiers or ()) or None
    project_urls = _project_urls(info)
    requires_python = present.requires_python if present else info.word("requires_python")
    return IndexFacts(
        name=written,
        version=version,
        released_at=present.uploaded_at if present else None,
        releases=releases,
        summary=info.word("summary"),
        licence=named[0] if named else None,
        licences=named,
        classifiers=classifiers,
        requires_python=requires_python,
        supports_python3=present.supports_python3 if present else supports_python3(requires_python, classifiers or ()),
        development_status=development_status(classifiers or ()),
        documentation_url=_documentation(project_urls or {}) or info.web_url("docs_url"),
        project_urls=project_urls,
        requires_dist=info.texts("requires_dist"),
        # They are told of the release that the rest is about; where that was taken back, nothing is told of ours.
        vulnerabilities=_vulnerabilities(told) if version == described else None,
    )


def _number(written: str | None) -> str | None:
    """Return a version number that can be kept and shown."""
    is_good = written and len(written) <= LONGEST_NUMBER and written.isprintable()
    return written if is_good else None


def _releases(told: Metadata, info: Metadata, described: str | None) -> tuple[tuple[ReleaseFacts, ...], set[str]]:
    """Return all releases, newest first, and the numbers of those that have files.

    Only the release that the answer describes has classifiers; of the others the files tell what there is.
    """
    found, with_files = [], set()
    by_number = told.part("releases")
    for number in by_number.labels():
        if _number(number) is None:
            continue
        files = list(by_number.parts(number) or ())
        if files:
            with_files.add(number)
        found.append(_release(number, files, info if number == described else None))
    return tuple(sorted(found, key=lambda release: version_key(release.number), reverse=True)), with_files


def _release(number: str, files: list[Metadata], info: Metadata | None) -> ReleaseFacts:
    """Return a release as its files tell of it, and `info` where that is about it."""
    tellers = [info, *files] if info else files
    requires_python = next((wanted for teller in tellers if (wanted := teller.word("requires_python"))), None)
    return ReleaseFacts(
        number=number,
        uploaded_at=min((at for file in files if (at := file.moment("upload_time_iso_8601"))), default=None),
        is_prerelease=is_prerelease(number),
        yanked_reason=_yanked_reason(files),
        requires_python=requires_python,
        supports_python3=supports_python3(requires_python, (info and info.texts("classifiers")) or ()),
    )


def _yanked_reason(files: list[Metadata]) -> str | None:
    """Return why the release was taken back; it still stands while one of its files does."""
    if not files or not all(file.flag("yanked") for file in files):
        return None
    return next((reason for file in files if (reason := file.text("yanked_reason")) is not None), "")


def _present(releases: tuple[ReleaseFacts, ...], with_files: set[str]) -> str | None:
    """Return the newest release that can be installed, or one that at least was not taken back."""
    standing = [release.number for release in releases if release.yanked_reason is None]
    return newest(number for number in standing if number in with_files) or newest(standing)


def _project_urls(info: Metadata) -> dict[str, str] | None:
    """Return the addresses that can be linked to, by label; None where none were told."""
    urls = info.part("project_urls")
    if not urls.labels():
        return None
    return {_UNSTORABLE.sub("", label): url for label in urls.labels() if (url := urls.web_url(label))}


def _documentation(urls: Mapping[str, str]) -> str | None:
    """Return the address that is labelled as documentation."""
    by_label: dict[str, str] = {}
    for label, url in urls.items():
        by_label.setdefault(_bare(label), url)
    return next((by_label[label] for label in DOCUMENTATION if label in by_label), None)


def _bare(label: str) -> str:
    """Return a label without what people vary: case, blanks and punctuation."""
    return "".join(letter for letter in label.lower() if letter.isalnum())


def _vulnerabilities(told: Metadata) -> tuple[Vulnerability, ...] | None:
    """Return those that still hold; None where the index, or a mirror, does not look for them."""
    known = told.parts("vulnerabilities")
    return None if known is None else tuple(_vulnerability(one) for one in known if not one.text("withdrawn"))


def _vulnerability(told: Metadata) -> Vulnerability:
    lines = (told.word("details") or "").splitlines()
    summary = told.word("summary") or next((line.strip() for line in lines if line.strip()), "")
    return Vulnerability(
        id=told.needed_text("id"),
        aliases=told.texts("aliases") or (),
        summary=summary[:LONGEST_SUMMARY],
        link=told.web_url("link"),
        fixed_in=told.texts("fixed_in") or (),
    )
