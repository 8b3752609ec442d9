"""Records every change that users make, in revisions.

A changeset is one action of a user, such as deleting a feature together with its cells. Every object that it changes
gets a revision; the first revision is the head of the changeset, and the others refer to it. User-edited data is
never changed in any other way.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from types import TracebackType
from typing import Any, Protocol, Self, TypeVar

from sqlalchemy import ColumnElement, delete, insert, select, update
from sqlalchemy.orm import Session

from pkgsite.clients.base import Gateways
from pkgsite.errors import Conflict
from pkgsite.models import (
    Cell,
    Feature,
    Grid,
    GridPackage,
    GridSlugRedirect,
    Package,
    PackageSlugRedirect,
    Revision,
    User,
    UsingSite,
    begin_write,
)
from pkgsite.services.permissions import Viewer, require_login
from pkgsite.services.refresh.sources import sync_sources_in_transaction

Row = Package | Grid | Feature | GridPackage | Cell | UsingSite
T_co = TypeVar("T_co", covariant=True)


@dataclass(frozen=True, slots=True)
class TrackedModel:
    """A kind of object that has a history.

    Attributes:
        name: Its name in revisions.
        model: Its model.
        fields: The columns that users edit, in the order in which histories show them.
        restore_fields: Other columns that are needed to restore a deleted object.
    """

    name: str
    model: type[Row]
    fields: tuple[str, ...]
    restore_fields: tuple[str, ...] = ("created_at",)


MAX_EDIT_REASON_LENGTH = 300  # characters

PACKAGE = TrackedModel(
    "package",
    Package,
    ("title", "slug", "category_id", "repo_url", "repo_directory", "pypi_url", "documentation_url", "deprecated_at",
     "replaced_by_id", "hidden_at", "merged_into_id"),
    ("created_at", "created_by_id"),
)  # fmt: skip
GRID = TrackedModel(
    "grid", Grid, ("title", "slug", "description", "is_locked", "header"), ("created_at", "created_by_id")
)
FEATURE = TrackedModel("feature", Feature, ("grid_id", "title", "description", "position"))
MEMBERSHIP = TrackedModel("membership", GridPackage, ("grid_id", "package_id", "position"))
CELL = TrackedModel("cell", Cell, ("grid_package_id", "feature_id", "text"))
SITE = TrackedModel("site", UsingSite, ("package_id", "title", "url", "is_approved"), ("created_at", "created_by_id"))
TRACKED_MODELS = {kind.name: kind for kind in (PACKAGE, GRID, FEATURE, MEMBERSHIP, CELL, SITE)}
TRACKED_BY_MODEL = {kind.model: kind for kind in TRACKED_MODELS.values()}
SOURCE_FIELDS = {"repo_url", "pypi_url", "hidden_at"}  # changing one of these changes where a package's facts come from


def tracked_model_of(row: Row) -> TrackedModel:
    return TRACKED_BY_MODEL[type(row)]


def snapshot(row: Row) -> dict[str, Any]:
    """Return everything that is needed to restore an object, as JSON values."""
    kind = tracked_model_of(row)
    names = [*kind.fields, *kind.restore_fields, *(["version"] if hasattr(row, "version") else [])]
    return {name: to_json_value(getattr(row, name)) for name in names}


def to_json_value(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value


def from_json_value(name: str, value: Any) -> Any:
    return datetime.fromisoformat(value) if name.endswith("_at") and isinstance(value, str) else value


class Edit(Protocol[T_co]):
    """A change that a user asks for: a frozen dataclass that can be applied now, or stored and applied later."""

    def apply(self, changeset: Changeset) -> T_co:
        """Make the change, and return the object that it created or changed."""
        ...


class Changeset:
    """One action of a user, with everything that it changes.

    Use it as a context manager: on exit it updates the timestamps of what was changed, and the sources of packages
    whose facts now come from elsewhere. The caller commits.

    Attributes:
        head_id: The id of the first revision; None if nothing has changed so far.
        gateways: The clients of the hosts that packages' facts come from; None if the caller has none.
    """

    def __init__(
        self,
        session: Session,
        *,
        by: Viewer,
        now: datetime,
        gateways: Gateways | None = None,
        via: str = "page",
        reason: str = "",
    ) -> None:
        """Start a write transaction.

        Args:
            session: A session without an open transaction.
            by: The user who makes the changes.
            now: The current time.
            gateways: The clients of the hosts that facts come from; without them the next job updates the sources.
            via: "page", "api" or "command".
            reason: The user's reason for the change.

        Raises:
            Forbidden: No user is logged in.
        """
        self.session = session
        self.by = by
        self.now = now
        self.user_id = require_login(by)
        self.reason = reason
        self.head_id: int | None = None
        self._via = via
        self.gateways = gateways
        self._touched_grid_ids: set[int] = set()
        self._touched_package_ids: set[int] = set()
        self._relocated_package_ids: set[int] = set()
        self._memberships: list[GridPackage] = []  # kept so that the session finds them without a query
        begin_write(session)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self._finish()

    def add(self, row: Row) -> None:
        """Add a new object, or a restored one that has its former id; sets its timestamps and users."""
        is_new = row.id is None
        row.created_at = row.created_at or self.now
        if isinstance(row, Package | Grid | UsingSite) and is_new:
            row.created_by_id = self.user_id
        if not isinstance(row, UsingSite | GridPackage):
            row.modified_at = self.now
        if isinstance(row, Package | Grid):
            row.modified_by_id, row.changed_at = self.user_id, self.now
        self.session.add(row)
        self.session.flush()
        if isinstance(row, Package):
            self._relocated_package_ids.add(row.id)
            self._release_slug(PackageSlugRedirect, row.slug)
        if isinstance(row, Grid):
            self._release_slug(GridSlugRedirect, row.slug)
        self._record(row, "add", None, snapshot(row))

    def edit(self, row: Row, values: Mapping[str, Any]) -> bool:
        """Set fields of an object, and return whether any of them changed."""
        before = {name: getattr(row, name) for name in values if getattr(row, name) != values[name]}
        if not before:
            return False
        for name in before:
            setattr(row, name, values[name])
        if hasattr(row, "version"):
            row.version += 1
        if not isinstance(row, UsingSite | GridPackage):
            row.modified_at = self.now
        if isinstance(row, Package | Grid):
            row.modified_by_id, row.changed_at = self.user_id, self.now
            if "slug" in before:
                self._redirect_old_slug(row, before["slug"])
        if isinstance(row, Package) and SOURCE_FIELDS & before.keys():
            self._relocated_package_ids.add(row.id)
        self.session.flush()
        self._record(row, "edit", _to_json_values(before), _to_json_values({name: values[name] for name in before}))
        return True

    def delete(self, row: Row) -> None:
        """Delete an object with all that depends on it, with a revision for each.

        The number of statements does not depend on how much a grid contains, so the lock is held only briefly.
        """
        dependents = self._dependents(row)
        self._record(row, "delete", snapshot(row), None)
        if dependents:
            revisions = [self._revision_values(part, "delete", snapshot(part), None) for part in dependents]
            # With RETURNING, SQLAlchemy sends the rows in few statements; psycopg would send one statement for each.
            self.session.execute(insert(Revision).returning(Revision.id), revisions)
        self.session.flush()
        for model in (Cell, GridPackage, Feature):  # those that refer to others first
            ids = [part.id for part in dependents if isinstance(part, model)]
            if ids:
                self.session.execute(
                    delete(model).where(model.id.in_(ids)).execution_options(synchronize_session=False)
                )
        for part in dependents:
            self.session.expunge(part)
        self.session.delete(row)
        self.session.flush()

    def touch(self, *, grid_id: int | None = None, package_id: int | None = None) -> None:
        """Mark a grid or a package as changed; its timestamps are updated on exit."""
        self._touched_grid_ids |= {grid_id} if grid_id else set()
        self._touched_package_ids |= {package_id} if package_id else set()

    def reset(self) -> None:
        """Forget all changes, after they have been rolled back."""
        self.head_id = None
        for pending in (self._touched_grid_ids, self._touched_package_ids, self._relocated_package_ids):
            pending.clear()

    def _dependents(self, row: Row) -> list[Row]:
        """Return the objects that can't exist without this one; each follows those that it refers to."""
        match row:
            case Grid():
                memberships = self._rows(GridPackage, GridPackage.grid_id == row.id)
                features = self._rows(Feature, Feature.grid_id == row.id)
                return [*features, *memberships, *self._rows(Cell, Cell.feature_id.in_([part.id for part in features]))]
            case Feature():
                # The revisions of the cells name the packages; one query reads them all.
                self._memberships = self._rows(GridPackage, GridPackage.grid_id == row.grid_id)
                return self._rows(Cell, Cell.feature_id == row.id)
            case GridPackage():
                return self._rows(Cell, Cell.grid_package_id == row.id)
        return []

    def _rows(self, model: type[Any], condition: ColumnElement[bool]) -> list[Any]:
        return list(self.session.scalars(select(model).where(condition).order_by(model.id)))

    def _record(self, row: Row, action: str, before: dict[str, Any] | None, after: dict[str, Any] | None) -> None:
        """Add a revision."""
        revision = Revision(**self._revision_values(row, action, before, after))
        self.session.add(revision)
        self.session.flush()
        self.head_id = self.head_id or revision.id

    def _revision_values(
        self, row: Row, action: str, before: dict[str, Any] | None, after: dict[str, Any] | None
    ) -> dict[str, Any]:
        """Return the columns of a revision, and mark its grid and package as changed."""
        grid_id, package_id, feature_id = self._subjects(row)
        # A grid's or package's own timestamps are set with its other columns.
        self.touch(
            grid_id=None if isinstance(row, Grid) else grid_id,
            package_id=None if isinstance(row, Package) else package_id,
        )
        return {
            "at": self.now,
            "user_id": self.user_id,
            "object_type": tracked_model_of(row).name,
            "object_id": row.id,
            "action": action,
            "before": before,
            "after": after,
            "reason": self.reason,
            "via": self._via,
            "head_id": self.head_id,
            "grid_id": grid_id,
            "package_id": package_id,
            "feature_id": feature_id,
        }

    def _subjects(self, row: Row) -> tuple[int | None, int | None, int | None]:
        """Return the ids of the grid, the package and the feature whose histories include an object's changes."""
        match row:
            case Package():
                return None, row.id, None
            case Grid():
                return row.id, None, None
            case Feature():
                return row.grid_id, None, row.id
            case GridPackage():
                return row.grid_id, row.package_id, None
            case UsingSite():
                return None, row.package_id, None
        membership = self.session.get_one(GridPackage, row.grid_package_id)
        return membership.grid_id, membership.package_id, row.feature_id

    def _redirect_old_slug(self, row: Package | Grid, old: str) -> None:
        """Redirect an object's former slug to it, and remove a redirect that its new slug would hide."""
        if isinstance(row, Package):
            self._release_slug(PackageSlugRedirect, row.slug)
            self._release_slug(PackageSlugRedirect, old)
            self.session.add(PackageSlugRedirect(slug=old, package_id=row.id, created_at=self.now))
        else:
            self._release_slug(GridSlugRedirect, row.slug)
            self._release_slug(GridSlugRedirect, old)
            self.session.add(GridSlugRedirect(slug=old, grid_id=row.id, created_at=self.now))

    def _release_slug(self, model: type[PackageSlugRedirect | GridSlugRedirect], slug: str) -> None:
        self.session.execute(delete(model).where(model.slug == slug))

    def _finish(self) -> None:
        if self._touched_grid_ids:
            self.session.execute(
                update(Grid)
                .where(Grid.id.in_(self._touched_grid_ids))
                .values(changed_at=self.now, modified_at=self.now)
            )
        if self._touched_package_ids:
            self.session.execute(
                update(Package).where(Package.id.in_(self._touched_package_ids)).values(changed_at=self.now)
            )
        if self._relocated_package_ids and self.gateways:
            self.session.flush()
            sync_sources_in_transaction(
                self.session, self.gateways, now=self.now, package_ids=self._relocated_package_ids
            )


