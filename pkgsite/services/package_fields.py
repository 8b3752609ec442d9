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
from pkgsite.rules.pypi_names import is_pypi_name, pypi_name
from pkgsite.rules.repo_urls import normal_repo_url
from pkgsite.rules.slugs import LONGEST as LONGEST_SLUG
from pkgsite.rules.slugs import slug_of
from pkgsite.rules.texts import Typed
from pkgsite.services.package_places import leads_to, package_at, package_named, package_typed, slug_is_free

LONGEST_TITLE = 100
LONGEST_URL = 200
LONGEST_PYPI = 255
LONGEST_REF = 300  # characters by which another package is named

_SLUG = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9_])?")
_COMMAND = re.compile(
    r"^(?:\$ *)?(?:(?:python[\d.]*|py) +-m +)?(?:uv +)?(?:pip[\d.]*|pipx|uv|poetry|pdm) +(?:install|add) +",
    re.IGNORECASE,
)
_REQUIREMENT = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*?) *(?:\[[^\]]*\])? *(?:[=<>!~@;].*)?$")
RESERVED = frozenset({"p", "usage", "add"})  # the site's own words, where a slug stands in an address


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


def project_name(written: str) -> str:
    """Return the name that a person means on the package index; empty where what they wrote is none.

    >>> project_name("python -m pip install 'Django-Q[sentry]>=1.0'")
    'Django-Q'
    """
    written = written.strip()
    command = _COMMAND.match(written)
    if command:
        words = [word.strip("'\"") for word in written[command.end() :].split()]
        written = next((word for word in words if word and not word.startswith("-")), "")
    if "://" not in written and "/" in written.strip("/"):
        written = f"https://{written}"
    name = pypi_name(written)
    requirement = _REQUIREMENT.match(name)
    name = requirement.group(1) if requirement else name
    return name if is_pypi_name(name) else ""


def offered_slug(session: Session, title: str) -> str:
    """Return a slug made from a title that no package has."""
    return slug_of(title, noun="package", reserved=RESERVED, is_free=lambda slug: slug_is_free(session, slug))


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
    reading = _Reading(session, kinds, now, package)
    for name in changes:
        if name not in PackageChanges.__annotations__:
            reading.typed.refuse(name, "Unknown field.")
    if package is None:
        changes = {"title": "", "slug": None, "category": "", "repo_url": None, "pypi_url": None, **changes}
    for name in ("title", "category", "repo_url", "pypi_url", "documentation_url", "is_deprecated", "replaced_by"):
        if name in changes:
            getattr(reading, name)(changes[name])
    if "slug" in changes:
        reading.slug(changes["slug"])
    reading.check_places(changes)
    reading.typed.check()
    return reading.values


