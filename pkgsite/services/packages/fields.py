"""The editable fields of a package: reading and validating them, also against the other packages."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, TypedDict

from sqlalchemy import select
from sqlalchemy.orm import Session

from pkgsite.errors import Invalid
from pkgsite.models import Category, Package
from pkgsite.rules.links import safe_url
from pkgsite.rules.pypi_names import is_pypi_name, parse_pypi_name, project_url
from pkgsite.rules.repo_urls import parse_repo_address, repo_key
from pkgsite.rules.slugs import MAX_LENGTH as MAX_SLUG_LENGTH
from pkgsite.rules.slugs import unique_slug
from pkgsite.rules.texts import FieldReader
from pkgsite.services.packages.lookup import (
    find_by_index_name,
    find_by_reference,
    find_in_repository,
    is_replaced_by,
    is_slug_available,
)

MAX_TITLE_LENGTH = 100
MAX_URL_LENGTH = 200
MAX_PYPI_LENGTH = 255
MAX_REFERENCE_LENGTH = 300  # of another package's slug or URL

_SLUG = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9_])?")
_COMMAND = re.compile(
    r"^(?:\$ *)?(?:(?:python[\d.]*|py) +-m +)?(?:uv +)?(?:pip[\d.]*|pipx|uv|poetry|pdm) +(?:install|add) +",
    re.IGNORECASE,
)
_REQUIREMENT = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*?) *(?:\[[^\]]*\])? *(?:[=<>!~@;].*)?$")
# The order in which fields are validated: a directory that is entered replaces the one in the repository URL.
READING_ORDER = (
    "title",
    "category",
    "repo_url",
    "repo_directory",
    "pypi_url",
    "documentation_url",
    "is_deprecated",
    "replaced_by",
)
RESERVED_SLUGS = frozenset({"p", "usage", "add"})  # path segments that would be ambiguous with a slug


class PackageChanges(TypedDict, total=False):
    """Submitted changes of a package: absent fields stay as they are, None clears a field."""

    title: str
    slug: str | None  # for a new package, None to derive it from the title
    category: str  # its slug
    repo_url: str | None
    repo_directory: str | None  # the package's directory in the repository
    pypi_url: str | None  # a project name, the URL of its page, or an install command
    documentation_url: str | None
    is_deprecated: bool
    replaced_by: str | None  # another package's slug, or the URL of its page


def parse_project_name(value: str) -> str:
    """Return the project name in a name, an install command or a project's URL; "" if there is none.

    >>> parse_project_name("python -m pip install 'Django-Q[sentry]>=1.0'")
    'Django-Q'
    """
    value = value.strip()
    command = _COMMAND.match(value)
    if command:
        arguments = [argument.strip("'\"") for argument in value[command.end() :].split()]
        value = next((argument for argument in arguments if argument and not argument.startswith("-")), "")
    if "://" not in value and "/" in value.strip("/"):
        value = f"https://{value}"
    name = parse_pypi_name(value)
    requirement = _REQUIREMENT.match(name)
    name = requirement.group(1) if requirement else name
    return name if is_pypi_name(name) else ""


def suggest_slug(session: Session, title: str) -> str:
    """Return an available slug for a title."""
    return unique_slug(
        title, noun="package", reserved=RESERVED_SLUGS, is_available=lambda slug: is_slug_available(session, slug)
    )


def read_changes(
    session: Session,
    changes: Mapping[str, Any],
    *,
    kinds: Mapping[str, str],
    index_url: str,
    now: datetime,
    package: Package | None = None,
) -> dict[str, Any]:
    """Validate changes, and return the values of the columns; the caller has locked package references.

    Args:
        changes: The changes, as in `PackageChanges`.
        kinds: The kinds of the supported code hosts, by host name.
        index_url: The URL of the package index.
        now: The current time, for `deprecated_at`.
        package: The package to change; None for a new one.

    Raises:
        Invalid: A value is invalid, or another package has it.
    """
    package_reader = _PackageReader(session, kinds, index_url, now, package)
    for name in changes:
        if name not in PackageChanges.__annotations__:
            package_reader.fields.add_error(name, "Unknown field.")
    if package is None:
        changes = {"title": "", "slug": None, "category": "", "repo_url": None, "pypi_url": None, **changes}
    for name in READING_ORDER:
        if name in changes:
            getattr(package_reader, name)(changes[name])
    if "slug" in changes:
        package_reader.slug(changes["slug"])
    package_reader.require_reference(changes)
    package_reader.require_own_project()
    package_reader.fields.raise_if_invalid()
    return package_reader.values


class _PackageReader:
    """Validates fields one by one; each method has the name of its field, and sets values of columns."""

    def __init__(
        self, session: Session, host_kinds: Mapping[str, str], index_url: str, now: datetime, package: Package | None
    ) -> None:
        self.session, self.host_kinds, self.index_url, self.now = session, host_kinds, index_url, now
        self.package = package
        self.id = package.id if package else None
        self.fields = FieldReader()
        self.values: dict[str, Any] = {}

    def title(self, value: str | None) -> None:
        self.values["title"] = self.fields.read_line("title", value, MAX_TITLE_LENGTH, is_required=True)

    def slug(self, value: str | None) -> None:
        slug = self.fields.read_line("slug", value, MAX_SLUG_LENGTH)
        if "slug" in self.fields.problems or (self.package and slug in {"", self.package.slug}):
            return  # keep an existing slug, even if it is no longer valid
        if not slug:
            slug = suggest_slug(self.session, self.values.get("title", ""))
        elif not _SLUG.fullmatch(slug):
            self.fields.add_error(
                "slug",
                "Use letters (a–z), digits, hyphens, dots and underscores. Start and end with a letter or digit.",
            )
        elif slug.isdigit():
            self.fields.add_error("slug", "A slug can't consist of digits only.")
        elif slug.lower() in RESERVED_SLUGS:
            self.fields.add_error("slug", "This slug is reserved. Choose another.")
        elif not is_slug_available(self.session, slug, exclude_id=self.id):
            self.fields.add_error(
                "slug", "This slug is or was used by another package. Choose another.", already_exists=True
            )
        self.values["slug"] = slug

    def category(self, value: str | None) -> None:
        slug = self.fields.read_line("category", value, MAX_SLUG_LENGTH)
        category_id = self.session.scalar(select(Category.id).where(Category.slug == slug)) if slug else None
        if category_id is None:
            self.fields.add_error("category", "Select a category.")
        self.values["category_id"] = category_id

    def repo_url(self, value: str | None) -> None:
        url, directory = self.fields.read_line("repo_url", value, 10 * MAX_URL_LENGTH), ""
        if self.package and url == self.package.repo_url:
            return  # keep an existing URL, even if it is no longer valid
        if url:
            try:
                address = parse_repo_address(url, self.host_kinds)
            except Invalid as error:
                self.fields.add_error("repo_url", " ".join(error.problems["repo_url"]))
                return
            url, directory = address.url, address.directory
            if len(url) > MAX_URL_LENGTH:
                self.fields.add_error(
                    "repo_url", f"The URL must be {MAX_URL_LENGTH} characters or fewer (currently {len(url)})."
                )
        self.values["repo_url"] = url
        if directory or not self.package or repo_key(url) != repo_key(self.package.repo_url):
            self.repo_directory(directory)

    def repo_directory(self, value: str | None) -> None:
        text = self.fields.read_line("repo_directory", value, MAX_URL_LENGTH)
        parts = [part for part in text.split("/") if part not in {"", "."}]
        if ".." in parts or "://" in text:
            message = "Enter the path of a directory in the repository, such as packages/core."
            self.fields.add_error("repo_directory", message)
        self.values["repo_directory"] = "/".join(parts)

    def pypi_url(self, value: str | None) -> None:
        text = self.fields.read_line("pypi_url", value, MAX_PYPI_LENGTH)
        if text and not (self.package and text == self.package.pypi_url):
            name = parse_project_name(text)
            if not name:
                self.fields.add_error("pypi_url", "Enter a valid PyPI project name.")
            elif existing := find_by_index_name(self.session, name, exclude_id=self.id):
                message = f"This project is already listed as “{existing.title}” ({existing.slug})."
                self.fields.add_error("pypi_url", message, already_exists=True)
            url = project_url(self.index_url, name) or ""
            text = url if parse_pypi_name(url) == name and len(url) <= MAX_PYPI_LENGTH else name
        self.values["pypi_url"] = text

    def documentation_url(self, value: str | None) -> None:
        if self.package and (value or "") == (self.package.documentation_url or ""):
            return  # keep an existing URL, even if it is no longer valid
        self.values["documentation_url"] = read_url(self.fields, "documentation_url", value)

    def is_deprecated(self, is_set: bool | None) -> None:
        deprecated_at = self.package.deprecated_at if self.package else None
        self.values["deprecated_at"] = (deprecated_at or self.now) if is_set else None

    def replaced_by(self, value: str | None) -> None:
        reference = self.fields.read_line("replaced_by", value, MAX_REFERENCE_LENGTH)
        self.values["replaced_by_id"] = None
        if not reference:
            return
        other = find_by_reference(self.session, reference)
        if other is None:
            self.fields.add_error("replaced_by", "No package has this slug or URL.")
        elif other.id == self.id:
            self.fields.add_error("replaced_by", "A package can't replace itself.")
        elif self.id and is_replaced_by(self.session, other.id, self.id):
            self.fields.add_error(
                "replaced_by", f"“{other.title}” is already replaced by this package, directly or indirectly."
            )
        else:
            self.values["replaced_by_id"] = other.id

    def require_reference(self, changes: Mapping[str, Any]) -> None:
        """Add an error if the package would have neither a repository nor a PyPI project."""
        names = {"repo_url", "pypi_url"}
        if not names & changes.keys() or names & self.fields.problems.keys():
            return
        if not any(self.values.get(name, getattr(self.package, name, "")) for name in names):
            self.fields.add_error("repo_url", "Enter a repository URL, a PyPI project name, or both.")

    def require_own_project(self) -> None:
        """Add an error if another package with the same repository could be the same package.

        What distinguishes the packages in one repository is their projects on the package index.
        """
        names = {"repo_url", "pypi_url"}
        if not names & self.values.keys() or names & self.fields.problems.keys():
            return
        old_url, old_project = (self.package.repo_url, self.package.pypi_url) if self.package else ("", "")
        url, project = self.values.get("repo_url", old_url), self.values.get("pypi_url", old_project)
        has_new_repo = repo_key(url) != repo_key(old_url)
        if not url or not (has_new_repo or (old_project and not project)):
            return
        existing = find_in_repository(self.session, url, project, self.host_kinds, exclude_id=self.id)
        if existing is None:
            return
        listed = f"This repository is already listed as “{existing.title}” ({existing.slug})."
        if has_new_repo:
            hint = " If it has several packages, enter the PyPI project of each one." if not project else ""
            self.fields.add_error("repo_url", listed + hint, already_exists=True)
        else:
            self.fields.add_error("pypi_url", f"{listed} Packages in one repository need different PyPI projects.")


def read_url(reader: FieldReader, name: str, value: str | None, *, is_required: bool = False) -> str | None:
    """Return a submitted web address with its scheme, or None if it is empty or invalid, after adding an error."""
    text = reader.read_line(name, value, MAX_URL_LENGTH, is_required=is_required)
    if text and "://" not in text and re.match(r"^[\w-]+(\.[\w-]+)+(/|$)", text):
        text = f"https://{text}"
    if not text:
        return None
    if not safe_url(text) or len(text) > MAX_URL_LENGTH:
        reader.add_error(name, "Enter a URL that starts with https:// or http://.")
        return None
    return text
