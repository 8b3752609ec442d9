"""Copies another API v4 site, page by page, so that it can stop anywhere and go on from there.

An edge reads a page with no transaction open, hands it to `take_page`, and commits. How far the import has come is
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

from pkgsite.clients.base import GridFacts, Page
from pkgsite.errors import Conflict
from pkgsite.models import GridPackage, ImportProgress
from pkgsite.rules.records import record_name
from pkgsite.services.history.authorship import people_memberships
from pkgsite.services.importing.records import Outcome, Tally, begin_alone, take_categories, take_grids, take_packages
from pkgsite.services.refresh.apply import score_packages

CATEGORIES, GRIDS, PACKAGES, CHECK, DONE = STAGES = ("categories", "grids", "packages", "check", "done")
MOST_RESTARTS = 3


@dataclass(frozen=True, slots=True)
class ImportState:
    """Where an import stands."""

    url: str
    stage: str = CATEGORIES
    offset: int = 0  # records of this stage that are done
    total: int | None = None  # records of this stage, as the site said when the stage began
    restarts: int = 0  # of this stage, because the site's list had changed
    tallies: Mapping[str, Tally] = field(default_factory=dict)  # of the stages that have begun

    @property
    def reads(self) -> str:
        """The site's list that the next page is to come from."""
        return GRIDS if self.stage == CHECK else self.stage

    def tally(self, stage: str) -> Tally:
        return self.tallies.get(stage) or Tally()


def import_state(session: Session, url: str) -> ImportState:
    """Return where the unfinished import of this address stands, or a new one's beginning."""
    progress = session.get(ImportProgress, url)
    if progress is None:
        return ImportState(url)
    tallies = {stage: _tally_from(progress.tallies[stage]) for stage in STAGES if stage in progress.tallies}
    return ImportState(url, progress.stage, progress.offset, progress.total, progress.restarts, tallies)


def take_page(session: Session, state: ImportState, page: Page, *, now: datetime) -> ImportState:
    """Take in the page that was read for this state, and return the next state.

    A list that is no longer as long as when its stage began may have moved under our feet: the stage starts over,
    which costs time and nothing else. A list that never rests is read on after some restarts, with a remark.

    Raises:
        Conflict: another import of the same address has gone on in the meantime.
    """
    begin_alone(session)
    here = import_state(session, state.url)
    if (here.stage, here.offset, here.restarts) != (state.stage, state.offset, state.restarts):
        raise Conflict(f"another import of {state.url} is already running")
    has_moved = here.offset > 0 and page.count != here.total
    if has_moved and here.restarts < MOST_RESTARTS:
        following = _restarted(here)
    else:
        tally = _tally_of(session, here, page, now)
        restless = f"the list of {here.reads} kept changing during the import; some may be missing"
        if has_moved and restless not in tally.remarks:
            tally.remarks.append(restless)
        following = _advanced(here, page, tally)
    _store(session, following, now)
    return following


def _tally_of(session: Session, state: ImportState, page: Page, now: datetime) -> Tally:
    """Take in a page's records and return the stage's tally, these counted in."""
    tally = state.tally(state.stage)
    categories, grids = state.tally(CATEGORIES).outcomes.keys(), state.tally(GRIDS).outcomes.keys()
    if state.stage == CATEGORIES:
        take_categories(session, page.records, tally=tally)
    elif state.stage == GRIDS:
        take_grids(session, page.records, now=now, tally=tally)
    elif state.stage == PACKAGES:
        take_packages(session, page.records, category_ids=categories, grid_ids=grids, now=now, tally=tally)
        score_packages(session, {record.id for record in page.records} & tally.outcomes.keys(), now=now)
    else:
        told = [record for record in page.records if isinstance(record, GridFacts) and record.id in grids]
        tally.remarks += _differences(session, told, state.tally(PACKAGES))
    return tally


def _differences(session: Session, grids: list[GridFacts], packages: Tally) -> Iterator[str]:
    """Yield where a grid's own list of packages is not what is in it here.

    The packages' own records have decided. What people did here, packages of our own, and those that were skipped
    and named already, are no differences.
    """
    grid_ids = [grid.id for grid in grids]
    people = people_memberships(session, "grid_id", grid_ids)
    here: defaultdict[int, set[int]] = defaultdict(set)
    for grid_id, package_id in session.execute(
        select(GridPackage.grid_id, GridPackage.package_id).where(GridPackage.grid_id.in_(grid_ids))
    ):
        here[grid_id].add(package_id)
    for grid in grids:
        if grid.package_ids is None:
            continue
        by_people = {package_id for grid_id, package_id in people if grid_id == grid.id}
        theirs = set(grid.package_ids)
        name = record_name("grid", grid.id, grid.slug)
        if missing := theirs - here[grid.id] - by_people - set(packages.skipped):
            yield f"{name}: packages missing from the grid on this site: {_numbers(missing)}"
        if extra := (here[grid.id] & packages.outcomes.keys()) - theirs - by_people:
            yield f"{name}: packages that are in the grid only on this site: {_numbers(extra)}"


def _numbers(ids: set[int]) -> str:
    return ", ".join(map(str, sorted(ids)))


def _restarted(state: ImportState) -> ImportState:
    again = Tally(outcomes=state.tally(state.stage).outcomes)
    return replace(
        state, offset=0, total=None, restarts=state.restarts + 1, tallies={**state.tallies, state.stage: again}
    )


def _advanced(state: ImportState, page: Page, tally: Tally) -> ImportState:
    tallies = {**state.tallies, state.stage: tally}
    if not page.is_last:
        return replace(state, offset=state.offset + len(page.records), total=page.count, tallies=tallies)
    return ImportState(state.url, STAGES[STAGES.index(state.stage) + 1], tallies=tallies)


def _store(session: Session, state: ImportState, now: datetime) -> None:
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
    progress.tallies = {stage: _stored(tally) for stage, tally in state.tallies.items()}


def _stored(tally: Tally) -> dict[str, Any]:
    """Return a tally as JSON, whose objects have texts for keys."""
    return asdict(tally) | {"outcomes": {str(key): outcome for key, outcome in tally.outcomes.items()}}


def _tally_from(stored: dict[str, Any]) -> Tally:
    outcomes = {int(key): Outcome(outcome) for key, outcome in stored["outcomes"].items()}
    return Tally(**stored | {"outcomes": outcomes})
