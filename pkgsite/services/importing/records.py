"""Importing categories, grids and packages from another site or a file.

Imported records keep their ids, slugs and times. A record that conflicts with existing ones is skipped with a warning.
Fields and memberships that users have edited on this site are kept, and so are facts that are newer on this site.
Importing the same records again changes nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Generic, TypeVar

from sqlalchemy import func, or_, select, update
from sqlalchemy.dialects.postgresql import REGCLASS
from sqlalchemy.orm import Session

from pkgsite.clients.base import CategoryFacts, GridFacts, InvalidRecord, PackageFacts
from pkgsite.models import Category, Cell, Grid, GridPackage, Package, begin_write
from pkgsite.rules.records import describe_record
from pkgsite.rules.slugs import slug_key
from pkgsite.services.history.authorship import user_edited_fields, user_edited_memberships

BATCH_SIZE = 500  # records per query; SQLite allows about 32,000 values in one
IMPORT_LOCK_ID = 7_406_218_356  # arbitrary, but not that of the migrations

CATEGORY_FIELDS = ("title", "slug", "description", "title_plural", "show_pypi", "created_at", "modified_at")
GRID_FIELDS = ("title", "slug", "description", "is_locked", "header", "created_at", "modified_at")
USER_FIELDS = (
    "title",
    "slug",
    "category_id",
    "repo_url",
    "pypi_url",
    "documentation_url",
    "created_at",
    "modified_at",
)
FETCHED_FIELDS = (
    "description",
    "stars",
    "forks",
    "last_commit_at",
    "commits_over_52",
    "participants",
    "pypi_version",
    "last_fetched_at",
)

Facts = TypeVar("Facts", CategoryFacts, GridFacts, PackageFacts)
Row = TypeVar("Row", Category, Grid, Package)


class Outcome(StrEnum):
    ADDED = "added"
    CHANGED = "changed"
    UNCHANGED = "unchanged"


@dataclass(slots=True)
class ImportTally:
    """The result of importing records of one kind; a repeated record is counted once."""

    outcomes: dict[int, Outcome] = field(default_factory=dict)  # of the imported records, by id
    skipped: list[int | None] = field(default_factory=list)  # ids of the skipped records
    newer_facts_kept: int = 0  # number of packages whose facts are newer on this site
    warnings: list[str] = field(default_factory=list)  # each starts with the record's name

    def count(self, outcome: Outcome) -> int:
        return sum(record_outcome == outcome for record_outcome in self.outcomes.values())

    def record(self, record_id: int, *, added: bool, changed: bool) -> None:
        if self.outcomes.get(record_id, Outcome.UNCHANGED) is Outcome.UNCHANGED:
            self.outcomes[record_id] = Outcome.ADDED if added else Outcome.CHANGED if changed else Outcome.UNCHANGED

    def record_skipped(self, record_id: int | None, name: str, problem: str) -> None:
        self.skipped.append(record_id)
        self.warnings.append(f"{name}: skipped ({problem})")

    def record_kept(self, name: str, fields: Collection[str]) -> None:
        self.warnings.append(f"{name}: kept values edited on this site: {', '.join(sorted(fields))}")


def begin_exclusive_import(session: Session) -> None:
    """Begin a write transaction that blocks other imports until it ends; call it before the session's first query."""
    begin_write(session)
    if session.get_bind().dialect.name == "postgresql":
        session.execute(select(func.pg_advisory_xact_lock(IMPORT_LOCK_ID)))


def import_categories(
    session: Session, records: Sequence[CategoryFacts | InvalidRecord], *, tally: ImportTally
) -> None:
    """Add or update categories, and count them."""
    for batch_records in _batches(records):
        batch = _Batch(session, Category, "category", batch_records, tally)
        for record in batch.valid_records():
            change = batch.upsert(record, _column_values(record, CATEGORY_FIELDS))
            tally.record(record.id, added=change.added, changed=bool(change.fields))
    _advance_id_sequence(session, Category)


