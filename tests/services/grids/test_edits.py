"""Edits of grids, and what a locked grid rejects."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any, cast

import pytest
from flask import Flask
from sqlalchemy import select
from sqlalchemy.orm import Session

from pkgsite.errors import Conflict, Forbidden, Invalid, NotFound
from pkgsite.models import Cell, Feature, Grid, GridPackage, GridSlugRedirect, Revision
from pkgsite.services.changeset import Changeset, Edit
from pkgsite.services.grids.edits import (
    AddFeature,
    AddGrid,
    AddGridPackage,
    DeleteFeature,
    DeleteGrid,
    EditCell,
    EditFeature,
    EditGrid,
    GridChanges,
    LockGrid,
    MoveFeature,
    RemoveGridPackage,
)
from pkgsite.services.permissions import Viewer
from tests.factories import NOW, fill_cell, make_feature, make_grid, make_package
from tests.queries import recorded_queries
from tests.users import make_user, viewer_of

Apply = Callable[..., Any]


@pytest.fixture
def people(session: Session) -> dict[str, Viewer]:
    found = {name: viewer_of(make_user(session, name)) for name in ("ada", "bob")}
    found["mod"] = viewer_of(make_user(session, "mod", role="moderator"))
    session.commit()
    return found


@pytest.fixture
def apply(session: Session, people: dict[str, Viewer]) -> Apply:
    """A function that applies an edit as a user, and commits."""

    def apply_edit(edit: Edit[Any], username: str = "ada") -> Any:
        session.rollback()
        try:
            with Changeset(session, by=people[username], now=NOW) as changeset:
                result = edit.apply(changeset)
        except BaseException:
            session.rollback()
            raise
        session.commit()
        return result

    return apply_edit


def test_a_grid_is_created_and_edited(session: Session, apply: Apply, people: dict[str, Viewer]) -> None:
    grid = apply(AddGrid(changes={"title": " Rich  text ", "description": "a\r\nb"}))
    assert (grid.title, grid.slug, grid.description, grid.version) == ("Rich text", "rich-text", "a\nb", 1)
    assert (grid.created_by_id, grid.is_locked, grid.header) == (people["ada"].user_id, False, False)
    assert apply(AddGrid(changes={"title": "Rich text"})).slug == "rich-text-2"
    apply(EditGrid(grid_id=grid.id, changes={"slug": "editors"}, expected_version=1), "bob")
    assert session.scalars(select(GridSlugRedirect.slug)).all() == ["rich-text"]
    with pytest.raises(Conflict):
        apply(EditGrid(grid_id=grid.id, changes={"title": "Mine"}, expected_version=1))
    assert [revision.action for revision in session.scalars(select(Revision).order_by(Revision.id))] == [
        "add", "add", "edit",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"title": ""}, "title"),
        ({"title": "\u200b"}, "title"),
        ({"title": "x" * 101}, "title"),
        ({"title": "x", "description": "x" * 1001}, "description"),
        ({"title": "x", "slug": "12"}, "slug"),
        ({"title": "x", "slug": "a b"}, "slug"),
        ({"title": "x", "slug": "feature"}, "slug"),
        ({"title": "x", "slug": "THERE"}, "slug"),
        ({"title": "x", "slug": "once"}, "slug"),
    ],
)
def test_invalid_fields_are_rejected(session: Session, apply: Apply, changes: dict[str, Any], name: str) -> None:
    grid = make_grid(session, "there")
    session.add(GridSlugRedirect(slug="once", grid_id=grid.id, created_at=NOW))
    session.commit()
    with pytest.raises(Invalid) as error:
        apply(AddGrid(cast(GridChanges, changes)))
    assert list(error.value.problems) == [name]


def test_only_moderators_put_a_grid_on_the_home_page(session: Session, apply: Apply) -> None:
    with pytest.raises(Forbidden):
        apply(AddGrid(changes={"title": "x", "header": True}))
    assert apply(AddGrid(changes={"title": "x", "header": True}), "mod").header


def test_features_keep_an_order(session: Session, apply: Apply) -> None:
    grid = make_grid(session)
    session.commit()
    made = [apply(AddFeature(grid_id=grid.id, title=title)) for title in ("One", "Two", "Three")]

    def order() -> list[str]:
        rows = select(Feature.title).where(Feature.grid_id == grid.id).order_by(Feature.position, Feature.id)
        return list(session.scalars(rows))

    apply(MoveFeature(feature_id=made[2].id, offset=-1), "bob")
    assert order() == ["One", "Three", "Two"]
    apply(MoveFeature(feature_id=made[0].id, offset=5))
    assert order() == ["Three", "Two", "One"]
    apply(EditFeature(feature_id=made[0].id, title="First", expected_version=made[0].version), "bob")
    assert order() == ["Three", "Two", "First"]
    with pytest.raises(Conflict):
        apply(EditFeature(feature_id=made[1].id, title="x", expected_version=99))
    apply(DeleteFeature(feature_id=made[1].id))
    assert order() == ["Three", "First"]


def grid_features(session: Session, positions: list[int]) -> list[Feature]:
    grid = make_grid(session)
    features = [make_feature(session, grid, title=f"F{index}") for index in range(len(positions))]
    for feature, position in zip(features, positions, strict=True):
        feature.position = position
    session.commit()
    return features


@pytest.mark.parametrize(
    ("positions", "index", "offset", "changed"),
    [
        pytest.param([0, 1, 2, 3], 2, -1, {1: 2, 2: 1}, id="neighbours exchange their numbers"),
        pytest.param([0, 1, 3, 4, 5, 6], 4, -1, {3: 5, 4: 4}, id="after a deletion, only two change"),
        pytest.param([0, 1, 3, 4], 3, -1, {3: 2}, id="a free number is used"),
        pytest.param([0, 1, 2, 3], 0, 9, {0: 4}, id="to the end"),
        pytest.param([1, 2, 3], 2, -9, {2: 0}, id="to the start, where a number is free"),
        pytest.param([0, 1, 2], 2, -2, {0: 1, 1: 2, 2: 0}, id="to the start"),
        pytest.param([0, 0, 0, 5], 2, -1, {1: 2, 2: 1, 3: 3}, id="shared numbers are replaced"),
        pytest.param([0, 1, 2], 2, 1, {}, id="already at the end"),
    ],
)
def test_a_move_changes_as_few_features_as_possible(
    session: Session, apply: Apply, positions: list[int], index: int, offset: int, changed: dict[int, int]
) -> None:
    features = grid_features(session, positions)
    ids = [feature.id for feature in features]
    order = ids[:index] + ids[index + 1 :]
    order.insert(max(0, min(index + offset, len(ids) - 1)), ids[index])
    apply(MoveFeature(ids[index], offset))
    in_order = session.scalars(select(Feature).order_by(Feature.position, Feature.id)).all()
    assert [feature.id for feature in in_order] == order
    moved = session.scalars(select(Revision).where(Revision.action == "edit").order_by(Revision.object_id)).all()
    assert {ids.index(row.object_id): (row.after or {})["position"] for row in moved} == changed


def test_deleting_a_large_grid_takes_no_more_statements_than_a_small_one(
    app: Flask, session: Session, apply: Apply
) -> None:
    packages = [make_package(session, f"p{number}") for number in range(12)]
    grids = [make_grid(session, f"g{size}", tuple(packages[:size])) for size in (2, 12)]
    for grid, size in zip(grids, (2, 12), strict=True):
        for _ in range(size):
            feature = make_feature(session, grid)
            for package in packages[:size]:
                fill_cell(session, feature, package, "yes")
    session.commit()
    ids = [grid.id for grid in grids]
    counts = []
    for grid_id, size in zip(ids, (2, 12), strict=True):
        with recorded_queries(app) as statements:
            apply(DeleteGrid(grid_id), "mod")
        counts.append(len(statements))
        revisions = session.scalars(select(Revision).where(Revision.grid_id == grid_id, Revision.action == "delete"))
        kinds = Counter(revision.object_type for revision in revisions)
        assert kinds == {"grid": 1, "feature": size, "membership": size, "cell": size * size}
    assert counts[0] == counts[1]


def test_cells_are_made_where_somebody_says_something(session: Session, apply: Apply) -> None:
    package = make_package(session)
    feature = make_feature(session, make_grid(session, packages=(package,)))
    other = make_feature(session, make_grid(session, "other"))
    session.commit()
    place = {"package_id": package.id, "feature_id": feature.id}
    apply(EditCell(**place, text="", expected_version=0))
    assert session.scalars(select(Cell)).all() == []
    cell = apply(EditCell(**place, text="yes", expected_version=0))
    assert (cell.text, cell.version) == ("yes", 1)
    with pytest.raises(Conflict):
        apply(EditCell(**place, text="no", expected_version=0), "bob")
    assert apply(EditCell(**place, text="", expected_version=1), "bob").version == 2
    with pytest.raises(NotFound):
        apply(EditCell(package_id=package.id, feature_id=other.id, text="x"))
    with pytest.raises(Invalid):
        apply(EditCell(**place, text="x" * 1001))


def test_packages_come_and_go(session: Session, apply: Apply) -> None:
    package, hidden = make_package(session, "one"), make_package(session, "two", hidden_at=NOW)
    grid = make_grid(session)
    session.commit()
    first = apply(AddGridPackage(grid_id=grid.id, package_id=package.id))
    assert apply(AddGridPackage(grid_id=grid.id, package_id=package.id), "bob").id == first.id
    with pytest.raises(NotFound):
        apply(AddGridPackage(grid_id=grid.id, package_id=hidden.id))
    feature = make_feature(session, grid)
    fill_cell(session, feature, package, "yes")
    session.commit()
    with pytest.raises(Forbidden):
        apply(RemoveGridPackage(grid_id=grid.id, package_id=package.id), "bob")
    apply(RemoveGridPackage(grid_id=grid.id, package_id=package.id), "ada")
    assert session.scalars(select(GridPackage)).all() == []
    assert session.scalars(select(Cell)).all() == []


def test_who_can_remove_features_and_grids(session: Session, apply: Apply) -> None:
    grid = apply(AddGrid(changes={"title": "Caching"}), "ada")
    by_bob = apply(AddFeature(grid_id=grid.id, title="By Bob"), "bob")
    by_mod = apply(AddFeature(grid_id=grid.id, title="By a moderator"), "mod")
    with pytest.raises(Forbidden):
        apply(DeleteFeature(feature_id=by_mod.id), "bob")
    apply(DeleteFeature(feature_id=by_bob.id), "bob")
    apply(DeleteFeature(feature_id=by_mod.id), "ada")  # the grid's creator
    with pytest.raises(Forbidden):
        apply(DeleteGrid(grid_id=grid.id), "ada")
    apply(DeleteGrid(grid_id=grid.id), "mod")
    assert session.scalars(select(Grid)).all() == []


def test_only_moderators_edit_a_locked_grid(session: Session, apply: Apply) -> None:
    inside, outside = make_package(session, "in"), make_package(session, "out")
    grid = make_grid(session, packages=(inside,))
    feature = make_feature(session, grid)
    session.commit()
    with pytest.raises(Forbidden):
        apply(LockGrid(grid_id=grid.id, is_locked=True), "ada")
    apply(LockGrid(grid_id=grid.id, is_locked=True), "mod")
    edits: list[Edit[Any]] = [
        EditGrid(grid_id=grid.id, changes={"title": "x"}),
        AddFeature(grid_id=grid.id, title="x"),
        EditFeature(feature_id=feature.id, title="x"),
        MoveFeature(feature_id=feature.id, offset=1),
        DeleteFeature(feature_id=feature.id),
        AddGridPackage(grid_id=grid.id, package_id=outside.id),
        RemoveGridPackage(grid_id=grid.id, package_id=inside.id),
        EditCell(package_id=inside.id, feature_id=feature.id, text="x"),
    ]
    for edit in edits:
        with pytest.raises(Forbidden, match="locked"):
            apply(edit)
    assert session.scalars(select(Revision.action)).all() == ["edit"]
    for edit in (edits[0], edits[1], edits[5], edits[7]):
        apply(edit, "mod")
    apply(LockGrid(grid_id=grid.id, is_locked=False), "mod")
    apply(AddFeature(grid_id=grid.id, title="open again"))
