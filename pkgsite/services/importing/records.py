"""Takes in records of categories, grids and packages from elsewhere: another site, a file.

Ids, slugs and times are kept. A record that does not fit what is here is skipped and named; a field or a membership
that a person has changed here stays as it is; facts that were fetched later here than there stay too. Taking the same
records again changes nothing.
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

BATCH_SIZE = 500  # records for which questions are asked together; SQLite takes some 32,000 values a question
IMPORT_LOCK_ID = 7_406_218_356  # any number but that of the migrations: who holds it takes records in

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
    """What came of some records of one noun; a record that comes twice is counted once."""

    outcomes: dict[int, Outcome] = field(default_factory=dict)  # of the records that are in, by id
    skipped: list[int | None] = field(default_factory=list)  # ids of the records that are not in
    newer_facts_kept: int = 0  # packages whose facts were fetched later here than there
    warnings: list[str] = field(default_factory=list)  # what a person should know, each with the record's name

    def count(self, outcome: Outcome) -> int:
        return sum(found == outcome for found in self.outcomes.values())

    def record(self, record_id: int, *, added: bool, changed: bool) -> None:
        if self.outcomes.get(record_id, Outcome.UNCHANGED) is Outcome.UNCHANGED:
            self.outcomes[record_id] = Outcome.ADDED if added else Outcome.CHANGED if changed else Outcome.UNCHANGED

    def record_skipped(self, record_id: int | None, name: str, problem: str) -> None:
        self.skipped.append(record_id)
        self.warnings.append(f"{name}: skipped ({problem})")

    def record_kept(self, name: str, fields: Collection[str]) -> None:
        self.warnings.append(f"{name}: kept values edited on this site: {', '.join(sorted(fields))}")


def begin_exclusive_import(session: Session) -> None:
    """Begin the session's transaction as the only one that takes records in; others wait for its end.

    Call it before the session's first query.
    """
    begin_write(session)
    if session.get_bind().dialect.name == "postgresql":
        session.execute(select(func.pg_advisory_xact_lock(IMPORT_LOCK_ID)))


def import_categories(
    session: Session, records: Sequence[CategoryFacts | InvalidRecord], *, tally: ImportTally
) -> None:
    """Add or update these categories, and count what came of them."""
    for batch_records in _batches(records):
        batch = _Batch(session, Category, "category", batch_records, tally)
        for record in batch.valid_records():
            change = batch.upsert(record, _column_values(record, CATEGORY_FIELDS))
            tally.record(record.id, added=change.added, changed=bool(change.fields))
    _advance_id_sequence(session, Category)


def import_grids(
    session: Session, records: Sequence[GridFacts | InvalidRecord], *, now: datetime, tally: ImportTally
) -> None:
    """Add or update these grids, without their packages, and count what came of them."""
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
    """Add or update these packages, put them into their grids, and count what came of them.

    `category_ids` and `grid_ids` are what was taken from the same place: an id alone could mean another one here.
    A package of another category is skipped; another grid is named, and the package goes into the rest.
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
    """Some records of one noun, beside the rows that they may touch and what people did to those.

    The rows are locked before the revisions are read, so that no person's edit can come in between.
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
        self._by_key: dict[str, Row] = {slug_key(row.slug): row for row in rows}
        self._people = user_edited_fields(session, noun, self.ids)

    def name(self, record: Facts | InvalidRecord) -> str:
        return describe_record(self._noun, record.id, record.slug)

    def row(self, record: Facts) -> Row | None:
        return self._by_id.get(record.id)

    def valid_records(self) -> Iterator[Facts]:
        """Yield the records that can be taken; count and name the others."""
        for record in self._records:
            if isinstance(record, InvalidRecord):
                self._tally.record_skipped(record.id, self.name(record), "; ".join(record.problems))
                continue
            misfit = self._conflict_reason(record)
            if misfit:
                self._tally.record_skipped(record.id, self.name(record), misfit)
            else:
                yield record

    def _conflict_reason(self, record: Facts) -> str | None:
        row, same_slug = self.row(record), self._by_key.get(slug_key(record.slug))
        if row is not None:
            is_renamed_here = "slug" in self._people.get(record.id, ())
            return (
                None if row.slug == record.slug or is_renamed_here else f"its ID is used by “{row.slug}” on this site"
            )
        if same_slug is not None:
            return f"its slug is used by {describe_record(self._noun, same_slug.id, same_slug.slug)} on this site"
        return "deleted on this site" if record.id in self._people else None

    def upsert(self, record: Facts, values: dict[str, Any]) -> _RowChange[Row]:
        """Add the record's row, or set those of its fields that differ and that no person has changed."""
        row = self.row(record)
        if row is None:
            row = self._model(id=record.id, **values)
            self._session.add(row)
            self._by_id[record.id] = self._by_key[slug_key(record.slug)] = row
            return _RowChange(row, True, set(values))
        people = self._people.get(record.id)
        if people is not None:  # the last edit, here or there
            values["modified_at"] = max(row.modified_at, record.modified_at)
        changed, kept_fields = set_fields(row, values, people or ())
        if kept_fields:
            self._tally.record_kept(self.name(record), kept_fields)
        return _RowChange(row, False, changed)


