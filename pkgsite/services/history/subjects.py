"""The objects that histories are about: looked up by slug or id, existing or deleted, if the viewer may see them."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Row, false, or_, select, true
from sqlalchemy.orm import Session

from pkgsite.errors import Moved, NotFound
from pkgsite.models import (
    Cell,
    Feature,
    Grid,
    GridPackage,
    Package,
    PackageSlugRedirect,
    Revision,
    UsingSite,
)
from pkgsite.services.changeset import CELL, FEATURE, GRID, MEMBERSHIP, PACKAGE, SITE, TRACKED_MODELS
from pkgsite.services.grids.records import missing_grid_slug_error
from pkgsite.services.history.names import ObjectLabel, ObjectReferences, load_names
from pkgsite.services.history.revert import HistoryScope
from pkgsite.services.permissions import Viewer


@dataclass(frozen=True, slots=True)
class HistorySubject:
    """The object that a history is about, whether or not it still exists."""

    kind: str
    id: int
    grid_id: int | None
    package_id: int | None
    feature_id: int | None


def get_package_id(session: Session, slug: str, viewer: Viewer) -> int:
    """Return the id of the package with this slug; only moderators find hidden packages.

    Raises:
        Moved: The slug is a former one.
        NotFound: No package has or had this slug, or it is hidden.
    """
    visible = true() if viewer.is_moderator else Package.hidden_at.is_(None)
    package_id = session.scalar(select(Package.id).where(Package.slug == slug, visible))
    if package_id is not None:
        return package_id
    redirects = select(Package.slug).join(PackageSlugRedirect, PackageSlugRedirect.package_id == Package.id)
    current_slug = session.scalar(redirects.where(PackageSlugRedirect.slug == slug, visible))
    raise Moved(current_slug) if current_slug else NotFound("Package")


def get_grid_id(session: Session, slug: str) -> int:
    """Return the id of the grid with this slug.

    Raises:
        Moved: The slug is a former one.
        NotFound: No grid has or had this slug.
    """
    grid_id = session.scalar(select(Grid.id).where(Grid.slug == slug))
    if grid_id is None:
        raise missing_grid_slug_error(session, slug)
    return grid_id


def find_subject(session: Session, scope: HistoryScope, viewer: Viewer) -> HistorySubject:
    """Return the object that a history is about.

    Raises:
        NotFound: The object never existed, or the viewer can't see it.
    """
    ids = _related_ids(session, scope)
    if ids is None:
        raise NotFound("History")
    subject = HistorySubject(scope.kind, scope.id, *ids)
    if viewer.is_moderator:
        return subject
    hidden = select(Package.id).where(Package.id == subject.package_id, Package.hidden_at.is_not(None))
    if subject.package_id and session.scalar(hidden) is not None:
        raise NotFound("History")
    if scope.kind == SITE.name:
        approved = or_(UsingSite.is_approved.is_(True), UsingSite.created_by_id == viewer.user_id)
        if session.scalar(select(UsingSite.id).where(UsingSite.id == scope.id, approved)) is None:
            raise NotFound("History")
    return subject


def _related_ids(session: Session, scope: HistoryScope) -> Row[int | None, int | None, int | None] | None:
    """Return the ids of an object's grid, package and feature, or None if it never existed.

    They come from its row or, if it was deleted, from its revisions.
    """
    none = select(Package.id).where(false()).scalar_subquery()
    selects = {
        PACKAGE.name: select(none, Package.id, none).where(Package.id == scope.id),
        GRID.name: select(Grid.id, none, none).where(Grid.id == scope.id),
        FEATURE.name: select(Feature.grid_id, none, Feature.id).where(Feature.id == scope.id),
        MEMBERSHIP.name: select(GridPackage.grid_id, GridPackage.package_id, none).where(GridPackage.id == scope.id),
        CELL.name: select(GridPackage.grid_id, GridPackage.package_id, Cell.feature_id)
        .join(Cell, Cell.grid_package_id == GridPackage.id)
        .where(Cell.id == scope.id),
        SITE.name: select(none, UsingSite.package_id, none).where(UsingSite.id == scope.id),
    }
    if scope.kind not in selects:
        return None
    revision_ids = (
        select(Revision.grid_id, Revision.package_id, Revision.feature_id)
        .where(Revision.object_type == scope.kind, Revision.object_id == scope.id)
        .limit(1)
    )
    return session.execute(selects[scope.kind]).one_or_none() or session.execute(revision_ids).one_or_none()


def object_exists(session: Session, scope: HistoryScope) -> bool:
    """Return whether an object exists now."""
    model = TRACKED_MODELS[scope.kind].model
    return session.scalar(select(model.id).where(model.id == scope.id)) is not None


def label_subject(session: Session, subject: HistorySubject, viewer: Viewer) -> ObjectLabel:
    """Return a label for the object of a history."""
    key = (subject.kind, subject.id, subject.grid_id, subject.package_id, subject.feature_id)
    references = ObjectReferences()
    references.add_object(*key)
    return load_names(session, references, viewer).label_for(*key)
