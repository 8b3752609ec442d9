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
from pkgsite.rules.catalogue_files import Catalogue, FeatureFacts, parse_catalogue
from pkgsite.services.history.authorship import deleted_by_users, former_titles, user_edited_fields
from pkgsite.services.importing.records import (
    ImportTally,
    begin_exclusive_import,
    import_categories,
    import_grids,
    import_packages,
    set_fields,
)
from pkgsite.services.refresh.apply import update_scores

BUNDLED_CATALOGUE = resources.files("pkgsite") / "data" / "catalogue.json"


def load_catalogue(session: Session, content: bytes, *, now: datetime) -> dict[str, ImportTally]:
    """Take in a catalogue file, and return what came of its records, by noun in the plural.

    Raises:
        Invalid: the file is not sound; nothing has changed.
    """
    catalogue = parse_catalogue(content)
    begin_exclusive_import(session)
    return _load(session, catalogue, now)


def load_bundled_catalogue_if_empty(session: Session, *, now: datetime) -> dict[str, ImportTally] | None:
    """Take in the catalogue that comes with the site, if there is no data yet; return None if there is.

    Several processes may call this at once: the first one loads, the others wait and find the data.
    """
    begin_exclusive_import(session)
    if any(session.scalar(select(exists().select_from(model))) for model in (Category, Grid, Package)):
        return None
    return _load(session, parse_catalogue(BUNDLED_CATALOGUE.read_bytes()), now)


def _load(session: Session, catalogue: Catalogue, now: datetime) -> dict[str, ImportTally]:
    tallies = {noun: ImportTally() for noun in ("categories", "grids", "packages", "features", "cells")}
    import_categories(session, catalogue.categories, tally=tallies["categories"])
    import_grids(session, catalogue.grids, now=now, tally=tallies["grids"])
    import_packages(
        session,
        catalogue.packages,
        category_ids=tallies["categories"].outcomes.keys(),
        grid_ids=tallies["grids"].outcomes.keys(),
        now=now,
        tally=tallies["packages"],
    )
    update_scores(session, tallies["packages"].outcomes.keys(), now=now)
    facts = [feature for feature in catalogue.features if feature.grid_id in tallies["grids"].outcomes]
    features = _import_features(session, facts, now, tallies["features"])
    _import_cells(session, features, now, tallies["cells"])
    return tallies


def _import_features(
    session: Session, facts: list[FeatureFacts], now: datetime, tally: ImportTally
) -> list[tuple[Feature, FeatureFacts]]:
    """Add or update the features; return the row of each, those apart that people have deleted.

    A feature is known by its title in its grid, be it one that a person has since replaced.
    """
    in_these_grids = Feature.grid_id.in_({fact.grid_id for fact in facts})
    existing = {
        feature.id: feature for feature in session.scalars(select(Feature).where(in_these_grids).with_for_update())
    }
    user_edits = user_edited_fields(session, "feature", existing.keys())
    known = {
        (existing[number].grid_id, title): existing[number]
        for number, title in former_titles(session, "feature", existing)
    }
    known |= {(feature.grid_id, feature.title): feature for feature in existing.values()}
    deleted = {(before.get("grid_id"), before.get("title")) for before in deleted_by_users(session, "feature")}
    positions: Counter[int] = Counter()
    found, imported = [], []
    for fact in facts:
        name = f"feature “{fact.title}” in grid {fact.grid_id}"
        values = {"title": fact.title, "description": fact.description, "position": positions[fact.grid_id]}
        positions[fact.grid_id] += 1
        feature = known.get((fact.grid_id, fact.title))
        if feature is None and (fact.grid_id, fact.title) in deleted:
            tally.warnings.append(f"{name}: deleted on this site, not restored")
            continue
        if feature is None:
            feature = Feature(grid_id=fact.grid_id, created_at=now, modified_at=now, **values)
            session.add(feature)
            imported.append(_ImportedRow(feature, fact.grid_id, is_added=True))
        else:
            changed, kept_fields = set_fields(feature, values, user_edits.get(feature.id, ()))
            if kept_fields:
                tally.record_kept(name, kept_fields)
            imported.append(_ImportedRow(feature, fact.grid_id, is_changed=bool(changed)))
        found.append((feature, fact))
    _finish(session, imported, now, tally)
    return found


def _import_cells(
    session: Session, features: list[tuple[Feature, FeatureFacts]], now: datetime, tally: ImportTally
) -> None:
    """Add or update the cells of packages that are in their grid here."""
    of_these = Cell.feature_id.in_([feature.id for feature, _ in features])
    existing = {
        (cell.feature_id, cell.grid_package_id): cell
        for cell in session.scalars(select(Cell).where(of_these).with_for_update())
    }
    user_edits = user_edited_fields(session, "cell", [cell.id for cell in existing.values()])
    deleted = {
        (before.get("feature_id"), before.get("grid_package_id")) for before in deleted_by_users(session, "cell")
    }
    memberships = {
        (row.grid_id, row.package_id): row.id
        for row in session.execute(
            select(GridPackage.grid_id, GridPackage.package_id, GridPackage.id).where(
                GridPackage.grid_id.in_({feature.grid_id for feature, _ in features})
            )
        )
    }
    imported = []
    for feature, fact in features:
        for package_id, text in fact.cells.items():
            name = f"cell for package {package_id}, feature “{fact.title}” in grid {fact.grid_id}"
            membership_id = memberships.get((fact.grid_id, package_id))
            if membership_id is None:
                tally.record_skipped(None, name, "the package is not in the grid on this site")
                continue
            cell = existing.get((feature.id, membership_id))
            if cell is None and (feature.id, membership_id) in deleted:
                tally.warnings.append(f"{name}: deleted on this site, not restored")
            elif cell is None:
                cell = Cell(
                    feature_id=feature.id, grid_package_id=membership_id, text=text, created_at=now, modified_at=now
                )
                session.add(cell)
                imported.append(_ImportedRow(cell, fact.grid_id, is_added=True))
            else:
                changed, kept_fields = set_fields(cell, {"text": text}, user_edits.get(cell.id, ()))
                if kept_fields:
                    tally.record_kept(name, kept_fields)
                imported.append(_ImportedRow(cell, fact.grid_id, is_changed=bool(changed)))
    _finish(session, imported, now, tally)


@dataclass(frozen=True, slots=True)
class _ImportedRow:
    """What came of one feature or cell."""

    row: Feature | Cell
    grid_id: int
    is_added: bool = False
    is_changed: bool = False


def _finish(session: Session, imported: list[_ImportedRow], now: datetime, tally: ImportTally) -> None:
    """Give what was written its times and, at last, its ids; count it, and say of the grids that they have changed."""
    for one in imported:
        if one.is_changed:
            one.row.modified_at = now
    session.flush()
    for one in imported:
        tally.record(one.row.id, added=one.is_added, changed=one.is_changed)
    grid_ids = {one.grid_id for one in imported if one.is_added or one.is_changed}
    session.execute(update(Grid).where(Grid.id.in_(grid_ids)).values(changed_at=now))
