"""Packages as pages and the API show them: queries for records, and lookups by id and slug."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, func, literal_column, select, union_all
from sqlalchemy.orm import Session, aliased

from pkgsite.errors import Moved, NotFound
from pkgsite.models import (
    Category,
    Grid,
    GridPackage,
    Package,
    PackageSlugRedirect,
    Usage,
)
from pkgsite.rules.activity import yearly_commits
from pkgsite.rules.bots import split_bots
from pkgsite.rules.declarations import (
    DJANGO_CLASSIFIER,
    PYTHON_CLASSIFIER,
    Declaration,
    from_record,
)
from pkgsite.rules.links import safe_url
from pkgsite.rules.project_links import homepage_url, sponsor_links
from pkgsite.rules.pypi_names import parse_pypi_name
from pkgsite.rules.python_requirements import is_readable
from pkgsite.rules.repo_urls import repo_key
from pkgsite.rules.versions import classified_versions

AnySelect = Select[*tuple[Any, ...]]

VISIBLE = Package.hidden_at.is_(None)
ACTIVE = Package.archived_at.is_(None) & Package.deprecated_at.is_(None) & Package.replaced_by_id.is_(None)
BY_STARS = func.coalesce(Package.stars, literal_column("-1")).desc()  # unknown last; indexed


@dataclass(frozen=True, slots=True)
class Ref:
    """Enough of a record to link to it."""

    id: int
    title: str
    slug: str


@dataclass(frozen=True, slots=True)
class PackageRecord:
    """A package as lists, its page and the API show it. A fact that is `None` is unknown."""

    id: int
    title: str
    slug: str
    category: Ref
    grids: tuple[Ref, ...]  # in the order in which the package was added to them
    repo_url: str
    repo_directory: str
    pypi_url: str
    documentation_url: str | None  # entered by a user, otherwise from the package index
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
    archived_at_from_host: bool | None  # otherwise the date is when this site noticed
    is_fork: bool | None
    parent_url: str | None
    is_mirror: bool | None
    homepage_url: str | None
    deprecated_at: datetime | None
    replaced_by_id: int | None
    last_commit_at: datetime | None
    commit_count: int | None
    commits_over_52: list[int]  # commits per week, oldest first; 52 numbers or none
    participants: list[str]
    participants_complete: bool
    has_too_many_participants: bool
    pypi_version: str | None
    released_at: datetime | None
    pypi_downloads: int | None  # last month
    licence: str | None
    licences: list[str] | None
    classifiers: list[str] | None
    requires_python: str | None
    supports_python3: bool | None
    development_status: int | None
    project_urls: dict[str, str] | None  # by label
    vulnerabilities: list[dict[str, Any]] | None  # of the current release
    index_status: str | None
    index_status_reason: str | None
    declared: Declaration | None  # shown on pages until the package index has been fetched
    score: int | None
    scored_at: datetime | None  # when the score was calculated
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
        """The project's name on the package index, or "" if it has none."""
        return parse_pypi_name(self.pypi_url)

    @property
    def contributors(self) -> tuple[list[str], list[str]]:
        """The people and the bots among the participants."""
        return split_bots(self.participants)

    @property
    def has_unreadable_python(self) -> bool:
        """Whether the release's Python requirement is not a version specifier."""
        return bool(self.requires_python) and not is_readable(self.requires_python)

    @property
    def commits_last_year(self) -> int | None:
        """Number of commits in the 52 weeks to the last count, or None if unknown."""
        return yearly_commits(self.commits_over_52)

    @property
    def python_versions(self) -> str | None:
        """The range of Python versions of the current release, or else the versions in its classifiers."""
        return self.requires_python or ", ".join(classified_versions(self.classifiers or (), PYTHON_CLASSIFIER)) or None

    @property
    def django_versions(self) -> str | None:
        """The Django versions in the classifiers of the current release."""
        return ", ".join(classified_versions(self.classifiers or (), DJANGO_CLASSIFIER)) or None

    @property
    def shown_development_status(self) -> int | None:
        """The development status, or the declared one until it is known."""
        if self.development_status is None and self.declared:
            return self.declared.development_status
        return self.development_status

    @property
    def project_links(self) -> list[tuple[str, str]]:
        """The safe URLs among those that the package index lists, with their labels."""
        return [(label, safe) for label, url in (self.project_urls or {}).items() if (safe := safe_url(url))]

    @property
    def sponsor_links(self) -> list[tuple[str, str]]:
        """The project's links for sponsors, with their labels."""
        return sponsor_links(dict(self.project_links))

    @property
    def homepage(self) -> str | None:
        """The website that the code host or else the package index lists; None if it is the repository itself."""
        url = safe_url(self.homepage_url) or homepage_url(dict(self.project_links))
        return None if url and repo_key(url) == repo_key(self.repo_url) else url


