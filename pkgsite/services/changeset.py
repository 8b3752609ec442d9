"""Changes that people make: each is written down as it is made.

An act is one thing that a person does, such as removing a feature together with its cells. Every object that it
changes gets a revision; the first is the act's head, and the others are parts of it. Nothing that people write is
changed in any other way.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from types import TracebackType
from typing import Any, Self

from sqlalchemy import delete, select, update
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


@dataclass(frozen=True, slots=True)
class TrackedModel:
    """A kind of object that has a history.

    Attributes:
        name: As revisions call it.
        model: Its table.
        fields: The columns that people change, in the order in which histories tell them.
        restore_fields: Further columns that an object which comes back needs.
    """

    name: str
    model: type[Row]
    fields: tuple[str, ...]
    restore_fields: tuple[str, ...] = ("created_at",)


PACKAGE = TrackedModel(
    "package",
    Package,
    ("title", "slug", "category_id", "repo_url", "pypi_url", "documentation_url", "deprecated_at", "replaced_by_id",
     "hidden_at", "merged_into_id"),
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
SOURCE_FIELDS = {"repo_url", "pypi_url", "hidden_at"}  # of a package: where its facts come from, or whether any do


def tracked_model_of(row: Row) -> TrackedModel:
    return TRACKED_BY_MODEL[type(row)]


def snapshot(row: Row) -> dict[str, Any]:
    """Return all that is needed to make an object again, as JSON."""
    kind = tracked_model_of(row)
    names = [*kind.fields, *kind.restore_fields, *(["version"] if hasattr(row, "version") else [])]
    return {name: to_json_value(getattr(row, name)) for name in names}


def to_json_value(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value


def from_json_value(name: str, value: Any) -> Any:
    return datetime.fromisoformat(value) if name.endswith("_at") and isinstance(value, str) else value


class Changeset:
    """One thing that a person does, with everything that it changes.

    Used as a context: at its end the times of what was changed are set and the sources of packages that now have
    their facts elsewhere are found. The caller commits.

    Attributes:
        head_id: Of the first revision; None as long as nothing has changed.
        gateways: The hosts that packages' facts come from, where who acts has them at hand.
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
        """Begin.

        Args:
            session: In which no transaction is open.
            by: Who does it.
            now: The present instant.
            gateways: The hosts that packages' facts come from; without them the sources are found by the next job.
            via: "page", "api" or "command".
            reason: The person's own words on why.

        Raises:
            Forbidden: nobody is logged in.
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
        begin_write(session)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self._finish()

    def add(self, row: Row) -> None:
        """Add a new object, or one that comes back with the id that it had; times and people are filled in here."""
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
        """Set an object's fields, and tell whether any of them was different."""
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
            row.modified_by_id = self.user_id
            if "slug" in before:
                self._redirect_old_slug(row, before["slug"])
        if isinstance(row, Package) and SOURCE_FIELDS & before.keys():
            self._relocated_package_ids.add(row.id)
        self.session.flush()
        self._record(row, "edit", _to_json_values(before), _to_json_values({name: values[name] for name in before}))
        return True

    def delete(self, row: Row) -> None:
        """Remove an object with all that hangs on it, each with a revision of its own."""
        self._record(row, "delete", snapshot(row), None)
        for part in self._dependents(row):
            self.delete(part)
        self.session.delete(row)
        self.session.flush()

    def touch(self, *, grid_id: int | None = None, package_id: int | None = None) -> None:
        """Let it be seen at the end that a grid or a package is no longer what it was."""
        self._touched_grid_ids |= {grid_id} if grid_id else set()
        self._touched_package_ids |= {package_id} if package_id else set()

    def reset(self) -> None:
        """Begin anew, after what was done has been rolled back."""
        self.head_id = None
        for pending in (self._touched_grid_ids, self._touched_package_ids, self._relocated_package_ids):
            pending.clear()

    def _dependents(self, row: Row) -> list[Row]:
        """Return what can't be without an object."""
        found: list[Row] = []
        if isinstance(row, Grid):
            for model in (Feature, GridPackage):
                found += self.session.scalars(select(model).where(model.grid_id == row.id).order_by(model.id))
        elif isinstance(row, Feature | GridPackage):
            column = Cell.feature_id if isinstance(row, Feature) else Cell.grid_package_id
            found += self.session.scalars(select(Cell).where(column == row.id).order_by(Cell.id))
        return found

    def _record(self, row: Row, action: str, before: dict[str, Any] | None, after: dict[str, Any] | None) -> None:
        """Write a revision."""
        grid_id, package_id, feature_id = self._subjects(row)
        revision = Revision(
            at=self.now,
            user_id=self.user_id,
            object_type=tracked_model_of(row).name,
            object_id=row.id,
            action=action,
            before=before,
            after=after,
            reason=self.reason,
            via=self._via,
            head_id=self.head_id,
            grid_id=grid_id,
            package_id=package_id,
            feature_id=feature_id,
        )
        self.session.add(revision)
        self.session.flush()
        self.head_id = self.head_id or revision.id
        self.touch(grid_id=grid_id, package_id=package_id)

    def _subjects(self, row: Row) -> tuple[int | None, int | None, int | None]:
        """Return the grid, the package and the feature in whose histories an object's changes are told."""
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
        """Let the slug that an object had lead to it, and no other slug of old stand in the way of its new one."""
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
    """Return an object as a snapshot has it, with its own id; `user_ids` are those that still have an account."""
    values = {name: from_json_value(name, value) for name, value in saved_state.items() if name != "version"}
    if values.get("created_by_id") not in user_ids:
        values.pop("created_by_id", None)
    row = kind.model(id=object_id, **values)
    if "version" in saved_state:
        row.version = saved_state["version"] + 1  # type: ignore[union-attr]  # a form opened on the lost one is refused
    return row


def existing_user_ids(session: Session, ids: Collection[int | None]) -> set[int]:
    """Return those of these people who still have an account."""
    wanted = {number for number in ids if number is not None}
    return set(session.scalars(select(User.id).where(User.id.in_(wanted)))) if wanted else set()


def check_version(row: Package | Grid | Feature | Cell | UsingSite, version: int | None) -> None:
    """Refuse an edit that began on an older version; None: whoever asks doesn't say on which.

    Raises:
        Conflict: somebody has changed the object since.
    """
    if version is not None and row.version != version:
        raise Conflict(f"it has changed since version {version}")


def _to_json_values(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: to_json_value(value) for name, value in values.items()}
