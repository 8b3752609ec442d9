"""Categories: one record as pages and API show it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from pkgsite.errors import NotFound
from pkgsite.models import Category
from pkgsite.services.packages.records import AnySelect


@dataclass(frozen=True, slots=True)
class CategoryRecord:
    id: int
    title: str
    slug: str
    description: str
    title_plural: str
    show_pypi: bool
    created_at: datetime
    modified_at: datetime


@dataclass(frozen=True, slots=True)
class CategorySlice:
    """Some categories out of `count`."""

    count: int
    records: list[CategoryRecord]


def category_list(session: Session, *, limit: int, offset: int, by_title: bool = False) -> CategorySlice:
    """Return a stretch of all categories, newest id first, or by title."""
    order = (Category.title, Category.id) if by_title else (Category.id.desc(),)
    count = session.scalar(select(func.count()).select_from(Category)) or 0
    if offset >= count:
        return CategorySlice(count, [])
    return CategorySlice(count, _load(session, _select().order_by(*order).limit(limit).offset(offset)))


def category_by_id(session: Session, category_id: int) -> CategoryRecord:
    """Return one category.

    Raises:
        NotFound: no category has this id.
    """
    return _one_or_not_found(_load(session, _select().where(Category.id == category_id)))


def category_by_slug(session: Session, slug: str) -> CategoryRecord:
    """Return one category.

    Raises:
        NotFound: no category has this slug.
    """
    return _one_or_not_found(_load(session, _select().where(Category.slug == slug)))


def _select() -> AnySelect:
    return select(
        Category.id,
        Category.title,
        Category.slug,
        Category.description,
        Category.title_plural,
        Category.show_pypi,
        Category.created_at,
        Category.modified_at,
    )


def _load(session: Session, statement: AnySelect) -> list[CategoryRecord]:
    return [CategoryRecord(**row._mapping) for row in session.execute(statement)]


def _one_or_not_found(found: list[CategoryRecord]) -> CategoryRecord:
    if not found:
        raise NotFound("Category")
    return found[0]
