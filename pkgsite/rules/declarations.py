"""What the packaging files in a package's repository declare: a substitute for facts that have not been fetched yet."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from pkgsite.rules.licences import licences
from pkgsite.rules.links import safe_url
from pkgsite.rules.project_links import documentation_url
from pkgsite.rules.versions import classified_versions, development_status, supports_python3

PYTHON_CLASSIFIER = "Programming Language :: Python"
DJANGO_CLASSIFIER = "Framework :: Django"
SHORT_COMMIT_LENGTH = 7
_COMMIT = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True, slots=True)
class Declaration:
    """The declarations of one source tree on GitHub; a value that is None is not declared."""

    version: str | None
    licence: str | None  # as it is written there
    requires_python: str | None
    classifiers: tuple[str, ...]
    project_urls: Mapping[str, str]  # by label
    repo: str  # "owner/name"
    path: str  # of the packaging file
    commit: str

    @property
    def source_url(self) -> str:
        """The URL of the packaging file at this commit."""
        return f"https://github.com/{self.repo}/blob/{self.commit}/{self.path}"

    @property
    def short_commit(self) -> str:
        return self.commit[:SHORT_COMMIT_LENGTH]

    @property
    def source_name(self) -> str:
        """The packaging file and its version, as in "setup.py 0.0.1", or "setup.py at 729612c" without a version."""
        return f"{self.path} {self.version}" if self.version else f"{self.path} at {self.short_commit}"

    @property
    def main_licence(self) -> str | None:
        return next(iter(licences(None, self.licence, self.classifiers)), None)

    @property
    def supports_python3(self) -> bool | None:
        return supports_python3(self.requires_python, self.classifiers)

    @property
    def python_versions(self) -> str | None:
        """The range of Python versions, or else the list of the classifiers."""
        return self.requires_python or ", ".join(classified_versions(self.classifiers, PYTHON_CLASSIFIER)) or None

    @property
    def django_versions(self) -> str | None:
        return ", ".join(classified_versions(self.classifiers, DJANGO_CLASSIFIER)) or None

    @property
    def development_status(self) -> int | None:
        return development_status(self.classifiers)

    @property
    def links(self) -> list[tuple[str, str]]:
        """The safe project URLs, with their labels."""
        return [(label, safe) for label, url in self.project_urls.items() if (safe := safe_url(url))]

    @property
    def documentation_url(self) -> str | None:
        return documentation_url(dict(self.links))

    def as_record(self) -> dict[str, Any]:
        """Return the JSON object that `from_record` reads."""
        return asdict(self)


_FIELDS = [field.name for field in fields(Declaration)]


def from_record(record: Mapping[str, Any]) -> Declaration:
    """Return the declaration in a JSON object."""
    values = {name: record[name] for name in _FIELDS}
    return Declaration(**values | {"classifiers": tuple(record["classifiers"])})


def parse_declarations(content: bytes) -> dict[str, Declaration]:
    """Return the declarations in a file, by the slug of the package.

    Raises:
        ValueError: The file is invalid.
    """
    declarations = {record["package"]: from_record(record) for record in json.loads(content)["declarations"]}
    invalid = [slug for slug, declaration in declarations.items() if not _COMMIT.fullmatch(declaration.commit)]
    if invalid:
        raise ValueError(f"declarations without a commit: {', '.join(invalid)}")
    return declarations