def import_grids(
    session: Session, records: Sequence[GridFacts | InvalidRecord], *, now: datetime, tally: ImportTally
) -> None:
    """Add or update grids, without their packages, and count them."""
    for batch_records in _batches(records):
        batch = _Batch(session, Grid, "grid", batch_records, tally)
        for record in batch.valid_records():
            change = batch.upsert(record, _column_values(record, GRID_FIELDS))
            if change.fields:
                change.row.changed_at = now
            tally.record(record.id, added=change.added, changed=bool(change.fields))
    _advance_id_sequence(session, Grid)


def import_packages(
    session: Session,
    records: Sequence[PackageFacts | InvalidRecord],
    *,
    category_ids: Collection[int],
    grid_ids: Collection[int],
    now: datetime,
    tally: ImportTally,
) -> None:
    """Add or update packages and their memberships in grids, and count them.

    Args:
        session: The database session.
        records: The packages.
        category_ids: The ids of the categories from the same import; a package of another category is skipped.
        grid_ids: The ids of the grids from the same import; other grids are ignored with a warning.
        now: The current time.
        tally: The tally to update.
    """
    for batch_records in _batches(records):
        batch = _Batch(session, Package, "package", batch_records, tally)
        memberships = _Memberships(session, batch.ids, set(grid_ids), tally, now)
        for record in batch.valid_records():
            if record.category_id not in category_ids:
                tally.record_skipped(record.id, batch.name(record), f"unknown category {record.category_id}")
                continue
            change = batch.upsert(record, _package_values(record, batch.row(record), tally))
            is_moved = memberships.sync(record, batch.name(record))
            if change.fields or is_moved:
                change.row.changed_at = now
            if "title" in change.fields:  # the grids list their packages by title
                memberships.mark_grids_changed(record)
            tally.record(record.id, added=change.added, changed=bool(change.fields) or is_moved)
        memberships.save_changed_at()
    _advance_id_sequence(session, Package)


@dataclass(frozen=True, slots=True)
class _RowChange(Generic[Row]):
    row: Row
    added: bool
    fields: set[str]


class _Batch(Generic[Row, Facts]):
    """Records of one kind, with the existing rows of the same ids or slugs and the users' edits.

    The rows are locked before the revisions are read, so that no edit can happen in between.
    """

    def __init__(
        self,
        session: Session,
        model: type[Row],
        noun: str,
        records: Sequence[Facts | InvalidRecord],
        tally: ImportTally,
    ) -> None:
        self._session, self._noun, self._tally = session, noun, tally
        self._model: type[Row] = model
        self._records: Sequence[Facts | InvalidRecord] = records
        valid = [record for record in records if not isinstance(record, InvalidRecord)]
        self.ids = [record.id for record in valid]
        keys = [slug_key(record.slug) for record in valid]
        rows = session.scalars(
            select(model)
            .where(or_(model.id.in_(self.ids), func.lower(model.slug).in_(keys)))
            .order_by(model.id)
            .with_for_update()
        ).all()
        self._by_id: dict[int, Row] = {row.id: row for row in rows}
        self._by_key: dict[str, Row] = {self._key(row.slug): row for row in rows}
        self._user_edits = user_edited_fields(session, noun, self.ids)

    def _key(self, slug: str) -> str:
        """Return what is equal for slugs that can't coexist: those of grids can differ in case only."""
        return slug if issubclass(self._model, Grid) else slug_key(slug)

    def name(self, record: Facts | InvalidRecord) -> str:
        return describe_record(self._noun, record.id, record.slug)

    def row(self, record: Facts) -> Row | None:
        return self._by_id.get(record.id)

    def valid_records(self) -> Iterator[Facts]:
        """Yield the records that can be imported, and record the others as skipped."""
        for record in self._records:
            if isinstance(record, InvalidRecord):
                self._tally.record_skipped(record.id, self.name(record), "; ".join(record.problems))
                continue
            problem = self._conflict_reason(record)
            if problem:
                self._tally.record_skipped(record.id, self.name(record), problem)
            else:
                yield record

    def _conflict_reason(self, record: Facts) -> str | None:
        row, same_slug = self.row(record), self._by_key.get(self._key(record.slug))
        if row is not None:
            if row.slug == record.slug or "slug" in self._user_edits.get(record.id, ()):
                return None
            return f"its ID is used by “{row.slug}” on this site"
        if same_slug is not None:
            return f"its slug is used by {describe_record(self._noun, same_slug.id, same_slug.slug)} on this site"
        return "deleted on this site" if record.id in self._user_edits else None

    def upsert(self, record: Facts, values: dict[str, Any]) -> _RowChange[Row]:
        """Add the record's row, or update it except for the fields that users have edited."""
        row = self.row(record)
        if row is None:
            row = self._model(id=record.id, **values)
            self._session.add(row)
            self._by_id[record.id] = self._by_key[self._key(record.slug)] = row
            return _RowChange(row, True, set(values))
        user_edited = self._user_edits.get(record.id)
        if user_edited is not None:  # the later of the last edits on both sites
            values["modified_at"] = max(row.modified_at, record.modified_at)
        changed, kept_fields = set_fields(row, values, user_edited or ())
        if kept_fields:
            self._tally.record_kept(self.name(record), kept_fields)
        return _RowChange(row, False, changed)


