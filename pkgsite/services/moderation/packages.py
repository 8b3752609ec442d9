"""What moderators do to a package: each with a reason, which is kept in its history and on the flags that it closes."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from pkgsite.errors import Invalid, NotFound
from pkgsite.models import Flag, Package, begin_write
from pkgsite.rules.texts import Typed
from pkgsite.services.changeset import Act
from pkgsite.services.packages.edits import edit_package
from pkgsite.services.packages.fields import PackageChanges
from pkgsite.services.packages.flags import FlagLine, close_flags, open_flags
from pkgsite.services.packages.lookup import keep_others_out, package_at, package_named
from pkgsite.services.packages.merge import merge
from pkgsite.services.permissions import Viewer, require_moderator
from pkgsite.services.refresh.sources import arrange_sources

LONGEST_REASON = 1000  # characters


@dataclass(frozen=True, slots=True)
class PackageToModerate:
    id: int
    title: str
    slug: str
    is_hidden: bool
    merged_into: tuple[str, str] | None  # slug and title
    is_deprecated: bool
    version: int
    flags: list[FlagLine]


def package_to_moderate(session: Session, slug: str) -> PackageToModerate:
    """Return a package as moderators see it, with its open flags.

    Raises:
        NotFound: there is no such package.
    """
    package = session.scalar(select(Package).where(Package.slug == slug))
    if package is None:
        raise NotFound("Package")
    survivor = select(Package.slug, Package.title).where(Package.id == package.merged_into_id)
    into = session.execute(survivor).one_or_none()
    return PackageToModerate(
        id=package.id,
        title=package.title,
        slug=package.slug,
        is_hidden=package.hidden_at is not None,
        merged_into=(into.slug, into.title) if into else None,
        is_deprecated=package.deprecated_at is not None,
        version=package.version,
        flags=open_flags(session, package.id),
    )


def hide_package(act: Act, *, slug: str, flag_ids: Collection[int] = ()) -> Package:
    """Hide a package from all but moderators.

    Raises:
        Forbidden: this is no moderator.
        Invalid: no reason is given.
        NotFound: there is no such package.
    """
    package = _package(act, slug)
    act.edit(package, {"hidden_at": package.hidden_at or act.now})
    _ask_where_wanted(act, package)
    return _closing(act, package, flag_ids, "Hidden.")


def show_package(act: Act, *, slug: str) -> Package:
    """Show a hidden package again, or one that was merged.

    Raises:
        Forbidden: this is no moderator.
        Invalid: no reason is given, or another package has its repository or its name on the index now.
        NotFound: there is no such package.
    """
    keep_others_out(act.session)
    package = _package(act, slug)
    kinds = act.gateways.kinds if act.gateways else {}
    there = package_at(act.session, package.repo_url, kinds, but=package.id) if package.repo_url else None
    there = there or (package_named(act.session, package.pypi_url, but=package.id) if package.pypi_url else None)
    if there:
        raise Invalid({"reason": [f"“{there.title}” now uses the same repository or PyPI project. Change it first."]})
    act.edit(package, {"hidden_at": None, "merged_into_id": None})
    _ask_where_wanted(act, package)
    return package


def deprecate_package(act: Act, *, slug: str, replaced_by: str, flag_ids: Collection[int] = ()) -> Package:
    """Say that a package should not be used in new projects, and perhaps which one in its place.

    Raises:
        Forbidden: this is no moderator.
        Invalid: no reason is given, or there is no such other package.
        NotFound: there is no such package.
    """
    package = _package(act, slug)
    changes: PackageChanges = {"is_deprecated": True}
    if replaced_by.strip():
        changes["replaced_by"] = replaced_by
    edit_package(act, package_id=package.id, changes=changes)
    return _closing(act, package, flag_ids, "Deprecated.")


def merge_package(act: Act, *, slug: str, into: str, flag_ids: Collection[int] = ()) -> Package:
    """Merge a package into another one, and return the survivor.

    Raises:
        Forbidden, Invalid, NotFound: as for `merging.merge`; or no reason is given.
    """
    keep_others_out(act.session)
    loser = _package(act, slug)
    survivor = merge(act, loser_slug=slug, into=into)
    _closing(act, loser, flag_ids, f"Merged into “{survivor.title}”.")
    return survivor


def dismiss_flag(session: Session, flag_id: int, *, by: Viewer, reason: str, now: datetime) -> str:
    """Close a flag without doing what it asks for; return the slug of its package.

    Raises:
        Forbidden: this is no moderator.
        Invalid: no reason is given.
        NotFound: there is no such open flag.
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
    close_flags(session, [flag_id], by=by, outcome=needed_reason(reason), now=now)
    return str(row.slug)


def needed_reason(written: str) -> str:
    """Return a moderator's words.

    Raises:
        Invalid: there are none, or too many.
    """
    typed = Typed()
    words = typed.text("reason", written, LONGEST_REASON, is_needed=True)
    typed.check()
    return words


def _package(act: Act, slug: str) -> Package:
    require_moderator(act.by)
    act.reason = needed_reason(act.reason)
    package = act.session.scalar(select(Package).where(Package.slug == slug).with_for_update())
    if package is None:
        raise NotFound("Package")
    return package


def _closing(act: Act, package: Package, flag_ids: Collection[int], what: str) -> Package:
    outcome = f"{what} {act.reason}"
    close_flags(act.session, flag_ids, by=act.by, outcome=outcome, now=act.now, package_id=package.id)
    return package


def _ask_where_wanted(act: Act, package: Package) -> None:
    """Let a hidden package's sources no longer be asked, and those of one that is shown again be."""
    if act.gateways:
        act.session.flush()
        arrange_sources(act.session, act.gateways, now=act.now, package_ids=[package.id])
