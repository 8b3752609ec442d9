"""Packages: one record as pages and API show it, found by id or slug, and the page of one package."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, func, literal_column, select
from sqlalchemy.orm import Session, aliased

from pkgsite.errors import Moved, NotFound
from pkgsite.models import (
    Category,
    Favourite,
    Grid,
    GridPackage,
    Package,
    PackageSlugRedirect,
    Release,
    Usage,
    UsingSite,
)
from pkgsite.rules.health import HealthReport
from pkgsite.rules.links import safe_url
from pkgsite.rules.pypi_names import parse_pypi_name
from pkgsite.rules.scores import ScoreParts
from pkgsite.services.packages import health as package_health
from pkgsite.services.packages.flags import ViewerState, viewer_state
from pkgsite.services.packages.health import Activity, DailyNumbers, FreshnessBySource, Vulnerability
from pkgsite.services.permissions import ANONYMOUS, Viewer

AnySelect = Select[*tuple[Any, ...]]

VISIBLE = Package.hidden_at.is_(None)
ACTIVE = Package.archived_at.is_(None) & Package.deprecated_at.is_(None) & Package.replaced_by_id.is_(None)
MAX_RELEASES = 200  # on a page
BY_STARS = func.coalesce(Package.stars, literal_column("-1")).desc()  # unknown comes last; there is an index on it


@dataclass(frozen=True, slots=True)
class Ref:
    """Enough of a record to link to it."""

    id: int
    title: str
    slug: str


@dataclass(frozen=True, slots=True)
class PackageRecord:
    """All that the site says of a package in a list, on its page and in the API. `None` in a fact means "not told"."""

    id: int
    title: str
    slug: str
    category: Ref
    grids: tuple[Ref, ...]  # in the order in which the package was put into them
    repo_url: str
    pypi_url: str
    documentation_url: str | None  # what people wrote, or else what the package index tells
    has_index_documentation: bool
    repo_moved_to: str | None
    missing_since: datetime | None
    description: str
    stars: int | None
    forks: int | None
    open_issues: int | None
    topics: list[str] | None
    default_branch: str | None
    archived_at: datetime | None
    deprecated_at: datetime | None
    replaced_by_id: int | None
    last_commit_at: datetime | None
    commit_count: int | None
    commits_over_52: list[int]  # one number a week, oldest first; 52 or none
    participants: list[str]
    participants_complete: bool
    pypi_version: str | None
    released_at: datetime | None
    pypi_downloads: int | None  # of the last month
    licence: str | None
    licences: list[str] | None
    classifiers: list[str] | None
    requires_python: str | None
    supports_python3: bool | None
    development_status: int | None
    project_urls: dict[str, str] | None  # by label
    vulnerabilities: list[dict[str, Any]] | None  # of the present release
    score: int | None  # as of the last fetch
    created_at: datetime
    modified_at: datetime
    changed_at: datetime
    last_fetched_at: datetime | None
    version: int

    @property
    def grid_ids(self) -> list[int]:
        return [grid.id for grid in self.grids]

    @property
    def is_archived(self) -> bool:
        return self.archived_at is not None

    @property
    def is_deprecated(self) -> bool:
        return self.deprecated_at is not None or self.replaced_by_id is not None

    @property
    def is_active(self) -> bool:
        return not self.is_archived and not self.is_deprecated

    @property
    def pypi_name(self) -> str:
        """The project's name on the package index; empty where there is none."""
        return parse_pypi_name(self.pypi_url)

    @property
    def commits_last_year(self) -> int | None:
        """Commits of the last 52 weeks; None where the host has not told."""
        return sum(self.commits_over_52) if self.commits_over_52 else None

    @property
    def project_links(self) -> list[tuple[str, str]]:
        """The addresses that the package index lists, those that can be linked to, with their labels."""
        return [(label, url) for label, links in (self.project_urls or {}).items() if (url := safe_url(links))]


_COMPUTED_FIELDS = {"category", "grids", "documentation_url", "has_index_documentation"}
_COLUMN_FIELDS = [field.name for field in fields(PackageRecord) if field.name not in _COMPUTED_FIELDS]
_COLUMNS = [getattr(Package, name) for name in _COLUMN_FIELDS] + [
    Package.documentation_url,
    Package.index_documentation_url,
]


