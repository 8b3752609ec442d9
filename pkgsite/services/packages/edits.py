"""What people do to packages: each act by its name, with arguments that JSON can carry."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from pkgsite.errors import Forbidden, Invalid, NotFound
from pkgsite.models import Category, Grid, GridPackage, Package, Revision, User
from pkgsite.rules.freshness import Priority
from pkgsite.services.changeset import Changeset, check_version
from pkgsite.services.packages.fields import PackageChanges, read_changes
from pkgsite.services.packages.lookup import lock_package_references
from pkgsite.services.packages.records import missing_slug_error
from pkgsite.services.packages.sites import add_site, delete_site, edit_site
from pkgsite.services.permissions import Viewer
from pkgsite.services.refresh.sources import make_due, sync_sources_in_transaction


def add_package(changeset: Changeset, *, changes: PackageChanges, grid: str | None = None) -> Package:
    """Add a package, and put it into a grid if one is named; what other sites tell of it is asked for at once.

    Raises:
        Forbidden: the grid is locked.
        Invalid: something is wrong with a field, or the package is here already.
        NotFound: there is no such grid.
    """
    lock_package_references(changeset.session)
    values = read_changes(changeset.session, changes, kinds=_host_kinds(changeset), now=changeset.now)
    package = Package(**values)
    changeset.add(package)
    if grid:
        add_to_grid(changeset, grid, package)
    _refresh_soon(changeset, package)
    return package


def edit_package(
    changeset: Changeset, *, package_id: int, changes: PackageChanges, version: int | None = None
) -> Package:
    """Change what people write of a package.

    Args:
        changeset: Whose.
        package_id: Which.
        changes: What is to be otherwise; what is absent stays.
        version: The one on which the change began; None: whoever asks doesn't say.

    Raises:
        Conflict: somebody has changed the package since.
        Invalid: something is wrong with a field.
        NotFound: there is no such package for this person.
    """
    lock_package_references(changeset.session)
    package = lock_package(changeset, package_id)
    check_version(package, version)
    values = read_changes(changeset.session, changes, kinds=_host_kinds(changeset), now=changeset.now, package=package)
    old_references = (package.repo_url, package.pypi_url)
    changeset.edit(package, values)
    if old_references != (package.repo_url, package.pypi_url):
        _refresh_soon(changeset, package)
    return package


def edit_documentation(
    changeset: Changeset, *, package_id: int, documentation_url: str | None, version: int | None = None
) -> Package:
    """Say where a package's documentation is; None: nobody says, and what the package index tells is shown.

    Raises:
        Conflict, Invalid, NotFound: as for `edit_package`.
    """
    return edit_package(
        changeset, package_id=package_id, changes={"documentation_url": documentation_url}, version=version
    )


def add_to_grid(changeset: Changeset, slug: str, package: Package) -> GridPackage:
    """Put a package into a grid, unless it is there already.

    Raises:
        Forbidden: the grid is locked, and this is no moderator.
        NotFound: there is no such grid.
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


def lock_package(changeset: Changeset, package_id: int) -> Package:
    """Return a package that this person may change, and let nobody else change it meanwhile.

    Raises:
        NotFound: there is none, or it is hidden, and this is no moderator.
    """
    package = changeset.session.get(Package, package_id, with_for_update=True)
    if package is None or (package.hidden_at is not None and not changeset.by.is_moderator):
        raise NotFound("Package")
    return package


@dataclass(frozen=True, slots=True)
class EditablePackage:
    """What people have written of a package, as its forms show it."""

    id: int
    title: str
    slug: str
    category: str
    repo_url: str
    pypi_url: str
    documentation_url: str
    index_documentation_url: str | None
    deprecated_at: datetime | None
    replaced_by: str
    hidden_at: datetime | None
    version: int
    changed_by: str | None  # who changed it last, and when
    changed_at: datetime | None

    def field(self, name: str) -> Any:
        """Return a field as `PackageChanges` names it."""
        return self.deprecated_at is not None if name == "is_deprecated" else getattr(self, name)


def get_package_for_editing(session: Session, slug: str, viewer: Viewer) -> EditablePackage:
    """Return what people have written of the package with this slug.

    Raises:
        Moved: a package once had this slug, or was merged into another.
        NotFound: there is none for this person.
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


def category_choices(session: Session) -> list[tuple[str, str]]:
    """Return the slug and the title of each category, by title."""
    rows = session.execute(select(Category.slug, Category.title).order_by(Category.title))
    return [(row.slug, row.title) for row in rows]


def find_open_grid_title(session: Session, slug: str, viewer: Viewer) -> str | None:
    """Return the title of a grid that this person may put a package into; None where there is none.

    Raises:
        Invalid: it is locked.
    """
    row = session.execute(select(Grid.title, Grid.is_locked).where(Grid.slug == slug)).one_or_none()
    if row is None:
        return None
    if row.is_locked and not viewer.is_moderator:
        raise Invalid({"grid": [f"The grid “{row.title}” is locked, so the package won't be added to it."]})
    return str(row.title)


def _host_kinds(changeset: Changeset) -> Mapping[str, str]:
    return changeset.gateways.host_kinds if changeset.gateways else {}


def _refresh_soon(changeset: Changeset, package: Package) -> None:
    """Let what other sites tell of a package be asked for before what is merely old."""
    if changeset.gateways:
        changeset.session.flush()
        sync_sources_in_transaction(changeset.session, changeset.gateways, now=changeset.now, package_ids=[package.id])
        make_due(changeset.session, priority=Priority.USER_REQUEST, now=changeset.now, package_ids=[package.id])


PACKAGE_ACTIONS: dict[str, Callable[..., Any]] = {
    "package.add": add_package,
    "package.edit": edit_package,
    "package.documentation": edit_documentation,
    "site.add": add_site,
    "site.edit": edit_site,
    "site.delete": delete_site,
}
