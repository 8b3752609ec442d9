"""Releases of packages, as listed by the package index."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, SmallInteger, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from pkgsite.models.base import Base, Id
from pkgsite.models.package import Package


class Release(Base):
    __tablename__ = "release"
    __table_args__ = (UniqueConstraint("package_id", "number"),)

    id: Mapped[Id]
    package_id: Mapped[int] = mapped_column(ForeignKey("package.id", ondelete="CASCADE"))
    number: Mapped[str] = mapped_column(String(100))
    uploaded_at: Mapped[datetime | None]
    is_prerelease: Mapped[bool] = mapped_column(default=False)
    yanked_reason: Mapped[str | None]  # None if not yanked, empty if yanked without a reason
    requires_python: Mapped[str | None]
    supports_python3: Mapped[bool | None]
    development_status: Mapped[int | None] = mapped_column(SmallInteger)
    licence: Mapped[str | None]
    licences: Mapped[list[Any] | None]
    created_at: Mapped[datetime]

    package: Mapped[Package] = relationship(back_populates="releases", lazy="raise_on_sql")