def set_fields(row: object, values: Mapping[str, Any], user_edited: Collection[str]) -> tuple[set[str], set[str]]:
    """Set those fields of a row that differ and that no person has changed.

    Returns the names of the fields that were set, and of those that differ and were kept.
    """
    differing = {name for name, value in values.items() if getattr(row, name) != value}
    kept_fields = differing.intersection(user_edited)
    for name in differing - kept_fields:
        setattr(row, name, values[name])
    return differing - kept_fields, kept_fields


class _Memberships:
    """Which grids the packages of a batch are in, and in which order.

    Only the grids that were taken are judged: what a package is in beside those is our own.
    """

    def __init__(
        self, session: Session, package_ids: Collection[int], grid_ids: set[int], tally: ImportTally, now: datetime
    ) -> None:
        self._session, self._grid_ids, self._tally, self._now = session, grid_ids, tally, now
        self._grids_changed: set[int] = set()
        self._existing: defaultdict[int, dict[int, GridPackage]] = defaultdict(dict)
        of_these = GridPackage.package_id.in_(package_ids)
        for membership in session.scalars(
            select(GridPackage).where(of_these).order_by(GridPackage.position, GridPackage.id)
        ):
            self._existing[membership.package_id][membership.grid_id] = membership
        self._with_cells = set(
            session.scalars(select(Cell.grid_package_id).join(GridPackage).where(of_these, Cell.text != "").distinct())
        )
        self._user_edits = user_edited_memberships(session, "package_id", package_ids)

    def sync(self, record: PackageFacts, name: str) -> bool:
        """Put the package into its grids, in their order; return whether anything changed.

        What people have put together or taken apart stays so, and so does a membership with cells: they would be lost.
        """
        existing = self._existing[record.id]
        unknown = [grid_id for grid_id in record.grid_ids if grid_id not in self._grid_ids]
        if unknown:
            self._tally.warnings.append(f"{name}: not added to unknown grids: {', '.join(map(str, unknown))}")
        grid_ids = [grid_id for grid_id in dict.fromkeys(record.grid_ids) if grid_id in self._grid_ids]
        order = []
        for grid_id in grid_ids:
            if grid_id in existing:
                order.append(existing[grid_id])
            elif (grid_id, record.id) in self._user_edits:
                self._tally.warnings.append(f"{name}: removed from grid {grid_id} on this site, not added again")
            else:
                order.append(self._add(record.id, grid_id))
        for grid_id, membership in existing.items():
            if grid_id not in grid_ids and self._keep_or_delete(membership, name):
                order.append(membership)
        is_moved = list(existing) != [membership.grid_id for membership in order]
        if is_moved:
            for position, membership in enumerate(order):
                membership.position = position
        self._existing[record.id] = {membership.grid_id: membership for membership in order}
        return is_moved

    def _add(self, package_id: int, grid_id: int) -> GridPackage:
        membership = GridPackage(package_id=package_id, grid_id=grid_id, position=0, created_at=self._now)
        self._session.add(membership)
        self._grids_changed.add(grid_id)
        return membership

    def _keep_or_delete(self, membership: GridPackage, name: str) -> bool:
        """Return whether a membership that the record does not name stays; delete it if not."""
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
        """Say of the grids that they have changed."""
        if self._grids_changed:
            self._session.execute(update(Grid).where(Grid.id.in_(self._grids_changed)).values(changed_at=self._now))


def _batches(records: Sequence[Any]) -> Iterator[Sequence[Any]]:
    for start in range(0, len(records), BATCH_SIZE):
        yield records[start : start + BATCH_SIZE]


def _column_values(record: CategoryFacts | GridFacts | PackageFacts, names: tuple[str, ...]) -> dict[str, Any]:
    """Return these fields of a record as their columns hold them."""
    values = {name: getattr(record, name) for name in names}
    return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}


def _package_values(record: PackageFacts, row: Package | None, tally: ImportTally) -> dict[str, Any]:
    """Return what a package's record says; what was fetched is left out where ours was fetched later."""
    values, fetched = _column_values(record, USER_FIELDS), _column_values(record, FETCHED_FIELDS)
    if row is not None and _is_earlier(record.last_fetched_at, row.last_fetched_at):
        tally.newer_facts_kept += any(getattr(row, name) != value for name, value in fetched.items())
        return values
    if record.participants_complete is not None:
        fetched["participants_complete"] = record.participants_complete
    elif row is None or row.participants != fetched["participants"]:
        fetched["participants_complete"] = True  # what was known of the old list says nothing of the new one
    return values | fetched


def _is_earlier(imported_at: datetime | None, stored_at: datetime | None) -> bool:
    return stored_at is not None and (imported_at is None or imported_at < stored_at)


def _advance_id_sequence(session: Session, model: type[Category | Grid | Package]) -> None:
    """Write the rows, and let ids made from now on follow the largest.

    PostgreSQL's sequences do not see ids that come with their records; SQLite counts by itself. A sequence that is
    ahead already is left alone: others may be taking numbers from it at this moment.
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