def rebuild_row(kind: TrackedModel, object_id: int, saved_state: Mapping[str, Any], user_ids: Collection[int]) -> Row:
    """Return an object as it was in a snapshot, with its id; `user_ids` are the users that still have an account."""
    values = {name: from_json_value(name, value) for name, value in saved_state.items() if name != "version"}
    if values.get("created_by_id") not in user_ids:
        values.pop("created_by_id", None)
    row = kind.model(id=object_id, **values)
    if "version" in saved_state:
        row.version = saved_state["version"] + 1  # type: ignore[union-attr]  # a form opened before the deletion conflicts
    return row


def existing_user_ids(session: Session, ids: Collection[int | None]) -> set[int]:
    """Return the ids of those of these users that still have an account."""
    user_ids = {user_id for user_id in ids if user_id is not None}
    return set(session.scalars(select(User.id).where(User.id.in_(user_ids)))) if user_ids else set()


def check_version(row: Package | Grid | Feature | Cell | UsingSite, version: int | None) -> None:
    """Reject an edit that is based on another version; `version` None accepts any.

    Raises:
        Conflict: The object has changed since that version.
    """
    if version is not None and row.version != version:
        raise Conflict(f"The content has changed since version {version}.")


def _to_json_values(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: to_json_value(value) for name, value in values.items()}