def set_fields(row: object, values: Mapping[str, Any], user_edited: Collection[str]) -> tuple[set[str], set[str]]:
    """Set the fields of a row that differ, except those that users have edited.

    Returns:
        The names of the changed fields, and of the differing fields that were kept.
    """
    differing = {name for name, value in values.items() if getattr(row, name) != value}
    kept_fields = differing.intersection(user_edited)
    for name in differing - kept_fields:
        setattr(row, name, values[name])
    return differing - kept_fields, kept_fields


class _Memberships:
    """The memberships in grids of a batch's packages.

    Only memberships in imported grids are changed; a package's other grids belong to this site.
    """

    def __init__(
        self, session: Session, package_ids: Collection[int], grid_ids: set[int], tally: ImportTally, now: datetime
    ) -> None:
        self._session, self._grid_ids, self._tally, self._now = session, grid_ids, tally, now
        self._grids_changed: set[int] = set()
        self._existing: defaultdict[int, dict[int, GridPackage]] = defaultdict(dict)
        in_batch = GridPackage.package_id.in_(package_ids)
        for membership in session.scalars(
            select(GridPackage).where(in_batch).order_by(GridPackage.position, GridPackage.id)
        ):
            self._existing[membership.package_id][membership.grid_id] = membership
        self._with_cells = set(
            session.scalars(select(Cell.grid_package_id).join(GridPackage).where(in_batch, Cell.text != "").distinct())
        )
        self._user_edits = user_edited_memberships(session, "package_id", package_ids)

    def sync(self, record: PackageFacts, name: str) -> bool:
        """Add the package to its grids in order, and return whether anything has changed.

        Memberships that users have added or removed are kept as they are, and so are those with cells, which would be
        lost otherwise.
        """
        existing = self._existing[record.id]
        memberships = self._listed(record, name)
        listed_ids = {*record.grid_ids} & self._grid_ids
        memberships += [
            membership
            for grid_id, membership in existing.items()
            if grid_id not in listed_ids and self._keep_or_delete(membership, name)
        ]
        by_grid = {membership.grid_id: membership for membership in memberships}
        has_changed = list(existing) != list(by_grid)
        if has_changed:
            for position, membership in enumerate(memberships):
                membership.position = position
        self._existing[record.id] = by_grid
        return has_changed

    def _listed(self, record: PackageFacts, name: str) -> list[GridPackage]:
        """Return the memberships in the record's grids, and add those that do not exist yet."""
        existing = self._existing[record.id]
        unknown = [grid_id for grid_id in record.grid_ids if grid_id not in self._grid_ids]
        if unknown:
            self._tally.warnings.append(f"{name}: not added to unknown grids: {', '.join(map(str, unknown))}")
        memberships = []
        for grid_id in dict.fromkeys(record.grid_ids):
            if grid_id not in self._grid_ids:
                continue
            if grid_id in existing:
                memberships.append(existing[grid_id])
            elif (grid_id, record.id) in self._user_edits:
                self._tally.warnings.append(f"{name}: removed from grid {grid_id} on this site, not added again")
            else:
                membership = GridPackage(package_id=record.id, grid_id=grid_id, position=0, created_at=self._now)
                self._session.add(membership)
                self._grids_changed.add(grid_id)
                memberships.append(membership)
        return memberships

    def _keep_or_delete(self, membership: GridPackage, name: str) -> bool:
        """Return whether to keep a membership that the record does not list; delete it if not."""
        grid_id = membership.grid_id
        if grid_id not in self._grid_ids:
            return True
        is_user_edit = (grid_id, membership.package_id) in self._user_edits
        if is_user_edit or membership.id in self._with_cells:
            reason = "added on this site" if is_user_edit else "has cells"
            self._tally.warnings.append(f"{name}: kept in grid {grid_id} ({reason})")
            return True
        self._session.delete(membership)
        self._grids_changed.add(grid_id)
        return False

    def mark_grids_changed(self, record: PackageFacts) -> None:
        self._grids_changed.update(self._existing[record.id])

    def save_changed_at(self) -> None:
        """Update when the changed grids were last changed."""
        if self._grids_changed:
            self._session.execute(update(Grid).where(Grid.id.in_(self._grids_changed)).values(changed_at=self._now))


