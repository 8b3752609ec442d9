"""Which package is found at a repository's address, under a name on the package index, or by what a person typed."""

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

ADVISORY_LOCK_ID = 0x706B67  # any number, as long as nothing else locks by it
MAX_REPLACEMENT_CHAIN = 50  # one after the other
_SCHEMES = ("https://", "http://", "https://www.", "http://www.")
_ENDS = ("", "/", ".git", ".git/")
_PAGE = re.compile(r"/packages/(?:p/)?([^/]+)/?$")


def lock_package_references(session: Session) -> None:
    """Let nobody else give packages slugs or addresses until this transaction ends.

    Otherwise two people who add the same package at once would both find that it is not here yet. SQLite has one
    writer at a time anyway.
    """
    if session.get_bind().dialect.name == "postgresql":
        session.execute(select(func.pg_advisory_xact_lock(ADVISORY_LOCK_ID)))


def find_by_repo_url(
    session: Session, repo_url: str, host_kinds: Mapping[str, str], *, exclude_id: int | None = None
) -> Ref | None:
    """Return the package whose repository has this address, or has moved there; a merged one is its survivor.

    Args:
        repo_url: As `normalise_repo_url` returns it.
        host_kinds: The kinds of the hosts that can be asked.
        exclude_id: The id of a package that doesn't count.
    """
    addresses = [f"{scheme}{repo_key(repo_url)}{end}" for scheme in _SCHEMES for end in _ENDS]
    conditions: list[ColumnElement[bool]] = [
        func.lower(Package.repo_url).in_(addresses),
        func.lower(Package.repo_moved_to).in_(addresses),
    ]
    ref = parse_repo_ref(repo_url, host_kinds)
    if ref:
        conditions.append(_has_source(Source.REPO, ref.host, ref.path.lower()))
    return _first_visible(session, or_(*conditions), exclude_id)


def find_by_index_name(session: Session, name: str, *, exclude_id: int | None = None) -> Ref | None:
    """Return the package that has this name on the package index, however it is written."""
    normalised_name = str(canonicalize_name(name))
    stored_name = func.replace(func.replace(func.lower(Package.pypi_url), "_", "-"), ".", "-")
    # No more than what may be it; the names themselves are compared below.
    candidates = select(Package.id, Package.pypi_url).where(
        or_(
            stored_name == normalised_name,
            *(stored_name.endswith(f"/{normalised_name}{end}", autoescape=True) for end in ("", "/")),
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
    """Return the visible package that a person names by its slug, present or old, or by its page's address."""
    try:
        page = _PAGE.search(urlsplit(reference).path) if "/" in reference else None
    except ValueError:  # an address with half a bracket
        return None
    slug = unquote(page.group(1)).replace("\0", "") if page else reference
    old = select(PackageSlugRedirect.package_id).where(func.lower(PackageSlugRedirect.slug) == slug.lower())
    return _first_visible(session, or_(func.lower(Package.slug) == slug.lower(), Package.id.in_(old)), None)


def is_slug_available(session: Session, slug: str, *, exclude_id: int | None = None) -> bool:
    """Tell whether no other package has this slug, or is found by it since it had it once."""
    same = select(Package.id).where(func.lower(Package.slug) == slug.lower(), Package.id != (exclude_id or 0))
    old = (
        select(PackageSlugRedirect.slug)
        .join(Package, Package.id == PackageSlugRedirect.package_id)
        .where(func.lower(PackageSlugRedirect.slug) == slug.lower(), Package.id != (exclude_id or 0))
        .where(Package.hidden_at.is_(None) | Package.merged_into_id.is_not(None))
    )
    return session.scalar(same) is None and session.scalar(old) is None


def is_replaced_by(session: Session, package_id: int, other_id: int) -> bool:
    """Tell whether a package is replaced by another, at once or in turn."""
    current_id: int | None = package_id
    for _ in range(MAX_REPLACEMENT_CHAIN):
        current_id = session.scalar(select(Package.replaced_by_id).where(Package.id == current_id))
        if current_id is None or current_id == other_id:
            break
    return current_id is not None


def _has_source(source: Source, host: str, target: str) -> ColumnElement[bool]:
    source_package_ids = select(SourceState.package_id).where(
        SourceState.source == source, SourceState.host == host, SourceState.target == target
    )
    return Package.id.in_(source_package_ids)


def _first_visible(session: Session, condition: ColumnElement[bool], exclude_id: int | None) -> Ref | None:
    """Return the first visible package for which this holds, or into which one for which it holds was merged."""
    merge_target = aliased(Package)
    rows = session.execute(
        select(
            Package.id,
            Package.title,
            Package.slug,
            Package.hidden_at,
            merge_target.id.label("into_id"),
            merge_target.title.label("into_title"),
            merge_target.slug.label("into_slug"),
        )
        .outerjoin(merge_target, (merge_target.id == Package.merged_into_id) & merge_target.hidden_at.is_(None))
        .where(condition)
        .order_by(Package.hidden_at.is_not(None), Package.id)
    )
    for row in rows:
        found = (
            Ref(row.id, row.title, row.slug)
            if row.hidden_at is None
            else Ref(row.into_id, row.into_title, row.into_slug)
            if row.into_id is not None
            else None
        )
        if found and found.id != exclude_id:
            return found
    return None
