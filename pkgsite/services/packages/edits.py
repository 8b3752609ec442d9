"""Edits of packages, and what their forms show."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypedDict

from sqlalchemy import func, select
from sqlalchemy.orm import Session, load_only

from pkgsite.clients.base import DEFAULT_INDEX_URL, Gateways
from pkgsite.errors import Forbidden, Invalid, NotFound
from pkgsite.models import Category, Grid, GridPackage, Package, Revision, User
from pkgsite.rules.freshness import Priority
from pkgsite.rules.repo_urls import normalise_repo_url, repo_key
from pkgsite.services.changeset import PACKAGE, Changeset, check_version
from pkgsite.services.packages.fields import PackageChanges, parse_project_name, read_changes
from pkgsite.services.packages.lookup import find_duplicate, lock_package_references, packages_of_repository
from pkgsite.services.packages.records import Ref, missing_slug_error
from pkgsite.services.permissions import Viewer
from pkgsite.services.refresh.apply import update_score
from pkgsite.services.refresh.sources import make_due, sync_sources_in_transaction

REFERENCE_FIELDS = {"slug", "repo_url", "pypi_url", "replaced_by"}  # compared with those of other packages


@dataclass(frozen=True, slots=True)
class AddPackage:
    """Add a package, also to the grid with the slug `grid` if set; its facts are fetched as soon as possible."""

    changes: PackageChanges
    grid: str | None = None

    def apply(self, changeset: Changeset) -> Package:
        """Add the package.

        Raises:
            Forbidden: The grid is locked.
            Invalid: A field is invalid, or the package is already listed.
            NotFound: The grid does not exist.
        """
        lock_package_references(changeset.session)
        values = read_changes(changeset.session, self.changes, **_hosts(changeset), now=changeset.now)
        package = Package(**values)
        update_score(package, now=changeset.now)
        changeset.add(package)
        if self.grid:
            add_to_grid(changeset, self.grid, package)
        _refresh_soon(changeset, package)
        return package


@dataclass(frozen=True, slots=True)
class EditPackage:
    """Change the fields of a package; `expected_version` None accepts any version."""

    package_id: int
    changes: PackageChanges
    expected_version: int | None = None

    def apply(self, changeset: Changeset) -> Package:
        """Change the package.

        Raises:
            Conflict: The package has changed since the expected version.
            Invalid: A field is invalid.
            NotFound: The user cannot see such a package.
        """
        if self.changes.keys() & REFERENCE_FIELDS:
            lock_package_references(changeset.session)
        package = lock_package(changeset, self.package_id)
        check_version(package, self.expected_version)
        values = read_changes(changeset.session, self.changes, **_hosts(changeset), now=changeset.now, package=package)
        source_urls = (package.repo_url, package.pypi_url)
        changeset.edit(package, values)
        if source_urls != (package.repo_url, package.pypi_url):
            _refresh_soon(changeset, package)
        return package


@dataclass(frozen=True, slots=True)
class EditDocumentation:
    """Set the documentation URL of a package; None: use the URL from the package index."""

    package_id: int
    documentation_url: str | None
    expected_version: int | None = None

    def apply(self, changeset: Changeset) -> Package:
        """Change the package.

        Raises:
            Conflict, Invalid, NotFound: As for `EditPackage`.
        """
        changes: PackageChanges = {"documentation_url": self.documentation_url}
        return EditPackage(self.package_id, changes, self.expected_version).apply(changeset)


def add_to_grid(changeset: Changeset, slug: str, package: Package) -> GridPackage:
    """Add a package to a grid, unless the grid already has it.

    Raises:
        Forbidden: The grid is locked, and the user is not a moderator.
        NotFound: The grid does not exist.
    """
    grid = changeset.session.scalar(select(Grid).where(Grid.slug == slug).with_for_update())
    if grid is None:
        raise NotFound("Grid")
    if grid.is_locked and not changeset.by.is_moderator:
        raise Forbidden("This grid is locked. Only moderators can edit it.")
    existing = changeset.session.scalar(
        select(GridPackage).where(GridPackage.grid_id == grid.id, GridPackage.package_id == package.id)
    )
    if existing is not None:
        return existing
    count = select(func.count()).where(GridPackage.package_id == package.id)
    membership = GridPackage(
        grid_id=grid.id, package_id=package.id, position=changeset.session.scalar(count) or 0, created_at=changeset.now
    )
    changeset.add(membership)
    return membership


# An edit reads these columns only, and not the facts, some of which are large.
_EDITED_COLUMNS = (*(getattr(Package, name) for name in PACKAGE.fields), Package.version)


def lock_package(changeset: Changeset, package_id: int) -> Package:
    """Return a package that the user can change, and lock its row.

    Raises:
        NotFound: The package does not exist, or it is hidden and the user is not a moderator.
    """
    package = changeset.session.get(
        Package, package_id, with_for_update=True, options=[load_only(*_EDITED_COLUMNS, raiseload=True)]
    )
    if package is None or (package.hidden_at is not None and not changeset.by.is_moderator):
        raise NotFound("Package")
    return package


@dataclass(frozen=True, slots=True)
class EditablePackage:
    """The fields of a package that users edit, as the forms show them."""

    id: int
    title: str
    slug: str
    category: str
    repo_url: str
    repo_directory: str
    pypi_url: str
    documentation_url: str
    index_documentation_url: str | None
    deprecated_at: datetime | None
    replaced_by: str
    hidden_at: datetime | None
    version: int
    changed_by: str | None  # the user who changed it last, and when
    changed_at: datetime | None

    def field(self, name: str) -> Any:
        """Return a field by its name in `PackageChanges`."""
        return self.deprecated_at is not None if name == "is_deprecated" else getattr(self, name)


def get_package_for_editing(session: Session, slug: str, viewer: Viewer) -> EditablePackage:
    """Return the package with this slug, for its forms.

    Raises:
        Moved: The slug is a former one, or its package was merged into another.
        NotFound: The user cannot see such a package.
    """
    visibility = [] if viewer.is_moderator else [Package.hidden_at.is_(None)]
    row = session.execute(
        select(Package, Category.slug).join(Category).where(Package.slug == slug, *visibility)
    ).one_or_none()
    if row is None:
        raise missing_slug_error(session, slug)
    package: Package = row[0]
    replaced_by = select(Package.slug).where(Package.id == package.replaced_by_id)
    last_change = session.execute(
        select(User.username, Revision.at)
        .outerjoin(User, User.id == Revision.user_id)
        .where(Revision.object_type == "package", Revision.object_id == package.id)
        .order_by(Revision.id.desc())
        .limit(1)
    ).one_or_none()
    return EditablePackage(
        id=package.id,
        title=package.title,
        slug=package.slug,
        category=row[1],
        repo_url=package.repo_url,
        repo_directory=package.repo_directory,
        pypi_url=package.pypi_url,
        documentation_url=package.documentation_url or "",
        index_documentation_url=package.index_documentation_url,
        deprecated_at=package.deprecated_at,
        replaced_by=session.scalar(replaced_by) or "",
        hidden_at=package.hidden_at,
        version=package.version,
        changed_by=last_change[0] if last_change else None,
        changed_at=last_change[1] if last_change else None,
    )


@dataclass(frozen=True, slots=True)
class SharedRepository:
    """The packages that are already in the repository that a package gets.

    Attributes:
        has_duplicate: Whether one of them can be the same package, so that it can't be added.
    """

    packages: list[Ref]
    has_duplicate: bool = False

    @property
    def needs_confirmation(self) -> bool:
        """Whether the user has to confirm that the package is another one."""
        return bool(self.packages) and not self.has_duplicate


def shared_repository(
    session: Session, changes: PackageChanges, gateways: Gateways, *, package: EditablePackage | None = None
) -> SharedRepository:
    """Return the packages in the repository that changes enter; none if it is the package's own one or invalid."""
    try:
        repo_url = normalise_repo_url(changes.get("repo_url") or "", gateways.host_kinds)
    except Invalid:  # reported when the changes are applied
        return SharedRepository([])
    if package and repo_key(repo_url) == repo_key(package.repo_url):
        return SharedRepository([])
    project = changes.get("pypi_url") or (package.pypi_url if package and "pypi_url" not in changes else "")
    listed = packages_of_repository(session, repo_url, gateways.host_kinds, exclude_id=package.id if package else None)
    duplicate = find_duplicate(listed, parse_project_name(project))
    return SharedRepository(list(dict.fromkeys(other.ref for other in listed)), duplicate is not None)