class _Reading:
    """Reads one field after the other into columns."""

    def __init__(self, session: Session, kinds: Mapping[str, str], now: datetime, package: Package | None) -> None:
        self.session, self.kinds, self.now, self.package = session, kinds, now, package
        self.id = package.id if package else None
        self.typed = Typed()
        self.values: dict[str, Any] = {}

    def title(self, written: str | None) -> None:
        self.values["title"] = self.typed.line("title", written, LONGEST_TITLE, is_needed=True)

    def slug(self, written: str | None) -> None:
        slug = self.typed.line("slug", written, LONGEST_SLUG)
        if "slug" in self.typed.problems or (self.package and slug in {"", self.package.slug}):
            return  # an odd slug that it has already may stay
        if not slug:
            slug = offered_slug(self.session, self.values.get("title", ""))
        elif not _SLUG.fullmatch(slug):
            self.typed.refuse(
                "slug",
                "Use letters (a–z), digits, hyphens, dots and underscores. Start and end with a letter or digit.",
            )
        elif slug.isdigit():
            self.typed.refuse("slug", "A slug can't consist of digits only.")
        elif slug.lower() in RESERVED:
            self.typed.refuse("slug", "This slug is reserved. Choose another.")
        elif not slug_is_free(self.session, slug, but=self.id):
            self.typed.refuse("slug", "This slug is or was used by another package. Choose another.", is_taken=True)
        self.values["slug"] = slug

    def category(self, written: str | None) -> None:
        slug = self.typed.line("category", written, LONGEST_SLUG)
        number = self.session.scalar(select(Category.id).where(Category.slug == slug)) if slug else None
        if number is None:
            self.typed.refuse("category", "Select a category.")
        self.values["category_id"] = number

    def repo_url(self, written: str | None) -> None:
        url = self.typed.line("repo_url", written, 10 * LONGEST_URL)
        if url and not (self.package and url == self.package.repo_url):
            try:
                url = normal_repo_url(url, self.kinds)
            except Invalid as refusal:
                self.typed.refuse("repo_url", " ".join(refusal.problems["repo_url"]))
                return
            self._fit("repo_url", url)
            there = package_at(self.session, url, self.kinds, but=self.id)
            if there:
                words = f"This repository is already listed as “{there.title}” ({there.slug})."
                self.typed.refuse("repo_url", words, is_taken=True)
        self.values["repo_url"] = url

    def pypi_url(self, written: str | None) -> None:
        text = self.typed.line("pypi_url", written, LONGEST_PYPI)
        if text and not (self.package and text == self.package.pypi_url):
            name = project_name(text)
            if not name:
                self.typed.refuse("pypi_url", "Enter a valid PyPI project name.")
            elif there := package_named(self.session, name, but=self.id):
                words = f"This project is already listed as “{there.title}” ({there.slug})."
                self.typed.refuse("pypi_url", words, is_taken=True)
            text = name
        self.values["pypi_url"] = text

    def documentation_url(self, written: str | None) -> None:
        if self.package and (written or "") == (self.package.documentation_url or ""):
            return  # an odd address that it has already may stay
        self.values["documentation_url"] = web_address(self.typed, "documentation_url", written)

    def is_deprecated(self, ticked: bool | None) -> None:
        since = self.package.deprecated_at if self.package else None
        self.values["deprecated_at"] = (since or self.now) if ticked else None

    def replaced_by(self, written: str | None) -> None:
        typed = self.typed.line("replaced_by", written, LONGEST_REF)
        self.values["replaced_by_id"] = None
        if not typed:
            return
        other = package_typed(self.session, typed)
        if other is None:
            self.typed.refuse("replaced_by", "No package has this slug or URL.")
        elif other.id == self.id:
            self.typed.refuse("replaced_by", "A package can't replace itself.")
        elif self.id and leads_to(self.session, other.id, self.id):
            self.typed.refuse(
                "replaced_by", f"“{other.title}” is already replaced by this package, directly or indirectly."
            )
        else:
            self.values["replaced_by_id"] = other.id

    def check_places(self, changes: Mapping[str, Any]) -> None:
        """Refuse a package of which nobody could tell where it is."""
        names = {"repo_url", "pypi_url"}
        if not names & changes.keys() or names & self.typed.problems.keys():
            return
        if not any(self.values.get(name, getattr(self.package, name, "")) for name in names):
            self.typed.refuse("repo_url", "Enter a repository URL, a PyPI project name, or both.")

    def _fit(self, name: str, url: str) -> None:
        if len(url) > LONGEST_URL:
            self.typed.refuse(name, f"The URL must be {LONGEST_URL} characters or fewer (currently {len(url)}).")


def web_address(typed: Typed, name: str, written: str | None, *, is_needed: bool = False) -> str | None:
    """Return the address of a web page that somebody typed, None for none; what is no address is noted."""
    text = typed.line(name, written, LONGEST_URL, is_needed=is_needed)
    if text and "://" not in text and re.match(r"^[\w-]+(\.[\w-]+)+(/|$)", text):
        text = f"https://{text}"
    if not text:
        return None
    if not safe_url(text) or len(text) > LONGEST_URL:
        typed.refuse(name, "Enter a URL that starts with https:// or http://.")
        return None
    return text