@dataclass(frozen=True, slots=True)
class PackageSlice:
    """Some records out of `count`."""

    count: int
    records: list[PackageRecord]


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
    is_approved: bool | None  # None: nobody has decided yet; shown to its adder alone
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
    vulnerabilities: list[Vulnerability] | None  # of the present release; None: nobody has told
    releases: list[ReleaseRecord]  # newest first; 200 at most
    release_count: int  # of all
    sites: list[UsingSiteRecord]
    replaced_by: Ref | None
    replaced_packages: list[Ref]
    related_packages: list[PackageRecord]  # living packages of the same grids, most stars first, six at most
    favourite_count: int
    usage_count: int
    viewer_state: ViewerState  # what is for the person who looks alone


def select_packages(*, include_hidden: bool = False) -> AnySelect:
    """Return the query that `load_records` reads; callers add conditions, order and limits."""
    category = [Category.title.label("category_title"), Category.slug.label("category_slug")]
    statement = select(*_COLUMNS, Package.category_id, *category).join(Category)
    return statement if include_hidden else statement.where(VISIBLE)


def load_records(session: Session, statement: AnySelect) -> list[PackageRecord]:
    """Run a query made from `select_packages` and return whole records, in two queries whatever their number."""
    rows = session.execute(statement).all()
    grids = _load_grids(session, [row.id for row in rows])
    return [
        PackageRecord(
            **{name: getattr(row, name) for name in _COLUMN_FIELDS},
            documentation_url=row.documentation_url or row.index_documentation_url or row.documentation_url,
            has_index_documentation=bool(row.index_documentation_url and not row.documentation_url),
            category=Ref(row.category_id, row.category_title, row.category_slug),
            grids=tuple(grids[row.id]),
        )
        for row in rows
    ]


def count_packages(session: Session, *conditions: ColumnElement[bool]) -> int:
    return session.scalar(select(func.count()).select_from(Package).where(VISIBLE, *conditions)) or 0


def load_releases(session: Session, package_ids: Collection[int]) -> dict[int, list[ReleaseRecord]]:
    """Return the newest releases of each of these packages, `MAX_RELEASES` at most, in one query."""
    columns = [Release.package_id, Release.number, Release.uploaded_at, Release.is_prerelease, Release.yanked_reason,
               Release.requires_python, Release.licence]  # fmt: skip
    newest: list[ColumnElement[Any]] = [Release.uploaded_at.desc().nulls_last(), Release.id.desc()]
    position = func.row_number().over(partition_by=Release.package_id, order_by=newest).label("place")
    ranked = select(*columns, position).where(Release.package_id.in_(package_ids)).subquery()
    rows = select(ranked).where(ranked.c.place <= MAX_RELEASES).order_by(ranked.c.package_id, ranked.c.place)
    found: defaultdict[int, list[ReleaseRecord]] = defaultdict(list)
    for package_id, *values, _ in session.execute(rows):
        found[package_id].append(ReleaseRecord(*values))
    return dict(found)


def package_by_id(session: Session, package_id: int, *, include_hidden: bool = False) -> PackageRecord:
    """Return one package.

    Raises:
        NotFound: no package has this id.
    """
    found = load_records(session, select_packages(include_hidden=include_hidden).where(Package.id == package_id))
    if not found:
        raise NotFound("Package")
    return found[0]


def package_by_slug(session: Session, slug: str, *, include_hidden: bool = False) -> PackageRecord:
    """Return the package that has this slug now.

    Raises:
        Moved: a package once had this slug and has another one now, or was merged into another.
        NotFound: none ever had it.
    """
    found = load_records(session, select_packages(include_hidden=include_hidden).where(Package.slug == slug))
    if found:
        return found[0]
    raise missing_slug_error(session, slug)


def missing_slug_error(session: Session, slug: str) -> Moved | NotFound:
    """Return where a slug leads that is no visible package's, or that it leads nowhere."""
    merge_target = aliased(Package)
    old = select(PackageSlugRedirect.package_id).where(PackageSlugRedirect.slug == slug)
    row = session.execute(
        select(Package.slug, Package.hidden_at, merge_target.slug.label("into"))
        .outerjoin(merge_target, (merge_target.id == Package.merged_into_id) & merge_target.hidden_at.is_(None))
        .where((Package.slug == slug) | Package.id.in_(old))
        .order_by(Package.slug != slug)
        .limit(1)
    ).one_or_none()
    target = None if row is None else row.slug if row.hidden_at is None else row.into
    return Moved(target) if target and target != slug else NotFound("Package")


