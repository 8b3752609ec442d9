"""Grids: comparisons of similar packages, with a row for each feature and a cell for each package and feature."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, Index, UniqueConstraint, func
from sqlalchemy.orm import Mapped, mapped_column, relationship

from pkgsite.models.base import Base, Id, Slug, Title
from pkgsite.models.package import Package


class Grid(Base):
    __tablename__ = "grid"

    id: Mapped[Id]
    title: Mapped[Title]
    slug: Mapped[Slug] = mapped_column(unique=True)
    description: Mapped[str] = mapped_column(default="")
    is_locked: Mapped[bool] = mapped_column(default=False)
    header: Mapped[bool] = mapped_column(default=False)  # shown on the home page
    created_at: Mapped[datetime]
    created_by_id: Mapped[int | None] = mapped_column(ForeignKey("user.id", ondelete="SET NULL"), index=True)
    modified_at: Mapped[datetime]
    modified_by_id: Mapped[int | None] = mapped_column(ForeignKey("user.id", ondelete="SET NULL"), index=True)
    changed_at: Mapped[datetime] = mapped_column(index=True)
    version: Mapped[int] = mapped_column(default=1)

    memberships: Mapped[list[GridPackage]] = relationship(
        back_populates="grid", lazy="raise_on_sql", cascade="all, delete-orphan", passive_deletes=True
    )
    features: Mapped[list[Feature]] = relationship(
        back_populates="grid",
        lazy="raise_on_sql",
        cascade="all, delete-orphan",
        passive_deletes=True,
        order_by="Feature.position, Feature.id",
    )


class GridSlugRedirect(Base):
    """A former slug of a grid that has been renamed or merged."""

    __tablename__ = "grid_slug_redirect"

    slug: Mapped[Slug] = mapped_column(primary_key=True)
    grid_id: Mapped[int] = mapped_column(ForeignKey("grid.id", ondelete="CASCADE"), index=True)
    created_at: Mapped[datetime]


class GridPackage(Base):
    """A package's membership of a grid. `position` orders the grids of the package."""

    __tablename__ = "grid_package"
    __table_args__ = (UniqueConstraint("grid_id", "package_id"),)

    id: Mapped[Id]
    grid_id: Mapped[int] = mapped_column(ForeignKey("grid.id", ondelete="CASCADE"))
    package_id: Mapped[int] = mapped_column(ForeignKey("package.id", ondelete="CASCADE"), index=True)
    position: Mapped[int]
    created_at: Mapped[datetime]

    grid: Mapped[Grid] = relationship(back_populates="memberships", lazy="raise_on_sql")
    package: Mapped[Package] = relationship(back_populates="memberships", lazy="raise_on_sql")
    cells: Mapped[list[Cell]] = relationship(
        back_populates="grid_package", lazy="raise_on_sql", cascade="all, delete-orphan", passive_deletes=True
    )


class Feature(Base):
    """A row of a grid, filled in by users. `position` orders the rows of the grid."""

    __tablename__ = "feature"

    id: Mapped[Id]
    grid_id: Mapped[int] = mapped_column(ForeignKey("grid.id", ondelete="CASCADE"), index=True)
    title: Mapped[Title]
    description: Mapped[str] = mapped_column(default="")
    position: Mapped[int]
    created_at: Mapped[datetime]
    modified_at: Mapped[datetime]
    version: Mapped[int] = mapped_column(default=1)

    grid: Mapped[Grid] = relationship(back_populates="features", lazy="raise_on_sql")
    cells: Mapped[list[Cell]] = relationship(
        back_populates="feature", lazy="raise_on_sql", cascade="all, delete-orphan", passive_deletes=True
    )


class Cell(Base):
    """The text about one feature of one package, in the cell markup of `rules.grid_cells`."""

    __tablename__ = "cell"
    __table_args__ = (UniqueConstraint("grid_package_id", "feature_id"),)

    id: Mapped[Id]
    grid_package_id: Mapped[int] = mapped_column(ForeignKey("grid_package.id", ondelete="CASCADE"))
    feature_id: Mapped[int] = mapped_column(ForeignKey("feature.id", ondelete="CASCADE"), index=True)
    text: Mapped[str] = mapped_column(default="")
    created_at: Mapped[datetime]
    modified_at: Mapped[datetime]
    version: Mapped[int] = mapped_column(default=1)

    grid_package: Mapped[GridPackage] = relationship(back_populates="cells", lazy="raise_on_sql")
    feature: Mapped[Feature] = relationship(back_populates="cells", lazy="raise_on_sql")


Index("ix_grid_slug_lower", func.lower(Grid.slug))  # not unique: imported slugs can differ in case only
Index("ix_grid_title_lower", func.lower(Grid.title), Grid.id)
