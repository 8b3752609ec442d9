"""Loading a catalogue file (categories, grids, packages, features and cells) in one transaction.

User edits and deletions are kept; loading the same file again changes nothing.
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
from pkgsite.rules.declarations import parse_declarations
from pkgsite.services.history.authorship import deleted_by_users, former_titles, user_edited_fields
from pkgsite.services.importing.records import (
    ImportTally,
    Outcome,
    begin_exclusive_import,
    import_categories,
    import_grids,
    import_packages,
    set_fields,
)
from pkgsite.services.refresh.apply import update_scores

BUNDLED_CATALOGUE = resources.files("pkgsite") / "data" / "catalogue.json"
BUNDLED_DECLARATIONS = resources.files("pkgsite") / "data" / "declarations.json"


def load_catalogue(session: Session, content: bytes | None, *, now: datetime) -> dict[str, ImportTally]:
    """Load a catalogue file, and return a tally for each kind of record.

    Args:
        session: The database session.
        content: The file; None for the bundled catalogue.
        now: The current time.

    Raises:
        Invalid: The file is invalid; nothing has changed.
    """
    catalogue = parse_catalogue(content) if content is not None else None
    begin_exclusive_import(session)
    return _load(session, catalogue, now) if catalogue else _load_bundled(session, now)


def load_bundled_catalogue_if_empty(session: Session, *, now: datetime) -> dict[str, ImportTally] | None:
    """Load the bundled catalogue into an empty database; return None if it is not empty.

    Concurrent calls are safe: the first one loads the catalogue, the others wait and return None.
    """
    begin_exclusive_import(session)
    if any(session.scalar(select(exists().select_from(model))) for model in (Category, Grid, Package)):
        return None
    return _load_bundled(session, now)


def _load_bundled(session: Session, now: datetime) -> dict[str, ImportTally]:
    """Load the bundled catalogue, with the declarations of the packages that are new."""
    tallies = _load(session, parse_catalogue(BUNDLED_CATALOGUE.read_bytes()), now)
    declarations = parse_declarations(BUNDLED_DECLARATIONS.read_bytes())
    added = [package_id for package_id, outcome in tallies["packages"].outcomes.items() if outcome is Outcome.ADDED]
    is_declared = Package.id.in_(added) & Package.slug.in_(declarations)
    for package in session.scalars(select(Package).where(is_declared)):
        package.declared = declarations[package.slug].as_record()
    return tallies


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
    """Add or update the features, and return their rows, except those that users have deleted.

    A feature is identified by its grid and its title, which may be one that a user has since replaced.
    """
    in_these_grids = Feature.grid_id.in_({fact.grid_id for fact in facts})
    existing = {
        feature.id: feature for feature in session.scalars(select(Feature).where(in_these_grids).with_for_update())
    }
    user_edits = user_edited_fields(session, "feature", existing.keys())
    known = {
        (existing[feature_id].grid_id, title): existing[feature_id]
        for feature_id, title in former_titles(session, "feature", existing)
    }
    known |= {(feature.grid_id, feature.title): feature for feature in existing.values()}
    deleted = {(before.get("grid_id"), before.get("title")) for before in deleted_by_users(session, "feature")}
    positions: Counter[int] = Counter()
    features, imported = [], []
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
        features.append((feature, fact))
    _finish(session, imported, now, tally)
    return features


def _import_cells(
    session: Session, features: list[tuple[Feature, FeatureFacts]], now: datetime, tally: ImportTally
) -> None:
    """Add or update the cells of packages that are in the grid on this site."""
    feature_ids = [feature.id for feature, _ in features]
    existing = {
        (cell.feature_id, cell.grid_package_id): cell
        for cell in session.scalars(select(Cell).where(Cell.feature_id.in_(feature_ids)).with_for_update())
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
    """The result of importing one feature or cell."""

    row: Feature | Cell
    grid_id: int
    is_added: bool = False
    is_changed: bool = False


def _finish(session: Session, imported: list[_ImportedRow], now: datetime, tally: ImportTally) -> None:
    """Write the rows, count them, and update the times of changed rows and of their grids."""
    for result in imported:
        if result.is_changed:
            result.row.modified_at = now
    session.flush()  # sets the ids of added rows
    for result in imported:
        tally.record(result.row.id, added=result.is_added, changed=result.is_changed)
    grid_ids = {result.grid_id for result in imported if result.is_added or result.is_changed}
    session.execute(update(Grid).where(Grid.id.in_(grid_ids)).values(changed_at=now))
