"""Categories: every package belongs to exactly one."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Index, String, func
from sqlalchemy.orm import Mapped, mapped_column, relationship

from pkgsite.models.base import Base, Id, Slug, by_code_point
from pkgsite.models.package import Package


class Category(Base):
    __tablename__ = "category"

    id: Mapped[Id]
    title: Mapped[str] = mapped_column(by_code_point(50))
    title_plural: Mapped[str] = mapped_column(String(50), default="")
    slug: Mapped[Slug] = mapped_column(unique=True)
    description: Mapped[str] = mapped_column(default="")
    show_pypi: Mapped[bool] = mapped_column(default=True)
    created_at: Mapped[datetime]
    modified_at: Mapped[datetime]

    packages: Mapped[list[Package]] = relationship(
        back_populates="category", lazy="raise_on_sql", passive_deletes="all"
    )


Index("uq_category_slug_lower", func.lower(Category.slug), unique=True)
