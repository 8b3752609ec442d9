"""Loads a catalogue from a file: categories, grids and packages, with features and cells, in one transaction.

What people have changed or deleted here stays so; loading the same file again changes nothing.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from importlib import resources

from sqlalchemy import exists, select, update
from sqlalchemy.orm import Session

from pkgsite.models import Category, Cell, Feature, Grid, GridPackage, Package
from pkgsite.rules.catalogue_files import Catalogue, FeatureFacts, read_catalogue
from pkgsite.services.history.authorship import deleted_by_people, former_titles, people_fields
from pkgsite.services.importing.records import (
    Tally,
    begin_alone,
    set_fields,
    take_categories,
    take_grids,
    take_packages,
)
from pkgsite.services.refresh.apply import score_packages

SHIPPED = resources.files("pkgsite") / "data" / "catalogue.json"


def load_catalogue(session: Session, written: bytes, *, now: datetime) -> dict[str, Tally]:
    """Take in a catalogue file, and return what came of its records, by noun in the plural.

    Raises:
        Invalid: the file is not sound; nothing has changed.
    """
    catalogue = read_catalogue(written)
    begin_alone(session)
    return _load(session, catalogue, now)


def load_catalogue_when_empty(session: Session, *, now: datetime) -> dict[str, Tally] | None:
    """Take in the catalogue that comes with the site, if there is no data yet; return None if there is.

    Several processes may call this at once: the first one loads, the others wait and find the data.
    """
    begin_alone(session)
    if any(session.scalar(select(exists().select_from(model))) for model in (Category, Grid, Package)):
        return None
    return _load(session, read_catalogue(SHIPPED.read_bytes()), now)


def _load(session: Session, catalogue: Catalogue, now: datetime) -> dict[str, Tally]:
    tallies = {noun: Tally() for noun in ("categories", "grids", "packages", "features", "cells")}
    take_categories(session, catalogue.categories, tally=tallies["categories"])
    take_grids(session, catalogue.grids, now=now, tally=tallies["grids"])
    take_packages(
        session,
        catalogue.packages,
        category_ids=tallies["categories"].outcomes.keys(),
        grid_ids=tallies["grids"].outcomes.keys(),
        now=now,
        tally=tallies["packages"],
    )
    score_packages(session, tallies["packages"].outcomes.keys(), now=now)
    facts = [feature for feature in catalogue.features if feature.grid_id in tallies["grids"].outcomes]
    features = _take_features(session, facts, now, tallies["features"])
    _take_cells(session, features, now, tallies["cells"])
    return tallies


def _take_features(
    session: Session, facts: list[FeatureFacts], now: datetime, tally: Tally
) -> list[tuple[Feature, FeatureFacts]]:
    """Add or update the features; return the row of each, those apart that people have deleted.

    A feature is known by its title in its grid, be it one that a person has since replaced.
    """
    in_these_grids = Feature.grid_id.in_({fact.grid_id for fact in facts})
    here = {feature.id: feature for feature in session.scalars(select(Feature).where(in_these_grids).with_for_update())}
    people = people_fields(session, "feature", here.keys())
    known = {(here[number].grid_id, title): here[number] for number, title in former_titles(session, "feature", here)}
    known |= {(feature.grid_id, feature.title): feature for feature in here.values()}
    deleted = {(before.get("grid_id"), before.get("title")) for before in deleted_by_people(session, "feature")}
    positions: Counter[int] = Counter()
    found, written = [], []
    for fact in facts:
        name = f"feature “{fact.title}” in grid {fact.grid_id}"
        values = {"title": fact.title, "description": fact.description, "position": positions[fact.grid_id]}
        positions[fact.grid_id] += 1
        feature = known.get((fact.grid_id, fact.title))
        if feature is None and (fact.grid_id, fact.title) in deleted:
            tally.remarks.append(f"{name}: deleted on this site, not restored")
            continue
        if feature is None:
            feature = Feature(grid_id=fact.grid_id, created_at=now, modified_at=now, **values)
            session.add(feature)
            written.append(_Written(feature, fact.grid_id, added=True))
        else:
            changed, kept = set_fields(feature, values, people.get(feature.id, ()))
            if kept:
                tally.keep(name, kept)
            written.append(_Written(feature, fact.grid_id, changed=bool(changed)))
        found.append((feature, fact))
    _count(session, written, now, tally)
    return found


def _take_cells(session: Session, features: list[tuple[Feature, FeatureFacts]], now: datetime, tally: Tally) -> None:
    """Add or update the cells of packages that are in their grid here."""
    of_these = Cell.feature_id.in_([feature.id for feature, _ in features])
    here = {
        (cell.feature_id, cell.grid_package_id): cell
        for cell in session.scalars(select(Cell).where(of_these).with_for_update())
    }
    people = people_fields(session, "cell", [cell.id for cell in here.values()])
    deleted = {
        (before.get("feature_id"), before.get("grid_package_id")) for before in deleted_by_people(session, "cell")
    }
    memberships = {
        (row.grid_id, row.package_id): row.id
        for row in session.execute(
            select(GridPackage.grid_id, GridPackage.package_id, GridPackage.id).where(
                GridPackage.grid_id.in_({feature.grid_id for feature, _ in features})
            )
        )
    }
    written = []
    for feature, fact in features:
        for package_id, text in fact.cells.items():
            name = f"cell for package {package_id}, feature “{fact.title}” in grid {fact.grid_id}"
            membership_id = memberships.get((fact.grid_id, package_id))
            if membership_id is None:
                tally.skip(None, name, "the package is not in the grid on this site")
                continue
            cell = here.get((feature.id, membership_id))
            if cell is None and (feature.id, membership_id) in deleted:
                tally.remarks.append(f"{name}: deleted on this site, not restored")
            elif cell is None:
                cell = Cell(
                    feature_id=feature.id, grid_package_id=membership_id, text=text, created_at=now, modified_at=now
                )
                session.add(cell)
                written.append(_Written(cell, fact.grid_id, added=True))
            else:
                changed, kept = set_fields(cell, {"text": text}, people.get(cell.id, ()))
                if kept:
                    tally.keep(name, kept)
                written.append(_Written(cell, fact.grid_id, changed=bool(changed)))
    _count(session, written, now, tally)


@dataclass(frozen=True, slots=True)
class _Written:
    """What came of one feature or cell."""

    row: Feature | Cell
    grid_id: int
    added: bool = False
    changed: bool = False


def _count(session: Session, written: list[_Written], now: datetime, tally: Tally) -> None:
    """Give what was written its times and, at last, its ids; count it, and say of the grids that they have changed."""
    for one in written:
        if one.changed:
            one.row.modified_at = now
    session.flush()
    for one in written:
        tally.take(one.row.id, added=one.added, changed=one.changed)
    grid_ids = {one.grid_id for one in written if one.added or one.changed}
    session.execute(update(Grid).where(Grid.id.in_(grid_ids)).values(changed_at=now))
