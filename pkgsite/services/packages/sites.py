"""Links to sites that use a package: written by people, shown once a moderator has looked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from pkgsite.errors import Invalid, NotFound
from pkgsite.models import Package, UsingSite
from pkgsite.rules.texts import FieldReader
from pkgsite.services.changeset import Changeset, check_version
from pkgsite.services.packages.fields import read_url
from pkgsite.services.permissions import Viewer, require_moderator, require_owner_or_moderator

MAX_TITLE_LENGTH = 100
MAX_PENDING_SITES = 20  # of one person


@dataclass(frozen=True, slots=True)
class EditableSite:
    """A link as its forms show it, with the package that it belongs to."""

    id: int
    title: str
    url: str
    is_approved: bool | None
    version: int
    created_by_id: int | None
    package_title: str
    package_slug: str


def add_site(changeset: Changeset, *, package_id: int, title: str, url: str) -> UsingSite:
    """Add a link to a site that uses a package; a moderator's is shown at once.

    Raises:
        Invalid: something is wrong with a field, the site is listed already, or this person has too many that wait.
        NotFound: there is no such package for this person.
    """
    _lock_package(changeset, package_id)
    values = _read_fields(changeset, title, url, package_id=package_id)
    if not changeset.by.is_moderator:
        pending_count = select(func.count()).where(
            UsingSite.created_by_id == changeset.user_id, UsingSite.is_approved.is_(None)
        )
        if (changeset.session.scalar(pending_count) or 0) >= MAX_PENDING_SITES:
            raise Invalid(
                {
                    "url": [
                        (
                            f"You have {MAX_PENDING_SITES} links pending review. Wait until they have been reviewed "
                            "before adding more."
                        )
                    ]
                }
            )
    site = UsingSite(package_id=package_id, **values, is_approved=True if changeset.by.is_moderator else None)
    changeset.add(site)
    return site


def edit_site(changeset: Changeset, *, site_id: int, title: str, url: str, version: int | None = None) -> UsingSite:
    """Change a link. One that was shown, or refused, is looked at again, unless a moderator changes it.

    Raises:
        Conflict: somebody has changed it since.
        Forbidden: this person did not add it.
        Invalid: something is wrong with a field.
        NotFound: there is no such link.
    """
    site = _lock_site(changeset, site_id)
    check_version(site, version)
    values: dict[str, Any] = _read_fields(changeset, title, url, package_id=site.package_id, exclude_id=site.id)
    is_same = values == {"title": site.title, "url": site.url}
    if not is_same and not changeset.by.is_moderator:
        values |= {"is_approved": None}
    changeset.edit(site, values)
    return site


def delete_site(changeset: Changeset, *, site_id: int) -> UsingSite:
    """Remove a link.

    Raises:
        Forbidden: this person did not add it.
        NotFound: there is no such link.
    """
    site = _lock_site(changeset, site_id)
    changeset.delete(site)
    return site


def set_site_approval(changeset: Changeset, site_id: int, *, is_approved: bool) -> UsingSite:
    """Show a link, or refuse to.

    Raises:
        Forbidden: this is no moderator.
        NotFound: there is no such link.
    """
    require_moderator(changeset.by)
    site = _lock_site(changeset, site_id)
    changeset.edit(site, {"is_approved": is_approved})
    return site


def get_site_for_editing(session: Session, slug: str, site_id: int, viewer: Viewer) -> EditableSite:
    """Return a link of a package, for its adder or a moderator.

    Raises:
        Forbidden: this person did not add it.
        NotFound: the package has no such link.
    """
    row = session.execute(
        select(UsingSite, Package.title, Package.slug, Package.hidden_at)
        .join(Package, Package.id == UsingSite.package_id)
        .where(UsingSite.id == site_id, Package.slug == slug)
    ).one_or_none()
    if row is None or (row[3] is not None and not viewer.is_moderator):
        raise NotFound("Site")
    site: UsingSite = row[0]
    require_owner_or_moderator(viewer, site.created_by_id)
    return EditableSite(
        site.id, site.title, site.url, site.is_approved, site.version, site.created_by_id, row[1], row[2]
    )


def _lock_package(changeset: Changeset, package_id: int) -> Package:
    package = changeset.session.get(Package, package_id, with_for_update=True)
    if package is None or (package.hidden_at is not None and not changeset.by.is_moderator):
        raise NotFound("Package")
    return package


def _lock_site(changeset: Changeset, site_id: int) -> UsingSite:
    site = changeset.session.get(UsingSite, site_id, with_for_update=True)
    if site is None:
        raise NotFound("Site")
    _lock_package(changeset, site.package_id)
    require_owner_or_moderator(changeset.by, site.created_by_id)
    return site


def _read_fields(
    changeset: Changeset, title: str, url: str, *, package_id: int, exclude_id: int | None = None
) -> dict[str, Any]:
    reader = FieldReader()
    cleaned = reader.read_line("title", title, MAX_TITLE_LENGTH, is_required=True)
    address = read_url(reader, "url", url, is_required=True) or ""
    same = select(UsingSite.id).where(
        UsingSite.package_id == package_id,
        UsingSite.id != (exclude_id or 0),
        func.lower(UsingSite.url).in_([address.lower().rstrip("/") + end for end in ("", "/")]),
    )
    if address and changeset.session.scalar(same.limit(1)) is not None:
        reader.add_error("url", "This site is already listed or pending review.")
    reader.raise_if_invalid()
    return {"title": cleaned, "url": address}
