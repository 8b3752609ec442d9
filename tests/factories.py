"""Small honest data: each function adds one whole record, with defaults that a test may replace."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy.orm import Session

from pkgsite.models import Category, Cell, Feature, Grid, GridPackage, Package, SourceState

NOW = datetime(2026, 3, 1, 12, 30, 15, 250000, tzinfo=UTC)


def make_category(session: Session, slug: str = "apps", **fields: Any) -> Category:
    category = Category(**{"slug": slug, "title": slug.title(), "created_at": NOW, "modified_at": NOW} | fields)
    session.add(category)
    session.flush()
    return category


def make_package(session: Session, slug: str = "django-one", **fields: Any) -> Package:
    """Add a package; without a `category` it goes into the first one there is, or into a new one."""
    if "category" not in fields and "category_id" not in fields:
        fields["category"] = session.query(Category).order_by(Category.id).first() or make_category(session)
    defaults = {"slug": slug, "title": slug, "created_at": NOW, "modified_at": NOW, "changed_at": NOW}
    package = Package(**defaults | fields)
    session.add(package)
    session.flush()
    return package


def make_grid(session: Session, slug: str = "caching", packages: tuple[Package, ...] = (), **fields: Any) -> Grid:
    """Add a grid with these packages in it."""
    defaults = {"slug": slug, "title": slug.title(), "created_at": NOW, "modified_at": NOW, "changed_at": NOW}
    grid = Grid(**defaults | fields)
    session.add(grid)
    session.flush()
    for package in packages:
        add_to_grid(session, grid, package)
    return grid


def add_to_grid(session: Session, grid: Grid, package: Package) -> GridPackage:
    position = session.query(GridPackage).filter_by(package_id=package.id).count()
    membership = GridPackage(grid_id=grid.id, package_id=package.id, position=position, created_at=NOW)
    session.add(membership)
    session.flush()
    return membership


def make_feature(session: Session, grid: Grid, title: str = "Is fast", **fields: Any) -> Feature:
    position = session.query(Feature).filter_by(grid_id=grid.id).count()
    defaults = {"grid_id": grid.id, "title": title, "position": position, "created_at": NOW, "modified_at": NOW}
    feature = Feature(**defaults | fields)
    session.add(feature)
    session.flush()
    return feature


def fill_cell(session: Session, feature: Feature, package: Package, text: str) -> Cell:
    membership = session.query(GridPackage).filter_by(grid_id=feature.grid_id, package_id=package.id).one()
    cell = Cell(feature_id=feature.id, grid_package_id=membership.id, text=text, created_at=NOW, modified_at=NOW)
    session.add(cell)
    session.flush()
    return cell


def make_source_state(
    session: Session, package: Package, source: str, host: str = "github.com", **fields: Any
) -> SourceState:
    """Add a source of a package's facts, fetched now."""
    defaults = {"target": package.slug, "fetched_at": NOW, "next_due_at": NOW}
    state = SourceState(package_id=package.id, source=source, host=host, **defaults | fields)
    session.add(state)
    session.flush()
    return state
