"""Merging two packages: nothing that anybody wrote or said is lost, and all of it can be taken back."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from pkgsite.errors import Forbidden, Invalid, Moved, NotFound
from pkgsite.extensions import gateways
from pkgsite.models import Cell, Favourite, Flag, GridPackage, OldPackageSlug, Package, Revision, SiteUsing, Usage, User
from pkgsite.services.changeset import Act
from pkgsite.services.history.revert import undo
from pkgsite.services.moderation.packages import hide_package, merge_package, show_package
from pkgsite.services.packages.merge import merge_plan
from pkgsite.services.packages.records import package_by_slug
from tests.factories import NOW, fill_cell, make_feature, make_grid, make_package, make_source
from tests.users import make_user, viewer_of


@dataclass
class World:
    boss: User
    ada: User
    flag_id: int


@pytest.fixture
def world(session: Session) -> World:
    """Two records of one package, alone and together in grids, with people who use and like one or both."""
    boss, ada, bob = make_user(session, "boss", role="moderator"), make_user(session), make_user(session, "bob")
    loser = make_package(session, "loser", repo_url="https://github.com/a/b")
    survivor = make_package(session, "survivor", repo_url="https://github.com/a/c", replaced_by_id=loser.id)
    follower = make_package(session, "follower", replaced_by_id=loser.id)
    alone = make_grid(session, "alone", (loser,))
    both = make_grid(session, "both", (survivor, loser, follower))
    fill_cell(session, make_feature(session, alone, "Speed"), loser, "fast")
    said, empty, missing, ours = (make_feature(session, both, title) for title in ("A", "B", "C", "D"))
    for feature, package, text in (
        (said, loser, "theirs"), (said, survivor, "ours"), (empty, loser, "filled"), (empty, survivor, ""),
        (missing, loser, "new"), (ours, survivor, "kept"), (ours, loser, ""),
    ):  # fmt: skip
        fill_cell(session, feature, package, text)
    for model in (Usage, Favourite):
        session.add_all(
            model(user_id=user.id, package_id=package.id, created_at=NOW)
            for user, package in ((ada, loser), (ada, survivor), (bob, loser))
        )
    for package, url in ((loser, "https://x.example/"), (loser, "https://y.example"), (survivor, "https://X.example")):
        session.add(SiteUsing(package_id=package.id, title=url, url=url, is_approved=True, created_at=NOW))
    session.add(OldPackageSlug(slug="older", package_id=loser.id, created_at=NOW))
    flag = Flag(package_id=loser.id, user_id=ada.id, kind="duplicate", reason="twice", created_at=NOW)
    session.add(flag)
    make_source(session, loser, "repo", target="a/b")
    session.commit()
    return World(boss, ada, flag.id)


def begin(session: Session, user: User, reason: str = "The same thing.") -> Act:
    by = viewer_of(user)
    session.rollback()
    return Act(session, by=by, now=NOW, gateways=gateways(), reason=reason)


def merge(session: Session, world: World, slug: str = "loser", into: str = "survivor") -> None:
    doing = begin(session, world.boss)
    with doing:
        merge_package(doing, slug=slug, into=into, flag_ids=[world.flag_id])
    session.commit()


def cells(session: Session, slug: str) -> dict[str, list[str]]:
    """Return what a package's cells say, by the id of the grid."""
    rows = session.execute(
        select(GridPackage.grid_id, Cell.text)
        .join(Cell, Cell.grid_package_id == GridPackage.id)
        .join(Package, Package.id == GridPackage.package_id)
        .where(Package.slug == slug)
        .order_by(Cell.feature_id)
    )
    found: dict[str, list[str]] = {}
    for grid_id, text in rows:
        found.setdefault(str(grid_id), []).append(text)
    return found


def test_the_preview_says_what_the_merge_does(session: Session, world: World) -> None:
    plan = merge_plan(session, "loser", "/packages/p/survivor/")
    alone, both = plan.grids
    assert (alone.slug, alone.moves) == ("alone", True)
    assert (both.moves, both.filled, both.kept) == (False, ("B", "C"), ("A",))
    assert (plan.site_count, plan.usage_count, plan.favourite_count) == (1, 1, 1)
    assert [other.slug for other in plan.replaces] == ["follower"]


