"""Which package is found at a repository's address, under a name on the package index, or by what a person typed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import unquote, urlsplit

from packaging.utils import canonicalize_name
from sqlalchemy import ColumnElement, func, or_, select
from sqlalchemy.orm import Session, aliased

from pkgsite.models import OldPackageSlug, Package, SourceState
from pkgsite.rules.freshness import Source
from pkgsite.rules.pypi_names import pypi_name
from pkgsite.rules.repo_urls import repo_key, repo_ref
from pkgsite.services.packages.records import Ref

PLACES_LOCK = 0x706B67  # any number, as long as nothing else locks by it
MOST_REPLACEMENTS = 50  # one after the other
_SCHEMES = ("https://", "http://", "https://www.", "http://www.")
_ENDS = ("", "/", ".git", ".git/")
_PAGE = re.compile(r"/packages/(?:p/)?([^/]+)/?$")


def keep_others_out(session: Session) -> None:
    """Let nobody else give packages slugs or addresses until this transaction ends.

    Otherwise two people who add the same package at once would both find that it is not here yet. SQLite has one
    writer at a time anyway.
    """
    if session.get_bind().dialect.name == "postgresql":
        session.execute(select(func.pg_advisory_xact_lock(PLACES_LOCK)))


def package_at(session: Session, repo_url: str, kinds: Mapping[str, str], *, but: int | None = None) -> Ref | None:
    """Return the package whose repository has this address, or has moved there; a merged one is its survivor.

    Args:
        repo_url: As `normal_repo_url` returns it.
        kinds: The kinds of the hosts that can be asked.
        but: The id of a package that doesn't count.
    """
    addresses = [f"{scheme}{repo_key(repo_url)}{end}" for scheme in _SCHEMES for end in _ENDS]
    conditions: list[ColumnElement[bool]] = [
        func.lower(Package.repo_url).in_(addresses),
        func.lower(Package.repo_moved_to).in_(addresses),
    ]
    ref = repo_ref(repo_url, kinds)
    if ref:
        conditions.append(_has_source(Source.REPO, ref.host, ref.path.lower()))
    return _first(session, or_(*conditions), but)


def package_named(session: Session, name: str, *, but: int | None = None) -> Ref | None:
    """Return the package that has this name on the package index, however it is written."""
    wanted = str(canonicalize_name(name))
    written = func.replace(func.replace(func.lower(Package.pypi_url), "_", "-"), ".", "-")
    # No more than what may be it; the names themselves are compared below.
    may_be = select(Package.id, Package.pypi_url).where(
        or_(written == wanted, *(written.endswith(f"/{wanted}{end}", autoescape=True) for end in ("", "/")))
    )
    ids = [row.id for row in session.execute(may_be) if canonicalize_name(pypi_name(row.pypi_url)) == wanted]
    known = select(SourceState.package_id).where(SourceState.source == Source.INDEX, SourceState.target == wanted)
    return _first(session, or_(Package.id.in_(ids), Package.id.in_(known)), but)


def package_typed(session: Session, typed: str) -> Ref | None:
    """Return the visible package that a person names by its slug, present or old, or by its page's address."""
    try:
        page = _PAGE.search(urlsplit(typed).path) if "/" in typed else None
    except ValueError:  # an address with half a bracket
        return None
    slug = unquote(page.group(1)).replace("\0", "") if page else typed
    old = select(OldPackageSlug.package_id).where(func.lower(OldPackageSlug.slug) == slug.lower())
    return _first(session, or_(func.lower(Package.slug) == slug.lower(), Package.id.in_(old)), None)


def slug_is_free(session: Session, slug: str, *, but: int | None = None) -> bool:
    """Tell whether no other package has this slug, or is found by it since it had it once."""
    same = select(Package.id).where(func.lower(Package.slug) == slug.lower(), Package.id != (but or 0))
    old = (
        select(OldPackageSlug.slug)
        .join(Package, Package.id == OldPackageSlug.package_id)
        .where(func.lower(OldPackageSlug.slug) == slug.lower(), Package.id != (but or 0))
        .where(Package.hidden_at.is_(None) | Package.merged_into_id.is_not(None))
    )
    return session.scalar(same) is None and session.scalar(old) is None


def leads_to(session: Session, package_id: int, other_id: int) -> bool:
    """Tell whether a package is replaced by another, at once or in turn."""
    following: int | None = package_id
    for _ in range(MOST_REPLACEMENTS):
        following = session.scalar(select(Package.replaced_by_id).where(Package.id == following))
        if following is None or following == other_id:
            break
    return following is not None


def _has_source(source: Source, host: str, target: str) -> ColumnElement[bool]:
    known = select(SourceState.package_id).where(
        SourceState.source == source, SourceState.host == host, SourceState.target == target
    )
    return Package.id.in_(known)


def _first(session: Session, condition: ColumnElement[bool], but: int | None) -> Ref | None:
    """Return the first visible package for which this holds, or into which one for which it holds was merged."""
    survivor = aliased(Package)
    rows = session.execute(
        select(
            Package.id,
            Package.title,
            Package.slug,
            Package.hidden_at,
            survivor.id.label("into_id"),
            survivor.title.label("into_title"),
            survivor.slug.label("into_slug"),
        )
        .outerjoin(survivor, (survivor.id == Package.merged_into_id) & survivor.hidden_at.is_(None))
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
        if found and found.id != but:
            return found
    return None