def _batches(records: Sequence[Any]) -> Iterator[Sequence[Any]]:
    for start in range(0, len(records), BATCH_SIZE):
        yield records[start : start + BATCH_SIZE]


def _column_values(record: CategoryFacts | GridFacts | PackageFacts, names: tuple[str, ...]) -> dict[str, Any]:
    """Return these fields of a record as values of the columns."""
    values = {name: getattr(record, name) for name in names}
    return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}


def _package_values(record: PackageFacts, row: Package | None, tally: ImportTally) -> dict[str, Any]:
    """Return the values of a package's columns, without the fetched facts if this site's are newer."""
    values, fetched = _column_values(record, USER_FIELDS), _column_values(record, FETCHED_FIELDS)
    fetched["repo_description"] = record.description
    if row is not None and _is_earlier(record.last_fetched_at, row.last_fetched_at):
        tally.newer_facts_kept += any(getattr(row, name) != value for name, value in fetched.items())
        return values
    if record.participants_complete is not None:
        fetched["participants_complete"] = record.participants_complete
    elif row is None or row.participants != fetched["participants"]:
        fetched["participants_complete"] = True  # the old value was about another list
    return values | fetched


def _is_earlier(imported_at: datetime | None, stored_at: datetime | None) -> bool:
    return stored_at is not None and (imported_at is None or imported_at < stored_at)


def _advance_id_sequence(session: Session, model: type[Category | Grid | Package]) -> None:
    """Write the rows, and advance the table's id sequence past the largest id.

    PostgreSQL's sequences ignore explicit ids, unlike SQLite. A sequence that is already ahead is left alone, because
    concurrent transactions may be using it.
    """
    session.flush()
    if session.get_bind().dialect.name == "postgresql":
        sequence = func.pg_get_serial_sequence(model.__tablename__, "id").cast(REGCLASS)
        largest = func.max(model.id)
        session.execute(
            select(func.setval(sequence, largest)).having(
                largest > func.coalesce(func.pg_sequence_last_value(sequence), 0)
            )
        )
