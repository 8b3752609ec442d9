"""What people may write of a package: read, checked against the rules and against the other packages."""

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
from pkgsite.rules.pypi_names import is_pypi_name, parse_pypi_name
from pkgsite.rules.repo_urls import normalise_repo_url
from pkgsite.rules.slugs import MAX_LENGTH as MAX_SLUG_LENGTH
from pkgsite.rules.slugs import unique_slug
from pkgsite.rules.texts import FieldReader
from pkgsite.services.packages.lookup import (
    find_by_index_name,
    find_by_reference,
    find_by_repo_url,
    is_replaced_by,
    is_slug_available,
)

MAX_TITLE_LENGTH = 100
MAX_URL_LENGTH = 200
MAX_PYPI_LENGTH = 255
MAX_REFERENCE_LENGTH = 300  # characters by which another package is named

_SLUG = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9_])?")
_COMMAND = re.compile(
    r"^(?:\$ *)?(?:(?:python[\d.]*|py) +-m +)?(?:uv +)?(?:pip[\d.]*|pipx|uv|poetry|pdm) +(?:install|add) +",
    re.IGNORECASE,
)
_REQUIREMENT = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*?) *(?:\[[^\]]*\])? *(?:[=<>!~@;].*)?$")
RESERVED_SLUGS = frozenset({"p", "usage", "add"})  # the site's own words, where a slug stands in an address


class PackageChanges(TypedDict, total=False):
    """What a person writes of a package: what is absent stays as it is, None clears."""

    title: str
    slug: str | None  # for a new package, None: made from the title
    category: str  # its slug
    repo_url: str | None
    pypi_url: str | None  # a name, the address of a project's page, or the command that installs it
    documentation_url: str | None
    is_deprecated: bool
    replaced_by: str | None  # another package's slug, or its page's address


def parse_project_name(value: str) -> str:
    """Return the name that a person means on the package index; empty where what they wrote is none.

    >>> parse_project_name("python -m pip install 'Django-Q[sentry]>=1.0'")
    'Django-Q'
    """
    value = value.strip()
    command = _COMMAND.match(value)
    if command:
        message = [word.strip("'\"") for word in value[command.end() :].split()]
        value = next((word for word in message if word and not word.startswith("-")), "")
    if "://" not in value and "/" in value.strip("/"):
        value = f"https://{value}"
    name = parse_pypi_name(value)
    requirement = _REQUIREMENT.match(name)
    name = requirement.group(1) if requirement else name
    return name if is_pypi_name(name) else ""


def suggest_slug(session: Session, title: str) -> str:
    """Return a slug made from a title that no package has."""
    return unique_slug(
        title, noun="package", reserved=RESERVED_SLUGS, is_available=lambda slug: is_slug_available(session, slug)
    )


def read_changes(
    session: Session,
    changes: Mapping[str, Any],
    *,
    kinds: Mapping[str, str],
    now: datetime,
    package: Package | None = None,
) -> dict[str, Any]:
    """Return the columns that follow from what a person wrote, in a transaction that keeps others out.

    Args:
        changes: As `PackageChanges`.
        kinds: The kinds of the code hosts that can be asked, by which addresses are read.
        now: When something becomes deprecated.
        package: The one that is changed; None: a new one.

    Raises:
        Invalid: something can't be accepted, or is another package's.
    """
    package_reader = _PackageReader(session, kinds, now, package)
    for name in changes:
        if name not in PackageChanges.__annotations__:
            package_reader.fields.add_error(name, "Unknown field.")
    if package is None:
        changes = {"title": "", "slug": None, "category": "", "repo_url": None, "pypi_url": None, **changes}
    for name in ("title", "category", "repo_url", "pypi_url", "documentation_url", "is_deprecated", "replaced_by"):
        if name in changes:
            getattr(package_reader, name)(changes[name])
    if "slug" in changes:
        package_reader.slug(changes["slug"])
    package_reader.require_reference(changes)
    package_reader.fields.raise_if_invalid()
    return package_reader.values


class _PackageReader:
    """Reads one field after the other into columns."""

    def __init__(self, session: Session, kinds: Mapping[str, str], now: datetime, package: Package | None) -> None:
        self.session, self.kinds, self.now, self.package = session, kinds, now, package
        self.id = package.id if package else None
        self.fields = FieldReader()
        self.values: dict[str, Any] = {}

    def title(self, value: str | None) -> None:
        self.values["title"] = self.fields.read_line("title", value, MAX_TITLE_LENGTH, is_required=True)

    def slug(self, value: str | None) -> None:
        slug = self.fields.read_line("slug", value, MAX_SLUG_LENGTH)
        if "slug" in self.fields.problems or (self.package and slug in {"", self.package.slug}):
            return  # an odd slug that it has already may stay
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
        url = self.fields.read_line("repo_url", value, 10 * MAX_URL_LENGTH)
        if url and not (self.package and url == self.package.repo_url):
            try:
                url = normalise_repo_url(url, self.kinds)
            except Invalid as refusal:
                self.fields.add_error("repo_url", " ".join(refusal.problems["repo_url"]))
                return
            self._check_url_length("repo_url", url)
            existing = find_by_repo_url(self.session, url, self.kinds, exclude_id=self.id)
            if existing:
                message = f"This repository is already listed as “{existing.title}” ({existing.slug})."
                self.fields.add_error("repo_url", message, already_exists=True)
        self.values["repo_url"] = url

    def pypi_url(self, value: str | None) -> None:
        text = self.fields.read_line("pypi_url", value, MAX_PYPI_LENGTH)
        if text and not (self.package and text == self.package.pypi_url):
            name = parse_project_name(text)
            if not name:
                self.fields.add_error("pypi_url", "Enter a valid PyPI project name.")
            elif existing := find_by_index_name(self.session, name, exclude_id=self.id):
                message = f"This project is already listed as “{existing.title}” ({existing.slug})."
                self.fields.add_error("pypi_url", message, already_exists=True)
            text = name
        self.values["pypi_url"] = text

    def documentation_url(self, value: str | None) -> None:
        if self.package and (value or "") == (self.package.documentation_url or ""):
            return  # an odd address that it has already may stay
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
        """Refuse a package of which nobody could tell where it is."""
        names = {"repo_url", "pypi_url"}
        if not names & changes.keys() or names & self.fields.problems.keys():
            return
        if not any(self.values.get(name, getattr(self.package, name, "")) for name in names):
            self.fields.add_error("repo_url", "Enter a repository URL, a PyPI project name, or both.")

    def _check_url_length(self, name: str, url: str) -> None:
        if len(url) > MAX_URL_LENGTH:
            self.fields.add_error(name, f"The URL must be {MAX_URL_LENGTH} characters or fewer (currently {len(url)}).")


def read_url(reader: FieldReader, name: str, value: str | None, *, is_required: bool = False) -> str | None:
    """Return the address of a web page that somebody typed, None for none; what is no address is noted."""
    text = reader.read_line(name, value, MAX_URL_LENGTH, is_required=is_required)
    if text and "://" not in text and re.match(r"^[\w-]+(\.[\w-]+)+(/|$)", text):
        text = f"https://{text}"
    if not text:
        return None
    if not safe_url(text) or len(text) > MAX_URL_LENGTH:
        reader.add_error(name, "Enter a URL that starts with https:// or http://.")
        return None
    return text
