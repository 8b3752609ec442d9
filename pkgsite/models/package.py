"""Packages and their former slugs.

Facts (stars, commits, releases …) are fetched from other sites; `None` means unknown.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import ForeignKey, Index, SmallInteger, String, false, func, literal_column, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from pkgsite.models.base import Base, BigInt, Id, Slug, Title

if TYPE_CHECKING:
    from pkgsite.models.category import Category
    from pkgsite.models.grid import GridPackage
    from pkgsite.models.release import Release


class Package(Base):
    __tablename__ = "package"

    id: Mapped[Id]
    title: Mapped[Title]
    slug: Mapped[Slug] = mapped_column(unique=True)
    category_id: Mapped[int] = mapped_column(ForeignKey("category.id", ondelete="RESTRICT"), index=True)

    # Entered by users
    repo_url: Mapped[str] = mapped_column(String(200), default="", index=True)
    repo_directory: Mapped[str] = mapped_column(String(200), default="")  # where the package is in it; "" for its root
    pypi_url: Mapped[str] = mapped_column(String(255), default="")  # a project name, or the URL of a project page
    documentation_url: Mapped[str | None] = mapped_column(String(200))
    deprecated_at: Mapped[datetime | None]
    replaced_by_id: Mapped[int | None] = mapped_column(ForeignKey("package.id", ondelete="SET NULL"), index=True)
    hidden_at: Mapped[datetime | None]
    merged_into_id: Mapped[int | None] = mapped_column(index=True)  # no foreign key: SQLite can't add one

    # Fetched from the code host
    # The host's ids of the repository, which survive a rename, and the "target" (host and path) that they belong to
    repo_identity: Mapped[dict[str, Any] | None]
    repo_moved_to: Mapped[str | None]  # current URL of the repository, if it differs from `repo_url`
    missing_since: Mapped[datetime | None]  # since when the code host has repeatedly reported no such repository
    description: Mapped[str] = mapped_column(default="")  # `repo_description`, or else `index_summary`
    repo_description: Mapped[str | None]  # empty if the repository has none
    stars: Mapped[int | None]
    forks: Mapped[int | None]
    open_issues: Mapped[int | None]
    topics: Mapped[list[Any] | None]
    default_branch: Mapped[str | None]
    repo_licence: Mapped[str | None]
    archived_at: Mapped[datetime | None]
    archived_at_from_host: Mapped[bool | None]  # False if the host gives no date: then it is when this site noticed
    is_fork: Mapped[bool | None]
    parent_url: Mapped[str | None]  # URL of the repository that it was forked from
    is_mirror: Mapped[bool | None]
    homepage_url: Mapped[str | None]
    last_commit_at: Mapped[datetime | None]
    commit_count: Mapped[int | None]
    commits_over_52: Mapped[list[Any]] = mapped_column(default=list)  # by week, oldest first; 52 values or none
    participants: Mapped[list[Any]] = mapped_column(default=list)  # usernames on the code host
    participants_complete: Mapped[bool] = mapped_column(default=True)
    # Whether the code host lists no contributors because there are too many.
    has_too_many_participants: Mapped[bool] = mapped_column(default=False, server_default=false())

    # Fetched from the package index
    pypi_version: Mapped[str | None] = mapped_column(String(100))
    released_at: Mapped[datetime | None]
    pypi_downloads: Mapped[int | None] = mapped_column(BigInt)  # in the last month
    licence: Mapped[str | None]  # the main one; from the code host if the index has none
    licences: Mapped[list[Any] | None]
    classifiers: Mapped[list[Any] | None]
    requires_python: Mapped[str | None]
    requires_dist: Mapped[list[Any] | None]
    supports_python3: Mapped[bool | None]
    development_status: Mapped[int | None] = mapped_column(SmallInteger)  # 1 planning … 5 stable … 7 inactive
    project_urls: Mapped[dict[str, Any] | None]
    index_summary: Mapped[str | None]  # empty if the project has none
    index_documentation_url: Mapped[str | None]  # shown if users have entered none
    vulnerabilities: Mapped[list[Any] | None]  # of the current release; None if unknown
    index_status: Mapped[str | None]  # "active", "archived", "quarantined" or "deprecated"; None if unknown
    index_status_reason: Mapped[str | None]

    declared: Mapped[dict[str, Any] | None]  # what the packaging files declare, until facts are fetched

    score: Mapped[int | None] = mapped_column(index=True)  # by rules.scores, from the facts above
    scored_at: Mapped[datetime | None]

    created_at: Mapped[datetime] = mapped_column(index=True)
    created_by_id: Mapped[int | None] = mapped_column(ForeignKey("user.id", ondelete="SET NULL"), index=True)
    modified_at: Mapped[datetime]  # last edit by a user
    modified_by_id: Mapped[int | None] = mapped_column(ForeignKey("user.id", ondelete="SET NULL"), index=True)
    changed_at: Mapped[datetime] = mapped_column(index=True)  # last change of any kind
    last_fetched_at: Mapped[datetime | None]
    version: Mapped[int] = mapped_column(default=1)  # incremented with each edit by a user

    category: Mapped[Category] = relationship(back_populates="packages", lazy="raise_on_sql")
    memberships: Mapped[list[GridPackage]] = relationship(
        back_populates="package",
        lazy="raise_on_sql",
        cascade="all, delete-orphan",
        passive_deletes=True,
        order_by="GridPackage.position, GridPackage.id",
    )
    releases: Mapped[list[Release]] = relationship(
        back_populates="package", lazy="raise_on_sql", cascade="all, delete-orphan", passive_deletes=True
    )
    replaced_by: Mapped[Package | None] = relationship(
        back_populates="replaces", lazy="raise_on_sql", remote_side="Package.id"
    )
    replaces: Mapped[list[Package]] = relationship(
        back_populates="replaced_by", lazy="raise_on_sql", passive_deletes=True
    )


class PackageSlugRedirect(Base):
    """A former slug of a package; it redirects to the package until another package gets the slug."""

    __tablename__ = "package_slug_redirect"

    slug: Mapped[Slug] = mapped_column(primary_key=True)
    package_id: Mapped[int] = mapped_column(ForeignKey("package.id", ondelete="CASCADE"), index=True)
    created_at: Mapped[datetime]


def _spelling(column: Any) -> Any:
    """Return an expression that is equal for all spellings of a name: in lower case, with hyphens for `_` and `.`.

    It has no parameters, because an index doesn't serve expressions that do.
    """
    hyphen = text("'-'")
    return func.replace(func.replace(func.lower(column), text("'_'"), hyphen), text("'.'"), hyphen)


# `services.packages.resolver` looks packages up by these; the second one is the name of a project or its page's URL.
SLUG_SPELLING = _spelling(Package.slug)
INDEX_NAME = func.rtrim(_spelling(Package.pypi_url), text("'/'"))

Index("uq_package_slug_lower", func.lower(Package.slug), unique=True)
Index("ix_package_slug_spelling", SLUG_SPELLING)
Index("ix_package_index_name", INDEX_NAME)
Index("ix_package_repo_url_lower", func.lower(Package.repo_url))
Index("ix_package_repo_moved_to_lower", func.lower(Package.repo_moved_to))
Index("ix_package_title_lower", func.lower(Package.title), Package.id)
Index("ix_package_stars", func.coalesce(Package.stars, literal_column("-1")).desc(), Package.id)  # unknown sorts last