_COMPUTED_FIELDS = {"category", "grids", "documentation_url", "has_index_documentation", "declared"}
_COLUMN_FIELDS = [field.name for field in fields(PackageRecord) if field.name not in _COMPUTED_FIELDS]
_COLUMNS = [getattr(Package, name) for name in _COLUMN_FIELDS] + [
    Package.documentation_url,
    Package.index_documentation_url,
    Package.declared,
]


@dataclass(frozen=True, slots=True)
class PackageSlice:
    """Some of `count` records."""

    count: int
    records: list[PackageRecord]


def select_packages(*, include_hidden: bool = False) -> AnySelect:
    """Return a query for `load_records`; callers add conditions, order and limit."""
    category = [Category.title.label("category_title"), Category.slug.label("category_slug")]
    statement = select(*_COLUMNS, Package.category_id, *category).join(Category)
    return statement if include_hidden else statement.where(VISIBLE)


def load_records(session: Session, statement: AnySelect) -> list[PackageRecord]:
    """Run a query from `select_packages`, and return complete records, in two queries."""
    rows = session.execute(statement).all()
    grids = _load_grids(session, [row.id for row in rows])
    return [
        PackageRecord(
            **{name: getattr(row, name) for name in _COLUMN_FIELDS},
            documentation_url=row.documentation_url or row.index_documentation_url or row.documentation_url,
            has_index_documentation=bool(row.index_documentation_url and not row.documentation_url),
            declared=from_record(row.declared) if row.declared else None,
            category=Ref(row.category_id, row.category_title, row.category_slug),
            grids=tuple(grids[row.id]),
        )
        for row in rows
    ]


def count_packages(session: Session, *conditions: ColumnElement[bool]) -> int:
    return session.scalar(select(func.count()).select_from(Package).where(VISIBLE, *conditions)) or 0


def package_by_id(session: Session, package_id: int, *, include_hidden: bool = False) -> PackageRecord:
    """Return one package.

    Raises:
        NotFound: No package has this id.
    """
    records = load_records(session, select_packages(include_hidden=include_hidden).where(Package.id == package_id))
    if not records:
        raise NotFound("Package")
    return records[0]


def package_by_slug(session: Session, slug: str, *, include_hidden: bool = False) -> PackageRecord:
    """Return the package with this slug.

    Raises:
        Moved: The slug is a former one, or the package was merged into another.
        NotFound: No package has or had this slug.
    """
    records = load_records(session, select_packages(include_hidden=include_hidden).where(Package.slug == slug))
    if not records:
        raise missing_slug_error(session, slug)
    return records[0]


def missing_slug_error(session: Session, slug: str) -> Moved | NotFound:
    """Return the error for a slug that no visible package has: `Moved` if it redirects, otherwise `NotFound`."""
    merge_target = aliased(Package)
    redirects = select(PackageSlugRedirect.package_id).where(PackageSlugRedirect.slug == slug)
    row = session.execute(
        select(Package.slug, Package.hidden_at, merge_target.slug.label("target_slug"))
        .outerjoin(merge_target, (merge_target.id == Package.merged_into_id) & merge_target.hidden_at.is_(None))
        .where((Package.slug == slug) | Package.id.in_(redirects))
        .order_by(Package.slug != slug)
        .limit(1)
    ).one_or_none()
    target = None if row is None else row.slug if row.hidden_at is None else row.target_slug
    return Moved(target) if target and target != slug else NotFound("Package")


def is_known_slug(session: Session, slug: str) -> bool:
    """Return whether a visible package has this slug, or had it."""
    current = select(Package.id).where(Package.slug == slug, VISIBLE)
    former = select(PackageSlugRedirect.package_id).where(PackageSlugRedirect.slug == slug)
    return session.execute(union_all(current, former).limit(1)).first() is not None


def ids_by_slug(session: Session, slugs: Collection[str]) -> dict[str, int]:
    """Return the ids of the visible packages with these slugs; unknown slugs are omitted."""
    rows = session.execute(select(Package.slug, Package.id).where(Package.slug.in_(slugs), VISIBLE))
    return {row.slug: row.id for row in rows}


def slugs_by_id(session: Session, package_ids: Collection[int]) -> dict[int, str]:
    """Return the slugs of these packages."""
    rows = session.execute(select(Package.id, Package.slug).where(Package.id.in_(package_ids)))
    return {row.id: row.slug for row in rows}


def usage_counts(session: Session, package_ids: Iterable[int]) -> dict[int, int]:
    """Return the numbers of users of these packages; packages without users are omitted."""
    rows = session.execute(
        select(Usage.package_id, func.count()).where(Usage.package_id.in_(list(package_ids))).group_by(Usage.package_id)
    )
    return {row.package_id: row[1] for row in rows}


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
