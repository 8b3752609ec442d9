"""What people do to grids, and what a lock keeps them from."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from pkgsite.errors import Conflict, Forbidden, Invalid, NotFound
from pkgsite.models import Cell, Feature, Grid, GridPackage, GridSlugRedirect, Revision
from pkgsite.services.changeset import Changeset
from pkgsite.services.moderation.actions import ACTIONS
from pkgsite.services.permissions import Viewer
from tests.factories import NOW, fill_cell, make_feature, make_grid, make_package
from tests.users import make_user, viewer_of

Do = Callable[..., Any]


@pytest.fixture
def people(session: Session) -> dict[str, Viewer]:
    found = {name: viewer_of(make_user(session, name)) for name in ("ada", "bob")}
    found["mod"] = viewer_of(make_user(session, "mod", role="moderator"))
    session.commit()
    return found


@pytest.fixture
def do(session: Session, people: dict[str, Viewer]) -> Do:
    """A function that does an act in somebody's name, and commits."""

    def done(name: str, who: str = "ada", **arguments: Any) -> Any:
        session.rollback()
        try:
            with Changeset(session, by=people[who], now=NOW) as changeset:
                found = ACTIONS[name](changeset, **arguments)
        except BaseException:
            session.rollback()
            raise
        session.commit()
        return found

    return done


def test_a_grid_is_made_and_changed(session: Session, do: Do, people: dict[str, Viewer]) -> None:
    grid = do("grid.add", changes={"title": " Rich  text ", "description": "a\r\nb"})
    assert (grid.title, grid.slug, grid.description, grid.version) == ("Rich text", "rich-text", "a\nb", 1)
    assert (grid.created_by_id, grid.is_locked, grid.header) == (people["ada"].user_id, False, False)
    assert do("grid.add", changes={"title": "Rich text"}).slug == "rich-text-2"
    do("grid.edit", "bob", grid_id=grid.id, changes={"slug": "editors"}, version=1)
    assert session.scalars(select(GridSlugRedirect.slug)).all() == ["rich-text"]
    with pytest.raises(Conflict):
        do("grid.edit", grid_id=grid.id, changes={"title": "Mine"}, version=1)
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
def test_what_a_grid_can_not_be(session: Session, do: Do, changes: dict[str, Any], name: str) -> None:
    grid = make_grid(session, "there")
    session.add(GridSlugRedirect(slug="once", grid_id=grid.id, created_at=NOW))
    session.commit()
    with pytest.raises(Invalid) as error:
        do("grid.add", changes=changes)
    assert list(error.value.problems) == [name]


def test_the_home_page_is_for_moderators_to_fill(session: Session, do: Do) -> None:
    with pytest.raises(Forbidden):
        do("grid.add", changes={"title": "x", "header": True})
    assert do("grid.add", "mod", changes={"title": "x", "header": True}).header


def test_features_keep_an_order(session: Session, do: Do) -> None:
    grid = make_grid(session)
    session.commit()
    made = [do("feature.add", grid_id=grid.id, title=title) for title in ("One", "Two", "Three")]

    def order() -> list[str]:
        rows = select(Feature.title).where(Feature.grid_id == grid.id).order_by(Feature.position, Feature.id)
        return list(session.scalars(rows))

    do("feature.move", "bob", feature_id=made[2].id, by=-1)
    assert order() == ["One", "Three", "Two"]
    do("feature.move", feature_id=made[0].id, by=5)
    assert order() == ["Three", "Two", "One"]
    do("feature.edit", "bob", feature_id=made[0].id, title="First", version=made[0].version)
    assert order() == ["Three", "Two", "First"]
    with pytest.raises(Conflict):
        do("feature.edit", feature_id=made[1].id, title="x", version=99)
    do("feature.delete", feature_id=made[1].id)
    assert order() == ["Three", "First"]


