"""What the objects that revisions speak of are called, read in bulk: now, or as they were before they were deleted."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import and_, or_, select
from sqlalchemy.orm import Session

from pkgsite.models import Category, Feature, Grid, Package, Revision, User, UsingSite
from pkgsite.services.changeset import CELL, FEATURE, GRID, MEMBERSHIP, PACKAGE, SITE
from pkgsite.services.packages.records import AnySelect
from pkgsite.services.permissions import Viewer

PACKAGE_FIELDS = ("replaced_by_id", "merged_into_id")
HIDDEN_PACKAGE_LABEL = "a hidden package"


@dataclass(frozen=True, slots=True)
class ObjectName:
    """What an object is called.

    Attributes:
        slug: Of its page; None where it has none.
    """

    kind: str
    id: int
    title: str
    slug: str | None = None
    is_quoted: bool = True  # False: words of ours, such as "a hidden package"


@dataclass(frozen=True, slots=True)
class Author:
    username: str
    has_page: bool


ObjectLabel = tuple[str | ObjectName, ...]  # words and names that together say what a change was made to


@dataclass
class ObjectReferences:
    """The ids that some revisions speak of."""

    packages: set[int] = field(default_factory=set)
    grids: set[int] = field(default_factory=set)
    features: set[int] = field(default_factory=set)
    sites: set[int] = field(default_factory=set)
    categories: set[int] = field(default_factory=set)
    people: set[int] = field(default_factory=set)

    def add(self, revision: Revision) -> None:
        self.add_object(
            revision.object_type, revision.object_id, revision.grid_id, revision.package_id, revision.feature_id
        )
        self.people |= {revision.user_id} if revision.user_id else set()
        for state in (revision.before or {}, revision.after or {}):
            self.categories |= _collect_ids(state, ("category_id",))
            self.packages |= _collect_ids(state, PACKAGE_FIELDS)

    def add_object(
        self, kind: str, object_id: int, grid_id: int | None, package_id: int | None, feature_id: int | None
    ) -> None:
        self.grids |= {grid_id} if grid_id else set()
        self.packages |= {package_id} if package_id else set()
        self.features |= {feature_id} if feature_id else set()
        self.sites |= {object_id} if kind == SITE.name else set()


@dataclass(frozen=True)
class NameLookup:
    """The names of objects, by kind and id."""

    by_key: Mapping[tuple[str, int], ObjectName]
    categories: Mapping[int, str]
    people: Mapping[int, Author]

    def name_of(self, kind: str, object_id: int | None) -> ObjectName:
        unknown = ObjectName(kind, object_id or 0, f"a deleted {kind}", is_quoted=False)
        return self.by_key.get((kind, object_id or 0), unknown)

    def label_for(
        self, kind: str, object_id: int, grid_id: int | None, package_id: int | None, feature_id: int | None
    ) -> ObjectLabel:
        """Say which object is meant, as in: Cell of “django-q” for “Is fast” in grid “Queues”."""
        grid, package = self.name_of(GRID.name, grid_id), self.name_of(PACKAGE.name, package_id)
        match kind:
            case PACKAGE.name:
                return ("Package ", package)
            case GRID.name:
                return ("Grid ", grid)
            case FEATURE.name:
                return ("Feature ", self.name_of(FEATURE.name, feature_id), " in grid ", grid)
            case MEMBERSHIP.name:
                return ("Package ", package, " in grid ", grid)
            case CELL.name:
                feature = self.name_of(FEATURE.name, feature_id)
                return ("Cell of ", package, " for ", feature, " in grid ", grid)
        return ("Site ", self.name_of(SITE.name, object_id), " using ", package)


def load_names(session: Session, references: ObjectReferences, viewer: Viewer) -> NameLookup:
    """Return the names of all that is referred to, in at most seven queries."""
    found: dict[tuple[str, int], ObjectName] = {}
    packages = select(Package.id, Package.title, Package.slug, Package.hidden_at).where(
        Package.id.in_(references.packages)
    )
    for row in _rows(session, packages, references.packages):
        if row.hidden_at is not None and not viewer.is_moderator:
            found[PACKAGE.name, row.id] = ObjectName(PACKAGE.name, row.id, HIDDEN_PACKAGE_LABEL, is_quoted=False)
        else:
            slug = None if row.hidden_at else row.slug
            found[PACKAGE.name, row.id] = ObjectName(PACKAGE.name, row.id, row.title, slug)
    grids = select(Grid.id, Grid.title, Grid.slug).where(Grid.id.in_(references.grids))
    for row in _rows(session, grids, references.grids):
        found[GRID.name, row.id] = ObjectName(GRID.name, row.id, row.title, row.slug)
    for kind, model, ids in (
        (FEATURE.name, Feature, references.features),
        (SITE.name, UsingSite, references.sites),
    ):
        for row in _rows(session, select(model.id, model.title).where(model.id.in_(ids)), ids):
            found[kind, row.id] = ObjectName(kind, row.id, row.title)
    found |= _deleted_object_names(session, references, found)
    categories = select(Category.id, Category.title).where(Category.id.in_(references.categories))
    people = select(User.id, User.username, User.is_active).where(User.id.in_(references.people))
    return NameLookup(
        found,
        {row.id: row.title for row in _rows(session, categories, references.categories)},
        {row.id: Author(row.username, row.is_active) for row in _rows(session, people, references.people)},
    )


def _deleted_object_names(
    session: Session, references: ObjectReferences, found: Mapping[tuple[str, int], ObjectName]
) -> dict[tuple[str, int], ObjectName]:
    """Return what objects were called that are no longer there, as the revisions of their deletion tell."""
    ids_by_kind = {GRID.name: references.grids, FEATURE.name: references.features, SITE.name: references.sites}
    missing_ids = {kind: {number for number in ids if (kind, number) not in found} for kind, ids in ids_by_kind.items()}
    conditions = [
        and_(Revision.object_type == kind, Revision.object_id.in_(ids)) for kind, ids in missing_ids.items() if ids
    ]
    if not conditions:
        return {}
    deletions = (
        select(Revision.object_type, Revision.object_id, Revision.before)
        .where(Revision.action == "delete", or_(*conditions))
        .order_by(Revision.id)
    )
    return {
        (kind, number): ObjectName(kind, number, str(before["title"]))
        for kind, number, before in session.execute(deletions)
        if before and "title" in before
    }


def _rows(session: Session, statement: AnySelect, ids: set[int]) -> Iterable[Any]:
    return session.execute(statement) if ids else ()


def _collect_ids(state: Mapping[str, Any], names: Iterable[str]) -> set[int]:
    return {state[name] for name in names if isinstance(state.get(name), int)}
