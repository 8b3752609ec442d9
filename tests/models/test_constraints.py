"""Constraints that the databases and models enforce."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import IntegrityError, StatementError
from sqlalchemy.orm import Session

from pkgsite.models import Favourite, Flag, Package, Revision
from tests.factories import NOW, fill_cell, make_category, make_feature, make_grid, make_package
from tests.users import make_user


def test_a_package_has_one_cell_per_feature(session: Session) -> None:
    package = make_package(session)
    feature = make_feature(session, make_grid(session, packages=(package,)))
    fill_cell(session, feature, package, "yes")
    with pytest.raises(IntegrityError, match=r"uq_cell|cell\.grid_package_id, cell\.feature_id"):
        fill_cell(session, feature, package, "no")


def test_a_user_has_one_favourite_per_package(session: Session) -> None:
    user, package = make_user(session), make_package(session)
    session.add_all([Favourite(user_id=user.id, package_id=package.id, created_at=NOW) for _ in range(2)])
    with pytest.raises(IntegrityError, match="favourite"):
        session.flush()


def test_slugs_that_differ_only_in_case_are_rejected(session: Session) -> None:
    make_package(session, "Django-One")
    with pytest.raises(IntegrityError, match="uq_package_slug_lower"):
        make_package(session, "django-one")


def test_a_user_has_one_open_flag_per_package(session: Session) -> None:
    user, package = make_user(session), make_package(session)
    flag = {"user_id": user.id, "package_id": package.id, "kind": "spam", "reason": "Sells shoes.", "created_at": NOW}
    session.add_all([Flag(**flag, closed_at=NOW), Flag(**flag)])
    session.flush()
    session.add(Flag(**flag))
    with pytest.raises(IntegrityError):
        session.flush()


def test_foreign_keys_are_enforced(session: Session) -> None:
    with pytest.raises(IntegrityError, match=r"(?i)foreign key"):
        make_package(session, category_id=4711)


def test_a_category_with_packages_can_not_be_deleted(session: Session) -> None:
    category = make_category(session)
    make_package(session, category=category)
    session.commit()
    with pytest.raises(IntegrityError):
        session.execute(text("DELETE FROM category"))


def test_deleting_a_package_deletes_its_cells(session: Session) -> None:
    package = make_package(session)
    fill_cell(session, make_feature(session, make_grid(session, packages=(package,))), package, "yes")
    session.commit()
    session.execute(text("DELETE FROM package"))
    assert session.execute(text("SELECT count(*) FROM cell")).scalar() == 0


def test_ids_of_deleted_rows_are_not_reused(session: Session) -> None:
    first = make_package(session, "first").id
    session.execute(text("DELETE FROM package"))
    session.expire_all()
    assert make_package(session, "second").id > first


def test_timestamps_are_aware_and_in_utc(session: Session) -> None:
    package = make_package(session)
    session.commit()
    stored = session.scalars(select(Package.created_at).where(Package.id == package.id)).one()
    assert stored == NOW
    assert stored.utcoffset() == timedelta(0)
    with pytest.raises(StatementError, match="naive"):
        make_package(session, "naive", created_at=datetime(2026, 1, 1))  # noqa: DTZ001 - the point of the test


def test_revisions_can_not_be_changed(session: Session) -> None:
    revision = Revision(at=NOW, object_type="package", object_id=1, action="edit", before=None, after={})
    session.add(revision)
    session.commit()
    revision.reason = "I never did"
    with pytest.raises(RuntimeError, match="history"):
        session.flush()