def test_everything_moves_and_nothing_twice(session: Session, world: World) -> None:
    merge(session, world)
    loser, survivor = (
        session.scalars(select(Package).where(Package.slug == slug)).one() for slug in ("loser", "survivor")
    )
    assert loser.hidden_at == NOW
    assert loser.merged_into_id == survivor.id
    assert list(cells(session, "survivor").values()) == [["fast"], ["ours", "filled", "new", "kept"]]
    assert cells(session, "loser") == {}
    for model in (Usage, Favourite):
        assert len(session.scalars(select(model).where(model.package_id == survivor.id)).all()) == 2
    urls = select(SiteUsing.url).where(SiteUsing.package_id == survivor.id).order_by(SiteUsing.url)
    assert {url.lower() for url in session.scalars(urls)} == {"https://x.example", "https://y.example"}
    assert survivor.replaced_by_id is None
    follower = session.scalars(select(Package).where(Package.slug == "follower")).one()
    assert follower.replaced_by_id == survivor.id
    flag = session.get_one(Flag, world.flag_id)
    assert (flag.closed_by_id, flag.outcome) == (world.boss.id, "Merged into “survivor”. The same thing.")
    heads = session.scalars(select(Revision).where(Revision.part_of_id.is_(None))).all()
    assert [head.reason for head in heads] == ["The same thing."]


@pytest.mark.parametrize("slug", ["loser", "older"])
def test_its_slugs_lead_to_the_survivor(session: Session, world: World, slug: str) -> None:
    merge(session, world)
    with pytest.raises(Moved) as moved:
        package_by_slug(session, slug)
    assert moved.value.slug == "survivor"


def test_a_survivor_that_is_merged_itself_leads_on(session: Session, world: World) -> None:
    merge(session, world)
    merge(session, world, "survivor", "follower")
    with pytest.raises(Moved) as moved:
        package_by_slug(session, "older")
    assert moved.value.slug == "follower"
    doing = begin(session, world.boss)
    with doing:
        hide_package(doing, slug="follower")
    session.commit()
    with pytest.raises(NotFound):
        package_by_slug(session, "loser")


def test_a_merge_is_undone_as_a_whole(session: Session, world: World) -> None:
    before = [cells(session, slug) for slug in ("loser", "survivor")]
    ids = session.execute(select(Cell.id, Cell.text).order_by(Cell.id)).all()
    merge(session, world)
    head = session.scalars(select(Revision.id).where(Revision.part_of_id.is_(None))).one()
    doing = begin(session, world.boss, "")
    with doing:
        undo(doing, head)
    session.commit()
    assert [cells(session, slug) for slug in ("loser", "survivor")] == before
    assert session.execute(select(Cell.id, Cell.text).order_by(Cell.id)).all() == ids
    assert package_by_slug(session, "loser").slug == "loser"


def test_what_can_t_be_merged(session: Session, world: World) -> None:
    for into in ("", "none", "loser", "\x00"):
        with pytest.raises(Invalid) as refusal:
            merge(session, world, into=into)
        assert list(refusal.value.problems) == ["into"]
    with pytest.raises(NotFound):
        merge(session, world, "none", "survivor")
    doing = begin(session, world.ada)
    with pytest.raises(Forbidden), doing:
        merge_package(doing, slug="loser", into="survivor")
    doing = begin(session, world.boss, " ")
    with pytest.raises(Invalid), doing:
        merge_package(doing, slug="loser", into="survivor")
    session.rollback()
    assert session.scalars(select(Revision)).all() == []


def test_a_package_is_not_shown_again_beside_one_with_its_repository(session: Session, world: World) -> None:
    make_package(session, "hidden", hidden_at=NOW, repo_url="http://github.com/A/C/")
    session.commit()
    doing = begin(session, world.boss)
    with pytest.raises(Invalid) as refusal, doing:
        show_package(doing, slug="hidden")
    assert "“survivor”" in refusal.value.problems["reason"][0]
