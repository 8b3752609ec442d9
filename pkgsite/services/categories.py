"""Categories as pages and the API show them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, func, select
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
    """Some of `count` categories."""

    count: int
    records: list[CategoryRecord]


def category_list(session: Session, *, limit: int, offset: int, by_title: bool = False) -> CategorySlice:
    """Return a slice of all categories, highest id first, or by title."""
    order = (Category.title, Category.id) if by_title else (Category.id.desc(),)
    count = session.scalar(select(func.count()).select_from(Category)) or 0
    if offset >= count:
        return CategorySlice(count, [])
    return CategorySlice(count, _load(session, _select().order_by(*order).limit(limit).offset(offset)))


def category_by_id(session: Session, category_id: int) -> CategoryRecord:
    """Return one category.

    Raises:
        NotFound: No category has this id.
    """
    return _get(session, Category.id == category_id)


def category_by_slug(session: Session, slug: str) -> CategoryRecord:
    """Return one category.

    Raises:
        NotFound: No category has this slug.
    """
    return _get(session, Category.slug == slug)


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


def _get(session: Session, condition: ColumnElement[bool]) -> CategoryRecord:
    records = _load(session, _select().where(condition))
    if not records:
        raise NotFound("Category")
    return records[0]
