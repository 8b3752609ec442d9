"""Actions of moderators on a package; each has a reason, which its history and the flags that it closes keep."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from pkgsite.errors import Invalid, NotFound
from pkgsite.models import Flag, Package, begin_write
from pkgsite.rules.texts import FieldReader
from pkgsite.services.changeset import Changeset
from pkgsite.services.packages.edits import EditPackage
from pkgsite.services.packages.fields import PackageChanges
from pkgsite.services.packages.flags import FlagRecord, close_flags, open_flags
from pkgsite.services.packages.lookup import find_by_index_name, find_in_repository, lock_package_references
from pkgsite.services.packages.merge import merge_packages
from pkgsite.services.permissions import Viewer, require_moderator
from pkgsite.services.refresh.sources import sync_sources_in_transaction

MAX_DECISION_REASON_LENGTH = 1000  # characters


@dataclass(frozen=True, slots=True)
class PackageModerationPage:
    id: int
    title: str
    slug: str
    is_hidden: bool
    merged_into: tuple[str, str] | None  # slug and title
    is_deprecated: bool
    version: int
    flags: list[FlagRecord]


def package_moderation_page(session: Session, slug: str) -> PackageModerationPage:
    """Return a package with its open flags, for the moderation page.

    Raises:
        NotFound: The package does not exist.
    """
    package = session.scalar(select(Package).where(Package.slug == slug))
    if package is None:
        raise NotFound("Package")
    survivor = select(Package.slug, Package.title).where(Package.id == package.merged_into_id)
    into = session.execute(survivor).one_or_none()
    return PackageModerationPage(
        id=package.id,
        title=package.title,
        slug=package.slug,
        is_hidden=package.hidden_at is not None,
        merged_into=(into.slug, into.title) if into else None,
        is_deprecated=package.deprecated_at is not None,
        version=package.version,
        flags=open_flags(session, package.id),
    )


def hide_package(changeset: Changeset, *, slug: str, flag_ids: Collection[int] = ()) -> Package:
    """Hide a package from everyone except moderators.

    Raises:
        Forbidden: The user is not a moderator.
        Invalid: The reason is missing.
        NotFound: The package does not exist.
    """
    package = _lock_package(changeset, slug)
    changeset.edit(package, {"hidden_at": package.hidden_at or changeset.now})
    _sync_sources(changeset, package)
    return _close_flags(changeset, package, flag_ids, "Hidden.")


def unhide_package(changeset: Changeset, *, slug: str) -> Package:
    """Show a hidden or merged package again.

    Raises:
        Forbidden: The user is not a moderator.
        Invalid: The reason is missing, or another package now has the same repository or PyPI project.
        NotFound: The package does not exist.
    """
    lock_package_references(changeset.session)
    package = _lock_package(changeset, slug)
    kinds = changeset.gateways.host_kinds if changeset.gateways else {}
    conflicting = (
        find_in_repository(changeset.session, package.repo_url, package.pypi_url, kinds, exclude_id=package.id)
        if package.repo_url
        else None
    )
    conflicting = conflicting or (
        find_by_index_name(changeset.session, package.pypi_url, exclude_id=package.id) if package.pypi_url else None
    )
    if conflicting:
        raise Invalid(
            {"reason": [f"“{conflicting.title}” now uses the same repository or PyPI project. Change it first."]}
        )
    changeset.edit(package, {"hidden_at": None, "merged_into_id": None})
    _sync_sources(changeset, package)
    return package


def deprecate_package(changeset: Changeset, *, slug: str, replaced_by: str, flag_ids: Collection[int] = ()) -> Package:
    """Mark a package as deprecated, optionally with the package that replaces it.

    Raises:
        Forbidden: The user is not a moderator.
        Invalid: The reason is missing, or the replacement does not exist.
        NotFound: The package does not exist.
    """
    package = _lock_package(changeset, slug)
    changes: PackageChanges = {"is_deprecated": True}
    if replaced_by.strip():
        changes["replaced_by"] = replaced_by
    EditPackage(package.id, changes).apply(changeset)
    return _close_flags(changeset, package, flag_ids, "Deprecated.")


def merge_package(changeset: Changeset, *, slug: str, into: str, flag_ids: Collection[int] = ()) -> Package:
    """Merge a package into another one, and return the survivor.

    Raises:
        Forbidden, Invalid, NotFound: As for `merge_packages`, or the reason is missing.
    """
    lock_package_references(changeset.session)
    duplicate = _lock_package(changeset, slug)
    survivor = merge_packages(changeset, duplicate_slug=slug, target=into)
    _close_flags(changeset, duplicate, flag_ids, f"Merged into “{survivor.title}”.")
    return survivor


def dismiss_flag(session: Session, flag_id: int, *, by: Viewer, reason: str, now: datetime) -> str:
    """Close a flag without acting on it, and return the slug of its package.

    Raises:
        Forbidden: The user is not a moderator.
        Invalid: The reason is missing.
        NotFound: There is no such open flag.
    """
    require_moderator(by)
    begin_write(session)
    row = session.execute(
        select(Package.slug)
        .join(Flag, Flag.package_id == Package.id)
        .where(Flag.id == flag_id, Flag.closed_at.is_(None))
    ).one_or_none()
    if row is None:
        raise NotFound("Flag")
    close_flags(session, [flag_id], by=by, outcome=require_reason(reason), now=now)
    return str(row.slug)


def require_reason(reason: str) -> str:
    """Return a moderator's words.

    Raises:
        Invalid: There are none, or too many.
    """
    reader = FieldReader()
    cleaned_reason = reader.read_text("reason", reason, MAX_DECISION_REASON_LENGTH, is_required=True)
    reader.raise_if_invalid()
    return cleaned_reason


def _lock_package(changeset: Changeset, slug: str) -> Package:
    require_moderator(changeset.by)
    changeset.reason = require_reason(changeset.reason)
    package = changeset.session.scalar(select(Package).where(Package.slug == slug).with_for_update())
    if package is None:
        raise NotFound("Package")
    return package


def _close_flags(changeset: Changeset, package: Package, flag_ids: Collection[int], what: str) -> Package:
    outcome = f"{what} {changeset.reason}"
    close_flags(changeset.session, flag_ids, by=changeset.by, outcome=outcome, now=changeset.now, package_id=package.id)
    return package


def _sync_sources(changeset: Changeset, package: Package) -> None:
    """Let a hidden package's sources no longer be asked, and those of one that is shown again be."""
    if changeset.gateways:
        changeset.session.flush()
        sync_sources_in_transaction(changeset.session, changeset.gateways, now=changeset.now, package_ids=[package.id])
