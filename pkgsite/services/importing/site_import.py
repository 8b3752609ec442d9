"""Importing another site through its API v4, page by page, with the option to resume after an interruption.

The caller fetches a page without an open transaction, passes it to `import_page`, and commits. The progress is saved
in the same transaction as the records.
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
    """The progress of an import."""

    url: str
    stage: str = CATEGORIES
    offset: int = 0  # number of imported records of this stage
    total: int | None = None  # number of records of this stage, as reported at its start
    restarts: int = 0  # of this stage, because the site's list had changed
    tallies: Mapping[str, ImportTally] = field(default_factory=dict)  # of the stages that have started

    @property
    def collection(self) -> str:
        """The collection of the next page."""
        return GRIDS if self.stage == CHECK else self.stage

    def tally(self, stage: str) -> ImportTally:
        return self.tallies.get(stage) or ImportTally()


def load_import_cursor(session: Session, url: str) -> ImportCursor:
    """Return the progress of the unfinished import of this URL, or the start of a new one."""
    progress = session.get(ImportProgress, url)
    if progress is None:
        return ImportCursor(url)
    tallies = {stage: _tally_from_json(progress.tallies[stage]) for stage in STAGES if stage in progress.tallies}
    return ImportCursor(url, progress.stage, progress.offset, progress.total, progress.restarts, tallies)


def import_page(session: Session, cursor: ImportCursor, page: RecordPage, *, now: datetime) -> ImportCursor:
    """Import the page at this cursor, and return the next cursor.

    If the list's length has changed since the stage started, records may have moved between pages, so the stage
    restarts. After `MAX_RESTARTS`, the import continues with a warning.

    Raises:
        Conflict: Another import of the same URL has advanced in the meantime.
    """
    begin_exclusive_import(session)
    stored_cursor = load_import_cursor(session, cursor.url)
    if (stored_cursor.stage, stored_cursor.offset, stored_cursor.restarts) != (
        cursor.stage,
        cursor.offset,
        cursor.restarts,
    ):
        raise Conflict(f"Another import of {cursor.url} is already running.")
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


def _import_records(session: Session, cursor: ImportCursor, page: RecordPage, now: datetime) -> ImportTally:
    """Import a page's records, and return the updated tally of the stage."""
    tally = cursor.tally(cursor.stage)
    categories, grids = cursor.tally(CATEGORIES).outcomes.keys(), cursor.tally(GRIDS).outcomes.keys()
    if cursor.stage == CATEGORIES:
        import_categories(session, page.records, tally=tally)
    elif cursor.stage == GRIDS:
        import_grids(session, page.records, now=now, tally=tally)
    elif cursor.stage == PACKAGES:
        import_packages(session, page.records, category_ids=categories, grid_ids=grids, now=now, tally=tally)
        update_scores(session, {record.id for record in page.records} & tally.outcomes.keys(), now=now)
    else:
        fetched = [record for record in page.records if isinstance(record, GridFacts) and record.id in grids]
        tally.warnings += _differences(session, fetched, cursor.tally(PACKAGES))
    return tally


def _differences(session: Session, grids: list[GridFacts], packages: ImportTally) -> Iterator[str]:
    """Yield a warning for each grid whose list of packages differs from its packages on this site.

    Differences because of user edits, of this site's other packages and of skipped packages don't count.
    """
    grid_ids = [grid.id for grid in grids]
    user_edits = user_edited_memberships(session, "grid_id", grid_ids)
    stored_ids: defaultdict[int, set[int]] = defaultdict(set)
    for grid_id, package_id in session.execute(
        select(GridPackage.grid_id, GridPackage.package_id).where(GridPackage.grid_id.in_(grid_ids))
    ):
        stored_ids[grid_id].add(package_id)
    for grid in grids:
        if grid.package_ids is None:
            continue
        edited_ids = {package_id for grid_id, package_id in user_edits if grid_id == grid.id}
        listed_ids = set(grid.package_ids)
        name = describe_record("grid", grid.id, grid.slug)
        if missing := listed_ids - stored_ids[grid.id] - edited_ids - set(packages.skipped):
            yield f"{name}: packages missing from the grid on this site: {_join_ids(missing)}"
        if extra := (stored_ids[grid.id] & packages.outcomes.keys()) - listed_ids - edited_ids:
            yield f"{name}: packages that are in the grid only on this site: {_join_ids(extra)}"


def _join_ids(ids: set[int]) -> str:
    return ", ".join(map(str, sorted(ids)))


def _restart_stage(cursor: ImportCursor) -> ImportCursor:
    restarted_tally = ImportTally(outcomes=cursor.tally(cursor.stage).outcomes)
    return replace(
        cursor,
        offset=0,
        total=None,
        restarts=cursor.restarts + 1,
        tallies={**cursor.tallies, cursor.stage: restarted_tally},
    )


def _advance(cursor: ImportCursor, page: RecordPage, tally: ImportTally) -> ImportCursor:
    tallies = {**cursor.tallies, cursor.stage: tally}
    if not page.is_last:
        return replace(cursor, offset=cursor.offset + len(page.records), total=page.count, tallies=tallies)
    return ImportCursor(cursor.url, STAGES[STAGES.index(cursor.stage) + 1], tallies=tallies)


def _save_cursor(session: Session, cursor: ImportCursor, now: datetime) -> None:
    """Save the progress of an import, or delete it if the import is complete."""
    progress = session.get(ImportProgress, cursor.url)
    if cursor.stage == DONE:
        if progress is not None:
            session.delete(progress)
        return
    if progress is None:
        progress = ImportProgress(url=cursor.url, started_at=now)
        session.add(progress)
    progress.stage, progress.offset, progress.total = cursor.stage, cursor.offset, cursor.total
    progress.restarts, progress.updated_at = cursor.restarts, now
    progress.tallies = {stage: _tally_to_json(tally) for stage, tally in cursor.tallies.items()}


def _tally_to_json(tally: ImportTally) -> dict[str, Any]:
    """Return a tally as JSON, with strings as keys."""
    return asdict(tally) | {"outcomes": {str(key): outcome for key, outcome in tally.outcomes.items()}}


def _tally_from_json(stored: dict[str, Any]) -> ImportTally:
    outcomes = {int(key): Outcome(outcome) for key, outcome in stored["outcomes"].items()}
    return ImportTally(**stored | {"outcomes": outcomes})
