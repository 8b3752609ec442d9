"""Package lookups by repository URL, package index name or user input."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from packaging.utils import canonicalize_name
from sqlalchemy import ColumnElement, func, or_, select
from sqlalchemy.orm import Session, aliased

from pkgsite.models import Package, PackageSlugRedirect, SourceState
from pkgsite.rules.freshness import Source
from pkgsite.rules.pypi_names import parse_pypi_name
from pkgsite.rules.repo_urls import parse_repo_ref, repo_key
from pkgsite.services.packages.records import Ref


@dataclass(frozen=True, slots=True)
class Listed:
    """A visible package.

    Attributes:
        project: The normalised name of its project on the package index; "" if it has none.
        directory: Its directory in its repository; "" for the root.
    """

    ref: Ref
    project: str
    directory: str


ADVISORY_LOCK_ID = 0x706B67  # arbitrary, but used for nothing else
MAX_REPLACEMENT_CHAIN = 50
_SCHEMES = ("https://", "http://", "https://www.", "http://www.")
_SUFFIXES = ("", "/", ".git", ".git/")
_PACKAGE_PATH = re.compile(r"/packages/(?:p/)?([^/]+)/?$")


def lock_package_references(session: Session) -> None:
    """Block other changes of package slugs and URLs until the transaction ends.

    Otherwise, two users could add the same package concurrently. SQLite has only one writer at a time anyway.
    """
    if session.get_bind().dialect.name == "postgresql":
        session.execute(select(func.pg_advisory_xact_lock(ADVISORY_LOCK_ID)))


def packages_of_repository(
    session: Session, repo_url: str, host_kinds: Mapping[str, str], *, exclude_id: int | None = None
) -> list[Listed]:
    """Return the packages whose repository has this URL or has moved to it; for a merged package, its survivor.

    Args:
        session: The database session.
        repo_url: A URL from `normalise_repo_url`.
        host_kinds: The kinds of the supported code hosts, by host name.
        exclude_id: The id of a package to ignore.
    """
    urls = [f"{scheme}{repo_key(repo_url)}{suffix}" for scheme in _SCHEMES for suffix in _SUFFIXES]
    conditions: list[ColumnElement[bool]] = [
        func.lower(Package.repo_url).in_(urls),
        func.lower(Package.repo_moved_to).in_(urls),
    ]
    ref = parse_repo_ref(repo_url, host_kinds)
    if ref:
        source_package_ids = select(SourceState.package_id).where(
            SourceState.source == Source.REPO, SourceState.host == ref.host, SourceState.target == ref.path.lower()
        )
        conditions.append(Package.id.in_(source_package_ids))
    return _visible(session, or_(*conditions), exclude_id)


def find_in_repository(
    session: Session, repo_url: str, project: str, host_kinds: Mapping[str, str], *, exclude_id: int | None = None
) -> Ref | None:
    """Return the package that another one with this repository and project would duplicate.

    A repository can have several packages if each one is another project on the package index.

    Args:
        session: The database session.
        repo_url: A URL from `normalise_repo_url`.
        project: The name of the other package's project, or the URL of its page; "" if it has none.
        host_kinds: The kinds of the supported code hosts, by host name.
        exclude_id: The id of the other package, if it is listed.
    """
    listed = packages_of_repository(session, repo_url, host_kinds, exclude_id=exclude_id)
    return find_duplicate(listed, project)


def find_duplicate(listed: Iterable[Listed], project: str) -> Ref | None:
    """Return the first of a repository's packages that can be the same as one with this project.

    Args:
        listed: The packages of the repository.
        project: The name of the other package's project, or the URL of its page; "" if it has none.
    """
    name = canonicalize_name(parse_pypi_name(project))
    return next((package.ref for package in listed if package.project in {"", name} or not name), None)


def find_by_index_name(session: Session, name: str, *, exclude_id: int | None = None) -> Ref | None:
    """Return the package with this name on the package index; compare normalised names."""
    normalised_name = str(canonicalize_name(name))
    stored_name = func.replace(func.replace(func.lower(Package.pypi_url), "_", "-"), ".", "-")
    # The query only narrows down the candidates; their names are compared below.
    candidates = select(Package.id, Package.pypi_url).where(
        or_(
            stored_name == normalised_name,
            *(stored_name.endswith(f"/{normalised_name}{suffix}", autoescape=True) for suffix in ("", "/")),
        )
    )
    ids = [
        row.id
        for row in session.execute(candidates)
        if canonicalize_name(parse_pypi_name(row.pypi_url)) == normalised_name
    ]
    source_package_ids = select(SourceState.package_id).where(
        SourceState.source == Source.INDEX, SourceState.target == normalised_name
    )
    condition = or_(Package.id.in_(ids), Package.id.in_(source_package_ids))
    return next((listed.ref for listed in _visible(session, condition, exclude_id)), None)


def find_by_reference(session: Session, reference: str) -> Ref | None:
    """Return the visible package with this current or former slug, or this page URL."""
    try:
        match = _PACKAGE_PATH.search(urlsplit(reference).path) if "/" in reference else None
    except ValueError:  # an unbalanced bracket
        return None
    slug = unquote(match.group(1)).replace("\0", "") if match else reference
    redirects = select(PackageSlugRedirect.package_id).where(func.lower(PackageSlugRedirect.slug) == slug.lower())
    condition = or_(func.lower(Package.slug) == slug.lower(), Package.id.in_(redirects))
    return next((listed.ref for listed in _visible(session, condition, None)), None)


def is_slug_available(session: Session, slug: str, *, exclude_id: int | None = None) -> bool:
    """Return whether no other package has this slug or a redirect from it."""
    packages = select(Package.id).where(func.lower(Package.slug) == slug.lower(), Package.id != (exclude_id or 0))
    redirects = (
        select(PackageSlugRedirect.slug)
        .join(Package, Package.id == PackageSlugRedirect.package_id)
        .where(func.lower(PackageSlugRedirect.slug) == slug.lower(), Package.id != (exclude_id or 0))
        .where(Package.hidden_at.is_(None) | Package.merged_into_id.is_not(None))
    )
    return session.scalar(packages) is None and session.scalar(redirects) is None


def is_replaced_by(session: Session, package_id: int, other_id: int) -> bool:
    """Return whether a package is replaced by another, directly or indirectly."""
    current_id: int | None = package_id
    for _ in range(MAX_REPLACEMENT_CHAIN):
        current_id = session.scalar(select(Package.replaced_by_id).where(Package.id == current_id))
        if current_id is None or current_id == other_id:
            break
    return current_id is not None


def _visible(session: Session, condition: ColumnElement[bool], exclude_id: int | None) -> list[Listed]:
    """Return the visible packages that meet the condition, oldest first; a merged package counts as its survivor."""
    merge_target = aliased(Package)
    rows = session.execute(
        select(
            Package.id,
            Package.title,
            Package.slug,
            Package.pypi_url,
            Package.repo_directory,
            Package.hidden_at,
            merge_target.id.label("target_id"),
            merge_target.title.label("target_title"),
            merge_target.slug.label("target_slug"),
            merge_target.pypi_url.label("target_pypi_url"),
        )
        .outerjoin(merge_target, (merge_target.id == Package.merged_into_id) & merge_target.hidden_at.is_(None))
        .where(condition, Package.id != (exclude_id or 0))
        .order_by(Package.hidden_at.is_not(None), Package.id)
    )
    listed: list[Listed] = []
    for row in rows:
        if row.hidden_at is None:
            ref, project = Ref(row.id, row.title, row.slug), row.pypi_url
        elif row.target_id is not None:
            ref = Ref(row.target_id, row.target_title, row.target_slug)
            project = row.pypi_url or row.target_pypi_url
        else:
            continue
        if ref.id != exclude_id:
            name = str(canonicalize_name(parse_pypi_name(project)))
            listed.append(Listed(ref, name, row.repo_directory))
    return listed