def category_choices(session: Session) -> list[tuple[str, str]]:
    """Return the slug and title of each category, ordered by title."""
    rows = session.execute(select(Category.slug, Category.title).order_by(Category.title))
    return [(row.slug, row.title) for row in rows]


def find_open_grid_title(session: Session, slug: str, viewer: Viewer) -> str | None:
    """Return the title of a grid that the user can add packages to; None if it does not exist.

    Raises:
        Invalid: The grid is locked.
    """
    row = session.execute(select(Grid.title, Grid.is_locked).where(Grid.slug == slug)).one_or_none()
    if row is None:
        return None
    if row.is_locked and not viewer.is_moderator:
        raise Invalid({"grid": [f"The grid “{row.title}” is locked, so the package won't be added to it."]})
    return str(row.title)


class _Hosts(TypedDict):
    kinds: Mapping[str, str]
    index_url: str


def _hosts(changeset: Changeset) -> _Hosts:
    gateways = changeset.gateways
    if gateways is None:
        return {"kinds": {}, "index_url": DEFAULT_INDEX_URL}
    return {"kinds": gateways.host_kinds, "index_url": gateways.package_index_url}


def _refresh_soon(changeset: Changeset, package: Package) -> None:
    """Fetch the facts of a package before those that are merely stale."""
    if changeset.gateways:
        changeset.session.flush()
        sync_sources_in_transaction(changeset.session, changeset.gateways, now=changeset.now, package_ids=[package.id])
        make_due(changeset.session, priority=Priority.USER_REQUEST, now=changeset.now, package_ids=[package.id])
