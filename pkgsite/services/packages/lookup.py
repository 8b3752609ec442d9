"""Package lookups by repository URL, package index name or user input."""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import unquote, urlsplit

from packaging.utils import canonicalize_name
from sqlalchemy import ColumnElement, func, or_, select
from sqlalchemy.orm import Session, aliased

from pkgsite.models import Package, PackageSlugRedirect, SourceState
from pkgsite.rules.freshness import Source
from pkgsite.rules.pypi_names import parse_pypi_name
from pkgsite.rules.repo_urls import parse_repo_ref, repo_key
from pkgsite.services.packages.records import Ref

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


def find_by_repo_url(
    session: Session, repo_url: str, host_kinds: Mapping[str, str], *, exclude_id: int | None = None
) -> Ref | None:
    """Return the package whose repository has this URL or has moved to it; for a merged package, its survivor.

    Args:
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
    return _first_visible(session, or_(*conditions), exclude_id)


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
    return _first_visible(session, or_(Package.id.in_(ids), Package.id.in_(source_package_ids)), exclude_id)


def find_by_reference(session: Session, reference: str) -> Ref | None:
    """Return the visible package with this current or former slug, or this page URL."""
    try:
        match = _PACKAGE_PATH.search(urlsplit(reference).path) if "/" in reference else None
    except ValueError:  # an unbalanced bracket
        return None
    slug = unquote(match.group(1)).replace("\0", "") if match else reference
    redirects = select(PackageSlugRedirect.package_id).where(func.lower(PackageSlugRedirect.slug) == slug.lower())
    return _first_visible(session, or_(func.lower(Package.slug) == slug.lower(), Package.id.in_(redirects)), None)


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


def _first_visible(session: Session, condition: ColumnElement[bool], exclude_id: int | None) -> Ref | None:
    """Return the first visible package that meets the condition; a merged package counts as its survivor."""
    merge_target = aliased(Package)
    rows = session.execute(
        select(
            Package.id,
            Package.title,
            Package.slug,
            Package.hidden_at,
            merge_target.id.label("target_id"),
            merge_target.title.label("target_title"),
            merge_target.slug.label("target_slug"),
        )
        .outerjoin(merge_target, (merge_target.id == Package.merged_into_id) & merge_target.hidden_at.is_(None))
        .where(condition)
        .order_by(Package.hidden_at.is_not(None), Package.id)
    )
    for row in rows:
        if row.hidden_at is None:
            ref = Ref(row.id, row.title, row.slug)
        elif row.target_id is not None:
            ref = Ref(row.target_id, row.target_title, row.target_slug)
        else:
            continue
        if ref.id != exclude_id:
            return ref
    return None
