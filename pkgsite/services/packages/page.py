"""The page of one package: its record with releases, health, sites and related packages."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from typing import Any

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session

from pkgsite.models import Favourite, GridPackage, Package, Release, Usage, UsingSite
from pkgsite.rules.health import HealthReport
from pkgsite.rules.scores import ScoreParts
from pkgsite.services.packages import health as package_health
from pkgsite.services.packages.flags import ViewerState, viewer_state
from pkgsite.services.packages.health import Activity, DailyNumbers, FreshnessBySource, Vulnerability
from pkgsite.services.packages.records import (
    ACTIVE,
    BY_STARS,
    VISIBLE,
    PackageRecord,
    Ref,
    load_records,
    package_by_slug,
    select_packages,
)
from pkgsite.services.permissions import ANONYMOUS, Viewer

MAX_RELEASES = 200  # per package
MAX_RELATED_PACKAGES = 6


@dataclass(frozen=True, slots=True)
class ReleaseRecord:
    number: str
    uploaded_at: datetime | None
    is_prerelease: bool
    yanked_reason: str | None
    requires_python: str | None
    licence: str | None


@dataclass(frozen=True, slots=True)
class UsingSiteRecord:
    id: int
    title: str
    url: str
    is_approved: bool | None  # None while it awaits approval; only the submitter sees an unapproved site
    created_by_id: int | None


@dataclass(frozen=True, slots=True)
class PackagePage:
    """Everything on a package's page."""

    package: PackageRecord
    sources: FreshnessBySource
    activity: Activity
    samples: list[DailyNumbers]  # of the last 400 days, oldest first
    health: HealthReport
    score: ScoreParts
    vulnerabilities: list[Vulnerability] | None  # of the current release; None if unknown
    releases: list[ReleaseRecord]  # newest first, at most `MAX_RELEASES`
    release_count: int  # of all releases
    sites: list[UsingSiteRecord]
    replaced_by: Ref | None
    replaced_packages: list[Ref]
    related_packages: list[PackageRecord]  # active packages in the same grids, most stars first
    favourite_count: int
    usage_count: int
    viewer_state: ViewerState  # favourite, usage and flags of the current user


def package_page(
    session: Session, slug: str, *, now: datetime, viewer: Viewer = ANONYMOUS, time_zone: tzinfo = UTC
) -> PackagePage:
    """Return everything on the page of the package with this slug, in a fixed number of queries.

    Dates in texts are in this time zone.

    Raises:
        Moved: The slug is a former one, or the package was merged into another.
        NotFound: No package has or had this slug, or the viewer can't see it.
    """
    package = package_by_slug(session, slug, include_hidden=viewer.is_moderator)
    sources = package_health.load_freshness(session, package, now=now)
    release_count, favourite_count, usage_count = _load_counts(session, package.id)
    replaced_by, replaced_packages = _load_replacements(session, package)
    return PackagePage(
        package=package,
        sources=sources,
        activity=package_health.package_activity(package, sources),
        samples=package_health.load_samples(session, package.id, now=now),
        health=package_health.health_report(package, sources, now=now, time_zone=time_zone),
        score=package_health.package_score(package, now=now),
        vulnerabilities=package_health.known_vulnerabilities(package),
        releases=load_releases(session, [package.id]).get(package.id, []),
        release_count=release_count,
        sites=_load_sites(session, package.id, viewer),
        replaced_by=replaced_by,
        replaced_packages=replaced_packages,
        related_packages=_related_packages(session, package),
        favourite_count=favourite_count,
        usage_count=usage_count,
        viewer_state=viewer_state(session, package.id, viewer),
    )


def load_releases(session: Session, package_ids: Collection[int]) -> dict[int, list[ReleaseRecord]]:
    """Return the newest releases of each of these packages, at most `MAX_RELEASES` per package, in one query."""
    newest_first: tuple[ColumnElement[Any], ...] = (Release.uploaded_at.desc().nulls_last(), Release.id.desc())
    ranked = (
        select(
            Release.package_id,
            Release.number,
            Release.uploaded_at,
            Release.is_prerelease,
            Release.yanked_reason,
            Release.requires_python,
            Release.licence,
            func.row_number().over(partition_by=Release.package_id, order_by=newest_first).label("position"),
        )
        .where(Release.package_id.in_(package_ids))
        .subquery()
    )
    rows = session.execute(
        select(ranked).where(ranked.c.position <= MAX_RELEASES).order_by(ranked.c.package_id, ranked.c.position)
    )
    releases: defaultdict[int, list[ReleaseRecord]] = defaultdict(list)
    for package_id, *values, _ in rows:
        releases[package_id].append(ReleaseRecord(*values))
    return dict(releases)


def _load_sites(session: Session, package_id: int, viewer: Viewer) -> list[UsingSiteRecord]:
    """Return the approved sites that use a package, and those that the viewer has submitted."""
    visible: ColumnElement[bool] = UsingSite.is_approved.is_(True)
    if viewer.is_authenticated:
        visible |= UsingSite.created_by_id == viewer.user_id
    rows = session.execute(
        select(UsingSite.id, UsingSite.title, UsingSite.url, UsingSite.is_approved, UsingSite.created_by_id)
        .where(UsingSite.package_id == package_id, visible)
        .order_by(UsingSite.title, UsingSite.id)
    )
    return [UsingSiteRecord(*row) for row in rows]


def _load_replacements(session: Session, package: PackageRecord) -> tuple[Ref | None, list[Ref]]:
    """Return the package that replaces this one, and the packages that this one replaces."""
    condition = Package.replaced_by_id == package.id
    if package.replaced_by_id is not None:
        condition |= Package.id == package.replaced_by_id
    rows = session.execute(
        select(Package.id, Package.title, Package.slug).where(condition, VISIBLE).order_by(Package.title, Package.id)
    )
    refs = [Ref(*row) for row in rows]
    replaced_by = next((ref for ref in refs if ref.id == package.replaced_by_id), None)
    return replaced_by, [ref for ref in refs if ref.id != package.replaced_by_id]


def _load_counts(session: Session, package_id: int) -> tuple[int, int, int]:
    """Return the numbers of a package's releases, favourites and users."""
    counts = [
        select(func.count()).where(model.package_id == package_id).scalar_subquery()
        for model in (Release, Favourite, Usage)
    ]
    release_count, favourite_count, usage_count = session.execute(select(*counts)).one()
    return release_count, favourite_count, usage_count


def _related_packages(session: Session, package: PackageRecord) -> list[PackageRecord]:
    in_the_same_grids = select(GridPackage.package_id).where(GridPackage.grid_id.in_(package.grid_ids))
    return load_records(
        session,
        select_packages()
        .where(Package.id.in_(in_the_same_grids), Package.id != package.id, ACTIVE)
        .order_by(BY_STARS, Package.id)
        .limit(MAX_RELATED_PACKAGES),
    )