def package_page(session: Session, slug: str, *, now: datetime, viewer: Viewer = ANONYMOUS) -> PackagePage:
    """Return everything on the page of the package with this slug, in a fixed number of queries.

    Raises:
        Moved: a package once had this slug and has another one now, or was merged into another.
        NotFound: none ever had it, or it is hidden from who looks.
    """
    package = package_by_slug(session, slug, include_hidden=viewer.is_moderator)
    sources = package_health.load_freshness(session, package, now=now)
    releases, release_count = _load_release_page(session, package.id)
    columns = (UsingSite.id, UsingSite.title, UsingSite.url, UsingSite.is_approved, UsingSite.created_by_id)
    site_visibility: ColumnElement[bool] = UsingSite.is_approved.is_(True)
    if viewer.is_authenticated:
        site_visibility |= UsingSite.created_by_id == viewer.user_id
    sites = session.execute(
        select(*columns)
        .where(UsingSite.package_id == package.id, site_visibility)
        .order_by(UsingSite.title, UsingSite.id)
    )
    replacement_condition = Package.replaced_by_id == package.id
    if package.replaced_by_id is not None:
        replacement_condition |= Package.id == package.replaced_by_id
    replacement_refs = session.execute(
        select(Package.id, Package.title, Package.slug)
        .where(replacement_condition, VISIBLE)
        .order_by(Package.title, Package.id)
    ).all()
    return PackagePage(
        package=package,
        sources=sources,
        activity=package_health.package_activity(package, sources, now=now),
        samples=package_health.load_samples(session, package.id, now=now),
        health=package_health.health_report(package, sources, now=now),
        score=package_health.package_score(package, now=now),
        vulnerabilities=package_health.known_vulnerabilities(package),
        releases=releases,
        release_count=release_count,
        sites=[UsingSiteRecord(*row) for row in sites],
        replaced_by=next((Ref(*row) for row in replacement_refs if row.id == package.replaced_by_id), None),
        replaced_packages=[Ref(*row) for row in replacement_refs if row.id != package.replaced_by_id],
        related_packages=_related_packages(session, package),
        favourite_count=_count(session, Favourite.package_id == package.id),
        usage_count=_count(session, Usage.package_id == package.id),
        viewer_state=viewer_state(session, package.id, viewer),
    )


def ids_by_slug(session: Session, slugs: Collection[str]) -> dict[str, int]:
    """Return the ids of the packages that have these slugs now; unknown slugs are left out."""
    rows = session.execute(select(Package.slug, Package.id).where(Package.slug.in_(slugs), VISIBLE))
    return {row.slug: row.id for row in rows}


def slugs_by_id(session: Session, package_ids: Collection[int]) -> dict[int, str]:
    """Return the slugs of these packages."""
    rows = session.execute(select(Package.id, Package.slug).where(Package.id.in_(package_ids)))
    return {row.id: row.slug for row in rows}


def usage_counts(session: Session, package_ids: Iterable[int]) -> dict[int, int]:
    """Return how many people say that they use each of these packages; those without any are left out."""
    rows = session.execute(
        select(Usage.package_id, func.count()).where(Usage.package_id.in_(list(package_ids))).group_by(Usage.package_id)
    )
    return {row.package_id: row[1] for row in rows}


def _load_release_page(session: Session, package_id: int) -> tuple[list[ReleaseRecord], int]:
    """Return the newest releases, and how many there are of all."""
    rows = session.execute(
        select(
            func.count().over().label("of_all"),
            Release.number,
            Release.uploaded_at,
            Release.is_prerelease,
            Release.yanked_reason,
            Release.requires_python,
            Release.licence,
        )
        .where(Release.package_id == package_id)
        .order_by(Release.uploaded_at.desc().nulls_last(), Release.id.desc())
        .limit(MAX_RELEASES)
    ).all()
    return [ReleaseRecord(*row[1:]) for row in rows], rows[0].of_all if rows else 0


def _count(session: Session, condition: ColumnElement[bool]) -> int:
    return session.scalar(select(func.count()).where(condition)) or 0


def _related_packages(session: Session, package: PackageRecord) -> list[PackageRecord]:
    in_the_same_grids = select(GridPackage.package_id).where(GridPackage.grid_id.in_(package.grid_ids))
    return load_records(
        session,
        select_packages()
        .where(Package.id.in_(in_the_same_grids), Package.id != package.id, ACTIVE)
        .order_by(BY_STARS, Package.id)
        .limit(6),
    )


def _load_grids(session: Session, package_ids: list[int]) -> defaultdict[int, list[Ref]]:
    grids: defaultdict[int, list[Ref]] = defaultdict(list)
    if not package_ids:
        return grids
    rows = session.execute(
        select(GridPackage.package_id, Grid.id, Grid.title, Grid.slug)
        .join(Grid)
        .where(GridPackage.package_id.in_(package_ids))
        .order_by(GridPackage.position, GridPackage.id)
    )
    for package_id, grid_id, title, slug in rows:
        grids[package_id].append(Ref(grid_id, title, slug))
    return grids