def test_cells_are_made_where_somebody_says_something(session: Session, do: Do) -> None:
    package = make_package(session)
    feature = make_feature(session, make_grid(session, packages=(package,)))
    other = make_feature(session, make_grid(session, "other"))
    session.commit()
    place = {"package_id": package.id, "feature_id": feature.id}
    do("cell.edit", **place, text="", version=0)
    assert session.scalars(select(Cell)).all() == []
    cell = do("cell.edit", **place, text="yes", version=0)
    assert (cell.text, cell.version) == ("yes", 1)
    with pytest.raises(Conflict):
        do("cell.edit", "bob", **place, text="no", version=0)
    assert do("cell.edit", "bob", **place, text="", version=1).version == 2
    with pytest.raises(NotFound):
        do("cell.edit", package_id=package.id, feature_id=other.id, text="x")
    with pytest.raises(Invalid):
        do("cell.edit", **place, text="x" * 1001)


def test_packages_come_and_go(session: Session, do: Do) -> None:
    package, hidden = make_package(session, "one"), make_package(session, "two", hidden_at=NOW)
    grid = make_grid(session)
    session.commit()
    first = do("membership.add", grid_id=grid.id, package_id=package.id)
    assert do("membership.add", "bob", grid_id=grid.id, package_id=package.id).id == first.id
    with pytest.raises(NotFound):
        do("membership.add", grid_id=grid.id, package_id=hidden.id)
    feature = make_feature(session, grid)
    fill_cell(session, feature, package, "yes")
    session.commit()
    with pytest.raises(Forbidden):
        do("membership.remove", "bob", grid_id=grid.id, package_id=package.id)
    do("membership.remove", "ada", grid_id=grid.id, package_id=package.id)
    assert session.scalars(select(GridPackage)).all() == session.scalars(select(Cell)).all() == []


def test_who_may_take_away_what_is_there(session: Session, do: Do) -> None:
    grid = do("grid.add", "ada", changes={"title": "Caching"})
    by_bob = do("feature.add", "bob", grid_id=grid.id, title="By Bob")
    by_mod = do("feature.add", "mod", grid_id=grid.id, title="By a moderator")
    with pytest.raises(Forbidden):
        do("feature.delete", "bob", feature_id=by_mod.id)
    do("feature.delete", "bob", feature_id=by_bob.id)
    do("feature.delete", "ada", feature_id=by_mod.id)  # who made the grid
    with pytest.raises(Forbidden):
        do("grid.delete", "ada", grid_id=grid.id)
    do("grid.delete", "mod", grid_id=grid.id)
    assert session.scalars(select(Grid)).all() == []


def test_a_locked_grid_is_changed_by_moderators_alone(session: Session, do: Do) -> None:
    inside, outside = make_package(session, "in"), make_package(session, "out")
    grid = make_grid(session, packages=(inside,))
    feature = make_feature(session, grid)
    session.commit()
    with pytest.raises(Forbidden):
        do("grid.lock", "ada", grid_id=grid.id, is_locked=True)
    do("grid.lock", "mod", grid_id=grid.id, is_locked=True)
    edits: list[tuple[str, dict[str, Any]]] = [
        ("grid.edit", {"grid_id": grid.id, "changes": {"title": "x"}}),
        ("feature.add", {"grid_id": grid.id, "title": "x"}),
        ("feature.edit", {"feature_id": feature.id, "title": "x"}),
        ("feature.move", {"feature_id": feature.id, "offset": 1}),
        ("feature.delete", {"feature_id": feature.id}),
        ("membership.add", {"grid_id": grid.id, "package_id": outside.id}),
        ("membership.remove", {"grid_id": grid.id, "package_id": inside.id}),
        ("cell.edit", {"package_id": inside.id, "feature_id": feature.id, "text": "x"}),
    ]
    for name, arguments in edits:
        with pytest.raises(Forbidden, match="locked"):
            do(name, **arguments)
    assert session.scalars(select(Revision.action)).all() == ["edit"]
    for name, arguments in (edits[0], edits[1], edits[5], edits[7]):
        do(name, "mod", **arguments)
    do("grid.lock", "mod", grid_id=grid.id, is_locked=False)
    do("feature.add", grid_id=grid.id, title="open again")
