"""Links to sites that use a package: written by people, shown once a moderator has looked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from pkgsite.errors import Invalid, NotFound
from pkgsite.models import Package, SiteUsing
from pkgsite.rules.texts import Typed
from pkgsite.services.changes import Act, check_version
from pkgsite.services.package_fields import web_address
from pkgsite.services.permissions import Viewer, require_moderator, require_own

LONGEST_TITLE = 100
MOST_WAITING = 20  # of one person


@dataclass(frozen=True, slots=True)
class SiteToEdit:
    """A link as its forms show it, with the package that it belongs to."""

    id: int
    title: str
    url: str
    is_approved: bool | None
    version: int
    created_by_id: int | None
    package_title: str
    package_slug: str


def add_site(act: Act, *, package_id: int, title: str, url: str) -> SiteUsing:
    """Add a link to a site that uses a package; a moderator's is shown at once.

    Raises:
        Invalid: something is wrong with a field, the site is listed already, or this person has too many that wait.
        NotFound: there is no such package for this person.
    """
    _package(act, package_id)
    values = _read(act, title, url, package_id=package_id)
    if not act.by.is_moderator:
        waiting = select(func.count()).where(SiteUsing.created_by_id == act.user_id, SiteUsing.is_approved.is_(None))
        if (act.session.scalar(waiting) or 0) >= MOST_WAITING:
            raise Invalid(
                {
                    "url": [
                        (
                            f"You have {MOST_WAITING} links pending review. Wait until they have been reviewed "
                            "before adding more."
                        )
                    ]
                }
            )
    site = SiteUsing(package_id=package_id, **values, is_approved=True if act.by.is_moderator else None)
    act.add(site)
    return site


def edit_site(act: Act, *, site_id: int, title: str, url: str, version: int | None = None) -> SiteUsing:
    """Change a link. One that was shown, or refused, is looked at again, unless a moderator changes it.

    Raises:
        Conflict: somebody has changed it since.
        Forbidden: this person did not add it.
        Invalid: something is wrong with a field.
        NotFound: there is no such link.
    """
    site = _site(act, site_id)
    check_version(site, version)
    values: dict[str, Any] = _read(act, title, url, package_id=site.package_id, but=site.id)
    is_same = values == {"title": site.title, "url": site.url}
    if not is_same and not act.by.is_moderator:
        values |= {"is_approved": None}
    act.edit(site, values)
    return site


def delete_site(act: Act, *, site_id: int) -> SiteUsing:
    """Remove a link.

    Raises:
        Forbidden: this person did not add it.
        NotFound: there is no such link.
    """
    site = _site(act, site_id)
    act.delete(site)
    return site


def decide_site(act: Act, site_id: int, *, is_approved: bool) -> SiteUsing:
    """Show a link, or refuse to.

    Raises:
        Forbidden: this is no moderator.
        NotFound: there is no such link.
    """
    require_moderator(act.by)
    site = _site(act, site_id)
    act.edit(site, {"is_approved": is_approved})
    return site


def site_to_edit(session: Session, slug: str, site_id: int, viewer: Viewer) -> SiteToEdit:
    """Return a link of a package, for its adder or a moderator.

    Raises:
        Forbidden: this person did not add it.
        NotFound: the package has no such link.
    """
    row = session.execute(
        select(SiteUsing, Package.title, Package.slug, Package.hidden_at)
        .join(Package, Package.id == SiteUsing.package_id)
        .where(SiteUsing.id == site_id, Package.slug == slug)
    ).one_or_none()
    if row is None or (row[3] is not None and not viewer.is_moderator):
        raise NotFound("Site")
    site: SiteUsing = row[0]
    require_own(viewer, site.created_by_id)
    return SiteToEdit(site.id, site.title, site.url, site.is_approved, site.version, site.created_by_id, row[1], row[2])


def _package(act: Act, package_id: int) -> Package:
    package = act.session.get(Package, package_id, with_for_update=True)
    if package is None or (package.hidden_at is not None and not act.by.is_moderator):
        raise NotFound("Package")
    return package


def _site(act: Act, site_id: int) -> SiteUsing:
    site = act.session.get(SiteUsing, site_id, with_for_update=True)
    if site is None:
        raise NotFound("Site")
    _package(act, site.package_id)
    require_own(act.by, site.created_by_id)
    return site


def _read(act: Act, title: str, url: str, *, package_id: int, but: int | None = None) -> dict[str, Any]:
    typed = Typed()
    cleaned = typed.line("title", title, LONGEST_TITLE, is_needed=True)
    address = web_address(typed, "url", url, is_needed=True) or ""
    same = select(SiteUsing.id).where(
        SiteUsing.package_id == package_id,
        SiteUsing.id != (but or 0),
        func.lower(SiteUsing.url).in_([address.lower().rstrip("/") + end for end in ("", "/")]),
    )
    if address and act.session.scalar(same.limit(1)) is not None:
        typed.refuse("url", "This site is already listed or pending review.")
    typed.check()
    return {"title": cleaned, "url": address}
