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

from pkgsite.clients.base import CategoryFacts, GridFacts, PackageFacts, Unreadable
from pkgsite.models import Category, Cell, Grid, GridPackage, Package, begin_write
from pkgsite.rules.records import record_name
from pkgsite.rules.slugs import slug_key
from pkgsite.services.history.authorship import people_fields, people_memberships

BATCH = 500  # records for which questions are asked together; SQLite takes some 32,000 values a question
LOCK = 7_406_218_356  # any number but that of the migrations: who holds it takes records in

CATEGORY_FIELDS = ("title", "slug", "description", "title_plural", "show_pypi", "created_at", "modified_at")
GRID_FIELDS = ("title", "slug", "description", "is_locked", "header", "created_at", "modified_at")
PEOPLE_FIELDS = (
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
class Tally:
    """What came of some records of one noun; a record that comes twice is counted once."""

    outcomes: dict[int, Outcome] = field(default_factory=dict)  # of the records that are in, by id
    skipped: list[int | None] = field(default_factory=list)  # ids of the records that are not in
    newer_here: int = 0  # packages whose facts were fetched later here than there
    remarks: list[str] = field(default_factory=list)  # what a person should know, each with the record's name

    def count(self, outcome: Outcome) -> int:
        return sum(found == outcome for found in self.outcomes.values())

    def take(self, record_id: int, *, added: bool, changed: bool) -> None:
        if self.outcomes.get(record_id, Outcome.UNCHANGED) is Outcome.UNCHANGED:
            self.outcomes[record_id] = Outcome.ADDED if added else Outcome.CHANGED if changed else Outcome.UNCHANGED

    def skip(self, record_id: int | None, name: str, problem: str) -> None:
        self.skipped.append(record_id)
        self.remarks.append(f"{name}: skipped ({problem})")

    def keep(self, name: str, fields: Collection[str]) -> None:
        self.remarks.append(f"{name}: kept values edited on this site: {', '.join(sorted(fields))}")


def begin_alone(session: Session) -> None:
    """Begin the session's transaction as the only one that takes records in; others wait for its end.

    Call it before the session's first query.
    """
    begin_write(session)
    if session.get_bind().dialect.name == "postgresql":
        session.execute(select(func.pg_advisory_xact_lock(LOCK)))


def take_categories(session: Session, records: Sequence[CategoryFacts | Unreadable], *, tally: Tally) -> None:
    """Add or update these categories, and count what came of them."""
    for some in _batches(records):
        batch = _Batch(session, Category, "category", some, tally)
        for record in batch.fitting():
            change = batch.write(record, _values(record, CATEGORY_FIELDS))
            tally.take(record.id, added=change.added, changed=bool(change.fields))
    _let_new_ids_follow(session, Category)


def take_grids(session: Session, records: Sequence[GridFacts | Unreadable], *, now: datetime, tally: Tally) -> None:
    """Add or update these grids, without their packages, and count what came of them."""
    for some in _batches(records):
        batch = _Batch(session, Grid, "grid", some, tally)
        for record in batch.fitting():
            change = batch.write(record, _values(record, GRID_FIELDS))
            if change.fields:
                change.row.changed_at = now
            tally.take(record.id, added=change.added, changed=bool(change.fields))
    _let_new_ids_follow(session, Grid)


def take_packages(
    session: Session,
    records: Sequence[PackageFacts | Unreadable],
    *,
    category_ids: Collection[int],
    grid_ids: Collection[int],
    now: datetime,
    tally: Tally,
) -> None:
    """Add or update these packages, put them into their grids, and count what came of them.

    `category_ids` and `grid_ids` are what was taken from the same place: an id alone could mean another one here.
    A package of another category is skipped; another grid is named, and the package goes into the rest.
    """
    for some in _batches(records):
        batch = _Batch(session, Package, "package", some, tally)
        memberships = _Memberships(session, batch.ids, set(grid_ids), tally, now)
        for record in batch.fitting():
            if record.category_id not in category_ids:
                tally.skip(record.id, batch.name(record), f"unknown category {record.category_id}")
                continue
            change = batch.write(record, _package_values(record, batch.row(record), tally))
            moved = memberships.arrange(record, batch.name(record))
            if change.fields or moved:
                change.row.changed_at = now
            if "title" in change.fields:  # the grids list their packages by title
                memberships.touch_grids_of(record)
            tally.take(record.id, added=change.added, changed=bool(change.fields) or moved)
        memberships.write_times()
    _let_new_ids_follow(session, Package)


@dataclass(frozen=True, slots=True)
class _Change(Generic[Row]):
    row: Row
    added: bool
    fields: set[str]


class _Batch(Generic[Row, Facts]):
    """Some records of one noun, beside the rows that they may touch and what people did to those.

    The rows are locked before the revisions are read, so that no person's edit can come in between.
    """

    def __init__(
        self, session: Session, model: type[Row], noun: str, records: Sequence[Facts | Unreadable], tally: Tally
    ) -> None:
        self._session, self._noun, self._tally = session, noun, tally
        self._model: type[Row] = model
        self._records: Sequence[Facts | Unreadable] = records
        sound = [record for record in records if not isinstance(record, Unreadable)]
        self.ids = [record.id for record in sound]
        keys = [slug_key(record.slug) for record in sound]
        rows = session.scalars(
            select(model)
            .where(or_(model.id.in_(self.ids), func.lower(model.slug).in_(keys)))
            .order_by(model.id)
            .with_for_update()
        ).all()
        self._by_id: dict[int, Row] = {row.id: row for row in rows}
        self._by_key: dict[str, Row] = {slug_key(row.slug): row for row in rows}
        self._people = people_fields(session, noun, self.ids)

    def name(self, record: Facts | Unreadable) -> str:
        return record_name(self._noun, record.id, record.slug)

    def row(self, record: Facts) -> Row | None:
        return self._by_id.get(record.id)

    def fitting(self) -> Iterator[Facts]:
        """Yield the records that can be taken; count and name the others."""
        for record in self._records:
            if isinstance(record, Unreadable):
                self._tally.skip(record.id, self.name(record), "; ".join(record.problems))
                continue
            misfit = self._misfit(record)
            if misfit:
                self._tally.skip(record.id, self.name(record), misfit)
            else:
                yield record

    def _misfit(self, record: Facts) -> str | None:
        row, namesake = self.row(record), self._by_key.get(slug_key(record.slug))
        if row is not None:
            renamed_here = "slug" in self._people.get(record.id, ())
            return None if row.slug == record.slug or renamed_here else f"its ID is used by “{row.slug}” on this site"
        if namesake is not None:
            return f"its slug is used by {record_name(self._noun, namesake.id, namesake.slug)} on this site"
        return "deleted on this site" if record.id in self._people else None

    def write(self, record: Facts, values: dict[str, Any]) -> _Change[Row]:
        """Add the record's row, or set those of its fields that differ and that no person has changed."""
        row = self.row(record)
        if row is None:
            row = self._model(id=record.id, **values)
            self._session.add(row)
            self._by_id[record.id] = self._by_key[slug_key(record.slug)] = row
            return _Change(row, True, set(values))
        people = self._people.get(record.id)
        if people is not None:  # the last edit, here or there
            values["modified_at"] = max(row.modified_at, record.modified_at)
        changed, kept = set_fields(row, values, people or ())
        if kept:
            self._tally.keep(self.name(record), kept)
        return _Change(row, False, changed)


def set_fields(row: object, values: Mapping[str, Any], people: Collection[str]) -> tuple[set[str], set[str]]:
    """Set those fields of a row that differ and that no person has changed.

    Returns the names of the fields that were set, and of those that differ and were kept.
    """
    differing = {name for name, value in values.items() if getattr(row, name) != value}
    kept = differing.intersection(people)
    for name in differing - kept:
        setattr(row, name, values[name])
    return differing - kept, kept


class _Memberships:
    """Which grids the packages of a batch are in, and in which order.

    Only the grids that were taken are judged: what a package is in beside those is our own.
    """

    def __init__(
        self, session: Session, package_ids: Collection[int], grid_ids: set[int], tally: Tally, now: datetime
    ) -> None:
        self._session, self._grid_ids, self._tally, self._now = session, grid_ids, tally, now
        self._grids_changed: set[int] = set()
        self._here: defaultdict[int, dict[int, GridPackage]] = defaultdict(dict)
        of_these = GridPackage.package_id.in_(package_ids)
        for membership in session.scalars(
            select(GridPackage).where(of_these).order_by(GridPackage.position, GridPackage.id)
        ):
            self._here[membership.package_id][membership.grid_id] = membership
        self._with_cells = set(
            session.scalars(select(Cell.grid_package_id).join(GridPackage).where(of_these, Cell.text != "").distinct())
        )
        self._people = people_memberships(session, "package_id", package_ids)

    def arrange(self, record: PackageFacts, name: str) -> bool:
        """Put the package into its grids, in their order; return whether anything changed.

        What people have put together or taken apart stays so, and so does a membership with cells: they would be lost.
        """
        here = self._here[record.id]
        unknown = [grid_id for grid_id in record.grid_ids if grid_id not in self._grid_ids]
        if unknown:
            self._tally.remarks.append(f"{name}: not added to unknown grids: {', '.join(map(str, unknown))}")
        wanted = [grid_id for grid_id in dict.fromkeys(record.grid_ids) if grid_id in self._grid_ids]
        order = []
        for grid_id in wanted:
            if grid_id in here:
                order.append(here[grid_id])
            elif (grid_id, record.id) in self._people:
                self._tally.remarks.append(f"{name}: removed from grid {grid_id} on this site, not added again")
            else:
                order.append(self._add(record.id, grid_id))
        for grid_id, membership in here.items():
            if grid_id not in wanted and self._stays(membership, name):
                order.append(membership)
        moved = list(here) != [membership.grid_id for membership in order]
        if moved:
            for position, membership in enumerate(order):
                membership.position = position
        self._here[record.id] = {membership.grid_id: membership for membership in order}
        return moved

    def _add(self, package_id: int, grid_id: int) -> GridPackage:
        membership = GridPackage(package_id=package_id, grid_id=grid_id, position=0, created_at=self._now)
        self._session.add(membership)
        self._grids_changed.add(grid_id)
        return membership

    def _stays(self, membership: GridPackage, name: str) -> bool:
        """Return whether a membership that the record does not name stays; delete it if not."""
        grid_id = membership.grid_id
        if grid_id not in self._grid_ids:
            return True
        by_a_person = (grid_id, membership.package_id) in self._people
        if by_a_person or membership.id in self._with_cells:
            why = "added on this site" if by_a_person else "has cells"
            self._tally.remarks.append(f"{name}: kept in grid {grid_id} ({why})")
            return True
        self._session.delete(membership)
        self._grids_changed.add(grid_id)
        return False

    def touch_grids_of(self, record: PackageFacts) -> None:
        self._grids_changed.update(self._here[record.id])

    def write_times(self) -> None:
        """Say of the grids that they have changed."""
        if self._grids_changed:
            self._session.execute(update(Grid).where(Grid.id.in_(self._grids_changed)).values(changed_at=self._now))


def _batches(records: Sequence[Any]) -> Iterator[Sequence[Any]]:
    for start in range(0, len(records), BATCH):
        yield records[start : start + BATCH]


def _values(record: CategoryFacts | GridFacts | PackageFacts, names: tuple[str, ...]) -> dict[str, Any]:
    """Return these fields of a record as their columns hold them."""
    values = {name: getattr(record, name) for name in names}
    return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}


def _package_values(record: PackageFacts, row: Package | None, tally: Tally) -> dict[str, Any]:
    """Return what a package's record says; what was fetched is left out where ours was fetched later."""
    values, fetched = _values(record, PEOPLE_FIELDS), _values(record, FETCHED_FIELDS)
    if row is not None and _is_earlier(record.last_fetched_at, row.last_fetched_at):
        tally.newer_here += any(getattr(row, name) != value for name, value in fetched.items())
        return values
    if record.participants_complete is not None:
        fetched["participants_complete"] = record.participants_complete
    elif row is None or row.participants != fetched["participants"]:
        fetched["participants_complete"] = True  # what was known of the old list says nothing of the new one
    return values | fetched


def _is_earlier(theirs: datetime | None, ours: datetime | None) -> bool:
    return ours is not None and (theirs is None or theirs < ours)


def _let_new_ids_follow(session: Session, model: type[Category | Grid | Package]) -> None:
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
