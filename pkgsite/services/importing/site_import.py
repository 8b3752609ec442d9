"""Copies another API v4 site, page by page, so that it can stop anywhere and go on from there.

An edge reads a page with no transaction open, hands it to `import_page`, and commits. How far the import has come is
written in the same transaction as the records: whatever happens, both are there or neither is.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from pkgsite.clients.base import GridFacts, RecordPage
from pkgsite.errors import Conflict
from pkgsite.models import GridPackage, ImportProgress
from pkgsite.rules.records import describe_record
from pkgsite.services.history.authorship import user_edited_memberships
from pkgsite.services.importing.records import (
    ImportTally,
    Outcome,
    begin_exclusive_import,
    import_categories,
    import_grids,
    import_packages,
)
from pkgsite.services.refresh.apply import update_scores

CATEGORIES, GRIDS, PACKAGES, CHECK, DONE = STAGES = ("categories", "grids", "packages", "check", "done")
MAX_RESTARTS = 3


@dataclass(frozen=True, slots=True)
class ImportCursor:
    """Where an import stands."""

    url: str
    stage: str = CATEGORIES
    offset: int = 0  # records of this stage that are done
    total: int | None = None  # records of this stage, as the site said when the stage began
    restarts: int = 0  # of this stage, because the site's list had changed
    tallies: Mapping[str, ImportTally] = field(default_factory=dict)  # of the stages that have begun

    @property
    def collection(self) -> str:
        """The site's list that the next page is to come from."""
        return GRIDS if self.stage == CHECK else self.stage

    def tally(self, stage: str) -> ImportTally:
        return self.tallies.get(stage) or ImportTally()


def load_import_cursor(session: Session, url: str) -> ImportCursor:
    """Return where the unfinished import of this address stands, or a new one's beginning."""
    progress = session.get(ImportProgress, url)
    if progress is None:
        return ImportCursor(url)
    tallies = {stage: _tally_from_json(progress.tallies[stage]) for stage in STAGES if stage in progress.tallies}
    return ImportCursor(url, progress.stage, progress.offset, progress.total, progress.restarts, tallies)


def import_page(session: Session, state: ImportCursor, page: RecordPage, *, now: datetime) -> ImportCursor:
    """Take in the page that was read for this state, and return the next state.

    A list that is no longer as long as when its stage began may have moved under our feet: the stage starts over,
    which costs time and nothing else. A list that never rests is read on after some restarts, with a remark.

    Raises:
        Conflict: another import of the same address has gone on in the meantime.
    """
    begin_exclusive_import(session)
    stored_cursor = load_import_cursor(session, state.url)
    if (stored_cursor.stage, stored_cursor.offset, stored_cursor.restarts) != (
        state.stage,
        state.offset,
        state.restarts,
    ):
        raise Conflict(f"another import of {state.url} is already running")
    has_moved = stored_cursor.offset > 0 and page.count != stored_cursor.total
    if has_moved and stored_cursor.restarts < MAX_RESTARTS:
        next_cursor = _restart_stage(stored_cursor)
    else:
        tally = _import_records(session, stored_cursor, page, now)
        warning = f"the list of {stored_cursor.collection} kept changing during the import; some may be missing"
        if has_moved and warning not in tally.warnings:
            tally.warnings.append(warning)
        next_cursor = _advance(stored_cursor, page, tally)
    _save_cursor(session, next_cursor, now)
    return next_cursor


def _import_records(session: Session, state: ImportCursor, page: RecordPage, now: datetime) -> ImportTally:
    """Take in a page's records and return the stage's tally, these counted in."""
    tally = state.tally(state.stage)
    categories, grids = state.tally(CATEGORIES).outcomes.keys(), state.tally(GRIDS).outcomes.keys()
    if state.stage == CATEGORIES:
        import_categories(session, page.records, tally=tally)
    elif state.stage == GRIDS:
        import_grids(session, page.records, now=now, tally=tally)
    elif state.stage == PACKAGES:
        import_packages(session, page.records, category_ids=categories, grid_ids=grids, now=now, tally=tally)
        update_scores(session, {record.id for record in page.records} & tally.outcomes.keys(), now=now)
    else:
        fetched = [record for record in page.records if isinstance(record, GridFacts) and record.id in grids]
        tally.warnings += _differences(session, fetched, state.tally(PACKAGES))
    return tally


def _differences(session: Session, grids: list[GridFacts], packages: ImportTally) -> Iterator[str]:
    """Yield where a grid's own list of packages is not what is in it here.

    The packages' own records have decided. What people did here, packages of our own, and those that were skipped
    and named already, are no differences.
    """
    grid_ids = [grid.id for grid in grids]
    people = user_edited_memberships(session, "grid_id", grid_ids)
    stored_cursor: defaultdict[int, set[int]] = defaultdict(set)
    for grid_id, package_id in session.execute(
        select(GridPackage.grid_id, GridPackage.package_id).where(GridPackage.grid_id.in_(grid_ids))
    ):
        stored_cursor[grid_id].add(package_id)
    for grid in grids:
        if grid.package_ids is None:
            continue
        by_people = {package_id for grid_id, package_id in people if grid_id == grid.id}
        listed_ids = set(grid.package_ids)
        name = describe_record("grid", grid.id, grid.slug)
        if missing := listed_ids - stored_cursor[grid.id] - by_people - set(packages.skipped):
            yield f"{name}: packages missing from the grid on this site: {_join_ids(missing)}"
        if extra := (stored_cursor[grid.id] & packages.outcomes.keys()) - listed_ids - by_people:
            yield f"{name}: packages that are in the grid only on this site: {_join_ids(extra)}"


def _join_ids(ids: set[int]) -> str:
    return ", ".join(map(str, sorted(ids)))


def _restart_stage(state: ImportCursor) -> ImportCursor:
    restarted_tally = ImportTally(outcomes=state.tally(state.stage).outcomes)
    return replace(
        state,
        offset=0,
        total=None,
        restarts=state.restarts + 1,
        tallies={**state.tallies, state.stage: restarted_tally},
    )


def _advance(state: ImportCursor, page: RecordPage, tally: ImportTally) -> ImportCursor:
    tallies = {**state.tallies, state.stage: tally}
    if not page.is_last:
        return replace(state, offset=state.offset + len(page.records), total=page.count, tallies=tallies)
    return ImportCursor(state.url, STAGES[STAGES.index(state.stage) + 1], tallies=tallies)


def _save_cursor(session: Session, state: ImportCursor, now: datetime) -> None:
    """Write how far the import has come; one that is done leaves no trace."""
    progress = session.get(ImportProgress, state.url)
    if state.stage == DONE:
        if progress is not None:
            session.delete(progress)
        return
    if progress is None:
        progress = ImportProgress(url=state.url, started_at=now)
        session.add(progress)
    progress.stage, progress.offset, progress.total = state.stage, state.offset, state.total
    progress.restarts, progress.updated_at = state.restarts, now
    progress.tallies = {stage: _tally_to_json(tally) for stage, tally in state.tallies.items()}


def _tally_to_json(tally: ImportTally) -> dict[str, Any]:
    """Return a tally as JSON, whose objects have texts for keys."""
    return asdict(tally) | {"outcomes": {str(key): outcome for key, outcome in tally.outcomes.items()}}


def _tally_from_json(stored: dict[str, Any]) -> ImportTally:
    outcomes = {int(key): Outcome(outcome) for key, outcome in stored["outcomes"].items()}
    return ImportTally(**stored | {"outcomes": outcomes})
